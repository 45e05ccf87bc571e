"""Calibration of scores that are each right or wrong, such as those of spans and boxes: a score -> how often it is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from lsml.values import Value

_LEAST: Final = 20  # scores; from fewer nothing is learnt
_EDGE: Final = 1e-4  # how near a score may come to 0 and 1, where its logit would be infinite
_STEEPEST: Final = 20.0

ValueT = TypeVar("ValueT", bound=Value)


class PlattScaling(NamedTuple):
    """A monotonic map of scores: sigmoid(slope * logit(score) + offset), as J. Platt, "Probabilistic outputs for support
    vector machines", 1999. The one without arguments changes nothing.
    """

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def fit(cls, scores: Sequence[float], right: Sequence[bool]) -> PlattScaling:
        """Return the calibration by scores of held-out examples, and whether each was right; no change from too few.

        It is drawn towards no change, so that few scores change little.
        """
        import numpy as np
        from scipy.optimize import minimize

        if len(scores) < _LEAST:
            return cls()
        logits, holds = np.array([_logit(score) for score in scores]), np.array(right, dtype=float)

        def loss(given: Sequence[float]) -> float:
            said = np.exp(given[0]) * logits + given[1]
            wrong = np.logaddexp(0.0, said) - holds * said
            return float(wrong.sum() + 0.5 * (given[0] ** 2 + (given[1] / 2) ** 2))

        bound = math.log(_STEEPEST)
        found = minimize(loss, np.zeros(2), bounds=[(-bound, bound), (-bound, bound)]).x
        return cls(float(np.exp(found[0])), float(found[1]))

    @classmethod
    def restore(cls, state: object) -> PlattScaling:
        """Return the calibration of a saved list. Raises ValueError or TypeError for anything else."""
        slope, offset = msgspec.convert(state, tuple[float, float], strict=False)
        if not (0 < slope < math.inf and math.isfinite(offset)):
            raise ValueError("its calibration is not a slope above 0 and an offset")
        return cls(slope, offset)

    def after(self, score: float) -> float:
        """Return the calibrated score."""
        if self == PlattScaling():
            return score
        return 1.0 / (1.0 + math.exp(-(self.slope * _logit(score) + self.offset)))

    def before(self, score: float) -> float:
        """Return the score that becomes this one; 0 stays 0."""
        if self == PlattScaling() or score <= 0.0:
            return score
        return 1.0 / (1.0 + math.exp(-(_logit(score) - self.offset) / self.slope))

    def calibrated(self, values: Sequence[ValueT]) -> list[ValueT]:
        """Return values with calibrated scores."""
        if self == PlattScaling():
            return list(values)
        return [
            value if value.score is None else msgspec.structs.replace(value, score=self.after(value.score))
            for value in values
        ]


def _logit(score: float) -> float:
    inner = min(1.0 - _EDGE, max(_EDGE, score))
    return math.log(inner / (1.0 - inner))
