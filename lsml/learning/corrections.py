"""The corrections of predictions by annotators: regions accepted, edited, deleted and added, and the time they take.

They measure the quality of the served version as people see it, on the tasks that they work on now. A model's annotations
that nobody touched do not count.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from lsml.binding import Binding
from lsml.controls.base import Control
from lsml.controls.regions import RegionControl
from lsml.labeling import AnnotatedTask, Annotation
from lsml.versions import names_of

MOST: Final = 5000  # the latest annotations that count: the figures are current, and a page loads at once
_NEAR: Final = 1e-3  # the largest difference of unchanged coordinates, which an editor rounds
Fate = Literal["untouched", "edited", "deleted", "added"]
FATES: Final[tuple[Fate, ...]] = get_args(Fate)
_Fate = tuple[str, str, Fate]  # (control, label, fate)
_Region = dict[str, Any]


class Regions(msgspec.Struct, frozen=True):
    """The fates of predicted regions, and the number that people added. `accepted`: the untouched share of predicted
    regions, None without any.
    """

    untouched: int
    edited: int
    deleted: int
    added: int
    accepted: float | None


class OfLabel(msgspec.Struct, frozen=True):
    """The regions of one label; "" where a control has none. An edited region counts for the label that was predicted."""

    control: str
    label: str
    regions: Regions


class OfVersion(msgspec.Struct, frozen=True):
    """The annotations that began with a version's predictions; `unchanged`: those equal to the prediction."""

    version: str
    annotations: int
    unchanged: int
    regions: Regions


class LeadTime(msgspec.Struct, frozen=True):
    """The median seconds of annotations that began `from_prediction`, and of those that began `anew`; None without any."""

    from_prediction: float | None
    anew: float | None


class OfAnnotator(msgspec.Struct, frozen=True):
    """One annotator's corrections of predictions."""

    annotator: str
    annotations: int
    unchanged: int
    regions: Regions
    lead_time_s: LeadTime


class Corrections(msgspec.Struct, frozen=True):
    """Annotators' corrections of predictions, in all and by label, version and annotator.

    `annotations` began with a prediction of this recipe, and `unchanged` of them are equal to it; `unknown` began with
    a prediction that lsml does not have.
    """

    annotations: int
    unchanged: int
    unknown: int
    regions: Regions
    lead_time_s: LeadTime
    labels: list[OfLabel]
    versions: list[OfVersion]
    annotators: list[OfAnnotator]


class _Correction(NamedTuple):
    """One annotation that began with a prediction."""

    version: str
    annotator: str
    fates: Counter[_Fate]

    @property
    def unchanged(self) -> bool:
        """True if it is equal to the prediction."""
        return all(fate == "untouched" for _, _, fate in self.fates)


def corrections(binding: Binding, tasks: Iterable[AnnotatedTask]) -> Corrections:
    """Return annotators' corrections of the predictions with which they began."""
    ours = names_of(binding.recipe.name)
    compared: list[_Correction] = []
    lead_times: list[tuple[str, bool, float]] = []  # (annotator, True if from a prediction, seconds)
    unknown = 0
    for task in tasks:
        names: dict[str, Control] | None = None
        for one in task.annotations:
            if one.accepted or one.submitted:
                continue
            seen = one.seen
            if seen is not None and seen.result is None:
                unknown += 1
                continue
            if seen is not None and not ours.fullmatch(seen.version):
                continue
            if one.lead_time_s is not None:
                lead_times.append((one.number, seen is not None, one.lead_time_s))
            if seen is not None:
                names = _answered(binding, task.data) if names is None else names
                compared.append(_Correction(seen.version, one.number, _fates(seen.result or [], one, names)))
    return _summed(compared, lead_times, unknown)


def _answered(binding: Binding, data: Mapping[str, Any]) -> dict[str, Control]:
    """Return the controls with visible predictions, by each `from_name` of their regions in one task."""
    return {
        name: template
        for model in binding.models
        if model.spec.show
        for template, control in model.copies(data)
        for name in control.names
    }


class _Result(NamedTuple):
    """A sorted result: the answer of each control for the whole task by its name, and drawn regions by their id with all
    their parts.
    """

    whole: dict[str, _Region]
    drawn: dict[str, list[_Region]]


def _fates(predicted: Sequence[Any], annotation: Annotation, names: Mapping[str, Control]) -> Counter[_Fate]:
    """Return the number of regions for each fate."""
    before, after = _sorted(predicted, names), _sorted(annotation.result, names)
    fates: Counter[_Fate] = Counter()
    for name in {**before.whole, **after.whole}:
        control = names[name].control_tag.name
        told = _fates_of_answer(before.whole.get(name), after.whole.get(name))
        fates.update((control, label, fate) for label, fate in told)
    added = dict(after.drawn)
    missing: list[list[_Region]] = []
    for id, regions in before.drawn.items():
        if id in added:
            fates[*_named(regions, names), "untouched" if _same(regions, added.pop(id)) else "edited"] += 1
        else:
            missing.append(regions)
    for regions in missing:
        # Programs may write the same regions with other ids.
        again = next((id for id, new in added.items() if _same(regions, new)), None)
        if again is not None:
            del added[again]
        fates[*_named(regions, names), "deleted" if again is None else "untouched"] += 1
    fates.update((*_named(regions, names), "added") for regions in added.values())
    return fates


