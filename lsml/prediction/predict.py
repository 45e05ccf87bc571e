"""Tasks in, predictions out. Each control takes the values that it can write, and a bad task affects only itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from lsml.adapters import lacking
from lsml.adapters.base import Adapter, Data, InteractiveAdapter
from lsml.binding import Binding, BoundModel, Reading, regions_of
from lsml.errors import FetchError, LsmlError
from lsml.labeling.items import Items
from lsml.labeling.needed import REGIONS, with_regions, without_regions
from lsml.labeling.objects import Fetch, Unreadable, read_ahead
from lsml.prediction.ahead import NOTHING, Readings, reading_ahead
from lsml.prediction.asking import Ask, ask_directly
from lsml.prediction.columns import ValuesByControl
from lsml.prediction.outcomes import Outcome, write_label_scores, write_predictions
from lsml.values import Shape, Text, Value

_log = logging.getLogger(__name__)
_FREELY: Final = nullcontext()
_FIRST_TURN = 64  # tasks whose time gives an estimate for the others
_FETCHED_TURN = 16  # the least tasks of a turn where files are fetched, a usual batch: the first ones are waited for
_SHORT = 0.01  # the share of the remaining time that one turn may be planned to take
_TURN_S = 10.0  # about the time between two checks of the clock


LATE: Final = "out of time"  # the reason for no prediction of a task that a request did not reach
# The reason for no prediction where people annotate without the model.
HELD_OUT: Final = (
    "held out",
    "the validation set is annotated without predictions (training.holdout of the recipe: blind)",
)


class Speed:
    """The speed of a version in its last turn, `tasks_per_s`, which is 0 before the first one, and the time that a request
    may take, `seconds`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.tasks_per_s = 0.0

    def first_turn(self, binding: Binding) -> int:
        """Return the number of tasks in the first turn of a request: few, unless more took little time in the last turn.

        Where files are fetched, the last ones say nothing about the next, and the model waits for all of a turn.
        """
        if binding.needs_fetch:
            return _FETCHED_TURN
        return max(_FIRST_TURN, int(self.tasks_per_s * self.seconds * _SHORT))


@dataclass(frozen=True)
class Predictor:
    """A served version, ready to predict. `adapters` holds one for each of the binding's models, by key.

    `computing` is entered for all but the reading of the tasks' files. `ask` asks the models. `readings`: what was read
    ahead. `label_scores`: outcomes have the score of each label.
    """

    binding: Binding
    adapters: Mapping[str, Adapter]
    fetch: Fetch
    model_version: str = ""
    computing: AbstractContextManager[None] = _FREELY
    ask: Ask = ask_directly
    readings: Readings = NOTHING
    label_scores: bool = False


def predict_tasks(
    predictor: Predictor,
    tasks: Sequence[Mapping[str, object]],
    *,
    drawn: Sequence[object] = (),
    judging: bool = False,
) -> list[Outcome]:
    """Return one outcome for each task, in order.

    `drawn`: the regions that a person made, in an interactive call; then the interactive adapters answer them, where there
    are any. `judging`: leave in what a threshold would hide, where a metric ranks by score.
    """
    outcomes = [Outcome() for _ in tasks]
    if not predictor.binding.models:
        for outcome in outcomes:
            outcome.dropped.append(("unbound", predictor.binding.state()))
        return outcomes
    with predictor.fetch.hold() as held:
        _predict_held(replace(predictor, fetch=held), tasks, outcomes, drawn, judging=judging)
    return outcomes


def _predict_held(
    predictor: Predictor,
    tasks: Sequence[Mapping[str, object]],
    outcomes: Sequence[Outcome],
    drawn: Sequence[object],
    *,
    judging: bool,
) -> None:
    """Fill in the outcomes while the needed files stay in the cache."""
    binding, adapters = predictor.binding, predictor.adapters
    columns = ValuesByControl()
    responding = _responds(predictor, drawn)
    needed = {tool.config_name: tool.names for model in binding.models for tool in model.needs}
    if needed and not judging:  # regions in the task data come from models only
        tasks = [_without_regions(task) for task in tasks]
    for number, stage in enumerate(binding.stages):
        if number:
            columns.begin_stage()
            tasks = [_with_regions(needed, *pair, judging=judging) for pair in zip(tasks, outcomes, strict=True)]
        for rank, model in stage:
            adapter = adapters[model.key]
            reason = _silence(model, adapter, responding=responding)
            if reason is not None:
                for outcome in outcomes:
                    outcome.dropped.append(reason)
                continue
            readings = _read_all(model, tasks, predictor, outcomes)
            where = [(index, reading) for index, of_task in enumerate(readings) for reading in of_task]
            with predictor.computing:
                if responding:
                    assert isinstance(adapter, InteractiveAdapter)
                    predicted = _one_by_one(model, tasks, where, outcomes, _responder(binding, model, adapter, drawn))
                else:
                    floor = 0.0 if judging else model.floor
                    predicted = _predict_all(model, partial(predictor.ask, adapter), tasks, where, outcomes, floor)
                columns.take(model, adapter, rank, where, predicted, judging=judging)
        with predictor.computing:
            write_predictions(
                binding, tasks, columns, outcomes, predictor.model_version,
                judging=judging, drawn=drawn if responding else (),
            )  # fmt: skip
        if predictor.label_scores:
            write_label_scores(columns, outcomes)


