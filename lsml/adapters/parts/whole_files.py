"""The base of adapters for whole files: features, their scaling, and a linear head on top."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lsml.adapters.base import Data, OptionsT, Target, TrainableAdapter
from lsml.adapters.parts.linear_head import LinearHead
from lsml.adapters.parts.number_head import NumberHead
from lsml.adapters.parts.scaling import Scale
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.values import Value

if TYPE_CHECKING:
    from lsml.arrays import Rows


class WholeFiles(TrainableAdapter[OptionsT]):
    """An adapter with a linear head of one kind. `fit` sets the head and the notes on unreadable files."""

    head: ClassVar[type[LinearHead] | type[NumberHead]]
    width: ClassVar[int]  # the number of features

    @abstractmethod
    def rows(self, batch: Sequence[Data]) -> Rows:
        """Return the features of files (paths), a row each. Raises AdapterError if one cannot be read."""

    def __init__(self, options: OptionsT, target: Target) -> None:
        super().__init__(options, target)
        self._learnt: tuple[Scale, LinearHead | NumberHead] | None = None
        self._notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._learnt is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """The number of files that were not used, with the reasons."""
        return self._notes

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return the head's values for each file (path). Raises AdapterError if one cannot be read."""
        if self._learnt is None or not batch:
            return [[] for _ in batch]
        scale, head = self._learnt
        return head.values(scale.apply(self.rows(batch)))

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features of these files, each in units of its own spread among them."""
        rows = self.rows(batch)
        return Scale.of_rows(rows).apply(rows) if len(rows) else rows

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._learnt is not None, "an untrained model is never saved"
        scale, head = self._learnt
        save_state(directory, {**head.state(), "scale": list(scale)})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            self._learnt = Scale.restore(state["scale"], self.width), self.head.restore(state, self.width)
