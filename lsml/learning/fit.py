"""The training of one model, from the start or from a saved version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lsml.adapters.base import Example, Progress, TrainableAdapter, silent
from lsml.adapters.fitting import fit_adapter
from lsml.binding import BoundModel

SEED: Final = 20_261_123


def fit(
    model: BoundModel, examples: Sequence[Example], progress: Progress = silent, begun: TrainableAdapter | None = None
) -> TrainableAdapter:
    """Return an adapter that learnt the examples: a new one, or the one that has `begun`, which goes on.

    Raises as `fit_adapter` does.
    """
    adapter = _new(model) if begun is None else begun
    fit_adapter(model.key, adapter, examples, SEED, progress)
    return adapter


def resumed(model: BoundModel, saved: Path) -> TrainableAdapter | None:
    """Return an adapter that goes on from a version, saved in a folder; None where the recipe does not say so. Raises
    VersionError.
    """
    adapter = _new(model)
    if not adapter.resumes:
        return None
    adapter.load(saved)
    return adapter


def resumes(model: BoundModel) -> bool:
    """Return True if the recipe says that a model goes on from its promoted version."""
    return _new(model).resumes


def _new(model: BoundModel) -> TrainableAdapter:
    adapter = model.new_adapter()
    assert isinstance(adapter, TrainableAdapter)
    return adapter
