"""Logistic regressions with settings from cross-validation, and the calibration of their probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression as Classifier

    from lsml.arrays import Array, Rows


class LogisticOptions(Protocol):
    """The options of an adapter with regressions."""

    @property
    def C(self) -> float | Literal["auto"]:  # noqa: N802 - scikit-learn's name
        """The inverse regularisation strength."""

    @property
    def class_weight(self) -> Literal["auto", "balanced", "none"]:
        """The weight of rare labels."""


class Setting(NamedTuple):
    """The setting of a regression: with `evenness` 1 every class counts alike, with 0 every example."""

    C: float
    evenness: float


# The settings for `auto`; of equally good ones the first is used. With noisy labels, many examples of a rare class
# are wrong, so it must not count as much as the others.
_SETTINGS: Final = (
    Setting(10, 1), Setting(3, 1), Setting(1, 1), Setting(10, 0.5), Setting(3, 0.5), Setting(10, 0), Setting(30, 0),
)  # fmt: skip
_FOLDS: Final = 5
_LEAST_OF_A_CLASS: Final = 5  # examples in at least two classes; fewer are not enough for cross-validation
_MOST_WORK: Final = 600_000  # numbers in the features times labels: some seconds on one core
_LEARNT_SHARE: Final = 0.8  # beyond this, the share of examples for one regression; the rest calibrates it
_MOST_TEMPERATURE: Final = 20.0


class HeldOut(NamedTuple):
    """The results of regressions on held-out examples: logits (examples, classes), and the indices of the true classes
    (examples,).
    """

    logits: Array
    truth: Array


class FittedRegression(NamedTuple):
    """A regression, and its held-out results; None where there are too few examples."""

    model: Classifier
    left_out: HeldOut | None


class Fitter:
    """A fitter of regressions of rows (examples, features), with the recipe's setting or that of cross-validation."""

    def __init__(self, options: LogisticOptions, rows: Rows, labels: int, seed: int) -> None:
        self.rows = rows
        self._seed = seed
        self._candidates = candidates(options)
        numbers = rows.nnz if hasattr(rows, "nnz") else rows.size
        self._small = numbers * labels <= _MOST_WORK

    def fit(self, truths: Array) -> FittedRegression:
        """Return a fitted regression of the true classes (examples,)."""
        import numpy as np

        _, counts = np.unique(truths, return_counts=True)
        chosen, left_out = self._candidates[0], None
        if np.sum(counts >= _LEAST_OF_A_CLASS) >= 2:
            if self._small:
                chosen, left_out = _advised(self._candidates, self.rows, truths, self._seed)
            else:
                left_out = self._of_a_part(truths)
        return FittedRegression(_fitted(chosen, self.rows, truths, self._seed), left_out)

    def _of_a_part(self, truths: Array) -> HeldOut:
        """Return the results on some examples of a regression trained on the others: faster than cross-validation, and
        enough here.
        """
        import numpy as np

        order = np.random.default_rng(self._seed).permutation(len(truths))
        learnt, left = np.split(order, [int(_LEARNT_SHARE * len(truths))])
        if len(np.unique(truths[learnt])) < 2:
            return HeldOut(np.zeros((0, 2)), np.zeros(0, dtype=int))
        model = _fitted(self._candidates[0], self.rows[learnt], truths[learnt], self._seed)
        classes = np.unique(truths)
        logits = np.full((len(left), len(classes)), -np.inf)
        _say(model, self.rows[left], classes, logits, np.arange(len(left)))
        return HeldOut(logits, np.searchsorted(classes, truths[left]))


def candidates(options: LogisticOptions) -> tuple[Setting, ...]:
    """Return the settings that the options leave open; the first is the default."""
    closeness, weight = options.C, options.class_weight
    settings = [
        Setting(setting.C if closeness == "auto" else closeness, setting.evenness)
        for setting in _SETTINGS
        if weight == "auto" or setting.evenness == (1 if weight == "balanced" else 0)
    ]
    return tuple(dict.fromkeys(settings))


def temperature(left_out: Sequence[HeldOut]) -> float:
    """Return the temperature that calibrates logits (Guo et al., "On Calibration of Modern Neural Networks", 2017); 1
    without held-out results.

    It does not change the order of the classes. Each example counts a little as every class, as in Platt's targets, so
    that no probability becomes 1 where all examples were right.
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


def _told(part: HeldOut) -> Array:
    """Return the indices of the examples whose class the regressions knew."""
    import numpy as np

    return np.flatnonzero(np.isfinite(part.logits[np.arange(len(part.truth)), part.truth]))


def _fitted(setting: Setting, rows: Rows, truths: Array, seed: int) -> Classifier:
    """Return a logistic regression of rows (texts, features) and true classes (texts,)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    classes, counts = np.unique(truths, return_counts=True)
    weights = (len(truths) / (len(classes) * counts)) ** setting.evenness
    model = LogisticRegression(
        C=setting.C, class_weight=dict(zip(classes, weights, strict=True)), max_iter=300, random_state=seed
    )
    with warnings.catch_warnings():
        # There may be more labels than texts.
        warnings.filterwarnings("ignore", message="The number of unique classes")
        return model.fit(rows, truths)


def _say(model: Classifier, rows: Rows, classes: Array, logits: Array, indices: Array) -> None:
    """Write a regression's results on rows into `logits` (examples, classes) at their indices; it may not know each class."""
    import numpy as np

    said = model.decision_function(rows)
    if said.ndim == 1:  # for two classes, scikit-learn returns the logit of the second
        said = np.stack([np.zeros_like(said), said], axis=1)
    logits[np.ix_(indices, np.searchsorted(classes, model.classes_))] = said


def _advised(candidates: Sequence[Setting], rows: Rows, truths: Array, seed: int) -> tuple[Setting, HeldOut]:
    """Return the setting with the best sum of macro F1 and accuracy on held-out texts, and its held-out results."""
    import numpy as np
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold

    classes = np.unique(truths)
    said = {setting: np.full((len(truths), len(classes)), -np.inf) for setting in candidates}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, truths))
    for learnt, left in folds:
        for setting in candidates:
            _say(_fitted(setting, rows[learnt], truths[learnt], seed), rows[left], classes, said[setting], left)
    told = {setting: classes[logits.argmax(axis=1)] for setting, logits in said.items()}
    best = max(candidates, key=lambda one: f1_score(truths, told[one], average="macro") + np.mean(told[one] == truths))
    return best, HeldOut(said[best], np.searchsorted(classes, truths))
