"""The agreement of annotators, with which a metric is compared: no model can agree with people more than they do themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Literal

import msgspec

from lsml.binding import Binding
from lsml.labeling import AnnotatedTask
from lsml.labeling.objects import Fetch
from lsml.metrics import judge
from lsml.values import Choice, Relation, Value
from lsml.versions import Ceiling

Measure = Literal["Krippendorff's alpha", "mean of pairs"]


Given = dict[str, tuple[Value, ...]]  # the answers for one control of one task, by annotator


class PairAgreement(msgspec.Struct, frozen=True):
    """The agreement of two annotators on the tasks that both annotated: Cohen's kappa for choices, else the control's
    metric with one of them as the truth. None where kappa is undefined, as both always gave the same single label.
    """

    annotators: tuple[str, str]
    value: float | None
    tasks: int


class ControlAgreement(msgspec.Struct, frozen=True):
    """The agreement of all annotators on one control, on the tasks that several annotated. 1 is perfect; 0 is chance for
    alpha, and nothing in common for other metrics; None where no task has answers of two.
    """

    control: str
    measure: Measure
    value: float | None
    tasks: int
    pairs: list[PairAgreement]


class Annotator(msgspec.Struct, frozen=True):
    """One annotator: the number of annotations, and the mean agreement with the others over controls and tasks."""

    annotator: str
    annotations: int
    agreement: float | None


class Annotators(msgspec.Struct, frozen=True):
    """All annotators, those with the most annotations first."""

    annotators: list[Annotator]
    controls: list[ControlAgreement]


def agreement(binding: Binding, tasks: Iterable[AnnotatedTask], fetch: Fetch) -> Annotators:
    """Return the agreement of a project's annotators.

    Of several annotations of a task by one person the last one counts; a model's annotation that nobody touched does
    not.
    """
    counts: Counter[str] = Counter()
    overlaps = Overlaps(binding, fetch)
    for task in overlaps.watch(tasks):
        counts.update(_annotators(task))
    controls = [_of_control(name, kind, given) for name, kind, given in overlaps.by_control()]
    return Annotators([Annotator(who, count, _mean_of(who, controls)) for who, count in counts.most_common()], controls)


class Overlaps:
    """The answers of several people for the same tasks, gathered while the tasks are read for something else."""

    def __init__(self, binding: Binding, fetch: Fetch) -> None:
        self._binding = binding
        self._fetch = fetch
        self._given: dict[str, list[Given]] = defaultdict(list)

    def watch(self, tasks: Iterable[AnnotatedTask]) -> Iterator[AnnotatedTask]:
        """Yield the tasks, and gather what several people answered."""
        for task in tasks:
            if len(set(_annotators(task))) > 1:
                self._take(task)
            yield task

    def _take(self, task: AnnotatedTask) -> None:
        for control, answers in self._binding.answers_by_people(task, self._fetch):
            latest = {one.annotation.number: one.values for one in answers if one.annotation.annotator}
            # Relations join a person's own regions, whose ids nobody else's have.
            if len(latest) > 1 and control.value_type is not Relation:
                self._given[control.control_tag.name].append(latest)

    def by_control(self) -> Iterator[tuple[str, type, list[Given]]]:
        """Yield (name, value type, the answers of each task by annotator) of each control that several answered."""
        for name, control in self._binding.controls.items():
            if given := self._given.get(name):
                yield name, control.value_type, given

    def ceilings(self) -> dict[str, Ceiling]:
        """Return the control's own metric of people against each other, by control; of all pairs of a task's annotators."""
        found = {}
        for name, kind, given in self.by_control():
            value = judge(kind, [pair for answers in given for pair in combinations(answers.values(), 2)])["value"]
            if value is not None:
                found[name] = Ceiling(round(float(value), 4), len(given))
        return found


def _annotators(task: AnnotatedTask) -> list[str]:
    """Return who made each annotation, without those that a model made and nobody touched."""
    return [one.number for one in task.annotations if one.annotator and not (one.accepted or one.submitted)]


def _of_control(name: str, value_type: type, given: Sequence[Given]) -> ControlAgreement:
    people = sorted({who for answers in given for who in answers})
    pairs = []
    for first, second in combinations(people, 2):
        both = [(answers[first], answers[second]) for answers in given if first in answers and second in answers]
        if both:
            value = _kappa(both) if value_type is Choice else judge(value_type, both)["value"]
            pairs.append(PairAgreement((first, second), None if value is None else round(float(value), 4), len(both)))
    if value_type is Choice:
        return ControlAgreement(name, "Krippendorff's alpha", _alpha(given), len(given), pairs)
    known = [(pair.value, pair.tasks) for pair in pairs if pair.value is not None]
    count = sum(tasks for _, tasks in known)
    mean = sum(value * tasks for value, tasks in known) / count if count else None
    return ControlAgreement(name, "mean of pairs", None if mean is None else round(mean, 4), len(given), pairs)


def _label(values: Sequence[Value]) -> str:
    """Return an answer of choices as one category: several labels are another one than each of them."""
    return "\0".join(sorted(value.label for value in values if isinstance(value, Choice)))


def _kappa(both: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> float | None:
    from sklearn.metrics import cohen_kappa_score

    first, second = ([_label(side[at]) for side in both] for at in (0, 1))
    if len({*first, *second}) < 2:
        return None
    return float(cohen_kappa_score(first, second))


def _alpha(given: Sequence[Given]) -> float | None:
    """Return Krippendorff's alpha for nominal data; 1 where everybody always gave the same single label.

    Each task has answers of two people or more. https://en.wikipedia.org/wiki/Krippendorff%27s_alpha
    """
    tasks = [Counter(_label(values) for values in task.values()) for task in given]
    labels = sum(tasks, Counter[str]())
    if len(labels) < 2:
        return 1.0
    answers = labels.total()
    # Each answer counts against the others for its task, and in expectation against all others.
    observed = sum(_unequal_pairs(task) / (task.total() - 1) for task in tasks) / answers
    expected = _unequal_pairs(labels) / (answers * (answers - 1))
    return round(1 - observed / expected, 4)


def _unequal_pairs(labels: Counter[str]) -> int:
    """Return the number of ordered pairs of answers with different labels."""
    return labels.total() ** 2 - sum(count**2 for count in labels.values())


def _mean_of(who: str, controls: Iterable[ControlAgreement]) -> float | None:
    """Return the mean agreement of one annotator with the others; a task counts once for each pair and control."""
    own = [
        (pair.value, pair.tasks)
        for control in controls
        for pair in control.pairs
        if who in pair.annotators and pair.value is not None
    ]
    count = sum(tasks for _, tasks in own)
    return round(sum(value * tasks for value, tasks in own) / count, 4) if count else None
