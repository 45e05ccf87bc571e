"""`<TextArea>`: texts about a whole task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lsml.controls.base import Control, Decoded, Region, ScoreKind, Threshold
from lsml.controls.certainty import certainty_of_one
from lsml.controls.regions import region_score
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Text, Value
from lsml.wording import JSON


class TextArea(Control):
    """`{"text": ["first", "second"]}`, always a list; `maxSubmissions` limits the number of texts."""

    tag: ClassVar[str] = "TextArea"
    value_type: ClassVar[type] = Text

    @property
    def multiple(self) -> bool:
        """True if there may be several texts."""
        return self._limit != 1

    @property
    def _limit(self) -> int | None:
        given = self.control_tag.attributes.get("maxSubmissions", "")
        return int(given) if given.isascii() and given.isdigit() and int(given) > 0 else None

    def facts(self) -> dict[str, object]:
        """Return the limit of texts, which decides what is shown."""
        return {"multiple": self.multiple, "limit": self._limit}

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return the texts at or above the threshold, in the given order. One without a score counts as certain."""
        passed = [
            value
            for value in values
            if isinstance(value, Text) and value.text and (value.score is None or value.score >= threshold(""))
        ]
        return list(passed[: self._limit])

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the certainty about the least sure text; None where nothing has a score."""
        scores = [value.score for value in values if value.score is not None]
        return min((certainty_of_one(score, kind) for score in scores), default=None)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region with all texts, and the score of the least sure one."""
        texts = [value for value in values if isinstance(value, Text)]
        if not texts:
            return []
        scores = [text.score for text in texts if text.score is not None]
        value: dict[str, object] = {"text": [text.text for text in texts]}
        return [self._region(value, to_name, min(scores, default=None))]

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return every text of a person's regions; None where there is none. Older regions hold a text instead of a list."""
        texts: list[Value] = []
        remarks: list[Remark] = []
        for region in regions:
            try:
                given = self._given(region).get("text")
            except Misread as error:
                remarks.append(error.remark)
                continue
            for text in given if isinstance(given, list) else [given]:
                if not isinstance(text, str):
                    remarks.append(Remark(Reason.NO_TEXT, JSON.shown(text)))
                elif text:
                    texts.append(Text(text, region_score(region)))
        return Decoded(tuple(texts) or None, tuple(remarks))

    def check(self, region: Region, data: Mapping[str, Any]) -> str | None:
        """Return the error in a region, or None: it must hold a list of non-empty texts, not more than allowed."""
        problem = self._form_problem(region)
        if problem is not None:
            return problem
        given, selector = region["value"].get("text"), self.control_tag.selector
        if not isinstance(given, list) or not given or not all(isinstance(text, str) and text for text in given):
            return f"{selector}: value.text is {JSON.shown(given)}; expected a list of texts"
        if self._limit is not None and len(given) > self._limit:
            return f"{selector}: value.text has {len(given)} texts; expected at most {self._limit} (maxSubmissions)"
        return None
