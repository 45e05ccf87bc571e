"""The common base of the controls for images: percent of the upright image, its size, pages, labels in a companion tag,
places.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec

from lsml.controls.base import Decoded, Region, ScoreKind, Threshold
from lsml.controls.certainty import certainty_of_objects
from lsml.controls.number import finite
from lsml.controls.region_texts import takes, text_of, text_problem, text_region, with_texts
from lsml.controls.regions import RegionControl, region_score
from lsml.labeling.remarks import Misread, Reason, Remark, lost
from lsml.labeling.view import View, whole_number
from lsml.values import Shape, Value
from lsml.wording import JSON

if TYPE_CHECKING:
    from lsml.arrays import Array

Geometry = dict[str, Any]  # the keys of a region's `value` that give its place
SAME_PLACE = 0.5  # intersection over union from which two shapes match, as in mAP@0.5
_SLIGHTLY = 0.05  # the share of a side that a point may be outside and still count as on the edge
_DIGITS = 6  # digits of a percentage: a thousandth of a pixel in the largest image


class ShapeControl(RegionControl):
    """A tool that draws shapes on an image.

    A bare one has its labels in a `<Labels>`, and the text of a shape is in a `<TextArea>` for each region; these are
    further regions with the same id.
    """

    carries_text: ClassVar[bool] = True
    objects: ClassVar[frozenset[str] | None] = frozenset({"Image"})
    per_item: ClassVar[bool] = True
    judged_unfiltered: ClassVar[bool] = True
    suspected: ClassVar[float] = 0.4

    @property
    def bare(self) -> bool:
        """True if it is a tool without labels of its own."""
        return self.companion_tag is not None

    @property
    def default_threshold(self) -> float:
        """The usual threshold of detectors; below it most of their shapes are wrong."""
        return 0.25

    def facts(self) -> dict[str, object]:
        """Return the facts of all controls, and the tag of the texts."""
        return super().facts() | ({"text": self.text_tag.name} if self.text_tag else {})

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return all values at or above their threshold, highest score first; shapes with texts in reading order."""
        passed = super().select(values, threshold)
        if self.text_tag is None or all(cast(Shape, value).text is None for value in passed):
            return passed
        rank = {id(value): number for number, value in enumerate(values)}
        return sorted(passed, key=lambda value: rank[id(value)])

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the certainty that each shape is there, or is not, as those below the threshold may have been missed."""
        return certainty_of_objects([value.score for value in values], kind)

    @property
    def types(self) -> frozenset[str]:
        """The type of the tool with labels of its own, and that of the bare one, as they draw the same shapes."""
        tool = self.tag.lower().removesuffix("labels")
        return frozenset({tool, f"{tool}labels"})

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return a region for each value; further ones for labels in a companion, and for texts in a tag of their own.

        Shapes outside of the image are left out. Values at one place make one region, where the tag allows several labels.
        """
        on = on or View(None)
        regions: list[Region] = []
        ids: set[str] = set()
        shapes = [value for value in values if isinstance(value, self.value_type)]
        for number, (value, labels) in enumerate(self._with_labels(shapes, _place_alone)):
            place = self._geometry(cast(Any, value), on)
            if place is not None:
                written = self._written(cast(Shape, value), labels, place, to_name, on, number)
                regions += _apart(written, ids, number)
        return regions

    @abstractmethod
    def _geometry(self, value: Any, on: View) -> Geometry | None:
        """Return the place of a value of this control's type; None where it cannot be drawn."""

    def _written(
        self, value: Shape, labels: list[str], place: Geometry, to_name: str, on: View, number: int
    ) -> list[Region]:
        """Return the regions that draw one value, name its labels and hold its text."""
        fields: Region = {} if on.item is None else {"item_index": on.item}
        size = self._drawn_size(value, on)
        if size is not None:
            fields |= {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
        fields |= self._grouped(value)
        text = value.text if self.text_tag is not None and takes(self.text_tag, labels) else None
        if self.companion is not None or text:
            fields.setdefault("id", f"{self.control_tag.name}/{on.item}/{number}")
        region = self._region(place if self.bare else place | {self.label_key: labels}, to_name, value.score) | fields
        regions = [region]
        if self.companion is not None and labels:
            naming = {"from_name": self.companion.name, "type": self.label_key}
            regions.append(region | naming | {"value": place | {self.label_key: labels}})
        if self.text_tag is not None and text:
            regions.append(text_region(region, self.text_tag, place, text))
        return regions

    def _drawn_size(self, value: Shape, on: View) -> tuple[int, int] | None:
        """Return (width, height) of the image that a region is drawn on, in pixels, where they are known."""
        return on.size

    def _grouped(self, value: Shape) -> Region:
        """Return the key by which a region refers to its object."""
        return {}

    def _group(self, region: Region) -> str | None:
        """Return the object that a person's region belongs to; None here."""
        return None

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the values of a person's regions. No regions at all are an example: there is nothing to find.

        A region that was drawn without a label has the label ""; one whose labels are all missing in the config is left
        out. Where there were regions and none of them can be decoded, there is no example.
        """
        remarks: list[Remark] = []
        if self.text_tag is not None:
            regions, remarks = with_texts(regions)
        decoded = super().decode(regions, on) if self.companion is None else self._decode_named(regions, on)
        return Decoded(decoded.values, (*remarks, *decoded.remarks))

    def _decode_named(self, regions: Sequence[Region], on: View | None) -> Decoded:
        """Return the decoded values of regions whose labels are in those of a companion."""
        named = _named(regions, self.label_key, self._labels_of)
        remarks: list[Remark] = []
        drawn: list[Region] = []
        for region in regions:
            if not isinstance(region, Mapping) or region.get("type") != self.label_key:
                # A companion labels other tools' regions, too, so its remarks only count for this tool's.
                labels, told = named.get(_id(region), (None, ())) if isinstance(region, Mapping) else (None, ())
                remarks += told
                if labels != []:
                    drawn.append(region if labels is None else _with_labels(region, labels, self.label_key))
        decoded = super().decode(drawn, on)
        remarks += decoded.remarks
        nothing = not decoded.values and lost(remarks)
        return Decoded(None if nothing else decoded.values, tuple(remarks))

    def named(self, region: Region, remarks: list[Remark]) -> list[str]:
        """Return the labels of a region; a region that holds a text has none."""
        if self.text_tag is not None and region.get("from_name") == self.text_tag.name:
            return []
        return super().named(region, remarks)

    def _labels_of(self, value: Mapping[str, object], remarks: list[Remark]) -> list[str]:
        """Return labels as for all regions; [""] where a person drew without a label."""
        if any(key.endswith("labels") and value[key] for key in value):
            return super()._labels_of(value, remarks)
        return [""]

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        """Return the values of one region, one for each label."""
        value = self._given(region)
        found: list[Value] = []
        for label in self._labels_of(value, remarks):
            found += self._shapes(region, value, label, on)
        return found

    def _shapes(self, region: Region, value: Geometry, label: str, on: View | None) -> list[Value]:
        """Return the values of one region with a known label. Raises Misread where it is no shape."""
        text = None if self.text_tag is None else text_of(value)
        fields = _fields(region, on) | {"label": label, "group": self._group(region), "text": text}
        try:
            return list(self._found(region, value, fields))
        except Misread:
            raise
        except (ValueError, OverflowError) as error:  # the value's own check refused it
            raise Misread(Reason.NO_AREA) from error

    @abstractmethod
    def _found(self, region: Region, value: Geometry, fields: dict[str, object]) -> Iterator[Value]:
        """Yield the values at one region's place. `fields`: those of every shape. Raises Misread or ValueError for none."""

    def check(self, region: Region, data: Mapping[str, Any]) -> str | None:
        """Return the error in a region, in a sentence, or None. Label Studio itself accepts places left of or above an
        image.
        """
        companion, text_tag = self.companion, self.text_tag
        own = region.get("from_name") if isinstance(region, Mapping) else None
        if text_tag is not None and own == text_tag.name:
            problem, value = text_problem(region, text_tag), region.get("value") or {}
        elif companion is not None and own == companion.name:
            if region.get("type") != self.label_key or not isinstance(region.get("value"), dict):
                return f'{companion.selector}: expected a region of type "{self.label_key}" with a value'
            value, problem = region["value"], self._label_problem(region["value"])
        else:
            found = self._value(region)
            if found is None:
                return self._form_problem(region)
            value = found
            problem = None if self.bare else self._label_problem(value)
        wrong = problem or frame_problem(self.control_tag.selector, region)
        if wrong is not None:
            return wrong
        wrong = self._geometry_problem(region, value)
        return None if wrong is None else f"{self.control_tag.selector}: {wrong}"

    @abstractmethod
    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        """Return the error in a region's place, without the name of the tag, or None."""

    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two values of different models answer for the same place, so that only one is shown."""
        return bool(_near([cast(Shape, one)], [cast(Shape, other)])[0, 0])

    def elsewhere(self, values: Sequence[Value], taken: Sequence[Value]) -> list[Value]:
        """Return those of `values` that are not at the place of one in `taken`."""
        if not values or not taken:
            return list(values)
        near = cast(Any, _near(cast(Any, values), cast(Any, taken)).any(axis=1)).tolist()
        return [value for value, hit in zip(values, near, strict=True) if not hit]


def _apart(written: list[Region], ids: set[str], number: int) -> list[Region]:
    """Return the regions of one value, with an id that none before them has.

    Two shapes with one id would be one, so only the first stands for their object.
    """
    id = written[0].get("id")
    if id in ids:
        return [{**region, "id": f"{id}/{number}"} for region in written]
    if id is not None:
        ids.add(id)
    return written


def _fields(region: Region, on: View | None) -> dict[str, Any]:
    """Return what every shape has, as far as its region says it."""
    size = original_size(region)
    aspect = on.aspect if on is not None and on.size else size[0] / size[1] if size else 1.0
    return {"score": region_score(region), "item": whole_number(region.get("item_index")) or 0, "aspect": aspect}


def _near(ours: Sequence[Any], theirs: Sequence[Any]) -> Array:
    """Return True for each of our values at the place of each of theirs: booleans (n, m)."""
    import numpy as np

    from lsml.values.coverage import overlaps

    pages = [np.array([value.item for value in some]) for some in (ours, theirs)]
    near: Array = (overlaps(ours, theirs) > SAME_PLACE) & (pages[0][:, None] == pages[1][None])
    return near


def _named(
    regions: Sequence[Region], label_key: str, labels_of: Callable[[Mapping[str, object], list[Remark]], list[str]]
) -> dict[str, tuple[list[str] | None, list[Remark]]]:
    """Return the companion's labels by region id, with remarks on them.

    The labels are empty where all are missing in the config, and None where the companion has none.
    """
    named: dict[str, tuple[list[str] | None, list[Remark]]] = {}
    for region in regions:
        if isinstance(region, Mapping) and region.get("type") == label_key and _id(region) not in named:
            value = region.get("value")
            remarks: list[Remark] = []
            try:
                labels = labels_of(value, remarks) if isinstance(value, dict) else [""]
            except Misread as error:
                labels = []
                remarks.append(error.remark)
            named[_id(region)] = (None if labels == [""] else labels, remarks)
    return named


def frame_problem(selector: str, region: Region) -> str | None:
    """Return the error in a region's size or page."""
    for key in ("original_width", "original_height"):
        if key in region and not _is_count(region[key], 1):
            return f"{selector}: {key} is {JSON.shown(region[key])}; expected pixels, a whole number above 0"
    if "item_index" in region and not _is_count(region["item_index"], 0):
        return f"{selector}: item_index is {JSON.shown(region['item_index'])}; expected a page, counted from 0"
    return None


def original_size(region: Mapping[str, object]) -> tuple[int, int] | None:
    """Return (width, height) of the image that a region was drawn on, in pixels; None where the region does not hold it."""
    width, height = (whole_number(region.get(key)) for key in ("original_width", "original_height"))
    return (width, height) if width and height and max(width, height) < 2**31 else None


def percent(fraction: float) -> float:
    """Return a fraction of the image as Label Studio has it, in percent."""
    return round(fraction * 100.0, _DIGITS)


def numbers(value: object, *keys: str) -> list[float]:
    """Return finite numbers by key, which may be written as texts. Raises Misread where one is missing or invalid."""
    if not isinstance(value, Mapping):
        raise Misread(Reason.NO_NUMBER, JSON.shown(value))
    return [number(value.get(key)) for key in keys]


def number(given: object) -> float:
    """Return a finite number, also from a text. Raises Misread for anything else."""
    found = finite(given)
    if found is None:
        raise Misread(Reason.NO_NUMBER, JSON.shown(given))
    return found


def fractions(value: object, *keys: str) -> list[float]:
    """Return percentages by key as fractions. Raises Misread."""
    return [given / 100.0 for given in numbers(value, *keys)]


def rotation_of(value: Mapping[str, object]) -> float:
    """Return a region's rotation in degrees; 0 where it has none. Raises Misread."""
    return number(value["rotation"]) if value.get("rotation") is not None else 0.0


def in_image(x: float, y: float) -> tuple[float, float]:
    """Return a point, moved to the edge if it is slightly outside the image. Raises Misread where it is further away."""
    if not (-_SLIGHTLY <= x <= 1.0 + _SLIGHTLY and -_SLIGHTLY <= y <= 1.0 + _SLIGHTLY):
        raise Misread(Reason.OUTSIDE_IMAGE)
    return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))


def range_problem(value: Mapping[str, object], key: str, most: float = 100.0) -> str | None:
    """Return the error in a number that must be between 0 and `most`, or None."""
    given = value.get(key)
    if isinstance(given, str) or finite(given) is None:
        return f"value.{key} is {JSON.shown(given)}; expected a number between 0 and {most:g}"
    found = cast(float, given)
    return None if 0.0 <= found <= most else f"value.{key} is {found:g}; expected a number between 0 and {most:g}"


def rotation_problem(value: Mapping[str, object]) -> str | None:
    """Return the error in a rotation, or None; it may be missing."""
    return range_problem(value, "rotation", 360.0) if "rotation" in value else None


def _is_count(given: object, least: int) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and least <= given < 2**31


def _place_alone(value: Value) -> Value:
    """Return a value without the fields that may differ between the labels of one region."""
    return cast(Value, msgspec.structs.replace(cast(Any, value), label="", score=None))


def _with_labels(region: Region, labels: list[str], key: str) -> Region:
    """Return a bare tool's region with the labels of its companion."""
    value = region.get("value")
    return {**region, "value": {**value, key: labels}} if isinstance(value, dict) else region


def _id(region: Mapping[str, object]) -> str:
    return str(region.get("id"))
