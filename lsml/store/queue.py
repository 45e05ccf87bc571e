"""The wake-ups on their way from the server to a worker: Huey on SQLite, each message a run's id and nothing else."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from lsml.errors import LsmlError

_log = logging.getLogger(__name__)
QUEUE_FILE = "queue.db"


class _Json(Serializer):  # type: ignore[misc]  # huey has no types
    """Messages as JSON: whoever can write the queue can wake a worker, and nothing else."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict() if isinstance(data, Message) else data).encode()

    def _deserialize(self, data: bytes) -> Any:
        loaded = json.loads(data)
        if isinstance(loaded, dict):
            loaded["args"] = tuple(loaded["args"])
            return Message(**loaded)
        return loaded


class Queue:
    """The wake-ups on their way from the server to a worker."""

    def __init__(self, directory: Path) -> None:
        path = directory / QUEUE_FILE
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self.huey = SqliteHuey(filename=str(path), results=False, serializer=_Json(), name="lsml")
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


def _nobody(run: str) -> None:
    raise LsmlError(f"run {run} was woken in a process that is no worker")
