"""The predicted shapes that are right, where each takes at most one annotated shape; and their average precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from lsml.values import Shape
from lsml.values.coverage import overlaps

if TYPE_CHECKING:
    from lsml.arrays import Array

# The overlaps of shapes of one label on one image: (annotated, predicted) -> (n, m), in [0, 1].
Overlaps = Callable[[Sequence[Shape], Sequence[Shape]], "Array"]

LEAST_OVERLAP: Final = 0.5  # overlap from which a prediction matches an annotated shape


def matched(true: Sequence[Shape], said: Sequence[Shape], overlaps: Overlaps = overlaps) -> tuple[Array, Array]:
    """Return (scores, found): the predictions' scores, highest first, and whether each one matched a shape no other took."""
    import numpy as np

    scores = np.array([1.0 if value.score is None else value.score for value in said])
    order = np.argsort(-scores, kind="stable")
    right = np.zeros(len(said), dtype=bool)
    if true and said:
        left = overlaps(true, said).T[order]
        # Most predictions of a detector overlap nothing, so the loop only visits the others.
        for rank in np.flatnonzero((left >= LEAST_OVERLAP).any(axis=1)):
            best = int(left[rank].argmax())
            if left[rank, best] >= LEAST_OVERLAP:
                right[rank] = True
                left[:, best] = -1.0
    return scores[order], right


def average_precision(scores: Array, right: Array, annotated: float, weights: Array | None = None) -> float:
    """Return the mean, over 101 recalls, of the best precision at that recall or a higher one; 0 where nothing was
    annotated.

    `weights` say how often each prediction counts; predictions then come highest score first. Without weights each
    counts once. https://cocodataset.org/#detection-eval
    """
    import numpy as np

    if not annotated or not len(scores):
        return 0.0
    if weights is None:
        hits, predicted = np.cumsum(right[np.argsort(-scores, kind="stable")]), np.arange(1, len(scores) + 1)
    else:
        kept = weights > 0
        hits, predicted = np.cumsum(weights[kept] * right[kept]), np.cumsum(weights[kept])
        if not len(hits):
            return 0.0
    recalls = hits / annotated
    precisions = hits / predicted
    best = np.maximum.accumulate(precisions[::-1])[::-1]
    reached = np.searchsorted(recalls, np.linspace(0.0, 1.0, 101), side="left")
    return float(np.where(reached < len(best), best[np.minimum(reached, len(best) - 1)], 0.0).mean())
