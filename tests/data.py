"""The photos, vectors and packs that tests use, and what stands in where they are missing.

They lie in the folder ``MEMORIA_TEST_DATA`` names, by default ``../shared`` beside the repository.
Without it, what needs *any* pack and *any* photo of six takes the tiny pack of ``tests/chaos`` and
a photo painted for it; what needs real faces is skipped and named at the end of the run.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from tests.chaos.pack import make_pack
from tests.chaos.photos import Photo

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MEMORIA_TEST_DATA") or ROOT.parent / "shared")
NEEDS = "needs MEMORIA_TEST_DATA: "  # the reason of a skip begins with it

SMALL_PACK = DATA / "models" / "scrfd2.5g_mobilefacenet"
LFW = DATA / "embeddings" / "lfw_dev.npz"
PORTRAITS = DATA / "events" / "portraits"
SITCOM = DATA / "events" / "sitcom"
PHOTOS = DATA / "photos"
CASES = DATA / "photo-cases"


def _lacking(paths: tuple[Path, ...]) -> str:
    missing = [str(path.relative_to(DATA)) for path in paths if not path.exists()]
    return NEEDS + ", ".join(missing) if missing else ""


def needs(*paths: Path) -> pytest.MarkDecorator:
    """Skips a test, or a module by ``pytestmark``, where some of the data is missing."""
    return pytest.mark.skipif(bool(_lacking(paths)), reason=_lacking(paths) or "everything is here")


def there(path: Path) -> Path:
    """The path, in a fixture or a test; skips where it is missing."""
    if reason := _lacking((path,)):
        pytest.skip(reason)
    return path


@cache
def any_pack() -> Path:
    """A folder with a detector and a recogniser in InsightFace's format."""
    if SMALL_PACK.exists():
        return SMALL_PACK
    return make_pack(ROOT / ".cache" / "tests" / "tiny")


@cache
def photo_of_six() -> bytes:
    """A JPEG in which ``any_pack`` finds six faces of six people."""
    if SMALL_PACK.exists() and (photo := PHOTOS / "selfie_6_faces.jpg").exists():
        return photo.read_bytes()
    painted = Photo("six", 0, seed=0, people=tuple(range(6))).data()
    assert painted is not None
    return painted
