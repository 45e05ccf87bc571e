"""One judge for each value type: the agreement of predicted with annotated values. Higher is better, 1 is perfect."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsml.metrics.choices import judge_choices
from lsml.metrics.figures import FIGURES, Figures, Pair, figures_of
from lsml.metrics.intervals import judge_intervals
from lsml.metrics.moments import judge_moments
from lsml.metrics.numbers import judge_numbers
from lsml.metrics.rankings import judge_rankings
from lsml.metrics.rates import Metrics
from lsml.metrics.relations import judge_relations
from lsml.metrics.shapes import judge_points, judge_shapes
from lsml.metrics.spans import judge_spans
from lsml.metrics.texts import judge_texts
from lsml.values import (
    Box,
    Choice,
    Ellipse,
    Interval,
    KeyPoint,
    Mask,
    Moment,
    Number,
    Polygon,
    Ranking,
    Relation,
    Span,
    Text,
    Track,
)

Judge = Callable[[Sequence[Pair]], Metrics]

JUDGES: dict[type, Judge] = {
    Choice: judge_choices,
    Number: judge_numbers,
    Span: judge_spans,
    Interval: judge_intervals,
    Relation: judge_relations,
    Text: judge_texts,
    Moment: judge_moments,
    Ranking: judge_rankings,
    **dict.fromkeys((Box, Polygon, Ellipse, Mask, Track), judge_shapes),
    KeyPoint: judge_points,
}


def judge(value_type: type, pairs: Sequence[Pair]) -> Metrics:
    """Return `{metric, value, examples, per_label, ...}` for pairs of annotated and predicted values.

    `value` is None without examples.
    """
    return JUDGES[value_type](pairs)


__all__ = ["FIGURES", "JUDGES", "Figures", "Judge", "Metrics", "Pair", "figures_of", "judge"]
