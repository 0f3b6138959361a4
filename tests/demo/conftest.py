"""What the demo's tests share: a pack and an event of real photos."""

from pathlib import Path

import pytest

from tests.data import PORTRAITS, SITCOM, SMALL_PACK, there


@pytest.fixture(scope="session")
def pack() -> Path:
    return there(SMALL_PACK)


@pytest.fixture(scope="session")
def sitcom() -> Path:
    return there(SITCOM)


@pytest.fixture(scope="session")
def portraits() -> Path:
    return there(PORTRAITS)
