"""A decoding child: reads photos for the process that started it, one at a time.

``python -m memoria.media.child DESCRIPTOR`` serves the socket behind a descriptor and ends when
that closes. Every photo has its own limits of processor seconds and of address space, so that a
file may cost an attempt, but neither the instance nor its neighbours. Requests (channel.py):

- ``open`` with a descriptor of the file, ``length``, ``max_pixels``, ``seconds`` -> ``size``
- ``plan`` with ``min_side`` -> ``bytes`` to load it, ``bytes_again`` for its regions
- ``load`` with a descriptor for the frame, ``min_side`` -> ``shapes``, ``reduction``, ``corner``
- ``regions`` with ``boxes`` -> nothing; ``next`` with a descriptor -> ``shapes``, none at the end
- ``unload``, ``close`` -> nothing

Errors are answered with ``error`` (a code) and ``message``, bugs of ours with ``bug``, a traceback.
"""

import math
import os
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from memoria.arrays import Image
from memoria.errors import MediaTooLarge, MemoriaError
from memoria.malloc import give_back_memory
from memoria.media.budget import FREE_BYTES, MIB
from memoria.media.channel import Closed, receive, send
from memoria.media.decode import DecodedHere, LoadedHere, open_photo
from memoria.media.shared_memory import read, write

BATCH_BYTES = 32 * MIB  # of regions that are handed over at once
SPARE_BYTES = 160 * MIB  # of address space beyond what the arithmetic says: stacks, tables, maps

Answer = dict[str, Any]


class Reader:
    """One photo at a time, from ``open`` to ``close``."""

    def __init__(self) -> None:
        self._photo: DecodedHere | None = None
        self._block: AbstractContextManager[LoadedHere] | None = None
        self._loaded: LoadedHere | None = None
        self._bytes = self._bytes_again = 0
        self._regions: Iterator[Image] = iter(())

    def answer(self, request: dict[str, Any], descriptor: int | None) -> Answer:
        """Do what a request says. Raises MemoriaError."""
        operations: dict[str, Callable[..., Answer]] = {
            "open": self._open,
            "plan": self._plan,
            "load": self._load,
            "regions": self._begin_regions,
            "next": self._next,
            "unload": self._unload,
            "close": self._close,
        }
        operation = operations[request.pop("do")]
        return operation(**request) if descriptor is None else operation(descriptor, **request)

    def _open(self, descriptor: int, length: int, max_pixels: int, seconds: float) -> Answer:
        limit_seconds(seconds)
        limit_memory(4 * length)  # before it is read: what holds is the photo's before it
        data = read(descriptor, length)
        self._photo = open_photo(data, max_pixels=max_pixels)
        return {"size": self._photo.size}

    def _plan(self, min_side: int | None) -> Answer:
        frame, again = self._opened.plan(min_side)
        return {"bytes": frame, "bytes_again": again}

    def _load(self, descriptor: int, min_side: int | None) -> Answer:
        photo = self._opened
        self._bytes, self._bytes_again = photo.plan(min_side)
        limit_memory(self._bytes + len(photo.header.data))
        block = photo.loaded(min_side)
        loaded = block.__enter__()
        self._block, self._loaded = block, loaded
        write(descriptor, loaded.frame.data)
        shape = loaded.frame.shape
        loaded.frame = np.broadcast_to(np.uint8(0), shape)  # one copy is enough
        return {"shapes": [shape], "reduction": loaded.reduction, "corner": loaded.corner}

    def _begin_regions(self, boxes: list[tuple[int, int, int, int]]) -> Answer:
        if self._loaded is None:
            raise MemoriaError("regions of a photo that is not loaded")
        limit_memory(self._bytes_again + 2 * BATCH_BYTES)
        self._regions = self._loaded.regions([(x, y, x2, y2) for x, y, x2, y2 in boxes])
        return {}

    def _next(self, descriptor: int) -> Answer:
        images: list[Image] = []
        for image in self._regions:
            images.append(image)
            if sum(each.nbytes for each in images) >= BATCH_BYTES:
                break
        write(descriptor, *(image.data for image in images))
        return {"shapes": [image.shape for image in images]}

    def _unload(self) -> Answer:
        block, self._block = self._block, None
        self._loaded, self._regions = None, iter(())
        if block is not None:
            block.__exit__(None, None, None)
        if max(self._bytes, self._bytes_again) > FREE_BYTES:
            give_back_memory()  # not of every photo: the next one takes the same pages
        return {}

    def _close(self) -> Answer:
        self._photo = None
        return self._unload()

    @property
    def _opened(self) -> DecodedHere:
        if self._photo is None:
            raise MemoriaError("no photo is open")
        return self._photo


def limit_seconds(seconds: float) -> None:
    """Processor seconds from now on, after which the system ends this process."""
    most = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def limit_memory(size: int) -> None:
    """Bytes of address space from now on, after which every allocation fails."""
    mapped = int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
    most = mapped + size + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def limit_dumps() -> None:
    """No core dump, whose pixels would go to a disk: one byte also stops those that are piped."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if most else 0, most))


def serve(channel: socket.socket) -> None:
    """Answer requests until the other side closes the socket."""
    reader = Reader()
    while True:
        request, descriptor = receive(channel)
        try:
            answer = reader.answer(request, descriptor)
        except MemoryError:
            answer = _failure(MediaTooLarge("the photo needs more memory than there is"))
        except MemoriaError as error:
            answer = _failure(error)
        except Exception:
            answer = {"bug": traceback.format_exc()}
        if descriptor is not None:
            os.close(descriptor)
        send(channel, answer)


def _failure(error: MemoriaError) -> Answer:
    return {"error": error.code, "message": error.message}


def main(descriptor: int) -> None:
    """Serve, quietly: libraries' warnings of damage are no events."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # meant for the server, which ends its photos
    limit_dumps()
    channel = socket.socket(fileno=descriptor)
    send(channel, {"ready": True})
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # libjpeg and libpng print
    try:
        serve(channel)
    except Closed:
        os._exit(0)  # whatever decoders left behind has nothing to say any more


if __name__ == "__main__":
    main(int(sys.argv[1]))
