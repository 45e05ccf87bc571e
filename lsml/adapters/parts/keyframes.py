"""An object's boxes in frames, reduced to the keyframes between which Label Studio interpolates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lsml.values import Keyframe


class Seen(NamedTuple):
    """An object's box at a time, in fractions of the frame. `frame` counts the frames used."""

    frame: int
    time_s: float
    left: float
    top: float
    right: float
    bottom: float


def keyframes_of(seen: Sequence[Seen], error: float) -> tuple[Keyframe, ...]:
    """Return as few keyframes as keep every edge within `error`, a share of the frame, of its seen place.

    Between two of them a box is interpolated linearly. Where the object was lost for a while, and at the end, `enabled`
    of the keyframe before is False.
    """
    frames: list[Keyframe] = []
    for stretch in _stretches(seen):
        kept = _kept(stretch, error)
        for index in kept:
            one = stretch[index]
            frames.append(
                Keyframe(
                    one.time_s, one.left, one.top, one.right - one.left, one.bottom - one.top, enabled=index != kept[-1]
                )
            )
    return tuple(frames)


def _stretches(seen: Sequence[Seen]) -> list[Sequence[Seen]]:
    """Return the parts of a track in which no frame is missing."""
    breaks = [index for index, (one, other) in enumerate(pairwise(seen), 1) if other.frame != one.frame + 1]
    return [seen[begin:end] for begin, end in pairwise([0, *breaks, len(seen)])]


def _kept(stretch: Sequence[Seen], error: float) -> list[int]:
    """Return the indices of the keyframes, by the algorithm of Ramer, Douglas and Peucker. The distance is the largest
    error of an edge at the same time. Source: https://doi.org/10.3138/FM57-6770-U75U-7727
    """
    kept = {0, len(stretch) - 1}
    todo = [(0, len(stretch) - 1)]
    while todo:
        begin, end = todo.pop()
        worst, at = error, -1
        first, last = stretch[begin], stretch[end]
        for index in range(begin + 1, end):
            one = stretch[index]
            share = (one.time_s - first.time_s) / (last.time_s - first.time_s)
            off = max(abs(a + share * (b - a) - c) for a, b, c in zip(first[2:], last[2:], one[2:], strict=True))
            if off > worst:
                worst, at = off, index
        if at >= 0:
            kept.add(at)
            todo += [(begin, at), (at, end)]
    return sorted(kept)
