"""A metric on many resamples of the tasks at once: counts for each task, and the metric of weighted tasks.

For weights that are all 1 each figure equals that of its value type's judge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from lsml.metrics.intervals import met
from lsml.metrics.moments import same_moments
from lsml.metrics.rankings import order_agreement, same_rankings
from lsml.metrics.relations import relations_of
from lsml.metrics.shapes import found_shapes, objects_of_points
from lsml.metrics.spans import spans_of
from lsml.metrics.texts import same_texts, text_similarity
from lsml.values import (
    Box,
    Choice,
    Ellipse,
    Interval,
    KeyPoint,
    Mask,
    Moment,
    Number,
    Polygon,
    Ranking,
    Relation,
    Span,
    Text,
    Track,
    Value,
)
from lsml.values.matching import average_precision

if TYPE_CHECKING:
    from lsml.arrays import Array


Pair = tuple[Sequence[Value], Sequence[Value]]  # (annotated, predicted) values of one control in one task
_SHAPES: Final = (Box, Polygon, Ellipse, Mask, Track, KeyPoint)

# The figures of each value type that versions can be compared by; the first is the judge's own.
FIGURES: Final[dict[type, tuple[str, ...]]] = {
    Choice: ("macro_f1", "accuracy"),
    Number: ("r2",),
    Span: ("span_f1", "macro_f1"),
    Interval: ("segment_f1", "macro_f1"),
    Relation: ("relation_f1", "macro_f1"),
    Text: ("character_similarity", "exact_match"),
    Moment: ("exact_match",),
    Ranking: ("order_agreement", "exact_match"),
    **dict.fromkeys(_SHAPES, ("map50",)),
}


class Figures(ABC):
    """The counts of one value type, task by task, from which its figures follow. `weights` (resamples, tasks) say how
    often each task counts.
    """

    @abstractmethod
    def figure(self, name: str, weights: Array) -> Array:
        """Return a figure of each resample: (resamples,); NaN where no task has anything to count."""

    def by_label(self, weights: Array) -> dict[str, Array]:
        """Return each label's F1, or for shapes its average precision: (resamples,); NaN where a label does not occur."""
        return {}

    def holding(self, label: str) -> int:
        """Return the number of tasks that are annotated with a label."""
        return 0


_Items = set[tuple[Hashable, str]]  # (key, label); an item in both sets is right


class _Counts(Figures):
    """Counts of choices, spans, relations and intervals: how many of each label were annotated, predicted and right."""

    def __init__(self, tasks: Sequence[Sequence[Pair]], items: Callable[[Pair], tuple[_Items, _Items]]) -> None:
        import numpy as np

        rows: list[tuple[int, str, int, int]] = []  # (task, label, annotated, predicted)
        self._exact = np.zeros(len(tasks))
        self._answers = np.array([len(pairs) for pairs in tasks], dtype=float)
        for task, pairs in enumerate(tasks):
            for truth, guess in pairs:
                true, said = items((truth, guess))
                self._exact[task] += true == said
                rows += [(task, label, (key, label) in true, (key, label) in said) for key, label in true | said]
        self.labels = sorted({label for _, label, _, _ in rows})
        self._right = self._counted(rows, len(tasks), lambda annotated, predicted: annotated and predicted)
        self._together = self._counted(rows, len(tasks), lambda annotated, predicted: annotated + predicted)
        self._holding = Counter(
            label for label, _ in {(label, task) for task, label, annotated, _ in rows if annotated}
        )

    def _counted(self, rows: Sequence[tuple[int, str, int, int]], tasks: int, count: Callable[[int, int], int]) -> Any:
        """Return a count as a sparse array (labels, tasks)."""
        from scipy.sparse import csr_matrix

        numbers = {label: number for number, label in enumerate(self.labels)}
        found = [float(count(annotated, predicted)) for _, _, annotated, predicted in rows]
        indices = ([numbers[label] for _, label, _, _ in rows], [task for task, _, _, _ in rows])
        return csr_matrix((found, indices), shape=(len(self.labels), tasks))

    def _f1(self, weights: Array) -> Array:
        """Return F1 as an array (labels, resamples)."""
        return _ratio(2 * (self._right @ weights.T), self._together @ weights.T)

    def figure(self, name: str, weights: Array) -> Array:
        import numpy as np

        answers = weights @ self._answers
        if name == "accuracy":
            return _ratio(weights @ self._exact, answers)
        if name == "macro_f1":
            return _mean(self._f1(weights)) if self.labels else np.full(len(weights), np.nan)
        right, together = (self._right @ weights.T).sum(axis=0), (self._together @ weights.T).sum(axis=0)
        # Nothing annotated and nothing predicted counts as right.
        return np.where(together > 0, _ratio(2 * right, together), np.where(answers > 0, 1.0, np.nan))

    def by_label(self, weights: Array) -> dict[str, Array]:
        return dict(zip(self.labels, self._f1(weights), strict=True))

    def holding(self, label: str) -> int:
        return self._holding[label]


