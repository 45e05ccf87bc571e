"""The time at which a training run is due."""

from __future__ import annotations

from lsml.adapters import get_adapter
from lsml.adapters.base import TrainableAdapter
from lsml.recipe import Recipe, Training
from lsml.store import RunRow, Store


def learners(recipe: Recipe) -> list[Training]:
    """Return the training settings of the recipe's models that learn."""
    return [
        model.training
        for model in recipe.models
        if model.training is not None
        and all(issubclass(get_adapter(use.adapter), TrainableAdapter) for use in model.uses)
    ]


def request_if_due(store: Store, recipe: Recipe, project: str) -> RunRow | None:
    """Request a training run if enough annotations changed since the last one, and return it; else None.

    It starts when annotators are quiet, and at the recipe's time of day, if there is one.
    """
    due: list[Training] = []
    # Every webhook asks, and counting the changes takes longer the more there are.
    most = store.annotations.changes_at_most(project)
    for training in learners(recipe):
        if most < training.changes_due(0):
            continue
        usable, changes = store.annotations.counts(project, training.learn_from)
        if usable >= training.min_annotations and changes >= training.changes_due(usable):
            due.append(training)
    if not due:
        return None
    # One run trains every model, so the earliest start counts.
    quiet_s = min(training.quiet_s for training in due)
    return store.runs.request(
        project, "annotations", quiet_s=quiet_s, earliest=lambda made: min(training.earliest(made) for training in due)
    )


def counts(store: Store, recipe: Recipe, project: str) -> tuple[int, int]:
    """Return (usable annotations, annotations changed since the last run) of a project, as the recipe's models learn them."""
    each = [store.annotations.counts(project, training.learn_from) for training in learners(recipe)]
    return max(each, default=None) or store.annotations.counts(project)


def changes_needed(recipe: Recipe, usable: int, changes: int) -> int | None:
    """Return how many annotations must have changed for the next training run; None where nothing learns automatically."""
    needed = [
        max(training.changes_due(usable), changes + training.min_annotations - usable) for training in learners(recipe)
    ]
    return min(needed, default=None)
