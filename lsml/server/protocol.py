"""Label Studio's ML backend protocol, as 1.23.2 really speaks it."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec
from flask import Response, request

from lsml.errors import LabelingConfigError, LsmlError, NoRoom, NotFound, RequestError, TooLarge
from lsml.files.strict_json import NotUnicode
from lsml.labeling.annotated import many
from lsml.learning.due import learners, request_if_due
from lsml.media.transfer import origin, shown_url
from lsml.prediction import Outcome, predict_in_time
from lsml.recipe import Recipe
from lsml.server.arrivals import ARRIVALS, REQUEST, Arrivals
from lsml.server.bodies import as_object, read_object
from lsml.server.events import START_TRAINING, Event, project_key, read_event
from lsml.server.interpreter import Turns, settle
from lsml.server.serving import Recent, Served, Serving
from lsml.server.telemetry import Telemetry
from lsml.store import LOCAL, RunRow, Store
from lsml.store.queue import Queue
from lsml.versions import model_version

_log = logging.getLogger(__name__)
Route = tuple[str, tuple[str, ...], Callable[..., Response]]
# How long a request waits for a version that was just promoted. The one before could answer at once, but not with the
# `model_version` that /setup has told; Label Studio waits 100 s.
_WAIT_PREDICT_S = 30.0
_READ_AGAIN_S = 60.0
_FEW = 8  # tasks; a request of so few is over before it keeps others waiting
# Lists whose entries are read each on its own: one with half of a character costs none of the others.
_SPARED = ("tasks", "task", "annotations", "annotation")
_JOB_STATUS = {
    "waiting": "queued",
    "running": "started",
    "done": "finished",
    "failed": "failed",
    "cancelled": "canceled",
}


def routes(recipe: Recipe, store: Store, queue: Queue, serving: Serving, telemetry: Telemetry) -> list[Route]:
    """(path, methods, view) of every protocol endpoint."""
    views = _Protocol(recipe, store, queue, serving, telemetry)
    return [
        ("/health", ("GET",), views.health),
        ("/setup", ("POST",), views.setup),
        ("/predict", ("POST",), views.predict),
        ("/webhook", ("POST",), views.webhook),
        ("/train", ("POST",), views.train),
        ("/job_status", ("POST",), views.job_status),
        ("/versions", ("GET",), views.versions),
        ("/validate", ("POST",), views.validate),
        ("/delete", ("POST",), views.delete),
    ]


def answer(content: Any, status: int = 200) -> Response:
    """JSON from anything that msgspec encodes."""
    return Response(msgspec.json.encode(content), status=status, mimetype="application/json")


@dataclass(frozen=True)
class _Asked:
    """What a request to `/predict` asks. `usable`: the tasks that are objects; `drawn`: the regions that a person made."""

    tasks: list[Any]
    usable: list[dict[str, Any]]
    named: Any
    labeling_config: str | None
    interactive: bool
    drawn: Sequence[Any]


@dataclass(frozen=True)
class _Ready:
    """What is answered to it: an outcome for each usable task."""

    project: str
    served: Served
    outcomes: list[Outcome]


def _asked(payload: Mapping[str, Any], most: int) -> _Asked:
    """What a request asks. Raises RequestError, TooLarge with more than `most` tasks."""
    tasks = payload.get("tasks")
    if not isinstance(tasks, list):
        raise RequestError('tasks: expected a list such as [{"data": {"text": "some text"}}]')
    if len(tasks) > most:
        raise TooLarge(f"tasks: expected at most {most}, got {len(tasks)}; select fewer at a time")
    params = payload.get("params")
    if params is not None and not isinstance(params, dict):
        raise RequestError("params: expected an object")
    context = params.get("context") if params is not None else None
    drawn = context.get("result") if isinstance(context, dict) else None
    return _Asked(
        tasks=tasks,
        usable=[task for task in tasks if isinstance(task, dict)],
        named=payload.get("project"),
        labeling_config=_optional_text(payload, "label_config"),
        interactive=context is not None,
        drawn=drawn if isinstance(drawn, list) else (),
    )


class _Protocol:
    def __init__(self, recipe: Recipe, store: Store, queue: Queue, serving: Serving, telemetry: Telemetry) -> None:
        self._recipe = recipe
        self._store = store
        self._queue = queue
        self._serving = serving
        self._telemetry = telemetry
        self._told: Recent[str | None] = Recent()
        self._asked: Recent[float] = Recent()
        self._disbelieved: Recent[str] = Recent()
        self._turns = Turns()

    def health(self) -> Response:
        """Up as soon as it can answer; loads nothing, asks nothing."""
        return answer({"status": "UP", "model_class": "lsml", "recipe": self._recipe.name})

    def setup(self) -> Response:
        """The `model_version` of the predictions to come. Remembers the project; never waits for a model."""
        payload = read_object()
        project, studio_id = self._named(payload.get("project", LOCAL))
        config = _optional_text(payload, "schema") or _optional_text(payload, "label_config")
        _extra_params(payload.get("extra_params"))
        hostname = _optional_text(payload, "hostname")
        token = _optional_text(payload, "access_token")
        named = self._recipe.label_studio
        told = not (named.url or named.api_key) and hostname and token
        if named.url and hostname:
            self._compare_hosts(project, hostname, named.url)
        if config is not None:
            self._serving.binding(project, config)  # a malformed one is refused before it is remembered
        self._serving.remember(
            project, studio_id=studio_id, labeling_config=config,
            hostname=hostname if told else None, token=token if told else None,
        )  # fmt: skip
        self._want_first_reading(project)
        binding = self._serving.binding(project, config)
        return answer({"model_version": self._serving.version_at_setup(project, binding)})

    def _compare_hosts(self, project: str, told: str, named: str) -> None:
        """Warn, once for each project, where /setup tells another Label Studio than the recipe names.

        It is not believed: a stranger could make lsml read annotations from a place of his own. It is no error, either: a
        Label Studio in a container calls itself localhost.
        """
        if origin(told) != origin(named) and self._disbelieved.get(project) != told:
            self._disbelieved.replace(project, told)
            _log.warning(
                "project %s: /setup says that its Label Studio is %s; not believed, for label_studio.url of the recipe is %s",
                project, shown_url(told), shown_url(named),
            )  # fmt: skip

    def _named(self, project: Any) -> tuple[str, int | None]:
        """(key, number) of the project that a request names. Raises RequestError."""
        key, studio_id = project_key(project)
        return self._known_key(key), studio_id

    def _known_key(self, key: str) -> str:
        """The key under which a project is known: some programs name it by its number alone."""
        found = None if "." in key else self._store.projects.find(key)
        return found.key if found else key

    def _want_first_reading(self, project: str) -> None:
        """Where annotations were never read, ask for it, once a minute: Label Studio calls /setup all the time."""
        row = self._store.projects.get(project)
        now = time.monotonic()
        if (
            row is not None
            and row.synced_to is None
            and now - (self._asked.get(project) or -_READ_AGAIN_S) >= _READ_AGAIN_S
        ):
            self._asked.replace(project, now)
            self._store.projects.want_sync(project)

    def predict(self) -> Response:
        """One result for each task, in order; `[]` for a task that nothing could predict."""
        asked = _asked(read_object(spare=_SPARED), self._recipe.server.limits.tasks)
        arrivals: Arrivals | None = request.environ.get(ARRIVALS)
        own = request.environ.get(REQUEST)
        ready: _Ready | None = arrivals.turn(own) if arrivals is not None else None
        if ready is None:
            ready = self._predict(asked, arrivals, own)
        outcomes = iter(ready.outcomes)
        in_order = [next(outcomes) if isinstance(task, dict) else _unreadable(task) for task in asked.tasks]
        settle()
        self._telemetry.count(in_order, _report(ready.project, in_order))
        return answer({"results": [_result(outcome, ready.served, asked.interactive) for outcome in in_order]})

    def _predict(self, asked: _Asked, arrivals: Arrivals | None, own: Any) -> _Ready:
        """What was asked, and with it what others ask of the same project that arrived with it."""
        project, studio_id = self._named(LOCAL if asked.named is None else asked.named)
        config = asked.labeling_config
        if asked.named is not None and self._told.get(project) != (config or ""):
            if config is not None:
                self._serving.binding(project, config)
            self._serving.remember(project, studio_id=studio_id, labeling_config=config)
            self._told.replace(project, config or "")
        binding = self._serving.binding(project, config)
        served = self._serving.served(project, binding, _WAIT_PREDICT_S)
        others = list(self._others(asked, arrivals, own)) if arrivals is not None else []
        usable = [task for one in (asked, *(other for _, other in others)) for task in one.usable]
        outcomes = iter(
            predict_in_time(
                binding, served.loaded.adapters, usable, self._serving.fetch(project), served.model_version,
                seconds=self._recipe.server.limits.time_s, hiding=project != LOCAL, drawn=asked.drawn,
                computing=self._turns if len(usable) > _FEW else nullcontext(),
            )
        )  # fmt: skip
        ready = _Ready(project, served, list(islice(outcomes, len(asked.usable))))
        for other, its in others:
            assert arrivals is not None
            arrivals.keep(other, _Ready(project, served, list(islice(outcomes, len(its.usable)))))
        return ready

    def _others(self, asked: _Asked, arrivals: Arrivals, own: Any) -> Iterator[tuple[Any, _Asked]]:
        """Requests that arrived with this one and ask the same of other tasks, few enough that nobody waits for long."""
        if asked.interactive or isinstance(asked.named, (dict, list)):
            return  # true and 1 are equal in those
        room = _FEW - len(asked.usable)
        for other, body in arrivals.alike(own):
            try:
                its = _asked(as_object(body, spare=_SPARED), self._recipe.server.limits.tasks)
            except LsmlError:
                continue  # it is told so in its turn
            same = type(its.named) is type(asked.named) and its.named == asked.named
            if its.interactive or not same or its.labeling_config != asked.labeling_config:
                continue
            room -= len(its.usable)
            if room < 0:
                return
            yield other, its

    def webhook(self) -> Response:
        """Durable before it is answered; what is learnt from it happens later."""
        event = read_event(read_object(spare=_SPARED))
        event = replace(event, project=self._known_key(event.project))
        if not event.known:
            return answer({"status": "ignored", "action": event.action})
        if event.saved:
            self._check_room(event)
        config = event.labeling_config
        if event.action == START_TRAINING and config is None:
            self._check_known(event.project)
        if config is not None:
            try:
                self._serving.binding(event.project, config)
            except LabelingConfigError as error:
                _log.warning("project %s: its labeling config is not kept: %s", event.project, error)
                config = None
        for note in event.notes:
            _log.warning("project %s: %s", event.project, note)
        with self._store.together():
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
                self._store.projects.want_sync(event.project)  # no event tells of annotations that come with tasks
            run = request_if_due(self._store, self._recipe, event.project) if changed else None
        if config is not None:
            self._told.drop(event.project)
        if event.action == START_TRAINING:
            return self._start(event.project)
        return answer({"status": "ok", "changed": changed, **({"job": run.id} if run else {})})

    def _apply(self, event: Event) -> int:
        """Store what an event tells of annotations; how many changed."""
        annotations = self._store.annotations
        changed = annotations.apply(event.project, event.saved) if event.saved else 0
        changed += annotations.delete(event.project, event.deleted) if event.deleted else 0
        return changed + (annotations.delete_tasks(event.project, event.deleted_tasks) if event.deleted_tasks else 0)

    def _check_room(self, event: Event) -> None:
        """Raise NoRoom where an event's annotations are too many, or the disk has no room for them.

        Deletions pass: they are small, and Label Studio tells of them once.
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
        """Start Training, as older and newer Label Studios ask for it."""
        payload = read_object()
        project, studio_id = self._named(payload.get("project", LOCAL))
        self._check_known(project)
        self._serving.remember(project, studio_id=studio_id)
        return self._start(project)

    def _check_known(self, project: str) -> None:
        """Raise NotFound where nobody told of a project: a run for it could learn nothing."""
        if self._store.projects.get(project) is None:
            raise NotFound(
                f"project {project}: not known here, so there is nothing to learn; connect lsml in its Settings > Model, "
                "annotate, and press Start Training again"
            )

    def job_status(self) -> Response:
        """How far a training run is."""
        job = read_object().get("job")
        run = self._store.runs.get(job) if isinstance(job, str) else None
        if run is None:
            raise NotFound("job: no training run has that id")
        return answer(status_of(run))

    def versions(self) -> Response:
        """The model versions of the project that is named, else of all: Label Studio names none."""
        named = request.args.get("project")
        rows = self._store.projects.all()
        if named is not None:
            found = self._store.projects.find(named)
            if found is None:
                raise NotFound("project: not known here")
            rows = [found]
        names: dict[str, None] = {}
        for row in rows:
            names[str(self._serving.state(row.key)["model_version"])] = None
            binding = self._serving.binding(row.key, None)
            for version in self._store.versions.of_project(row.key):
                card = self._serving.card(version)
                if card is not None:
                    names[model_version(binding, version.number, card)] = None
        return answer({"versions": list(names)})

    def validate(self) -> Response:
        """Whether the recipe fits a labeling config: 200 with what is bound, 400 where the config is malformed."""
        payload = read_object()
        config = next((payload[name] for name in ("config", "label_config", "schema") if name in payload), None)
        if not isinstance(config, str):
            raise RequestError("config: expected a labeling config, as XML text")
        binding = self._serving.binding(LOCAL, config)
        return answer(
            {
                "valid": bool(binding.models),
                "status": binding.state(),
                "bound": {c.control_tag.selector: m.spec.adapter for m in binding.models for c in m.controls},
                "unbound": [unbound.reason for unbound in binding.unbound],
                "warnings": list(binding.warnings),
            }
        )

    def delete(self) -> Response:
        """Label Studio lets go of a project: what waits or runs for it is cancelled; nothing that was learnt is lost."""
        project, _ = project_key(read_object().get("project"))
        found = self._store.projects.find(project)
        if found is not None:
            self._store.runs.cancel_project(found.key)
            _log.info("project %s: let go by Label Studio; its annotations and versions are kept", found.key)
        return answer({"status": "ok", "kept": "annotations and versions stay in the data directory"})

    def _start(self, project: str) -> Response:
        if not learners(self._recipe):
            why = "training is off: the recipe says `training: false`, or none of its adapters can learn"
            _log.warning("project %s: Start Training: %s", project, why)
            return answer({"status": why})
        run = self._store.runs.request(project, "start training")
        self._queue.wake(run.id)
        _log.info("project %s: Start Training: run %s", project, run.id)
        return answer({"status": "ok", "job": run.id})


