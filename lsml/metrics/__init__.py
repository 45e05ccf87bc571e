"""One judge for each value type: how well predicted values meet the annotated ones. Higher is better, 1 is perfect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lsml.metrics.choices import judge_choices
from lsml.metrics.numbers import judge_numbers
from lsml.metrics.shapes import judge_boxes
from lsml.metrics.spans import judge_spans
from lsml.values import Box, Choice, Number, Span, Value

Pair = tuple[Sequence[Value], Sequence[Value]]  # (annotated, predicted) values of one control in one task
Judge = Callable[[Sequence[Pair]], dict[str, Any]]

JUDGES: dict[type, Judge] = {Choice: judge_choices, Number: judge_numbers, Span: judge_spans, Box: judge_boxes}


def judge(value_type: type, pairs: Sequence[Pair]) -> dict[str, Any]:
    """`{metric, value, examples, per_label, ...}`; `value` is None without examples."""
    return JUDGES[value_type](pairs)


__all__ = ["JUDGES", "Judge", "Pair", "judge"]
