"""The contract of the database, what the parts of the store are made of, and which database a recipe names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from lsml.errors import StoreError
from lsml.store.tables import Cursor, Row

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class TableRows:
    """One table, the names of its columns, and its rows, which are read when they are wanted."""

    table: str
    columns: tuple[str, ...]
    rows: Iterator[Row]


class Database(Protocol):
    """A database with the tables of `lsml.store.tables`. Thread-safe; several processes may have the same one open.

    Statements are SQLite's with `?` for each parameter, of which both engines take the same text.
    """

    def execute_sql(self, sql: str, params: tuple[object, ...]) -> Cursor:
        """Execute a statement, and return its outcome."""

    def execute_later(self, sql: str, params: tuple[object, ...]) -> None:
        """Execute a statement whose outcome nobody needs, before the next one and at the latest as its transaction ends.

        A database behind a network is sent both at once, so it costs no round trip.
        """

    def stream(self, sql: str, *parameters: object) -> Iterator[Row]:
        """Yield the rows of a query, all of one moment, with few of them in memory at a time."""

    def write_transaction(self) -> AbstractContextManager[None]:
        """Hold one transaction, the only one that writes, from its start; within another it joins that one.

        It is safe on disk when it ends. Raises StoreError, with a sentence, where the database refuses.
        """

    def now(self) -> float:
        """Return the time in seconds since the epoch, by the clock that every process on this database shares."""

    def tables(self) -> AbstractContextManager[Iterator[TableRows]]:
        """Read every table, all as of one moment, while others write. Raises StoreError."""

    def execute_many(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Execute a statement for each row of parameters. The caller holds the transaction."""

    def close(self) -> object:
        """Close this thread's connection."""


class HasDatabaseProtocol(Protocol):
    """An object that has the shared database."""

    _database: Database


HasDatabase = TypeVar("HasDatabase", bound=HasDatabaseProtocol)


class Table:
    """One part of the store over the shared database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _rows(self, sql: str, *parameters: object) -> list[Row]:
        return list(self._database.execute_sql(sql, parameters).fetchall())

    def _row(self, sql: str, *parameters: object) -> Row | None:
        return self._database.execute_sql(sql, parameters).fetchone()

    def _run(self, sql: str, *parameters: object) -> int:
        """Execute a statement. Return the number of rows that it changed."""
        return int(self._database.execute_sql(sql, parameters).rowcount)

    def _later(self, sql: str, *parameters: object) -> None:
        """Execute a statement of a transaction whose outcome nobody needs."""
        self._database.execute_later(sql, parameters)

    def _set_meta(self, key: str, value: str) -> None:
        """Store a value of the whole database under a key."""
        self._later("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)


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
def needs(extra: str, key: str) -> Iterator[None]:
    """Raise a library that is not installed as StoreError. `extra`: what brings it, `key`: the recipe's that needs it."""
    try:
        yield
    except ImportError as error:
        raise StoreError(f'{key}: {error.name} is not installed: pip install "lsml[{extra}]"') from None


def open_database(directory: Path, url: str | None, name: str) -> Database:
    """Open the database at a URL, or without one that of a data directory, made where missing, and return it.

    `name`: the recipe's, as several share a database server. Raises StoreError with a sentence.
    """
    if url is None:
        from lsml.store.sqlite import FILE, open_sqlite

        return open_sqlite(directory / FILE)
    with needs("postgres", "storage.database"):
        from lsml.store.postgres import open_postgres
    return open_postgres(url, name)
