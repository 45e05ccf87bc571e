"""The agreement of predicted with annotated intervals of time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from lsml.metrics.rates import Metrics, judge_found
from lsml.values import Interval, Value

ENOUGH: Final = 0.5  # intersection over union from which two intervals match


def judge_intervals(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return segment F1 over all intervals together.

    A predicted interval is right if its intersection over union with an annotated interval of its label is at least
    0.5. Each annotated interval is matched once. Nothing annotated and nothing predicted counts 1.
    """
    matched = [_matched(truth, guess) for truth, guess in pairs]
    scored = [
        (value.score, number < len(true))
        for true, said in matched
        for number, value in said.items()
        if value.score is not None
    ]
    return judge_found(map(_keys, matched), "segment_f1", "segments", scored)


def met(truth: Sequence[Value], guess: Sequence[Value]) -> tuple[set[tuple[Hashable, str]], set[tuple[Hashable, str]]]:
    """Return (number, label) of each annotated and each predicted interval; intervals that match share a number."""
    return _keys(_matched(truth, guess))


_Matched = tuple[list[Interval], dict[int, Interval]]


def _keys(matched: _Matched) -> tuple[set[tuple[Hashable, str]], set[tuple[Hashable, str]]]:
    true, said = matched
    return (
        {(number, value.label) for number, value in enumerate(true)},
        {(number, value.label) for number, value in said.items()},
    )


def _matched(truth: Sequence[Value], guess: Sequence[Value]) -> _Matched:
    """Return the annotated intervals; and the predicted ones by number, that of the annotated one where they match."""
    true = [value for value in dict.fromkeys(truth) if isinstance(value, Interval)]
    said = [value for value in guess if isinstance(value, Interval)]
    close = [
        (-shared, index, number)
        for index, value in enumerate(true)
        for number, other in enumerate(said)
        if value.label == other.label and (shared := overlap(value, other)) >= ENOUGH
    ]
    taken: set[int] = set()
    numbers = {number: len(true) + number for number in range(len(said))}
    for _, index, number in sorted(close):
        if index not in taken and numbers[number] >= len(true):
            taken.add(index)
            numbers[number] = index
    return true, {numbers[number]: value for number, value in enumerate(said)}


def overlap(one: Interval, other: Interval) -> float:
    """Return intersection over union, in [0, 1]; for two instants 1 where they are the same."""
    if (one.start, one.end) == (other.start, other.end):
        return 1.0
    shared = min(one.end, other.end) - max(one.start, other.start)
    return max(0.0, shared) / (max(one.end, other.end) - min(one.start, other.start))
