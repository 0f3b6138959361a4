"""Odd, but pictures: what cameras, phones and programs write that a strict reader stumbles over.

Every one of them is read, as browsers do, unless its name ends in "(unreadable)" or
"(unsupported)"; where it ends in "(turned)", height and width change places.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.corpus.bombs import box, chunk, page, saved, tiff

SIZE = (96, 64)
_PLACES = {"after JFIF": 20}


def odd() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)).resize(
        SIZE, Image.Resampling.BICUBIC
    )
    yield from _segments(saved(image, "JPEG"))
    yield from _ends(saved(image, "JPEG"), saved(image.convert("CMYK"), "JPEG"))
    yield from _orientations(saved(image, "JPEG"))
    yield from _chunks(saved(image, "PNG"))
    yield from _pages(image)
    yield from _webps(image)
    yield from _sequences(image)


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG's."""
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def _segments(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    icc = b"ICC_PROFILE\0"
    strange = {
        "ICC 0 of 1": segment(0xE2, icc + b"\0\1" + bytes(200)),
        "ICC 2 of 1": segment(0xE2, icc + b"\2\1" + bytes(200)),
        "ICC 1 of 1, twice": segment(0xE2, icc + b"\1\1" + bytes(200)) * 2,
        "ICC 1 of 3, alone": segment(0xE2, icc + b"\1\3" + bytes(200)),
        "ICC of 12 bytes": segment(0xE2, icc),
        "ICC of 13 bytes": segment(0xE2, icc + b"\1"),
        "JFIF 9.9": segment(0xE0, b"JFIF\0\x09\x09\0\0\1\0\1\0\0"),
        "JFIF of 5 bytes": segment(0xE0, b"JFIF\0"),
        "JFIF of 7 bytes": segment(0xE0, b"JFIF\0\1\1"),
        "an Adobe transform of 9": segment(0xEE, b"Adobe\0\x64\0\0\0\0\x09"),
        "Adobe of 5 bytes": segment(0xEE, b"Adobe"),
        "Adobe of 6 bytes": segment(0xEE, b"Adobe\0"),
        "Photoshop, cut off": segment(
            0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\xff\xff\xff\xff"
        ),
        "Photoshop resolution, cut off": segment(
            0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x02\0\1"
        ),
        "TEM": b"\xff\x01",
        "a restart": b"\xff\xd3",
        "junk": b"junk!",
        "0xFF 0x00": b"\xff\0\0\0",
        "fill bytes": b"\xff" * 7,
        "a length of 0": b"\xff\xe5\0\0",
        "a length of 1": b"\xff\xe5\0\1",
        "MPF of junk": segment(0xE2, b"MPF\0" + b"\xff" * 40),
        "XMP, cut off": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta"),
        "an unknown marker": segment(0x4F, b"12345"),
        "a comment of 64 kB": segment(0xFE, bytes(65_533)),
    }
    places = _PLACES | {
        "before the frame": jpeg.index(b"\xff\xc0"),
        "before the scan": jpeg.index(b"\xff\xda"),
    }
    for (name, part), (where, at) in product(strange.items(), places.items()):
        yield f"JPEG with {name} {where}", jpeg[:at] + part + jpeg[at:]
    yield "JPEG with junk before its first segment", jpeg[:2] + b"\0\xe1" + bytes(40) + jpeg[2:]
    broken = bytearray(jpeg)
    broken[broken.index(b"\xff\xdb")] = 0
    yield "JPEG with a table whose marker is damaged (unreadable)", bytes(broken)


def _ends(jpeg: bytes, cmyk: bytes) -> Iterator[tuple[str, bytes]]:
    plain = Image.new("RGB", (96, 256), "white")
    plain.paste(Image.open(io.BytesIO(jpeg)))
    for name, data in (
        ("JPEG", jpeg),
        ("CMYK JPEG", cmyk),
        ("JPEG over white", saved(plain, "JPEG")),
    ):
        yield f"{name} without an end marker", data[:-2]
        yield f"{name} with half an end marker", data[:-1]
        yield f"{name} with junk before its end", data[:-2] + b"abc" + data[-2:]
        yield f"{name} with a video behind it", data + b"\0\0\0\x18ftypmp42" + bytes(5000)
        yield f"{name} with zeros for an end", data[:-2] + bytes(300)
    yield from _stopped(jpeg)


def _stopped(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies that stopped: the rest is missing, or what a card held before."""
    start = jpeg.index(b"\xff\xda")
    for share, filler in product((20, 80), (b"", b"\0", b"\xff")):
        at = start + (len(jpeg) - start) * share // 100
        unreadable = " (unreadable)" if share < 50 else ""
        yield (
            f"JPEG of 0x{filler.hex()} after {share} %{unreadable}",
            jpeg[:at] + filler * (len(jpeg) - at),
        )
    progressive = saved(Image.open(io.BytesIO(jpeg)), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    yield "progressive JPEG cut off in the head of its last scan", progressive[: last + 5]
    yield (
        "progressive JPEG without an end and a video behind it",
        progressive[:-2] + b"\0\0\0\x18ftypmp42" + b"\xff\x8d\0\xff\x30" * 99,
    )


def _orientations(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    for order, head in (("<", b"II*\0"), (">", b"MM\0*")):
        for kind, code in ((1, "B"), (3, "H"), (4, "I"), (9, "i"), (2, "B"), (5, "I"), (7, "B")):
            value = struct.pack(f"{order}{code}", 6).ljust(4, b"\0")
            for count in (0, 1, 2, 3, 1000):
                entry = struct.pack(f"{order}HHI", 0x0112, kind, count) + value
                exif = head + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
                part = segment(0xE1, b"Exif\0\0" + exif)
                turned = " (turned)" if _is_followed(kind, count) else ""
                name = f"orientation of type {kind}, {count} times, {head[:1].decode()}{turned}"
                yield f"JPEG with an {name}", jpeg[:2] + part + jpeg[2:]
    far = b"II*\0" + struct.pack("<I", 2**32 - 4)
    yield "JPEG with a directory far away", jpeg[:2] + segment(0xE1, b"Exif\0\0" + far) + jpeg[2:]


def _is_followed(kind: int, count: int) -> bool:
    """A whole number, and the value itself in its place: not where it lies."""
    return (kind, count) in {(3, 1), (3, 2), (4, 1)}


def _chunks(png: bytes) -> Iterator[tuple[str, bytes]]:
    kinds = (
        b"acTL", b"bKGD", b"cHRM", b"cICP", b"eXIf", b"fcTL", b"gAMA", b"hIST", b"iCCP", b"iTXt",
        b"mDCV", b"pHYs", b"sBIT", b"sPLT", b"sRGB", b"tEXt", b"tIME", b"tRNS", b"zTXt",
    )  # fmt: skip
    for kind, body in product(kinds, (b"", b"\1", b"a\0\7junk")):
        yield (
            f"PNG with a {kind.decode()} of {len(body)} bytes",
            png[:33] + chunk(kind, body) + png[33:],
        )
    text = b"Comment\0" + bytes(2_000_000)
    yield "PNG with a text of 2 MB", png[:33] + chunk(b"tEXt", text) + png[33:]
    packed = b"icc\0\0" + zlib.compress(bytes(1_500_000))
    yield "PNG with a profile of 1.5 MB", png[:33] + chunk(b"iCCP", packed) + png[33:]
    yield from _cut(png)
    wrong = bytearray(png[:33] + chunk(b"gAMA", bytes(4)) + png[33:])
    wrong[45:49] = b"\0\0\0\0"
    yield "PNG with a checksum that is wrong beside the picture", bytes(wrong)


def _cut(png: bytes) -> Iterator[tuple[str, bytes]]:
    yield "PNG of a palette that is missing (unreadable)", png[:25] + b"\3" + png[26:]
    start = png.index(b"IDAT") + 4
    end = png.index(b"IEND") - 4
    body, head = png[start : end - 4], png[: start - 8]
    for share in (40, 60, 90, 99):
        unreadable = " (unreadable)" if share < 50 else ""
        yield f"PNG cut at {share} %{unreadable}", png[: start + len(body) * share // 100]
    yield "PNG without an end", png[:end]
    for name, pixels in (
        ("a checksum that is wrong", body[:-4] + b"\0\0\0\0"),
        ("a checksum that is missing", body[:-4]),
        ("junk behind its pixels", body + b"junk"),
    ):
        yield f"PNG with {name}", head + chunk(b"IDAT", pixels) + png[end:]
    parts = [chunk(b"IDAT", body[at : at + 50]) for at in range(0, len(body), 50)]
    yield "PNG of many parts", head + chunk(b"tEXt", b"a\0b").join(parts) + png[end:]


def _pages(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    grey = np.asarray(image.convert("L"))
    for inverted, bits in product((0, 1), (8, 16)):
        values = (grey if inverted else 255 - grey).astype(np.uint16)
        pixels = (
            (values * 257).astype("<u2").tobytes() if bits == 16 else values.astype("u1").tobytes()
        )
        yield (
            f"TIFF of {bits} bits, photometric {inverted}",
            tiff(page(*SIZE, t258=bits, t262=inverted, t279=len(pixels)), pixels),
        )
    floats = (np.asarray(image) / 255).astype("<f4").tobytes()
    tags = page(*SIZE, t258=32, t262=2, t277=3, t279=len(floats), t339=3)
    yield "TIFF of floats", tiff(tags, floats)
    yield from _layouts(np.asarray(image), grey)
    for bits, kind, name in ((16, 2, "signed"), (32, 4, "strange")):
        zeros = bytes(3 * SIZE[0] * SIZE[1] * bits // 8)
        tags = page(*SIZE, t258=bits, t262=2, t277=3, t279=len(zeros), t339=kind)
        yield f"TIFF of {name} numbers (unsupported)", tiff(tags, zeros)
    for compression in (34712, 34887, 50001, 50002, 9999):
        tags = page(*SIZE, t259=compression, t279=100)
        yield f"TIFF of compression {compression} (unsupported)", tiff(tags, bytes(100))
    yield "TIFF whose first page is a reduced one", _two_pages(image, t254=1)
    yield "TIFF whose first page is a reduced one by an old tag", _two_pages(image, t255=2)
    yield "TIFF whose first page is a mask", _two_pages(image, t254=4)
    packed = saved(image, "TIFF", compression="tiff_lzw")
    end = int.from_bytes(packed[4:8], "little")
    for share, name in ((10, " (unreadable)"), (80, "")):
        at = end * share // 100
        yield f"TIFF of zeros after {share} %{name}", packed[:at] + bytes(end - at) + packed[end:]
    empty = image.convert("RGBA")
    empty.putalpha(0)
    yield "BMP whose opacity is empty", _masked_bmp(np.asarray(empty))
    bmp = saved(image, "BMP")
    yield "BMP cut at 60 %", bmp[: len(bmp) * 6 // 10]
    yield "BMP cut at 40 % (unreadable)", bmp[: len(bmp) * 4 // 10]


def _layouts(colours: NDArray[np.uint8], grey: NDArray[np.uint8]) -> Iterator[tuple[str, bytes]]:
    planes = np.moveaxis(colours, 2, 0)
    yield "TIFF of 16 bits by planes", _by_planes((planes.astype("<u2") * 257).tobytes(), t258=16)
    floats = (planes / 255).astype("<f4").tobytes()
    yield "TIFF of floats by planes (unsupported)", _by_planes(floats, t258=32, t339=3)
    for name, tags, pixels in (
        ("undefined numbers", {"t262": 2, "t277": 3, "t339": 4}, colours),
        ("ICC Lab (unsupported)", {"t262": 9, "t277": 3}, colours),
        ("grey times its opacity", {"t277": 2, "t338": 1}, np.dstack([grey, 255 | grey])),
    ):
        body = pixels.tobytes()
        yield f"TIFF of {name}", tiff(page(*SIZE, t279=len(body), **tags), body)
    yield (
        "BigTIFF of 4 bits, the high byte first",
        _big_tiff(grey[:, ::2]),
    )


def _masked_bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Red, green, blue and opacity by masks, from the top down. (h, w, 4) uint8 RGBA."""
    body = pixels.tobytes()
    sizes = struct.pack("<IiiHHII", 108, SIZE[0], -SIZE[1], 1, 32, 3, len(body))
    head = sizes + bytes(16) + struct.pack("<4I", *(0xFF << shift for shift in (0, 8, 16, 24)))
    return b"BM" + struct.pack("<IHHI", 122 + len(body), 0, 0, 122) + head.ljust(108, b"\0") + body


def _by_planes(body: bytes, **tags: int) -> bytes:
    tag, size = page(*SIZE, t262=2, t277=3, t284=2, **tags), len(body) // 3
    tag[273] = 4, 3, struct.pack("<I", 8 + len(body))
    tag[279] = 4, 3, struct.pack("<I", 8 + len(body) + 12)
    return tiff(tag, body + struct.pack("<6I", 8, 8 + size, 8 + 2 * size, size, size, size))


def _big_tiff(pairs: NDArray[np.uint8]) -> bytes:
    """A byte for two pixels."""
    body = pairs.tobytes()
    tags = {256: SIZE[0], 257: SIZE[1], 258: 4, 259: 1, 262: 1, 273: 16, 277: 1, 278: SIZE[1]}
    tags[279] = len(body)
    entries = b"".join(struct.pack(">HHQQ", tag, 16, 1, value) for tag, value in tags.items())
    head = b"MM\0+" + struct.pack(">HHQ", 8, 0, 16 + len(body))
    return head + body + struct.pack(">Q", len(tags)) + entries + bytes(8)


def _two_pages(image: Image.Image, **mark: int) -> bytes:
    small, whole = (each.convert("L").tobytes() for each in (image.resize((24, 16)), image))
    reduced = page(24, 16, t279=len(small), **mark)
    data = tiff(reduced, small + whole)
    second = page(*SIZE, t254=0, t273=8 + len(small), t279=len(whole))
    directory = tiff(second, b"")[8:]
    return data[:-4] + struct.pack("<I", len(data)) + directory


def _webps(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes()
    for name, value in (
        ("EXIF (turned)", body),
        ("EXIF without its prefix (turned)", body[6:]),
        ("EXIF of junk", b"\xff" * 9),
    ):
        yield f"WEBP with {name}", saved(image, "WEBP", exif=value)
    yield "WEBP of two frames", saved(image, "WEBP", save_all=True, append_images=[image.rotate(9)])


def _sequences(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """A burst: a still picture, and tracks that a decoder would play instead; and other brands."""
    for kind, major, brand in (("HEIF", b"msf1", b"hevc"), ("AVIF", b"avis", b"msf1")):
        data = saved(image, kind)
        end = int.from_bytes(data[:4], "big")
        for other in (b"mif2", b"miaf", b"1pic", b"MiHE"):
            yield f"{kind} of the brand {other.decode()}", data[:8] + other + data[12:]
        brands = (brand + b"msf1" + data[8:12] + b"mif1")[: end - 16].ljust(end - 16, b"\0")
        yield (
            f"{kind} of a burst",
            data[:8] + major + bytes(4) + brands + data[end:] + box(b"moov", box(b"mvhd")),
        )
