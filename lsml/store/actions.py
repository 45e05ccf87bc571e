"""The audit log: what people did, and who, when and from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lsml.store.database import Table, durable

_MAX_ACTIONS: Final = 10_000  # actions kept; older ones are deleted


@dataclass(frozen=True)
class Action:
    """One thing that a person did. `who`: a user of the recipe, "" where nobody has to say who they are; `source`: the
    address that asked, or "command line"; `what`: a verb, such as `promote`; `detail`: what of, such as `v3`."""

    at: float
    who: str
    source: str
    what: str
    project: str
    detail: str


class Actions(Table):
    """The actions of every project."""

    @durable
    def note(self, who: str, source: str, what: str, project: str, detail: str = "") -> None:
        """Write an action down."""
        self._run(
            "INSERT INTO action (at, who, source, what, project, detail) VALUES (?, ?, ?, ?, ?, ?)",
            self._database.now(), who, source, what, project, detail[:500],
        )  # fmt: skip
        self._run("DELETE FROM action WHERE id <= (SELECT max(id) FROM action) - ?", _MAX_ACTIONS)

    def latest(self, project: str, limit: int = 100) -> list[Action]:
        """Return a project's actions, newest first."""
        rows = self._rows(
            "SELECT at, who, source, what, project, detail FROM action WHERE project = ? ORDER BY id DESC LIMIT ?",
            project, limit,
        )  # fmt: skip
        return [Action(*row) for row in rows]
