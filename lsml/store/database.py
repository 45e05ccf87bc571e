"""The database file and its tables."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from peewee import DatabaseError, OperationalError, SqliteDatabase

from lsml.errors import StoreError
from lsml.files.disk import make_folder

FORMAT = 8
FILE = "lsml.db"
# At DEBUG, peewee logs every statement with its parameters, such as annotated texts and tokens.
logging.getLogger("peewee").setLevel(logging.WARNING)

_RUN_INDEXES = (
    "CREATE UNIQUE INDEX run_one_waiting ON run (project, kind) WHERE state = 'waiting'",
    "CREATE UNIQUE INDEX run_one_running ON run (project, kind) WHERE state = 'running'",
)
# Projects keep thousands of finished runs, of which pages show the latest.
_RUN_ORDERS = (
    "CREATE INDEX run_made ON run (project, kind, created_at)",
    "CREATE INDEX run_begun ON run (project, kind, started_at, created_at)",
)
_SUBMISSION = """CREATE TABLE submission (
        project TEXT NOT NULL, task TEXT NOT NULL, version TEXT NOT NULL, confidence REAL NOT NULL, result TEXT NOT NULL,
        audit INTEGER NOT NULL, unique_id TEXT NOT NULL, annotation TEXT, created_at REAL NOT NULL,
        PRIMARY KEY (project, task))"""
_BEGINNING = """CREATE TABLE beginning (
        project TEXT NOT NULL, annotation TEXT NOT NULL, updated_at TEXT NOT NULL, lead_time REAL, prediction TEXT,
        version TEXT, result TEXT, PRIMARY KEY (project, annotation))"""
_PERSON = """CREATE TABLE person (
        project TEXT NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, PRIMARY KEY (project, id))"""
_ACTION = """CREATE TABLE action (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, source TEXT NOT NULL, what TEXT NOT NULL,
        project TEXT NOT NULL, detail TEXT NOT NULL)"""
_REVIEW = """CREATE TABLE review (project TEXT PRIMARY KEY, created_at REAL NOT NULL, found TEXT NOT NULL)"""
_RUN_LINE = (
    """CREATE TABLE run_line (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, at REAL NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL)""",
    "CREATE INDEX run_line_run ON run_line (run, id)",
)
# `change` counts the annotations stored in a project, so that "changed since the last run" is a comparison of integers,
# independent of clocks. A tombstone is a row with `deleted`: nothing older revives it.
_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE project (
        key TEXT PRIMARY KEY, studio_id INTEGER, title TEXT NOT NULL DEFAULT '', labeling_config TEXT,
        config_at REAL NOT NULL DEFAULT 0, hostname TEXT, token TEXT, created_at REAL NOT NULL,
        change INTEGER NOT NULL DEFAULT 0, covered INTEGER NOT NULL DEFAULT 0, usable INTEGER NOT NULL DEFAULT 0,
        accepted INTEGER NOT NULL DEFAULT 0,
        promoted INTEGER, synced_to TEXT, sync_wanted INTEGER NOT NULL DEFAULT 0, sync_error TEXT,
        publish_wanted INTEGER NOT NULL DEFAULT 0, published INTEGER NOT NULL DEFAULT 0, published_version TEXT)""",
    """CREATE TABLE task (
        project TEXT NOT NULL, id TEXT NOT NULL, data TEXT, updated_at TEXT NOT NULL DEFAULT '',
        deleted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (project, id))""",
    """CREATE TABLE annotation (
        project TEXT NOT NULL, id TEXT NOT NULL, task TEXT, result TEXT NOT NULL DEFAULT '[]',
        updated_at TEXT NOT NULL DEFAULT '', cancelled INTEGER NOT NULL DEFAULT 0,
        ground_truth INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
        deleted INTEGER NOT NULL DEFAULT 0, change INTEGER NOT NULL, annotator TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (project, id))""",
    "CREATE INDEX annotation_change ON annotation (project, change)",
    "CREATE INDEX annotation_task ON annotation (project, task)",
    """CREATE TABLE run (
        id TEXT PRIMARY KEY, project TEXT NOT NULL, kind TEXT NOT NULL DEFAULT 'training', state TEXT NOT NULL,
        cause TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL, due_at REAL NOT NULL, woken_at REAL, started_at REAL, finished_at REAL,
        lease_until REAL, cancel INTEGER NOT NULL DEFAULT 0, progress REAL NOT NULL DEFAULT 0,
        message TEXT NOT NULL DEFAULT '', version INTEGER)""",
    *_RUN_INDEXES,
    "CREATE INDEX run_state ON run (state, due_at)",
    *_RUN_ORDERS,
    """CREATE TABLE version (
        project TEXT NOT NULL, number INTEGER NOT NULL, folder TEXT NOT NULL, card TEXT NOT NULL,
        created_at REAL NOT NULL, run TEXT, PRIMARY KEY (project, number))""",
    _SUBMISSION,
    _BEGINNING,
    _PERSON,
    _ACTION,
    _REVIEW,
    *_RUN_LINE,
)
# Statements from each format to the next. An older lsml refuses a newer format; a newer lsml migrates an older one.
_MIGRATIONS = {
    1: (
        "ALTER TABLE project ADD COLUMN publish_wanted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE project ADD COLUMN published INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE project ADD COLUMN published_version TEXT",
        "ALTER TABLE project ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE annotation ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE run ADD COLUMN kind TEXT NOT NULL DEFAULT 'training'",
        "DROP INDEX run_one_waiting",
        "DROP INDEX run_one_running",
        *_RUN_INDEXES,
    ),
    2: (_SUBMISSION,),
    3: ("ALTER TABLE annotation ADD COLUMN annotator TEXT NOT NULL DEFAULT ''",),
    4: (_BEGINNING, _PERSON),
    5: (_ACTION, _REVIEW),
    6: _RUN_ORDERS,
    7: _RUN_LINE,
}