class _Squares(Figures):
    """Sums over numbers, from which R2 follows."""

    def __init__(self, tasks: Sequence[Sequence[Pair]]) -> None:
        import numpy as np

        # For each task: count, sum, sum of squares; squared errors; and the first three again for tasks without a prediction.
        self._sums = np.zeros((len(tasks), 7))
        for task, pairs in enumerate(tasks):
            for truth, guess in pairs:
                known = next((value.value for value in truth if isinstance(value, Number)), None)
                said = next((value.value for value in guess if isinstance(value, Number)), None)
                if known is None:
                    continue
                powers = np.array([1.0, known, known**2])
                self._sums[task, :3] += powers
                if said is None:
                    self._sums[task, 4:] += powers
                else:
                    self._sums[task, 3] += (known - said) ** 2

    def figure(self, name: str, weights: Array) -> Array:
        import numpy as np

        count, total, squares, error, *untold = (weights @ self._sums).T
        mean = _ratio(total, count)
        spread = squares - count * mean**2
        squared = error + untold[2] - 2 * mean * untold[1] + mean**2 * untold[0]
        alike = spread <= 1e-12 * np.maximum(1.0, squares)
        return cast("Array", 1 - np.where(alike, _ratio(squared, count), _ratio(squared, np.where(alike, 1.0, spread))))


_MEANS: Final[dict[type, dict[str, Callable[[Pair], float]]]] = {
    Text: {"character_similarity": text_similarity, "exact_match": same_texts},
    Moment: {"exact_match": same_moments},
    Ranking: {"order_agreement": order_agreement, "exact_match": same_rankings},
}


class _Means(Figures):
    """The mean scores of texts, moments or rankings over tasks."""

    def __init__(self, tasks: Sequence[Sequence[Pair]], kind: type) -> None:
        import numpy as np

        self._answers = np.array([len(pairs) for pairs in tasks], dtype=float)
        self._sums = {
            name: np.array([sum(map(score, pairs)) for pairs in tasks], dtype=float)
            for name, score in _MEANS[kind].items()
        }

    def figure(self, name: str, weights: Array) -> Array:
        return _ratio(weights @ self._sums[name], weights @ self._answers)


class _Ranked(Figures):
    """Predicted shapes by label, highest score first: the score, and whether it found an annotated shape."""

    def __init__(self, tasks: Sequence[Sequence[Pair]], kind: type) -> None:
        import numpy as np

        own, overlaps = tasks, None
        if kind is KeyPoint:
            own, overlaps = objects_of_points(tasks)
        parts: dict[str, list[tuple[int, Array, Array]]] = {}
        annotated: dict[str, Array] = {}
        for task, pairs in enumerate(own):
            found, counts = found_shapes(pairs, overlaps) if overlaps else found_shapes(pairs)
            for label, pages in found.items():
                annotated.setdefault(label, np.zeros(len(tasks)))[task] += counts[label]
                parts.setdefault(label, []).extend((task, scores, right) for scores, right in pages)
        self._annotated = annotated
        self._found: dict[str, tuple[Array, Array, Array]] = {}  # label -> (scores, right, task), highest score first
        for label, pages_of in sorted(parts.items()):
            scores = np.concatenate([scores for _, scores, _ in pages_of])
            right = np.concatenate([right for _, _, right in pages_of])
            task_of = np.concatenate([np.full(len(scores), task) for task, scores, _ in pages_of]).astype(int)
            order = np.argsort(-scores, kind="stable")
            self._found[label] = scores[order], right[order], task_of[order]

    def figure(self, name: str, weights: Array) -> Array:
        import numpy as np

        of_labels = list(self.by_label(weights).values())
        return _mean(np.array(of_labels)) if of_labels else np.full(len(weights), np.nan)

    def by_label(self, weights: Array) -> dict[str, Array]:
        import numpy as np

        made = {}
        for label, (scores, right, task_of) in self._found.items():
            totals = weights @ self._annotated[label]
            made[label] = np.array(
                [
                    average_precision(scores, right, total, row[task_of]) if total else np.nan
                    for row, total in zip(weights, totals, strict=True)
                ]
            )
        return made

    def holding(self, label: str) -> int:
        return int((self._annotated[label] > 0).sum()) if label in self._annotated else 0


def figures_of(value_type: type, tasks: Sequence[Sequence[Pair]]) -> Figures:
    """Return the figures of a value type for the pairs of each task. A task may have no pairs."""
    if value_type is Choice:
        return _Counts(tasks, _each(lambda values: {("", one.label) for one in values if isinstance(one, Choice)}))
    if value_type is Span:
        return _Counts(tasks, _each(lambda values: {((start, end), label) for start, end, label in spans_of(values)}))
    if value_type is Relation:
        return _Counts(tasks, _each(lambda values: {((one, to), label) for one, to, label in relations_of(values)}))
    if value_type is Interval:
        return _Counts(tasks, lambda pair: met(*pair))
    if value_type is Number:
        return _Squares(tasks)
    return _Means(tasks, value_type) if value_type in _MEANS else _Ranked(tasks, value_type)


def _each(items: Callable[[Sequence[Value]], _Items]) -> Callable[[Pair], tuple[_Items, _Items]]:
    """Return a function that applies `items` to both sides of a pair."""
    return lambda pair: (items(pair[0]), items(pair[1]))


def _ratio(above: Array, below: Array) -> Array:
    """Return the quotient, element by element; NaN where `below` is 0."""
    import numpy as np

    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0))


def _mean(rows: Array) -> Array:
    """Return the mean of each column of (rows, columns), ignoring NaN; NaN for a column of nothing else."""
    import numpy as np

    known = ~np.isnan(rows)
    return _ratio(np.where(known, rows, 0.0).sum(axis=0), known.sum(axis=0))
