"""Drawn time series whose segments are known: what a sensor says of somebody who rests, walks and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lsml.adapters.base import Example
from lsml.labeling.series import Series
from lsml.values import Choice, Interval, Number

ACTIVITIES = ("Rest", "Run", "Walk")
_BEATS = {"Rest": 0.0, "Walk": 1.1, "Run": 2.6}  # steps per second
_SWING = {"Rest": 0.1, "Walk": 1.0, "Run": 2.2}


def drawn(seed: int, segments: int = 9, per_second: float = 20.0) -> tuple[dict[str, list[Any]], list[Interval]]:
    """(columns `time`, `x` and `y`, the segments): at irregular times, each series about a level of its own, with gaps."""
    draw = np.random.default_rng(seed)
    names = [ACTIVITIES[draw.integers(3)]]
    while len(names) < segments:
        names.append(draw.choice([name for name in ACTIVITIES if name != names[-1]]))
    ends = np.cumsum(draw.uniform(6, 20, segments))
    times = np.cumsum(draw.exponential(1 / per_second, int(ends[-1] * per_second)))
    times = np.round(times[times < ends[-1]], 4)
    of = np.searchsorted(ends, times, "right")
    beats, swing = (np.array([table[name] for name in names])[of] for table in (_BEATS, _SWING))
    phase = 2 * np.pi * np.cumsum(beats * np.diff(times, prepend=times[0]))
    x = draw.normal(0, 3) + swing * np.sin(phase) + draw.normal(0, 0.25, len(times))
    y = draw.normal(0, 3) + 0.6 * swing * np.cos(2 * phase) + draw.normal(0, 0.3, len(times))
    known = draw.random(len(times)) > 0.02
    columns = {
        "time": times.tolist(),
        "x": [float(v) if k else None for v, k in zip(x, known, strict=True)],
        "y": y.tolist(),
    }
    starts = [0, *np.searchsorted(times, ends[:-1]).tolist(), len(times)]
    intervals = [
        Interval(columns["time"][begin], columns["time"][end - 1], str(name))
        for begin, end, name in zip(starts, starts[1:], names, strict=False)
    ]
    return columns, intervals


def series_of(columns: dict[str, list[Any]], path: Path | None = None) -> Series:
    """What an adapter sees of columns; with a `path`, they are written there."""
    if path is None:
        return Series(columns=columns, time="time", channels=("x", "y"))
    path.write_text(json.dumps(columns))
    return Series(str(path), time="time", channels=("x", "y"))


def activities(seeds: range, marked: tuple[str, ...] = ACTIVITIES) -> list[Example]:
    """Drawn series with the segments of some activities marked."""
    made = [drawn(seed) for seed in seeds]
    return [
        Example(series_of(columns), tuple(value for value in intervals if value.label in marked))
        for columns, intervals in made
    ]


def kinds_of_motion(seeds: range) -> list[Example]:
    """Drawn series of one activity each, which is the choice for the whole of it."""
    made = []
    for seed in seeds:
        columns, intervals = drawn(seed, segments=1)
        made.append(Example(series_of(columns), (Choice(intervals[0].label),)))
    return made


def speeds_of_motion(seeds: range) -> list[Example]:
    """Drawn series of one activity each, with how fast it is."""
    speeds = {"Rest": 1.0, "Walk": 3.0, "Run": 5.0}
    made = kinds_of_motion(seeds)
    return [
        Example(one.data, tuple(Number(speeds[value.label]) for value in one.values if isinstance(value, Choice)))
        for one in made
    ]
