"""DNGs as cameras and phones write them: a sensor's pixels, and a JPEG preview of them."""

import io
import struct
from collections.abc import Mapping

import numpy as np
from PIL import Image

Tags = dict[int, tuple[int, int, bytes]]  # tag -> type, count, values

_DNG = {
    50706: (1, 4, bytes((1, 4, 0, 0))),  # DNGVersion
    50707: (1, 4, bytes((1, 1, 0, 0))),  # DNGBackwardVersion
    271: (2, 8, b"Memoria\0"),
    272: (2, 5, b"test\0"),
    50708: (2, 13, b"Memoria test\0"),  # UniqueCameraModel
    50721: (10, 9, struct.pack("<18i", 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)),
}
_MOSAIC = {33421: (3, 2, struct.pack("<2H", 2, 2)), 33422: (1, 4, bytes((0, 1, 1, 2)))}


def dng(sensor: tuple[int, int], preview: bytes | None, *, orientation: int = 1) -> bytes:
    """A DNG of a sensor of so many pixels (width, height), its thumbnail first.

    ``preview`` is a JPEG; ``orientation`` the file's own, which LibRaw reads as a flip.
    """
    width, height = sensor
    mosaic = np.random.default_rng(0).integers(0, 4000, (height, width)).astype("<u2").tobytes()
    pages = [_page(sensor, mosaic, {258: 16, 259: 1, 262: 32803, 254: 0}) | _MOSAIC]
    bodies = [mosaic]
    if preview is not None:
        with Image.open(io.BytesIO(preview)) as image:
            size = image.size
        colours = {258: 8, 259: 7, 262: 6, 277: 3, 254: 1}
        pages.append(_page(size, preview, colours))
        bodies.append(preview)
    thumbnail = bytes(3 * 96 * 64)
    first = _page((96, 64), thumbnail, {258: 8, 259: 1, 262: 2, 277: 3, 254: 1}) | _DNG
    first |= {274: _short(orientation), 330: (4, len(pages), bytes(4 * len(pages)))}
    return _assembled(first, thumbnail, pages, bodies)


def _short(value: int) -> tuple[int, int, bytes]:
    return 3, 1, struct.pack("<H", value)


def _page(size: tuple[int, int], body: bytes, numbers: Mapping[int, int]) -> Tags:
    plain = {256: size[0], 257: size[1], 273: 0, 277: 1, 278: size[1], 279: len(body), **numbers}
    return {tag: (4, 1, struct.pack("<I", value)) for tag, value in plain.items()}


def _assembled(first: Tags, thumbnail: bytes, pages: list[Tags], bodies: list[bytes]) -> bytes:
    """The file: each directory behind its pixels, the first one last."""
    data, places = bytearray(b"II*\0\0\0\0\0"), []
    for tags, body in zip([*pages, first], [*bodies, thumbnail], strict=True):
        tags[273] = 4, 1, struct.pack("<I", len(data))
        data += body + bytes(len(body) & 1)
        if tags is first:
            tags[330] = 4, len(places), struct.pack(f"<{len(places)}I", *places)
        places.append(len(data))
        data += _directory(tags, len(data))
    data[4:8] = struct.pack("<I", places[-1])
    return bytes(data)


def _directory(tags: Tags, at: int) -> bytes:
    entries, values = struct.pack("<H", len(tags)), b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, (kind, count, body) in sorted(tags.items()):
        place = body.ljust(4, b"\0")
        if len(body) > 4:
            place = struct.pack("<I", behind + len(values))
            values += body + bytes(len(body) & 1)
        entries += struct.pack("<HHI", tag, kind, count) + place
    return entries + bytes(4) + values
