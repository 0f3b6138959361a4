"""Wires *cluster*: the faces of an event in, its people out."""

import flask
import functions_framework

from memoria.services import cluster_service, started

SERVICE = started(cluster_service)


@functions_framework.http
def cluster(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
