"""`/predict`: its requests, its responses, and the reasons why a task has no prediction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flask import Response, request

from lsml.binding import Binding
from lsml.errors import Busy, LsmlError, RequestError, StoreError, TooLarge, Unreachable
from lsml.files.strict_json import NotUnicode
from lsml.labeling.annotated import many
from lsml.logs import mask, project_id
from lsml.prediction import LATE, Gathering, Outcome, PredictionCache, Predictor, predict_in_time
from lsml.recipe import Recipe
from lsml.server.arrivals import ARRIVALS, BUSY, REQUEST, Arrivals
from lsml.server.bodies import as_object, json_response, optional_text, read_object
from lsml.server.events import known_project, project_key
from lsml.server.interpreter import FairSemaphore, freeze_imported
from lsml.server.messages import Predictions
from lsml.server.recent import Recent
from lsml.server.serving import Served, Serving
from lsml.server.telemetry import Telemetry
from lsml.store import LOCAL, Store
from lsml.studio.connection import studio_of
from lsml.tracing import span
from lsml.wording import listed

_log = logging.getLogger(__name__)
# How long a request waits for a version that was just promoted. The old version could answer at once, but not with the
# `model_version` that /setup returned; Label Studio waits 100 s.
_WAIT_S = 30.0
_SMALL_REQUEST_TASKS = 8  # tasks; a request with so few does not delay others
# Lists whose entries are decoded separately, so that one with half of a character does not affect the others.
SPARED = ("tasks", "task", "annotations", "annotation")


@dataclass(frozen=True)
class _Asked:
    """A request to `/predict`. `usable`: the tasks that are objects; `drawn`: the regions that a person made."""

    tasks: list[object]
    usable: list[dict[str, object]]
    named: object
    labeling_config: str | None
    model_version: str | None
    interactive: bool
    drawn: Sequence[object]
    label_scores: bool


@dataclass(frozen=True)
class _Ready:
    """The response to a request: an outcome for each usable task. `project`: the project whose models answer, which is
    `local` for an unknown project.
    """

    project: str
    binding: Binding
    served: Served
    outcomes: list[Outcome]


def _asked(payload: Mapping[str, object], most: int) -> _Asked:
    """Return a request. Raises RequestError; TooLarge with more than `most` tasks."""
    tasks = payload.get("tasks")
    if not isinstance(tasks, list):
        raise RequestError('tasks: expected a list such as [{"data": {"text": "some text"}}]')
    if len(tasks) > most:
        raise TooLarge(f"tasks: expected at most {most}, got {len(tasks)}; select fewer tasks")
    params = payload.get("params")
    if params is not None and not isinstance(params, dict):
        raise RequestError("params: expected an object")
    context = params.get("context") if params is not None else None
    drawn = context.get("result") if isinstance(context, dict) else None
    return _Asked(
        tasks=tasks,
        usable=[task for task in tasks if isinstance(task, dict)],
        named=payload.get("project"),
        labeling_config=optional_text(payload, "label_config"),
        model_version=optional_text(payload, "model_version"),
        interactive=context is not None,
        drawn=drawn if isinstance(drawn, list) else (),
        label_scores=params is not None and params.get("label_scores") is True,
    )


class Predicting:
    """The view of `/predict`. It adds no project, as /setup and webhooks do."""

    def __init__(self, recipe: Recipe, store: Store, serving: Serving, telemetry: Telemetry) -> None:
        self._recipe = recipe
        self._store = store
        self._serving = serving
        self._telemetry = telemetry
        self._told: Recent[str] = Recent()  # project -> the labeling config in its last request
        self._turns = FairSemaphore()
        self._cache = PredictionCache(
            recipe.server.cache_bytes, telemetry.count_found, Gathering(recipe.server.gather_s).ask
        )

    def forget(self, project: str) -> None:
        """Forget a project's last config, as it has another one now; the next request's is stored again."""
        self._told.drop(project)

    def view(self) -> Response:
        """Return one result for each task, in order; `[]` for a task without a prediction, and then the reasons in
        `why_not`. Raises Busy where too many requests wait.
        """
        if BUSY in request.environ:
            most = self._recipe.server.limits.waiting
            raise Busy(f"{most} requests wait (server.limits.waiting of the recipe); try again in a moment")
        asked = _asked(read_object(spare=SPARED), self._recipe.server.limits.tasks)
        arrivals: Arrivals | None = request.environ.get(ARRIVALS)
        own = request.environ.get(REQUEST)
        ready: _Ready | None = arrivals.turn(own) if arrivals is not None else None
        if ready is None:
            ready = self._predict(asked, arrivals, own)
        outcomes = iter(ready.outcomes)
        in_order = [next(outcomes) if isinstance(task, dict) else _unreadable(task) for task in asked.tasks]
        freeze_imported()
        self._telemetry.count(ready.project, ready.binding, in_order, _report(ready.project, in_order))
        # An interactive call must get an object.
        missing: Any = {"result": [], "model_version": ready.served.model_version} if asked.interactive else []
        results = [missing if outcome.prediction is None else outcome.prediction for outcome in in_order]
        content = Predictions(results)
        if asked.label_scores:
            content.label_scores = [outcome.label_scores for outcome in in_order]
        silent = [outcome for outcome in in_order if outcome.prediction is None]
        if silent:
            content.why_not = [*_reasons(silent, len(in_order)), *self._elsewhere(asked, ready)]
            if asked.model_version is None and any(reason == LATE for one in silent for reason, _ in one.dropped):
                content.why_not += self._finish_later(ready.project)
        return json_response(content)

    def _predict(self, asked: _Asked, arrivals: Arrivals | None, own: object) -> _Ready:
        """Return the response to a request, computed together with requests of the same project that arrived with it."""
        project = self._answering(asked)
        binding = self._serving.bindings.of(project, asked.labeling_config)
        if asked.model_version is None:
            served = self._serving.served(project, binding, _WAIT_S)
        else:
            served = self._serving.served_as(project, binding, asked.model_version)
        others = list(self._others(asked, arrivals, own)) if arrivals is not None else []
        usable = [task for one in (asked, *(other for _, other in others)) for task in one.usable]
        predictor = Predictor(
            binding,
            served.loaded.adapters,
            self._serving.bindings.fetch(project, binding),
            served.model_version,
            computing=self._turns if len(usable) > _SMALL_REQUEST_TASKS else nullcontext(),
            ask=self._cache.ask,
            label_scores=asked.label_scores,
        )
        hiding = project != LOCAL
        with span("predict tasks", project=project, tasks=len(usable), model_version=served.model_version):
            predicted = list(predict_in_time(predictor, usable, speed=served.speed, hiding=hiding, drawn=asked.drawn))
        outcomes = iter(predicted)
        ready = _Ready(project, binding, served, list(islice(outcomes, len(asked.usable))))
        for other, its in others:
            assert arrivals is not None
            arrivals.keep(other, _Ready(project, binding, served, list(islice(outcomes, len(its.usable)))))
        return ready

    def _answering(self, asked: _Asked) -> str:
        """Return the project whose models answer: the named one if it is known, else `local`.

        The labeling config in a request is stored, as webhooks may have been missed.
        """
        if asked.named is None:
            return LOCAL
        project, studio_id = known_project(self._store, asked.named)
        project_id.set(project)
        config = asked.labeling_config
        if self._told.get(project) == (config or ""):
            return project
        if self._store.projects.get(project) is None:
            return LOCAL
        if config is not None:
            self._serving.bindings.of(project, config)  # a malformed one is refused before it is remembered
        try:
            self._serving.remember(project, studio_id=studio_id, labeling_config=config)
            self._told.replace(project, config or "")
        except Unreachable as error:
            _log.warning("project %s: its labeling config is not stored: %s", project, error)  # it still predicts
        return project

    def _elsewhere(self, asked: _Asked, ready: _Ready) -> list[str]:
        """Return sentences about the known projects, if a request for `local` may have meant one of them."""
        if ready.project != LOCAL:
            return []
        others = [row for row in self._store.projects.all() if row.key != LOCAL]
        sentences = []
        if asked.named is not None:
            key, _ = project_key(asked.named)
            if key != LOCAL:
                sentences.append(
                    f"project {key} is not connected, so the model of project {LOCAL} predicts; connect it under "
                    "Settings > Model, or with `lsml connect`"
                )
        if others:
            names = listed(f'"{row.key}"' + (f" ({row.title})" if row.title else "") for row in others)
            sentences.append(f"`project` of the request selects the project whose models predict: {names}")
        return sentences

    def _finish_later(self, project: str) -> list[str]:
        """Let the worker publish predictions of tasks that there was no time for. Return a sentence about it, if it can."""
        try:
            row = self._store.projects.get(project)
            if (
                row is None
                or row.studio_id is None
                or self._recipe.publish is None
                or studio_of(self._recipe, row) is None
            ):
                return []
            self._store.projects.want_publishing(project)
        except StoreError as error:
            _log.warning("project %s: the tasks that there was no time for are not published: %s", project, error)
            return []
        return ["the worker predicts the tasks that there was no time for, and publishes them to Label Studio"]

    def _others(self, asked: _Asked, arrivals: Arrivals, own: object) -> Iterator[tuple[object, _Asked]]:
        """Yield requests that arrived with this one and need the same models, few enough that none waits long."""
        if asked.interactive or asked.label_scores or isinstance(asked.named, (dict, list)):
            return  # true and 1 are equal there
        room = _SMALL_REQUEST_TASKS - len(asked.usable)
        for other, body in arrivals.alike(own):
            try:
                its = _asked(as_object(body, spare=SPARED), self._recipe.server.limits.tasks)
            except LsmlError:
                continue  # it gets the error in its turn
            same = type(its.named) is type(asked.named) and its.named == asked.named
            same = same and (its.labeling_config, its.model_version) == (asked.labeling_config, asked.model_version)
            if its.interactive or its.label_scores or not same:
                continue
            room -= len(its.usable)
            if room < 0:
                return
            yield other, its


def _unreadable(task: object) -> Outcome:
    """Return the outcome of a task that is not an object."""
    if isinstance(task, NotUnicode):
        return Outcome(dropped=[("not Unicode", str(task))])
    return Outcome(dropped=[("no data", 'a task is not an object; expected {"data": {...}}')])


def _report(project: str, outcomes: Sequence[Outcome]) -> Counter[str]:
    """Log what was left out, counted by reason, with one example of each. Return the counts."""
    counts, examples = _counted(outcomes)
    for reason, count in counts.items():
        level = logging.INFO if reason == "untrained" else logging.WARNING
        _log.log(level, "project %s: %s", project, _sentence(reason, count, len(outcomes), examples[reason]))
    return counts


def _reasons(silent: Sequence[Outcome], tasks: int) -> list[str]:
    """Return a sentence for each reason why tasks have no prediction, with secrets masked."""
    counts, examples = _counted(silent)
    return [mask(_sentence(reason, count, tasks, examples[reason])) for reason, count in counts.items()]


def _counted(outcomes: Sequence[Outcome]) -> tuple[Counter[str], dict[str, str]]:
    """Return the number of times that each reason to leave something out occurred, and one example of it."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for outcome in outcomes:
        for reason, sentence in outcome.dropped:
            counts[reason] += 1
            examples.setdefault(reason, sentence)
    return counts, examples


def _sentence(reason: str, count: int, tasks: int, example: str) -> str:
    return f"{reason}, {many(count, 'time')} in {many(tasks, 'task')}; {example}"
