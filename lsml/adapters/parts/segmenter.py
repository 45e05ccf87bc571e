"""Learning stretches of series: windows -> a probability for each label -> intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.parts.boosted_trees import Forest, TreeOptions, forest_of, probabilities
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.segments import Segment, segments, snapped
from lsml.adapters.parts.windows import OF_WINDOW, Signal
from lsml.errors import NotEnoughData
from lsml.values import Interval

if TYPE_CHECKING:
    from lsml.adapters.parts.state import State
    from lsml.arrays import Array


MOST_ROWS: Final = 16_000  # the most training windows of all series together
_MOST_POINTS: Final = 20_000  # the most points of a series in a prediction
_SHORT: Final = 0.1  # the quantile of the annotated segments' lengths that counts as short
_AROUND: Final = (0.125, 0.5, 1.5)  # lengths of windows, in lengths of a short segment
_OVERLAP: Final = 0.02  # the share of windows with several labels from which each label has its own forest


_FOLDS: Final = 3  # in each, the series of a third are held out for the calibration, and the others ...
_ROWS_OF_A_FOLD: Final = 5000  # learnt from so many windows, as neighbours hardly differ
_LEAST_SERIES: Final = 6  # fewer are not calibrated;
_MANY_SERIES: Final = 60  # of more only a fifth, and no more than these
_FOUND: Final = 0.5  # the least overlap of a stretch that was found


class AnnotatedSignal(NamedTuple):
    """A series with its annotated stretches of learnt labels. `read` returns its points, or None where it cannot be read."""

    read: Callable[[], Signal | None]
    stretches: Sequence[Interval]


class Segmenter(NamedTuple):
    """The learnt model. `labels` are in the order of their forests: with `overlap` each has its own; else there is one,
    whose last class beyond `labels` means none of them. `short`: the length of a short stretch. `calibration`: that of the
    stretches' scores.
    """

    labels: list[str]
    forests: list[Forest]
    windows: list[float]
    short: float
    channels: int
    overlap: bool
    calibration: PlattScaling = PlattScaling()

    def values(self, signal: Signal, *, snap: bool) -> list[Interval]:
        """Return the stretches of a series, in order."""
        import numpy as np

        indices = _spread(len(signal), _MOST_POINTS)
        features = signal.features(indices, self.windows)
        told = probabilities([forest.outputs(features) for forest in self.forests], multiple=self.overlap)
        lengths = np.gradient(signal.times[indices]) / self.short if len(indices) > 1 else np.ones(1)
        if not self.overlap:
            return self._stretches(signal, indices, segments(told, lengths), self.labels, snap=snap)
        found = [
            value
            for column, label in zip(told.T, self.labels, strict=True)
            for value in self._stretches(
                signal, indices, segments(np.stack([column, 1 - column], axis=1), lengths), [label], snap=snap
            )
        ]
        return sorted(found, key=lambda value: (value.start, value.end, value.label))

    def _stretches(
        self, signal: Signal, indices: Array, found: Sequence[Segment], labels: Sequence[str], *, snap: bool
    ) -> list[Interval]:
        """Return runs as intervals from their first to their last point; a class beyond `labels` gives none."""
        borders = [int(indices[run.begin]) for run in found[1:]]
        if snap:
            borders = snapped(signal, borders, self.short / 2)
        values = []
        for run, begin, end in zip(found, [0, *borders], [*borders, len(signal)], strict=True):
            start, stop = signal.times[[begin, end - 1]].tolist()
            if start == stop and end < len(signal):
                stop = float(
                    signal.times[end]
                )  # a single point extends to the next one, because instants are another kind
            if run.of < len(labels) and start < stop:
                values.append(Interval(start, stop, labels[run.of], min(1.0, run.score)))
        return self.calibration.calibrated(values)

    def state(self) -> State:
        """Return lists and arrays from which `restore` makes the same model."""
        forests = [forest.state() for forest in self.forests]
        return {**self._asdict(), "forests": forests, "calibration": list(self.calibration)}

    @classmethod
    def restore(cls, state: State) -> Segmenter:
        """Return the model of a `state`. Raises KeyError, TypeError or ValueError for anything else."""
        windows, channels = [float(length) for length in state["windows"]], int(state["channels"])
        forests = [Forest.restore(forest, channels * len(windows) * OF_WINDOW) for forest in state["forests"]]
        labels, short, overlap = (
            [str(label) for label in state["labels"]],
            float(state["short"]),
            bool(state["overlap"]),
        )
        if not labels or len(forests) != (len(labels) if overlap else 1) or not short > 0 or not min(windows) > 0:
            raise ValueError("its parts differ in size")
        calibration = PlattScaling.restore(state.get("calibration", PlattScaling()))  # older versions have none
        return cls(labels, forests, windows, short, channels, overlap, calibration)


def learnt_segmenter(
    signals: Sequence[AnnotatedSignal],
    *,
    gaps: bool,
    windows: Sequence[float] | None,
    options: TreeOptions,
    seed: int,
    what: str = "series",
) -> Segmenter:
    """Return a model of series with annotated stretches, with one series in memory at a time.

    `gaps`: parts that are not annotated have no label. Its scores are calibrated by models that did not learn a part of the
    series. Raises NotEnoughData.
    """

    def fit(some: Sequence[AnnotatedSignal], rows: int) -> Segmenter:
        return _fitted(some, gaps=gaps, windows=windows, options=options, seed=seed, what=what, rows=rows)

    return fit(signals, MOST_ROWS)._replace(
        calibration=_calibration(signals, lambda some: fit(some, _ROWS_OF_A_FOLD), gaps=gaps)
    )


def _calibration(
    signals: Sequence[AnnotatedSignal], fit: Callable[[Sequence[AnnotatedSignal]], Segmenter], *, gaps: bool
) -> PlattScaling:
    """Return the calibration by held-out series: the share of stretches that overlap one of their label by half, by score.

    Unless `gaps` have no label, a stretch that overlaps none may be right, and does not count.
    """
    scores: list[float] = []
    right: list[bool] = []
    many = len(signals) > _MANY_SERIES
    for fold in range(0 if len(signals) < _LEAST_SERIES else 1 if many else _FOLDS):
        left = signals[:: max(5, len(signals) // _MANY_SERIES)] if many else signals[fold::_FOLDS]
        out = set(map(id, left))
        try:
            segmenter = fit([signal for signal in signals if id(signal) not in out])
        except NotEnoughData:
            continue
        for read, stretches in left:
            signal = read()
            if signal is None or signal.channels != segmenter.channels:
                continue
            for value in segmenter.values(signal, snap=True):
                near = [one for one in stretches if _overlap(one, value)]
                if near or gaps:
                    scores.append(value.score or 0.0)
                    right.append(any(one.label == value.label and _overlap(one, value) >= _FOUND for one in near))
    return PlattScaling.fit(scores, right)


def _overlap(one: Interval, other: Interval) -> float:
    """Return intersection over union of two stretches with a length."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return max(0.0, shared) / (max(one.end, other.end) - min(one.start, other.start))


