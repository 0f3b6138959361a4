"""What every test shares: a real database, real weights, and how the run says what it skipped."""

import os
import shutil
import signal
import ssl
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from local.demo.weights import offline_pack as _offline_pack
from local.processes import postgres
from local.processes.postgres import Postgres
from local.processes.postgres_files import TEMPORARY
from local.supabase.migrations import apply_migrations
from tests.answers import NotAsPublished, watch_httpx
from tests.order import ByUnit, longest_first

# a machine under load is slow, not wrong
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
_NUMBERS = count()
_MEMORY, _ENOUGH_BYTES = Path("/dev/shm"), 6 << 30


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--postgres 16``: every test on the shared server runs on that PostgreSQL."""
    parser.addoption("--postgres", type=int, choices=(16, 18), default=18)


def pytest_configure() -> None:
    """A run in the background inherits an ignored SIGINT, one under nohup an ignored SIGHUP.

    The children that tests stop must not inherit them. Databases come and go by the hundred: they
    lie in memory where there is enough of it, which makes one in a third of the time.
    """
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
        os.environ.setdefault(TEMPORARY, str(_MEMORY))
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # no two may choose one port
        of = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        postgres.PORTS = postgres.PORTS[int(worker.removeprefix("gw")) :: of]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """How several processes share the tests."""
    return ByUnit(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With MEMORIA_NO_SKIPS a skipped test fails the run, as in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MEMORIA_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that counts and names what was skipped."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)
    if reasons:
        told = "; ".join(f"{number} × {reason}" for reason, number in reasons.most_common())
        terminalreporter.write_line(f"not run: {len(reports)} tests ({told})", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def wrong_answers() -> Iterator[list[NotAsPublished]]:
    """Answers that were not as schemas/ says, of the whole session so far."""
    with pytest.MonkeyPatch.context() as patch:
        yield watch_httpx(patch)


@pytest.fixture(autouse=True)
def _every_answer_is_as_published(wrong_answers: list[NotAsPublished]) -> Iterator[None]:
    before = len(wrong_answers)
    yield
    assert wrong_answers[before:] == []


@pytest.fixture(scope="session", autouse=True)
def _clients_are_cheap_and_patient() -> Iterator[None]:
    """For the clients that tests make by the thousand.

    Each would read all that this machine trusts, which takes 30 ms and more, and each would give
    up after 5 s, which is short on a machine under load.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        patch.setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, "read", 60.0)
        yield


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """One server for the whole session, with a migrated database ``migrated`` to copy from."""
    with Postgres(version=request.config.getoption("--postgres")) as server:
        apply_migrations(server.create_database("migrated"))
        yield server


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[str]:
    """The URL of a fresh, migrated database as the role postgres; gone after the test."""
    name = f"test_{next(_NUMBERS)}"
    yield postgres_server.create_database(name, template="migrated")
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def offline_pack() -> Path:
    """The folder of yunet_sface1_int8: part of the environment, else fetched from PyPI."""
    return _offline_pack()
