"""The database as an SQLite file in the data directory."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from peewee import DatabaseError, OperationalError, SqliteDatabase

from lsml.errors import StoreError
from lsml.store.database import TableRows
from lsml.store.tables import Row, make_tables, queries
from lsml.store.threads import ClosedWithThread

FILE: Final = "lsml.db"
# At DEBUG, peewee logs every statement with its parameters, such as annotated texts and tokens.
logging.getLogger("peewee").setLevel(logging.WARNING)


class Sqlite(ClosedWithThread, SqliteDatabase):
    """SQLite with a queue of writers within this process: SQLite's own would sleep and try again, for up to 0.1 s."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(path, **options)
        self._writing = threading.Lock()

    @contextmanager
    def write_transaction(self) -> Iterator[None]:
        """See Database."""
        with sentences(self.database):
            if self.in_transaction():
                yield
            else:
                with self._writing, self.atomic("IMMEDIATE"):
                    yield

    def execute_later(self, sql: str, params: tuple[object, ...]) -> None:
        """See Database. There is no round trip to save."""
        self.execute_sql(sql, params)

    def stream(self, sql: str, *parameters: object) -> Iterator[Row]:
        """See Database."""
        return iter(self.execute_sql(sql, parameters))

    def now(self) -> float:
        """See Database. It is this machine's clock."""
        return time.time()

    @contextmanager
    def tables(self) -> Iterator[Iterator[TableRows]]:
        """See Database."""
        with sentences(self.database), closing(sqlite3.connect(self.database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            cursors = ((table, reader.execute(query)) for table, query in queries())
            yield (
                TableRows(table, tuple(column[0] for column in cursor.description), cursor) for table, cursor in cursors
            )

    def seal(self, why: str) -> None:
        """Refuse what must not be lost from now on, in every process, for a reason. The caller holds the transaction.

        A server still notes which projects ask for predictions, so that it can answer them.
        """
        quoted = why.replace("'", "''")
        changes = [(table, change) for table, _ in queries() if table != "project"
                   for change in ("INSERT", "UPDATE", "DELETE")]  # fmt: skip
        for number, (table, change) in enumerate([*changes, ("project", "UPDATE OF promoted")]):
            self.execute_sql(
                f"CREATE TRIGGER sealed_{number} BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, '{quoted}'); END"
            )

    def execute_many(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        """See Database."""
        self.connection().executemany(sql, rows)


@contextmanager
def sentences(path: str) -> Iterator[None]:
    """Raise what the database does not do as StoreError, with a sentence."""
    try:
        yield
    except (DatabaseError, sqlite3.Error) as error:
        reason: BaseException = error
        while "cannot rollback" in str(reason) and reason.__context__ is not None:
            # SQLite itself rolled back, as it does when the disk is full; only that reason matters.
            reason = reason.__context__
        what = str(reason)
        advice = "look at the disk"
        if "locked" in what:
            advice = "another program has it open; stop that program, and keep the data directory on a local disk"
        elif "readonly" in what or "unable to open" in what:
            advice = "make the data directory writable for this user, or name another with --data-dir"
        elif "full" in what:
            advice = "the disk is full: make room; no acknowledged annotation is lost"
        elif "was moved to" in what:
            advice = "restart lsml with the recipe that names it"
        elif "malformed" in what or "not a database" in what:
            advice = "the file is damaged: restore it from a backup, or move it away to start over"
        raise StoreError(f"{path}: {what}; {advice}") from error


def close_journal(path: Path) -> None:
    """Put all of a database into its one file. A damaged file stays as it is.

    Raises StoreError where another process has it open.
    """
    with sentences(str(path)), closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            pass  # damaged; nobody can write to it


def open_sqlite(path: Path) -> Sqlite:
    """Open the database in a file, made where missing, and return it. Raises StoreError with a sentence."""
    try:
        # The file is made before SQLite does it, so that its permissions do not depend on the umask.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened for writing: {error.strerror}; make the data directory writable for this user, "
            "or name another with --data-dir"
        ) from error
    database = Sqlite(
        str(path),
        # FULL: an acknowledged annotation survives a power cut, which NORMAL does not promise in WAL mode.
        pragmas={"journal_mode": "wal", "synchronous": "full", "busy_timeout": 15_000, "foreign_keys": 1},
    )
    with sentences(str(path)):
        try:
            with database.atomic("IMMEDIATE"):
                found = database.execute_sql("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                make_tables(database.execute_sql, str(path), {row[0] for row in found})
        except OperationalError:
            database.close()
            raise
    return database
