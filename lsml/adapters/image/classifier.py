"""image-classifier: a linear model on frozen features of images, from a vision model or from colours and edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from lsml.adapters.base import Example, Progress, silent
from lsml.adapters.image.features import ImageOptions
from lsml.adapters.image.whole import WholeImages
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.values import Choice


class ImageClassifierOptions(ImageOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `image-classifier`."""

    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"


class ImageClassifier(WholeImages[ImageClassifierOptions]):
    """One label or several for an image. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "image-classifier"
    licence: ClassVar[str | None] = (
        "BSD-3-Clause (scikit-learn, scikit-image), Apache-2.0 (OpenCV); weights have terms of their own"
    )
    title: ClassVar[str] = "labels for images, trained on a few examples in seconds"
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    head = LinearHead
    Options: ClassVar[type[msgspec.Struct]] = ImageClassifierOptions

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
