"""The base of adapters for whole images: frozen features, and a linear head on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lsml.adapters.base import Data, Target, TrainableAdapter
from lsml.adapters.image.features import ImageFeatures, ImageOptions
from lsml.adapters.parts.linear_head import LinearHead
from lsml.adapters.parts.number_head import NumberHead
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.errors import VersionError
from lsml.values import Value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from lsml.arrays import Rows

    OptionsT = TypeVar("OptionsT", bound=ImageOptions, default=ImageOptions)
else:
    from typing import TypeVar

    OptionsT = TypeVar("OptionsT")


class WholeImages(TrainableAdapter[OptionsT]):
    """An adapter with a linear head of one kind. `fit` sets the head."""

    consumes: ClassVar[frozenset[str]] = frozenset({"Image", "Pdf"})
    requires: ClassVar[tuple[str, ...]] = ("skimage", "PIL", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    learns_quickly: ClassVar[bool] = True
    head: ClassVar[type[LinearHead] | type[NumberHead]]

    def __init__(self, options: OptionsT, target: Target) -> None:
        super().__init__(options, target)
        self._head: LinearHead | NumberHead | None = None
        self._features = ImageFeatures(self.name, options)

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._head is not None

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return the head's values for each image (path)."""
        if self._head is None or not batch:
            return [[] for _ in batch]
        return self._head.values(self._features.rows(batch))

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features on which the head of these images would be trained."""
        return self._features.rows(batch)

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays; the encoder is not part of it."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "encoder": self._features.identity()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError, also where it was trained with another encoder."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            known = str(state["encoder"])
            head = self.head.restore(state, len(state["weights"]))
        if known != self._features.identity():
            raise VersionError(
                f"{directory}: was trained with another encoder than {self.options.encoder}; train again"
            )
        self._head = head
