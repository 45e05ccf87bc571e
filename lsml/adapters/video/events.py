"""video-events: stretches of videos, by colours, edges and motion of frames and gradient boosted trees, as for series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING
from lsml.adapters.parts.segmented_files import SegmentedFiles, SegmentOptions
from lsml.adapters.parts.segmenter import Segmenter
from lsml.adapters.parts.windows import Signal
from lsml.adapters.video.footage import CHANNELS, footage_of
from lsml.labeling.series import Points
from lsml.values import Interval, Value


class VideoEventsOptions(SegmentOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `video-events`."""

    rate: Annotated[
        float,
        Meta(
            gt=0, le=120, extra=TRAINING,
            description="The frames of a second that are used; of videos longer than an hour and three quarters, fewer.",
        ),
    ] = 8.0  # fmt: skip


class VideoEvents(SegmentedFiles[VideoEventsOptions]):
    """Stretches of a video, each with a label: what happens, or what is seen."""

    name: ClassVar[str] = "video-events"
    title: ClassVar[str] = "segments of videos, trained on a few of them"
    licence: ClassVar[str | None] = "Apache-2.0 (OpenCV), BSD-3-Clause (scikit-learn)"
    consumes: ClassVar[frozenset[str]] = frozenset({"Video"})
    produces: ClassVar[frozenset[type]] = frozenset({Interval})
    requires: ClassVar[tuple[str, ...]] = ("cv2", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    Options: ClassVar[type[msgspec.Struct]] = VideoEventsOptions
    what: ClassVar[str] = "videos"
    channels: ClassVar[int] = CHANNELS

    def points(self, path: Path) -> tuple[Points, bool]:
        """See SegmentedFiles."""
        footage = footage_of(path, self.options.rate)
        return footage.points, footage.missing_s > 0

    def stretches(self, segmenter: Segmenter, path: Path) -> list[Value]:
        """See SegmentedFiles."""
        footage = footage_of(path, self.options.rate)
        found = segmenter.values(Signal(footage.points), snap=self.options.snap)
        # A frame stands for the time around it, up to the middle between it and its neighbours.
        half = footage.step_s / 2
        return [msgspec.structs.replace(one, start=max(0.0, one.start - half), end=one.end + half) for one in found]
