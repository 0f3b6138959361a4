"""What a photo is called, for choosing files to hand over; what a file is, its bytes tell."""

from collections.abc import Mapping
from pathlib import PurePosixPath

_USUAL = "jpg jpeg jpe jfif png webp heic heif hif avif tif tiff bmp gif"
# A camera's, as far as LibRaw reads them and ``formats`` tells them.
_RAW = (
    "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl"
    " sr2 srf srw x3f"
)
SUFFIXES = frozenset(f".{ending}" for ending in f"{_USUAL} {_RAW}".split())


def ending_of(name: str) -> str:
    """``.jpg`` of ``day 2/A.JPG``; empty where there is none."""
    return PurePosixPath(name).suffix.lower()


def counted(left_out: Mapping[str, int]) -> str:
    """How many files of which ending: ``12 × .mp4, 1 × .pdf``."""
    return ", ".join(f"{count} × {ending}" for ending, count in sorted(left_out.items()))
