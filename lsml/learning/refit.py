"""Cross-validation of a new version against the served one, if few tasks are held out.

Every task that the served version never learnt can judge it. A model that learns quickly is trained again without a fifth
of them at a time, so that they judge the new one, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lsml.adapters.base import Adapter, Progress
from lsml.adapters.parts.threads import one_thread
from lsml.binding import BoundModel
from lsml.errors import AdapterError, NotEnoughData
from lsml.labeling.objects import Fetch
from lsml.learning.candidates import Candidates
from lsml.learning.compare import Evaluated
from lsml.learning.examples import control_names, examples_of
from lsml.learning.fit import SEED, fit
from lsml.learning.judge import evaluate
from lsml.learning.snapshot import AnnotatedExample, Snapshot
from lsml.metrics import Pair
from lsml.versions import data_hash

_FOLDS: Final = 5
_REPEATS: Final = 2  # rounds, so that the luck of one fold counts less
_ONCE_FROM: Final = 100  # tasks from which one round is enough
_MAX_TASKS: Final = 500  # tasks; more would take long and improve little


def unlearnt_tasks(model: BoundModel, snapshot: Snapshot, learnt: set[bytes]) -> list[AnnotatedExample]:
    """Return the tasks that can judge a model and that the served version did not learn; one of tasks with equal data."""
    found: dict[bytes, AnnotatedExample] = {}
    for example in snapshot:
        own = data_hash(example.data)
        if own not in learnt and any(name in example.answers for name in control_names(model, example)):
            found.setdefault(own, example)
    return sorted(found.values(), key=lambda example: example.share)[:_MAX_TASKS]


def cross_validate(
    candidates: Candidates, model: BoundModel, judged: Sequence[AnnotatedExample], progress: Progress
) -> Evaluated | None:
    """Return the answers of `model`, trained without them, and of the served adapters to the tasks of `judged`, several
    times each.

    None where it cannot learn without some of them.
    """
    from sklearn.model_selection import RepeatedKFold

    binding, snapshot, fetch = candidates.binding, candidates.snapshot, candidates.fetch
    repeats = 1 if len(judged) >= _ONCE_FROM else _REPEATS
    splits = RepeatedKFold(n_splits=_FOLDS, n_repeats=repeats, random_state=SEED).split(judged)
    old = evaluate(binding, candidates.served, judged, fetch).pairs
    new: dict[str, list[list[Pair]]] = {name: [[] for _ in judged] for name in binding.controls}
    for number, (_, left) in enumerate(splits):
        progress(number / (_FOLDS * repeats), f"cross-validating, fold {number + 1} of {_FOLDS * repeats}")
        fold = [judged[index] for index in left]
        try:
            adapter = fitted_without(
                {data_hash(example.data) for example in fold}, model, snapshot, candidates.moved_to_training, fetch
            )
        except (NotEnoughData, AdapterError):
            return None
        answered = evaluate(binding, {**candidates.served, model.key: adapter}, fold, fetch).pairs
        for name, of_tasks in answered.items():
            for index, pairs in zip(left, of_tasks, strict=True):
                new[name][index] += pairs
    return new, {name: [pairs * repeats for pairs in of_tasks] for name, of_tasks in old.items()}


def fitted_without(
    hashes: set[bytes], model: BoundModel, snapshot: Snapshot, moved_to_training: set[str], fetch: Fetch
) -> Adapter:
    """Return the model, trained on tasks that are neither held out nor among the hashes. Raises NotEnoughData or
    AdapterError.
    """
    annotated = (example for example in snapshot if data_hash(example.data) not in hashes)
    examples, _, _, _ = examples_of(model, annotated, moved_to_training, fetch)
    with one_thread():
        return fit(model, examples)
