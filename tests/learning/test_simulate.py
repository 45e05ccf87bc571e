"""The points of a learning curve, of several seeds."""

import pytest

from lsml.learning.simulate import _points


def test_an_interval_of_few_seeds_stays_where_the_metric_can_be():
    (point,) = _points([10], [[0.9], [0.2]])
    assert (point.mean, point.low, point.high) == (pytest.approx(0.55), 0.0, 1.0)
    wide, far = _points([10, 20], [[0.9, 0.7], [0.8, 0.7], [0.85, 0.7]])
    assert 0 < wide.low < wide.mean < wide.high < 1
    assert far.low == far.mean == far.high == 0.7
