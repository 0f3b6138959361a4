"""What the demo's tests share: packs, and events of real photos."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.demo.sample_event import write_sample_event
from tests.data import PORTRAITS, SITCOM, SMALL_PACK, there
from tests.states import state_folder


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def pack(request: pytest.FixtureRequest) -> Path:
    """A pack that finds the faces of real photos."""
    return SMALL_PACK if SMALL_PACK.exists() else Path(request.getfixturevalue("offline_pack"))


@pytest.fixture(scope="session")
def sitcom() -> Path:
    return there(SITCOM)


@pytest.fixture(scope="session")
def portraits() -> Path:
    return there(PORTRAITS)


@pytest.fixture(scope="session")
def any_event(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real photos of people who recur."""
    if SITCOM.exists():
        return SITCOM
    folder = tmp_path_factory.mktemp("event")
    write_sample_event(folder)
    return folder
