"""Values, which adapters and control tags exchange. They are frozen, and raise ValueError for impossible numbers.

Units are the same everywhere in lsml; `controls/` converts them to and from Label Studio's:

- A score is a probability or confidence in [0, 1], or None where a model has none.
- Places in an image or a frame are fractions of the upright image: x from the left edge, y from the top edge, both in
  [0, 1]; `aspect` is the image's width over its height, which a rotation or a distance needs. Rotations are degrees,
  clockwise as seen.
- Spans count code points of the text that the adapter saw, end exclusive.
- Times are seconds; of a time series whose times are plain numbers, what these count.

Values of one object share a `group` (a pose and its box); it means something within one element of a batch only.
`item` is the page of a list of images, from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, overload

import msgspec

from lsml.values.moments import Moment
from lsml.values.scores import check_score, no_score

if TYPE_CHECKING:
    from lsml.arrays import Array


def _check_finite(what: str, numbers: Iterable[float]) -> None:
    for number in numbers:
        if not math.isfinite(number):
            raise ValueError(f"{what} must be finite, got {number}")


# Choices and numbers hold no containers, so the garbage collector need not track them: a classifier makes thousands
# at once.
class Choice(msgspec.Struct, frozen=True, gc=False, tag="choice"):
    """One label of a closed list, for the whole of what an object tag shows.

    `label` is the name as Label Studio stores it: a choice's alias, else its value; for a Taxonomy, the path
    as `lsml.labeling.join_path` writes it.
    """

    label: str
    score: float | None = None
    title: ClassVar[str] = "one or several labels"

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("a choice needs a label")
        # Written out instead of calling check_score, for speed.
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise no_score(self.score)


class Scored(Sequence[Choice]):
    """The choices of a model that scores all its labels. A Choice is made only when it is read, which is faster for many
    labels.

    `labels` may be shared by many; `names` are the same labels as a set. `scores` are in [0, 1], one for each label.
    `best` is the index of the highest score, the first of equal ones; -1 where there is none. It equals a list of the
    same choices.
    """

    __slots__ = ("best", "labels", "names", "scores")

    def __init__(self, labels: Sequence[str], names: frozenset[str], scores: Sequence[float]) -> None:
        self._set(labels, names, scores, scores.index(max(scores)) if scores else -1)
        # NaN makes a sum NaN wherever it stands, while min and max may miss it.
        if scores and not (min(scores) >= 0.0 and max(scores) <= 1.0 and sum(scores) >= 0.0):
            raise no_score(next(score for score in scores if not 0.0 <= score <= 1.0))

    def _set(self, labels: Sequence[str], names: frozenset[str], scores: Sequence[float], best: int) -> None:
        self.labels = labels
        self.names = names
        self.scores = scores
        self.best = best

    @classmethod
    def of_rows(cls, labels: Sequence[str], names: frozenset[str], scores: Array) -> list[Scored]:
        """Return one Scored for each row of an array (rows, labels) of at least one label. Raises ValueError for a bad
        score.
        """
        if scores.size and not (scores.min() >= 0.0 and scores.max() <= 1.0):  # NaN fails this, too
            raise no_score(next(score for score in scores.ravel().tolist() if not 0.0 <= score <= 1.0))
        rows = []
        for row, best in zip(scores.tolist(), scores.argmax(axis=1).tolist(), strict=True):
            scored = cls.__new__(cls)
            scored._set(labels, names, row, best)
            rows.append(scored)
        return rows

    @property
    def surest(self) -> Choice | None:
        """The one with the highest score; None where there is none."""
        return Choice(self.labels[self.best], self.scores[self.best]) if self.best >= 0 else None

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Choice]:
        return map(Choice, self.labels, self.scores)

    @overload
    def __getitem__(self, index: int) -> Choice: ...
    @overload
    def __getitem__(self, index: slice) -> list[Choice]: ...
    def __getitem__(self, index: int | slice) -> Choice | list[Choice]:
        if isinstance(index, slice):
            return list(map(Choice, self.labels[index], self.scores[index]))
        return Choice(self.labels[index], self.scores[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Scored, list)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as lists have none

    def __repr__(self) -> str:
        return repr(list(self))


class DecidedSpans(list["Value"]):
    """The spans that a model found in one element, and the probability of each decision behind them, such as each word's
    label: `decisions`. It has them also where there are no spans. It equals a list of the same values.
    """

    __slots__ = ("decisions",)

    def __init__(self, values: Iterable[Value] = (), *, decisions: Sequence[float]) -> None:
        super().__init__(values)
        for score in decisions:
            check_score(score)
        self.decisions = decisions


class AssignedValues(list["Value"]):
    """The values that a model found in one element for several controls, and those of each control by its name in the
    labeling config: `by_control`. Without it, a control takes all values of its type. It equals a list of the same values.
    """

    __slots__ = ("by_control",)

    def __init__(self, by_control: Mapping[str, Sequence[Value]]) -> None:
        super().__init__(value for values in by_control.values() for value in values)
        self.by_control = by_control


class Number(msgspec.Struct, frozen=True, gc=False, tag="number"):
    """A finite number, in the unit that the annotators use."""

    value: float
    score: float | None = None
    title: ClassVar[str] = "a number"

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a number must be finite, got {self.value}")
        check_score(self.score)


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A text that a model writes: a summary, a translation, a transcript."""

    text: str
    score: float | None = None
    title: ClassVar[str] = "a text"

    def __post_init__(self) -> None:
        check_score(self.score)


