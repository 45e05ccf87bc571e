"""Tasks in, predictions out: every bound model runs, each control takes what it can write, bad tasks cost only themselves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Literal

import msgspec

from lsml.adapters import lacking
from lsml.adapters.base import Adapter, InteractiveAdapter
from lsml.binding import Binding, BoundModel, Reading, regions_of
from lsml.controls.base import Answer, Control, Region, ScoreKind, Threshold
from lsml.controls.merging import merged
from lsml.errors import FetchError, LsmlError
from lsml.labeling import Condition
from lsml.labeling.objects import Fetch, Unreadable, read_ahead
from lsml.labeling.view import View
from lsml.prediction.ids import with_ids
from lsml.values import Number, Shape, Value, label_of

_log = logging.getLogger(__name__)
_FREELY: Final = nullcontext()
_FIRST_TURN = 64  # tasks that tell how long the others will take
_TURN_S = 10.0  # after about so long it is looked at the clock


# Why there is none, where people are to answer without the model.
HELD_OUT: Final = (
    "held out",
    "tasks that a model is judged by are answered without it (training.holdout of the recipe: blind)",
)


class Outcome(msgspec.Struct):
    """What became of one task. `prediction` is None where nothing could predict it; `values` are what it shows, by control;
    `dropped` says why there is none, and counts what was left out: (reason, sentence). `unread`: the same of each model, by
    key, that could not read the task."""

    prediction: dict[str, Any] | None = None
    values: dict[str, list[Value]] = {}
    dropped: list[tuple[str, str]] = []
    unread: dict[str, tuple[str, str]] = {}


class _Page(msgspec.Struct):
    """What the models said about one control of one page of one task, first in rank first; `hidden`: those that the recipe
    does not show."""

    view: View
    answers: list[Answer] = []
    hidden: list[Answer] = []


class _Answers(msgspec.Struct):
    """The same of all pages of a task, which most have one of."""

    control: Control
    to_name: str
    together: Literal["first", "union", "vote"]
    pages: dict[int | None, _Page] = {}

    def combined(
        self, answers: Sequence[Answer], data: Mapping[str, object], kind: ScoreKind
    ) -> tuple[list[Value], float | None]:
        """What to show of several models' answers, as the recipe puts them together, and how sure they are."""
        if self.together != "first" and len(answers) > 1:
            answers = [merged(self.control, answers, data, self.together)]
        return self.control.combine(answers, data, kind)


def predict_tasks(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    tasks: Sequence[Mapping[str, object]],
    fetch: Fetch,
    model_version: str,
    *,
    drawn: Sequence[object] = (),
    judging: bool = False,
    computing: AbstractContextManager[None] = _FREELY,
) -> list[Outcome]:
    """One outcome for each task, in order. `adapters` holds one for each of the binding's models, by key.

    `drawn`: the regions that a person made, in an interactive call; then the interactive adapters answer them, where there
    are any. `judging`: leave in what a threshold would hide, where a metric ranks by score. `computing` is entered for all
    but the reading of the tasks' files.
    """
    outcomes = [Outcome() for _ in tasks]
    if not binding.models:
        for outcome in outcomes:
            outcome.dropped.append(("unbound", binding.state()))
        return outcomes
    with fetch.hold() as held:
        _predict_held(binding, adapters, tasks, held, model_version, outcomes, drawn, judging, computing)
    return outcomes


def _predict_held(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    tasks: Sequence[Mapping[str, object]],
    fetch: Fetch,
    model_version: str,
    outcomes: Sequence[Outcome],
    drawn: Sequence[object],
    judging: bool,
    computing: AbstractContextManager[None],
) -> None:
    """Fill in the outcomes, while the files that they need stay here."""
    answers: list[dict[str, _Answers]] = [{} for _ in tasks]
    responding = bool(drawn) and any(isinstance(adapter, InteractiveAdapter) for adapter in adapters.values())
    for rank, model in enumerate(binding.models):
        adapter = adapters[model.key]
        reason = _silence(model, adapter, responding)
        if reason is not None:
            for outcome in outcomes:
                outcome.dropped.append(reason)
            continue
        readings = _read_all(model, tasks, fetch, outcomes, binding.recipe.server.limits.text)
        where = [(index, reading) for index, of_task in enumerate(readings) for reading in of_task]
        with computing:
            if responding:
                assert isinstance(adapter, InteractiveAdapter)
                predicted = _one_by_one(model, where, outcomes, _responder(binding, model, adapter, drawn))
            else:
                predicted = _predict_all(model, adapter, where, outcomes, 0.0 if judging else model.floor)
            sorter = _Sorter(model, rank, judging)
            for (index, reading), values in zip(where, predicted, strict=True):
                if values is not None:
                    sorter.sort_in(reading, model.classes.translate(values, adapter), answers[index])
    with computing:
        for task, outcome, by_control in zip(tasks, outcomes, answers, strict=True):
            if by_control:
                answered = drawn if responding else ()
                outcome.prediction = _write(binding, task, by_control, outcome, model_version, judging, answered)


