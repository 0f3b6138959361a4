"""At least 850 bad and odd files, made anew each time from a seed: every kind by name."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pillow_heif
from PIL import Image

from tests.corpus.bombs import bombs
from tests.corpus.odd import odd

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF")
pillow_heif.register_heif_opener()


def corpus(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    good = dict(_good_files(rng))
    for name, data in good.items():
        yield from _truncated(name, data)
        yield from _flipped(name, data, rng)
        yield from _holed(name, data, rng)
    yield from _bombs()
    yield from _polyglots(good)
    yield from _absurd_exif(rng)
    yield from _extreme_shapes()
    yield from _no_photos(rng)
    yield from bombs()
    yield from odd()


def _photo(rng: np.random.Generator) -> Image.Image:
    pixels = rng.integers(0, 255, (12, 16, 3), np.uint8)
    return Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _good_files(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    image = _photo(rng)
    for kind in FORMATS:
        yield kind, _saved(image, kind)
    yield "progressive", _saved(image, "JPEG", progressive=True)
    yield "cmyk", _saved(image.convert("CMYK"), "JPEG")
    yield "interlaced-lzw", _saved(image, "TIFF", compression="tiff_lzw")
    yield "mpo", _saved(image, "MPO", save_all=True, append_images=[image])
    yield "alpha", _saved(image.convert("RGBA"), "PNG")


def _truncated(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    for share in (0.001, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.999):
        yield f"{name} truncated at {share}", data[: int(len(data) * share)]


def _flipped(name: str, data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for copy in range(16):
        changed = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, min(len(data), 200) if copy % 2 else len(data), 1 + copy * 2)
        changed[where] ^= (1 << rng.integers(0, 8, len(where))).astype(np.uint8)
        yield f"{name} with {len(where)} flipped bits, {copy}", changed.tobytes()


def _holed(name: str, data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for copy, filler in enumerate((b"\0", b"\xff", None)):
        start = int(rng.integers(0, len(data)))
        end = min(len(data), start + 400)
        hole = b"" if filler is None else filler * (end - start)
        yield f"{name} with a hole, {copy}", data[:start] + hole + data[end:]
    yield f"{name} then junk", data + rng.bytes(5000)
    yield f"{name} twice", data * 2
    yield f"junk then {name}", rng.bytes(7) + data


def _bombs() -> Iterator[tuple[str, bytes]]:
    for kind in ("PNG", "TIFF", "GIF", "WEBP", "JPEG"):
        small = _saved(Image.new("L", (64, 64)), kind)
        for side in (20_000, 65_000):
            yield f"{kind} that claims {side}", _claiming(kind, small, side)
    yield "PNG of 20,000 × 20,000", _saved(Image.new("1", (20_000, 20_000)), "PNG")
    yield "PNG with a text bomb", _png_with(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 200_000_000))
    yield (
        "PNG with a profile bomb",
        _png_with(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000))),
    )


def _claiming(kind: str, data: bytes, side: int) -> bytes:
    """A small file whose header claims side × side pixels."""
    old = {"PNG": ">II", "GIF": "<HH", "JPEG": ">HH"}.get(kind)
    if old is None:
        return data[:20] + struct.pack("<II", side, side) + data[28:]
    changed = data.replace(struct.pack(old, 64, 64), struct.pack(old, side, side), 1)
    if kind == "PNG":
        return changed[:29] + struct.pack(">I", zlib.crc32(changed[12:29])) + changed[33:]
    return changed


def _png_with(kind: bytes, body: bytes) -> bytes:
    data = _saved(Image.new("L", (64, 64)), "PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]


def _polyglots(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    zipped = b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)
    for name, data in good.items():
        yield f"{name} that is also a ZIP", data + zipped
        yield f"ZIP that is also {name}", zipped + data
        yield f"{name} behind a PDF's first line", b"%PDF-1.4\n" + data
        yield f"{name} with the first bytes of a JPEG", b"\xff\xd8\xff\xe0" + data[4:]
        yield f"{name} with the first bytes of a PNG", b"\x89PNG\r\n\x1a\n" + data[8:]


def _absurd_exif(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    image = _photo(rng)
    for copy in range(20):
        header = (b"Exif\0\0II*\0", b"Exif\0\0MM\0*", b"Exif\0\0", b"")[copy % 4]
        yield f"EXIF of junk, {copy}", _saved(image, "JPEG", exif=header + rng.bytes(50 * copy + 1))
    loop = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    yield "EXIF that points at itself", _saved(image, "JPEG", exif=loop)


def _extreme_shapes() -> Iterator[tuple[str, bytes]]:
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        for width, height in ((1, 1), (1, 16_000), (16_000, 1), (2, 3), (7, 9000)):
            yield f"{kind} of {width} × {height}", _saved(Image.new("RGB", (width, height)), kind)
    for width, height in ((1, 30_000), (30_000, 1)):
        yield f"PNG of {width} × {height}", _saved(Image.new("RGB", (width, height)), "PNG")
        yield f"JPEG of {width} × {height}", _saved(Image.new("RGB", (width, height)), "JPEG")


def _no_photos(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    for length in (1, 2, 3, 4, 8, 12, 16, 100, 100_000):
        yield f"{length} zeros", bytes(length)
        yield f"{length} random bytes", rng.bytes(length)
    kinds: tuple[bytes, ...] = (
        b"%PDF-1.7",
        b"<svg>",
        b"<!doctype html>",
        b"<?xml?>",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"8BPS",
    )
    kinds += (
        b"\0\0\0\x18ftypmp42",
        b"\0\0\0\x14ftypqt  ",
        b"\0\0\0\x18ftypcrx ",
        b"II*\0\x08\0\0\0CR",
    )
    kinds += (
        b"RIFF\0\0\0\0AVI ",
        b"RIFF\0\0\0\0WEBP",
        b"\x1aE\xdf\xa3",
        b"\0\0\0\x18ftypheic",
        b"{}",
    )
    for magic in kinds:
        yield f"{magic!r} and no more", magic
        yield f"{magic!r} and junk", magic + rng.bytes(2000)