UNPICKED = "_"  # the group of items that are in none


class Ranking(msgspec.Struct, frozen=True, tag="ranking"):
    """The items of a task by name, best first. `groups`: the group of each, if they are sorted into groups; the items of
    one group stand together, and in the group UNPICKED their order means nothing.
    """

    order: tuple[str, ...]
    groups: tuple[str, ...] = ()
    score: float | None = None
    title: ClassVar[str] = "an order of items"

    def __post_init__(self) -> None:
        if len(set(self.order)) < len(self.order):
            raise ValueError("a ranking names each item once")
        if self.groups and len(self.groups) != len(self.order):
            raise ValueError(f"each item needs a group, got {len(self.groups)} groups for {len(self.order)} items")
        check_score(self.score)


class Span(msgspec.Struct, frozen=True, tag="span"):
    """A labelled part of a text: code points from `start` up to, and without, `end`."""

    start: int
    end: int
    label: str
    score: float | None = None
    title: ClassVar[str] = "spans of text"

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span must start at 0 or later and end after it, got {self.start} to {self.end}")
        check_score(self.score)


class Interval(msgspec.Struct, frozen=True, tag="interval"):
    """A labelled part of a time series, from its `start` to its `end`, in seconds since 1970. Where the times of a series
    are plain numbers, in their unit. Where both are the same it is an instant.
    """

    start: float
    end: float
    label: str
    score: float | None = None
    title: ClassVar[str] = "stretches of time"

    def __post_init__(self) -> None:
        _check_finite("a time", (self.start, self.end))
        if self.start > self.end:
            raise ValueError(f"an interval must not end before its start, got {self.start} to {self.end}")
        check_score(self.score)


class Relation(msgspec.Struct, frozen=True, tag="relation"):
    """A labelled relation from one region of a task to another one, named by their ids. `label` is "" where a person drew
    one without a label.
    """

    source: str
    target: str
    label: str
    score: float | None = None
    title: ClassVar[str] = "relations"

    def __post_init__(self) -> None:
        if not self.source or not self.target or self.source == self.target:
            raise ValueError(f"a relation needs two regions, got {self.source!r} and {self.target!r}")
        check_score(self.score)


class Shape(msgspec.Struct, frozen=True):
    """The fields of every region of an image. `label` is "" where a person drew a region without one. `text` is the text
    written in it; None where nobody transcribed it.
    """

    label: str
    score: float | None = None
    item: int = 0
    group: str | None = None
    aspect: float = 1.0
    text: str | None = None

    def _check(self) -> None:
        check_score(self.score)
        if self.item < 0:
            raise ValueError(f"a page counts from 0, got {self.item}")
        if not (math.isfinite(self.aspect) and self.aspect > 0):
            raise ValueError(f"an aspect must be above 0, got {self.aspect}")


class Box(Shape, frozen=True, tag="box", kw_only=True):
    """A rectangle: its top-left corner before it was rotated, width and height; rotated about that corner."""

    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    title: ClassVar[str] = "boxes"

    def __post_init__(self) -> None:
        self._check()
        _check_finite("a box", [self.x, self.y, self.width, self.height, self.rotation])
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a box must be wide and high, got {self.width} by {self.height}")


class Polygon(Shape, frozen=True, tag="polygon", kw_only=True):
    """An outline: at least three corners (x, y), in order, closed."""

    points: tuple[tuple[float, float], ...]
    title: ClassVar[str] = "polygons"

    def __post_init__(self) -> None:
        self._check()
        _check_finite("a corner", [number for point in self.points for number in point])
        if len(self.points) < 3:
            raise ValueError(f"a polygon needs three corners, got {len(self.points)}")


