"""A decoder that a file has taken over looks at the service that started it, by /proc."""

import os
import sys

import httpx
import pytest

from tests.security.served import served

# As the images' user has none; root with them could read everything.
WITHOUT_CAPABILITIES = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_a_child_reads_neither_the_environment_nor_the_memory_of_its_service() -> None:
    """Of the worker, and of gunicorn's first process."""
    by = WITHOUT_CAPABILITIES if os.geteuid() == 0 else ()
    with served("tests.security.prying:app", by) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=20, trust_env=False)
    assert answer.text.split() == ["refused", "environ", "refused", "mem", "refused", "maps"] * 2
