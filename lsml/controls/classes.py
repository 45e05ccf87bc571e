"""The common base of Choices and Taxonomy: which of the scored classes to show, and the model's certainty."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import ClassVar, Final

from lsml.controls.base import Control, Decoded, ModelValues, Region, ScoreKind, Threshold
from lsml.controls.certainty import certainty_of_all, certainty_of_one
from lsml.controls.label_names import distinct
from lsml.labeling import ControlTag, Label, resolve_value, split_path
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Choice, Scored, Value
from lsml.wording import JSON

_REMEMBERED: Final = 1024  # sets of labels whose checked region is cached


class ClassControl(Control):
    """A control tag whose answer is one label, or several, for the whole object."""

    value_type: ClassVar[type] = Choice

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        self._selectable: frozenset[str] | None = None  # labels of a model that can all be selected, whatever the task
        self._checked = lru_cache(_REMEMBERED)(self._write_checked)

    @cached_property
    def open(self) -> bool:
        """True if the labels come with each task."""
        return self.control_tag.options_value is not None

    @cached_property
    def limit(self) -> int | None:
        """The number of labels that may be selected; None where there is no limit."""
        return None if self.multiple else 1

    @property
    def default_threshold(self) -> float:
        """The default threshold: 0 for one label, so that the best is always shown; 0.5 for several."""
        return 0.5 if self.multiple else 0.0

    def facts(self) -> dict[str, object]:
        """Return the number of labels that may be selected, and the source of a task's own labels."""
        return {"multiple": self.multiple, "limit": self.limit, "options": self.control_tag.options_value}

    @abstractmethod
    def allowed(self, data: Mapping[str, object]) -> Mapping[str, object] | None:
        """Return the labels that can be selected for a task, as keys; None where they are not known here."""

    def possible(self, values: Sequence[Value], data: Mapping[str, object]) -> Sequence[Value]:
        """Return the values whose label can be selected."""
        if isinstance(values, Scored) and values.names is self._selectable:
            return values
        allowed = self.allowed(data)
        if allowed is None:
            return values
        if isinstance(values, Scored) and values.names <= allowed.keys():
            # A model names the same labels for every task: they are compared once, unless a task brings the labels.
            self._selectable = None if self.open else values.names
            return values
        return [choice for choice in _choices(values) if choice.label in allowed]

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return the best label, or all at or above their threshold up to the tag's limit; best first, ties in order.

        A value without a score counts as certain.
        """
        if not self.multiple:
            surest = values.surest if isinstance(values, Scored) else max(_choices(values), key=_score, default=None)
            if surest is None:
                return []
            score = 1.0 if surest.score is None else surest.score
            return [surest] if score >= threshold(surest.label) else []
        passed = [value for value in _choices(values) if _score(value) >= threshold(value.label)]
        best: dict[str, Value] = {}
        for value in sorted(passed, key=_score, reverse=True):
            best.setdefault(value.label, value)
        return list(best.values())[: self.limit]

    def combine(
        self, by_model: Sequence[ModelValues], data: Mapping[str, object], kind: ScoreKind
    ) -> tuple[list[Value], float | None]:
        """Return (values to show, certainty): the first model with a label wins; each of several labels is decided alone."""
        if self.multiple and len(by_model) > 1:
            decided: dict[str, Value] = {}
            thresholds: dict[str, Threshold] = {}
            for of_model in by_model:
                for value in of_model.values:
                    if isinstance(value, Choice) and value.label not in decided:
                        decided[value.label] = value
                        thresholds[value.label] = of_model.threshold
            everything = self.possible(list(decided.values()), data)
            selected = self.select(everything, lambda label: thresholds[label](label))
            return selected, self.certainty(everything, kind)
        first: tuple[list[Value], float | None] | None = None
        for of_model in by_model:
            values = self.possible(of_model.values, data)
            certainty = self.certainty(values, kind)
            # If the best label was removed from the config, the next best would be wrong, so nothing is shown.
            gone = values is not of_model.values and not self.multiple and not self.open
            selected = (
                [] if gone and _best(of_model.values) != _best(values) else self.select(values, of_model.threshold)
            )
            if selected:
                return selected, certainty
            first = first or (selected, certainty)
        return first or ([], None)

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the top probability, its margin or the inverted entropy; for several labels, that of the least sure one."""
        if isinstance(values, Scored):
            scores = values.scores
            if values.best >= 0 and kind == "confidence" and not self.multiple:
                return scores[values.best]
        else:
            scores = [score for choice in _choices(values) if (score := choice.score) is not None]
            if len(scores) < len(values):
                return None
        if not scores:
            return None
        if self.multiple:
            return min(certainty_of_one(score, kind) for score in scores)
        return certainty_of_all(scores, kind)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region with all labels; its score is that of the least sure one."""
        labels, score = self._shown_labels(values)
        return [self._region(self._written(labels), to_name, score)] if labels else []

    def write(
        self, values: Sequence[Value], to_name: str, on: View | None, data: Mapping[str, object]
    ) -> list[tuple[Region, str | None]]:
        """Return regions as every control does. Where labels do not come with the task, equal ones are checked once."""
        if self.open:
            return super().write(values, to_name, on, data)
        labels, score = self._shown_labels(values)
        if not labels:
            return []
        value, problem = self._checked(labels)
        return [(self._region(value, to_name, score), problem)]

    def _write_checked(self, labels: tuple[str, ...]) -> tuple[dict[str, object], str | None]:
        """Return a region's `value` for some labels, and its error."""
        value = self._written(labels)
        return value, self.check(self._region(value, "", None), {})

    @abstractmethod
    def _written(self, labels: Sequence[str]) -> dict[str, object]:
        """Return a region's `value` for some labels."""

    def _shown_labels(self, values: Sequence[Value]) -> tuple[tuple[str, ...], float | None]:
        """Return different labels in order, up to the tag's limit, and the score of the least sure one."""
        choices = _choices(values)
        if len(choices) == 1:
            only = choices[0]
            return (only.label,), only.score
        different: dict[str, float | None] = {}
        for choice in choices:
            different.setdefault(choice.label, choice.score)
        labels = tuple(different)[: self.limit]
        scores = [score for label in labels if (score := different[label]) is not None]
        return labels, min(scores, default=None)

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the labels that a person chose, by alias or value. None where no known label was chosen."""
        remarks: list[Remark] = []
        labels: list[str] = []
        for region in regions:
            try:
                labels += self.named(region, remarks)
            except Misread as error:
                remarks.append(error.remark)
        different = distinct(labels)
        if self.limit is not None and len(different) > self.limit:
            remarks.append(Remark(Reason.TOO_MANY_LABELS, f"{len(different)} labels where {self.limit} may be"))
        return Decoded(tuple(Choice(label) for label in different[: self.limit]) or None, tuple(remarks))

    def named(self, region: Region, remarks: list[Remark]) -> list[str]:
        """Return the labels that a region chose."""
        labels = []
        for answer in self._answers(self._given(region)):
            label = self._label(answer, remarks)
            if label is None:
                remarks.append(Remark(Reason.UNKNOWN_LABEL, _written(answer)))
            else:
                labels.append(label)
        return labels

    @abstractmethod
    def _answers(self, value: Mapping[str, object]) -> list[object]:
        """Return the answers in a region's value, each a name or a path. Raises Misread where there is no list."""

    @abstractmethod
    def _label(self, answer: object, remarks: list[Remark]) -> str | None:
        """Return the label of an answer; None where the tag has none of that name."""

    def _answers_problem(self, key: str, labels: Sequence[str], data: Mapping[str, object]) -> str | None:
        """Return the error in well-formed answers: none, too many, one twice, or one that cannot be selected."""
        selector = self.control_tag.selector
        if not labels:
            return f"{selector}: value.{key} is empty; expected at least one label, or no region"
        if self.limit is not None and len(labels) > self.limit:
            return f"{selector}: value.{key} has {len(labels)} labels; expected at most {self.limit}"
        if len(set(labels)) < len(labels):
            return f"{selector}: value.{key} has a label twice; expected each once"
        allowed = self.allowed(data)
        for label in labels:
            if allowed is not None and label not in allowed:
                return f"{selector}: value.{key} has {JSON.shown(label)}; expected {_one_of(allowed)}"
        return None


