"""The answers in annotations, and counts of everything in them that could not be used."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from lsml.binding.model import BoundModel
from lsml.binding.needs import groups
from lsml.binding.prompts import regions_of
from lsml.binding.reliability import Votes
from lsml.controls.base import Control, Decoded, Region
from lsml.controls.regions import RegionControl
from lsml.errors import FetchError
from lsml.labeling import AnnotatedTask, Annotation
from lsml.labeling.annotated import many
from lsml.labeling.needed import with_regions, without_regions
from lsml.labeling.objects import Fetch, Unreadable
from lsml.labeling.remarks import Reason, Remark, lost, matter
from lsml.labeling.view import View
from lsml.recipe import LearnFrom
from lsml.values import Value, label_of
from lsml.wording import JSON, one_line

_SUBJECTS = 20  # the most different subjects, such as labels, of one control and reason
_SUBJECT = 300  # the most characters of a subject
_TOLD = 8  # the most sentences of a report


class LeftOut(msgspec.Struct, frozen=True):
    """A part of annotations that was left out or read differently: one reason, of one control.

    `count` of `total` regions, whose name in messages is `regions` ("boxes"); of tasks where their data could not be read;
    `subject`: the exact part, such as a label; `near`: similar labels of the config; `task`: the id of the first task.
    """

    reason: str
    control: str  # RectangleLabels#label
    regions: str
    count: int
    total: int
    task: str
    subject: str = ""
    near: tuple[str, ...] = ()

    @property
    def lost(self) -> bool:
        """True if they were left out; else they were understood."""
        return self.reason not in tuple(Reason) or Reason(self.reason).lost

    @property
    def sentence(self) -> str:
        """A line with what was left out, the reason, the first task, and what to do."""
        if self.reason not in tuple(Reason):
            return f"{self.control}: {many(self.count, 'annotated task')} left out: {self.subject}"
        subject = f"`{self.subject}`" if self.reason in (Reason.UNKNOWN_LABEL, Reason.OTHER_CONTROL) else self.subject
        what, fix = matter(self.reason, subject)
        if self.near:
            fix = f"near: {', '.join(self.near)}"
        done = "left out" if self.lost else "understood"
        of = f"{self.count} of {self.total}" if self.total >= self.count else str(self.count)
        return f"{self.control}: {of} {self.regions} {done}: {what}; {fix}; first: task {self.task}"


@dataclass(frozen=True)
class Taught:
    """The answers in one task's annotations, by control name: usually one, under `several: all` each of them.

    Controls without an answer are left out. `data`: the task's data, with the regions that models need; `remarks`: remarks
    on regions, with their control; `regions`: the number of regions of each control, by selector.
    """

    answers: dict[str, list[tuple[Value, ...]]]
    data: dict[str, Any]
    remarks: tuple[tuple[Control, Remark], ...] = ()
    regions: Mapping[str, int] = field(default_factory=dict)


class Given(NamedTuple):
    """One person's answer to a control."""

    values: tuple[Value, ...]
    annotation: Annotation


def learn(
    models: Sequence[BoundModel],
    known: Sequence[str],
    task: AnnotatedTask,
    fetch: Fetch,
    weights: Mapping[str, float],
    *,
    anyone: bool = False,
) -> Taught:
    """Return the answers in a task's annotations for the models, and what was left out.

    `known`: the names of all controls of the labeling config. `weights`: each annotator's weight, where it matters.
    `anyone`: do not filter by annotator.
    """
    answers: dict[str, list[tuple[Value, ...]]] = {}
    remarks: list[tuple[Control, Remark]] = []
    regions: Counter[str] = Counter()
    seen: set[str] = set()
    strange = strange_controls(task.annotations, known)
    task = _with_needed(models, task, anyone=anyone)
    for model in models:
        learn_from = _learn_from(model)
        annotations, others = (task.annotations, []) if anyone else _teaching(learn_from, task.annotations)
        try:
            views = model.views_by_control(task, fetch)
        except (Unreadable, FetchError) as error:
            for control in model.controls:
                if control.control_tag.name not in seen:
                    seen.add(control.control_tag.name)
                    remarks.append((control, Remark(error.reason, f"task {task.id}: {error}")))
            continue
        for template, control in model.copies(task.data):
            name = control.control_tag.name
            if name in seen:
                continue
            seen.add(name)
            own, told = _answers(control, annotations, views.get(name), strange)
            for one, remark in others:
                told += [remark] * len(regions_of(control, one.result))
            told += [remark for remark in _answers(control, task.replaced, views.get(name), {})[1] if lost([remark])]
            regions[template.control_tag.selector] += sum(
                len(regions_of(control, annotation.result)) for annotation in (*task.annotations, *task.replaced)
            )
            remarks += [(template, remark) for remark in told]
            agreed = _agree(own, learn_from, weights)
            if agreed:
                answers[name] = agreed
        if model.copied and (model.needs or model.asks_messages):
            reason = Reason.OTHER_REGION if model.needs else Reason.OTHER_MESSAGE
            for control in model.controls:
                astray = _astray(control, model.copies(task.data), annotations)
                regions[control.control_tag.selector] += astray
                remarks += [(control, Remark(reason))] * astray
    return Taught(answers, task.data, tuple(remarks), regions)


