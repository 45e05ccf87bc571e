"""The comparison of a new version with the promoted one: both are judged on the same tasks, by a bootstrap over them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lsml.binding import Binding
from lsml.metrics import FIGURES, Figures, Pair, figures_of, judge
from lsml.recipe import Promote
from lsml.values import Choice, Number
from lsml.versions import By, Comparison, LabelComparison

if TYPE_CHECKING:
    from lsml.arrays import Array


LEAST_OF_A_LABEL: Final = 5  # tasks with a label; with fewer, its metric is mostly chance
_RESAMPLES: Final = 2000
_NUMBERS: Final = 4_000_000  # weights in memory at a time
_LABELS: Final = 200  # labels with an interval: those that dropped most; for 5000 a bootstrap would take a minute

Pairs = Mapping[str, Sequence[Sequence[Pair]]]  # by control, for each task
Evaluated = tuple[Pairs, Pairs]  # of the new and the served version


def compare(
    binding: Binding,
    names: Iterable[str],
    evaluated: Evaluated,
    rule: Promote,
    *,
    against: str,
    by: By,
    seed: int,
) -> Comparison:
    """Return the comparison of the new answers to some controls with the promoted version's to the same tasks.

    A task counts if both have an answer for it. The metric of several controls is the mean of theirs.
    """
    new, promoted = evaluated
    controls = {name: binding.controls[name].value_type for name in sorted(names)}
    both = {
        name: [(n, p) if n and p else ([], []) for n, p in zip(new[name], promoted[name], strict=True)]
        for name in controls
    }
    judged = sorted({task for of_control in both.values() for task, (n, _) in enumerate(of_control) if n})
    sides = [
        {name: figures_of(kind, [both[name][task][side] for task in judged]) for name, kind in controls.items()}
        for side in (0, 1)
    ]
    names_of_figures = {name: _figure(kind, rule) for name, kind in controls.items()}
    compared = _PairedFigures(sides[0], sides[1], names_of_figures, len(judged))
    metric = " and ".join(sorted(set(names_of_figures.values())))
    if not compared.names:
        return Comparison(new=None, promoted=None, tasks=len(judged), against=against, by=by, metric=metric)
    (of_new,), (of_promoted,) = compared.metrics(compared.once)
    interval, labels, dropped = compared.bootstrap(rule, seed)
    return Comparison(
        new=round(float(of_new), 6), promoted=round(float(of_promoted), 6), tasks=len(judged), against=against, by=by,
        metric=metric, interval=interval, confidence=rule.confidence, labels=labels, dropped=dropped,
        changed=_changed(controls, both),
    )  # fmt: skip


def _changed(
    controls: Mapping[str, type], both: Mapping[str, Sequence[tuple[Sequence[Pair], Sequence[Pair]]]]
) -> float | None:
    """Return the share of answers that differ between the versions: of choices those with other labels; of others what the
    metric lacks, with one version's answers in the place of people's. Numbers always differ a little, and do not count."""
    shares = []
    for name, kind in controls.items():
        answers = [(promoted, new) for n, p in both[name] for (_, new), (_, promoted) in zip(n, p, strict=True)]
        if not answers:
            continue
        if kind is Choice:
            labels = [
                [{value.label for value in side if isinstance(value, Choice)} for side in pair] for pair in answers
            ]
            shares.append(sum(promoted != new for promoted, new in labels) / len(labels))
        elif kind is not Number and (alike := judge(kind, answers)["value"]) is not None:
            shares.append(1 - max(0.0, float(alike)))
    return round(sum(shares) / len(shares), 4) if shares else None


def _figure(value_type: type, rule: Promote) -> str:
    names = FIGURES[value_type]
    return rule.metric if rule.metric in names else names[0]


class _PairedFigures:
    """Two versions' figures for the same tasks."""

    def __init__(
        self, new: Mapping[str, Figures], promoted: Mapping[str, Figures], names: Mapping[str, str], tasks: int
    ) -> None:
        import numpy as np

        self._new, self._promoted, self._tasks = new, promoted, tasks
        self.once = np.ones((1, tasks))
        # The controls for which both versions have a metric, with its name.
        self.names = {
            name: figure
            for name, figure in names.items()
            if tasks and not np.isnan(new[name].figure(figure, self.once) + promoted[name].figure(figure, self.once))[0]
        }

    def metrics(self, weights: Array) -> tuple[Array, Array]:
        """Return each version's metric, (resamples,); NaN where the drawn tasks have nothing to judge."""
        import numpy as np

        new = [self._new[name].figure(figure, weights) for name, figure in self.names.items()]
        promoted = [self._promoted[name].figure(figure, weights) for name, figure in self.names.items()]
        return np.mean(new, axis=0), np.mean(promoted, axis=0)

    def bootstrap(self, rule: Promote, seed: int) -> tuple[tuple[float, float], dict[str, LabelComparison], str | None]:
        """Return (interval of new less promoted, each label's comparison, the label that surely fell too much or None)."""
        import numpy as np
        from scipy.stats import DegenerateDataWarning, bootstrap

        rows = self._labels(self.once)
        fallen = sorted(rows, key=lambda row: rows[row][1][0] - rows[row][0][0], reverse=True)[:_LABELS]

        def differences(indices: Array, axis: int) -> Array:  # noqa: ARG001 (scipy names it)
            """Return (1 + labels, resamples) differences: the metric's, then each label's."""
            weights = _weights(np.atleast_2d(indices), self._tasks)
            new, promoted = self.metrics(weights)
            of_labels = self._labels(weights)
            made = [new - promoted, *(of_labels[row][0] - of_labels[row][1] for row in fallen)]
            return np.squeeze(np.array(made)) if indices.ndim == 1 else np.array(made)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateDataWarning)  # versions may predict the same for every task
            drawn = bootstrap(
            (np.arange(self._tasks),), differences, n_resamples=_RESAMPLES, vectorized=True, method="percentile",
            batch=max(1, _NUMBERS // (self._tasks + 1)), rng=np.random.default_rng(seed),
        ).bootstrap_distribution  # fmt: skip
        drawn = np.reshape(drawn, (1 + len(fallen), -1))
        interval = _interval(drawn[0], 1 - rule.confidence)
        # With many labels, one may drop by chance, so each needs a higher confidence (Bonferroni).
        share = (1 - rule.confidence) / max(1, len(fallen))
        intervals = {row: _interval(values, share) for row, values in zip(fallen, drawn[1:], strict=True)}
        labels = {
            row[1] if len(self.names) == 1 else f"{row[0]}: {row[1]}": LabelComparison(
                _rounded(new[0]), _rounded(promoted[0]), self._new[row[0]].holding(row[1]), intervals.get(row)
            )
            for row, (new, promoted) in sorted(rows.items())
        }
        sure = [
            name
            for name, label in labels.items()
            if label.tasks >= LEAST_OF_A_LABEL and label.interval and -label.interval[1] > rule.worst_label_drop
        ]
        worst = max(sure, key=lambda name: labels[name].drop, default=None) if rule.worst_label_drop < 1 else None
        assert interval is not None
        return interval, labels, worst

    def _labels(self, weights: Array) -> dict[tuple[str, str], tuple[Array, Array]]:
        """Return both versions' figures, (resamples,), by (control, label); a label that one version does not have counts
        0 for it.
        """
        import numpy as np

        found = {}
        for name in self.names:
            new, promoted = self._new[name].by_label(weights), self._promoted[name].by_label(weights)
            nothing = np.full(len(weights), np.nan)
            for label in sorted(new.keys() | promoted.keys()):
                one, other = new.get(label, nothing), promoted.get(label, nothing)
                known = ~(np.isnan(one) & np.isnan(other))
                found[name, label] = (
                    np.where(known, np.nan_to_num(one), np.nan),
                    np.where(known, np.nan_to_num(other), np.nan),
                )
        return found


def _weights(indices: Array, tasks: int) -> Array:
    """Return (resamples, tasks): how often each task was drawn."""
    import numpy as np

    numbers = indices + tasks * np.arange(len(indices))[:, None]
    return np.bincount(numbers.ravel(), minlength=tasks * len(indices)).reshape(len(indices), tasks).astype(float)


def _interval(values: Array, share: float) -> tuple[float, float] | None:
    """Return the interval without half of `share` of the values on either side; None where none is known."""
    import numpy as np

    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [share / 2, 1 - share / 2])
    return round(float(low), 6), round(float(high), 6)


def _rounded(value: float) -> float | None:
    import numpy as np

    return None if np.isnan(value) else round(float(value), 6)
