"""The wake-ups on their way from the server to a worker: a Huey, each message a run's id and nothing else."""

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

_log = logging.getLogger(__name__)
QUEUE_FILE = "queue.db"


class _Json(Serializer):  # type: ignore[misc]  # huey has no types
    """Messages as JSON: whoever can write the queue can wake a worker, and nothing else."""

    def _serialize(self, data: object) -> bytes:
        return json.dumps(data._asdict() if isinstance(data, Message) else data).encode()

    def _deserialize(self, data: bytes) -> Any:
        loaded = json.loads(data)
        if isinstance(loaded, dict):
            loaded["args"] = tuple(loaded["args"])
            return Message(**loaded)
        return loaded


# Of every Huey here. Nobody asks for results, and stored ones would stay for ever.
_SETTINGS: Final[dict[str, object]] = {"name": "lsml", "results": False, "serializer": _Json()}


class Queue:
    """The wake-ups on their way from the server to a worker, on any Huey.

    Each is delivered at most once, and may be lost: the run ledger is the truth, and sends lost ones again.
    """

    def __init__(self, huey: Huey) -> None:
        self.huey = huey
        self._work: Callable[[str], None] = _nobody
        self._wake = self.huey.task(name="wake")(lambda run: self._work(run))

    def wake(self, run: str) -> None:
        """Tell a worker to look at a run. A wake-up that cannot be sent is no error: the sweeper sends it again."""
        try:
            self._wake(run)
        except Exception:
            _log.warning("could not wake a worker for run %s; the sweeper will", run, exc_info=True)

    def answer(self, work: Callable[[str], None]) -> None:
        """What a wake-up does in this process."""
        self._work = work


def open_queue(directory: Path) -> Queue:
    """The queue of a data directory, in a file that is made where there is none. Raises OSError."""
    path = directory / QUEUE_FILE
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return Queue(SqliteHuey(filename=str(path), **_SETTINGS))


def _nobody(run: str) -> None:
    raise LsmlError(f"run {run} was woken in a process that is no worker")