def predict_in_time(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    tasks: Sequence[Mapping[str, object]],
    fetch: Fetch,
    model_version: str,
    *,
    seconds: float,
    hiding: bool = False,
    drawn: Sequence[object] = (),
    computing: AbstractContextManager[None] = _FREELY,
) -> list[Outcome]:
    """As `predict_tasks`, in about so many seconds: the tasks at the end that did not get their turn have no prediction,
    so that Label Studio, which gives up on a whole request, keeps those of the others and asks again for these.

    `hiding`: nor have those that the binding hides from people."""
    if hiding and any(hidden := [binding.hides(task.get("id")) for task in tasks]):
        shown = [task for task, hide in zip(tasks, hidden, strict=True) if not hide]
        answered = iter(
            predict_in_time(
                binding, adapters, shown, fetch, model_version, seconds=seconds, drawn=drawn, computing=computing
            )
        )
        return [Outcome(dropped=[HELD_OUT]) if hide else next(answered) for hide in hidden]
    began = time.monotonic()
    outcomes: list[Outcome] = []
    size = _FIRST_TURN
    with fetch.hold() as held:
        while len(outcomes) < len(tasks):
            some = tasks[len(outcomes) : len(outcomes) + size]
            outcomes += predict_tasks(binding, adapters, some, held, model_version, drawn=drawn, computing=computing)
            took = time.monotonic() - began
            if took >= seconds:
                break
            # Few turns, for a library is at its best with many at once; and short ones, for what was slow may get slower.
            size = max(1, int(len(outcomes) / took * min(seconds - took, _TURN_S)) if took else len(tasks))
    late = (
        "out of time",
        f"predicting took more than {seconds:g} s (server.limits.time of the recipe); ask again for these",
    )
    return outcomes + [Outcome(dropped=[late]) for _ in tasks[len(outcomes) :]]


def _silence(model: BoundModel, adapter: Adapter, responding: bool) -> tuple[str, str] | None:
    """Why a model is not asked, as a countable name and a sentence; None where it is."""
    if not adapter.ready:
        lacks = lacking(model.adapter_class, model.spec.options, model.target)
        if lacks:
            return "untrained", f"{model.key}: {lacks}"
        # What answers a person may need nothing that `predict` needs.
        if not (responding and isinstance(adapter, InteractiveAdapter)):
            return "untrained", f"{model.key} has learnt nothing yet"
    if adapter.own_names and model.classes.meaningless:
        return "untrained", f"{model.key}: none of its classes means a label; `lsml explain` shows them side by side"
    if responding and not isinstance(adapter, InteractiveAdapter):
        return "not interactive", f"{model.key} does not answer what a person drew"
    if not responding and adapter.only_interactive:
        return "interactive", f"{model.key} answers only what a person draws"
    return None