def _learn_from(model: BoundModel) -> LearnFrom:
    return model.spec.training.learn_from if model.spec.training else LearnFrom()


def _with_needed(models: Sequence[BoundModel], task: AnnotatedTask, *, anyone: bool = False) -> AnnotatedTask:
    """Return the task with the regions in its data that models need, as drawn in the annotations that these models learn
    from.

    Of several regions with one id the latest counts. If only the latest annotation is learnt, only its regions are.
    """
    found: dict[str, dict[str, list[Region]]] = {}
    for model in models:
        learn_from = _learn_from(model)
        annotations = task.annotations if anyone else _teaching(learn_from, task.annotations)[0]
        for tool in model.needs:
            of_tool = found.setdefault(tool.config_name, {})
            for annotation in _heard(annotations, learn_from):
                of_tool.update(groups(tool, annotation.result))
    data = without_regions(task.data)
    if found:
        flat = {name: [part for parts in of_tool.values() for part in parts] for name, of_tool in found.items()}
        data = with_regions(data, flat)
    return msgspec.structs.replace(task, data=data)


def _heard(annotations: Sequence[Annotation], learn_from: LearnFrom) -> Sequence[Annotation]:
    """Return those annotations to learn whose regions are used."""
    truths = [one for one in annotations if one.ground_truth] if learn_from.ground_truth != "any" else []
    return truths[-1:] or (annotations[-1:] if learn_from.several == "latest" else annotations)


def _astray(control: Control, copies: Sequence[tuple[Control, Control]], annotations: Sequence[Annotation]) -> int:
    """Return the number of answers to a control about regions or messages that it is not asked about."""
    asked = [copy for template, copy in copies if template is control]
    given = (region for annotation in annotations for region in regions_of(control, annotation.result))
    return sum(not any(copy.owns(region) for copy in asked) for region in given)


def votes(models: Sequence[BoundModel], known: Sequence[str], task: AnnotatedTask, fetch: Fetch) -> Iterator[Votes]:
    """Yield several people's answers to each control of a task, for models that weight annotators."""
    for model in models:
        learn_from = _learn_from(model)
        if learn_from.several != "weighted":
            continue
        for _, given in answers_by_people([model], known, task, fetch, learn_from):
            truths = [frozenset(one.values) for one in given if one.annotation.ground_truth]
            people = tuple((one.annotation.annotator, frozenset(one.values)) for one in given)
            if len(people) > 1:
                yield Votes(people, truths[-1] if truths and learn_from.ground_truth != "any" else None)


def answers_by_people(
    models: Sequence[BoundModel], known: Sequence[str], task: AnnotatedTask, fetch: Fetch, learn_from: LearnFrom
) -> Iterator[tuple[Control, list[Given]]]:
    """Yield (control in the config, the answer of each annotation to learn) for each control of a task, once.

    Regions that cannot be decoded are left out without a remark; `learn` returns those.
    """
    strange = strange_controls(task.annotations, known)
    annotations, _ = _teaching(learn_from, task.annotations)
    task = _with_needed(models, task)
    seen: set[str] = set()
    for model in models:
        try:
            views = model.views_by_control(task, fetch)
        except (Unreadable, FetchError):
            continue
        for template, control in model.copies(task.data):
            name = control.control_tag.name
            if name not in seen:
                seen.add(name)
                yield template, _answers(control, annotations, views.get(name), strange)[0]


def _teaching(
    learn_from: LearnFrom, annotations: Sequence[Annotation]
) -> tuple[list[Annotation], list[tuple[Annotation, Remark]]]:
    """Return (annotations to learn, the others with reasons)."""
    kept: list[Annotation] = []
    others: list[tuple[Annotation, Remark]] = []
    for one in annotations:
        if one.submitted:
            others.append((one, Remark(Reason.SUBMITTED)))
        elif one.accepted and not learn_from.accepted:
            others.append((one, Remark(Reason.ACCEPTED)))
        elif not learn_from.hears(one.annotator):
            others.append((one, Remark(Reason.OTHER_ANNOTATOR, one.number or "an unknown annotator")))
        elif learn_from.ground_truth == "only" and not one.ground_truth:
            others.append((one, Remark(Reason.NO_TRUTH)))
        else:
            kept.append(one)
    return kept, others


