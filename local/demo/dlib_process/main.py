"""Wires *process* to the dlib engine: for the demo, where no pack can be had."""

import flask
import functions_framework

from local.demo.dlib_engine import DlibEngine
from memoria.services import process_service, started

SERVICE = started(lambda settings: process_service(settings, lambda _settings: DlibEngine()))


@functions_framework.http
def process(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
