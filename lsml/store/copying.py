"""Copies of a database: from one engine to another, and as a file for use elsewhere, without the tokens from Label Studio."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

from lsml.errors import StoreError
from lsml.store.database import Database
from lsml.store.sqlite import open_sqlite, sentences
from lsml.store.tables import COUNT_RUNS, Row, queries
from lsml.store.version_rows import VersionRow

_BATCH: Final = 500  # rows that are stored at once
_EMPTIED: Final = "DELETE FROM meta"  # which has the format in it; the source has the same
_WHOLE = (
    "UPDATE project SET token = NULL, hostname = NULL",
    # A running run does not run in the copy: it waits, unless another of its kind already waits.
    "UPDATE run SET state = 'cancelled', message = 'exported while it ran' WHERE state = 'running' AND EXISTS"
    " (SELECT 1 FROM run other WHERE other.project = run.project AND other.kind = run.kind AND other.state = 'waiting')",
    "UPDATE run SET state = 'waiting', lease_until = NULL, woken_at = NULL WHERE state = 'running'",
    "DELETE FROM run_count",
    COUNT_RUNS,
    "DELETE FROM meta WHERE key IN ('worker_beat', 'asked')",
    "VACUUM",
)


def copy_rows(source: Database, target: Database) -> None:
    """Copy every row of a database into another that has none, as one transaction that reads them again and compares.

    Raises StoreError, and then the other still has none.
    """
    read: dict[str, int] = {}
    with source.tables() as tables, target.write_transaction():
        target.execute_sql(_EMPTIED, ())
        for content in tables:
            marks = ", ".join("?" * len(content.columns))
            insert = f"INSERT INTO {content.table} ({', '.join(content.columns)}) VALUES ({marks})"  # noqa: S608 (ours)
            while rows := list(islice(content.rows, _BATCH)):
                read[content.table] = _digest(rows, read.get(content.table, 0))
                target.execute_many(insert, rows)
        for table, query in queries():
            if _digest(target.stream(query)) != read.get(table, 0):
                raise StoreError(f"{table}: some rows were changed by copying them; nothing was copied")


def _digest(rows: Iterable[Row], before: int = 0) -> int:
    """Return a number for rows in any order, which another value in one of them changes. It adds to the one `before`."""
    for row in rows:
        before += int.from_bytes(hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest())
    return before % 2**256


def copy_database(database: Database, target: Path) -> list[VersionRow]:
    """Copy the database to a new SQLite file, while others write. Return the versions in the copy.

    Raises StoreError.
    """
    with closing(open_sqlite(target)) as copy:
        copy_rows(database, copy)
    with sentences(str(target)), closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
        for statement in _WHOLE:
            copy.execute(statement)
        versions = copy.execute("SELECT project, number, folder, card, created_at, run FROM version ORDER BY folder")
        return [VersionRow(*row) for row in versions]
