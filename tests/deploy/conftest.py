import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.cloud import Project
from tests.deploy.internet import Internet
from tests.deploy.project import Cloud


@contextmanager
def empty(folder: Path) -> Iterator[Cloud]:
    with Project() as project, Internet(folder, project) as net:
        yield Cloud(folder, project, net)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An empty project."""
    with empty(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Project:
    with empty(tmp_path_factory.mktemp("first")) as cloud:
        done = cloud.deploy("--tag", "t1")
    assert done.returncode == 0, done.stderr
    return cloud.project


@pytest.fixture
def deployed(cloud: Cloud, first_run: Project) -> Cloud:
    """A project after its first deployment, and the record of that."""
    cloud.project.state = copy.deepcopy(first_run.state)
    cloud.project.calls = list(first_run.calls)
    return cloud
