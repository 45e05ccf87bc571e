"""Label Studio's ML backend protocol, as Label Studio 1.23.2 really uses it."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import Any, Final, Literal

from flask import Response, request
from msgspec import UNSET

from lsml.errors import LabelingConfigError, NoRoom, NotFound, RequestError
from lsml.learning.due import learners, request_if_due
from lsml.media.transfer import origin, shown_url
from lsml.recipe import Recipe
from lsml.server import audit
from lsml.server.bodies import json_response, optional_text, read_object
from lsml.server.events import START_TRAINING, Event, known_key, known_project, project_key, read_event
from lsml.server.messages import (
    DeleteBody,
    Deleted,
    Health,
    Heard,
    JobBody,
    ModelVersion,
    OfProject,
    PredictBody,
    Predictions,
    ProjectVersions,
    Run,
    SetupBody,
    Started,
    TrainBody,
    ValidateBody,
    Validation,
    Versions,
    WebhookBody,
)
from lsml.server.predicting import SPARED, Predicting
from lsml.server.recent import Recent
from lsml.server.routes import Route
from lsml.server.serving import Serving
from lsml.server.telemetry import Telemetry
from lsml.store import LOCAL, RunRow, Store
from lsml.store.queue import Queue

_log = logging.getLogger(__name__)
_READ_AGAIN_S = 60.0
_JOB_STATUS: Final[dict[str, Literal["queued", "started", "finished", "failed", "canceled"]]] = {
    "waiting": "queued",
    "running": "started",
    "done": "finished",
    "failed": "failed",
    "cancelled": "canceled",
}


def routes(recipe: Recipe, store: Store, queue: Queue, serving: Serving, telemetry: Telemetry) -> list[Route]:
    """Return the protocol's endpoints."""
    predicting = Predicting(recipe, store, serving, telemetry)
    views = _Protocol(recipe, store, queue, serving, predicting)
    return [
        Route("GET", "/health", views.health, Health, is_open=True),
        Route("POST", "/setup", views.setup, ModelVersion, SetupBody),
        Route("POST", "/predict", predicting.view, Predictions, PredictBody),
        Route("POST", "/webhook", views.webhook, Heard, WebhookBody),
        Route("POST", "/train", views.train, Started, TrainBody),
        Route("POST", "/job_status", views.job_status, Run, JobBody),
        Route("GET", "/versions", views.versions, Versions, OfProject),
        Route("POST", "/validate", views.validate, Validation, ValidateBody),
        Route("POST", "/delete", views.delete, Deleted, DeleteBody),
    ]


