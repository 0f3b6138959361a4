import pytest

from memoria.errors import UnreadableMedia, UnsupportedMedia
from memoria.media.formats import OTHERS, photo_format


def iso(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe1rest", "JPEG"),
        (b"\x89PNG\r\n\x1a\nrest", "PNG"),
        (b"GIF89a", "GIF"),
        (b"BM....", "BMP"),
        (b"MM\0*....", "TIFF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WEBP"),
        (iso(b"heic", b"mif1", b"heic"), "HEIF"),
        (iso(b"mif1", b"mif1", b"heic"), "HEIF"),
        (iso(b"msf1", b"msf1", b"hevc"), "HEIF"),
        (iso(b"avci", b"mif1", b"avci"), "HEIF"),
        (iso(b"avif", b"mif1", b"avif"), "AVIF"),
        (iso(b"mif1", b"avif", b"mif1"), "AVIF"),
        (iso(b"mif1", b"mif1", b"avif", b"miaf", b"msf1"), "AVIF"),
        (iso(b"msf1", b"msf1", b"avis"), "AVIF"),
        (iso(b"mif2", b"mif2", b"avif"), "AVIF"),
        (iso(b"mif1", b"mif1", b"avif", b"heic"), "HEIF"),
        (iso(b"mif1", b"mif1"), "HEIF"),
        (iso(b"isom", b"msf1", b"avis"), "AVIF"),
        (iso(b"isom", b"msf1", b"hevc"), "HEIF"),
        (iso(b"crx ", b"isom"), "RAW"),
        (b"II*\0\x10\0\0\0CR\x02\0", "RAW"),
        (b"FUJIFILMCCD-RAW ", "RAW"),
        (b"II\x1a\0\0\0HEAPCCDR", "RAW"),
        (b"\xff\xd8junk between segments", "JPEG"),
    ],
)
def test_a_photo_is_known_by_its_first_bytes(data: bytes, kind: str) -> None:
    assert photo_format(data) == kind


@pytest.mark.parametrize("magic", [magic for magic, _ in OTHERS])
def test_what_is_known_to_be_none_is_named(magic: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="which is not read"):
        photo_format(magic + b"\0" * 32)


@pytest.mark.parametrize(
    "data",
    [
        iso(b"qt  ", b"qt  "),
        iso(b"isom", b"mp42"),
        iso(b"M4A ", b"isom"),
        iso(b"isom", b"mif1", b"mif2", b"msf1"),
        b"\0\0\1\x67" + bytes(20),
        b"\0\0\0\1\x46\1" + bytes(20),
        b"\xef\xbb\xbf\r\n%PDF-1.4",
        b"RIFF\0\0\0\0ACON",
        b"\n <svg/>",
        b"\0\0\0\x08wide\0\0\0\0mdat",
        (b"\x47" + bytes(187)) * 4,
        (bytes(4) + b"\x47" + bytes(187)) * 4,
        (b"\x47" + bytes(203)) * 4,
        b"P6\n640 480\n255\n",
        b"PF\n640 480\n1\n",
        bytes(128) + b"DICM",
        b"\x01\0\0\0" + bytes(36) + b" EMF",
        bytes(344) + b"n+1\0",
        b"\x09\0\x02" + bytes(60) + b"TRUEVISION-XFILE.\0",
        b"\0\0\x02" + bytes(40),
    ],
)
def test_videos_drawings_and_what_browsers_do_not_show_are_named(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match=r"the file is an? "):
        photo_format(data)


@pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0ABCD", b"RIFF", b"plain text", b"\0" * 64])
def test_what_is_of_no_kind_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableMedia):
        photo_format(data)
