"""The heartbeat of workers, by which others see whether one is alive."""

from __future__ import annotations

from lsml.store.database import Table, durable

ALIVE_S = 15.0  # a worker without a heartbeat for this long is gone
_BEAT, _TURN = "worker_beat", "worker_turn"  # keys, with what they are about


class Workers(Table):
    """The heartbeat of the workers of a data directory."""

    @durable
    def beat(self, *queues: str | None) -> None:
        """Store that a worker of these queues is alive now; None, the default, is the queue without a name."""
        for queue in queues or (None,):
            self._set_meta(_key(_BEAT, queue), repr(self._database.now()))

    def alive(self, queue: str | None = None) -> bool:
        """Return True if the last heartbeat of a worker of a queue is at most ALIVE_S seconds old."""
        age_s = self._age_s(_key(_BEAT, queue))
        return age_s is not None and age_s < ALIVE_S

    @durable
    def takes_turn(self, what: str, every_s: float) -> bool:
        """Return True for one worker in `every_s` seconds, so that of many workers one at a time does a thing."""
        key = _key(_TURN, what)
        age_s = self._age_s(key)
        if age_s is not None and age_s < every_s:
            return False
        self._set_meta(key, repr(self._database.now()))
        return True

    def _age_s(self, key: str) -> float | None:
        """Return the seconds since a time was stored; None where there is none, or it is from before the clock was set back."""
        row = self._row("SELECT value FROM meta WHERE key = ?", key)
        age_s = self._database.now() - float(row[0]) if row else -1.0
        return age_s if age_s >= 0 else None

    @durable
    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written: a read-only or full disk, a damaged file."""
        self._set_meta("asked", repr(self._database.now()))


def _key(kind: str, what: str | None) -> str:
    return kind if what is None else f"{kind}.{what}"