def _without_regions(task: Mapping[str, object]) -> Mapping[str, object]:
    data = task.get("data")
    return {**task, "data": without_regions(data)} if isinstance(data, Mapping) and REGIONS in data else task


def _with_regions(
    needed: Mapping[str, Collection[str]], task: Mapping[str, object], outcome: Outcome, *, judging: bool
) -> Mapping[str, object]:
    """Return a task with the regions predicted so far, for the models that need them; when models are judged, with the
    person's regions instead. `needed`: the names of their controls' tags, by the name of the control.
    """
    data = task.get("data")
    if not isinstance(data, Mapping) or (judging and REGIONS in data):
        return task
    result = outcome.prediction["result"] if outcome.prediction else []
    regions = {name: [one for one in result if one.get("from_name") in names] for name, names in needed.items()}
    return {**task, "data": with_regions(data, regions)}


def predict_in_time(
    predictor: Predictor,
    tasks: Sequence[Mapping[str, object]],
    *,
    speed: Speed,
    hiding: bool = False,
    drawn: Sequence[object] = (),
) -> list[Outcome]:
    """Return outcomes as `predict_tasks` does, in about the seconds of `speed`. Tasks that are not reached have no prediction.

    So Label Studio, which gives up on a whole request, keeps the other predictions and asks again for these. `hiding`:
    leave out predictions that the binding hides from people, too. `speed`: that of the adapters; it is measured anew.
    """
    binding = predictor.binding
    if hiding and any(hidden := [binding.hides(task.get("id")) for task in tasks]):
        visible = [task for task, hide in zip(tasks, hidden, strict=True) if not hide]
        predicted = iter(predict_in_time(predictor, visible, speed=speed, drawn=drawn))
        return [Outcome(dropped=[HELD_OUT]) if hide else next(predicted) for hide in hidden]
    began = last = time.monotonic()
    outcomes: list[Outcome] = []
    size = speed.first_turn(binding)
    with predictor.fetch.hold() as held, reading_ahead(_first_to_fetch(predictor, drawn), tasks, held) as ahead:
        while len(outcomes) < len(tasks):
            some = tasks[len(outcomes) : len(outcomes) + size]
            ready = replace(predictor, fetch=held, readings=ahead.take(len(some)))
            outcomes += predict_tasks(ready, some, drawn=drawn)
            now = time.monotonic()
            speed.tasks_per_s, last, took = len(some) / max(now - last, 1e-6), now, now - began
            if took >= speed.seconds:
                break
            # Few turns, because libraries are fastest with many tasks; but short ones, because later tasks may be slower.
            size = max(1, int(len(outcomes) / took * min(speed.seconds - took, _TURN_S)) if took else len(tasks))
            if binding.needs_fetch:
                # Files that are on their way may come while the model computes on those that are there.
                size = min(size, max(_FETCHED_TURN, ahead.ready))
    late = (
        LATE,
        f"the prediction took more than {speed.seconds:g} s (server.limits.time of the recipe); request these tasks again",
    )
    return outcomes + [Outcome(dropped=[late]) for _ in tasks[len(outcomes) :]]


def _first_to_fetch(predictor: Predictor, drawn: Sequence[object]) -> list[BoundModel]:
    """Return the models that are asked first, and whose data are fetched."""
    responding = _responds(predictor, drawn)
    return [
        model
        for stage in predictor.binding.stages[:1]
        for _, model in stage
        if model.needs_fetch and _silence(model, predictor.adapters[model.key], responding=responding) is None
    ]


def _responds(predictor: Predictor, drawn: Sequence[object]) -> bool:
    """Return True if a person's regions are answered."""
    return bool(drawn) and any(isinstance(adapter, InteractiveAdapter) for adapter in predictor.adapters.values())