def _sorted(result: Sequence[Any], names: Mapping[str, Control]) -> _Result:
    """Return the regions of controls that models answer; invalid regions are left out."""
    found = _Result({}, defaultdict(list))
    for number, region in enumerate(result):
        name = region.get("from_name") if isinstance(region, dict) else None
        if not isinstance(name, str) or name not in names or not isinstance(region.get("value"), dict):
            continue
        if isinstance(names[name], RegionControl):
            found.drawn[str(region.get("id") or f"#{number}")].append(region)
        else:
            found.whole[name] = region
    return found


def _fates_of_answer(old: _Region | None, new: _Region | None) -> Iterator[tuple[str, Fate]]:
    """Yield (label, fate) of an answer for a whole task: one for each label, or one for a number or a text."""
    before, after = (None if region is None else _labels(region) for region in (old, new))
    if before is None or after is None:
        yield from ((label, "deleted") for label in before or ())
        yield from ((label, "added") for label in after or ())
        return
    if before == [""] == after and old is not None and new is not None:
        yield "", "untouched" if _alike(old["value"], new["value"]) else "edited"
        return
    kept = [label for label in before if label in after]
    yield from ((label, "untouched") for label in kept)
    if len(before) == len(after) == 1 and not kept:
        yield before[0], "edited"
        return
    yield from ((label, "deleted") for label in before if label not in kept)
    yield from ((label, "added") for label in after if label not in kept)


def _labels(region: _Region) -> list[str]:
    """Return the labels of a region, those of a taxonomy as paths; [""] for a number or a text."""
    kind = region.get("type")
    given = region["value"].get(kind) if isinstance(kind, str) and kind != "textarea" else None
    if not isinstance(given, list):
        return [""]
    return [" / ".join(map(str, label)) if isinstance(label, list) else str(label) for label in given]


def _named(regions: Sequence[_Region], names: Mapping[str, Control]) -> tuple[str, str]:
    """Return (control, label) of a drawn region."""
    labels = dict.fromkeys(label for region in regions for label in _labels(region) if label)
    return names[regions[0]["from_name"]].control_tag.name, ", ".join(labels)


def _same(old: Sequence[_Region], new: Sequence[_Region]) -> bool:
    """Return True if all parts of a drawn region are as predicted."""
    before, after = (
        {(region["from_name"], region.get("type")): region for region in regions} for regions in (old, new)
    )
    return before.keys() == after.keys() and all(_as_predicted(before[key], after[key]) for key in before)


def _as_predicted(old: _Region, new: _Region) -> bool:
    if "rle" in old["value"] and new.get("origin") == "prediction":
        return True  # the editor encodes a mask anew, but marks it as untouched
    # The text of a span follows from its offsets.
    passed_over = () if old.get("type") == "textarea" else ("text",)
    before, after = (
        {key: part for key, part in region["value"].items() if key not in passed_over} for region in (old, new)
    )
    return _alike(before, after)


def _alike(old: Any, new: Any) -> bool:
    """Return True if two JSON values are the same, except for the rounding of numbers."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_alike(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_alike, old, new))
    if isinstance(old, float) or isinstance(new, float):
        numbers = isinstance(old, (int, float)) and isinstance(new, (int, float))
        return numbers and math.isclose(old, new, rel_tol=0.0, abs_tol=_NEAR)
    return bool(old == new)


def _summed(
    compared: Sequence[_Correction], lead_times: Sequence[tuple[str, bool, float]], unknown: int
) -> Corrections:
    fates: Counter[_Fate] = Counter()
    by_version: dict[str, list[_Correction]] = defaultdict(list)
    by_annotator: dict[str, list[_Correction]] = defaultdict(list)
    for one in compared:
        fates.update(one.fates)
        by_version[one.version].append(one)
        by_annotator[one.annotator].append(one)
    labels = sorted({(control, label) for control, label, _ in fates})
    of_labels = {key: _regions(Counter({fate: fates[*key, fate] for fate in FATES})) for key in labels}
    return Corrections(
        annotations=len(compared), unchanged=sum(one.unchanged for one in compared), unknown=unknown,
        regions=_regions(_by_fate(compared)), lead_time_s=_lead_time(lead_times),
        labels=[OfLabel(control, label, regions) for (control, label), regions in of_labels.items()],
        versions=[
            OfVersion(version, len(some), sum(one.unchanged for one in some), _regions(_by_fate(some)))
            for version, some in sorted(by_version.items())
        ],
        annotators=[
            OfAnnotator(
                who, len(some), sum(one.unchanged for one in some), _regions(_by_fate(some)),
                _lead_time([time for time in lead_times if time[0] == who]),
            )
            for who, some in sorted(by_annotator.items(), key=lambda pair: -len(pair[1]))
        ],
    )  # fmt: skip


def _by_fate(compared: Iterable[_Correction]) -> Counter[Fate]:
    counts: Counter[Fate] = Counter()
    for one in compared:
        for (_, _, fate), count in one.fates.items():
            counts[fate] += count
    return counts


def _regions(counts: Counter[Fate]) -> Regions:
    predicted = counts["untouched"] + counts["edited"] + counts["deleted"]
    accepted = round(counts["untouched"] / predicted, 4) if predicted else None
    return Regions(**{fate: counts[fate] for fate in FATES}, accepted=accepted)


def _lead_time(times: Sequence[tuple[str, bool, float]]) -> LeadTime:
    began = {
        prelabelled: [seconds for _, from_prediction, seconds in times if from_prediction is prelabelled]
        for prelabelled in (True, False)
    }
    return LeadTime(
        *(round(median(began[prelabelled]), 3) if began[prelabelled] else None for prelabelled in (True, False))
    )
