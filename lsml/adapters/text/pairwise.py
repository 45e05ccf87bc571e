"""pairwise: which of two texts people prefer, trained on their comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.linear_head import Closeness
from lsml.adapters.parts.preference_head import PreferenceHead, PreferredItem
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.parts.text_features import TextFeatures, TextOptions
from lsml.errors import NotEnoughData, VersionError
from lsml.labeling.items import Items
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class PairwiseOptions(TextOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `pairwise`."""

    C: Closeness = "auto"


class TextPairwise(TrainableAdapter[PairwiseOptions]):
    """The probability of each of two texts to be the one that people prefer.

    Its features are n-grams and the length of each text. It does not see what else the task shows, such as a prompt.
    """

    name: ClassVar[str] = "pairwise"
    title: ClassVar[str] = "which of two texts people prefer, trained on their comparisons"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    compares: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = PairwiseOptions

    def __init__(self, options: PairwiseOptions, target: Target) -> None:
        super().__init__(options, target)
        self._features: TextFeatures | None = None
        self._head: PreferenceHead

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._features is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on items and the choice of one of them. Raises NotEnoughData with fewer than two."""
        told = [(example.data, best) for example in examples if (best := _chosen(example)) is not None]
        if len(told) < 2:
            raise NotEnoughData(f"{len(told)} comparisons have an answer; annotate at least two")
        texts = [text for items, _ in told for text in items.texts]
        progress(0.05, f"counting words of {len(texts)} texts")
        features = TextFeatures.of_options(self.options)
        rows = _with_length(features.fit_transform(lambda: texts), texts)
        comparisons: list[PreferredItem] = []
        start = 0
        for task, (items, best) in enumerate(told):
            others = [index for index in range(len(items.texts)) if index != best]
            comparisons += [PreferredItem(start + best, start + other, task) for other in others]
            start += len(items.texts)
        progress(0.3, f"fitting {len(comparisons)} comparisons")
        self._head = PreferenceHead.fit(rows, comparisons, self.options.C, seed)
        self._features = features
        progress(1.0, f"trained on {len(told)} comparisons")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return each item's name with the probability that people prefer it to the others, for each Items."""
        if self._features is None or not batch:
            return [[] for _ in batch]
        texts = [text for items in batch for text in items.texts]
        worths = self._head.worths(_with_length(self._features.transform(texts), texts))
        answers: list[list[Value]] = []
        start = 0
        for items in batch:
            answers.append(_probabilities(items, worths[start : start + len(items.texts)].tolist()))
            start += len(items.texts)
        return answers

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "features": self._features.state()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        try:
            features = TextFeatures.restore(state["features"])
            head = PreferenceHead.restore(state, features.width + 1)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._head = head
        self._features = features


def _chosen(example: Example) -> int | None:
    """Return the place of the item that a person chose; None where there is none."""
    names = example.data.names
    return next(
        (names.index(one.label) for one in example.values if isinstance(one, Choice) and one.label in names), None
    )


def _with_length(rows: csr_matrix, texts: Sequence[str]) -> csr_matrix:
    """Return rows (texts, features + 1). The last feature is the logarithm of the length: people often prefer more, or less."""
    import numpy as np
    from scipy.sparse import csr_matrix, hstack

    lengths = np.log1p([len(text) for text in texts]) / 5  # about 1, as the others are at most
    return hstack([rows, csr_matrix(lengths[:, None])], format="csr")


def _probabilities(items: Items, worths: Sequence[float]) -> list[Value]:
    """Return each item with its share of all worths: of two, the logistic function of their difference."""
    import numpy as np

    shares = np.exp(np.array(worths) - max(worths, default=0.0))
    shares /= shares.sum() or 1.0
    return [Choice(name, float(share)) for name, share in zip(items.names, shares, strict=True)]
