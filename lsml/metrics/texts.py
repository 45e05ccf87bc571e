"""The agreement of written with annotated texts."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.metrics.rates import Metrics
from lsml.values import Text, Value


def judge_texts(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return character similarity, and `exact_match`, the share of tasks whose texts are the same.

    The similarity of two texts is 1 less their edit distance (insertions, deletions and replacements of characters)
    over the length of the longer one. Several texts of a task count as one, joined by line breaks. White space is
    folded.
    """
    similarities, exact = [text_similarity(pair) for pair in pairs], sum(map(same_texts, pairs))
    return {
        "metric": "character_similarity",
        "value": round(sum(similarities) / len(pairs), 6) if pairs else None,
        "examples": len(pairs),
        "per_label": {},
        "exact_match": round(exact / len(pairs), 6) if pairs else None,
    }


def text_similarity(pair: tuple[Sequence[Value], Sequence[Value]]) -> float:
    """Return the similarity of the annotated and the predicted texts of one task, in [0, 1]."""
    written, said = _joined(pair[0]), _joined(pair[1])
    longest = max(len(written), len(said))
    return 1 - edits(written, said) / longest if longest else 1.0


def same_texts(pair: tuple[Sequence[Value], Sequence[Value]]) -> bool:
    """Return True if the predicted texts of one task are the annotated ones."""
    return _joined(pair[0]) == _joined(pair[1])


def _joined(values: Sequence[Value]) -> str:
    return "\n".join(" ".join(value.text.split()) for value in values if isinstance(value, Text))


def edits(one: str, other: str) -> int:
    """Return the edit distance: the least number of characters to insert, delete or replace to turn one text into the
    other.

    Columns of the usual table are kept as the bits of two numbers (Hyyrö, "Explaining and extending the bit-parallel
    approximate string matching algorithm of Myers", 2001), so that texts of some thousand characters take milliseconds.
    """
    if not one or not other:
        return len(one) + len(other)
    where: dict[str, int] = {}
    for index, character in enumerate(one):
        where[character] = where.get(character, 0) | 1 << index
    every, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, distance = every, 0, len(one)
    for character in other:
        equal = where.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right, left = down | (every & ~(diagonal | up)), up & diagonal
        distance += 1 if right & last else -1 if left & last else 0
        right, left = (right << 1 | 1) & every, (left << 1) & every
        up, down = left | (every & ~(diagonal | right)), right & diagonal
    return distance
