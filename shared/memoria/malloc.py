"""Memory that the C library keeps after it was freed."""

import ctypes


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps it for the thread that had it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
