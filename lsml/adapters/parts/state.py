"""Saved models of adapters on scikit-learn and numpy: one skops file of plain arrays, lists and numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsml.errors import VersionError

if TYPE_CHECKING:
    from lsml.arrays import Array

# The saved state: arrays, lists, numbers and texts by name. The adapter that restores it reports errors.
State = dict[str, Any]

FILE: Final = "model.skops"
_FORMAT: Final = 1
# scikit-learn's support for arrays of other libraries, each of which imports its library.
_ARRAY_LIBRARIES: Final = tuple(f"sklearn.externals.array_api_compat.{name}" for name in ("torch", "cupy", "dask"))


def save_state(directory: Path, state: State) -> None:
    """Write plain arrays, lists and numbers with skops: nothing in the file is code."""
    _skops().dump({"format": _FORMAT, **state}, directory / FILE)


def load_state(directory: Path, adapter: str) -> State:
    """Return a saved state. Raises VersionError where the file is missing, damaged, or holds more than data."""
    skops = _skops()
    path = directory / FILE
    try:
        # Only types that skops itself considers harmless are loaded.
        state = skops.load(path, trusted=[])
    except Exception as error:
        # skops raises any error of zipfile, json and numpy; each means that the file was changed.
        raise VersionError(
            f"{path}: {adapter} cannot read it: {type(error).__name__}; restore it, or train again"
        ) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise VersionError(f"{path}: was not saved by this version of {adapter}; train again")
    return state


@contextmanager
def restoring(directory: Path, adapter: str) -> Iterator[None]:
    """Raise as VersionError what a state lacks or has wrong, while an adapter becomes what was saved."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VersionError(f"{directory}: {adapter} cannot read it: {error}; restore it, or train again") from error


def _skops() -> Any:
    """Return skops.io, imported without torch.

    skops imports every package of scikit-learn to list the estimators, and so torch where that is installed: 400 MB and
    seconds for models that never use it. A None in sys.modules makes that one import fail, which the listing ignores.
    """
    if "skops.io" not in sys.modules:
        modules: dict[str, Any] = sys.modules
        for name in _ARRAY_LIBRARIES:
            modules.setdefault(name, None)
        try:
            import skops.io
        finally:
            for name in _ARRAY_LIBRARIES:
                if modules.get(name, modules) is None:
                    modules.pop(name, None)
    import skops.io

    return skops.io


def as_array(values: object) -> Array:
    """Return a contiguous array of floats."""
    import numpy as np

    return np.ascontiguousarray(values, dtype=np.float64)
