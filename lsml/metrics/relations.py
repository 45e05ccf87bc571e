"""The agreement of predicted with annotated relations."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.metrics.rates import Metrics, judge_found
from lsml.values import Relation, Value


def judge_relations(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return F1 over all relations together: a relation is right if its regions, its direction and its label are.

    Nothing annotated and nothing predicted counts 1.
    """
    found = [(relations_of(truth), relations_of(guess)) for truth, guess in pairs]
    scored = [
        (value.score, (value.source, value.target, value.label) in true)
        for (_, guess), (true, _) in zip(pairs, found, strict=True)
        for value in guess
        if isinstance(value, Relation) and value.score is not None
    ]
    return judge_found(found, "relation_f1", "relations", scored)


def relations_of(values: Sequence[Value]) -> set[tuple[str, str, str]]:
    """Return the set of (source, target, label) of relations."""
    return {(value.source, value.target, value.label) for value in values if isinstance(value, Relation)}
