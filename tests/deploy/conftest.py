import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.processes.stack import Stack
from tests.deploy.cloud import Project
from tests.deploy.internet import Internet
from tests.deploy.project import Cloud
from tests.deploy.whole import options

Folders = pytest.TempPathFactory


@contextmanager
def project(folder: Path, known: Project | None = None) -> Iterator[Cloud]:
    """A project in the state of another one, or an empty one."""
    with Project() as made, Internet(folder, made) as net:
        if known is not None:
            made.state, made.calls = copy.deepcopy(known.state), list(known.calls)
        yield Cloud(folder, made, net)


def after(folder: Path, known: Project | None, *words: str, **environ: str) -> Project:
    """What a deployment makes of a project."""
    with project(folder, known) as cloud:
        done = cloud.deploy(*words, **environ)
    assert done.returncode == 0, done.stderr
    return cloud.project


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An empty project."""
    with project(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: Folders) -> Project:
    return after(tmp_path_factory.mktemp("first"), None, "--tag", "t1")


@pytest.fixture(scope="session")
def second_run(tmp_path_factory: Folders, first_run: Project) -> Project:
    return after(tmp_path_factory.mktemp("second"), first_run, "--tag", "t2")


@pytest.fixture(scope="session")
def rotated_run(tmp_path_factory: Folders, first_run: Project) -> Project:
    folder = tmp_path_factory.mktemp("rotated")
    return after(folder, first_run, "--tag", "t2", WEBHOOK_SECRET="newer")


@pytest.fixture
def deployed(tmp_path: Path, first_run: Project) -> Iterator[Cloud]:
    """A project after its first deployment, and the record of that."""
    with project(tmp_path, first_run) as made:
        yield made


@pytest.fixture
def twice(tmp_path: Path, second_run: Project) -> Iterator[Cloud]:
    """After its second deployment."""
    with project(tmp_path, second_run) as made:
        yield made


@pytest.fixture
def rotated(tmp_path: Path, rotated_run: Project) -> Iterator[Cloud]:
    """After a second deployment with WEBHOOK_SECRET=newer."""
    with project(tmp_path, rotated_run) as made:
        yield made


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """A whole system on this machine; whoever changes it changes it back."""
    with Stack(options()) as running:
        yield running


@pytest.fixture
def environ(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The settings that memoria doctor reads, and no ``.env`` of whoever runs this."""
    monkeypatch.chdir(tmp_path)
    known = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SERVICE_ROLE_KEY": stack.keys.secret,
        "CALLBACK_URL": stack.callback_url,
        "CALLBACK_SECRET": stack.callback_secret,
        "WEBHOOK_SECRET": stack.webhook_secret,
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    return monkeypatch
