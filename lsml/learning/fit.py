"""The training of one model; an error of its library affects only that model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from lsml.adapters.base import Example, Progress, TrainableAdapter, silent
from lsml.binding import BoundModel
from lsml.errors import AdapterError, LsmlError

_log = logging.getLogger(__name__)
SEED: Final = 20_261_123


def fit(model: BoundModel, examples: Sequence[Example], progress: Progress = silent) -> TrainableAdapter:
    """Return a new adapter that learnt the examples. Raises NotEnoughData, AdapterError, OSError, MemoryError, and
    Cancelled through `progress`.
    """
    adapter = model.new_adapter()
    assert isinstance(adapter, TrainableAdapter)
    try:
        adapter.fit(examples, SEED, progress)
    except (LsmlError, OSError, MemoryError):
        raise
    except Exception as error:
        # A library may raise anything, and the other models can still learn.
        _log.exception("%s failed to learn", model.key)
        raise AdapterError(f"it failed to learn: {type(error).__name__}; the log has the details") from error
    return adapter
