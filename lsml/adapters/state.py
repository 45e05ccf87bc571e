"""How adapters on scikit-learn and numpy save what they learnt: one skops file of plain arrays, lists and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsml.errors import VersionError

if TYPE_CHECKING:
    import numpy as np

FILE: Final = "model.skops"
_FORMAT: Final = 1


def save_state(directory: Path, state: dict[str, Any]) -> None:
    """Write plain arrays, lists and numbers with skops: nothing in the file can run."""
    import skops.io

    skops.io.dump({"format": _FORMAT, **state}, directory / FILE)


def load_state(directory: Path, adapter: str) -> dict[str, Any]:
    """What `save_state` wrote. Raises VersionError where the file is missing, damaged, or holds more than data."""
    import skops.io

    path = directory / FILE
    try:
        # Nothing is trusted beyond what skops itself holds harmless.
        state = skops.io.load(path, trusted=[])
    except Exception as error:
        # skops raises whatever zipfile, json and numpy do; any of it means that this is not what was saved.
        raise VersionError(
            f"{path}: {adapter} cannot read it: {type(error).__name__}; restore it, or train anew"
        ) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise VersionError(f"{path}: was not saved by this version of {adapter}; train anew")
    return state


def as_array(values: Any) -> np.ndarray[Any, Any]:
    """A contiguous array of floats."""
    import numpy as np

    return np.ascontiguousarray(values, dtype=np.float64)
