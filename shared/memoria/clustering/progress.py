"""How far a long pass has come, in the log."""

import logging
import time

logger = logging.getLogger(__name__)

EVERY_S = 5.0


class Progress:
    """Logs one line every few seconds: a pass that is over sooner says nothing."""

    def __init__(self, step: str, total: int) -> None:
        self.step = step
        self.total = total
        self.said = time.monotonic()

    def report(self, done: int) -> None:
        """``done`` of ``total`` rows are through."""
        if time.monotonic() - self.said >= EVERY_S:
            self.said = time.monotonic()
            logger.info("clustering_progress step=%s done=%d of=%d", self.step, done, self.total)
