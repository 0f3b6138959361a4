"""Wires *cluster*: the faces of an event in, its people out."""

import flask
import functions_framework

from memoria.services import started
from memoria.services.cluster import cluster_service

SERVICE = started(cluster_service)


@functions_framework.http
def cluster(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
