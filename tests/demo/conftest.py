"""What the demo's tests share: the pack and the event that lie beside the checkout."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def beside(path: str) -> Path:
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"needs ../shared/{path} beside the checkout")
    return found


@pytest.fixture(scope="session")
def pack() -> Path:
    return beside("models/scrfd2.5g_mobilefacenet")


@pytest.fixture(scope="session")
def sitcom() -> Path:
    return beside("events/sitcom")


@pytest.fixture(scope="session")
def portraits() -> Path:
    return beside("events/portraits")
