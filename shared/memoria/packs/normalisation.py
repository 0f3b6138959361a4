"""Whether a recogniser normalises its input inside the graph, told as insightface tells it.

``ArcFaceONNX`` looks for a subtraction and a multiplication among the first eight nodes. The
names are read straight from the file's first kilobytes: loading r50 as an ``onnx`` model to see
them would take a second and 350 MB.
"""

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_GRAPH, _NODE, _NAME = 7, 1, 3  # field numbers in onnx.proto: ModelProto, GraphProto, NodeProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf wire types


def input_mean_and_std(model: Path) -> tuple[float, float]:
    """What to subtract from 0..255 and what to divide by: (0, 1) when the graph does it itself."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names = list(islice(_node_names(data), 8))
    subtracts = any(name.startswith(("Sub", "_minus")) for name in names)
    multiplies = any(name.startswith(("Mul", "_mul")) for name in names)
    return (0.0, 1.0) if subtracts and multiplies else (127.5, 127.5)


def _node_names(data: mmap.mmap) -> Iterator[str]:
    for _, graph_start, graph_end in _fields(data, 0, len(data), _GRAPH):
        for _, start, end in _fields(data, graph_start, graph_end, _NODE):
            for _, name_start, name_end in _fields(data, start, end, _NAME):
                yield data[name_start:name_end].decode("utf-8", "replace")


def _fields(data: mmap.mmap, at: int, end: int, wanted: int) -> Iterator[tuple[int, int, int]]:
    """(field, start, end) of the wanted length-delimited fields of a message at data[at:end]."""
    while at < end:
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        length = 0
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire == _BYTES:
            length, at = _varint(data, at)
            if field == wanted:
                yield field, at, at + length
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"not a protobuf message: wire type {wire}")
        at += length


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
