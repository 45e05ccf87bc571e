"""text-classifier: TF-IDF of word and character n-grams, and logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.adapters.parts.text_features import TextFeatures, TextOptions, text_rows
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows


class TextClassifierOptions(TextOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `text-classifier`."""

    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"


class TextClassifier(TrainableAdapter[TextClassifierOptions]):
    """One label or several for a text. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "text-classifier"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = "labels for texts, trained on a few dozen examples in a second"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TextClassifierOptions

    def __init__(self, options: TextClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._features: TextFeatures | None = None
        self._head: LinearHead

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._features is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their choices; labels that the target does not have are ignored.

        Raises NotEnoughData unless two different labels occur.
        """
        learnt = labelled(examples, self.target, "texts")
        features = TextFeatures.of_options(self.options)
        progress(0.05, f"counting words of {len(learnt.indices)} texts")
        rows = features.fit_transform(lambda: (examples[index].data for index in learnt.indices))

        def fitting(share: float, message: str) -> None:
            progress(0.3 + 0.7 * share, message)

        self._head = LinearHead.fit(
            rows, learnt, multiple=self.target.multiple, options=self.options, seed=seed, progress=fitting
        )
        self._features = features
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(learnt.indices)} texts")

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every known label with its probability, for each text; labels in alphabetical order."""
        if self._features is None or not batch:
            return [[] for _ in batch]
        return self._head.values(self._features.transform(batch))

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return TF-IDF of the n-grams of these texts."""
        return text_rows(self.options, batch)

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "features": self._features.state()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            features = TextFeatures.restore(state["features"])
            head = LinearHead.restore(state, features.width)
        self._head = head
        self._features = features
