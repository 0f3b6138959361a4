"""The ports of a system that people look at: five in a row, known beforehand."""

from collections.abc import Mapping

from local.processes.home import FIRST_PORT
from local.processes.postgres import free_port
from local.processes.services import PortInUse, bound

PORTS = ("process", "cluster", "gateway", "pages", "postgres")  # one after the other


def ports(first: int = FIRST_PORT) -> dict[str, int]:
    """Five in a row."""
    return {name: first + number for number, name in enumerate(PORTS)}


def free_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """The wanted ones, and others where somebody has them."""
    return {name: port if _is_free(port) else free_port() for name, port in wanted.items()}


def free_first_port() -> int:
    """The first of five in a row that nobody has, round and easy to type."""
    rows = range(FIRST_PORT + 1000, 65000, 100)
    return next(first for first in rows if all(map(_is_free, ports(first).values())))


def require_free(wanted: Mapping[str, int]) -> None:
    """Raises PortInUse, before anything takes its time."""
    for name, port in wanted.items():
        bound(name, port).close()


def _is_free(port: int) -> bool:
    try:
        bound("", port).close()
    except PortInUse:
        return False
    return True
