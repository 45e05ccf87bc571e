"""The order in which predictions are posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lsml.adapters.base import Adapter
from lsml.binding import Binding
from lsml.labeling.objects import Fetch
from lsml.prediction import diverse_order, task_features
from lsml.studio.predictions import OpenTask

Predicted = tuple[OpenTask, dict[str, Any]]


def in_order(
    predicted: Sequence[Predicted], order: str, binding: Binding, adapters: Mapping[str, Adapter], fetch: Fetch
) -> list[Predicted]:
    """Return the predictions in posting order: `uncertain`, `diverse`, or `id`, which is the given order.

    In the `diverse` order a prediction's score is its rank, in [0, 1), as Label Studio sorts only by score.
    """
    if order == "uncertain":
        return sorted(predicted, key=lambda one: (one[1].get("score") is None, one[1].get("score") or 0.0))
    if order != "diverse" or not predicted:
        return list(predicted)
    tasks = [{"id": task.id, "data": task.data} for task, _ in predicted]
    features = task_features(binding, adapters, tasks, fetch)
    indices = diverse_order([1.0 - one.get("score", 1.0) for _, one in predicted], features, len(predicted))
    return [
        (predicted[index][0], {**predicted[index][1], "score": rank / len(predicted)})
        for rank, index in enumerate(indices)
    ]
