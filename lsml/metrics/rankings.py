"""The agreement of predicted with annotated rankings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from lsml.metrics.rates import Metrics
from lsml.values import UNPICKED, Ranking, Value


def judge_rankings(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return order agreement, the mean over tasks of the share of decisions in an annotated ranking that the predicted one
    makes, too; and `exact_match`, the share of tasks whose rankings are the same.

    A decision is which of two items comes first; with buckets, the bucket of each item, and the order within one. Half of
    the decisions of an order are right by chance.
    """
    return {
        "metric": "order_agreement",
        "value": round(sum(map(order_agreement, pairs)) / len(pairs), 6) if pairs else None,
        "examples": len(pairs),
        "per_label": {},
        "exact_match": round(sum(map(same_rankings, pairs)) / len(pairs), 6) if pairs else None,
    }


def order_agreement(pair: tuple[Sequence[Value], Sequence[Value]]) -> float:
    """Return the share of the annotated decisions of one task that were predicted, in [0, 1]; 1 where there is nothing to
    decide.
    """
    decided, said = _decisions(pair[0]), _decisions(pair[1])
    return len(decided & said) / len(decided) if decided else 1.0


def same_rankings(pair: tuple[Sequence[Value], Sequence[Value]]) -> bool:
    """Return True if the predicted ranking of one task is the annotated one."""
    return _decisions(pair[0]) == _decisions(pair[1])


def _decisions(values: Sequence[Value]) -> set[tuple[str, str, str]]:
    """Return (bucket, earlier, later) for each pair within a bucket, and (bucket, item, "") for each item in one."""
    ranking = next((value for value in values if isinstance(value, Ranking)), None)
    if ranking is None:
        return set()
    groups = ranking.groups or ("",) * len(ranking.order)
    placed = list(zip(groups, ranking.order, strict=True))
    ordered = {
        (group, one, other) for (group, one), (same, other) in combinations(placed, 2) if group == same != UNPICKED
    }
    return ordered | ({(group, one, "") for group, one in placed} if ranking.groups else set())
