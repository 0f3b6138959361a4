"""Wires *process*: one photo in, its faces out."""

import flask
import functions_framework

from memoria.services import started
from memoria.services.process import process_service

SERVICE = started(process_service)


@functions_framework.http
def process(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