def task_options(control_tag: ControlTag, data: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield (path, True for a leaf) of the options that come with a task; nothing where the task has none.

    They are a list of texts, or of objects with value, alias and children.
    """
    if control_tag.options_value is None:
        return
    try:
        given = resolve_value(control_tag.options_value, data)
    except KeyError:
        return
    # A stack instead of recursion, as untrusted JSON can be deep.
    stack: list[tuple[tuple[str, ...], Iterator[object]]] = [((), _elements(given))]
    while stack:
        above, nodes = stack[-1]
        for node in nodes:
            name, children = node, None
            if isinstance(node, dict):
                name, children = node.get("alias") or node.get("value"), node.get("children")
            if isinstance(name, str) and name:
                yield (*above, name), not children
                stack.append(((*above, name), _elements(children)))
                break
        else:
            stack.pop()


def _best(values: Sequence[Value]) -> str | None:
    """Return the label with the highest score. One without a score only counts where none has one."""
    best, highest = None, -2.0
    for value in values:
        if isinstance(value, Choice):
            score = -1.0 if value.score is None else value.score
            if score > highest:
                best, highest = value.label, score
    return best


def _choices(values: Sequence[Value]) -> Sequence[Choice]:
    """Return values as choices without a check, as there may be thousands and a control gets no others."""
    return values  # type: ignore[return-value]  # `cast` is a call, for each task


def _elements(nodes: object) -> Iterator[object]:
    return iter(nodes if isinstance(nodes, list) else ())


def value_paths(labels: Sequence[Label]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the path of values for each path of names. A node comes after its parent."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {(): ()}
    for label in labels:
        found[label.path] = (*found[label.path[:-1]], label.value)
    return found


def former_paths(labels: Sequence[Label]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return today's path of names for each former path: with a node's former name, a parent's, or a whole former path."""
    every: dict[tuple[str, ...], list[tuple[str, ...]]] = {(): [()]}
    former: dict[tuple[str, ...], tuple[str, ...]] = {}
    for label in labels:
        whole = [path for name in label.was if len(path := split_path(name)) > 1]
        names = [label.path[-1], *(name for name in label.was if len(split_path(name)) == 1)]
        every[label.path] = [(*above, name) for above in every[label.path[:-1]] for name in names] + whole
        for path in every[label.path]:
            if path != label.path:
                former.setdefault(path, label.path)
    return former


def listed(answers: object) -> list[object]:
    """Return the answers of a region; older regions hold a single one. Raises Misread for anything else."""
    if answers is None:
        return []
    if isinstance(answers, str):
        return [answers]
    if not isinstance(answers, list):
        raise Misread(Reason.NOT_A_LIST, JSON.shown(answers))
    return answers


def _written(answer: object) -> str:
    """Return an answer for people: a name, or a path with an arrow between its names."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list) and answer and all(isinstance(name, str) for name in answer):
        return " > ".join(answer)
    return JSON.shown(answer)


def _score(value: Choice) -> float:
    return 1.0 if value.score is None else value.score


def _one_of(labels: Collection[str], most: int = 5) -> str:
    if not labels:
        return "no region, because the task has no options"
    names = ", ".join(JSON.shown(label) for label in list(labels)[:most])
    more = f" or {len(labels) - most} more" if len(labels) > most else ""
    return f"{names}{more}" if len(labels) == 1 else f"one of {names}{more}"
