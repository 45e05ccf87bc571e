"""The versions of a project, and the promoted one. Their files belong to `lsml.versions`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from lsml.errors import NotFound
from lsml.store.database import Table, durable

NOT_KEPT = "not kept: with `keep: 1` only the promoted version stays"


@dataclass(frozen=True)
class VersionRow:
    """One version. `folder` is its name among the artifacts; `written`: its card as JSON text."""

    project: str
    number: int
    folder: str
    written: str
    created_at: float
    run: str | None

    @cached_property
    def card(self) -> dict[str, object]:
        """The card, by `lsml.versions`. One that is no JSON object counts as empty, so that only its own version cannot be
        read.
        """
        try:
            card = msgspec.json.decode(self.written)
        except ValueError:
            return {}
        return card if isinstance(card, dict) else {}


class VersionRows(Table):
    """The versions of every project."""

    def promoted(self, project: str) -> int | None:
        """Return the number of the promoted version; None before anything was learnt."""
        row = self._row("SELECT promoted FROM project WHERE key = ?", project)
        return row[0] if row else None

    def served(self, project: str) -> VersionRow | None:
        """Return the promoted version; None before anything was learnt."""
        number = self.promoted(project)
        return self.get(project, number) if number is not None else None

    def get(self, project: str, number: int) -> VersionRow | None:
        """Return a version, or None."""
        row = self._row(
            "SELECT project, number, folder, card, created_at, run FROM version WHERE project = ? AND number = ?",
            project, number,
        )  # fmt: skip
        return VersionRow(*row) if row else None

    def number_of(self, project: str, folder: str) -> int | None:
        """Return the number of the version with a folder, or None."""
        row = self._row("SELECT number FROM version WHERE project = ? AND folder = ?", project, folder)
        return row[0] if row else None

    def numbers(self, project: str) -> list[int]:
        """Return the numbers of a project's versions, newest first."""
        return [
            row[0] for row in self._rows("SELECT number FROM version WHERE project = ? ORDER BY number DESC", project)
        ]

    def newest(self, project: str) -> Iterator[VersionRow]:
        """Yield a project's versions, newest first, each read when it is wanted."""
        for number in self.numbers(project):
            row = self.get(project, number)
            if row is not None:
                yield row

    def of_project(self, project: str) -> list[VersionRow]:
        """Return a project's versions, newest first."""
        rows = self._rows(
            "SELECT project, number, folder, card, created_at, run FROM version WHERE project = ? ORDER BY number DESC",
            project,
        )
        return [VersionRow(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of versions of each project that has any."""
        return dict(self._rows("SELECT project, count(*) FROM version GROUP BY project"))

    def of_folder(self, folder: str) -> VersionRow | None:
        """Return the version with a folder, or None."""
        row = self._row("SELECT project, number FROM version WHERE folder = ?", folder)
        return self.get(*row) if row else None

    def folders(self) -> set[str]:
        """Return the folder of every version of every project."""
        return {row[0] for row in self._rows("SELECT folder FROM version")}

    @durable
    def add(
        self,
        project: str,
        folder: str,
        card: dict[str, Any],
        *,
        promote: bool,
        run: str | None,
        number: int | None = None,
    ) -> int:
        """Add a version, by default with the next number, and promote it if asked. Return its number."""
        if number is None:
            row = self._row("SELECT coalesce(max(number), 0) + 1 FROM version WHERE project = ?", project)
            assert row is not None
            # A number is never used twice, even after the newest version was deleted.
            last = self._row("SELECT value FROM meta WHERE key = ?", f"last version of {project}")
            number = max(row[0], int(last[0]) + 1 if last else 0)
        self._set_meta(f"last version of {project}", str(number))
        self._run(
            "INSERT INTO version (project, number, folder, card, created_at, run) VALUES (?, ?, ?, ?, ?, ?)",
            project, number, folder, json.dumps(card), self._database.now(), run,
        )  # fmt: skip
        if promote:
            self.promote(project, number)
        return number

    @durable
    def promote(self, project: str, number: int) -> None:
        """Move the pointer, and ask for the version's predictions to be published.

        Raises NotFound where the project has no such version.
        """
        if self.get(project, number) is None:
            have = ", ".join(f"v{known}" for known in self.numbers(project)) or "none yet"
            raise NotFound(f"project {project} has no version {number}; it has {have}")
        self._run("UPDATE project SET promoted = ?, publish_wanted = 1 WHERE key = ?", number, project)

    @durable
    def prune(self, project: str, keep: int) -> list[VersionRow]:
        """Delete all but `keep` versions: the promoted one and the newest others stay. Return the deleted ones."""
        promoted = self.promoted(project)
        others = [version for version in self.of_project(project) if version.number != promoted]
        old = others[keep - (promoted is not None) :]
        for version in old:
            self._run("DELETE FROM version WHERE project = ? AND number = ?", project, version.number)
        return old
