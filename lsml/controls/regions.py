"""The common base of controls that answer with any number of regions of the object: spans, boxes, masks."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from lsml.controls.base import Control, Decoded, ModelValues, Region, ScoreKind, Threshold
from lsml.controls.certainty import certainty_of_many, certainty_of_one
from lsml.controls.label_names import LabelNames, distinct
from lsml.labeling import ControlTag
from lsml.labeling.remarks import Misread, Reason, Remark, lost
from lsml.labeling.view import View
from lsml.values import Value, label_of
from lsml.wording import JSON


class RegionControl(Control):
    """Any number of regions, with one label or several, of the tag or its companion. A region with several labels is as
    many values at one place.
    """

    judged_unfiltered: ClassVar[bool] = False
    marks: ClassVar[bool] = True  # its regions have places, which other tags can ask about

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        labels = (companion or control_tag).labels
        # An older region may hold the value of a label that now has an alias. A name wins over another's value.
        self._names = LabelNames(
            {label.value: label.name for label in labels} | {name: name for name in self.labels},
            {name: label.name for label in labels for name in label.was},
        )

    @property
    def multiple(self) -> bool:
        """True if several labels may hold at once, which they do in different places."""
        return True

    @property
    def called(self) -> str:
        """The name of its regions in messages, such as boxes."""
        return str(getattr(self.value_type, "title", "regions"))

    @property
    def open(self) -> bool:
        """True if the labels come with each task."""
        return (self.companion or self.control_tag).options_value is not None

    @property
    def label_key(self) -> str:
        """The key of a region's value that holds its labels: `rectanglelabels`; of a bare tool that of its companion."""
        return (self.companion or self.control_tag).tag.lower()

    @property
    def label_path(self) -> str:
        """The path to a region's labels, for messages."""
        return f"value.{self.label_key}"

    @property
    def joins_labels(self) -> bool:
        """True if one region may have several labels: `choice="multiple"`."""
        return (self.companion or self.control_tag).attributes.get("choice", "").lower() == "multiple"

    def possible(self, values: Sequence[Value], data: Mapping[str, object]) -> list[Value]:
        """Return the values of this tag's type and labels; a tag without labels takes all."""
        known = set(self.labels)
        return [
            value
            for value in values
            if isinstance(value, self.value_type) and (self.open or not known or label_of(value) in known)
        ]

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return all values at or above their threshold, highest score first. A value without a score counts as certain."""
        passed = [value for value in values if _score(value) >= threshold(label_of(value) or "")]
        return sorted(passed, key=_score, reverse=True)

    def combine(
        self, by_model: Sequence[ModelValues], data: Mapping[str, object], kind: ScoreKind
    ) -> tuple[list[Value], float | None]:
        """Return (values to show, certainty): the regions of each model where no model before it found one, and how sure the
        least sure model is of all that it found there, shown or not.
        """
        chosen: list[Value] = []
        certainties: list[float] = []
        for of_model in by_model:
            own = self.elsewhere(self.possible(of_model.values, data), chosen)
            certainty = (
                certainty_of_many(of_model.decisions, kind)
                if of_model.decisions is not None
                else self.certainty(own, kind)
            )
            certainties += [] if certainty is None else [certainty]
            chosen += self.select(own, of_model.threshold)
        return chosen, min(certainties, default=None)

    @abstractmethod
    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two values of different models answer for the same place, so that only one is shown."""

    def elsewhere(self, values: Sequence[Value], taken: Sequence[Value]) -> list[Value]:
        """Return those of `values` that are not at the place of one in `taken`."""
        return [value for value in values if not any(self.same_place(value, other) for other in taken)]

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the certainty about the least sure region; None where nothing was found, or nothing has a score.

        An adapter that returns `DecidedSpans` says more than scores of regions do, and then this is not asked.
        """
        scores = [value.score for value in values if value.score is not None]
        return min((certainty_of_one(score, kind) for score in scores), default=None)

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the values of a person's regions. No regions at all are an example: there is nothing to find.

        Where there were regions and none of them can be decoded, there is no example.
        """
        values: list[Value] = []
        remarks: list[Remark] = []
        for region in regions:
            try:
                values += self._values(region, on, remarks)
            except Misread as error:
                remarks.append(error.remark)
        nothing = not values and lost(remarks)
        return Decoded(None if nothing else tuple(values), tuple(remarks))

    @abstractmethod
    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        """Return the values of one region, one for each of its labels. Raises Misread where it cannot be decoded."""

    def named(self, region: Region, remarks: list[Remark]) -> list[str]:
        """Return the labels of a region."""
        return [label for label in self._labels_of(self._given(region), remarks) if label]

    def _labels_of(self, value: Mapping[str, object], remarks: list[Remark]) -> list[str]:
        """Return the labels of a region's value, each once; [""] where the tag has no labels. Raises Misread where there
        are none.
        """
        if not self.labels and not self.open:
            return [""]
        given = value.get(self.label_key)
        if not given:
            others = [key for key in value if key.endswith("labels") and isinstance(value[key], list) and value[key]]
            if len(others) == 1:
                given = value[others[0]]
                remarks.append(Remark(Reason.OTHER_KEY, f"`{others[0]}`"))
        if not given:
            raise Misread(Reason.NO_LABEL)
        if isinstance(given, str):
            given = [given]
        if not isinstance(given, list):
            raise Misread(Reason.NOT_A_LIST, JSON.shown(given))
        found = []
        for name in given:
            label = self._names.find(name, remarks) if isinstance(name, str) else None
            if label is None and self.open and isinstance(name, str) and name:
                label = name
            if label is None:
                remarks.append(Remark(Reason.UNKNOWN_LABEL, name if isinstance(name, str) else JSON.shown(name)))
            else:
                found.append(label)
        return distinct(found)

    def _with_labels(
        self, values: Sequence[Value], place: Callable[[Value], Hashable]
    ) -> list[tuple[Value, list[str]]]:
        """Return (value, labels) for each region to write. Values at one place make one region, where the tag allows
        several labels.
        """
        if self.joins_labels:
            return _joined(values, place)
        return [(value, [label] if (label := label_of(value)) else []) for value in values]

    def _label_problem(self, value: Mapping[str, object]) -> str | None:
        """Return the error in the labels of a region's value, in a sentence, or None."""
        if not self.labels and not self.open:
            return None
        given = value.get(self.label_key)
        where = f"{self.control_tag.selector}: {self.label_path}"
        if not isinstance(given, list) or not given or not all(isinstance(label, str) for label in given):
            return f"{where} is {JSON.shown(given)}; expected a list with one label"
        if len(given) > 1 and (not self.joins_labels or len(set(given)) < len(given)):
            return f"{where} has {len(given)} labels; expected one" + (", or different ones" * self.joins_labels)
        for label in given:
            if not self.open and label not in self.labels:
                expected = ", ".join(JSON.shown(known) for known in self.labels[:5])
                return f"{where} has {JSON.shown(label)}; expected one of {expected}"
        return None


