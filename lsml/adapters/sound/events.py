"""sound-events: stretches of recordings, by log-mel features of windows and gradient boosted trees, as for series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from lsml.adapters.parts.segmented_files import SegmentedFiles, SegmentOptions
from lsml.adapters.parts.segmenter import Segmenter
from lsml.adapters.parts.windows import Signal
from lsml.adapters.sound.mels import HOP_S, log_mels
from lsml.adapters.sound.reading import SOUNDS, read_sound
from lsml.errors import AdapterError
from lsml.labeling.series import Points
from lsml.values import Interval, Value

if TYPE_CHECKING:
    from lsml.arrays import Array

_BANDS: Final = 12
_FRAMES: Final = 2  # frames of log-mels that make one point of the series
_MOST_POINTS: Final = 200_000  # points of one recording: an hour; in longer ones, more frames make one point


class SoundEvents(SegmentedFiles[SegmentOptions]):
    """Stretches of a recording, each with a label: what is heard, or who speaks."""

    name: ClassVar[str] = "sound-events"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)"
    title: ClassVar[str] = "segments of recordings, trained on a few of them"
    consumes: ClassVar[frozenset[str]] = SOUNDS
    produces: ClassVar[frozenset[type]] = frozenset({Interval})
    requires: ClassVar[tuple[str, ...]] = ("soundfile", "sklearn", "skops")
    extra: ClassVar[str | None] = "sound"
    Options: ClassVar[type[msgspec.Struct]] = SegmentOptions
    what: ClassVar[str] = "recordings"
    channels: ClassVar[int] = _BANDS

    def points(self, path: Path) -> tuple[Points, bool]:
        """See SegmentedFiles. Recordings are used as far as they go."""
        return _heard(path), False

    def stretches(self, segmenter: Segmenter, path: Path) -> list[Value]:
        """See SegmentedFiles."""
        return list(segmenter.values(Signal(_heard(path)), snap=self.options.snap))


def _heard(path: Path) -> Points:
    """Return the loudness of a recording in each band of frequencies, as a series. Raises AdapterError."""
    import numpy as np

    size, rest, points = _FRAMES, np.zeros((0, _BANDS)), np.zeros((0, _BANDS))
    parts: list[Array] = []
    for mels in log_mels(read_sound(path), _BANDS):
        rest = np.concatenate([rest, mels])
        end = len(rest) // size * size
        parts.append(rest[:end].reshape(-1, size, _BANDS).mean(axis=1))
        rest = rest[end:]
        if sum(map(len, parts)) > _MOST_POINTS:
            points = np.concatenate(parts)
            parts, size = [points[: len(points) // 2 * 2].reshape(-1, 2, _BANDS).mean(axis=1)], 2 * size
    points = np.concatenate(parts) if parts else points
    if not len(points):
        points = rest
    if not len(points):
        raise AdapterError(f"{path.name}: has no sound")
    return Points((np.arange(len(points)) + 0.5) * size * HOP_S, points)
