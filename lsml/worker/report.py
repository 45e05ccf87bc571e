"""A run's progress in the ledger."""

from __future__ import annotations

import time
from contextlib import suppress

from lsml.errors import Unreachable
from lsml.store import RunRow, Store


class Reporter:
    """A writer of progress into the ledger, at most once a second."""

    def __init__(self, store: Store, run: RunRow) -> None:
        self._store = store
        self._run = run
        self._share = 0.0
        self._reported = 0.0

    def __call__(self, share: float, message: str) -> None:
        """Show a share in [0, 1], and a message."""
        self._share = share
        now = time.monotonic()
        if now - self._reported >= 1.0:
            self.say(message, now)

    def say(self, message: str, now: float | None = None) -> None:
        """Show a message at once, at the last share. It is dropped where the database does not answer."""
        self._reported = time.monotonic() if now is None else now
        with suppress(Unreachable):
            self._store.claims.report(self._run.id, self._run.attempt, self._share, message)