def _silence(model: BoundModel, adapter: Adapter, *, responding: bool) -> tuple[str, str] | None:
    """Return the reason why a model is not asked, as a short name and a sentence; None if it is asked."""
    if not adapter.ready:
        lacks = lacking(model.adapter_class, model.spec.options, model.target)
        if lacks:
            return "untrained", f"{model.key}: {lacks}"
        # An interactive adapter may not need what `predict` needs.
        if not (responding and isinstance(adapter, InteractiveAdapter)):
            return "untrained", f"{model.key} is not trained yet"
    if adapter.own_names and model.classes.meaningless:
        return (
            "untrained",
            f"{model.key}: none of its classes matches a label; `lsml explain` shows both",
        )
    if responding and not isinstance(adapter, InteractiveAdapter):
        return "not interactive", f"{model.key} does not answer prompts"
    if not responding and adapter.only_interactive and not model.needs:
        return "interactive", f"{model.key} only answers prompts"
    return None


def _read_all(
    model: BoundModel, tasks: Sequence[Mapping[str, object]], predictor: Predictor, outcomes: Sequence[Outcome]
) -> list[list[Reading]]:
    longest = predictor.binding.recipe.server.limits.text
    ahead = [predictor.readings.of(model, task) for task in tasks]

    def read(one: tuple[Mapping[str, object], Outcome, Future[list[Reading]] | None]) -> list[Reading]:
        task, outcome, begun = one
        try:
            readings = model.read(task, predictor.fetch) if begun is None else begun.result()
            for reading in readings:
                if _length(reading.view.data) > longest:
                    raise Unreadable(
                        "too long", f"its text has more than {longest} characters (server.limits.text of the recipe)"
                    )
            return readings
        except (Unreadable, FetchError) as error:
            outcome.unread[model.key] = (error.reason, _of_task(task, error))
            outcome.dropped.append(outcome.unread[model.key])
        return []

    all_of_them = list(zip(tasks, outcomes, ahead, strict=True))
    if model.needs_fetch and len(tasks) > 1 and None in ahead:
        return list(read_ahead(read, all_of_them))
    return [read(one) for one in all_of_them]


def _length(data: object) -> int:
    """Return the characters of a text, or of the longest of several; 0 for other data."""
    if isinstance(data, Items):
        return max(map(len, data.texts), default=0)
    return len(data) if isinstance(data, str) else 0


def _predict_all(
    model: BoundModel,
    ask: Callable[[Sequence[Data], float], Sequence[Sequence[Value]]],
    tasks: Sequence[Mapping[str, object]],
    where: Sequence[tuple[int, Reading]],
    outcomes: Sequence[Outcome],
    floor: float,
) -> list[Sequence[Value] | None]:
    """Return the adapter's values for each reading; None where it failed on one. A batch that fails is repeated one by one."""
    if len(where) > 1:
        try:
            return list(ask([reading.view.data for _, reading in where], floor))
        except Exception as error:
            unforeseen = not isinstance(error, LsmlError)  # other errors have a message for each task
            _log.warning(
                "%s failed on a batch of %d; predicting its tasks one by one",
                model.key,
                len(where),
                exc_info=unforeseen,
            )
    return _one_by_one(model, tasks, where, outcomes, lambda reading: ask([reading.view.data], floor)[0])


def _one_by_one(
    model: BoundModel,
    tasks: Sequence[Mapping[str, object]],
    where: Sequence[tuple[int, Reading]],
    outcomes: Sequence[Outcome],
    answer: Callable[[Reading], Sequence[Value]],
) -> list[Sequence[Value] | None]:
    """Return the result of `answer` for each reading; None where it failed on one."""
    answered: list[Sequence[Value] | None] = []
    for index, reading in where:
        try:
            answered.append(answer(reading))
        except LsmlError as error:
            outcomes[index].dropped.append(("adapter failed", _of_task(tasks[index], f"{model.key} failed: {error}")))
            answered.append(None)
        except Exception as error:
            _log.exception("%s failed on one task", model.key)
            failed = f"{model.key} failed: {type(error).__name__}"
            outcomes[index].dropped.append(("adapter failed", _of_task(tasks[index], failed)))
            answered.append(None)
    return answered


def _responder(
    binding: Binding, model: BoundModel, adapter: InteractiveAdapter, drawn: Sequence[object]
) -> Callable[[Reading], list[Value]]:
    """Return a function that answers one reading with an interactive adapter, from a person's regions on the same object
    and page.
    """

    def respond(reading: Reading) -> list[Value]:
        prompts: list[Value] = []
        for control in binding.prompting(model.object_tag):
            if control.value_type is Text and any(tool.config_name == control.config_name for tool in model.controls):
                continue  # what it wrote, and a person corrects
            own = regions_of(control, drawn)
            values = control.decode(own, reading.view).values or ()
            prompts += [
                value for value in values if not isinstance(value, Shape) or value.item == (reading.view.item or 0)
            ]
        return adapter.respond(reading.view.data, prompts) if prompts else []

    return respond


def _of_task(task: Mapping[str, object], what: object) -> str:
    return f"task {task['id']}: {what}" if "id" in task else str(what)
