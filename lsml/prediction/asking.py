"""Asking a model about a batch. The server asks through a cache instead, which answers in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsml.adapters.base import Adapter, Data
from lsml.errors import LsmlError
from lsml.values import Value

# (adapter, batch, floor as in `predict_above`) -> one list of values for each element, in order
Ask = Callable[[Adapter, Sequence[Data], float], Sequence[Sequence[Value]]]


def ask_directly(adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
    """Return the adapter's values for each element. Raises LsmlError where it did not return one list for each, and what
    the adapter raises.
    """
    predicted = adapter.predict_above(batch, floor)
    if len(predicted) != len(batch):
        raise LsmlError(f"it returned {len(predicted)} lists of values for {len(batch)} elements")
    return predicted
