"""The picture's size as the codecs of HEIF and AVIF have it: HEVC's and AV1's sequence headers."""

from collections.abc import Iterator

MOST_UNITS = 100_000  # of all streams of a file
_SPS = 33  # HEVC's sequence parameter set
_AV1_SEQUENCE = 1


class _Bits:
    """Bits of a byte string, the first one first; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number."""
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << count) - 1)

    def golomb(self) -> int:
        """An unsigned Exp-Golomb code."""
        zeros = 0
        while zeros < 32 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def largest_hevc(units: Iterator[bytes]) -> int:
    """Pixels of the largest picture that the sequence parameter sets among NAL units name."""
    return max(
        (_hevc_size(unit) for unit in units if unit and unit[0] >> 1 & 63 == _SPS), default=0
    )


def nal_units(stream: bytes, length_size: int, left: Iterator[int]) -> Iterator[bytes]:
    """The first bytes of each unit of a stream, each unit with its length before it.

    ``left`` counts down how many are looked at, here and in the other streams of a file.
    """
    at = 0
    for _ in left:
        if at + length_size >= len(stream):
            return
        length = int.from_bytes(stream[at : at + length_size], "big")
        at += length_size
        yield stream[at : at + min(length, 512)]
        at += length


def configured_units(hvcc: bytes, left: Iterator[int]) -> Iterator[bytes]:
    """The NAL units in an ``hvcC`` box's body (ISO/IEC 14496-15)."""
    at = 23
    for _ in range(hvcc[22] if len(hvcc) > 22 else 0):
        number = int.from_bytes(hvcc[at + 1 : at + 3], "big")
        at += 3
        for _, _ in zip(range(number), left, strict=False):
            length = int.from_bytes(hvcc[at : at + 2], "big")
            if at + 2 + length > len(hvcc):
                return
            yield hvcc[at + 2 : at + 2 + min(length, 512)]
            at += 2 + length


def _hevc_size(unit: bytes) -> int:
    """Width × height of a sequence parameter set (ITU-T H.265, 7.3.2.2)."""
    bits = _Bits(unit[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + 96)  # the profile, and the level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.golomb()
    if bits.golomb() == 3:
        bits.take(1)
    return bits.golomb() * bits.golomb()


def largest_av1(stream: bytes, left: Iterator[int]) -> int:
    """Pixels of the largest picture that an AV1 stream's sequence headers name."""
    largest = at = 0
    for _ in left:
        if at >= len(stream):
            break
        head = stream[at]
        at += 1 + (head >> 2 & 1)
        if head & 2:
            length, at = _leb128(stream, at)
        else:
            length = len(stream) - at
        if head >> 3 & 15 == _AV1_SEQUENCE:
            largest = max(largest, _av1_size(stream[at : at + min(length, 512)]))
        at += length
    return largest


def _leb128(stream: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(8):
        byte = stream[at + i] if at + i < len(stream) else 0
        value |= (byte & 127) << 7 * i
        if not byte & 128:
            return value, at + i + 1
    return value, at + 8


def _av1_size(header: bytes) -> int:
    """Width × height at most of a sequence header (AV1 specification, 5.5.1)."""
    bits = _Bits(header)
    bits.take(3 + 1)
    if bits.take(1):  # a still picture's short header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return (bits.take(across) + 1) * (bits.take(down) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    decoder_model = delay_bits = 0
    if bits.take(1):  # timing info
        bits.take(64)
        if bits.take(1):
            bits.golomb()
        decoder_model = bits.take(1)
        if decoder_model:
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    initial_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if decoder_model and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if initial_delay and bits.take(1):
            bits.take(4)
