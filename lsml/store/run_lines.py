"""The log lines of each run, for people who look at a page and not at the worker's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from lsml.store.database import Table, durable

_MAX_LINES: Final = 20_000  # of all runs; older ones go


class RunLine(msgspec.Struct, frozen=True):
    """One line of a run's log. `at`: seconds since 1970; `level`: such as `WARNING`."""

    at: float
    level: str
    text: str


class RunLines(Table):
    """The log lines of every run."""

    @durable
    def add(self, run: str, lines: Sequence[RunLine]) -> None:
        """Add lines to a run's log."""
        for line in lines:
            self._run(
                "INSERT INTO run_line (run, at, level, text) VALUES (?, ?, ?, ?)", run, line.at, line.level, line.text
            )
        self._run("DELETE FROM run_line WHERE id <= (SELECT max(id) FROM run_line) - ?", _MAX_LINES)

    @durable
    def delete(self, run: str) -> None:
        """Delete the log of a run."""
        self._run("DELETE FROM run_line WHERE run = ?", run)

    def of_run(self, run: str, limit: int = 200) -> list[RunLine]:
        """Return the newest lines of a run, oldest first."""
        rows = self._rows("SELECT at, level, text FROM run_line WHERE run = ? ORDER BY id DESC LIMIT ?", run, limit)
        return [RunLine(*row) for row in reversed(rows)]
