"""image-classifier: a linear model on frozen features of images, from a vision model or from colours and edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.image.features import ImageFeatures, ImageOptions
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.state import load_state, save_state
from lsml.errors import VersionError
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows


class ImageClassifierOptions(ImageOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `image-classifier`."""

    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"


class ImageClassifier(TrainableAdapter[ImageClassifierOptions]):
    """One label or several for an image. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "image-classifier"
    title: ClassVar[str] = "labels for images, trained on a few examples in seconds"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("skimage", "PIL", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = ImageClassifierOptions

    def __init__(self, options: ImageClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._head: LinearHead | None = None
        self._features = ImageFeatures(self.name, options)

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._head is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on images (paths) and their choices; labels that the target does not have are ignored.

        Raises NotEnoughData unless two different labels occur.
        """
        learnt = labelled(examples, self.target, "images")
        paths = [examples[index].data for index in learnt.indices]

        def reading(share: float, message: str) -> None:
            progress(0.8 * share, message)

        def fitting(share: float, message: str) -> None:
            progress(0.8 + 0.2 * share, message)

        rows = self._features.rows(paths, reading)
        self._head = LinearHead.fit(
            rows, learnt, multiple=self.target.multiple, options=self.options, seed=seed, progress=fitting
        )
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(paths)} images")

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every known label with its probability, for each image; labels in alphabetical order."""
        if self._head is None or not batch:
            return [[] for _ in batch]
        return self._head.values(self._features.rows(batch))

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features from which a classifier of these images would learn."""
        return self._features.rows(batch)

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays; the encoder is not part of it."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "encoder": self._features.identity()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError, also where it was learnt with another encoder."""
        state = load_state(directory, self.name)
        try:
            known = str(state["encoder"])
            head = LinearHead.restore(state, len(state["weights"]))
        except (KeyError, TypeError, ValueError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        if known != self._features.identity():
            raise VersionError(
                f"{directory}: was trained with another encoder than {self.options.encoder}; train again"
            )
        self._head = head
