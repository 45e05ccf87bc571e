"""Scores that are right or wrong become how often they are right."""

import math
import random

import pytest

from lsml.adapters.parts.calibration import PlattScaling
from lsml.metrics.calibration import calibration
from lsml.values import Span


def drawn(count, seed=1):
    """Scores whose logits are twice too large, and half a unit too high."""
    draw = random.Random(seed)
    logits = [draw.gauss(0.5, 1.5) for _ in range(count)]
    right = [draw.random() < 1 / (1 + math.exp(-logit)) for logit in logits]
    return [1 / (1 + math.exp(-(2 * logit + 0.5))) for logit in logits], right


def test_the_error_falls_and_the_order_stays():
    found = PlattScaling.fit(*drawn(400))
    scores, right = drawn(4000, seed=2)
    after = [found.after(score) for score in scores]
    before = calibration(list(zip(scores, right, strict=True)))["calibration_error"]
    assert calibration(list(zip(after, right, strict=True)))["calibration_error"] < 0.5 * before
    assert sorted(scores) == [score for _, score in sorted(zip(after, scores, strict=True))]
    assert [found.before(score) for score in after] == pytest.approx(scores, abs=1e-3)


def test_few_scores_change_nothing_and_alike_ones_little():
    assert PlattScaling.fit([0.9] * 19, [False] * 19) == PlattScaling() == PlattScaling.fit([], [])
    assert PlattScaling().after(0.3) == PlattScaling().before(0.3) == 0.3
    sure = PlattScaling.fit([0.9] * 20, [True] * 20)
    assert 0.9 < sure.after(0.9) < 0.999


def test_values_without_a_score_stay_and_extreme_scores_stay_scores():
    found = PlattScaling.fit(*drawn(400))
    spans = [Span(0, 1, "A"), Span(0, 1, "A", 1.0), Span(0, 1, "A", 0.0)]
    first, *others = found.calibrated(spans)
    assert first == spans[0] and all(0 < span.score < 1 for span in others) and found.before(0.0) == 0.0
    assert PlattScaling().calibrated(spans) == spans


@pytest.mark.parametrize("state", [[1.0], [0.0, 1.0], [-1.0, 0.0], [math.inf, 0.0], [1.0, math.nan], "no", None])
def test_a_saved_calibration_that_is_none_is_refused(state):
    with pytest.raises(ValueError):
        PlattScaling.restore(state)
    assert PlattScaling.restore([2.0, 0.5]) == PlattScaling(2.0, 0.5)
