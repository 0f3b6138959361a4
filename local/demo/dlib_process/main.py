"""Wires *process* to the dlib engine: for the demo, where no pack can be had."""

import os
import sys

import flask
import functions_framework

from local.demo.dlib_engine import DlibEngine
from memoria.config import BadConfiguration, Settings
from memoria.services import process_service

try:
    SERVICE = process_service(Settings.from_env(os.environ), lambda _settings: DlibEngine())
except BadConfiguration as problem:
    sys.exit(str(problem))


@functions_framework.http
def process(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
