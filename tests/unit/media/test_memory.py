"""Decoding large photos stays within the memory that it says it needs."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from memoria.media import open_photo
from memoria.media.budget import MIB
from tests.corpus.bombs import grid, large

SHARED = Path(__file__).parents[3] / "shared"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")

# Prints the peak, over what it had before, of a process that loads one photo in several threads.
MEASURE = """
import json, pathlib, sys, threading
from memoria.media import decode_image, open_photo

def status(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024

first, data = (pathlib.Path(path).read_bytes() for path in sys.argv[1:3])
times = int(sys.argv[3])
decode_image(first)
base = status("VmRSS")

def use():
    with open_photo(data).loaded(960) as photo:
        list(photo.regions([(0, 0, 300, 300)] * 3))

failed = []
threading.excepthook = lambda args: failed.append(args.exc_value)
threads = [threading.Thread(target=use) for _ in range(times)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failed, failed
print(json.dumps(status("VmHWM") - base))
"""


def photo(kind: str, mode: str, side: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, kind, **options)
    return buffer.getvalue()


def peak(data: bytes, folder: Path, times: int = 1) -> int:
    """Bytes over the process's base."""
    (folder / "tiny").write_bytes(photo("JPEG", "RGB", 64))
    (folder / "large").write_bytes(data)
    arguments = [str(folder / "tiny"), str(folder / "large"), str(times)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        env={"PYTHONPATH": str(SHARED), "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return int(json.loads(done.stdout))


LAYOUTS: list[tuple[str, str, dict[str, object]]] = [
    ("PNG", "RGBA", {"compress_level": 1}),
    ("WEBP", "RGB", {"method": 0}),
    ("WEBP", "RGBA", {"lossless": True, "method": 0, "quality": 0}),
    ("TIFF", "CMYK", {"compression": "tiff_lzw"}),
    ("AVIF", "RGBA", {"speed": 10}),
    ("HEIF", "RGB", {"enc_params": {"preset": "ultrafast"}}),
    ("JPEG", "CMYK", {"progressive": True}),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
]


@pytest.mark.parametrize(("kind", "mode", "options"), LAYOUTS)
def test_no_format_takes_more_than_it_says(
    kind: str, mode: str, options: dict[str, object], tmp_path: Path
) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    data = photo(kind, mode, 4000, **options)
    opened = open_photo(data)
    needed = opened.bytes_needed(1, 4) if kind != "JPEG" else opened.bytes_needed(1, 1)
    assert peak(data, tmp_path) < needed + 64 * MIB


def test_a_grid_takes_a_row_of_its_tiles(tmp_path: Path) -> None:
    """105 megapixels, as a phone has them: the whole would take 850 MiB."""
    data = grid(large("HEIF", 512), 10_240, 20, 512)
    needed = open_photo(data).bytes_needed(1, 8)
    assert needed < 32 * MIB
    assert peak(data, tmp_path) < needed + 64 * MIB


@pytest.mark.slow
def test_the_worst_photo_leaves_room_in_the_container(tmp_path: Path) -> None:
    assert peak(photo("PNG", "RGBA", 10_900, compress_level=1), tmp_path) < 900 * MIB


@pytest.mark.slow
def test_four_large_photos_at_once_wait_for_each_other(tmp_path: Path) -> None:
    data = photo("PNG", "RGB", 10_900, compress_level=1)
    assert peak(data, tmp_path, times=4) < 1200 * MIB


def test_what_would_take_more_than_there_is_is_refused(tmp_path: Path) -> None:
    from memoria.errors import MediaTooLarge

    data = photo("TIFF", "L", 9000, compression="tiff_lzw")
    with pytest.raises(MediaTooLarge), open_photo(data).loaded(960):
        pass
