"""The wake-ups from the server to a worker: a Huey whose messages are only run ids."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from huey import Huey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from lsml.errors import LsmlError
from lsml.store.database import needs

_log = logging.getLogger(__name__)
QUEUE_FILE = "queue.db"


class _JsonSerializer(Serializer):  # type: ignore[misc]  # huey has no types
    """Messages as JSON: write access to the queue can only wake a worker."""

    def _serialize(self, data: object) -> bytes:
        return json.dumps(data._asdict() if isinstance(data, Message) else data).encode()

    def _deserialize(self, data: bytes) -> Any:
        loaded = json.loads(data)
        if isinstance(loaded, dict):
            loaded["args"] = tuple(loaded["args"])
            return Message(**loaded)
        return loaded


# The settings of every Huey. Results are not read, and stored ones would stay for ever.
_SETTINGS: Final[dict[str, object]] = {"results": False, "serializer": _JsonSerializer()}


class Queue:
    """The wake-ups from the server to a worker, on any Huey.

    Each is delivered at most once, and may be lost: the run ledger holds the state, and sends lost ones again.
    """

    def __init__(self, huey: Huey) -> None:
        self.huey = huey
        self._work: Callable[[str], None] = _nobody
        self._wake = self.huey.task(name="wake")(lambda run: self._work(run))

    def wake(self, run: str) -> None:
        """Tell a worker to look at a run. A wake-up that cannot be sent is no error, as the sweeper sends it again."""
        try:
            self._wake(run)
        except Exception as error:  # each storage has errors of its own
            _log.warning("could not wake a worker for run %s: %s; the sweeper will do it", run, error)

    def on_wake(self, work: Callable[[str], None]) -> None:
        """Set the function that a wake-up calls in this process."""
        self._work = work


def open_queue(directory: Path, url: str | None = None, name: str = "lsml", workers: str | None = None) -> Queue:
    """Return the queue at the URL of a Redis, or without one that of a data directory, in a file that is made where missing.

    `name`: the recipe's, as several share a Redis. `workers`: the class of workers that read it. A server writes to the queue
    without a class; workers of a class wake themselves within a second.

    Raises OSError, or StoreError where Redis does not answer.
    """
    suffix = "" if workers is None else f"/{workers}"  # no recipe's name has a slash
    if url is not None:
        with needs("redis", "storage.queue"):
            from lsml.store.redis_queue import open_redis
        return Queue(open_redis(url, name + suffix, _SETTINGS))
    path = directory / QUEUE_FILE
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return Queue(SqliteHuey(name=f"lsml{suffix}", filename=str(path), **_SETTINGS))


def _nobody(run: str) -> None:
    raise LsmlError(f"run {run} was woken in a process that is not a worker")
