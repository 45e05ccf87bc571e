"""The heartbeat of workers, by which others see whether one is alive."""

from __future__ import annotations

from lsml.store.database import Table, durable

ALIVE_S = 15.0  # a worker without a heartbeat for this long is gone
_KEY = "worker_beat"


class Workers(Table):
    """The heartbeat of the workers of a data directory."""

    @durable
    def beat(self) -> None:
        """Store that a worker is alive now."""
        self._set_meta(_KEY, repr(self._database.now()))

    def alive(self) -> bool:
        """Return True if a worker's last heartbeat is at most ALIVE_S seconds old."""
        row = self._row("SELECT value FROM meta WHERE key = ?", _KEY)
        # A heartbeat from the future is from before the clock was set back.
        return row is not None and 0 <= self._database.now() - float(row[0]) < ALIVE_S

    @durable
    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written: a read-only or full disk, a damaged file."""
        self._set_meta("asked", repr(self._database.now()))
