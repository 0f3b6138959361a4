"""Build a thing once, on first use, under a lock: never before the server forks its worker."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """Calls ``build`` on the first call, remembers what it made; a failed build is tried again."""

    def __init__(self, build: Callable[[], T]) -> None:
        """Remember how to build it."""
        self._build = build
        self._lock = threading.Lock()
        self._made: list[T] = []

    @property
    def built(self) -> bool:
        """Whether it is there already."""
        return bool(self._made)

    def __call__(self) -> T:
        """The thing itself."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._build())
        return self._made[0]
