"""What a file is, by its first bytes: names and content types lie."""

import re

from memoria.errors import UnreadableMedia, UnsupportedMedia

_HEAD_BYTES = 1024

PHOTOS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8", "JPEG"),
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
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"{\\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"SQLite format 3", "a database"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"AT&TFORM", "a DjVu document"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"FLV\x01", "a video"),
    (b"OggS", "a video or sound file"),
    (b"\0\0\x01\xba", "a video"),
    (b"\0\0\x01\xb3", "a video"),
    (b"\0\0\0\x01\x67", "an H.264 video"),
    (b"\0\0\0\x01\x40\x01", "an HEVC video"),
    (b"\x1f\x07\0", "a DV video"),
    (b"DKIF", "a video"),
    (b"YUV4MPEG2", "a video"),
    (b"nut/multimedia container", "a video"),
    *((mark, "a Flash film") for mark in (b"FWS", b"CWS", b"ZWS")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video or sound file"),
    (b".RMF", "a video"),
    (b"\x06\x0e\x2b\x34", "a video"),
    (b"ID3", "a sound file"),
    (b"\xff\xfb", "a sound file"),
    (b"\xff\xf3", "a sound file"),
    (b"\xff\xf1", "a sound file"),
    (b"\xff\xf9", "a sound file"),
    (b"\xff\xfa", "a sound file"),
    (b"\xff\xf2", "a sound file"),
    (b"MThd", "a sound file"),
    (b".snd", "a sound file"),
    (b"caff", "a sound file"),
    (b"fLaC", "a sound file"),
    (b"#!AMR", "a sound file"),
    (b"\0\0\x01\0", "an icon"),
    (b"\0\0\x02\0\0\0\0\0", "a TGA image"),
    (b"\0\0\x0a\0\0\0\0\0", "a TGA image"),
    (b"\0\0\x02\0", "a cursor"),
    *((bytes((10, version, 1)), "a PCX image") for version in (0, 2, 3, 4, 5)),
    (b"\x01\xda", "an SGI image"),
    (b"\x59\xa6\x6a\x95", "a Sun raster image"),
    (b"/* XPM */", "an XPM image"),
    (b"id=ImageMagick", "a MIFF image"),
    (b"icns", "an icon"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (b"II\xbc", "a JPEG XR image"),
    (b"MM\0\xbc", "a JPEG XR image"),
    (b"BPG\xfb", "a BPG image"),
    (b"FLIF", "a FLIF image"),
    (b"qoif", "a QOI image"),
    (b"DDS ", "a DDS texture"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance image"),
    (b"#?RGBE", "a Radiance image"),
    (b"\x80\x2a\x5f\xd7", "a Cineon image"),
    (b"SDPX", "a DPX image"),
    (b"XPDS", "a DPX image"),
    (b"SIMPLE  =", "a FITS image"),
    (b"\x8aMNG", "a MNG animation"),
    (b"\x8bJNG", "a JNG image"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"\x01\0\x09\0\0\x03", "a Windows metafile"),
    (b"\xabKTX ", "a KTX texture"),
    (b"farbfeld", "a farbfeld image"),
    (b"#define ", "an XBM image or a program's text"),
    (b"FORM", "an IFF file"),
    (b"\0\x05\x16\x07", "what macOS keeps beside a file, without the file"),
    (b"\0\0\0\x01Bud1", "what macOS keeps of a folder"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
)

_RAW = (  # a camera's, not told by a TIFF's mark
    b"FUJIFILMCCD-RAW",
    b"IIRO",
    b"IIRS",
    b"MMOR",
    b"IIU\0",
    b"FOVb",
    b"\0MRM",
    b"II\x1a\0\0\0HEAPCCDR",
)
_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid"}  # of QuickTime
_NETPBM = re.compile(rb"P[1-7Ff][\s#]")
_SYNC = 0x47  # begins each packet of an MPEG transport stream
_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes, and those before the sync byte: a camera's
_MARKS = (  # of kinds that are told by what is further behind
    (slice(128, 132), b"DICM", "a DICOM image"),
    (slice(257, 262), b"ustar", "a tar archive"),
    (slice(40, 44), b" EMF", "a Windows metafile"),
    (slice(344, 348), b"n+1\0", "a NIfTI image"),
    (slice(-18, -2), b"TRUEVISION-XFILE", "a TGA image"),
)

_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_AVIF = {b"avif", b"avis"}
_ANY_CODEC = {b"mif1", b"mif2", b"msf1"}  # say nothing of HEVC or AV1: another brand does
_RIFF = {b"AVI ": "a video", b"WAVE": "a sound file", b"RMID": "a sound file", b"ACON": "a cursor"}
_CODED = {b"avci", b"avcs", b"j2ki", b"j2is", b"vvic", b"vvis"}  # HEIF, not by HEVC or AV1
_SOUND = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "}
_UNIT = re.compile(rb"\0{2,3}\x01([\x09\x27\x47\x67]|[\x40\x46]\x01)")  # H.264 and HEVC begin so


def photo_format(data: bytes) -> str:
    """The format: JPEG, PNG, WEBP, HEIF, AVIF, TIFF, BMP, GIF, or RAW for a camera's.

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
    if data.startswith(_RAW):
        return "RAW"
    other = next((name for magic, name in OTHERS if data.startswith(magic)), _by_shape(data))
    if other:
        raise UnsupportedMedia(f"the file is {other}, which is not read")
    raise UnreadableMedia("the file is of no kind that is known")


def _by_shape(data: bytes) -> str | None:
    """Kinds that are told by more than their first bytes."""
    if (
        data[4:8] in _ATOMS
        or _UNIT.match(data)
        or any(_is_transport_stream(data, *packet) for packet in _PACKETS)
    ):
        return "a video"
    if b"%PDF-" in data[:_HEAD_BYTES]:  # readers look as far
        return "a PDF document"
    if _NETPBM.match(data):
        return "a PNM image"
    for where, mark, name in _MARKS:
        if data[where] == mark:
            return name
    return _text(data)


def _is_transport_stream(data: bytes, packet: int, at: int) -> bool:
    return len(data) > 2 * packet + at and all(data[at + i * packet] == _SYNC for i in range(3))


def _unless_raw(data: bytes, name: str) -> str:
    """Canon's CR2 and Phase One's IIQ are TIFFs with marks of their own.

    Other TIFF-like RAWs are told by their tags.
    """
    is_iiq = (data[8:12], data[13:16]) == (b"IIII", b"waR") or data[8:15] == b"MMMMRaw"
    return "RAW" if name == "TIFF" and (data[8:10] == b"CR" or is_iiq) else name


def _iso_media(data: bytes) -> str:
    """HEIF, AVIF, Canon's CR3, QuickTime and MP4 share one container (ISO/IEC 14496-12 `ftyp`)."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    major = data[8:12]
    compatible = {data[at : at + 4] for at in range(16, length, 4)}
    if major in _AVIF:
        return "AVIF"
    if major in _HEVC or compatible & _HEVC:
        return "HEIF"
    if compatible & _AVIF:
        return "AVIF"
    if major in _ANY_CODEC | _CODED:
        return "HEIF"
    if major == b"crx ":
        return "RAW"
    what = "a sound file" if major in _SOUND else "a video"
    raise UnsupportedMedia(f"the file is {what}, which is not read")


def _riff(form: bytes) -> str:
    if form == b"WEBP":
        return "WEBP"
    if form in _RIFF:
        raise UnsupportedMedia(f"the file is {_RIFF[form]}, which is not read")
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