def _fitted(
    signals: Sequence[AnnotatedSignal],
    *,
    gaps: bool,
    windows: Sequence[float] | None,
    options: TreeOptions,
    seed: int,
    what: str,
    rows: int,
) -> Segmenter:
    """Return the model without a calibration, learnt from at most so many rows: windows of all series together."""
    import numpy as np

    marked = sum(bool(signal.stretches) for signal in signals)
    labels = sorted({one.label for signal in signals for one in signal.stretches})
    if len(signals) < 2 or not labels:
        raise NotEnoughData(
            f"{marked} of {len(signals)} {what} have an annotated segment; annotate at least two {what}"
        )
    if len(labels) < 2 and not gaps:
        raise NotEnoughData(
            f"all annotated segments have the label {labels[0]!r}; annotate other labels, too, or write `gaps: "
            "nothing` under `options`, so that unmarked parts have no label"
        )
    short = float(np.quantile([one.end - one.start for signal in signals for one in signal.stretches], _SHORT))
    lengths = [share * short for share in _AROUND] if windows is None else list(windows)
    seen = list(_windows(signals, labels, lengths, gaps=gaps, most=max(200, rows // len(signals))))
    if not seen:
        raise NotEnoughData("no annotated segment is within its series; were the times changed after the annotation?")
    features, held = (np.concatenate(part) for part in zip(*seen, strict=True))
    channels = features.shape[1] // len(lengths) // OF_WINDOW
    if (held.sum(axis=1) > 1).sum() > _OVERLAP * held.any(axis=1).sum():
        forests = [forest_of(features, column, options, seed, cross_validated=False) for column in held.T]
        return Segmenter(labels, forests, lengths, short, channels, overlap=True)
    # At the few points with several labels, the first in the alphabet counts. The last class means none of them.
    classes = np.where(held.any(axis=1), held.argmax(axis=1), len(labels))
    present, classes = np.unique(classes, return_inverse=True)
    labels = [labels[number] for number in present.tolist() if number < len(labels)]
    if len(present) < 2:
        raise NotEnoughData(f"everything has the label {(labels or ['nothing'])[0]!r}; annotate other labels, too")
    return Segmenter(
        labels,
        [forest_of(features, classes, options, seed, cross_validated=False)],
        lengths,
        short,
        channels,
        overlap=False,
    )


def _windows(
    signals: Sequence[AnnotatedSignal], labels: Sequence[str], lengths: Sequence[float], *, gaps: bool, most: int
) -> Iterator[tuple[Array, Array]]:
    """Yield (features of windows along the whole series, labels that hold there) for each readable series, at most so many
    for each.
    """
    import numpy as np

    for read, stretches in signals:
        signal = read()
        if signal is None:
            continue
        holds = np.zeros((len(signal), len(labels)), dtype=bool)
        for one in stretches:
            begin, end = (
                np.searchsorted(signal.times, one.start, "left"),
                np.searchsorted(signal.times, one.end, "right"),
            )
            holds[begin:end, labels.index(one.label)] = True
        usable = np.arange(len(signal)) if gaps else np.flatnonzero(holds.any(axis=1))
        indices = usable[_spread(len(usable), most)]
        if indices.size:
            yield signal.features(indices, lengths), holds[indices]


def _spread(count: int, most: int) -> Array:
    """Return at most `most` of the numbers below `count`, evenly spaced."""
    import numpy as np

    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.int64)
