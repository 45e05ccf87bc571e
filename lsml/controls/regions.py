"""What controls share whose answers are regions of what is shown: spans, boxes, masks. There may be any number of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lsml.controls.base import Answer, Control, Region, ScoreKind, Threshold, shown
from lsml.controls.classes import certainty_of_one
from lsml.labeling import ControlTag
from lsml.labeling.view import View
from lsml.values import Value, label_of


class RegionControl(Control):
    """Any number of regions, each with one label of the tag, or of its companion."""

    judged_unfiltered: ClassVar[bool] = False

    def __init__(self, control_tag: ControlTag, companion: ControlTag | None = None) -> None:
        super().__init__(control_tag, companion)
        labels = (companion or control_tag).labels
        # An older region may hold the value of a label that has an alias now. A name wins over another's value.
        self._names = {label.value: label.name for label in labels} | {name: name for name in self.labels}

    @property
    def multiple(self) -> bool:
        """Whether several labels may hold at once: in different places, they do."""
        return True

    @property
    def open(self) -> bool:
        """Whether the labels come with each task."""
        return (self.companion or self.control_tag).options_value is not None

    @property
    def label_key(self) -> str:
        """The key of a region's value that holds its labels: `rectanglelabels`; of a bare tool that of its companion."""
        return (self.companion or self.control_tag).tag.lower()

    def possible(self, values: Sequence[Value], data: Mapping[str, Any]) -> list[Value]:
        """Those of this tag's kind whose label it has; a tag without labels takes all."""
        known = set(self.labels)
        return [
            value
            for value in values
            if isinstance(value, self.value_type) and (self.open or not known or label_of(value) in known)
        ]

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """All at or above their threshold, surest first. A value without a score counts as certain."""
        passed = [value for value in values if _score(value) >= threshold(label_of(value) or "")]
        return sorted(passed, key=_score, reverse=True)

    def combine(
        self, answers: Sequence[Answer], data: Mapping[str, Any], kind: ScoreKind
    ) -> tuple[list[Value], float | None]:
        """Everything that each model found where no model before it found something."""
        chosen: list[Value] = []
        for answer in answers:
            more = self.select(self.possible(answer.values, data), answer.threshold)
            chosen += self.elsewhere(more, chosen)
        return chosen, self.certainty(chosen, kind)

    @abstractmethod
    def same_place(self, one: Value, other: Value) -> bool:
        """Whether two values of different models answer for the same place, so that only one is shown."""

    def elsewhere(self, values: Sequence[Value], taken: Sequence[Value]) -> list[Value]:
        """Those of `values` that are at the place of none that are taken already."""
        return [value for value in values if not any(self.same_place(value, other) for other in taken)]

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """That of the least sure region, which holds or not; None where nothing was found, or nothing has a score."""
        scores = [value.score for value in values if value.score is not None]
        return min((certainty_of_one(score, kind) for score in scores), default=None)

    def decode(self, regions: Sequence[Region], on: View | None = None) -> tuple[Value, ...] | None:
        """The values of a person's regions; none at all says that there is nothing to find, and so is an example.

        Regions whose labels are all gone from the config are dropped; of several labels the first known one counts.
        """
        return tuple(value for region in regions for value in self._values(region, on))

    @abstractmethod
    def _values(self, region: Region, on: View | None) -> Sequence[Value]:
        """The values that one region holds; none where it is malformed or its label is gone."""

    def _label(self, value: Mapping[str, Any]) -> str | None:
        """The first label of a region's value that the config has; "" where there are no labels to have; else None."""
        given = value.get(self.label_key)
        names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
        for name in names:
            if name in self._names:
                return self._names[name]
            if self.open and name:
                return name
        return "" if not self.labels and not self.open else None

    def _label_problem(self, value: Mapping[str, Any]) -> str | None:
        """What is wrong with the labels of a region's value, in a sentence, or None."""
        if not self.labels and not self.open:
            return None
        given = value.get(self.label_key)
        if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], str):
            return (
                f"{self.control_tag.selector}: value.{self.label_key} is {shown(given)}; expected a list with one label"
            )
        if not self.open and given[0] not in self.labels:
            expected = ", ".join(shown(label) for label in self.labels[:5])
            return (
                f"{self.control_tag.selector}: value.{self.label_key} has {shown(given[0])}; expected one of {expected}"
            )
        return None


def region_score(region: Mapping[str, Any]) -> float | None:
    """The score that a region has, where it is one."""
    score = region.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return float(score) if math.isfinite(score) and 0.0 <= score <= 1.0 else None


def _score(value: Value) -> float:
    return 1.0 if value.score is None else value.score
