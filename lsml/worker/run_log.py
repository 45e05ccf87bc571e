"""The log of one run, kept in the store while the run works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lsml.errors import StoreError
from lsml.logs import mask
from lsml.store import RunLine, Store

_EVERY_S: Final = 1.0
_LONGEST: Final = 2000  # characters of a line


@contextmanager
def kept_log(store: Store, run: str) -> Iterator[None]:
    """Keep the lines that this process logs meanwhile as those of a run; they are written every second, and at the end."""
    keeper = _Keeper(store, run)
    logging.getLogger().addHandler(keeper)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(keeper)
        keeper.close()


class _Keeper(logging.Handler):
    """Gathers lines, so that no logging waits for the disk, and writes them in a thread of its own."""

    def __init__(self, store: Store, run: str) -> None:
        super().__init__(logging.INFO)
        self._store = store
        self._run = run
        self._lines: list[RunLine] = []
        self._done = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="run-log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line. It is called with the handler's lock."""
        text = mask(record.getMessage())[:_LONGEST]
        self._lines.append(RunLine(record.created, record.levelname, text))

    def close(self) -> None:
        """Write what is left."""
        self._done.set()
        self._writer.join()
        super().close()

    def _write_on(self) -> None:
        while not self._done.wait(_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        self.acquire()
        try:
            lines, self._lines = self._lines, []
        finally:
            self.release()
        if not lines:
            return
        try:
            self._store.run_lines.add(self._run, lines)
        except StoreError:
            # The worker's own log has them, and a disk that is full must not end the run.
            self._done.wait(_EVERY_S)
