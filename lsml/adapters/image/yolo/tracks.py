"""Boxes of frames as tracks: followed, labelled by vote, and reduced to the needed keyframes."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.image.yolo.engine import PredictSettings
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.parts.found_objects import corners
from lsml.adapters.parts.pictures import read_frames
from lsml.errors import AdapterError
from lsml.values import Keyframe, Track, Value

if TYPE_CHECKING:
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.trackers.byte_tracker import BYTETracker
    from ultralytics.utils import IterableSimpleNamespace

    from lsml.adapters.image.yolo.accelerate import Accelerated
    from lsml.adapters.image.yolo.engine import Engine


_SETTINGS: Final = ("track_high_thresh", "track_low_thresh", "new_track_thresh", "match_thresh", "track_buffer")


class Seen(NamedTuple):
    """An object's box at a time, in fractions of the frame. `frame` counts the frames used."""

    frame: int
    time_s: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass
class Followed:
    """One tracked object."""

    seen: list[Seen] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    numbers: Counter[int] = field(default_factory=Counter)


def follow(
    engine: Engine | Accelerated, path: Path, asked: PredictSettings, options: YoloOptions, labels: Sequence[str]
) -> list[Value]:
    """Return the tracks of a video's objects, by a tracker of its own. Raises AdapterError where it is no video.

    A track has the most frequent label of its boxes, and their mean score.
    """
    tracker, settings = _tracker(options)
    asked = asked._replace(confidence=max(options.confidence, settings.track_low_thresh))
    objects: dict[int, Followed] = {}
    aspect = 1.0
    frames = read_frames(path, options.frame_step)
    count = 0
    while chunk := [pair for _, pair in zip(range(options.batch), frames, strict=False)]:
        results = engine.results_of_images([frame for _, frame in chunk], asked)
        for (time_s, frame), result in zip(chunk, results, strict=True):
            aspect = frame.shape[1] / frame.shape[0]
            for row in tracker.update(result.boxes.cpu().numpy(), frame).tolist():
                # x1, y1, x2, y2, track, score, class, ...
                cut = corners(row, frame.shape)
                if cut is not None:
                    followed = objects.setdefault(int(row[4]), Followed())
                    followed.seen.append(Seen(count, time_s, *cut))
                    followed.scores.append(min(1.0, max(0.0, row[5])))
                    followed.numbers[int(row[6])] += 1
            count += 1
    return [
        Track(
            labels[followed.numbers.most_common(1)[0][0]], sum(followed.scores) / len(followed.scores), aspect=aspect,
            keyframes=keyframes_of(followed.seen, options.track_error),
        )
        for _, followed in sorted(objects.items())
    ]  # fmt: skip


def _tracker(options: YoloOptions) -> tuple[BOTSORT | BYTETracker, IterableSimpleNamespace]:
    """Return a new tracker, and its settings: the library's, with the recipe's changes."""
    if importlib.util.find_spec("lap") is None:
        # ultralytics would install it.
        raise AdapterError('yolo tracks objects with the package lap, which is not installed; pip install "lsml[yolo]"')
    import yaml
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.trackers.byte_tracker import BYTETracker
    from ultralytics.utils import ROOT, IterableSimpleNamespace

    own = yaml.safe_load((ROOT / "cfg" / "trackers" / f"{options.tracker}.yaml").read_text(encoding="utf-8"))
    own |= {name: value for name in _SETTINGS if (value := getattr(options, name)) is not None}
    settings = IterableSimpleNamespace(**own, device="cpu")
    return {"botsort": BOTSORT, "bytetrack": BYTETracker}[options.tracker](args=settings), settings


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
