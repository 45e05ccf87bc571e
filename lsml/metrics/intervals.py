"""How well predicted intervals of time meet the annotated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Final

from lsml.metrics.rates import rates
from lsml.values import Interval, Value

ENOUGH: Final = 0.5  # intersection over union from which on two intervals are one


def judge_intervals(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> dict[str, Any]:
    """Segment F1 over all intervals together: right is what shares at least half of the time that it and an annotated interval
    of its label cover together, each of which is met once.

    Where there was nothing to find and nothing was found, it is 1.
    """
    annotated: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for truth, guess in pairs:
        true, said = met(truth, guess)
        annotated.update(label for _, label in true)
        predicted.update(label for _, label in said)
        right.update(label for _, label in true & said)
    per_label = {
        label: rates(right[label], predicted[label], annotated[label])
        for label in sorted(annotated.keys() | predicted.keys())
    }
    together = rates(right.total(), predicted.total(), annotated.total())
    value: float | None = together["f1"] if per_label else 1.0
    return {
        "metric": "segment_f1",
        "value": value if pairs else None,
        "examples": len(pairs),
        "per_label": per_label,
        "precision": together["precision"],
        "recall": together["recall"],
        "segments": annotated.total(),
    }


def met(truth: Sequence[Value], guess: Sequence[Value]) -> tuple[set[tuple[Hashable, str]], set[tuple[Hashable, str]]]:
    """(number, label) of each annotated and of each predicted interval; one that met another has its number."""
    true = [value for value in dict.fromkeys(truth) if isinstance(value, Interval)]
    said = [value for value in guess if isinstance(value, Interval)]
    close = [
        (-shared, place, number)
        for place, value in enumerate(true)
        for number, other in enumerate(said)
        if value.label == other.label and (shared := overlap(value, other)) >= ENOUGH
    ]
    places: set[int] = set()
    numbers = {number: len(true) + number for number in range(len(said))}
    for _, place, number in sorted(close):
        if place not in places and numbers[number] >= len(true):
            places.add(place)
            numbers[number] = place
    return (
        {(place, value.label) for place, value in enumerate(true)},
        {(numbers[number], value.label) for number, value in enumerate(said)},
    )


def overlap(one: Interval, other: Interval) -> float:
    """Intersection over union, in [0, 1]; of two instants 1 where they are the same."""
    if (one.start, one.end) == (other.start, other.end):
        return 1.0
    shared = min(one.end, other.end) - max(one.start, other.start)
    return max(0.0, shared) / (max(one.end, other.end) - min(one.start, other.start))
