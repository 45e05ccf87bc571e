"""Cross-validation of a new version against the served one, where few tasks are held out.

Every task that the served version never learnt can judge it. A model that learns quickly is fitted again without a fifth of
them at a time, so that they judge the new one, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lsml.adapters.base import Adapter, Progress
from lsml.binding import Binding, BoundModel
from lsml.errors import AdapterError, NotEnoughData
from lsml.labeling.objects import Fetch
from lsml.learning.compare import Pairs
from lsml.learning.examples import control_names, examples_of
from lsml.learning.fit import SEED, fit
from lsml.learning.judge import evaluate
from lsml.learning.snapshot import AnnotatedExample, Snapshot
from lsml.metrics import Pair
from lsml.versions import mark

_FOLDS: Final = 5
_REPEATS: Final = 2  # where a task judges so often, its luck with one fold counts less
_ONCE_FROM: Final = 100  # tasks to judge by, of which one round tells enough
_MAX_TASKS: Final = 500  # tasks to judge by: more would take long and tell little more

Evaluated = tuple[Pairs, Pairs]  # of the new and of the served version


def unlearnt_tasks(model: BoundModel, snapshot: Snapshot, learnt: set[bytes]) -> list[AnnotatedExample]:
    """The tasks that a model could be judged by, and that a version which learnt so did not learn, one of those alike."""
    found: dict[bytes, AnnotatedExample] = {}
    for lesson in snapshot:
        own = mark(lesson.data)
        if own not in learnt and any(name in lesson.answers for name in control_names(model, lesson)):
            found.setdefault(own, lesson)
    return sorted(found.values(), key=lambda lesson: lesson.share)[:_MAX_TASKS]


def cross_validate(
    binding: Binding,
    model: BoundModel,
    served: Mapping[str, Adapter],
    snapshot: Snapshot,
    moved: set[str],
    judged: Sequence[AnnotatedExample],
    fetch: Fetch,
    progress: Progress,
) -> Evaluated | None:
    """What `model`, fitted anew without them, and what is `served` answer to the tasks of `judged`, each several times.

    None where it cannot learn without some of them."""
    from sklearn.model_selection import RepeatedKFold

    repeats = 1 if len(judged) >= _ONCE_FROM else _REPEATS
    splits = RepeatedKFold(n_splits=_FOLDS, n_repeats=repeats, random_state=SEED).split(judged)
    old = evaluate(binding, served, judged, fetch).pairs
    new: dict[str, list[list[Pair]]] = {name: [[] for _ in judged] for name in binding.controls}
    for number, (_, left) in enumerate(splits):
        progress(number / (_FOLDS * repeats), f"cross-validating, fold {number + 1} of {_FOLDS * repeats}")
        fold = [judged[place] for place in left]
        try:
            adapter = fitted_without({mark(lesson.data) for lesson in fold}, model, snapshot, moved, fetch)
        except (NotEnoughData, AdapterError):
            return None
        answered = evaluate(binding, {**served, model.key: adapter}, fold, fetch).pairs
        for name, of_tasks in answered.items():
            for place, pairs in zip(left, of_tasks, strict=True):
                new[name][place] += pairs
    return new, {name: [pairs * repeats for pairs in of_tasks] for name, of_tasks in old.items()}


def fitted_without(marks: set[bytes], model: BoundModel, snapshot: Snapshot, moved: set[str], fetch: Fetch) -> Adapter:
    """The model, fitted to what is neither held out nor among the marks. Raises NotEnoughData or AdapterError."""
    from threadpoolctl import threadpool_limits

    lessons = (lesson for lesson in snapshot if mark(lesson.data) not in marks)
    examples, _, _, _ = examples_of(model, lessons, moved, fetch)
    # Threads of linear algebra wait by spinning; many small fits in a row are quicker with one.
    with threadpool_limits(1):
        return fit(model, examples)
