"""A camera's RAW file by its embedded preview: the JPEG that the camera made of the whole picture.

DNG (ProRAW too), NEF, ARW, CR2, CR3, RAF, ORF, RW2 and others, as far as LibRaw knows them.
"""

import io
from dataclasses import replace

from memoria.errors import MediaTooLarge, UnsupportedMedia
from memoria.media.headers import JpegHeader
from memoria.media.headers.jpeg import read_jpeg

LEAST_SIDE = 1000  # pixels of the preview's shorter side
MOST_STRETCH = 0.01  # by which its aspect may differ from that of the sensor's visible area
_FLIPS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's -> EXIF's orientation


def read_raw(data: bytes) -> JpegHeader:
    """The header of the largest preview, which is decoded in the file's place.

    Turned as the preview's own EXIF says, else as the file does, never both. Raises
    UnsupportedMedia where there is no preview of the whole picture in a useful size.
    """
    preview, size, flip = _preview(data)
    header = read_jpeg(_as_embedded(preview, data))
    width, height = header.size
    is_whole = _same_shape(header.size, size)
    is_turned = not is_whole and _same_shape(header.size, size[::-1])
    if min(width, height) < LEAST_SIDE or not (is_whole or is_turned):
        raise UnsupportedMedia(
            f"the file is a camera's RAW file: its preview of {width} × {height} pixels is"
            " too small, or not of the whole picture"
        )
    if header.has_exif or is_turned:
        return header
    return replace(header, orientation=_FLIPS.get(flip, 1))


def _preview(data: bytes) -> tuple[bytes, tuple[int, int], int]:
    """The largest embedded JPEG, the sensor's visible width and height, and the file's flip."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            preview = raw.extract_thumb()
            sizes = raw.sizes
    except MemoryError as exc:
        raise MediaTooLarge("the photo needs more memory than there is") from exc
    except Exception as exc:  # LibRaw's errors, and what its bindings make of absurd values
        raise UnsupportedMedia("the file is a camera's RAW file without a preview") from exc
    if preview.format is not rawpy.ThumbFormat.JPEG:
        raise UnsupportedMedia("the file is a camera's RAW file without a JPEG preview")
    return bytes(preview.data), (sizes.width, sizes.height), sizes.flip


def _as_embedded(preview: bytes, data: bytes) -> bytes:
    """Without the EXIF that LibRaw puts before a preview that does not begin with its own."""
    if preview[2:4] != b"\xff\xe1" or preview[:4096] in data:
        return preview
    return preview[:2] + preview[4 + int.from_bytes(preview[4:6], "big") :]


def _same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    across, down = size[0] * other[1], size[1] * other[0]
    return abs(across - down) <= MOST_STRETCH * max(across, down)
