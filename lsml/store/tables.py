"""The tables of the database, and the statements that bring older ones up to date. Both engines take the same text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from lsml.errors import StoreError

FORMAT: Final = 9
Row = tuple[Any, ...]  # one of a query's


class Cursor(Protocol):
    """The outcome of a statement. `rowcount`: the number of rows that it changed."""

    rowcount: int

    def fetchone(self) -> Row | None:
        """Return the next row; None after the last."""

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""


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
# How many runs there are of a kind in a state: millions of finished ones need no counting.
_RUN_COUNT = """CREATE TABLE run_count (
        kind TEXT NOT NULL, state TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (kind, state))"""
# Counts them once; afterwards every change of a state counts on (`lsml.store.runs.Ledger`).
COUNT_RUNS: Final = "INSERT INTO run_count SELECT kind, state, count(*) FROM run GROUP BY kind, state"
# `change` counts the annotations stored in a project, so that "changed since the last run" is a comparison of integers,
# independent of clocks. A tombstone is a row with `deleted`: nothing older revives it.
TABLES = (
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
    _RUN_COUNT,
)
# Statements from each format to the next. An older lsml refuses a newer format; a newer lsml migrates an older one.
_MIGRATIONS: Final = {
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
    8: (_RUN_COUNT, COUNT_RUNS),
}

# Columns whose values the database itself counts up; a copy counts anew, in the same order.
_COUNTED: Final = "id INTEGER PRIMARY KEY AUTOINCREMENT"
_CREATES: Final = re.compile(r"CREATE TABLE (\w+) \(\s*(.*)", re.DOTALL)


def queries() -> Iterator[tuple[str, str]]:
    """Yield each table with a query for its rows, in an order in which they can be stored again."""
    for statement in TABLES:
        found = _CREATES.match(statement)
        if found is None:
            continue
        table, columns = found[1], found[2]
        counted = columns.startswith(_COUNTED)
        names = re.findall(r"(?:^|,)\s*([a-z_]+) (?:TEXT|INTEGER|REAL)", columns.removeprefix(_COUNTED))
        yield table, f"SELECT {', '.join(names)} FROM {table}{' ORDER BY id' if counted else ''}"  # noqa: S608 (ours)


# A function that executes a statement with its parameters, and returns a cursor.
Execute = Callable[[str, tuple[object, ...]], Cursor]


def make_tables(execute: Execute, place: str, tables: set[str]) -> None:
    """Make the tables in a database that has none, and bring older ones up to date. `tables`: the ones that it has.

    Raises StoreError where a newer lsml made them. The caller holds the transaction.
    """
    if "meta" not in tables:
        for statement in TABLES:
            execute(statement, ())
        execute("INSERT INTO meta VALUES ('format', ?)", (str(FORMAT),))
        return
    row = execute("SELECT value FROM meta WHERE key = 'format'", ()).fetchone()
    found = row[0] if row else "none"
    known = {str(format): format for format in (*_MIGRATIONS, FORMAT)}
    if found not in known:
        raise StoreError(refusal(place, found))
    for format in range(known[found], FORMAT):
        for statement in _MIGRATIONS[format]:
            execute(statement, ())
    execute("UPDATE meta SET value = ? WHERE key = 'format'", (str(FORMAT),))


def refusal(place: str, found: object) -> str:
    """Return the sentence about a format that this lsml does not read."""
    return (
        f"{place}: has format {found}, and this lsml reads format {FORMAT}; use the lsml that wrote it, "
        "or name another data directory with --data-dir"
    )