class Ellipse(Shape, frozen=True, tag="ellipse", kw_only=True):
    """An ellipse: its centre, the horizontal and the vertical radius before it was rotated about its centre."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    rotation: float = 0.0
    title: ClassVar[str] = "ellipses"

    def __post_init__(self) -> None:
        self._check()
        _check_finite("an ellipse", [self.x, self.y, self.radius_x, self.radius_y, self.rotation])
        if self.radius_x <= 0 or self.radius_y <= 0:
            raise ValueError(f"an ellipse needs two radii above 0, got {self.radius_x} and {self.radius_y}")


class KeyPoint(Shape, frozen=True, tag="keypoint", kw_only=True):
    """A point. `size` is the diameter of the drawn dot, as a fraction of the image's width. `positive` is used in prompts:
    True for a point on the object, False for a point beside it.
    """

    x: float
    y: float
    size: float = 0.005
    positive: bool = True
    title: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        self._check()
        _check_finite("a point", [self.x, self.y, self.size])


class Mask(Shape, frozen=True, tag="mask", kw_only=True):
    """The pixels of a region, (rows, columns) = (`height`, `width`), as run lengths in row order: the number of pixels
    that are off, then on, then off and so on. The first may be 0.
    """

    width: int
    height: int
    runs: tuple[int, ...]
    title: ClassVar[str] = "masks"

    def __post_init__(self) -> None:
        self._check()
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a mask must be wide and high, got {self.width} by {self.height} pixels")
        if any(run < 0 for run in self.runs) or sum(self.runs) != self.width * self.height:
            raise ValueError(f"the runs of a mask must fill {self.width} by {self.height} pixels")

    @classmethod
    def from_pixels(cls, pixels: Array, label: str, **fields: Any) -> Mask:
        """Return a mask of an array (rows, columns); pixels other than 0 are on."""
        import numpy as np

        on = np.asarray(pixels) != 0
        rows, columns = on.shape
        flat = on.ravel()
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        ends = np.concatenate(([0], changes, [flat.size]))
        runs = np.diff(ends).tolist()
        if flat.size and flat[0]:
            runs.insert(0, 0)
        fields.setdefault("aspect", columns / rows)
        return cls(label=label, width=columns, height=rows, runs=tuple(runs), **fields)

    def pixels(self) -> Array:
        """Return the mask as a new array (rows, columns) of booleans."""
        import numpy as np

        on = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(on, self.runs).reshape(self.height, self.width)


class Keyframe(msgspec.Struct, frozen=True):
    """A track's box at a time in seconds. `enabled`: the object is visible from here to the next keyframe, and its box is
    interpolated linearly on the way.
    """

    time_s: float
    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    enabled: bool = True

    def __post_init__(self) -> None:
        _check_finite("a keyframe", [self.time_s, self.x, self.y, self.width, self.height, self.rotation])
        if self.time_s < 0 or self.width <= 0 or self.height <= 0:
            raise ValueError("a keyframe needs a time from 0 on, a width and a height")


class Track(Shape, frozen=True, tag="track", kw_only=True):
    """One object through a video: boxes in order of time."""

    keyframes: tuple[Keyframe, ...]
    title: ClassVar[str] = "tracks of boxes"

    def __post_init__(self) -> None:
        self._check()
        times = [keyframe.time_s for keyframe in self.keyframes]
        if not times or any(later <= sooner for sooner, later in pairwise(times)):
            raise ValueError("a track needs keyframes in order of time")


Value = (
    Choice
    | Number
    | Text
    | Moment
    | Ranking
    | Span
    | Interval
    | Relation
    | Box
    | Polygon
    | Ellipse
    | KeyPoint
    | Mask
    | Track
)
VALUE_TYPES: tuple[type[Any], ...] = (
    Choice,
    Number,
    Text,
    Moment,
    Ranking,
    Span,
    Interval,
    Relation,
    Box,
    Polygon,
    Ellipse,
    KeyPoint,
    Mask,
    Track,
)


def kind_of(value_type: type[Any]) -> str:
    """Return the name of a value type, such as `box`."""
    return str(value_type.__struct_config__.tag)


def label_of(value: Value) -> str | None:
    """Return a value's label; None for a number, a text, a moment or a ranking, which have none."""
    return None if isinstance(value, Number | Text | Moment | Ranking) else value.label
