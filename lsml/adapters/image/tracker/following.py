"""One object from frame to frame: the flow of points in its box, corrected by its appearance when it was marked.

Z. Kalal, K. Mikolajczyk, J. Matas: Forward-Backward Error: Automatic Detection of Tracking Failures, 2010.
https://doi.org/10.1109/ICPR.2010.675
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from lsml.arrays import Array

_GRID: Final = 10  # points along each side of a box whose flow is measured
_INNER: Final = 0.8  # the share of a box that they cover, as its edge is often ground
_FEWEST: Final = 6  # points with a reliable flow
_STRAY: Final = 2.0  # pixels between a point and where the flow back from its new place leads
_GROWTH: Final = (0.9, 1.1)  # of a side from one frame to the next
_LEAST: Final = 6  # pixels of a side
_SIDE: Final = 32  # pixels to which an appearance is scaled to compare it
_CONTEXT: Final = 0.1  # the margin that belongs to an appearance, in sides of the box, as an object may be plain
_PLAIN: Final = 1e-3  # grey levels of spread
_AROUND: Final = 0.35  # the margin in which a better place is searched, in sides of the box
_BETTER: Final = 0.03  # of correlation, by which another place must be better
_RENEWED: Final = 0.85  # the correlation with the marked appearance from which the recent one is renewed
_AGAIN: Final = 0.15  # more correlation than usual is needed to find an object again anywhere in the frame


class PixelBox(NamedTuple):
    """A box in pixels of a frame."""

    left: float
    top: float
    width: float
    height: float


class Follower:
    """Follows one object through grey frames, given in order. `least`: the correlation below which it is lost."""

    def __init__(self, frame: Array, place: PixelBox, least: float) -> None:
        self._least = least
        self._before = frame
        self._place: PixelBox | None = place
        self._last = place  # where it was seen last
        self._marked = self._recent = _appearance(frame, place)

    def follow(self, frame: Array) -> PixelBox | None:
        """Return where the object is in the next frame; None while it is lost."""
        carried = None if self._place is None else _carried(self._before, frame, self._place)
        found = None if carried is None else self._corrected(frame, carried)
        if found is None:
            found = self._anywhere(frame)
        if found is not None:
            self._last = found
            seen = _appearance(frame, found)
            if seen is not None and self._likeness(seen, self._marked) >= _RENEWED:
                self._recent = seen
        self._before, self._place = frame, found
        return found

    def _likeness(self, seen: Array | None, known: Array | None) -> float:
        import numpy as np

        return -1.0 if seen is None or known is None else float(np.mean(seen * known))

    def _likest(self, frame: Array, place: PixelBox) -> float:
        seen = _appearance(frame, place)
        return max(self._likeness(seen, self._marked), self._likeness(seen, self._recent))

    def _corrected(self, frame: Array, place: PixelBox) -> PixelBox | None:
        """Return a place or a better one near it; None where the object is at neither."""
        margin = _AROUND * place.width, _AROUND * place.height
        window = (place.left - margin[0], place.top - margin[1],
                  place.left + place.width + margin[0], place.top + place.height + margin[1])  # fmt: skip
        here = self._likest(frame, place)
        nearby = self._matched(frame, window, place)
        if nearby is not None and (there := self._likest(frame, nearby)) > here + _BETTER:
            place, here = nearby, there
        return place if here >= self._least else None

    def _anywhere(self, frame: Array) -> PixelBox | None:
        rows, columns = frame.shape
        place = self._matched(frame, (0, 0, columns, rows), self._last)
        enough = min(0.95, self._least + _AGAIN)
        return place if place is not None and self._likest(frame, place) >= enough else None

    def _matched(self, frame: Array, window: tuple[float, float, float, float], size: PixelBox) -> PixelBox | None:
        """Return the place of this size in a window that is most like the object; None where the window is too small."""
        import cv2
        import numpy as np

        if self._recent is None:
            return None
        rows, columns = frame.shape
        left, top = max(0, round(window[0])), max(0, round(window[1]))
        part = frame[top : min(rows, round(window[3])), left : min(columns, round(window[2]))]
        # At the scale at which its appearance is known, which also makes the search fast.
        whole = _with_context(size)
        across, down = _SIDE / whole.width, _SIDE / whole.height
        wide, high = round(part.shape[1] * across), round(part.shape[0] * down)
        if min(wide, high) < _SIDE or not part.size:
            return None
        scaled = cv2.resize(part, (wide, high), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        found = cv2.matchTemplate(scaled, self._recent, cv2.TM_CCOEFF_NORMED)
        _, _, _, (x, y) = cv2.minMaxLoc(found)
        return PixelBox(
            left + x / across + size.left - whole.left, top + y / down + size.top - whole.top, size.width, size.height
        )


def _carried(before: Array, frame: Array, place: PixelBox) -> PixelBox | None:
    """Return where the flow of the points in a box moves it, and how much larger; None where it cannot be told."""
    import cv2
    import numpy as np

    rows, columns = frame.shape
    share = (np.arange(_GRID) + 0.5) / _GRID
    xs = place.left + place.width * (0.5 + _INNER * (share - 0.5))
    ys = place.top + place.height * (0.5 + _INNER * (share - 0.5))
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 1, 2).astype(np.float32)
    inside = ((points >= 0) & (points < (columns, rows))).all(axis=(1, 2))
    points = points[inside]
    if len(points) < _FEWEST:
        return None
    ahead, reached, _ = cv2.calcOpticalFlowPyrLK(before, frame, points, None)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(frame, before, ahead, None)
    stray = np.linalg.norm((back - points).reshape(-1, 2), axis=1)
    good = (reached.ravel() == 1) & (returned.ravel() == 1) & (stray <= _STRAY)
    good &= stray <= np.median(stray[good]) if good.any() else good
    if good.sum() < _FEWEST:
        return None
    old, new = points[good].reshape(-1, 2), ahead[good].reshape(-1, 2)
    step = np.median(new - old, axis=0)
    first, second = np.triu_indices(len(old), 1)
    apart = np.linalg.norm(old[first] - old[second], axis=1)
    growth = np.median(np.linalg.norm(new[first] - new[second], axis=1)[apart > 0] / apart[apart > 0])
    growth = float(np.clip(growth, *_GROWTH))
    width, height = place.width * growth, place.height * growth
    left = place.left + float(step[0]) - (width - place.width) / 2
    top = place.top + float(step[1]) - (height - place.height) / 2
    seen = min(left + width, columns) - max(left, 0), min(top + height, rows) - max(top, 0)
    return PixelBox(left, top, width, height) if min(seen) >= _LEAST and min(width, height) >= _LEAST else None


def _with_context(place: PixelBox) -> PixelBox:
    wide, high = _CONTEXT * place.width, _CONTEXT * place.height
    return PixelBox(place.left - wide, place.top - high, place.width + 2 * wide, place.height + 2 * high)


def _appearance(frame: Array, place: PixelBox) -> Any:
    """Return (_SIDE, _SIDE) floats of a box, with mean 0 and variance 1; None where it is hardly in the frame, or plain."""
    import cv2
    import numpy as np

    rows, columns = frame.shape
    place = _with_context(place)
    left, top = max(0, round(place.left)), max(0, round(place.top))
    right, bottom = min(columns, round(place.left + place.width)), min(rows, round(place.top + place.height))
    if right - left < _LEAST or bottom - top < _LEAST:
        return None
    part = cv2.resize(frame[top:bottom, left:right], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    spread = float(part.std())
    return (part - part.mean()) / spread if spread > _PLAIN else None
