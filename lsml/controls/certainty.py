"""The certainty about an answer: one of the numbers by which Label Studio sorts tasks. In [0, 1]; low is uncertain."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence

from lsml.controls.base import ScoreKind


def certainty_of_one(score: float, kind: ScoreKind) -> float:
    """Return the certainty about a label that holds or not."""
    if kind == "confidence":
        return max(score, 1 - score)
    if kind == "margin":
        return abs(2 * score - 1)
    return _clip(1 - _entropy([score, 1 - score]) / math.log(2))


def certainty_of_many(decisions: Iterable[float], kind: ScoreKind) -> float:
    """Return the certainty about an answer of many decisions, given the probability of each: exp(-d), where d is the sum of
    their doubts. 1 without decisions.

    By confidence a decision's doubt is the probability that it is wrong, so this is how likely nothing has to be corrected:
    the least confidence of a sequence (Culotta and McCallum, "Reducing labeling effort for structured prediction tasks",
    2005), which Settles and Craven, "An analysis of active learning strategies for sequence labeling tasks", 2008, do not
    normalise by length either. By margin, of boxes, it is the sum of margins of Brust, Käding and Denzler, "Active learning
    for deep object detection", 2019. Sums of doubts keep an order where products of certainties would be 0.
    """
    return math.exp(-sum(1.0 - _certainty_of_taken(score, kind) for score in decisions))


def certainty_of_objects(scores: Sequence[float | None], kind: ScoreKind) -> float | None:
    """Return the certainty that each of these objects is there, or is not; 1 without any. None where none has a score."""
    given = [score for score in scores if score is not None]
    return certainty_of_many((max(score, 1.0 - score) for score in given), kind) if given or not scores else None


def _certainty_of_taken(score: float, kind: ScoreKind) -> float:
    """Return the certainty about a decision that was taken, with this probability, among any number of possible ones."""
    return score if kind == "confidence" else certainty_of_one(max(score, 0.5), kind)


def certainty_of_all(scores: Sequence[float], kind: ScoreKind) -> float:
    """Return the certainty about labels of which exactly one holds."""
    if kind == "confidence":
        return max(scores)
    if kind == "margin":
        best, *others = heapq.nlargest(2, scores)
        return best - sum(others)
    if len(scores) == 1:
        return 1.0
    total = sum(scores)
    if total == 0:  # every label was ruled out: the model cannot tell
        return 0.0
    return _clip(1 - _entropy([score / total for score in scores]) / math.log(len(scores)))


def _entropy(probabilities: Sequence[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def _clip(share: float) -> float:
    """Return a share in [0, 1], which floating-point sums can leave slightly."""
    return min(1.0, max(0.0, share))
