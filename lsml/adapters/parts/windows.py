"""Features of windows of a time series, of several lengths around its points, computed by running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lsml.arrays import Array
    from lsml.labeling.series import Points


OF_WINDOW: Final = 8  # features of one window of one channel
_MOST_MIDDLES: Final = 400  # the most points of a whole series that windows are around
_SHARES: Final = (0.01, 0.05, 0.2)  # lengths of windows, as shares of a whole series
OF_CHANNEL: Final = OF_WINDOW * len(_SHARES) * 3 + 2  # features of one channel of a whole series
_LEAST: Final = 1e-12


class Signal:
    """The points of a series, with each channel centred and scaled by its own spread."""

    def __init__(self, points: Points) -> None:
        import numpy as np

        self.times, self.values = points
        known = np.isfinite(self.values)
        filled = np.where(known, self.values, 0.0)
        counts = np.maximum(known.sum(axis=0), 1)
        self.middle = filled.sum(axis=0) / counts
        # For huge numbers the spread is infinite, and the channel becomes 0.
        with np.errstate(over="ignore"):
            spread = np.sqrt((np.where(known, self.values - self.middle, 0.0) ** 2).sum(axis=0) / counts)
        self.spread = np.where(spread > _LEAST * np.maximum(1.0, np.abs(self.middle)), spread, 1.0)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def channels(self) -> int:
        """The number of its channels."""
        return int(self.values.shape[1])

    def sums(self, channel: int) -> Array:
        """Return (points + 1, 7): a channel's running sums of: known, z, z^2, step known, squares of steps, sizes of
        steps, and squares of second differences. A missing value counts 0.
        """
        import numpy as np

        z = (self.values[:, channel] - self.middle[channel]) / self.spread[channel]
        step = np.diff(z, prepend=np.nan)
        turn = np.diff(step, prepend=np.nan)
        rows = np.zeros((len(z) + 1, 7))
        rows[1:, 0], rows[1:, 3] = np.isfinite(z), np.isfinite(step)
        for column, one in ((1, z), (2, z * z), (4, step * step), (5, np.abs(step)), (6, turn * turn)):
            rows[1:, column] = np.where(np.isfinite(one), one, 0.0)
        return np.cumsum(rows, axis=0)

    def features(self, indices: Array, windows: Sequence[float]) -> Array:
        """Return (indices, channels * windows * OF_WINDOW) for windows around the points at `indices`; lengths in units of
        time.
        """
        import numpy as np

        at = self.times[indices]
        ends = [
            (
                np.searchsorted(self.times, at - length / 2, "left"),
                np.searchsorted(self.times, at + length / 2, "right"),
            )
            for length in windows
        ]
        parts = []
        for channel in range(self.channels):
            sums = self.sums(channel)
            parts += [self._window(sums, channel, low, indices, high) for low, high in ends]
        return np.concatenate(parts, axis=1).astype(np.float32) if parts else np.zeros((len(indices), 0), np.float32)

    def _window(self, sums: Array, channel: int, low: Array, middle: Array, high: Array) -> Array:
        """Return (windows, OF_WINDOW) for one channel, from point `low` up to and without `high`; NaN where all values are
        missing.
        """
        import numpy as np

        whole = sums[high] - sums[low]
        before, after = sums[middle] - sums[low], sums[high] - sums[middle]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = whole[:, 1] / whole[:, 0]
            variance = np.maximum(whole[:, 2] / whole[:, 0] - mean**2, 0.0)
            steps = whole[:, 4] / whole[:, 3]
            rough = np.log(steps + _LEAST)
            return np.stack(
                [
                    mean,
                    mean * self.spread[channel] + self.middle[channel],
                    np.log(variance + _LEAST),
                    rough,
                    np.log(whole[:, 5] / whole[:, 3] + _LEAST) - rough / 2,  # few large steps or many small ones
                    np.log(whole[:, 6] / whole[:, 3] + _LEAST) - rough,  # the speed of turns
                    after[:, 1] / after[:, 0] - before[:, 1] / before[:, 0],  # the rise
                    np.log(after[:, 4] / after[:, 3] + _LEAST) - np.log(before[:, 4] / before[:, 3] + _LEAST),
                ],
                axis=1,
            )

    def summary(self) -> Array:
        """Return (channels * OF_CHANNEL,) for the whole series: the distribution of its windows' features, and each
        channel's median and spread.
        """
        import warnings

        import numpy as np

        duration = float(self.times[-1] - self.times[0]) or 1.0
        indices = np.unique(np.linspace(0, len(self) - 1, _MOST_MIDDLES).astype(int))
        features = self.features(indices, [share * duration for share in _SHARES])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a feature without any value stays NaN
            spread = np.nanquantile(features, [0.5, 0.05, 0.95], axis=0)
        return np.concatenate([*spread, self.middle, np.log(self.spread)])
