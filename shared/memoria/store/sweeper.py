"""After an answer: see that nothing due is left lying, also where no cron runs."""

import threading
import time
from typing import TYPE_CHECKING

from memoria import log
from memoria.errors import MemoriaError
from memoria.store.client import rpc

if TYPE_CHECKING:
    from supabase import Client

_HURRY_SECONDS = 0.05  # past the moment that the database named, so that it has come


class Sweeper:
    """Calls ``memoria_sweep_if_due`` in the background, soon after work and when more falls due.

    The database sees to it that all workers together sweep rarely. Trouble is logged and left to
    the next call: everything that is due stays due.
    """

    def __init__(self, client: "Client", pause_seconds: float = 1.0) -> None:
        """Talk through an open supabase client; the thread starts with the first call.

        ``pause_seconds`` lie between two calls, however many answers there are.
        """
        self._client = client
        self._pause_seconds = pause_seconds
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Ask for a call; returns at once."""
        self._asked.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a bug ended it
                self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        wait_seconds: float | None = None
        while True:
            self._asked.wait(wait_seconds)
            self._asked.clear()
            wait_seconds = self._sweep()
            time.sleep(self._pause_seconds)

    def _sweep(self) -> float | None:
        """Seconds until the next call is worth it, or None where nothing falls due soon."""
        try:
            again: float | None = rpc(self._client, "memoria_sweep_if_due", {}, retries=0)[
                "again_in_seconds"
            ]
        except MemoriaError as error:
            log.event("sweep_failed", code=error.code)
            return None
        return None if again is None else max(0.0, again - self._pause_seconds + _HURRY_SECONDS)
