"""From how probable each label is along a series to the stretches that it is made of, with ends where the series changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from lsml.adapters.series.windows import Signal

    Array = np.ndarray[Any, Any]

_CHANGE: Final = (
    0.5  # what it costs to go over to another label, in log probability times the length of a short stretch
)
_LEAST: Final = 1e-6
_MOST_POINTS: Final = 20_000  # on either side of a change


class Run(NamedTuple):
    """Places from `begin` up to, and without, `end` that have the class `of`, as sure as `score`."""

    begin: int
    end: int
    of: int
    score: float


def runs(probabilities: Array, lengths: Array) -> list[Run]:
    """The likeliest runs of classes (Viterbi), in order, none left out. `probabilities` (places, classes); `lengths` (places,):
    how much of the series each place stands for, in units of a short stretch.

    A change costs the same wherever it is, so that a stretch much shorter than a short one has to be very sure.
    """
    import numpy as np

    likely = np.log(np.maximum(probabilities, _LEAST)) * lengths[:, None]
    count, classes = likely.shape
    came = np.empty((count, classes), dtype=np.int32)
    own = np.arange(classes)
    best = likely[0].copy()
    came[0] = own
    for place in range(1, count):
        top = int(best.argmax())
        over = best[top] - _CHANGE
        stays = best >= over
        came[place] = np.where(stays, own, top)
        best = np.where(stays, best, over) + likely[place]
    path = np.empty(count, dtype=np.int64)
    path[-1] = best.argmax()
    for place in range(count - 1, 0, -1):
        path[place - 1] = came[place, path[place]]
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = [*starts[1:].tolist(), count]
    return [
        Run(begin, end, int(path[begin]), float(probabilities[begin:end, path[begin]].mean()))
        for begin, end in zip(starts.tolist(), ends, strict=True)
    ]


def snapped(signal: Signal, borders: Sequence[int], reach: float) -> list[int]:
    """Borders between runs, numbers of points in order, each moved to where the series changes most nearby: where level,
    spread and roughness of all channels on its two sides are told best by two normal distributions. None moves further than
    `reach`, in units of time, nor as far as half of the way to another."""
    import numpy as np

    if not borders:
        return []
    sums = [signal.sums(channel) for channel in range(signal.channels)]
    times, last = signal.times, len(signal)
    fixed = [0, *borders, last]
    moved = []
    for before, border, after in zip(fixed, fixed[1:], fixed[2:], strict=False):
        at = times[min(border, last - 1)]
        near = np.searchsorted(times, [at - reach, at + reach]).tolist()
        wide = np.searchsorted(times, [at - 2 * reach, at + 2 * reach]).tolist()
        low, high = max((before + border) // 2, near[0]) + 2, min((border + after) // 2, near[1]) - 2
        left, right = max(before, wide[0], border - _MOST_POINTS), min(after, wide[1], border + _MOST_POINTS)
        low, high = max(low, left + 3), min(high, right - 3)
        if low >= high:
            moved.append(border)
            continue
        splits = np.arange(low, high + 1)
        cost = sum(_cost(one[splits] - one[left]) + _cost(one[right] - one[splits]) for one in sums)
        moved.append(int(splits[int(np.argmin(cost))]))
    return moved


def _cost(sums: Array) -> Array:
    """(splits,) of what it takes to tell so many points of a channel by a normal distribution, and their steps by another."""
    import numpy as np

    count, steps = np.maximum(sums[:, 0], 1.0), np.maximum(sums[:, 3], 1.0)
    variance = sums[:, 2] / count - (sums[:, 1] / count) ** 2
    return np.asarray(
        count * np.log(np.maximum(variance, _LEAST)) + steps * np.log(np.maximum(sums[:, 4] / steps, _LEAST))
    )
