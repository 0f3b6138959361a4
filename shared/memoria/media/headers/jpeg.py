"""JPEG: the segments before the picture, and its scans.

Markers are found the way libjpeg finds them: junk between segments is skipped. Decoders get the
tables and the picture alone; a camera's metadata, however malformed, is not theirs to stumble over.
"""

import re
from dataclasses import dataclass, field

from memoria.errors import UnreadableMedia, UnsupportedMedia
from memoria.media.headers.exif import MOST_BYTES, orientation
from memoria.media.headers.header import Header, damaged, excessive

MOST_SEGMENTS = 20_000  # 15 million empty ones are a bomb; a phone's depth map takes hundreds
MOST_SCANS = 500  # libjpeg-turbo's advice; real ones have about ten
MOST_SCANNED_PIXELS = 12_000_000_000  # pixels times scans: about five seconds of decoding

_MARKER = re.compile(rb"\xff[^\xff\x00]")  # linear, also in a megabyte of 0xFF
_AFTER_RESTARTS = re.compile(rb"\xff[^\xff\x00\x01\xd0-\xd7]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of any process
_DECODED = frozenset(
    {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
)  # baseline, extended, progressive; Huffman or not
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_LONE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and restarts: markers without a length
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # Huffman, arithmetic, quantisation, restart interval
_BETWEEN_SCANS = _TABLES | {0xDA, 0xDC, 0xFE, *range(0xE0, 0xF0)}  # scans, lines, comments, others
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"  # that it is one is all that decoders ask
_SOI, _EOI, _SOS, _JPEG_LS = 0xD8, 0xD9, 0xDA, 0xF7


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHeader(Header):
    """A JPEG's header."""

    has_exif: bool
    components: int  # 1 grey, 3 colour, 4 CMYK
    kept: float  # bytes that libjpeg keeps of every pixel until the last scan
    progressive: bool
    scans: int  # begun
    detailed: int  # of these, from the first on that tells more of the luminance than averages
    scan: int  # where the first scan begins in ``data``
    end: int  # where the last of several scans ends in ``data``: an end marker, or the file's end


@dataclass(slots=True)
class _Walk:
    """What is collected on the way to the first scan."""

    tables: list[bytes] = field(default_factory=list)
    frame: tuple[int, bytes] | None = None
    jfif: bytes = b""
    adobe: bytes = b""
    exif: bytearray = field(default_factory=bytearray)

    def take(self, marker: int, body: bytes) -> None:
        """One segment: its marker's second byte, and what is in it."""
        if marker in _TABLES:
            self.tables.append(_segment(marker, body))
        elif marker in _FRAMES or marker == _JPEG_LS:
            if self.frame is not None:
                raise damaged("JPEG", "it has two frames")
            self.frame = marker, body
        elif marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 14:
            self.jfif = _JFIF
        elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            self.adobe = _segment(marker, body[:12])
        elif marker == 0xE1 and body[:5] == b"Exif\0" and len(self.exif) < MOST_BYTES:
            self.exif += body[6:]  # longer ones go on in the next segment


def read_jpeg(data: bytes) -> JpegHeader:
    """Walk a JPEG. Raises UnreadableMedia, UnsupportedMedia."""
    walk, scan = _walked(data)
    if walk.frame is None:
        raise damaged("JPEG", "it has no frame before its scan")
    marker, body = walk.frame
    size, factors = _frame(marker, body)
    head = b"".join((b"\xff\xd8", walk.jfif, walk.adobe, *walk.tables, _segment(marker, body)))
    in_scan = data[scan + 4] if scan + 4 < len(data) else 0
    several = marker in _PROGRESSIVE or in_scan != len(factors)
    scans, detailed, end = _scans(data, scan, body[6]) if several else (1, 1, len(data))
    _refuse_many(size, scans)
    samples = [across * down for across, down in factors]
    return JpegHeader(
        kind="JPEG",
        data=b"".join((head, memoryview(data)[scan:])),  # one copy
        size=size,
        orientation=orientation(bytes(walk.exif)),
        has_exif=bool(walk.exif),
        components=len(factors),
        kept=2.0 * sum(samples) / max(samples) if several else 0.0,
        progressive=marker in _PROGRESSIVE,
        scans=scans,
        detailed=detailed,
        scan=len(head),
        end=end - scan + len(head),
    )


def _walked(data: bytes) -> tuple[_Walk, int]:
    """Everything up to the first scan, and where that begins."""
    walk, at = _Walk(), 2
    for _ in range(MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise damaged("JPEG", "it ends before its picture")
        at, marker = found.end(), data[found.end() - 1]
        if marker in _LONE:
            continue
        if marker == _SOS:
            return walk, at - 2
        if marker in {_SOI, _EOI}:
            raise damaged("JPEG", "it ends before its picture")
        length = int.from_bytes(data[at : at + 2], "big")
        walk.take(marker, data[at + 2 : at + length])
        at += max(length, 2)
    raise excessive("JPEG", MOST_SEGMENTS, "segments")


def _frame(marker: int, body: bytes) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Width and height, and each component's sampling factors, from a start of frame."""
    if marker not in _DECODED:
        name = "a JPEG-LS image" if marker == _JPEG_LS else "a lossless or hierarchical JPEG"
        raise UnsupportedMedia(f"the file is {name}, which is not read")
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise damaged("JPEG", "its frame is cut off")
    if body[0] != 8:
        raise UnsupportedMedia(f"the file is a JPEG of {body[0]} bits, only 8 are read")
    factors = [(value >> 4, value & 15) for value in body[7 : 6 + 3 * body[5] : 3]]
    if len(factors) not in {1, 3, 4} or not all(1 <= f <= 4 for pair in factors for f in pair):
        raise damaged("JPEG", "its frame makes no sense")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not width or not height:
        raise UnreadableMedia("the photo has no pixels")
    return (width, height), factors


def _scans(data: bytes, at: int, luminance: int) -> tuple[int, int, int]:
    """How many scans begin from the first one on, how many of these since luminance has details.

    And where the picture ends: at the end marker, at one that no picture has (junk behind a file
    without an end), or at a segment that is cut off. ``luminance``: its component's number. Within
    a scan every 0xFF is followed by a zero or a restart: the next other marker ends it.
    """
    scans = detailed = 0
    for _ in range(MOST_SEGMENTS):
        found = _AFTER_RESTARTS.search(data, at)
        if found is None:
            return scans, detailed, len(data)
        at, marker = found.end(), data[found.end() - 1]
        length = max(int.from_bytes(data[at : at + 2], "big"), 2)
        if marker not in _BETWEEN_SCANS or at + length > len(data):
            return scans, detailed, at - 2
        if marker == _SOS:
            scans += 1
            detailed += detailed > 0 or _tells_details(data[at : at + 12], luminance)
        if scans > MOST_SCANS:
            raise excessive("JPEG", MOST_SCANS, "scans")
        at += length
    raise excessive("JPEG", MOST_SEGMENTS, "segments")


def _tells_details(scan: bytes, luminance: int) -> bool:
    """Whether a scan's header names this component alone, and more than its blocks' averages."""
    return scan[2:4] == bytes((1, luminance)) and scan[5:6] > b"\0"


def scan_end(data: bytes, scan: int) -> int:
    """Where the entropy-coded data of the scan that begins there ends."""
    body = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    found = _AFTER_RESTARTS.search(data, body)
    return found.start() if found else len(data)


def _refuse_many(size: tuple[int, int], scans: int) -> None:
    if scans > 1 and size[0] * size[1] * scans > MOST_SCANNED_PIXELS:
        raise UnreadableMedia(f"the JPEG has {scans} scans, too many for its size")


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body
