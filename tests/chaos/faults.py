"""Which request meets which fault: seeded draws at the functions' front and before Supabase."""

import random
from bisect import bisect
from itertools import accumulate

from tests.chaos.proxy import PASS, Decide, Fault
from tests.chaos.times import FACTOR, shipped

# what the functions are told; a slower body must be tried again
FETCH_TIMEOUT_SECONDS = shipped("fetch_timeout_seconds") / FACTOR

# share of the requests, fault; what is left passes
NUDGE_FAULTS = (
    (0.20, "dropped"),
    (0.20, "sent twice"),
    (0.05, "answered 429"),
    (0.05, "answered 503"),
    (0.15, "delayed"),
)
DOWNLOAD_FAULTS = ((0.08, "answered 503"), (0.04, "stalled body"), (0.08, "slow body"))
SIGN_FAULTS = ((0.04, "answered 503"),)
RPC_FAULTS = ((0.02, "answer lost"), (0.01, "answered 503"))


def nudge_faults(rng: random.Random) -> Decide:
    """Between pg_net and a function."""
    draw = Draw(rng, NUDGE_FAULTS)
    return lambda _method, _path: draw()


def supabase_faults(rng: random.Random) -> Decide:
    """Between the functions and Supabase."""
    download, sign, rpc = (
        Draw(rng, shares) for shares in (DOWNLOAD_FAULTS, SIGN_FAULTS, RPC_FAULTS)
    )

    def decide(method: str, path: str) -> Fault:
        if path.startswith("/storage/v1/object/sign/"):
            return download() if method == "GET" else sign()
        return rpc() if path.startswith("/rest/v1/rpc/") else PASS

    return decide


class Draw:
    """Draws faults by their shares."""

    def __init__(self, rng: random.Random, shares: tuple[tuple[float, str], ...]) -> None:
        self._rng = rng
        self._edges = list(accumulate(share for share, _ in shares))
        self._names = [name for _, name in shares]

    def __call__(self) -> Fault:
        place = bisect(self._edges, self._rng.random())
        if place == len(self._names):
            return PASS
        return _fault(self._names[place], self._rng.random())


def _fault(name: str, draw: float) -> Fault:
    """``draw`` in 0..1 decides how late or how slow."""
    return {
        "dropped": Fault(name, copies=0),
        "sent twice": Fault(name, copies=2, second_delay=draw),
        "answered 429": Fault(name, answer=429),
        "answered 503": Fault(name, answer=503),
        "delayed": Fault(name, delay=0.2 + 2.8 * draw),
        "stalled body": Fault(name, drip=3 * FETCH_TIMEOUT_SECONDS),
        "slow body": Fault(name, drip=0.3 + 0.7 * draw),
        "answer lost": Fault(name, lose_answer=True),
    }[name]
