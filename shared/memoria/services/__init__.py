"""Composition: settings in, a service that answers requests out. The only place that wires."""

import os
import sys
from collections.abc import Callable

from memoria.config import BadConfiguration, Settings
from memoria.http import Service


def started(build: Callable[[Settings], Service]) -> Service:
    """The service that this process's environment asks for.

    Ends the process, with one message that names every problem, where it cannot be made.
    """
    try:
        return build(Settings.from_env(os.environ))
    except BadConfiguration as problem:
        sys.exit(str(problem))
