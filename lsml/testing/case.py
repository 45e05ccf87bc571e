"""An adapter with data to test it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from lsml.adapters.base import Adapter, Data, Example, Target, TrainableAdapter
from lsml.values import Value

SEED = 7


@dataclass(frozen=True)
class AdapterCase:
    """An adapter with data to test it on.

    `examples`: enough to learn from, for a trainable adapter; `batch`: data to predict, at least three different
    elements. `prompts`: for an interactive adapter, data with the regions that a person drew there; it must answer at
    least one. `tolerance`: the allowed difference of a score or a number between two runs on the same data, for
    libraries whose arithmetic depends on the batch. `path`: additional folders from which a fresh process imports the
    adapter.
    """

    adapter: type[Adapter]
    batch: Sequence[Data]
    examples: Sequence[Example] = ()
    prompts: Sequence[tuple[Data, Sequence[Value]]] = ()
    options: dict[str, object] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    tolerance: float = 0.0
    path: Sequence[str] = ()

    def new(self) -> Adapter:
        """Return a new instance: the starting point."""
        return self.adapter(msgspec.convert(self.options, self.adapter.Options), self.target)

    def ready(self) -> Adapter:
        """Return an instance that predicts, trained on the examples if it can learn. It is made once for all checks."""
        if id(self) not in _READY:
            _READY[id(self)] = (self, self.trained())
        return _READY[id(self)][1]

    def trained(self) -> Adapter:
        """Return another instance that predicts, trained anew."""
        adapter = self.new()
        if isinstance(adapter, TrainableAdapter):
            adapter.fit(list(self.examples), SEED)
        return adapter


# The case is kept beside its adapter, so that no other case can get its id.
_READY: dict[int, tuple[AdapterCase, Adapter]] = {}
