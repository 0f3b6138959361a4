"""Wires *cluster*: the faces of an event in, its people out."""

import os
import sys

import flask
import functions_framework

from memoria.config import BadConfiguration, Settings
from memoria.services import cluster_service

try:
    SERVICE = cluster_service(Settings.from_env(os.environ))
except BadConfiguration as problem:
    sys.exit(str(problem))


@functions_framework.http
def cluster(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
