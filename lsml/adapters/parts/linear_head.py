"""A linear model on top of features: which labels hold, each with its probability. What several classifiers share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta

from lsml.adapters.base import TRAINING, Example, Progress, Target
from lsml.adapters.parts.state import as_array
from lsml.errors import NotEnoughData
from lsml.values import Choice, Scored

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


# Options of adapters with a linear head; both are "auto" by default.
Closeness = Annotated[
    Annotated[float, Meta(gt=0, le=1e6)] | Literal["auto"],
    Meta(
        description="How closely to follow the examples; lower holds noisy labels at bay. auto: as cross-validation "
        "of the examples advises, or 10 where they are too few or too many for that.",
        extra=TRAINING,
        extra_json_schema={"errorMessage": "expected a number above 0 up to 1000000, or auto"},
    ),
]
ClassWeight = Annotated[
    Literal["auto", "balanced", "none"],
    Meta(
        description="balanced: rare labels count as much as common ones; none: as often as they occur. auto: what "
        "cross-validation advises of these two and the middle between them, or balanced.",
        extra=TRAINING,
    ),
]


class Answered(NamedTuple):
    """Of examples, those that can be learnt: their places, their labels (sorted), and all labels (sorted)."""

    places: list[int]
    answers: list[tuple[str, ...]]
    labels: list[str]


def answered(examples: Sequence[Example], target: Target, what: str) -> Answered:
    """The examples that say something of the target's labels; others are passed over, where the target is open none.

    Raises NotEnoughData unless two different answers occur; `what` names the examples: texts.
    """
    allowed = None if target.open else set(target.labels)
    answers = [_answer(example, allowed) for example in examples]
    kept = [index for index, answer in enumerate(answers) if answer or target.multiple]
    labels = sorted({label for index in kept for label in answers[index]})
    if len({answers[index] for index in kept}) < 2:
        found = f"all {len(kept)} examples say {labels[0]!r}" if labels else f"{len(kept)} examples have a label"
        raise NotEnoughData(f"{found}; annotate at least two {what} with different answers")
    return Answered(kept, [answers[index] for index in kept], labels)


class LinearHead:
    """Weights (features, labels) and biases (labels,): logistic regression for labels of which one holds, or several."""

    def __init__(
        self,
        labels: Sequence[str],
        multiple: bool,
        weights: np.ndarray[Any, Any],
        biases: np.ndarray[Any, Any],
    ) -> None:
        self.labels = list(labels)
        self._names = frozenset(labels)
        self.multiple = multiple
        self._weights = as_array(weights)
        self._biases = as_array(biases)

    @classmethod
    def fit(
        cls, rows: Any, learnt: Answered, multiple: bool, options: Any, seed: int, progress: Progress
    ) -> LinearHead:
        """A head for rows (examples, features), dense or sparse, and their answers. `options` has C and class_weight."""
        fitter = _Fitter(options, rows, len(learnt.labels), seed)
        if multiple:
            weights, biases = _fit_each(fitter, learnt, progress)
        else:
            progress(0.0, f"fitting {len(learnt.labels)} labels")
            weights, biases = _fit_one(fitter, learnt)
        return cls(learnt.labels, multiple, weights, biases)

    def values(self, rows: Any) -> list[Scored]:
        """Every label with its probability, for each row; labels in alphabetical order."""
        import numpy as np

        scores = rows @ self._weights + self._biases  # (rows, labels)
        if self.multiple:
            probabilities = 1.0 / (1.0 + np.exp(-np.clip(scores, -500.0, 500.0)))
        else:
            scores -= scores.max(axis=1, keepdims=True)
            probabilities = np.exp(scores)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        return Scored.of_rows(self.labels, self._names, probabilities)

    def state(self) -> dict[str, Any]:
        """Lists and arrays from which `restore` makes the same head."""
        return {"labels": self.labels, "multiple": self.multiple, "weights": self._weights, "biases": self._biases}

    @classmethod
    def restore(cls, state: Mapping[str, Any], width: int) -> LinearHead:
        """The head that `state` described, for so many features. Raises KeyError, TypeError or ValueError where it is
        something else."""
        head = cls(
            [str(label) for label in state["labels"]], bool(state["multiple"]), state["weights"], state["biases"]
        )
        if head._weights.shape != (width, len(head.labels)) or head._biases.shape != (len(head.labels),):
            raise ValueError("its parts differ in size")
        return head


class _Fitter:
    """Fits regressions of rows (examples, features) under the recipe's setting, or the one that cross-validation advises."""

    def __init__(self, options: Any, rows: Any, labels: int, seed: int) -> None:
        self.rows = rows
        self._seed = seed
        self._candidates = candidates(options)
        numbers = rows.nnz if hasattr(rows, "nnz") else rows.size
        self._advise = len(self._candidates) > 1 and numbers * labels <= _MOST_WORK

    def fit(self, answers: Any) -> Any:
        """A fitted regression of answers (examples,)."""
        chosen = self._candidates[0]
        if self._advise:
            chosen = _advised(self._candidates, self.rows, answers, self._seed)
        return _fitted(chosen, self.rows, answers, self._seed)


def candidates(options: Any) -> tuple[Setting, ...]:
    """The settings that the options leave open; the first is the one to take without advice."""
    closeness, weight = options.C, options.class_weight
    settings = [
        Setting(setting.C if closeness == "auto" else closeness, setting.evenness)
        for setting in _SETTINGS
        if weight == "auto" or setting.evenness == (1 if weight == "balanced" else 0)
    ]
    return tuple(dict.fromkeys(settings))


def _fit_one(fitter: _Fitter, learnt: Answered) -> tuple[Any, Any]:
    """Weights and biases for labels of which exactly one holds."""
    import numpy as np

    model = fitter.fit(np.array([answer[0] for answer in learnt.answers]))
    assert list(model.classes_) == learnt.labels
    if len(learnt.labels) == 2:
        # scikit-learn keeps one row for two classes; a zero row for the first gives the same probabilities.
        zero = np.zeros_like(model.coef_)
        return np.vstack([zero, model.coef_]).T, np.append(0.0, model.intercept_)
    return model.coef_.T, model.intercept_


def _fit_each(fitter: _Fitter, learnt: Answered, progress: Progress) -> tuple[Any, Any]:
    """Weights and biases for labels that each hold or do not."""
    import numpy as np

    weights = np.zeros((fitter.rows.shape[1], len(learnt.labels)))
    biases = np.zeros(len(learnt.labels))
    for column, label in enumerate(learnt.labels):
        progress(column / len(learnt.labels), f"fitting label {column + 1} of {len(learnt.labels)}")
        holds = np.array([label in answer for answer in learnt.answers])
        if holds.all():
            # Seen on every example: as probable as Laplace's rule of succession says.
            biases[column] = np.log(len(holds) + 1)
            continue
        model = fitter.fit(holds)
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
