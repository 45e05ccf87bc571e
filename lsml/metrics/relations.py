"""The agreement of predicted with annotated relations."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.metrics.rates import Metrics, judge_found
from lsml.values import Relation, Value


def judge_relations(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return F1 over all relations together: a relation is right if its regions, its direction and its label are.

    Nothing annotated and nothing predicted counts 1.
    """
    met = ((relations_of(truth), relations_of(guess)) for truth, guess in pairs)
    return judge_found(met, "relation_f1", "relations")


def relations_of(values: Sequence[Value]) -> set[tuple[str, str, str]]:
    """Return the set of (source, target, label) of relations."""
    return {(value.source, value.target, value.label) for value in values if isinstance(value, Relation)}
