"""Wires *process*: one photo in, its faces out."""

import os
import sys

import flask
import functions_framework

from memoria.config import BadConfiguration, Settings
from memoria.services import process_service

try:
    SERVICE = process_service(Settings.from_env(os.environ))
except BadConfiguration as problem:
    sys.exit(str(problem))


@functions_framework.http
def process(request: flask.Request) -> flask.Response:
    """Answer one request."""
    return SERVICE(request)
