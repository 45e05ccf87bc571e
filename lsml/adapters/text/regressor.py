"""text-regressor: TF-IDF of word and character n-grams, and ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.state import as_array, load_state, save_state
from lsml.adapters.parts.text_features import TextFeatures, TextOptions
from lsml.errors import NotEnoughData, VersionError
from lsml.values import Number, Value

if TYPE_CHECKING:
    from lsml.arrays import Array

_MEMBERS = 5  # models that each miss another share of the examples; where they disagree, the answer is uncertain


class TextRegressorOptions(TextOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `text-regressor`."""

    alpha: Annotated[
        float,
        Meta(
            gt=0,
            le=1e6,
            description="How strongly to shrink towards the mean; higher holds noise at bay.",
            extra=TRAINING,
        ),
    ] = 0.3


class TextRegressor(TrainableAdapter[TextRegressorOptions]):
    """A number for a text, by ridge regression.

    Its score is exp(-error / spread): the error that the jackknife expects, from how far up to five more regressions
    disagree that each miss another share of the examples, in units of the annotated numbers' spread. A text without a
    single known word or run of characters gets the score of a guess, exp(-1).
    """

    name: ClassVar[str] = "text-regressor"
    title: ClassVar[str] = "numbers and ratings for texts"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Number})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TextRegressorOptions

    def __init__(self, options: TextRegressorOptions, target: Target) -> None:
        super().__init__(options, target)
        self._features: TextFeatures | None = None
        self._weights: Array  # (features, 1 + members): the answer, then its members
        self._biases: Array  # (1 + members,)
        self._spread = 1.0  # standard deviation of the annotated numbers

    @property
    def ready(self) -> bool:
        """True if it has learnt or loaded anything."""
        return self._features is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from texts (str) and one number each. Raises NotEnoughData with fewer than two."""
        import numpy as np
        from sklearn.linear_model import Ridge

        numbers = [next((value.value for value in e.values if isinstance(value, Number)), None) for e in examples]
        kept = [index for index, number in enumerate(numbers) if number is not None]
        if len(kept) < 2:
            raise NotEnoughData(f"{len(kept)} texts have a number; annotate at least two")
        features = TextFeatures.of_options(self.options)
        progress(0.05, f"counting words of {len(kept)} texts")
        rows = features.fit_transform(lambda: (examples[index].data for index in kept))
        target = np.array([numbers[index] for index in kept], dtype=np.float64)
        order = np.random.default_rng(seed).permutation(len(kept))
        members = min(_MEMBERS, len(kept))
        weights = np.zeros((rows.shape[1], 1 + members))
        biases = np.zeros(1 + members)
        for column in range(1 + members):
            progress(0.3 + 0.7 * column / (1 + members), f"fitting model {column + 1} of {1 + members}")
            # Column 0 sees everything; column k misses the k-th share.
            learnt = np.sort(order[np.arange(len(kept)) % members != column - 1])
            model = Ridge(alpha=self.options.alpha, solver="sparse_cg", random_state=seed).fit(
                rows[learnt], target[learnt]
            )
            weights[:, column] = model.coef_
            biases[column] = model.intercept_
        self._features = features
        self._weights, self._biases = as_array(weights), as_array(biases)
        # Not the deviation alone: that of equal floats can be a rounding error above 0.
        self._spread = float(target.std()) if target.min() < target.max() else 1.0
        progress(1.0, f"learnt from {len(kept)} texts")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """One number with its certainty for each text."""
        if self._features is None or not batch:
            return [[] for _ in batch]
        import numpy as np

        rows = self._features.transform(batch)
        answers = rows @ self._weights + self._biases  # (texts, 1 + members)
        members = answers[:, 1:]
        # Members share most of their examples, so their deviation is scaled up as the jackknife does.
        errors = members.std(axis=1) * np.sqrt(members.shape[1] - 1)
        errors[np.diff(rows.indptr) == 0] = self._spread
        certainty = np.exp(-errors / self._spread)
        return [
            [Number(number, score)] for number, score in zip(answers[:, 0].tolist(), certainty.tolist(), strict=True)
        ]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        save_state(
            directory,
            {
                "weights": self._weights,
                "biases": self._biases,
                "spread": self._spread,
                "features": self._features.state(),
            },
        )

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        state = load_state(directory, self.name)
        try:
            features = TextFeatures.restore(state["features"])
            weights, biases = as_array(state["weights"]), as_array(state["biases"])
            if weights.shape != (features.width, len(biases)):
                raise ValueError("its parts differ in size")
            spread = float(state["spread"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train anew"
            ) from error
        self._weights, self._biases, self._spread = weights, biases, spread
        self._features = features
