"""A linear model of what people prefer: each item has a worth, and of two the one that is worth more is likelier preferred.

It is the model of Bradley and Terry ("Rank Analysis of Incomplete Block Designs", 1952) with the worth of an item linear in
its features, so that it knows new items, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from lsml.adapters.parts.regressions import HeldOut, temperature
from lsml.adapters.parts.state import State, as_array

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from lsml.arrays import Array, Rows

_CLOSENESS: Final = (3.0, 0.3, 1.0, 10.0, 30.0)  # for `auto`; the first if there are too few tasks for cross-validation
_FOLDS: Final = 5
_LEAST: Final = 10  # tasks for cross-validation
_MOST: Final = 2000  # comparisons for cross-validation; more would take long and improve little


class PreferredItem(NamedTuple):
    """One answer of a person: the row of the item that was preferred, that of the other, and the index of their task."""

    better: int
    worse: int
    task: int


class PreferenceHead:
    """Weights (features,), of which the product with an item's features is its worth."""

    def __init__(self, weights: Array) -> None:
        self._weights = as_array(weights)

    @classmethod
    def indifferent(cls, width: int) -> PreferenceHead:
        """Return a head for `width` features to which every item is worth the same."""
        import numpy as np

        return cls(np.zeros(width))

    @classmethod
    def fit(
        cls, rows: Rows, comparisons: Sequence[PreferredItem], closeness: float | Literal["auto"], seed: int
    ) -> PreferenceHead:
        """Return a head for rows (items, features) and people's comparisons of them, of which there must be two."""
        import numpy as np

        better, worse, tasks = np.array(comparisons).T
        # Every second comparison is reversed: a regression needs both classes, and neither side must count more.
        signs = np.where(np.arange(len(comparisons)) % 2, -1.0, 1.0)
        differences = _scaled(rows[better] - rows[worse], signs)
        answers = signs > 0
        chosen, left_out = (_CLOSENESS[0] if closeness == "auto" else closeness), None
        if len(np.unique(tasks)) >= _LEAST:
            candidates = _CLOSENESS if closeness == "auto" else (closeness,)
            some = np.random.default_rng(seed).permutation(len(answers))[:_MOST]
            chosen, left_out = _advised(candidates, differences[some], answers[some], tasks[some], seed)
        weights = _fitted(differences, answers, chosen, seed).coef_[0]
        return cls(weights / (temperature([left_out]) if left_out else 1.0))

    def worths(self, rows: Rows) -> Array:
        """Return the worth of each item: (items,). The logistic function of a difference is the share of people who prefer
        the one to the other.
        """
        import numpy as np

        return np.asarray(rows @ self._weights)

    def state(self) -> State:
        """Return arrays from which `restore` makes the same head."""
        return {"weights": self._weights}

    @classmethod
    def restore(cls, state: State, width: int) -> PreferenceHead:
        """Return the head of a `state`, for `width` features. Raises KeyError, TypeError or ValueError for anything else."""
        head = cls(state["weights"])
        if head._weights.shape != (width,):
            raise ValueError("its parts differ in size")
        return head


def _scaled(rows: Rows, factors: Array) -> Rows:
    """Return each row times its factor."""
    if hasattr(rows, "multiply"):
        return rows.multiply(factors[:, None]).tocsr()
    return rows * factors[:, None]


def _fitted(differences: Rows, answers: Array, closeness: float, seed: int) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    # Without an intercept, so that swapping the items reverses the result.
    model = LogisticRegression(C=closeness, fit_intercept=False, max_iter=300, random_state=seed)
    return model.fit(differences, answers)


def _advised(
    candidates: Sequence[float], differences: Rows, answers: Array, tasks: Array, seed: int
) -> tuple[float, HeldOut | None]:
    """Return the setting whose probabilities of held-out tasks are best, and its held-out results."""
    import numpy as np
    from sklearn.model_selection import GroupKFold

    # The folds follow the order of the tasks' numbers, which are shuffled.
    numbers = np.random.default_rng(seed).permutation(tasks.max() + 1)[tasks]
    said = {one: np.zeros(len(answers)) for one in candidates}
    told = np.zeros(len(answers), dtype=bool)
    for learnt, left in GroupKFold(min(_FOLDS, len(np.unique(numbers)))).split(differences, answers, numbers):
        if len(np.unique(answers[learnt])) < 2:
            continue
        told[left] = True
        for one in candidates:
            said[one][left] = _fitted(differences[learnt], answers[learnt], one, seed).decision_function(
                differences[left]
            )
    if not told.any():
        return candidates[0], None
    signs = np.where(answers[told], 1.0, -1.0)
    best = min(candidates, key=lambda one: float(np.logaddexp(0.0, -signs * said[one][told]).mean()))
    logits = said[best][told]
    return best, HeldOut(np.stack([np.zeros_like(logits), logits], axis=1), answers[told].astype(int))
