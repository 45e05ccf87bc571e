"""`<Number>`: `{"number": 3.2}`. https://labelstud.io/tags/number"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import ClassVar

from lsml.controls.base import Control, Decoded, Region, ScoreKind, Threshold
from lsml.labeling import ControlTag
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Number as NumberValue
from lsml.values import Value
from lsml.wording import JSON

_NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


MOST = 1e100


def finite(answer: object) -> float | None:
    """Return a number, or a text that is one, as a float; None for anything else, such as true, NaN or 10**400."""
    if isinstance(answer, bool) or not isinstance(answer, int | float | str):
        return None
    if isinstance(answer, str) and (len(answer) > 400 or not _NUMERIC.fullmatch(answer)):
        return None
    try:
        number = float(answer)
    except OverflowError:
        return None
    # Larger numbers would overflow in squares and sums, and no annotator means them.
    return number if abs(number) <= MOST else None


class Number(Control):
    """A number between `min` and `max`, in steps of `step` from `min` (or 0).

    Label Studio does not enforce them for predictions, so lsml does. Limits that are no numbers or contradict each
    other, and steps that are not above 0, count as missing.
    """

    tag: ClassVar[str] = "Number"
    value_type: ClassVar[type] = NumberValue
    key: ClassVar[str] = "number"  # the key in a region's value

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        self.least, self.most, self.step = self._limits()

    def _limits(self) -> tuple[float | None, float | None, float | None]:
        """Return the least and the largest number and the step, each in the annotators' unit."""
        attributes = self.control_tag.attributes
        least, most, step = (finite(attributes.get(name)) for name in ("min", "max", "step"))
        if least is not None and most is not None and least > most:
            least = most = None
        return least, most, step if step is not None and step > 0 else None

    def facts(self) -> dict[str, object]:
        """Return the limits and the step."""
        return {"multiple": self.multiple, "min": self.least, "max": self.most, "step": self.step}

    def fit(self, number: float) -> float:
        """Return the nearest number that the tag allows; halves are rounded up."""
        if self.least is not None:
            number = max(number, self.least)
        if self.most is not None:
            number = min(number, self.most)
        if self.step is None:
            return number
        # Decimal, because 3 * 0.1 is not 0.3 in floats.
        base, step = _exact(self.least or 0.0), _exact(self.step)
        steps = ((_exact(number) - base) / step).to_integral_value(ROUND_HALF_UP)
        if self.most is not None:
            steps = min(steps, ((_exact(self.most) - base) / step).to_integral_value(ROUND_FLOOR))
        fitted = float(base + steps * step)
        return fitted if math.isfinite(fitted) else number

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return the number with the highest score, if it reaches the threshold, within the tag's limits. No score counts
        as certain.
        """
        numbers = [value for value in values if isinstance(value, NumberValue) and _score(value) >= threshold("")]
        if not numbers:
            return []
        best = max(numbers, key=_score)
        return [NumberValue(self.fit(best.value), best.score)]

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the highest score, whatever the kind."""
        scores = [value.score for value in values if isinstance(value, NumberValue) and value.score is not None]
        return max(scores, default=None)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region with the first number, within the tag's limits."""
        for value in values:
            if isinstance(value, NumberValue):
                number = float(self.fit(value.value))
                # Written as people do: 4, not 4.0.
                written = int(number) if number.is_integer() and abs(number) < 2**53 else number
                return [self._region({self.key: written}, to_name, value.score)]
        return []

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the first number that a person gave, unchanged."""
        remarks: list[Remark] = []
        for region in regions:
            try:
                return Decoded((NumberValue(self._number(self._given(region))),), tuple(remarks))
            except Misread as error:
                remarks.append(error.remark)
        return Decoded(None, tuple(remarks))

    def _number(self, value: Mapping[str, object]) -> float:
        number = finite(value.get(self.key))
        if number is None:
            raise Misread(Reason.NO_NUMBER, JSON.shown(value.get(self.key)))
        if not self._plausible(number):
            raise Misread(Reason.OFF_SCALE, f"{number:g}")
        return number

    def _plausible(self, _number: float) -> bool:
        """Return True if a person can have given this number."""
        return True

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        answer = value.get(self.key)
        number = None if isinstance(answer, str) else finite(answer)
        if number is None:
            return f"{self.control_tag.selector}: value.{self.key} is {JSON.shown(answer)}; expected {self._expected}"
        if self.fit(number) != number:
            return f"{self.control_tag.selector}: value.{self.key} is {number:g}; expected {self._expected}"
        return None

    @property
    def _expected(self) -> str:
        least = None if self.least is None else f"from {self.least:g}"
        most = None if self.most is None else f"up to {self.most:g}"
        step = None if self.step is None else f"in steps of {self.step:g}"
        return " ".join(filter(None, ("a number", least, most, step)))


def _score(value: NumberValue) -> float:
    return 1.0 if value.score is None else value.score


def _exact(number: float) -> Decimal:
    """Return the number as it is written, not as it is stored."""
    return Decimal(repr(number))