class _Sorter:
    """Gives each control what one model answered; what is alike for all tasks of a request is worked out once."""

    def __init__(self, model: BoundModel, rank: int, judging: bool) -> None:
        self._model = model
        self._rank = rank
        self._judging = judging
        self._kinds = model.adapter_class.produces
        # Of kinds that have no page, and of one kind alone, nothing need be looked through: a classifier says thousands.
        self._shapes = any(issubclass(kind, Shape) for kind in self._kinds)
        self._thresholds: dict[Control, Threshold] = {}

    def sort_in(self, reading: Reading, values: Sequence[Value], answers: dict[str, _Answers]) -> None:
        """Give each control the values that it can write. Groups of different models and pages are kept apart."""
        page = reading.view.item
        placed = [self._placed(value, page or 0) for value in values] if self._shapes else values
        for control in reading.controls:
            name = control.control_tag.name
            of_control = answers.get(name)
            if of_control is None:
                of_control = answers[name] = _Answers(control, reading.object_tag.name, self._model.spec.combine)
            of_page = of_control.pages.get(page)
            if of_page is None:
                of_page = of_control.pages[page] = _Page(reading.view)
            kind = control.value_type
            own = placed if self._kinds == {kind} else [value for value in placed if isinstance(value, kind)]
            said = of_page.answers if self._model.spec.show else of_page.hidden
            said.append(Answer(own, self._threshold(control)))

    def _placed(self, value: Value, page: int) -> Value:
        if not isinstance(value, Shape) or (value.group is None and not page):
            return value
        group = None if value.group is None else f"{self._rank}.{page}.{value.group}"
        return msgspec.structs.replace(value, item=page, group=group)

    def _threshold(self, control: Control) -> Threshold:
        found = self._thresholds.get(control)
        if found is None:
            unfiltered = self._judging and control.judged_unfiltered
            found = self._thresholds[control] = _everything if unfiltered else self._model.threshold(control)
        return found


def _everything(_label: str) -> float:
    return 0.0


def _read_all(
    model: BoundModel, tasks: Sequence[Mapping[str, object]], fetch: Fetch, outcomes: Sequence[Outcome], longest: int
) -> list[list[Reading]]:
    def read(pair: tuple[Mapping[str, object], Outcome]) -> list[Reading]:
        task, outcome = pair
        try:
            readings = model.read(task, fetch)
            for reading in readings:
                if isinstance(reading.view.data, str) and len(reading.view.data) > longest:
                    raise Unreadable(
                        "too long", f"its text has more than {longest} characters (server.limits.text of the recipe)"
                    )
            return readings
        except (Unreadable, FetchError) as error:
            outcome.unread[model.key] = (error.reason, _of_task(task, error))
            outcome.dropped.append(outcome.unread[model.key])
        return []

    pairs = list(zip(tasks, outcomes, strict=True))
    if model.needs_fetch and len(tasks) > 1:
        return list(read_ahead(read, pairs))
    return [read(pair) for pair in pairs]


def _predict_all(
    model: BoundModel,
    adapter: Adapter,
    where: Sequence[tuple[int, Reading]],
    outcomes: Sequence[Outcome],
    floor: float,
) -> list[Sequence[Value] | None]:
    """The adapter's values for each reading; None where it failed on one. A batch that fails is tried one by one."""
    if not where:
        return []

    def predict(readings: Sequence[Reading]) -> Sequence[Sequence[Value]]:
        predicted = adapter.predict_above([reading.view.data for reading in readings], floor)
        if len(predicted) != len(readings):
            raise LsmlError(f"{model.key} answered {len(predicted)} lists of values for {len(readings)} tasks")
        return predicted

    try:
        return list(predict([reading for _, reading in where]))
    except Exception as error:
        unforeseen = not isinstance(error, LsmlError)  # else the sentence of each task says it
        _log.warning(
            "%s failed on a batch of %d; trying its tasks one by one", model.key, len(where), exc_info=unforeseen
        )
    return _one_by_one(model, where, outcomes, lambda reading: predict([reading])[0])


def _one_by_one(
    model: BoundModel,
    where: Sequence[tuple[int, Reading]],
    outcomes: Sequence[Outcome],
    answer: Callable[[Reading], Sequence[Value]],
) -> list[Sequence[Value] | None]:
    """What `answer` says of each reading; None where it failed on one."""
    answered: list[Sequence[Value] | None] = []
    for index, reading in where:
        try:
            answered.append(answer(reading))
        except LsmlError as error:
            outcomes[index].dropped.append(("adapter failed", f"{model.key} failed: {error}"))
            answered.append(None)
        except Exception as error:
            _log.exception("%s failed on one task", model.key)
            outcomes[index].dropped.append(("adapter failed", f"{model.key} failed: {type(error).__name__}"))
            answered.append(None)
    return answered


