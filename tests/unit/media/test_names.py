import pytest

from memoria.media.names import SUFFIXES, counted, ending_of


@pytest.mark.parametrize(
    "name",
    ["a.JPG", "day 2/b.heic", "IMG.HIF", "x.dng", "x.NEF", "x.arw", "x.cr2", "x.CR3", "x.raf",
     "x.orf", "x.rw2", "x.y.pef"],
)  # fmt: skip
def test_photos_and_cameras_raw_files_are_known_by_their_endings(name: str) -> None:
    assert ending_of(name) in SUFFIXES


def test_what_has_no_ending_and_what_is_none_of_ours() -> None:
    assert ending_of("user.1/5f0c3b1e") == ""
    assert "" not in SUFFIXES
    assert ending_of("a/clip.MP4") == ".mp4"
    assert ".mp4" not in SUFFIXES


def test_endings_are_counted_in_their_order() -> None:
    assert counted({".pdf": 1, ".mp4": 12}) == "12 × .mp4, 1 × .pdf"
