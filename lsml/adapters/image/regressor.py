"""image-regressor: ridge regression on frozen features of images, from a vision model or from colours and edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.image.features import ImageFeatures, ImageOptions
from lsml.adapters.parts.number_head import Alpha, NumberHead, numbered
from lsml.adapters.parts.state import load_state, save_state
from lsml.errors import VersionError
from lsml.values import Number, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows


class ImageRegressorOptions(ImageOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `image-regressor`."""

    alpha: Alpha = 0.1


class ImageRegressor(TrainableAdapter[ImageRegressorOptions]):
    """A number for an image, by ridge regression."""

    name: ClassVar[str] = "image-regressor"
    title: ClassVar[str] = "numbers and ratings for images"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Number})
    requires: ClassVar[tuple[str, ...]] = ("skimage", "PIL", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = ImageRegressorOptions

    def __init__(self, options: ImageRegressorOptions, target: Target) -> None:
        super().__init__(options, target)
        self._head: NumberHead | None = None
        self._features = ImageFeatures(self.name, options)

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._head is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on images (paths) and one number each. Raises NotEnoughData with fewer than two."""
        indices, numbers = numbered(examples, "images")

        def reading(share: float, message: str) -> None:
            progress(0.9 * share, message)

        def fitting(share: float, message: str) -> None:
            progress(0.9 + 0.1 * share, message)

        rows = self._features.rows([examples[index].data for index in indices], reading)
        self._head = NumberHead.fit(rows, numbers, self.options.alpha, "cholesky", seed, fitting)
        progress(1.0, f"trained on {len(numbers)} images")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return one number with its score for each image."""
        if self._head is None or not batch:
            return [[] for _ in batch]
        return self._head.values(self._features.rows(batch))

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features on which a regressor of these images would be trained."""
        return self._features.rows(batch)

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays; the encoder is not part of it."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "encoder": self._features.identity()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError, also where it was trained with another encoder."""
        state = load_state(directory, self.name)
        try:
            known = str(state["encoder"])
            head = NumberHead.restore(state, len(state["weights"]))
        except (KeyError, TypeError, ValueError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        if known != self._features.identity():
            raise VersionError(
                f"{directory}: was trained with another encoder than {self.options.encoder}; train again"
            )
        self._head = head
