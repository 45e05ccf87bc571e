"""Probabilities of labels along a series -> stretches, whose ends are moved to changes of the series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from lsml.adapters.parts.windows import Signal
    from lsml.arrays import Array


_CHANGE: Final = 0.5  # the cost of a change of label, in log probability times the length of a short segment
_LEAST: Final = 1e-6
_MOST_POINTS: Final = 20_000  # on either side of a change


class Segment(NamedTuple):
    """The points from `begin` up to, and without, `end` that have the class `of`, with its score."""

    begin: int
    end: int
    of: int
    score: float


def segments(probabilities: Array, lengths: Array) -> list[Segment]:
    """Return the likeliest runs of classes (Viterbi), in order and without gaps.

    `probabilities` (points, classes). `lengths` (points,): the part of the series for each point, in lengths of a short
    stretch. A change costs the same everywhere, so a stretch much shorter than a short one must be very certain.
    """
    import numpy as np

    likely = np.log(np.maximum(probabilities, _LEAST)) * lengths[:, None]
    count, classes = likely.shape
    came = np.empty((count, classes), dtype=np.int32)
    own = np.arange(classes)
    best = likely[0].copy()
    came[0] = own
    for index in range(1, count):
        top = int(best.argmax())
        over = best[top] - _CHANGE
        stays = best >= over
        came[index] = np.where(stays, own, top)
        best = np.where(stays, best, over) + likely[index]
    path = np.empty(count, dtype=np.int64)
    path[-1] = best.argmax()
    for index in range(count - 1, 0, -1):
        path[index - 1] = came[index, path[index]]
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = [*starts[1:].tolist(), count]
    return [
        Segment(begin, end, int(path[begin]), float(probabilities[begin:end, path[begin]].mean()))
        for begin, end in zip(starts.tolist(), ends, strict=True)
    ]


def snapped(signal: Signal, borders: Sequence[int], reach: float) -> list[int]:
    """Return borders between runs, indices of points in order, each moved to the largest change of the series nearby.

    At the largest change, two normal distributions best describe level, spread and roughness of all channels on the two
    sides. A border moves at most by `reach`, in units of time, and less than half of the way to another.
    """
    import numpy as np

    spans = _spans(signal, borders, reach)
    costs = [np.zeros(span.high + 1 - span.low) for span in spans]
    for channel in range(signal.channels if spans else 0):
        sums = signal.sums(channel)  # one channel at a time, as they are as long as the series
        for cost, (left, low, high, right) in zip(costs, spans, strict=True):
            between = sums[low : high + 1]
            cost += _cost(between - sums[left]) + _cost(sums[right] - between)
    return [span.low + int(np.argmin(cost)) for cost, span in zip(costs, spans, strict=True)]


class _Span(NamedTuple):
    """The range in which a border may move, from `low` to `high`, and the points that decide, from `left` up to `right`."""

    left: int
    low: int
    high: int
    right: int


def _spans(signal: Signal, borders: Sequence[int], reach: float) -> list[_Span]:
    """Return one range for each border; it only holds the border itself where there are too few points around it."""
    import numpy as np

    times, last = signal.times, len(signal)
    fixed = [0, *borders, last]
    spans = []
    for before, border, after in zip(fixed, borders, fixed[2:], strict=False):
        near = np.searchsorted(times, [times[border] - reach, times[border] + reach]).tolist()
        wide = np.searchsorted(times, [times[border] - 2 * reach, times[border] + 2 * reach]).tolist()
        left, right = max(before, wide[0], border - _MOST_POINTS), min(after, wide[1], border + _MOST_POINTS)
        low = max((before + border) // 2 + 2, near[0] + 2, left + 3)
        high = min((border + after) // 2 - 2, near[1] - 2, right - 3)
        spans.append(_Span(left, low, high, right) if low < high else _Span(border, border, border, border))
    return spans


def _cost(sums: Array) -> Array:
    """Return (splits,) costs of describing the points of a channel by one normal distribution, and their steps by another."""
    import numpy as np

    count, steps = np.maximum(sums[:, 0], 1.0), np.maximum(sums[:, 3], 1.0)
    variance = sums[:, 2] / count - (sums[:, 1] / count) ** 2
    return np.asarray(
        count * np.log(np.maximum(variance, _LEAST)) + steps * np.log(np.maximum(sums[:, 4] / steps, _LEAST))
    )
