"""text-classifier: TF-IDF of word and character n-grams, and logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.text_features import TRAINING, TextFeatures, TextOptions, as_array, load_state, save_state
from lsml.errors import NotEnoughData, VersionError
from lsml.values import Choice, Value

if TYPE_CHECKING:
    import numpy as np


class Setting(NamedTuple):
    """How a regression learns: `evenness` 1 lets every class count alike, 0 every example."""

    C: float
    evenness: float


# What `auto` chooses from; of those that are as good, the one that stands first. Wrong labels make many examples of a
# rare class wrong ones: then it must not count as much as the others.
_SETTINGS: Final = (
    Setting(10, 1), Setting(3, 1), Setting(1, 1), Setting(10, 0.5), Setting(3, 0.5), Setting(10, 0), Setting(30, 0),
)  # fmt: skip
_FOLDS: Final = 5
_LEAST_OF_A_CLASS: Final = 5  # examples, of at least two classes; fewer advise nothing
_MOST_WORK: Final = 600_000  # numbers in the features, times labels: some seconds on one core


class TextClassifierOptions(TextOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `text-classifier`."""

    C: Annotated[
        Annotated[float, Meta(gt=0, le=1e6)] | Literal["auto"],
        Meta(
            description="How closely to follow the examples; lower holds noisy labels at bay. auto: as cross-validation "
            "of the examples advises, or 10 where they are too few or too many for that.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number above 0 up to 1000000, or auto"},
        ),
    ] = "auto"
    class_weight: Annotated[
        Literal["auto", "balanced", "none"],
        Meta(
            description="balanced: rare labels count as much as common ones; none: as often as they occur. auto: what "
            "cross-validation advises of these two and the middle between them, or balanced.",
            extra=TRAINING,
        ),
    ] = "auto"


