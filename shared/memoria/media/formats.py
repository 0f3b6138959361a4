"""What a file is, by its first bytes: names and content types lie."""

import re

from memoria.errors import UnreadableMedia, UnsupportedMedia

_HEAD_BYTES = 1024

# How the files that decode_image reads usually end, in lower case: for choosing files to hand
# over. What a file is, its bytes tell.
SUFFIXES = frozenset(
    f".{ending}"
    for ending in "jpg jpeg jfif png webp heic heif avif tif tiff bmp gif".split()  # noqa: SIM905
)

PHOTOS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"FLV\x01", "a video"),
    (b"OggS", "a video or sound file"),
    (b"\0\0\x01\xba", "a video"),
    (b"\0\0\x01\xb3", "a video"),
    (b"ID3", "a sound file"),
    (b"\0\0\x01\0", "an icon"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"FUJIFILMCCD-RAW", "a camera's RAW file"),
    (b"IIRO", "a camera's RAW file"),
    (b"IIRS", "a camera's RAW file"),
    (b"MMOR", "a camera's RAW file"),
    (b"IIU\0", "a camera's RAW file"),
    (b"FOVb", "a camera's RAW file"),
    (b"\0MRM", "a camera's RAW file"),
)

_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
_AVIF = {b"avif", b"avis"}
_RIFF = {b"AVI ": "a video", b"WAVE": "a sound file"}


def photo_format(data: bytes) -> str:
    """The format as Pillow names it: JPEG, PNG, WEBP, HEIF, AVIF, TIFF, BMP or GIF.

    Raises UnsupportedMedia for a file of another known kind, UnreadableMedia for no known kind.
    """
    if not data:
        raise UnreadableMedia("the file is empty")
    for magic, name in PHOTOS:
        if data.startswith(magic):
            return _unless_raw(data, name)
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    if data.startswith(b"RIFF") and len(data) >= 12:
        return _riff(data[8:12])
    other = next((name for magic, name in OTHERS if data.startswith(magic)), _text(data))
    if other:
        raise UnsupportedMedia(f"the file is {other}, not a photo")
    raise UnreadableMedia("the file is of no kind that is known")


def _unless_raw(data: bytes, name: str) -> str:
    """Canon's CR2 is a TIFF with its own mark; other TIFF-like RAWs are told by their tags."""
    if name == "TIFF" and data[8:10] == b"CR":
        raise UnsupportedMedia("the file is a camera's RAW file, not a photo")
    return name


def _iso_media(data: bytes) -> str:
    """HEIF, AVIF, Canon's CR3, QuickTime and MP4 share one container (ISO/IEC 14496-12 `ftyp`)."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    major = data[8:12]
    compatible = {data[at : at + 4] for at in range(16, length, 4)}
    if major in _AVIF or (major not in _HEIF and compatible & _AVIF):
        return "AVIF"
    if major in {b"mif1", b"msf1"} and compatible & _AVIF and not compatible & (_HEIF - {b"mif1"}):
        return "AVIF"
    if major in _HEIF or compatible & (_HEIF - {b"mif1", b"msf1"}):
        return "HEIF"
    if major == b"crx ":
        raise UnsupportedMedia("the file is a camera's RAW file, not a photo")
    raise UnsupportedMedia("the file is a video, not a photo")


def _riff(form: bytes) -> str:
    if form == b"WEBP":
        return "WEBP"
    if form in _RIFF:
        raise UnsupportedMedia(f"the file is {_RIFF[form]}, not a photo")
    raise UnreadableMedia("the file is of no kind that is known")


def _text(data: bytes) -> str | None:
    head = data[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"<"):
        return None
    if b"<svg" in head:
        return "an SVG drawing"
    if re.match(rb"<(!doctype html|html|head|body)", head):
        return "an HTML page"
    return "an XML document"
