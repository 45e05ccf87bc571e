"""The last review of each project: which of its annotations are probably wrong."""

from __future__ import annotations

import json

from lsml.store.database import Table, durable


class Reviews(Table):
    """One review for each project that has had one."""

    @durable
    def keep(self, project: str, found: dict[str, object]) -> None:
        """Store a review as JSON values, in place of the one before."""
        self._run(
            "INSERT INTO review (project, created_at, found) VALUES (?, ?, ?) ON CONFLICT (project)"
            " DO UPDATE SET created_at = excluded.created_at, found = excluded.found",
            project, self._database.now(), json.dumps(found, ensure_ascii=True),
        )  # fmt: skip

    def of_project(self, project: str) -> tuple[float, dict[str, object]] | None:
        """Return (when, the review), or None where there was none yet."""
        row = self._row("SELECT created_at, found FROM review WHERE project = ?", project)
        return None if row is None else (row[0], json.loads(row[1]))
