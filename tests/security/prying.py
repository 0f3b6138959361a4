"""Served in the place of a function: what a child of its worker can reach of those above it."""

import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

CHILD = """
import os
def parent(pid):
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]
worker = os.getppid()
for pid in (worker, parent(worker)):
    for name, how in (("environ", os.O_RDONLY), ("mem", os.O_RDWR), ("maps", os.O_RDONLY)):
        try:
            os.read(os.open(f"/proc/{pid}/{name}", how), 1)
            print("reached", name, pid)
        except PermissionError:
            print("refused", name)
        except OSError:  # of an address where nothing is: it could be opened
            print("reached", name, pid)
"""


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """What the child says."""
    command = [sys.executable, "-c", CHILD]
    said = b""
    if environ["PATH_INFO"] != "/health":
        said = subprocess.run(command, env={}, capture_output=True, check=True).stdout
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]
