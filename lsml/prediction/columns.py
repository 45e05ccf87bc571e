"""The models' answers by control: a column holds what each model answered for one control, task by task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding import BoundModel, Reading, as_configured
from lsml.controls.base import Control, ModelValues, ScoreKind, Threshold
from lsml.controls.merging import merged
from lsml.values import AssignedValues, Choice, DecidedSpans, Shape, Value

ByTask = dict[int, ModelValues]  # what one model answered for one control, by the index of the task


class ControlValues(msgspec.Struct):
    """The models' answers for one control on one page. `readings`: what was read, by the index of the task. `visible`: the
    answers that people may see, a dict for each model, first in rank first. `hidden`: the answers that they may not see."""

    control: Control
    combine: Literal["first", "union", "vote"]
    readings: dict[int, Reading] = {}
    visible: list[ByTask] = []
    hidden: list[ByTask] = []

    def chosen(
        self, tasks: Sequence[Mapping[str, Any]], kind: ScoreKind, *, judging: bool
    ) -> Iterator[tuple[int, list[Value], float | None]]:
        """Yield (the index of a task, the values to show, how sure the least sure model is).

        The score counts hidden answers, too. They are judged where no model that is shown answers."""
        for index in self.readings:
            data = tasks[index]["data"]
            by_model = [of_model[index] for of_model in self.visible if index in of_model]
            values, certainty = self._combined(by_model, data, kind)
            if self.hidden:
                unseen = [of_model[index] for of_model in self.hidden if index in of_model]
                others, unsure = self._combined(unseen, data, kind)
                if judging and not by_model:
                    values = others
                certainty = min((sure for sure in (certainty, unsure) if sure is not None), default=None)
            yield index, values, certainty

    def label_scores(self, index: int) -> dict[str, float]:
        """Return the score that the first model which people may see gave to each label of a choice, highest first."""
        shown = next((of_model[index].values for of_model in self.visible if index in of_model), ())
        scored = (
            (value.label, value.score) for value in shown if isinstance(value, Choice) and value.score is not None
        )
        scores: dict[str, float] = {}
        for label, score in sorted(scored, key=lambda one: (-one[1], one[0])):
            scores.setdefault(
                label, score
            )  # of several classes with one label, the surest counts, as in the prediction
        return scores

    def _combined(
        self, by_model: Sequence[ModelValues], data: Mapping[str, object], kind: ScoreKind
    ) -> tuple[list[Value], float | None]:
        """Return what to show of several models' answers, combined as the recipe says, and how sure they are."""
        if self.combine != "first" and len(by_model) > 1:
            by_model = [merged(self.control, by_model, data, self.combine)]
        return self.control.combine(by_model, data, kind)


class ValuesByControl:
    """The columns of all controls, by name and page, in the order in which they were first answered. `controls`: those of
    stages before, too."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[int | None, ControlValues]] = {}
        self.controls: dict[str, Control] = {}

    def begin_stage(self) -> None:
        """Forget the columns: what they hold was written."""
        self._columns = {}

    def __iter__(self) -> Iterator[ControlValues]:
        return (column for pages in self._columns.values() for column in pages.values())

    def take(
        self,
        model: BoundModel,
        adapter: Adapter,
        rank: int,
        asked: Sequence[tuple[int, Reading]],
        predicted: Sequence[Sequence[Value] | None],
        *,
        judging: bool,
    ) -> None:
        """Add a model's answers to the columns of its controls. `asked`: (the index of a task, what the model saw of it).

        `judging`: values below the threshold count, too, where a metric ranks by score."""
        names = model.classes
        translating = adapter.own_names or bool(names.former)
        by_page: dict[tuple[str, int | None], tuple[ControlValues, ByTask, Threshold]] = {}
        of_shapes = any(issubclass(kind, Shape) for kind in model.adapter_class.produces)
        of_one_kind = len(model.adapter_class.produces) == 1
        for (index, reading), answered in zip(asked, predicted, strict=True):
            if answered is None:
                continue
            page = reading.view.item
            values = names.translate(answered, adapter) if translating else answered
            decisions = answered.decisions if isinstance(answered, DecidedSpans) else None
            if of_shapes:
                values = [_placed(value, rank, page or 0) for value in values]
            for control, configured in zip(reading.controls, as_configured(model, reading), strict=True):
                # A Repeater makes copies for each task, with the same names.
                name = control.control_tag.name
                found = by_page.get((name, page))
                if found is None:
                    found = by_page[name, page] = self._values_for(model, control, page, judging=judging)
                column, by_task, threshold = found
                column.readings.setdefault(index, reading)
                # A classifier returns thousands of values of one kind, which need no check.
                if isinstance(answered, AssignedValues):
                    own = answered.by_control.get(configured.config_name, ())
                elif of_one_kind:
                    own = values
                else:
                    own = [value for value in values if isinstance(value, control.value_type)]
                by_task.setdefault(index, ModelValues(own, threshold, decisions))

    def _values_for(
        self, model: BoundModel, control: Control, page: int | None, *, judging: bool
    ) -> tuple[ControlValues, ByTask, Threshold]:
        """Return a control's column on a page, where a model's answers go in it, and the least score that counts there."""
        pages = self._columns.setdefault(control.control_tag.name, {})
        column = pages.get(page)
        if column is None:
            column = pages[page] = ControlValues(control, model.spec.combine)
            self.controls[control.control_tag.name] = control
        by_task: ByTask = {}
        (column.visible if model.spec.show else column.hidden).append(by_task)
        unfiltered = judging and control.judged_unfiltered
        return column, by_task, _everything if unfiltered else model.threshold(control)


def _placed(value: Value, rank: int, page: int) -> Value:
    """Return a value of an image with its page. Groups of different models and pages are kept apart."""
    if not isinstance(value, Shape) or (value.group is None and not page):
        return value
    group = None if value.group is None else f"{rank}.{page}.{value.group}"
    return msgspec.structs.replace(value, item=page, group=group)


def _everything(_label: str) -> float:
    return 0.0
