"""True if a worker lives: it beats, and who asks sees how long ago."""

from __future__ import annotations

import time

from lsml.store.database import Table, durable

ALIVE_S = 15.0  # a worker that did not beat for so long is gone
_KEY = "worker_beat"


class Workers(Table):
    """The heartbeat of whatever trains for a data directory."""

    @durable
    def beat(self) -> None:
        """A worker is alive now."""
        self._run(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            _KEY, repr(time.time()),
        )  # fmt: skip

    def alive(self) -> bool:
        """True if one beat within the last ALIVE_S seconds."""
        row = self._row("SELECT value FROM meta WHERE key = ?", _KEY)
        # A beat from the future is from before the clock was set back.
        return row is not None and 0 <= time.time() - float(row[0]) < ALIVE_S

    @durable
    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written: a read-only or full disk, a damaged file."""
        self._run(
            "INSERT INTO meta VALUES ('asked', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            repr(time.time()),
        )
