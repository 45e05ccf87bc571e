"""The agreement of found with annotated dates and times."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.metrics.rates import Metrics
from lsml.values import Moment, Value


def judge_moments(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return `exact_match`, the share of tasks whose date or time is the annotated one, in all the parts that the tag has."""
    return {
        "metric": "exact_match",
        "value": round(sum(map(same_moments, pairs)) / len(pairs), 6) if pairs else None,
        "examples": len(pairs),
        "per_label": {},
    }


def same_moments(pair: tuple[Sequence[Value], Sequence[Value]]) -> bool:
    """Return True if the first date or time of one task is the annotated one."""
    truth, guess = ([value.at for value in side if isinstance(value, Moment)] for side in pair)
    return truth[:1] == guess[:1]