def status_of(run: RunRow) -> dict[str, Any]:
    """A training run as JSON, with the states that Label Studio names."""
    return {
        "job": run.id,
        "kind": run.kind,
        "job_status": _JOB_STATUS[run.state],
        "project": run.project,
        "cause": run.cause,
        "attempt": run.attempt,
        "progress": round(run.progress, 3),
        "message": run.message,
        "error": run.message if run.state == "failed" else None,
        "version": run.version,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _unreadable(task: Any) -> Outcome:
    """What becomes of a task that is no object."""
    if isinstance(task, NotUnicode):
        return Outcome(dropped=[("not Unicode", str(task))])
    return Outcome(dropped=[("no data", 'a task is no object; expected {"data": {...}}')])


def _result(outcome: Outcome, served: Served, interactive: bool) -> Any:
    """A prediction; `[]` where there is none. An interactive call must get an object."""
    if outcome.prediction is not None:
        return outcome.prediction
    return {"result": [], "model_version": served.model_version} if interactive else []


def _report(project: str, outcomes: list[Outcome]) -> Counter[str]:
    """Log what was left out, counted by reason, with one example of each; the counts."""
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for outcome in outcomes:
        for reason, sentence in outcome.dropped:
            reasons[reason] += 1
            examples.setdefault(reason, sentence)
    for reason, count in reasons.items():
        level = logging.INFO if reason == "untrained" else logging.WARNING
        often = f"{many(count, 'time')} in {many(len(outcomes), 'task')}"
        _log.log(level, "project %s: %s, %s; %s", project, reason, often, examples[reason])
    return reasons


def _optional_text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{name}: expected a text")
    return value or None


def _extra_params(value: Any) -> Any:
    """What the user saved beside the backend's URL: JSON, or JSON in a string as the user interface sends it.

    lsml has no use for it, the recipe says everything; it must only not fail on any of it.
    """
    if isinstance(value, str) and value.strip():
        try:
            return json.loads(value)
        except ValueError:
            _log.warning("extra_params is not JSON, and lsml ignores it: the recipe says everything")
    return value