class TextClassifier(TrainableAdapter):
    """One label or several for a text. Answers every label that it saw in training, with its probability."""

    name: ClassVar[str] = "text-classifier"
    title: ClassVar[str] = "labels for texts, learnt from a few dozen examples in a second"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    Options: ClassVar[type[msgspec.Struct]] = TextClassifierOptions

    def __init__(self, options: TextClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._features: TextFeatures | None = None
        self._labels: list[str] = []
        self._multiple = target.multiple
        self._weights: np.ndarray[Any, Any]  # (features, labels)
        self._biases: np.ndarray[Any, Any]  # (labels,)

    @property
    def ready(self) -> bool:
        """Whether it has learnt or loaded anything."""
        return self._features is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from texts (str) and their choices; labels that the target does not have are passed over.

        Raises NotEnoughData unless two different answers occur.
        """
        allowed = None if self.target.open else set(self.target.labels)
        answers = [_answer(example, allowed) for example in examples]
        kept = [index for index, answer in enumerate(answers) if answer or self.target.multiple]
        labels = sorted({label for index in kept for label in answers[index]})
        if len({answers[index] for index in kept}) < 2:
            what = f"all {len(kept)} examples say {labels[0]!r}" if labels else f"{len(kept)} examples have a label"
            raise NotEnoughData(f"{what}; annotate at least two texts with different answers")
        features = TextFeatures.of_options(self.options)
        progress(0.05, f"counting words of {len(kept)} texts")
        rows = features.fit_transform(lambda: (examples[index].data for index in kept))
        chosen = [answers[index] for index in kept]
        if self.target.multiple:
            weights, biases = self._fit_each(rows, chosen, labels, seed, progress)
        else:
            progress(0.3, f"fitting {len(labels)} labels")
            weights, biases = self._fit_one(rows, [answer[0] for answer in chosen], labels, seed)
        self._features, self._labels, self._multiple = features, labels, self.target.multiple
        self._weights, self._biases = as_array(weights), as_array(biases)
        progress(1.0, f"learnt {len(labels)} labels from {len(kept)} texts")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Every known label with its probability, for each text; labels in alphabetical order."""
        if self._features is None or not batch:
            return [[] for _ in batch]
        import numpy as np

        scores = self._features.transform(batch) @ self._weights + self._biases  # (texts, labels)
        if self._multiple:
            probabilities = 1.0 / (1.0 + np.exp(-np.clip(scores, -500.0, 500.0)))
        else:
            scores -= scores.max(axis=1, keepdims=True)
            probabilities = np.exp(scores)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        labels = self._labels
        return [[Choice(label, p) for label, p in zip(labels, row, strict=True)] for row in probabilities.tolist()]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        save_state(
            directory,
            {
                "labels": self._labels,
                "multiple": self._multiple,
                "weights": self._weights,
                "biases": self._biases,
                "features": self._features.state(),
            },
        )

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        state = load_state(directory, self.name)
        try:
            features = TextFeatures.restore(state["features"])
            labels = [str(label) for label in state["labels"]]
            weights, biases = as_array(state["weights"]), as_array(state["biases"])
            if weights.shape != (features.width, len(labels)) or biases.shape != (len(labels),):
                raise ValueError("its parts differ in size")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train anew"
            ) from error
        self._labels, self._multiple = labels, bool(state["multiple"])
        self._weights, self._biases = weights, biases
        self._features = features

    def _regression(self, rows: Any, answers: Any, labels: int, seed: int) -> Any:
        """A fitted regression, under the recipe's setting, or the one that cross-validation advises."""
        candidates = self._candidates()
        advice = len(candidates) > 1 and rows.nnz * labels <= _MOST_WORK
        return _fitted(_advised(candidates, rows, answers, seed) if advice else candidates[0], rows, answers, seed)

    def _candidates(self) -> tuple[Setting, ...]:
        """The settings that the options leave open; the first is the one to take without advice."""
        closeness, weight = self.options.C, self.options.class_weight
        settings = [
            Setting(setting.C if closeness == "auto" else closeness, setting.evenness)
            for setting in _SETTINGS
            if weight == "auto" or setting.evenness == (1 if weight == "balanced" else 0)
        ]
        return tuple(dict.fromkeys(settings))

    def _fit_one(self, rows: Any, answers: list[str], labels: list[str], seed: int) -> tuple[Any, Any]:
        """Weights and biases for labels of which exactly one holds."""
        import numpy as np

        model = self._regression(rows, np.array(answers), len(labels), seed)
        assert list(model.classes_) == labels
        if len(labels) == 2:
            # scikit-learn keeps one row for two classes; a zero row for the first gives the same probabilities.
            zero = np.zeros_like(model.coef_)
            return np.vstack([zero, model.coef_]).T, np.append(0.0, model.intercept_)
        return model.coef_.T, model.intercept_

    def _fit_each(
        self, rows: Any, answers: list[tuple[str, ...]], labels: list[str], seed: int, progress: Progress
    ) -> tuple[Any, Any]:
        """Weights and biases for labels that each hold or do not."""
        import numpy as np

        weights = np.zeros((rows.shape[1], len(labels)))
        biases = np.zeros(len(labels))
        for column, label in enumerate(labels):
            progress(0.3 + 0.7 * column / len(labels), f"fitting label {column + 1} of {len(labels)}")
            holds = np.array([label in answer for answer in answers])
            if holds.all():
                # Seen on every text: as probable as Laplace's rule of succession says.
                biases[column] = np.log(len(answers) + 1)
                continue
            model = self._regression(rows, holds, len(labels), seed)
            weights[:, column] = model.coef_[0]
            biases[column] = model.intercept_[0]
        return weights, biases


def _fitted(setting: Setting, rows: Any, answers: Any, seed: int) -> Any:
    """A logistic regression of rows (texts, features) and answers (texts,)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    classes, counts = np.unique(answers, return_counts=True)
    weights = (len(answers) / (len(classes) * counts)) ** setting.evenness
    model = LogisticRegression(
        C=setting.C, class_weight=dict(zip(classes, weights, strict=True)), max_iter=300, random_state=seed
    )
    with warnings.catch_warnings():
        # A config may have more labels than there are texts yet.
        warnings.filterwarnings("ignore", message="The number of unique classes")
        return model.fit(rows, answers)


def _advised(candidates: Sequence[Setting], rows: Any, answers: Any, seed: int) -> Setting:
    """The setting whose answers to texts that it did not learn from have the best macro F1 and accuracy, taken together."""
    import numpy as np
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold

    _, counts = np.unique(answers, return_counts=True)
    if np.sum(counts >= _LEAST_OF_A_CLASS) < 2:
        return candidates[0]
    told = {setting: np.empty_like(answers) for setting in candidates}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, answers))
    for learnt, left in folds:
        for setting in candidates:
            told[setting][left] = _fitted(setting, rows[learnt], answers[learnt], seed).predict(rows[left])
    return max(
        candidates, key=lambda one: f1_score(answers, told[one], average="macro") + np.mean(told[one] == answers)
    )


def _answer(example: Example, allowed: set[str] | None) -> tuple[str, ...]:
    """The labels of an example, sorted, of those that are allowed."""
    labels = {value.label for value in example.values if isinstance(value, Choice)}
    return tuple(sorted(labels if allowed is None else labels & allowed))