class Tally:
    """Counts of what is left out of many tasks."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._first: dict[tuple[str, str, str], tuple[str, Control]] = {}
        self._totals: Counter[str] = Counter()
        self._subjects: Counter[tuple[str, str]] = Counter()

    def add(self, task: str, taught: Taught) -> None:
        """Count the remarks of one task."""
        self._totals.update(taught.regions)
        for control, (reason, named) in taught.remarks:
            selector, subject = control.control_tag.selector, one_line(named, _SUBJECT)
            if reason not in tuple(Reason):  # the subject names the task, so only the first one is kept
                key = next((key for key in self._first if key[:2] == (selector, reason)), (selector, reason, subject))
            else:
                key = (selector, reason, subject)
            if key not in self._first:
                if self._subjects[key[:2]] >= _SUBJECTS:
                    key = (selector, reason, "others")
                self._subjects[key[:2]] += 1
                self._first.setdefault(key, (task, control))
            self._counts[key] += 1

    def report(self) -> tuple[LeftOut, ...]:
        """Return what was left out, the most frequent first."""
        found = []
        for key, count in self._counts.most_common():
            selector, reason, subject = key
            task, control = self._first[key]
            near = near_labels(subject, control.labels) if reason == Reason.UNKNOWN_LABEL else ()
            total = self._totals[selector]
            found.append(LeftOut(str(reason), selector, control.called, count, total, task, subject, near))
        return tuple(found)


def sentences(left_out: Iterable[LeftOut]) -> list[str]:
    """Return the report for people, the most frequent first, and lost parts before understood ones; long reports are cut."""
    ordered = sorted(left_out, key=lambda one: not one.lost)
    more = [f"and {len(ordered) - _TOLD} more reasons"] if len(ordered) > _TOLD else []
    return [one.sentence for one in ordered[:_TOLD]] + more


def near_labels(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels with a similar spelling, the most similar first."""
    folded = {label.casefold(): label for label in labels}
    return tuple(folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6))


def strange_controls(annotations: Sequence[Annotation], known: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of controls that the config does not have, by annotation, for each region with such a name."""
    found: dict[str, list[str]] = {}
    seen: dict[str, bool] = {}
    for annotation in annotations:
        for region in annotation.result:
            name = region.get("from_name") if isinstance(region, dict) else None
            if not isinstance(name, str):
                continue
            if name not in seen:
                seen[name] = name not in known and _of_a_repeater(tuple(known)).fullmatch(name) is None
            if seen[name]:
                found.setdefault(annotation.id, []).append(name)
    return found


@lru_cache(maxsize=64)
def _of_a_repeater(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for the names of a Repeater's copies of controls: {{idx}} stands for a number."""
    return re.compile("|".join(re.sub(r"\\{\\{.*?\\}\\}", r"\\d+", re.escape(name)) for name in names))


def _answers(
    control: Control, annotations: Sequence[Annotation], view: View | None, strange: Mapping[str, Sequence[str]]
) -> tuple[list[Given], list[Remark]]:
    """Return every answer to a control, oldest first; and remarks on what was left out.

    An annotation without an answer to this control, but with answers to unknown controls or to none, is no answer: the
    control may have been renamed.
    """
    answers: list[Given] = []
    remarks: list[Remark] = []
    for annotation in annotations:
        own = regions_of(control, annotation.result)
        nobodys = [Remark(Reason.NO_REGION, entry) for entry in _without_control(annotation.result)]
        remarks += nobodys
        others = strange.get(annotation.id, ())
        if not own and (others or nobodys) and isinstance(control, RegionControl):
            remarks += [Remark(Reason.OTHER_CONTROL, name) for name in others]
            continue
        decoded = _named(control, control.decode(own, view))
        remarks += decoded.remarks
        if decoded.values is not None:
            answers.append(Given(decoded.values, annotation))
    return answers, remarks


def _without_control(result: Sequence[object]) -> Iterator[str]:
    """Yield a name for people of each entry that is no region of any control, and no relation of two regions."""
    for entry in result:
        if not isinstance(entry, dict):
            yield JSON.shown(entry)
        elif not isinstance(entry.get("from_name"), str) and entry.get("type") != "relation":
            yield "an entry without `from_name`"


def _named(control: Control, decoded: Decoded) -> Decoded:
    """Return the values without those that were drawn without a label, if the control has labels."""
    if decoded.values is None or not control.labels:
        return decoded
    kept = tuple(value for value in decoded.values if label_of(value) != "")
    unnamed = (Remark(Reason.NO_LABEL),) * (len(decoded.values) - len(kept))
    return Decoded(None if unnamed and not kept else kept, (*decoded.remarks, *unnamed))


def _agree(given: Sequence[Given], learn_from: LearnFrom, weights: Mapping[str, float]) -> list[tuple[Value, ...]]:
    """Return the combined answer of several annotations; of equally frequent or heavy answers, the latest."""
    truths = [one for one in given if one.annotation.ground_truth] if learn_from.ground_truth != "any" else []
    answers = [one.values for one in truths[-1:] or given]
    if learn_from.several == "all" or not answers:
        return answers
    if learn_from.several == "latest" or truths:
        return answers[-1:]
    totals: dict[frozenset[Value], float] = {}
    for one in given:
        weight = weights.get(one.annotation.annotator, 1.0) if learn_from.several == "weighted" else 1.0
        totals[frozenset(one.values)] = totals.get(frozenset(one.values), 0.0) + weight
    most = max(totals.values())
    return [answer for answer in answers if totals[frozenset(answer)] > most - 1e-9][-1:]
