"""The one EXIF tag that matters: how the photo is to be turned."""

MOST_BYTES = 1 << 20
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4


def orientation(exif: bytes) -> int:
    """EXIF's 1 to 8; 1 where it says nothing, or nothing that browsers follow.

    ``exif``: a TIFF structure, with or without ``Exif`` and two bytes before it. Only its first
    directory is read. Values are whole numbers: text is not taken for one.
    """
    if exif[:5] == b"Exif\0":
        exif = exif[6:]
    exif = exif[:MOST_BYTES]
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return 1

    def number(at: int, length: int) -> int:
        return int.from_bytes(exif[at : at + length], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    entries = min(number(directory, 2), max(0, len(exif) - directory - 2) // 12)
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        kind, count = number(at + 2, 2), number(at + 4, 4)
        if number(at, 2) == _ORIENTATION and kind in {_SHORT, _LONG} and 1 <= count <= 4:
            offset = at + 8 if count * (2 if kind == _SHORT else 4) <= 4 else number(at + 8, 4)
            value = number(offset, 2 if kind == _SHORT else 4)
            return value if 1 <= value <= 8 else 1
    return 1
