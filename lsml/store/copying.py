"""A copy of the database for use elsewhere: complete, of one moment, and without the tokens from Label Studio."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from lsml.store.database import Database, sentences

_WHOLE = (
    "UPDATE project SET token = NULL, hostname = NULL",
    # A running run does not run in the copy: it waits, unless another of its kind already waits.
    "UPDATE run SET state = 'cancelled', message = 'exported while it ran' WHERE state = 'running' AND EXISTS"
    " (SELECT 1 FROM run other WHERE other.project = run.project AND other.kind = run.kind AND other.state = 'waiting')",
    "UPDATE run SET state = 'waiting', lease_until = NULL, woken_at = NULL WHERE state = 'running'",
    "DELETE FROM meta WHERE key IN ('worker_beat', 'asked')",
    "VACUUM",
)


def copy_database(database: Database, target: Path) -> set[str]:
    """Copy the database to a new file, while others write. Return the folders of the versions in the copy.

    Raises StoreError.
    """
    with sentences(str(target)), closing(sqlite3.connect(target, isolation_level=None)) as copy:
        database.connection().backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        for statement in _WHOLE:
            copy.execute(statement)
        return {row[0] for row in copy.execute("SELECT folder FROM version")}