P = ParamSpec("P")
R = TypeVar("R")


class Database(SqliteDatabase):
    """SQLite with a queue of writers within this process: SQLite's own would sleep and try again, for up to 0.1 s."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(path, **options)
        self._writing = threading.Lock()

    @contextmanager
    def write_transaction(self) -> Iterator[None]:
        """Hold one transaction that has the write lock from its start; within another it joins that one.

        Raises StoreError, with a sentence, where the disk refuses.
        """
        with sentences(self.database):
            if self.in_transaction():
                yield
            else:
                with self._writing, self.atomic("IMMEDIATE"):
                    yield


class HasDatabaseProtocol(Protocol):
    """An object that has the shared database."""

    _database: Database


HasDatabase = TypeVar("HasDatabase", bound=HasDatabaseProtocol)


class Table:
    """One part of the store over the shared database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return list(self._database.execute_sql(sql, parameters).fetchall())

    def _row(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._database.execute_sql(sql, parameters).fetchone()
        return row

    def _run(self, sql: str, *parameters: object) -> int:
        """Execute a statement. Return the number of rows that it changed."""
        return int(self._database.execute_sql(sql, parameters).rowcount)


def durable(
    method: Callable[Concatenate[HasDatabase, P], R],
) -> Callable[Concatenate[HasDatabase, P], R]:
    """Return a method that runs as one transaction of `Database.write_transaction`."""

    @wraps(method)
    def transactional(self: HasDatabase, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._database.write_transaction():
            return method(self, *args, **kwargs)

    return transactional


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
        elif "malformed" in what or "not a database" in what:
            advice = "the file is damaged: restore it from a backup, or move it away to start over"
        raise StoreError(f"{path}: {what}; {advice}") from error


def open_database(directory: Path) -> Database:
    """Open the database of a data directory, made where missing, and return it. Raises StoreError with a sentence."""
    try:
        make_folder(directory)
    except OSError as error:
        raise StoreError(
            f"{directory}: cannot make the data directory: {error.strerror}; name another with --data-dir"
        ) from error
    path = directory / FILE
    try:
        # The file is made before SQLite does it, so that its permissions do not depend on the umask.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened for writing: {error.strerror}; make the data directory writable for this user, "
            "or name another with --data-dir"
        ) from error
    database = Database(
        str(path),
        # FULL: an acknowledged annotation survives a power cut, which NORMAL does not promise in WAL mode.
        pragmas={"journal_mode": "wal", "synchronous": "full", "busy_timeout": 15_000, "foreign_keys": 1},
    )
    with sentences(str(path)):
        try:
            with database.atomic("IMMEDIATE"):
                _make_tables(database, path)
        except OperationalError:
            database.close()
            raise
    return database


def _make_tables(database: SqliteDatabase, path: Path) -> None:
    tables = {row[0] for row in database.execute_sql("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    if "meta" not in tables:
        for statement in _TABLES:
            database.execute_sql(statement)
        database.execute_sql("INSERT INTO meta VALUES ('format', ?)", (str(FORMAT),))
        return
    row = database.execute_sql("SELECT value FROM meta WHERE key = 'format'").fetchone()
    found = row[0] if row else "none"
    known = {str(format): format for format in (*_MIGRATIONS, FORMAT)}
    if found not in known:
        raise StoreError(
            f"{path}: has format {found}, and this lsml reads format {FORMAT}; use the lsml that wrote it, "
            "or name another data directory with --data-dir"
        )
    for format in range(known[found], FORMAT):
        for statement in _MIGRATIONS[format]:
            database.execute_sql(statement)
    database.execute_sql("UPDATE meta SET value = ? WHERE key = 'format'", (str(FORMAT),))
