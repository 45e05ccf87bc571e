"""image-regressor: ridge regression on frozen features of images, from a vision model or from colours and edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from lsml.adapters.base import Example, Progress, silent
from lsml.adapters.image.features import ImageOptions
from lsml.adapters.image.whole import WholeImages
from lsml.adapters.parts.number_head import Alpha, NumberHead, numbered
from lsml.values import Number


class ImageRegressorOptions(ImageOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `image-regressor`."""

    alpha: Alpha = 0.1


class ImageRegressor(WholeImages[ImageRegressorOptions]):
    """A number for an image, by ridge regression."""

    name: ClassVar[str] = "image-regressor"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn, scikit-image); weights have terms of their own"
    title: ClassVar[str] = "numbers and ratings for images"
    produces: ClassVar[frozenset[type]] = frozenset({Number})
    head = NumberHead
    Options: ClassVar[type[msgspec.Struct]] = ImageRegressorOptions

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
