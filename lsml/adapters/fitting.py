"""The training of one adapter; an error of its library affects only that adapter."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from lsml.adapters.base import Example, Progress, TrainableAdapter
from lsml.errors import AdapterError, LsmlError

_log = logging.getLogger(__name__)


def fit_adapter(
    name: str, adapter: TrainableAdapter, examples: Sequence[Example], seed: int, progress: Progress
) -> None:
    """Fit an adapter, which the log calls `name`.

    Raises NotEnoughData, AdapterError, OSError, MemoryError, and Cancelled through `progress`.
    """
    try:
        adapter.fit(examples, seed, progress)
    except (LsmlError, OSError, MemoryError):
        raise
    except Exception as error:
        # A library may raise anything, and the other models can still be trained.
        _log.exception("%s failed to learn", name)
        raise AdapterError(f"its training failed: {type(error).__name__}; the log has the details") from error
