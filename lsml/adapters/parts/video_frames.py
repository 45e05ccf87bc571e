"""Annotated tracks as annotated images: frames of videos, each with the boxes of the objects that are visible in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.base import Example, Progress
from lsml.adapters.parts.notes import reason_of, unlearnt
from lsml.adapters.parts.pictures import Frames, scaled_to
from lsml.errors import AdapterError
from lsml.values import Box, Track
from lsml.values.coverage import boxes_at
from lsml.wording import listed

if TYPE_CHECKING:
    from lsml.arrays import Array

_EMPTY: Final = 0.25  # the share of a video's frames that are taken where no object is visible
_QUALITY: Final = 95  # of JPEG

Stretch = tuple[float, float]  # begin and end in seconds


@dataclass(frozen=True)
class Sampled:
    """Frames as examples of images, and the index of each one's video, None of other images; and the names of videos whose
    end is missing, and the reasons why others were not used.
    """

    examples: tuple[Example, ...]
    videos: tuple[int, ...] | None = None
    cut: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about videos that were not used, or not to their end."""
        notes = unlearnt(Counter(self.unread), "videos")
        if self.cut:
            early = f"{len(self.cut)} videos end early, and were used as far as they can be decoded: {listed(self.cut)}"
            notes = (*notes, early)
        return notes


def sample_frames(examples: Sequence[Example], most: int, side: int, folder: Path, progress: Progress) -> Sampled:
    """Write at most `most` frames of each video (path) into a folder, scaled to at most `side` pixels, and return them.

    Most are spread over the time in which an object is visible, the others over the rest: they are negative examples.
    """
    found: list[Example] = []
    videos: list[int] = []
    cut: list[str] = []
    unread: list[str] = []
    folder.mkdir()
    for number, example in enumerate(examples):
        progress(number / len(examples), f"reading video {number + 1} of {len(examples)}")
        tracks = [value for value in example.values if isinstance(value, Track)]
        try:
            video = Frames(example.data)
            for place, (time_s, frame) in enumerate(_chosen(video, tracks, most)):
                boxes = tuple(_boxes(tracks, time_s, frame.shape[1] / frame.shape[0]))
                found.append(Example(_written(frame, side, folder / f"{number:06d}-{place:06d}.jpg"), boxes))
                videos.append(number)
        except AdapterError as error:
            unread.append(reason_of(error))
            continue
        if video.missing_s:
            cut.append(example.data.name)
    return Sampled(tuple(found), tuple(videos), tuple(cut), tuple(unread))


def _chosen(video: Frames, tracks: Sequence[Track], most: int) -> Iterator[tuple[float, Array]]:
    """Yield the first frame at or after each chosen moment, with its time."""
    times = moments(tracks, video.duration_s, most)
    due = 0
    for time_s, frame in video.every(1):
        if due < len(times) and time_s >= times[due] - 1e-6:
            yield time_s, frame
            while due < len(times) and time_s >= times[due] - 1e-6:
                due += 1


def moments(tracks: Sequence[Track], duration_s: float, most: int) -> list[float]:
    """Return at most `most` times, in order: most of them while an object is visible, a quarter while none is."""
    visible = _joined(stretch for track in tracks for stretch in _visible(track, duration_s))
    ends = [
        0.0,
        *(time_s for stretch in visible for time_s in stretch),
        max(duration_s, visible[-1][1] if visible else 0.0),
    ]
    empty = [(begin, end) for begin, end in zip(ends[::2], ends[1::2], strict=True) if end > begin]
    few = 0 if not empty else max(1, round(_EMPTY * most))
    return sorted({*_spread(visible, most - few), *_spread(empty, few)})


def _visible(track: Track, duration_s: float) -> Iterator[Stretch]:
    """Yield the times from each enabled keyframe to the next; Label Studio continues the last one to the end."""
    for one, following in pairwise(track.keyframes):
        if one.enabled:
            yield one.time_s, following.time_s
    last = track.keyframes[-1]
    yield last.time_s, max(last.time_s, duration_s if last.enabled else 0.0)


def _joined(stretches: Iterator[Stretch]) -> list[Stretch]:
    """Return stretches in order, with those that touch or overlap as one."""
    joined: list[Stretch] = []
    for begin, end in sorted(stretches):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _spread(stretches: Sequence[Stretch], count: int) -> Iterator[float]:
    """Yield `count` times, evenly spread over all stretches together, from the middle of the first share on."""
    whole = sum(end - begin for begin, end in stretches)
    if not stretches or count < 1:
        return
    for number in range(count):
        left = (number + 0.5) / count * whole
        for begin, end in stretches:
            if left <= end - begin:
                yield begin + left
                break
            left -= end - begin


def _boxes(tracks: Sequence[Track], time_s: float, aspect: float) -> Iterator[Box]:
    """Yield the box of each track that is visible at a time."""
    import numpy as np

    for track in tracks:
        [(x, y, width, height, rotation)] = boxes_at(track, np.array([time_s])).tolist()
        if width > 0 and height > 0:  # not a number where it is not visible
            yield Box(track.label, x=x, y=y, width=width, height=height, rotation=rotation, aspect=aspect)


def _written(frame: Array, side: int, path: Path) -> Path:
    import cv2

    cv2.imencode(".jpg", scaled_to(frame, side), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tofile(path)
    return path
