"""`<Relations>`: arrows from one region to another one, of any tags.

`{"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["founded"]}`: without the tag's name and
without a `value`. `left` points from b to a, `bi` both ways. https://labelstud.io/tags/relations
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from lsml.controls.base import Region
from lsml.controls.regions import RegionControl, region_score
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Marked, Relation, Value
from lsml.wording import JSON

_DIRECTIONS = ("right", "left", "bi")


class Relations(RegionControl):
    """Any number of relations. One that points both ways is two values."""

    tag: ClassVar[str] = "Relations"
    region_type: ClassVar[str] = "relation"
    value_type: ClassVar[type] = Relation
    reads_view: ClassVar[bool] = True
    marks: ClassVar[bool] = False

    @property
    def label_key(self) -> str:
        """The key of a relation that holds its labels."""
        return "labels"

    @property
    def label_path(self) -> str:
        """The path to its labels, for messages."""
        return self.label_key

    @property
    def default_threshold(self) -> float:
        """A half, as a pair of regions is more often unrelated than not."""
        return 0.5

    def owns(self, region: Mapping[str, object]) -> bool:
        """Return True for relations, which name no tag."""
        return bool(region.get("type") == self.region_type)

    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two relations go from one region to the same other one."""
        return _ends(one) == _ends(other)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region for each pair and label; two that point both ways with the same labels make one."""
        given = {(*_ends(one), tuple(labels)): one for one, labels in self._with_labels(values, _ends)}
        regions: list[Region] = []
        while given:
            source, target, labels = next(iter(given))
            found = [given.pop((source, target, labels)), given.pop((target, source, labels), None)]
            region: Region = {
                "type": self.region_type, "from_id": source, "to_id": target,
                "direction": "right" if found[1] is None else "bi", "labels": list(labels),
            }  # fmt: skip
            scores = [score for one in found if one is not None and (score := one.score) is not None]
            regions.append(region | ({"score": min(scores)} if scores else {}))
        return regions

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        ends = region.get("from_id"), region.get("to_id")
        known = on.data.ids if on is not None and isinstance(on.data, Marked) else ()
        if ends[0] == ends[1] or not all(end in known for end in ends):
            raise Misread(Reason.OTHER_REGION)
        source, target = map(str, ends)
        both = {"left": [(target, source)], "bi": [(source, target), (target, source)]}
        ways = both.get(str(region.get("direction")), [(source, target)])
        labels = self._labels_of(region, remarks)
        return [Relation(*way, label, region_score(region)) for way in ways for label in labels]

    def named(self, region: Region, remarks: list[Remark]) -> list[str]:
        """Return the labels of a relation."""
        return [label for label in self._labels_of(region, remarks) if label]

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a relation, in a sentence, or None."""
        return next(self._problems(region), None)

    def _problems(self, region: Region) -> Iterator[str]:
        selector = self.control_tag.selector
        if not isinstance(region, dict) or region.get("type") != self.region_type:
            yield f'{selector}: a relation is {JSON.shown(region)}; expected an object of type "{self.region_type}"'
            return
        ends = [region.get("from_id"), region.get("to_id")]
        if not all(isinstance(end, str) and end for end in ends) or ends[0] == ends[1]:
            yield f"{selector}: from_id is {JSON.shown(ends[0])} and to_id {JSON.shown(ends[1])}; expected ids of two regions"
        if region.get("direction") not in _DIRECTIONS:
            yield f"{selector}: direction is {JSON.shown(region.get('direction'))}; expected right, left or bi"
        problem = self._label_problem(region)
        if problem is not None:
            yield problem


def _ends(value: Value) -> tuple[str, str]:
    assert isinstance(value, Relation)
    return value.source, value.target