class StretchControl(RegionControl):
    """Regions with a start and an end in a sequence: a text, or a series."""

    def check(self, region: Region, data: Mapping[str, Any]) -> str | None:
        """Return the error in a region's form, place or label. Only `encode` knows whether the place exists in the view."""
        problem = self._form_problem(region)
        if problem is not None:
            return problem
        value = region["value"]
        return self._geometry_problem(value) or self._label_problem(value)

    @abstractmethod
    def _geometry_problem(self, value: Mapping[str, object]) -> str | None:
        """Return the error in the start and end of a region's value, in a sentence, or None."""


def _joined(values: Sequence[Value], place: Callable[[Value], Hashable]) -> list[tuple[Value, list[str]]]:
    """Return (value, labels) for each place, in order of the first value; the value is the one with the lowest score."""
    places: dict[Hashable, list[Value]] = {}
    for value in values:
        places.setdefault(place(value), []).append(value)
    return [
        (min(some, key=_score), distinct([label for value in some if (label := label_of(value))]))
        for some in places.values()
    ]


def region_score(region: Mapping[str, object]) -> float | None:
    """Return the score of a region; None where it is not in [0, 1]."""
    score = region.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return float(score) if math.isfinite(score) and 0.0 <= score <= 1.0 else None


def _score(value: Value) -> float:
    return 1.0 if value.score is None else value.score
