"""The API for programs and for the pages: JSON under `/api`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from flask import Response, request

from lsml.doctor.findings import Finding
from lsml.errors import NotFound, RequestError
from lsml.learning.agreement import Annotators, agreement
from lsml.learning.corrections import Corrections
from lsml.learning.due import changes_needed, counts
from lsml.learning.outlook import curve_of, outlook_of
from lsml.logs import mask
from lsml.recipe import Recipe
from lsml.server import audit
from lsml.server.bodies import json_response, read_object
from lsml.server.messages import (
    Accepted,
    Findings,
    PeopleShown,
    Project,
    ProjectList,
    PromoteBody,
    Run,
    RunLog,
)
from lsml.server.protocol import status_of
from lsml.server.quality import Quality
from lsml.server.routes import Route
from lsml.server.serving import Serving
from lsml.store import ProjectRow, RunLine, Store, VersionRow
from lsml.studio.connection import project_address, studio_of

# The files that people choose for a field, by the tag that shows it.
_FILES: Final = {
    "Image": "image/*",
    "Audio": "audio/*",
    "AudioPlus": "audio/*",
    "Video": "video/*",
    "Pdf": "application/pdf",
}


def found_project(store: Store, named: str) -> ProjectRow:
    """Return the project that is meant by its key, number or title. Raises NotFound."""
    row = store.projects.find(named)
    if row is None:
        raise NotFound("project: unknown to lsml")
    return row


class ApiViews:
    """The views of what is served, learnt and published. `host`: the address that the server listens on."""

    def __init__(self, recipe: Recipe, store: Store, serving: Serving, quality: Quality, host: str) -> None:
        self._recipe = recipe
        self._store = store
        self._serving = serving
        self._quality = quality
        self._host = host

    def routes(self) -> list[Route]:
        """Return (path, methods, view) of each route."""
        return [
            Route("GET", "/api/projects", self.projects, ProjectList),
            Route("GET", "/api/projects/<project>", self.project, Project),
            Route("POST", "/api/projects/<project>/promote", self.promote, Project, PromoteBody),
            Route("POST", "/api/projects/<project>/publish", self.publish, Accepted),
            Route("GET", "/api/projects/<project>/people", self.people, PeopleShown),
            Route("GET", "/api/projects/<project>/doctor", self.doctor, Findings),
            Route("GET", "/api/runs/<run>", self.run, Run),
            Route("GET", "/api/runs/<run>/log", self.run_log, RunLog),
            Route("POST", "/api/runs/<run>/cancel", self.cancel, Run),
        ]

    def projects(self) -> Response:
        """Return every project: its binding and served version, annotations, runs and versions."""
        return json_response({"recipe": self._recipe.name, "projects": self.all_projects()})

    def project(self, project: str) -> Response:
        """Return one project, as in `projects`."""
        return json_response(self.found(project))

    def promote(self, project: str) -> Response:
        """Serve another version: `{"version": 3}`. To roll back, promote an older one.

        Raises RequestError where no number is given, NotFound where the project has no such version.
        """
        row = self._found(project)
        number = read_object().get("version")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31:
            raise RequestError('version: expected a number, such as {"version": 3}')
        self._store.versions.promote(row.key, number)
        audit.note(self._store, "promote", row.key, f"v{number}")
        return json_response(self._project(self._found(row.key)))

    def run(self, run: str) -> Response:
        """Return the state of a run. Raises NotFound."""
        found = self._store.runs.get(run)
        if found is None:
            raise NotFound("no training run has that id")
        return json_response(status_of(found))

    def run_log(self, run: str) -> Response:
        """Return what a run logged, oldest first. Raises NotFound."""
        if self._store.runs.get(run) is None:
            raise NotFound("no training run has that id")
        return json_response(RunLog(self.lines(run)))

    def lines(self, run: str) -> list[RunLine]:
        """Return the newest lines that a run logged, oldest first."""
        return self._store.run_lines.of_run(run)

    def cancel(self, run: str) -> Response:
        """Cancel a training run: at once if it waits, within seconds if it runs. Raises NotFound."""
        found = self._store.runs.cancel(run)
        if found is None:
            raise NotFound("no training run has that id")
        audit.note(self._store, "cancel", found.project, f"{found.kind} {found.id}")
        return json_response(status_of(found))

    def publish(self, project: str) -> Response:
        """Request a publishing of the served version. Raises RequestError if the recipe publishes nothing."""
        row = self._found(project)
        if self._recipe.publish is None or studio_of(self._recipe, row) is None:
            raise RequestError(
                "publishing is off: the recipe says `publish: false`, or Label Studio's address and token are not "
                "known; `lsml doctor` has the details"
            )
        self._store.projects.want_publishing(row.key)
        audit.note(self._store, "publish", row.key)
        return json_response(Accepted("ok"))

    def people(self, project: str) -> Response:
        """Return the annotators, their agreement, and their corrections of predictions."""
        people = self.agreement(project)
        return json_response(PeopleShown(people.annotators, people.controls, self.corrections(project)))

    def doctor(self, project: str) -> Response:
        """Return the current findings of `lsml doctor`."""
        return json_response(Findings(self.findings(project)))

    def all_projects(self) -> list[dict[str, Any]]:
        """Return every project, as the view `projects` does."""
        return [self._project(row) for row in self._store.projects.all()]

    def all_in_short(self) -> list[dict[str, Any]]:
        """Return every project, with its served version and its newest one alone."""
        return [self._project(row, in_short=True) for row in self._store.projects.all()]

    def found(self, project: str) -> dict[str, Any]:
        """Return one project. Raises NotFound."""
        return self._project(self._found(project))

    def found_in_short(self, project: str) -> dict[str, Any]:
        """Return one project, with its served version and its newest one alone. Raises NotFound."""
        return self._project(self._found(project), in_short=True)

    def version_numbers(self, project: str) -> list[int]:
        """Return the numbers of a project's versions, newest first. Raises NotFound."""
        return self._store.versions.numbers(self._found(project).key)

    def _served_and_newest(self, row: ProjectRow) -> list[VersionRow]:
        versions = self._store.versions
        numbers = {*versions.numbers(row.key)[:1], *([] if row.promoted is None else [row.promoted])}
        rows = (versions.get(row.key, number) for number in sorted(numbers, reverse=True))
        return [found for found in rows if found is not None]

    def fields(self, project: str) -> list[dict[str, Any]]:
        """Return the fields of a task that the project's models read, and the files that people choose for each, if any."""
        binding = self._serving.bindings.of(self._found(project).key, None)
        tags = {tag.name: tag for model in binding.models for tag in model.reads}
        return [
            {"field": tag.value.removeprefix("$"), "tag": tag.tag, "files": _FILES.get(tag.tag)}
            for tag in tags.values()
            if tag.value.startswith("$")
        ]

    def agreement(self, project: str) -> Annotators:
        """Return the annotators of a project, and their agreement."""
        row = self._found(project)
        binding = self._serving.bindings.of(row.key, None)
        return agreement(
            binding, self._store.annotations.tasks(row.key), self._serving.bindings.fetch(row.key, binding)
        )

    def corrections(self, project: str) -> Corrections:
        """Return the corrections of predictions by the annotators of a project."""
        return self._quality.of(self._found(project))

    def findings(self, project: str) -> list[Finding]:
        """Return the doctor's findings about a project."""
        from lsml.doctor.examine import Subject, examine  # the checks of Label Studio, which a start needs not

        row = self._found(project)
        port = int(request.environ.get("SERVER_PORT") or 0)
        found = examine(Subject(self._recipe, self._store.directory, self._host, port, row.key))
        return [msgspec.structs.replace(one, found=mask(one.found), fix=mask(one.fix)) for one in found]

    def _found(self, project: str) -> ProjectRow:
        return found_project(self._store, project)

    def _project(self, row: ProjectRow, *, in_short: bool = False) -> dict[str, Any]:
        """Return what is known of a project. `in_short`: of its versions the served and the newest one alone."""
        # Runs are read first, so that a run shown as finished comes with its version.
        runs = [status_of(run) for run in self._store.runs.of_project(row.key)]
        publishings = [status_of(run) for run in self._store.runs.of_project(row.key, kind="publishing")]
        last = self._store.runs.last(row.key, "publishing")
        row = self._store.projects.get(row.key) or row
        versions = self._served_and_newest(row) if in_short else self._store.versions.of_project(row.key)
        usable, changes = counts(self._store, self._recipe, row.key)
        return {
            "project": row.key,
            "title": row.title,
            "address": project_address(self._recipe, row),
            **self._serving.state(row.key),
            "annotations": usable,
            "accepted_predictions": self._store.annotations.accepted(row.key),
            "changes_since_last_run": changes,
            "changes_needed": changes_needed(self._recipe, usable, changes),
            "promoted": row.promoted,
            "reading_error": row.sync_error,
            "outlook": self._outlook(row.key),
            "versions": [self._version(version) for version in versions],
            "runs": runs,
            "publishing": status_of(last) if last is not None else None,
            "published": {"predictions": row.published, "model_version": row.published_version},
            "publishings": publishings,
            "reviews": [status_of(run) for run in self._store.runs.of_project(row.key, 1, kind="review")],
        }

    def _outlook(self, project: str) -> dict[str, Any]:
        outlook = outlook_of(self._store, project)
        curve = msgspec.to_builtins(curve_of(self._store, project))
        return {**msgspec.to_builtins(outlook), "sentence": outlook.sentence, "curve": curve}

    def _version(self, version: VersionRow) -> dict[str, Any]:
        card = self._serving.promoted.card(version)
        shown = {name: getattr(card, name, None) for name in _SHOWN}
        return {"version": version.number, **msgspec.to_builtins(shown)}


_SHOWN = ("created_at", "verdict", "metrics", "ceilings", "decisions", "models", "tasks", "held_out", "notes", "drift")
