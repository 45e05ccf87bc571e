"""Pairs of regions that may be related, and what tells of each: labels, order, distance, and what stands between or beside."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from lsml.values import Marked, Shape, Span, Track
from lsml.values.coverage import bounds

_WORD: Final = re.compile(r"\w+|[^\w\s]")
_SENTENCE_END: Final = re.compile(r"[.!?]\s|\n")
_BESIDE: Final = 2  # words before and after a pair
_MOST_BETWEEN: Final = 12  # words between a pair that are looked at
_NEAREST: Final = 12  # shapes of an image that one is paired with
_STEPS: Final = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)  # distances that are told apart


class Pair(NamedTuple):
    """An ordered pair of regions, by their indices in `Marked`. `apart`: the words between them, or the rank of the target
    among the shapes that are near the source.
    """

    source: int
    target: int
    apart: int


class Scene:
    """The regions of one task. Spans are compared by the words between them, shapes by where they stand."""

    def __init__(self, marked: Marked) -> None:
        self._marked = marked
        self._spans = [
            (value.start, value.end, index) for index, value in enumerate(marked.regions) if isinstance(value, Span)
        ]
        self._spans.sort()

    def pairs(self, window: int) -> list[Pair]:
        """Return both orders of each two regions with at most `window` words between them, or of near shapes."""
        found = []
        for number, (_, end, index) in enumerate(self._spans):
            for start, _, other in self._spans[number + 1 :]:
                apart = self._words_between(end, start)
                if apart > window:
                    break
                found += [Pair(index, other, apart), Pair(other, index, apart)]
        for index, ranked in self._ranked.items():
            found += [Pair(index, other, rank) for rank, other in enumerate(ranked)]
        return found

    def pair(self, source: int, target: int) -> Pair:
        """Return a pair of two regions, however far apart."""
        one, other = (self._marked.regions[index] for index in (source, target))
        if isinstance(one, Span) and isinstance(other, Span):
            first, second = sorted((one, other), key=lambda span: (span.start, span.end))
            return Pair(source, target, self._words_between(first.end, second.start))
        ranked = self._ranked.get(source, ())
        return Pair(source, target, ranked.index(target) if target in ranked else len(ranked))

    @cached_property
    def _words(self) -> list[tuple[int, int, str]]:
        return [(found.start(), found.end(), found[0].casefold()) for found in _WORD.finditer(self._marked.text)]

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _, _ in self._words]

    @cached_property
    def _span_starts(self) -> list[int]:
        return [start for start, _, _ in self._spans]

    def _words_between(self, end: int, start: int) -> int:
        return max(0, bisect_left(self._starts, start) - bisect_left(self._starts, end))

    @cached_property
    def _boxes(self) -> dict[int, tuple[float, float, float, float]]:
        """Left, top, width and height of each shape, in fractions of the image, by its index."""
        found = {}
        for index, value in enumerate(self._marked.regions):
            if isinstance(value, Shape) and not isinstance(value, Track):
                left, top, right, bottom = bounds(value)
                found[index] = (left, top, max(right - left, 1e-3), max(bottom - top, 1e-3))
        return found

    def _nearest(self, index: int) -> list[int]:
        """Return the shapes of the same page that are nearest to one, nearest first."""
        own = self._marked.regions[index]
        assert isinstance(own, Shape)
        others = []
        for other in self._boxes:
            value = self._marked.regions[other]
            if other != index and isinstance(value, Shape) and value.item == own.item:
                across, down = _gaps(self._boxes[index], self._boxes[other])
                others.append((across**2 + down**2, other))
        return [other for _, other in sorted(others)[:_NEAREST]]

    def features(self, pair: Pair) -> Iterator[str]:
        """Yield the names of what holds of a pair."""
        one, other = (self._marked.regions[index] for index in pair[:2])
        labels = f"{_label(one)} {_label(other)}"
        yield from ("always", f"labels {labels}", f"source {_label(one)}", f"target {_label(other)}")
        told = self._of_spans(pair, one, other) if isinstance(one, Span) and isinstance(other, Span) else ()
        if isinstance(one, Shape) and isinstance(other, Shape):
            told = self._of_shapes(pair, one, other)
        for name in told:
            yield name
            yield f"{name} of {labels}"

    def _of_spans(self, pair: Pair, one: Span, other: Span) -> Iterator[str]:
        forward = (one.start, one.end) <= (other.start, other.end)
        first, second = (one, other) if forward else (other, one)
        order = "after" if forward else "before"
        yield order
        yield f"apart {order} {_step(pair.apart)}"
        if first.end > second.start:
            yield f"overlapping {order}"
        begin, end = bisect_left(self._starts, first.end), bisect_left(self._starts, second.start)
        between = [word for _, _, word in self._words[begin : min(end, begin + _MOST_BETWEEN)]]
        for word in between:
            yield f"between {order} {word}"
        for two in zip(["^", *between], [*between, "$"], strict=True):
            yield f"between {order} {' '.join(two)}"
        low = bisect_left(self._starts, first.start)
        high = bisect_left(self._starts, second.end)
        yield from (f"left {order} {word}" for _, _, word in self._words[max(0, low - _BESIDE) : low])
        yield from (f"right {order} {word}" for _, _, word in self._words[high : high + _BESIDE])
        if _SENTENCE_END.search(self._marked.text, first.end, max(first.end, second.start)):
            yield f"another sentence {order}"
        yield from self._amid(first, second, order)
        for name, span in (("source", one), ("target", other)):
            yield f"{name} says {self._marked.text[span.start : span.end].casefold()}"

    def _amid(self, first: Span, second: Span, order: str) -> Iterator[str]:
        """Yield which regions stand between two spans, and how many with the label of each."""
        low = bisect_left(self._span_starts, first.end)
        high = bisect_left(self._span_starts, second.start)
        amid = [_label(self._marked.regions[index]) for _, _, index in self._spans[low:high]]
        yield f"regions between {order} {min(len(amid), 4)}"
        for label in set(amid):
            yield f"region between {order} {label}"
        for name, span in (("first", first), ("second", second)):
            yield f"like {name} between {order} {min(amid.count(span.label), 3)}"

    def _of_shapes(self, pair: Pair, one: Shape, other: Shape) -> Iterator[str]:
        own, their = self._boxes[pair.source], self._boxes[pair.target]
        across, down = _gaps(own, their)
        side = "left" if their[0] + their[2] / 2 < own[0] + own[2] / 2 else "right"
        level = "above" if their[1] + their[3] / 2 < own[1] + own[3] / 2 else "below"
        yield f"rank {min(pair.apart, 6)}"
        yield f"first of its label {_label(other) not in self._labels_nearer(pair)}"
        yield f"side {side if down == 0 else ''} {level if across == 0 else ''}"
        yield f"direction {side} {level}"
        yield f"inside {_inside(own, their)} {_inside(their, own)}"
        yield f"touching {across == 0 and down == 0}"
        yield f"gap {_step(10 * across / own[2])} {_step(10 * down / own[3])}"
        yield f"size {_step(4 * their[2] * their[3] / (own[2] * own[3]))}"
        for name, shape in (("source", one), ("target", other)):
            for word in _WORD.findall((shape.text or "").casefold())[:_MOST_BETWEEN]:
                yield f"{name} says {word}"

    def _labels_nearer(self, pair: Pair) -> set[str]:
        return {_label(self._marked.regions[index]) for index in self._ranked[pair.source][: pair.apart]}

    @cached_property
    def _ranked(self) -> Mapping[int, Sequence[int]]:
        return {index: self._nearest(index) for index in self._boxes}


def _label(region: object) -> str:
    return region.label if isinstance(region, Span | Shape) else ""


def _step(distance: float) -> int:
    """Return the number of the step that a distance reaches."""
    return sum(distance >= step for step in _STEPS)


_Box = tuple[float, float, float, float]


def _gaps(one: _Box, other: _Box) -> tuple[float, float]:
    """Return the distances of two boxes across and down; 0 where they overlap."""
    across, down = (
        max(0.0, max(one[at], other[at]) - min(one[at] + one[at + 2], other[at] + other[at + 2])) for at in (0, 1)
    )
    return across, down


def _inside(one: _Box, other: _Box) -> bool:
    """Return True if the middle of a box is in another one."""
    return all(other[at] <= one[at] + one[at + 2] / 2 <= other[at] + other[at + 2] for at in (0, 1))