def _responder(
    binding: Binding, model: BoundModel, adapter: InteractiveAdapter, drawn: Sequence[object]
) -> Callable[[Reading], list[Value]]:
    """How an interactive adapter answers one reading: from the regions that a person made on the same object and page."""

    def respond(reading: Reading) -> list[Value]:
        prompts: list[Value] = []
        for control in binding.prompting(model.object_tag):
            own = regions_of(control, drawn)
            values = control.decode(own, reading.view).values or ()
            prompts += [
                value for value in values if not isinstance(value, Shape) or value.item == (reading.view.item or 0)
            ]
        return adapter.respond(reading.view.data, prompts) if prompts else []

    return respond


def _of_task(task: Mapping[str, object], error: LsmlError) -> str:
    return f"task {task['id']}: {error}" if "id" in task else str(error)


def _write(
    binding: Binding,
    task: Mapping[str, Any],
    by_control: Mapping[str, _Answers],
    outcome: Outcome,
    model_version: str,
    judging: bool,
    drawn: Sequence[Any],
) -> dict[str, Any]:
    """A prediction: regions of every control that annotators would see, and the certainty of the least sure one.
    `drawn`: the regions that it answers.

    What the recipe does not show has no region, and counts for the certainty; it is judged where nothing else answers."""
    data, scoring = task["data"], binding.recipe.scoring
    chosen: list[tuple[_Answers, View, list[Value]]] = []
    certainties: list[float] = []
    everything: dict[str, list[Value]] = {}
    for name, answers in by_control.items():
        of_control = everything[name] = []
        for page in answers.pages.values():
            values, certainty = answers.combined(page.answers, data, scoring.by)
            unseen, unsure = answers.combined(page.hidden, data, scoring.by) if page.hidden else ([], None)
            if judging and not page.answers:
                values = unseen
            chosen.append((answers, page.view, values))
            of_control += values
            tag = answers.control.control_tag
            if not scoring.counts(tag.tag, tag.name):
                continue
            certainties += [sure for sure in (certainty, unsure) if sure is not None]
    outcome.values = _visible(everything, by_control, outcome)
    result: list[Region] = []
    for answers, view, values in chosen:
        control = answers.control
        if control.control_tag.name not in outcome.values:
            continue
        for region, problem in control.write(values, answers.to_name, view, data):
            if problem is None:
                result.append(region)
            else:
                outcome.dropped.append(("invalid region", f"{control.control_tag.selector}: {problem}"))
    prediction: dict[str, Any] = {"result": with_ids(result, drawn), "model_version": model_version}
    if certainties:
        prediction["score"] = min(1.0, max(0.0, min(certainties)))
    return prediction


def _visible(
    everything: dict[str, list[Value]], by_control: Mapping[str, _Answers], outcome: Outcome
) -> dict[str, list[Value]]:
    """Of the values of each control, those of the controls that annotators see."""
    visible = {}
    for name, values in everything.items():
        control_tag = by_control[name].control.control_tag
        conditions = control_tag.conditions
        if conditions and not all(_holds(condition, everything, by_control) for condition in conditions):
            outcome.dropped.append(("hidden", f"{control_tag.selector} is hidden by its visibleWhen"))
        else:
            visible[name] = values
    return visible


def _holds(condition: Condition, chosen: Mapping[str, Sequence[Value]], by_control: Mapping[str, _Answers]) -> bool:
    """True if annotators see a control under `visibleWhen`, given what is shown for the others."""
    if condition.when == "region-selected":
        return False  # a prediction of the whole task has no selected region
    if condition.when not in ("choice-selected", "choice-unselected"):
        return True
    names = [condition.tag_name] if condition.tag_name else list(chosen)
    shown = {(name, _label(value)) for name in names if name in chosen for value in chosen[name]}
    # A condition names a choice by its value or by its alias.
    labels = {label for _, label in shown}
    for name in names:
        if name in by_control:
            control = by_control[name].control
            for label in control.control_tag.labels:
                if (name, control.name_of(label)) in shown:
                    labels |= {label.value, label.name}
    selected = bool(labels & set(condition.values)) if condition.values else bool(labels)
    return selected == (condition.when == "choice-selected")


def _label(value: Value) -> str:
    return str(value.value) if isinstance(value, Number) else label_of(value) or ""
