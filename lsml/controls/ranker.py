"""`<Ranker>`: the order of a `<List>`'s items, `{"ranker": {"rank": ["b", "a"]}}` under the tag's name; with `<Bucket>`s the
items in each, `{"ranker": {"best": ["b"], "ads": ["a"]}}`. https://labelstud.io/tags/ranker

Where no bucket is the default one, the editor shows the items that are in none in the list, and stores them under `_`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from lsml.controls.base import Control, Decoded, Region, ScoreKind, Threshold
from lsml.controls.certainty import certainty_of_one
from lsml.labeling import ControlTag
from lsml.labeling.items import Items
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import UNPICKED, Ranking, Value
from lsml.wording import JSON


class Ranker(Control):
    """The items of a list, best first; with buckets those of each bucket, best first.

    `labels` are the buckets. The first is `_`, for items in none, where no bucket is the default one.
    """

    tag: ClassVar[str] = "Ranker"
    value_type: ClassVar[type] = Ranking
    objects: ClassVar[frozenset[str] | None] = frozenset({"List"})
    compares: ClassVar[bool] = True
    reads_view: ClassVar[bool] = True

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        self._default = control_tag.attributes.get("defaultBucket", UNPICKED)
        if self.labels and self._default == UNPICKED:
            self.labels = (UNPICKED, *self.labels)

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return the first ranking that reaches the threshold. One without a score counts as certain."""
        least = threshold("")
        rankings: list[Value] = [
            value for value in values if isinstance(value, Ranking) and (value.score is None or value.score >= least)
        ]
        return rankings[:1]

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the certainty about the surest ranking; None where nothing has a score."""
        scores = [value.score for value in values if value.score is not None]
        return max((certainty_of_one(score, kind) for score in scores), default=None)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region with the first ranking. Every bucket is in it, as the editor writes it."""
        for value in values:
            if isinstance(value, Ranking):
                columns = self.labels or (self.config_name,)
                groups = value.groups or (columns[0],) * len(value.order)
                pairs = list(zip(value.order, groups, strict=True))
                ranked = {column: [name for name, group in pairs if group == column] for column in columns}
                return [self._region({"ranker": ranked}, to_name, value.score)]
        return []

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the first ranking that a person made. Items of the list that it leaves out are in the default bucket, or in
        none; those that the list does not have are left out.
        """
        remarks: list[Remark] = []
        for region in regions:
            try:
                columns = self._columns(self._given(region))
            except Misread as error:
                remarks.append(error.remark)
                continue
            return Decoded((self._ranking(columns, on),), tuple(remarks))
        return Decoded(None, tuple(remarks))

    def _columns(self, value: Mapping[str, object]) -> dict[str, list[str]]:
        """Return the names in each column. Raises Misread for anything else."""
        ranked = value.get("ranker")
        if isinstance(ranked, list):  # as the documentation of older releases writes it
            ranked = {self.config_name: ranked}
        if not isinstance(ranked, dict):
            raise Misread(Reason.NOT_A_LIST, JSON.shown(ranked))
        for column in ranked.values():
            if not isinstance(column, list):
                raise Misread(Reason.NOT_A_LIST, JSON.shown(column))
        return {str(name): [str(one) for one in column] for name, column in ranked.items()}

    def _ranking(self, columns: Mapping[str, Sequence[str]], on: View | None) -> Ranking:
        known = on.data.names if on is not None and isinstance(on.data, Items) else None
        ranked: dict[str, str] = {}
        for column, names in columns.items():
            # The editor puts what is in an unknown column back into the list.
            group = column if column in self.labels else self._default
            for name in names:
                if known is None or name in known:
                    ranked.setdefault(name, group)
        for name in known or ():
            ranked.setdefault(name, self._default)
        if not self.labels:
            return Ranking(tuple(ranked))
        order = sorted(ranked, key=lambda name: self.labels.index(ranked[name]))  # stable within a bucket
        return Ranking(tuple(order), tuple(ranked[name] for name in order))

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        selector, ranked = self.control_tag.selector, value.get("ranker")
        if not isinstance(ranked, dict) or not ranked:
            return f"{selector}: value.ranker is {JSON.shown(ranked)}; expected an object of lists"
        columns = self.labels or (self.config_name,)
        seen: set[str] = set()
        for column, names in ranked.items():
            if column not in columns:
                return f"{selector}: value.ranker has {JSON.shown(column)}; expected {' or '.join(columns)}"
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                return f"{selector}: value.ranker.{column} is {JSON.shown(names)}; expected a list of ids as text"
            if seen.intersection(names) or len(set(names)) < len(names):
                return f"{selector}: value.ranker names an item twice; expected each once"
            seen.update(names)
        return None
