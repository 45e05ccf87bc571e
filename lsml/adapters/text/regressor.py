"""text-regressor: TF-IDF of word and character n-grams, and ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from lsml.adapters.base import TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.number_head import Alpha, NumberHead, numbered
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.adapters.parts.text_features import TextFeatures, TextOptions
from lsml.values import Number, Value


class TextRegressorOptions(TextOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `text-regressor`."""

    alpha: Alpha = 0.3


class TextRegressor(TrainableAdapter[TextRegressorOptions]):
    """A number for a text, by ridge regression. A text without a known n-gram gets the score of a guess, exp(-1)."""

    name: ClassVar[str] = "text-regressor"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = "numbers and ratings for texts"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Number})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TextRegressorOptions

    def __init__(self, options: TextRegressorOptions, target: Target) -> None:
        super().__init__(options, target)
        self._features: TextFeatures | None = None
        self._head: NumberHead

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._features is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and one number each. Raises NotEnoughData with fewer than two."""
        indices, numbers = numbered(examples, "texts")
        features = TextFeatures.of_options(self.options)
        progress(0.05, f"counting words of {len(indices)} texts")
        rows = features.fit_transform(lambda: (examples[index].data for index in indices))

        def fitting(share: float, message: str) -> None:
            progress(0.3 + 0.7 * share, message)

        self._head = NumberHead.fit(rows, numbers, self.options.alpha, "sparse_cg", seed, fitting)
        self._features = features
        progress(1.0, f"trained on {len(indices)} texts")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return one number with its score for each text."""
        if self._features is None or not batch:
            return [[] for _ in batch]
        import numpy as np

        rows = self._features.transform(batch)
        return self._head.values(rows, np.diff(rows.indptr) == 0)

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "features": self._features.state()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            features = TextFeatures.restore(state["features"])
            head = NumberHead.restore(state, features.width)
        self._head = head
        self._features = features
