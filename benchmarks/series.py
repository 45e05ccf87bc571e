"""How well `time-series` finds drawn segments, beside a plain windowed classifier of scikit-learn. `python -m benchmarks.series`

From 10 drawn series it learns, on 10 others it is judged, for three seeds. The baseline is what one writes in an afternoon: windows of
a fixed length, the mean, deviation, least and largest of each channel, HistGradientBoostingClassifier, and equal neighbours joined.
It is given three lengths, of which the table shows each. Then one series of a million points: time and memory. Two minutes.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from lsml.adapters.base import Example, Target
from lsml.adapters.series.time_series import TimeSeries
from lsml.labeling.series import Points, Series
from lsml.metrics import judge
from lsml.values import Interval
from tests.support.signals import ACTIVITIES, activities

SEEDS, WINDOWS_S = (0, 1000, 2000), (0.5, 1.0, 3.0)


class Baseline:
    """Fixed windows of so many seconds, one after the other."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._model = HistGradientBoostingClassifier(max_iter=60, random_state=1)

    def _windows(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        of = ((points.times - points.times[0]) / self._window_s).astype(int)
        cuts = [part for part in np.split(np.arange(len(of)), np.flatnonzero(np.diff(of)) + 1) if len(part)]
        values = np.nan_to_num(points.values)
        rows = [np.concatenate([np.ravel(made) for made in (v.mean(0), v.std(0), v.min(0), v.max(0))])
                for v in (values[cut] for cut in cuts)]  # fmt: skip
        return np.array(rows), np.array([(points.times[cut[0]], points.times[cut[-1]]) for cut in cuts])

    def fit(self, examples: Sequence[Example]) -> None:
        """Learn each window by what holds in its middle."""
        rows, labels = [], []
        for example in examples:
            features, ends = self._windows(example.data.points())
            for row, middle in zip(features, ends.mean(axis=1), strict=True):
                label = next((value.label for value in example.values if value.start <= middle <= value.end), None)
                if label is not None:
                    rows.append(row)
                    labels.append(label)
        self._model.fit(np.array(rows), labels)

    def predict(self, batch: Sequence[Series]) -> list[list[Interval]]:
        """Neighbours of one label joined."""
        return [self._joined(*self._windows(series.points())) for series in batch]

    def _joined(self, rows: np.ndarray, ends: np.ndarray) -> list[Interval]:
        said = self._model.predict(rows)
        starts = [0, *(np.flatnonzero(said[1:] != said[:-1]) + 1).tolist(), len(said)]
        return [Interval(ends[a][0], ends[b - 1][1], str(said[a])) for a, b in pairwise(starts)]


def edges(examples: Sequence[Example], answers: Sequence[Sequence[Interval]]) -> list[float]:
    """How far each annotated beginning is from the nearest predicted one, in seconds."""
    return [
        min(abs(value.start - other.start) for other in values)
        for example, values in zip(examples, answers, strict=True)
        for value in example.values
    ]


def judged(name: str, make: object) -> None:
    """One row of the table."""
    rows = []
    for seed in SEEDS:
        train, test = activities(range(seed, seed + 10)), activities(range(seed + 100, seed + 110))
        model = make()  # type: ignore[operator]
        begin = time.process_time()
        model.fit(train, 1) if isinstance(model, TimeSeries) else model.fit(train)
        fitted = time.process_time()
        answers = model.predict([example.data for example in test])
        told = time.process_time()
        f1 = judge(Interval, list(zip([example.values for example in test], answers, strict=True)))["value"]
        rows.append((f1, statistics.mean(edges(test, answers)), fitted - begin, told - fitted))
    f1, edge, fit, predict = (statistics.mean(column) for column in zip(*rows, strict=True))
    print(f"| {name} | {f1:.3f} | {edge:.2f} s | {fit:.1f} s | {predict:.1f} s |", flush=True)


def adapter() -> TimeSeries:
    """A new one, for the activities."""
    return TimeSeries(TimeSeries.Options(), Target(ACTIVITIES, multiple=True, kinds={"interval": ACTIVITIES}))


def million() -> None:
    """A sentence on one long series."""
    model = adapter()
    model.fit(activities(range(10)), 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.csv"
        with path.open("w") as file:
            file.write("time,x,y\n")
            file.writelines(f"{row / 20},{row % 7 / 7},{row % 11 / 11}\n" for row in range(1_000_000))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.process_time()
        model.predict([Series(str(path), time="time", channels=("x", "y"))])
        unit = 1 if sys.platform == "darwin" else 1024
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20
        print(
            f"\nA million points of two channels: {time.process_time() - begin:.1f} s of processor time, {more:.0f} MiB more."
        )


if __name__ == "__main__":
    print("| | segment F1 | ends off by | fit | predict |\n|---|---|---|---|---|")
    judged("`time-series`", adapter)
    for window_s in WINDOWS_S:
        judged(f"windows of {window_s:g} s", lambda window_s=window_s: Baseline(window_s))
    million()
