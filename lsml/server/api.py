"""For people and programs: a page at `/`, and JSON under `/api`."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response

from lsml.errors import NotFound, RequestError
from lsml.learning.due import changes_needed, counts
from lsml.recipe import Recipe
from lsml.server.bodies import answer, read_object
from lsml.server.page import Section, page
from lsml.server.protocol import Route, status_of
from lsml.server.serving import Serving
from lsml.store import ProjectRow, Store, VersionRow


class Api:
    """Views of what is served, learnt and published, and the page of it."""

    def __init__(self, recipe: Recipe, store: Store, serving: Serving) -> None:
        self._recipe = recipe
        self._store = store
        self._serving = serving

    def routes(self) -> list[Route]:
        """(path, methods, view) of each."""
        return [
            ("/", ("GET",), lambda: page([self.section()])),
            ("/api/projects", ("GET",), self.projects),
            ("/api/projects/<project>", ("GET",), self.project),
            ("/api/projects/<project>/promote", ("POST",), self.promote),
            ("/api/runs/<run>", ("GET",), self.run),
            ("/api/runs/<run>/cancel", ("POST",), self.cancel),
        ]

    def projects(self) -> Response:
        """Every project: what is bound and served, its annotations, runs and versions."""
        return answer(
            {"recipe": self._recipe.name, "projects": [self._project(row) for row in self._store.projects.all()]}
        )

    def project(self, project: str) -> Response:
        """One project, as `projects` has it."""
        return answer(self._project(self._found(project)))

    def promote(self, project: str) -> Response:
        """Serve another version: `{"version": 3}`. Rolling back is promoting an older one."""
        row = self._found(project)
        number = read_object().get("version")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31:
            raise RequestError('version: expected a number, such as {"version": 3}')
        self._store.versions.promote(row.key, number)
        return answer(self._project(self._found(row.key)))

    def run(self, run: str) -> Response:
        """The state of a run."""
        found = self._store.runs.get(run)
        if found is None:
            raise NotFound("no training run has that id")
        return answer(status_of(found))

    def cancel(self, run: str) -> Response:
        """Cancel a training run: at once where it waits, within seconds where it runs."""
        found = self._store.runs.cancel(run)
        if found is None:
            raise NotFound("no training run has that id")
        return answer(status_of(found))

    def section(self) -> Section:
        """What the page shows of this recipe."""
        return Section(self._recipe, [self._project(row) for row in self._store.projects.all()])

    def _found(self, project: str) -> ProjectRow:
        row = self._store.projects.find(project)
        if row is None:
            raise NotFound("project: not known here")
        return row

    def _project(self, row: ProjectRow) -> dict[str, Any]:
        # Runs first: where one is shown as finished, what it made is shown, too.
        runs = [status_of(run) for run in self._store.runs.of_project(row.key)]
        publishings = [status_of(run) for run in self._store.runs.of_project(row.key, kind="publishing")]
        last = self._store.runs.last(row.key, "publishing")
        row = self._store.projects.get(row.key) or row
        usable, changes = counts(self._store, self._recipe, row.key)
        return {
            "project": row.key,
            "title": row.title,
            **self._serving.state(row.key),
            "annotations": usable,
            "accepted_predictions": self._store.annotations.accepted(row.key),
            "changes_since_last_run": changes,
            "changes_needed": changes_needed(self._recipe, usable, changes),
            "promoted": row.promoted,
            "reading_error": row.sync_error,
            "versions": [self._version(version) for version in self._store.versions.of_project(row.key)],
            "runs": runs,
            "publishing": status_of(last) if last is not None else None,
            "published": {"predictions": row.published, "model_version": row.published_version},
            "publishings": publishings,
        }

    def _version(self, version: VersionRow) -> dict[str, Any]:
        card = self._serving.card(version)
        built = msgspec.to_builtins(card) if card is not None else {}
        return {"version": version.number, **{name: built.get(name) for name in _SHOWN}}


_SHOWN = ("created_at", "verdict", "metrics", "decisions", "models", "tasks", "held_out", "notes")
