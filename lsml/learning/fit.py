"""One model fitted to examples; whatever its library raises costs that model alone."""

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
    """A new adapter of a model that learnt the examples. Raises NotEnoughData, AdapterError, OSError, MemoryError, and
    Cancelled through `progress`."""
    adapter = model.new_adapter()
    assert isinstance(adapter, TrainableAdapter)
    try:
        adapter.fit(examples, SEED, progress)
    except (LsmlError, OSError, MemoryError):
        raise
    except Exception as error:
        # A library may raise anything; the other models can still learn.
        _log.exception("%s failed to learn", model.key)
        raise AdapterError(f"it failed to learn: {type(error).__name__}; the log says where") from error
    return adapter
