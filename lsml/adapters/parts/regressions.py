"""Logistic regressions of features, whose setting cross-validation chooses, and how sure they may say that they are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression as Classifier

    from lsml.arrays import Array, Rows


class LogisticOptions(Protocol):
    """What an adapter's options say of its regressions."""

    @property
    def C(self) -> float | Literal["auto"]:  # noqa: N802 - scikit-learn's name
        """How closely they follow the examples."""

    @property
    def class_weight(self) -> Literal["auto", "balanced", "none"]:
        """Whether a rare label counts as much as a common one."""


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
_LEARNT_SHARE: Final = 0.8  # of more than that, what one regression learns so that the others tell how sure it may be
_MOST_TEMPERATURE: Final = 20.0


class LeftOut(NamedTuple):
    """What regressions said of examples that they did not learn: logits (examples, classes), and the places of the classes
    that hold (examples,)."""

    logits: Array
    truth: Array


class Fitted(NamedTuple):
    """A regression, and what is known of how sure it may be; None where too few examples tell."""

    model: Classifier
    left_out: LeftOut | None


class Fitter:
    """Fits regressions of rows (examples, features) under the recipe's setting, or the one that cross-validation advises."""

    def __init__(self, options: LogisticOptions, rows: Rows, labels: int, seed: int) -> None:
        self.rows = rows
        self._seed = seed
        self._candidates = candidates(options)
        numbers = rows.nnz if hasattr(rows, "nnz") else rows.size
        self._small = numbers * labels <= _MOST_WORK

    def fit(self, answers: Array) -> Fitted:
        """A fitted regression of answers (examples,)."""
        import numpy as np

        _, counts = np.unique(answers, return_counts=True)
        chosen, left_out = self._candidates[0], None
        if np.sum(counts >= _LEAST_OF_A_CLASS) >= 2:
            if self._small:
                chosen, left_out = _advised(self._candidates, self.rows, answers, self._seed)
            else:
                left_out = self._of_a_part(answers)
        return Fitted(_fitted(chosen, self.rows, answers, self._seed), left_out)

    def _of_a_part(self, answers: Array) -> LeftOut:
        """What a regression of most examples says of the others: with many that takes less than a fit, and tells enough."""
        import numpy as np

        order = np.random.default_rng(self._seed).permutation(len(answers))
        learnt, left = np.split(order, [int(_LEARNT_SHARE * len(answers))])
        if len(np.unique(answers[learnt])) < 2:
            return LeftOut(np.zeros((0, 2)), np.zeros(0, dtype=int))
        model = _fitted(self._candidates[0], self.rows[learnt], answers[learnt], self._seed)
        classes = np.unique(answers)
        logits = np.full((len(left), len(classes)), -np.inf)
        _say(model, self.rows[left], classes, logits, np.arange(len(left)))
        return LeftOut(logits, np.searchsorted(classes, answers[left]))


def candidates(options: LogisticOptions) -> tuple[Setting, ...]:
    """The settings that the options leave open; the first is the one to take without advice."""
    closeness, weight = options.C, options.class_weight
    settings = [
        Setting(setting.C if closeness == "auto" else closeness, setting.evenness)
        for setting in _SETTINGS
        if weight == "auto" or setting.evenness == (1 if weight == "balanced" else 0)
    ]
    return tuple(dict.fromkeys(settings))


def temperature(left_out: Sequence[LeftOut]) -> float:
    """What to divide logits by, so that their probabilities are as often right as they say (Guo et al., "On Calibration of
    Modern Neural Networks", 2017); 1 where nothing is known.

    It leaves the order of the classes alone. Each example counts a little as every class, as Platt's targets have it, so that
    no probability becomes 1 where all examples were right.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    known = [(part.logits[rows], part.truth[rows]) for part in left_out if len(rows := _told(part))]
    if not known:
        return 1.0
    examples = sum(len(truth) for _, truth in known)

    def loss(log_scale: float) -> float:
        total = 0.0
        for logits, truth in known:
            said = log_softmax(logits * np.exp(log_scale), axis=1)
            of_truth = said[np.arange(len(truth)), truth]
            ruled_out = ~np.isfinite(said)
            mean = np.where(ruled_out, 0.0, said).sum(axis=1) / (~ruled_out).sum(axis=1)
            total -= float((of_truth + mean / (examples + 2)).sum())
        return total

    bound = float(np.log(_MOST_TEMPERATURE))
    return float(np.exp(-minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


def _told(part: LeftOut) -> Array:
    """The places of the examples whose class the regressions knew."""
    import numpy as np

    return np.flatnonzero(np.isfinite(part.logits[np.arange(len(part.truth)), part.truth]))


def _fitted(setting: Setting, rows: Rows, answers: Array, seed: int) -> Classifier:
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


def _say(model: Classifier, rows: Rows, classes: Array, logits: Array, places: Array) -> None:
    """Write what a regression says of rows into `logits` (examples, classes), at their places; it may not know each class."""
    import numpy as np

    said = model.decision_function(rows)
    if said.ndim == 1:  # of two classes, scikit-learn says how far the second is ahead
        said = np.stack([np.zeros_like(said), said], axis=1)
    logits[np.ix_(places, np.searchsorted(classes, model.classes_))] = said


def _advised(candidates: Sequence[Setting], rows: Rows, answers: Array, seed: int) -> tuple[Setting, LeftOut]:
    """The setting whose answers to texts that it did not learn from have the best macro F1 and accuracy, taken together; and
    what it said of them."""
    import numpy as np
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold

    classes = np.unique(answers)
    said = {setting: np.full((len(answers), len(classes)), -np.inf) for setting in candidates}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, answers))
    for learnt, left in folds:
        for setting in candidates:
            _say(_fitted(setting, rows[learnt], answers[learnt], seed), rows[left], classes, said[setting], left)
    told = {setting: classes[logits.argmax(axis=1)] for setting, logits in said.items()}
    best = max(
        candidates, key=lambda one: f1_score(answers, told[one], average="macro") + np.mean(told[one] == answers)
    )
    return best, LeftOut(said[best], np.searchsorted(classes, answers))
