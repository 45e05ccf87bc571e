"""Several answers of a model to one question -> one answer, with the share of the answers that agree as its score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

import msgspec

from lsml.adapters.base import Question
from lsml.values import Number, Span, Text, Value

_COMPARED: Final = 2000  # the characters of a text that count for its likeness
_HALF: Final = 0.5  # what most answers do not hold does not hold


def agreed(samples: Sequence[Sequence[Value]], question: Question) -> list[Value]:
    """Return the values of one question on which its `samples` agree. Of a label that excludes others all are returned,
    each with its share.
    """
    if question.kind == "text":
        return _nearest([value for values in samples for value in values if isinstance(value, Text)], len(samples))
    if question.kind == "number":
        return _commonest([value for values in samples for value in values if isinstance(value, Number)], len(samples))
    bare = [msgspec.structs.replace(value, score=None) for values in samples for value in dict.fromkeys(values)]
    several = question.kind == "span" or question.multiple
    found: list[Value] = []
    for value, count in Counter(bare).most_common():
        share = min(1.0, count / len(samples))
        if not several or share > _HALF:
            found.append(msgspec.structs.replace(value, score=share))
    return sorted(found, key=_start)


def _start(value: Value) -> tuple[int, int]:
    """Return the start and the end of a span, which order spans; choices stay in the order of their shares."""
    return (value.start, value.end) if isinstance(value, Span) else (0, 0)


def _commonest(numbers: Sequence[Number], samples: int) -> list[Value]:
    """Return the most frequent number; of several the one in the middle."""
    counts = Counter(number.value for number in numbers)
    if not counts:
        return []
    most = max(counts.values())
    tied = sorted(value for value, count in counts.items() if count == most)
    return [Number(tied[len(tied) // 2], most / samples)]


def _nearest(texts: Sequence[Text], samples: int) -> list[Value]:
    """Return the text that is most like all others, with the mean likeness. Samples without a text are unlike it."""
    if not texts:
        return []

    def likeness(one: Text) -> float:
        return sum(_like(one.text, other.text) for other in texts) / samples

    best = max(texts, key=likeness)
    return [Text(best.text, min(1.0, likeness(best)))]


def _like(one: str, other: str) -> float:
    return 1.0 if one == other else SequenceMatcher(None, one[:_COMPARED], other[:_COMPARED]).ratio()
