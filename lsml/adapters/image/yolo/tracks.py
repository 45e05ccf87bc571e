"""Boxes of frames as tracks: followed, and labelled by vote."""

from __future__ import annotations

import importlib.util
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.image.yolo.engine import PredictSettings
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.parts.found_objects import corners
from lsml.adapters.parts.keyframes import Seen, keyframes_of
from lsml.adapters.parts.pictures import Frames
from lsml.errors import AdapterError
from lsml.values import Track, Value

if TYPE_CHECKING:
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.trackers.byte_tracker import BYTETracker
    from ultralytics.utils import IterableSimpleNamespace

    from lsml.adapters.image.yolo.accelerate import Accelerated
    from lsml.adapters.image.yolo.engine import Engine


_log = logging.getLogger(__name__)
_SETTINGS: Final = ("track_high_thresh", "track_low_thresh", "new_track_thresh", "match_thresh", "track_buffer")


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
    video = Frames(path)
    frames = video.every(options.frame_step)
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
    if video.missing_s:
        _log.warning(
            "yolo: %s ends %.1f s early; objects are tracked as far as it can be decoded", path.name, video.missing_s
        )
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