class _Protocol:
    def __init__(self, recipe: Recipe, store: Store, queue: Queue, serving: Serving, predicting: Predicting) -> None:
        self._recipe = recipe
        self._store = store
        self._queue = queue
        self._serving = serving
        self._predicting = predicting
        self._asked: Recent[float] = Recent()
        self._disbelieved: Recent[str] = Recent()

    def health(self) -> Response:
        """Return UP as soon as the server can answer; it loads nothing and asks nothing."""
        return json_response(Health("UP", "lsml", self._recipe.name))

    def setup(self) -> Response:
        """Return the `model_version` of the next predictions. It stores the project, and never waits for a model."""
        payload = read_object()
        project, studio_id = known_project(self._store, payload.get("project", LOCAL))
        config = optional_text(payload, "schema") or optional_text(payload, "label_config")
        _extra_params(payload.get("extra_params"))
        hostname = optional_text(payload, "hostname")
        token = optional_text(payload, "access_token")
        named = self._recipe.label_studio
        told = not (named.url or named.api_key) and hostname and token
        if named.url and hostname:
            self._compare_hosts(project, hostname, named.url)
        if config is not None:
            self._serving.bindings.of(project, config)  # an invalid one is refused before it is stored
        self._serving.remember(
            project, studio_id=studio_id, labeling_config=config,
            hostname=hostname if told else None, token=token if told else None,
        )  # fmt: skip
        self._want_first_reading(project)
        binding = self._serving.bindings.of(project, config)
        return json_response(ModelVersion(self._serving.version_at_setup(project, binding)))

    def _compare_hosts(self, project: str, told: str, named: str) -> None:
        """Warn, once for each project, if /setup names another Label Studio than the recipe.

        It is ignored, as anybody could make lsml read annotations from a server of theirs. It is no error, as a Label
        Studio in a container calls itself localhost.
        """
        if origin(told) != origin(named) and self._disbelieved.get(project) != told:
            self._disbelieved.replace(project, told)
            _log.warning(
                "project %s: /setup names the Label Studio %s; ignored, because label_studio.url of the recipe is %s",
                project, shown_url(told), shown_url(named),
            )  # fmt: skip

    def _want_first_reading(self, project: str) -> None:
        """Ask for a reading of annotations if there was none yet, at most once a minute: Label Studio calls /setup all the
        time.
        """
        row = self._store.projects.get(project)
        now = time.monotonic()
        if (
            row is not None
            and row.synced_to is None
            and now - (self._asked.get(project) or -_READ_AGAIN_S) >= _READ_AGAIN_S
        ):
            self._asked.replace(project, now)
            self._store.projects.want_sync(project)

    def webhook(self) -> Response:
        """Store an event, durable before the response; training happens later."""
        event = read_event(read_object(spare=SPARED))
        event = replace(event, project=known_key(self._store, event.project))
        if not event.known:
            return json_response(Heard("ignored", action=event.action))
        if event.saved:
            self._check_room(event)
        config = event.labeling_config
        if event.action == START_TRAINING and config is None:
            self._check_known(event.project)
        if config is not None:
            try:
                self._serving.bindings.of(event.project, config)
            except LabelingConfigError as error:
                _log.warning("project %s: its labeling config is not stored: %s", event.project, error)
                config = None
        for note in event.notes:
            _log.warning("project %s: %s", event.project, note)
        with self._store.transaction():
            self._serving.remember(
                event.project,
                studio_id=event.studio_id,
                labeling_config=config,
                title=event.title,
                config_at=event.config_at,
            )
            changed = self._apply(event)
            if event.brings_tasks:
                self._store.projects.want_publishing(event.project)
                self._store.projects.want_sync(event.project)  # annotations that come with tasks have no event
            if event.saved and self._recipe.names_emails and self._store.people.has_strangers(event.project):
                self._store.projects.want_sync(event.project)
            run = request_if_due(self._store, self._recipe, event.project) if changed else None
        if config is not None:
            self._predicting.forget(event.project)
        if event.action == START_TRAINING:
            return self._start(event.project)
        return json_response(Heard("ok", changed, run.id if run else UNSET))

    def _apply(self, event: Event) -> int:
        """Store an event's annotations. Return the number of those that changed."""
        annotations = self._store.annotations
        changed = annotations.apply(event.project, event.saved) if event.saved else 0
        changed += annotations.delete(event.project, event.deleted) if event.deleted else 0
        return changed + (annotations.delete_tasks(event.project, event.deleted_tasks) if event.deleted_tasks else 0)

    def _check_room(self, event: Event) -> None:
        """Raise NoRoom where an event's annotations are too many, or the disk has no room for them.

        Deletions pass, as they are small, and Label Studio sends them once.
        """
        limits = self._recipe.server.limits
        self._store.check_room(limits.free_disk_bytes)
        ids = [annotation.id for annotation in event.saved]
        if not self._store.annotations.has_room(event.project, ids, limits.annotations):
            raise NoRoom(
                f"project {event.project}: with this it would have more than {limits.annotations:,} annotations "
                "(server.limits.annotations of the recipe), so it is not stored; raise the limit and restart lsml"
            )

    def train(self) -> Response:
        """Start a training, as older and newer Label Studios request it."""
        payload = read_object()
        project, studio_id = known_project(self._store, payload.get("project", LOCAL))
        self._check_known(project)
        self._serving.remember(project, studio_id=studio_id)
        audit.note(self._store, "train", project)
        return self._start(project)

    def _check_known(self, project: str) -> None:
        """Raise NotFound for an unknown project, which has nothing to train on."""
        if self._store.projects.get(project) is None:
            raise NotFound(
                f"project {project}: unknown to lsml, so it cannot be trained; connect lsml under Settings > Model, "
                "annotate, and press Start Training again"
            )

    def job_status(self) -> Response:
        """Return the progress of a training run."""
        job = read_object().get("job")
        run = self._store.runs.get(job) if isinstance(job, str) else None
        if run is None:
            raise NotFound("job: no training run has that id")
        return json_response(status_of(run))

    def versions(self) -> Response:
        """Return the model versions of the named project, or of all, as Label Studio asks for them, with their projects."""
        named = request.args.get("project")
        rows = self._store.projects.all()
        if named is not None:
            found = self._store.projects.find(named)
            if found is None:
                raise NotFound("project: unknown to lsml")
            rows = [found]
        projects = []
        for row in rows:
            names = list(self._serving.promoted.names(row.key, self._serving.bindings.of(row.key, None)))
            projects.append(ProjectVersions(row.key, row.title, names[0], names))
        every = dict.fromkeys(name for project in projects for name in project.versions)
        return json_response(Versions(list(every), projects))

    def validate(self) -> Response:
        """Check the recipe against a labeling config: 200 with the binding, 400 for an invalid config."""
        payload = read_object()
        config = next((payload[name] for name in ("config", "label_config", "schema") if name in payload), None)
        if not isinstance(config, str):
            raise RequestError("config: expected a labeling config, as XML text")
        binding = self._serving.bindings.of(LOCAL, config)
        return json_response(
            Validation(
                valid=bool(binding.models),
                status=binding.state(),
                bound={c.control_tag.selector: m.spec.adapter for m in binding.models for c in m.controls},
                unbound=[unbound.reason for unbound in binding.unbound],
                warnings=list(binding.warnings),
            )
        )

    def delete(self) -> Response:
        """Cancel the runs of a project from which Label Studio removes the model; annotations and versions are kept."""
        project, _ = project_key(read_object().get("project"))
        found = self._store.projects.find(project)
        if found is not None:
            self._store.runs.cancel_project(found.key)
            _log.info("project %s: removed by Label Studio; its annotations and versions are kept", found.key)
        return json_response(Deleted("ok", "annotations and versions stay in the data directory"))

    def _start(self, project: str) -> Response:
        if not learners(self._recipe):
            why = "training is off: the recipe says `training: false`, or none of its adapters can be trained"
            _log.warning("project %s: Start Training: %s", project, why)
            return json_response(Started(why))
        run = self._store.runs.request(project, "start training")
        self._queue.wake(run.id)
        _log.info("project %s: Start Training: run %s", project, run.id)
        return json_response(Started("ok", run.id))


def status_of(run: RunRow) -> Run:
    """Return a training run as JSON, with Label Studio's names of the states."""
    return Run(
        job=run.id,
        kind=run.kind,
        job_status=_JOB_STATUS[run.state],
        project=run.project,
        cause=run.cause,
        attempt=run.attempt,
        progress=round(run.progress, 3),
        message=run.message,
        error=run.message if run.state == "failed" else None,
        version=run.version,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        seconds_left=run.seconds_left(time.time()),
    )


def _extra_params(value: object) -> Any:
    """Return the settings that the user saved beside the backend's URL: JSON, or JSON in a string as the user interface
    sends it.

    lsml does not use them, as the recipe has all settings; it must only not fail on any of them.
    """
    if isinstance(value, str) and value.strip():
        try:
            return json.loads(value)
        except ValueError:
            _log.warning("extra_params is not JSON; lsml ignores it, because all settings are in the recipe")
    return value
