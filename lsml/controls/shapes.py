"""What the controls for images share: percent of the upright image, its size, pages, labels in a companion tag, places."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from lsml.controls.base import Region, shown
from lsml.controls.regions import RegionControl, region_score
from lsml.labeling.view import View
from lsml.values import Shape, Value

if TYPE_CHECKING:
    from lsml.values.geometry import Array

Place = dict[str, Any]  # the keys of a region's `value` that say where it is
SAME_PLACE = 0.5  # intersection over union from which two shapes are one, as in mAP@0.5
_DIGITS = 6  # of a percentage: a thousandth of a pixel of the largest image


class ShapeControl(RegionControl):
    """A tool that draws shapes on an image. A bare one has its labels in a `<Labels>`: two regions with the same id."""

    objects: ClassVar[frozenset[str] | None] = frozenset({"Image"})
    per_item: ClassVar[bool] = True
    judged_unfiltered: ClassVar[bool] = True

    @property
    def bare(self) -> bool:
        """Whether it is a tool without labels of its own."""
        return self.companion_tag is not None

    @property
    def default_threshold(self) -> float:
        """What detectors are used to: below it, most of what they find is not there."""
        return 0.25

    # -------------------------------------------------------------------------------------------- encode

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """A region for each value; two where a companion has the labels. What has no part in the image is left out."""
        on = on or View(None)
        regions: list[Region] = []
        ids: set[str] = set()
        for number, value in enumerate(values):
            if isinstance(value, self.value_type):
                place = self._place(cast(Any, value), on)
                if place is not None:
                    written = self._written(cast(Shape, value), place, to_name, on, number)
                    id = written[0].get("id")
                    if id in ids:  # two shapes with one id would be one: only the first stands for their object
                        written = [{**region, "id": f"{id}/{number}"} for region in written]
                    elif id is not None:
                        ids.add(id)
                    regions += written
        return regions

    @abstractmethod
    def _place(self, value: Any, on: View) -> Place | None:
        """Where a value of this control's type is; None where it cannot be drawn."""

    def _written(self, value: Shape, place: Place, to_name: str, on: View, number: int) -> list[Region]:
        """The regions that draw one value and name its label."""
        facts: Region = {} if on.item is None else {"item_index": on.item}
        size = self._drawn_size(value, on)
        if size is not None:
            facts |= {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
        facts |= self._grouped(value)
        labels = [value.label] if value.label else []
        if self.companion is None:
            named = place if self.bare else place | {self.label_key: labels}
            return [self._region(named, to_name, value.score) | facts]
        facts.setdefault("id", f"{self.control_tag.name}/{on.item}/{number}")
        region = self._region(place, to_name, value.score) | facts
        naming = {"from_name": self.companion.name, "type": self.label_key, "value": place | {self.label_key: labels}}
        return [region, region | naming] if labels else [region]

    def _drawn_size(self, value: Shape, on: View) -> tuple[int, int] | None:
        """(width, height) of the image that a region is drawn on, in pixels, where they are known."""
        return on.size

    def _grouped(self, value: Shape) -> Region:
        """How a region says what else belongs to its object."""
        return {}

    def _group(self, region: Region) -> str | None:
        """The object that a region is part of, as a person's annotation says it."""
        return None

    # -------------------------------------------------------------------------------------------- decode

    def decode(self, regions: Sequence[Region], on: View | None = None) -> tuple[Value, ...] | None:
        """The values of a person's regions; none at all says that there is nothing to find, and so is an example.

        A region that was drawn without a label has the label ""; one whose labels are all gone from the config is dropped.
        """
        named = self._named(regions) if self.companion is not None else {}
        found: list[Value] = []
        for region in regions:
            value = self._value(region)
            if value is None:
                continue
            label = named[_id(region)] if _id(region) in named else self._label(value)
            if label is not None:
                found += self._shapes(region, value, label, on)
        return tuple(found)

    def _named(self, regions: Sequence[Region]) -> dict[str, str | None]:
        """Labels of the companion by id of region; None where they are all gone from the config."""
        assert self.companion is not None
        named: dict[str, str | None] = {}
        for region in regions:
            if isinstance(region, Mapping) and region.get("type") == self.label_key:
                value = region.get("value")
                if isinstance(value, dict):
                    named.setdefault(_id(region), self._label(value))
        return named

    def _label(self, value: Mapping[str, Any]) -> str | None:
        """As for all regions; "" where a person drew without a label."""
        return super()._label(value) if value.get(self.label_key) else ""

    def _values(self, region: Region, on: View | None) -> Sequence[Value]:
        """The values that one region holds; none where it is malformed or its label is gone."""
        value = self._value(region)
        label = self._label(value) if value is not None else None
        return [] if value is None or label is None else self._shapes(region, value, label, on)

    def _shapes(self, region: Region, value: Place, label: str, on: View | None) -> list[Value]:
        """The values of one region, whose label is known."""
        size = original_size(region)
        aspect = on.aspect if on is not None and on.size else size[0] / size[1] if size else 1.0
        page = region.get("item_index")
        item = page if isinstance(page, int) and not isinstance(page, bool) and page >= 0 else 0
        facts = {
            "label": label, "score": region_score(region), "item": item, "aspect": aspect, "group": self._group(region),
        }  # fmt: skip
        try:
            return list(self._found(region, value, facts))
        except (ValueError, OverflowError):  # what is no shape, a value refuses
            return []

    @abstractmethod
    def _found(self, region: Region, value: Place, facts: dict[str, Any]) -> Iterator[Value]:
        """The values at one region's place. `facts`: what every shape has. May raise ValueError."""

    # -------------------------------------------------------------------------------------------- check

    def check(self, region: Region, data: Mapping[str, Any]) -> str | None:
        """What is wrong with a region, in a sentence, or None. Label Studio takes what lies left of or above an image."""
        companion = self.companion
        if companion is not None and isinstance(region, Mapping) and region.get("from_name") == companion.name:
            if region.get("type") != self.label_key or not isinstance(region.get("value"), dict):
                return f'{companion.selector}: expected a region of type "{self.label_key}" with a value'
            value, problem = region["value"], self._label_problem(region["value"])
        else:
            found = self._value(region)
            if found is None:
                return self._form_problem(region)
            value = found
            problem = None if self.bare else self._label_problem(value)
        wrong = problem or self._frame_problem(region)
        if wrong is not None:
            return wrong
        wrong = self._place_problem(region, value)
        return None if wrong is None else f"{self.control_tag.selector}: {wrong}"

    def _frame_problem(self, region: Region) -> str | None:
        """What is wrong with what a region says of its image."""
        selector = self.control_tag.selector
        for key in ("original_width", "original_height"):
            if key in region and not _is_count(region[key], 1):
                return f"{selector}: {key} is {shown(region[key])}; expected pixels, a whole number above 0"
        if "item_index" in region and not _is_count(region["item_index"], 0):
            return f"{selector}: item_index is {shown(region['item_index'])}; expected a page, counted from 0"
        return None

    @abstractmethod
    def _place_problem(self, region: Region, value: Place) -> str | None:
        """What is wrong with where a region is, without the name of the tag, or None."""

    # -------------------------------------------------------------------------------------------- places

    def same_place(self, one: Value, other: Value) -> bool:
        """Whether two values of different models answer for the same place, so that only one is shown."""
        return bool(self._near([cast(Shape, one)], [cast(Shape, other)])[0, 0])

    def elsewhere(self, values: Sequence[Value], taken: Sequence[Value]) -> list[Value]:
        """Those of `values` that are at the place of none that are taken already."""
        if not values or not taken:
            return list(values)
        near = cast(Any, self._near(cast(Any, values), cast(Any, taken)).any(axis=1)).tolist()
        return [value for value, hit in zip(values, near, strict=True) if not hit]

    def _near(self, ours: Sequence[Any], theirs: Sequence[Any]) -> Array:
        """Which of our values are at the place of which of theirs: booleans (n, m)."""
        import numpy as np

        from lsml.values.coverage import overlaps

        pages = [np.array([value.item for value in some]) for some in (ours, theirs)]
        near: Array = (overlaps(ours, theirs) > SAME_PLACE) & (pages[0][:, None] == pages[1][None])
        return near


def original_size(region: Mapping[str, Any]) -> tuple[int, int] | None:
    """(width, height) of the image that a region was drawn on, in pixels, where it says so."""
    width, height = region.get("original_width"), region.get("original_height")
    return (cast(int, width), cast(int, height)) if _is_count(width, 1) and _is_count(height, 1) else None


def percent(fraction: float) -> float:
    """A fraction of the image as Label Studio has it."""
    return round(fraction * 100.0, _DIGITS)


def numbers(value: Mapping[str, Any], *keys: str) -> list[float]:
    """Finite numbers by key. Raises ValueError where one is missing or something else."""
    return [number(value.get(key)) for key in keys]


def number(given: Any) -> float:
    """A finite number. Raises ValueError for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError("expected a number")
    found = float(given)  # an int may be too large: OverflowError
    if not math.isfinite(found):
        raise ValueError("expected a finite number")
    return found


def range_problem(value: Mapping[str, Any], key: str, most: float = 100.0) -> str | None:
    """What is wrong with a number that must lie between 0 and `most`, or None."""
    try:
        (given,) = numbers(value, key)
    except (ValueError, OverflowError):
        return f"value.{key} is {shown(value.get(key))}; expected a number between 0 and {most:g}"
    return None if 0.0 <= given <= most else f"value.{key} is {given:g}; expected a number between 0 and {most:g}"


def rotation_problem(value: Mapping[str, Any]) -> str | None:
    """What is wrong with a rotation, or None; it may be missing."""
    return range_problem(value, "rotation", 360.0) if "rotation" in value else None


def _is_count(given: Any, least: int) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and least <= given < 2**31


def _id(region: Mapping[str, Any]) -> str:
    return str(region.get("id"))
