"""The connection of a thread is closed when the thread ends."""

from __future__ import annotations

from threading import get_ident
from typing import Protocol


class Connection(Protocol):
    """A connection of either engine."""

    def close(self) -> None:
        """Close it; again is nothing."""


class ClosedWithThread:
    """A part of a database of peewee, which opens a connection for each thread.

    A connection of sqlite3 refers to itself, so without this it would stay open, with its descriptors, until the garbage
    collector comes by; in an idle server that may be never.
    """

    def _connect(self) -> Connection:
        connection: Connection = super()._connect()  # type: ignore[misc]  # peewee's
        self._state.closing = _Closing(connection)  # type: ignore[attr-defined]  # peewee's, of each thread
        return connection


class _Closing:
    """Closes a connection when nobody holds this object any more. Its thread must have made it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._thread = get_ident()

    def __del__(self) -> None:
        # As a process ends, its main thread drops those of other threads, and sqlite3 refuses to close them there.
        if get_ident() == self._thread:
            self._connection.close()
