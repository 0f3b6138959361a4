"""Tell the app how a job ended: one signed POST, tried at once and then as a job of its own."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx

from memoria import log
from memoria.auth import sign
from memoria.config import OFF
from memoria.errors import CallbackFailed, CallbackGone, MemoriaError
from memoria.posting import NotAnswered, post_for_status
from memoria.store.client import address
from memoria.store.jobs import Claim, JobStore, Skipped

if TYPE_CHECKING:
    from memoria.config import Settings


class Callback:
    """Delivers owed callbacks. At least once: the receiver deduplicates on ``webhook-id``."""

    def __init__(self, store: JobStore, settings: "Settings") -> None:
        """Post to the URL of the settings; ``off`` delivers nothing and owes nothing."""
        self._store = store
        self._url = settings.callback_url
        self._secret = settings.callback_secret.get_secret_value()
        self._seconds = settings.callback_timeout_seconds
        self._tls = httpx.create_ssl_context()
        # a slow receiver must not hold up the answer: the result is stored, the callback a job
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="callback")
        self._waiting: set[str] = set()

    def soon(self, job_id: str | None, event_id: str) -> None:
        """Deliver in the background what is owed; nothing where it waits for that already."""
        if job_id is not None and job_id not in self._waiting:
            self._waiting.add(job_id)
            self._threads.submit(self._try, job_id, event_id)

    def deliver(self, job_id: str, event_id: str) -> Claim | Skipped:
        """Claim the callback and deliver it, however long the receiver may take.

        Raises CallbackFailed after recording the next try, CallbackGone where there is none.
        """
        claim = self._store.claim("callback", job_id, event_id)
        if isinstance(claim, Skipped):
            return claim
        try:
            with self._store.kept(claim):
                self._post(claim)
        except MemoriaError as error:
            self._store.fail(claim, error)
            raise
        known = self._store.complete_callback(claim)
        log.event(
            "callback_delivered", job_id=job_id, event_id=event_id, attempt=claim.attempt,
            outcome=known.outcome,
        )  # fmt: skip
        return claim

    def _try(self, job_id: str, event_id: str) -> None:
        self._waiting.discard(job_id)
        try:
            self.deliver(job_id, event_id)
        except MemoriaError as error:
            log.event("callback_postponed", job_id=job_id, event_id=event_id, code=error.code)
        except Exception:
            log.failure("callback_broke", job_id=job_id, event_id=event_id)

    def _post(self, claim: Claim) -> None:
        if self._url == OFF:
            return
        body = json.dumps(claim.payload, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._secret}",
            **sign(self._secret, claim.job_id, int(time.time()), body),
        }
        try:
            status = post_for_status(
                self._url, body, headers, seconds=self._seconds, context=self._tls
            )
        except NotAnswered as exc:
            where = address(httpx.URL(self._url))
            raise CallbackFailed(f"the callback at {where} did not answer ({exc})") from exc
        if status == httpx.codes.GONE:
            raise CallbackGone("the callback answered 410: it wants to hear no more of this")
        if not httpx.codes.is_success(status):
            raise CallbackFailed(f"the callback answered {status}")
