"""The training of one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lsml.adapters.base import Example, Progress, TrainableAdapter, silent
from lsml.adapters.fitting import fit_adapter
from lsml.binding import BoundModel

SEED: Final = 20_261_123


def fit(
    model: BoundModel, examples: Sequence[Example], progress: Progress = silent, saved: Path | None = None
) -> TrainableAdapter:
    """Return a new adapter that learnt the examples. `saved`: the folder of the served one, for an adapter that resumes.

    Raises as `fit_adapter` does, and VersionError.
    """
    adapter = model.new_adapter()
    assert isinstance(adapter, TrainableAdapter)
    if saved is not None and adapter.resumes:
        adapter.load(saved)
    fit_adapter(model.key, adapter, examples, SEED, progress)
    return adapter
