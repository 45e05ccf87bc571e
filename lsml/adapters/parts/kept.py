"""Caches of adapters on this machine, which requests and processes share, in SQLite files of the cache folder."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from lsml.files.cache import cache_directory

_log = logging.getLogger(__name__)


class Kept:
    """Bytes by key, in a file that processes share. Unreadable entries are made again: a cache must never cause a failure.

    `folder` and `name` give the file; beyond `most` entries the oldest are deleted.
    """

    def __init__(self, folder: str, name: str, most: int) -> None:
        self._folder = folder
        self._name = name
        self._most = most

    @property
    def path(self) -> Path:
        """The path of the file."""
        return cache_directory(self._folder) / f"{self._name}.db"

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the entries of the keys that have one."""
        found: dict[bytes, bytes] = {}
        wanted = list(dict.fromkeys(keys))
        try:
            with closing(self._open()) as database:
                for begin in range(0, len(wanted), 500):
                    some = wanted[begin : begin + 500]
                    marks = ",".join("?" * len(some))
                    # `marks` holds only question marks.
                    found.update(database.execute(f"SELECT key, entry FROM entries WHERE key IN ({marks})", some))  # noqa: S608 - marks are ours
        except (sqlite3.Error, OSError) as error:
            self._forget(error)
        return found

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Store entries, and delete the oldest where there are too many."""
        try:
            with closing(self._open()) as database, database:
                database.executemany("INSERT OR REPLACE INTO entries (key, entry) VALUES (?, ?)", entries.items())
                database.execute(
                    "DELETE FROM entries WHERE rowid <= (SELECT max(rowid) FROM entries) - ?", (self._most,)
                )
        except (sqlite3.Error, OSError) as error:
            self._forget(error)

    def _open(self) -> sqlite3.Connection:
        return _opened(self.path, "entries (key BLOB NOT NULL UNIQUE, entry BLOB NOT NULL)")

    def _forget(self, error: Exception) -> None:
        _log.warning("%s cannot be cached in %s: %s", self._folder, self.path, error)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self.path.unlink(missing_ok=True)  # damaged: make a new one


class SharedCounts:
    """Whole numbers that add up by name, in a file that processes share. Where the file cannot be used, each process
    counts alone.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._own: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, amount: int) -> int:
        """Add to the stored number. Return the sum."""
        with self._lock:
            self._own[name] += amount
            try:
                path = cache_directory(self._folder) / "tally.db"
                with (
                    closing(_opened(path, "tallies (name TEXT PRIMARY KEY, amount INTEGER NOT NULL)")) as database,
                    database,
                ):
                    (total,) = database.execute(
                        "INSERT INTO tallies VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET amount = amount + excluded.amount "
                        "RETURNING amount",
                        (name, amount),
                    ).fetchone()
            except (sqlite3.Error, OSError) as error:
                _log.warning("%s cannot be counted on disk: %s; this process counts for itself", self._folder, error)
                total = 0
            return max(int(total), self._own[name])


def _opened(path: Path, table: str) -> sqlite3.Connection:
    if not path.exists():
        path.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=10)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    return database
