"""The agreement of scores with how often they are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_MOST_GROUPS: Final = 10
_LEAST_OF_A_GROUP: Final = 10  # answers; with fewer, the accuracy of a group means little


def calibration(scored: Sequence[tuple[float, bool]]) -> dict[str, object]:
    """Return `calibration`, groups of (score, right) pairs, and `calibration_error`, the expected one; None without groups.

    A group has the mean `score`, the share that is `right`, and `count`; lowest scores first. Answers are sorted by score
    into up to ten groups of equal size: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
    2015. There are none with fewer answers than one group takes. The error is the mean gap between scores and right shares.
    """
    groups = _groups(scored)
    return {"calibration_error": _error(groups), "calibration": groups}


def _groups(scored: Sequence[tuple[float, bool]]) -> list[dict[str, float]]:
    import numpy as np

    if len(scored) < _LEAST_OF_A_GROUP:
        return []
    scores, right = np.array(sorted(scored, key=lambda one: one[0]), dtype=float).T
    groups = min(_MOST_GROUPS, len(scored) // _LEAST_OF_A_GROUP)
    return [
        {"score": round(float(score.mean()), 6), "right": round(float(of_group.mean()), 6), "count": len(score)}
        for score, of_group in zip(np.array_split(scores, groups), np.array_split(right, groups), strict=True)
    ]


def _error(groups: Sequence[Mapping[str, float]]) -> float | None:
    count = sum(group["count"] for group in groups)
    if not count:
        return None
    return round(sum(group["count"] * abs(group["score"] - group["right"]) for group in groups) / count, 6)
