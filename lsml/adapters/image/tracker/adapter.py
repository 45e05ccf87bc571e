"""The adapter: from a person's box to a track, in one pass through the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, Data, InteractiveAdapter
from lsml.adapters.image.tracker.following import Follower, PixelBox
from lsml.adapters.parts.keyframes import Seen, keyframes_of
from lsml.adapters.parts.pictures import Frames, scaled_to
from lsml.values import Keyframe, Track, Value

if TYPE_CHECKING:
    from lsml.arrays import Array

_FEWEST_PIXELS: Final = 4.0  # of a side of a box in a scaled frame


class TrackerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `tracker`."""

    size: Annotated[
        int,
        Meta(
            ge=64, le=4096, extra=PREDICTIONS,
            description="The longer side, in pixels, to which larger frames are scaled; smaller is faster and coarser.",
        ),
    ] = 640  # fmt: skip
    seconds: Annotated[
        float,
        Meta(
            gt=0, le=36_000, extra=PREDICTIONS,
            description="The longest part of a video that is tracked for one mark, as an annotator waits for it.",
        ),
    ] = 60.0  # fmt: skip
    lost: Annotated[
        float,
        Meta(
            ge=0, le=36_000, extra=PREDICTIONS,
            description="The seconds for which a lost object is searched anywhere in the frame; then its track ends.",
        ),
    ] = 2.0  # fmt: skip
    likeness: Annotated[
        float,
        Meta(
            ge=0, le=1, extra=PREDICTIONS,
            description="The correlation with its marked appearance below which an object is lost.",
        ),
    ] = 0.5  # fmt: skip
    track_error: Annotated[
        float,
        Meta(
            ge=0, le=0.2, extra=PREDICTIONS,
            description="The largest error of a box's edge from left-out keyframes, as a share of the frame.",
        ),
    ] = 0.005  # fmt: skip


@dataclass
class _Marked:
    """A track that a person drew, and how it goes on."""

    drawn: Track
    follower: Follower | None = None
    seen: list[Seen] = field(default_factory=list)

    @property
    def begin(self) -> Keyframe:
        return self.drawn.keyframes[-1]


class Tracker(InteractiveAdapter[TrackerOptions]):
    """The rest of a track whose beginning a person drew in a video."""

    name: ClassVar[str] = "tracker"
    title: ClassVar[str] = "tracks a box that a person draws through the rest of a video; no weights, no training"
    consumes: ClassVar[frozenset[str]] = frozenset({"Video"})
    produces: ClassVar[frozenset[type]] = frozenset({Track})
    requires: ClassVar[tuple[str, ...]] = ("cv2",)
    extra: ClassVar[str | None] = "images"
    licence: ClassVar[str | None] = "Apache-2.0 (OpenCV)"
    only_interactive: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TrackerOptions

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return nothing: it follows what a person marked."""
        return [[] for _ in batch]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return each drawn track of a video (path) with its continuation, in place of the drawn one.

        A track whose last keyframe is not enabled has an end already, and is not continued. Raises AdapterError where the
        video cannot be read.
        """
        open_tracks = [prompt for prompt in prompts if isinstance(prompt, Track) and prompt.keyframes[-1].enabled]
        marked = [_Marked(track) for track in open_tracks]
        if not marked:
            return []
        aspect = self._follow(data, marked)
        return [self._continued(one, aspect) for one in marked if len(one.seen) > 1]

    def _follow(self, path: Path, marked: Sequence[_Marked]) -> float:
        """Follow objects through a video, and return its frames' aspect. Raises AdapterError."""
        import cv2

        video = Frames(path)
        aspect = 1.0
        first = min(one.begin.time_s for one in marked)
        for number, (time_s, frame) in enumerate(video.every(1)):
            aspect = frame.shape[1] / frame.shape[0]
            if time_s < first - video.tolerance_s:
                continue
            grey = cv2.cvtColor(scaled_to(frame, self.options.size), cv2.COLOR_BGR2GRAY)
            going = [self._goes_on(one, number, time_s, grey, video.tolerance_s) for one in marked]
            if not any(going):
                break
        return aspect

    def _goes_on(self, one: _Marked, number: int, time_s: float, grey: Array, tolerance_s: float) -> bool:
        """Follow one object into the next frame. Return False when it need not be followed further."""
        rows, columns = grey.shape
        begin, options = one.begin, self.options
        if time_s < begin.time_s - tolerance_s:
            return True
        if one.follower is None:
            place = PixelBox(begin.x * columns, begin.y * rows, begin.width * columns, begin.height * rows)
            if min(place.width, place.height) < _FEWEST_PIXELS:
                return False
            one.follower = Follower(grey, place, options.likeness)
            found: PixelBox | None = place
        elif time_s - begin.time_s > options.seconds or time_s - one.seen[-1].time_s > options.lost + tolerance_s:
            return False
        else:
            found = one.follower.follow(grey)
        if found is not None:
            sides = (found.left / columns, found.top / rows,
                     (found.left + found.width) / columns, (found.top + found.height) / rows)  # fmt: skip
            left, top, right, bottom = (min(1.0, max(0.0, side)) for side in sides)
            if left < right and top < bottom:
                # A track goes on from exactly where it was drawn.
                one.seen.append(Seen(number, begin.time_s if not one.seen else time_s, left, top, right, bottom))
        return True

    def _continued(self, one: _Marked, aspect: float) -> Track:
        rest = keyframes_of(one.seen, self.options.track_error)
        rotation = one.begin.rotation
        rest = tuple(msgspec.structs.replace(keyframe, rotation=rotation) for keyframe in rest)
        begun = msgspec.structs.replace(one.begin, enabled=rest[0].enabled)
        frames = (*one.drawn.keyframes[:-1], begun, *rest[1:])
        return msgspec.structs.replace(one.drawn, keyframes=frames, aspect=aspect, score=None)
