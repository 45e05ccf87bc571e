"""A head of ridge regressions on top of features: a number and its score. Several regressors share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from lsml.adapters.base import TRAINING, Example, Progress
from lsml.adapters.parts.state import State, as_array
from lsml.errors import NotEnoughData
from lsml.values import Number, Value

if TYPE_CHECKING:
    from lsml.arrays import Array, Rows

_MEMBERS: Final = 5  # models that each leave out another share of the examples; their disagreement gives the score

Alpha = Annotated[
    float,
    Meta(
        gt=0,
        le=1e6,
        description="The regularisation strength, towards the mean; higher resists noise.",
        extra=TRAINING,
    ),
]


def numbered(examples: Sequence[Example], what: str) -> tuple[list[int], list[float]]:
    """Return (indices of the examples that have a number, their numbers). Raises NotEnoughData with fewer than two.

    `what` names the examples in the error, in the plural: texts.
    """
    numbers = [next((value.value for value in e.values if isinstance(value, Number)), None) for e in examples]
    indices = [index for index, number in enumerate(numbers) if number is not None]
    if len(indices) < 2:
        raise NotEnoughData(f"{len(indices)} {what} have a number; annotate at least two")
    return indices, [number for number in numbers if number is not None]


class NumberHead:
    """Ridge regressions of a number, and of its members: `weights` (features, 1 + members) and `biases` (1 + members,).

    Column 0 is the output; each of up to five members misses another share of the examples. `spread` is the standard
    deviation of the annotated numbers. A score is exp(-error / spread), with the error that the jackknife expects from
    the members' disagreement. An input about which nothing is known gets the score of a guess, exp(-1).
    """

    def __init__(self, weights: object, biases: object, spread: float) -> None:
        self._weights = as_array(weights)
        self._biases = as_array(biases)
        self._spread = spread

    @classmethod
    def fit(
        cls, rows: Rows, numbers: Sequence[float], alpha: float, solver: str, seed: int, progress: Progress
    ) -> NumberHead:
        """Return a head trained on rows (examples, features), dense or sparse, and their numbers. `solver`: one of
        scikit-learn's Ridge.
        """
        import numpy as np
        from sklearn.linear_model import Ridge

        target = np.array(numbers, dtype=np.float64)
        order = np.random.default_rng(seed).permutation(len(target))
        members = min(_MEMBERS, len(target))
        weights = np.zeros((rows.shape[1], 1 + members))
        biases = np.zeros(1 + members)
        for column in range(1 + members):
            progress(column / (1 + members), f"fitting model {column + 1} of {1 + members}")
            # Column 0 is fitted on all examples; column k without the k-th share.
            learnt = np.sort(order[np.arange(len(target)) % members != column - 1])
            model = Ridge(alpha=alpha, solver=solver, random_state=seed).fit(rows[learnt], target[learnt])
            weights[:, column] = model.coef_
            biases[column] = model.intercept_
        # The deviation alone is not enough: that of equal floats can be a rounding error above 0.
        return cls(weights, biases, float(target.std()) if target.min() < target.max() else 1.0)

    def values(self, rows: Rows, unknown: Array | None = None) -> list[list[Value]]:
        """Return one number with its score for each row. `unknown` (rows,): True for rows about which nothing is known."""
        import numpy as np

        outputs = rows @ self._weights + self._biases  # (rows, 1 + members)
        members = outputs[:, 1:]
        # Members share most of their examples, so their deviation is scaled up as in the jackknife.
        errors = members.std(axis=1) * np.sqrt(members.shape[1] - 1)
        if unknown is not None:
            errors[unknown] = self._spread
        certainty = np.exp(-errors / self._spread)
        return [
            [Number(number, score)] for number, score in zip(outputs[:, 0].tolist(), certainty.tolist(), strict=True)
        ]

    def state(self) -> State:
        """Return arrays and a number from which `restore` makes the same head."""
        return {"weights": self._weights, "biases": self._biases, "spread": self._spread}

    @classmethod
    def restore(cls, state: State, width: int) -> NumberHead:
        """Return the head of a saved state, for `width` features. Raises KeyError, TypeError or ValueError for another
        state.
        """
        head = cls(state["weights"], state["biases"], float(state["spread"]))
        if head._weights.shape != (width, len(head._biases)):
            raise ValueError("its parts differ in size")
        return head
