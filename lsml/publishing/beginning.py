"""The order in which people best begin: before anything was learnt, the most typical tasks of each kind first."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from lsml.prediction import diverse_order, task_features, typical_order
from lsml.publishing.publish import PublishInputs
from lsml.publishing.scores import write_scores
from lsml.studio.predictions import OpenTask

if TYPE_CHECKING:
    from lsml.arrays import Array

_PAGE: Final = 500  # tasks read at a time
_MAX_TASKS: Final = 5000  # tasks in order: more than people annotate before the first version
_TYPICAL: Final = 50  # clusters whose most typical task comes first


def begin(inputs: PublishInputs) -> str:
    """Write the rank of each open task, in [0, 1), into the score field; return a sentence about the result.

    A task with a rank keeps it; those that came since follow by how unlike they are. Raises StudioError where Label
    Studio refuses, and the errors of `patience.check`.
    """
    assert inputs.score_field is not None
    tasks = _open_tasks(inputs)
    ranked = [isinstance(task.data.get(inputs.score_field), numbers.Real) for task in tasks]
    if all(ranked):
        return "no model is trained yet, and every unannotated task has its rank"
    asked = [{"id": task.id, "data": task.data} for task in tasks]
    features = task_features(inputs.binding, inputs.adapters, asked, inputs.fetch)
    if features is None:
        return "no model is trained yet, and no adapter has features to order tasks by"
    order = _beginning(features, ranked)
    scored = [(tasks[index], {"score": rank / len(order)}) for rank, index in enumerate(order)]
    write_scores(inputs.predictions, inputs.patience, inputs.score_field, scored)
    return (
        f"no model is trained yet: put {len(order):,} tasks in order, the most typical first, in {inputs.score_field}"
    )


def _open_tasks(inputs: PublishInputs) -> list[OpenTask]:
    tasks: list[OpenTask] = []
    after = 0
    while len(tasks) < _MAX_TASKS:
        some, _ = inputs.patience.ask(partial(inputs.predictions.lacking, inputs.model_version, after, _PAGE))
        if not some:
            break
        tasks += [task for task in some if not inputs.skip(str(task.id))]
        after = some[-1].id
    return tasks[:_MAX_TASKS]


def _beginning(features: Array, ranked: Sequence[bool]) -> list[int]:
    """Return the indices of the tasks without a rank: typical ones, then those most unlike all before."""
    known = [index for index, has in enumerate(ranked) if has]
    new = [index for index, has in enumerate(ranked) if not has]
    first = [] if known else [new[one] for one in typical_order(features[new], min(_TYPICAL, len(new)))]
    rest = [index for index in new if index not in set(first)]
    before = features[known + first]
    return first + [rest[one] for one in diverse_order([1.0] * len(rest), features[rest], len(rest), before)]
