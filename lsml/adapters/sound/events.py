"""sound-events: stretches of recordings, by log-mel features of windows and gradient boosted trees, as for series."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.boosted_trees import TreeOptions
from lsml.adapters.parts.once_read import OnceRead
from lsml.adapters.parts.segmenter import AnnotatedSignal, Segmenter, learnt_segmenter
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.parts.windows import Signal
from lsml.adapters.sound.mels import HOP_S, log_mels
from lsml.adapters.sound.reading import SOUNDS, read_sound
from lsml.errors import AdapterError, VersionError
from lsml.labeling.series import Points
from lsml.values import Interval, Value

if TYPE_CHECKING:
    from lsml.arrays import Array

_BANDS: Final = 12
_FRAMES: Final = 2  # frames of log-mels that make one point of the series
_MOST_POINTS: Final = 200_000  # points of one recording: an hour; in longer ones, more frames make one point


class SoundEventsOptions(TreeOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `sound-events`."""

    iterations: Annotated[
        int, Meta(ge=1, le=10_000, description="The number of trees for each label.", extra=TRAINING)
    ] = 40
    gaps: Annotated[
        Literal["unknown", "nothing"],
        Meta(
            description="The meaning of unmarked parts of an annotated recording. nothing: they have none of the "
            "labels; unknown: they are not used, and every part of a recording gets the likeliest label.",
            extra=TRAINING,
        ),
    ] = "nothing"
    snap: Annotated[
        bool,
        Meta(
            description="`true` moves the ends of a segment to the largest change of the sound nearby.",
            extra=PREDICTIONS,
        ),
    ] = True


class SoundEvents(TrainableAdapter[SoundEventsOptions]):
    """Stretches of a recording, each with a label: what is heard, or who speaks."""

    name: ClassVar[str] = "sound-events"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)"
    title: ClassVar[str] = "segments of recordings, trained on a few of them"
    consumes: ClassVar[frozenset[str]] = SOUNDS
    produces: ClassVar[frozenset[type]] = frozenset({Interval})
    requires: ClassVar[tuple[str, ...]] = ("soundfile", "sklearn", "skops")
    extra: ClassVar[str | None] = "sound"
    Options: ClassVar[type[msgspec.Struct]] = SoundEventsOptions

    def __init__(self, options: SoundEventsOptions, target: Target) -> None:
        super().__init__(options, target)
        self._segmenter: Segmenter | None = None
        self._notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._segmenter is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """The number of recordings that were not used, with the reasons."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on recordings (paths) and the intervals in them. Raises NotEnoughData."""
        allowed = None if self.target.open else set(self.target.labels)
        gaps = self.options.gaps == "nothing"
        owned = []
        for number, example in enumerate(examples):
            own = [
                value
                for value in example.values
                if isinstance(value, Interval)
                and value.start < value.end
                and (allowed is None or value.label in allowed)
            ]
            if own or gaps:
                owned.append((number, own))
        progress(0.1, f"reading {len(owned)} recordings")
        with OnceRead(lambda number: _heard(examples[number].data)) as recordings:
            signals = [AnnotatedSignal(partial(recordings.signal, number), own) for number, own in owned]
            self._segmenter = learnt_segmenter(
                signals, gaps=gaps, windows=None, options=self.options, seed=seed, what="recordings"
            )
        self._notes = recordings.notes("recordings")
        progress(1.0, f"trained on {len(owned) - recordings.failed} recordings")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the stretches of each recording (path), in order. Raises AdapterError if one cannot be read."""
        if self._segmenter is None:
            return [[] for _ in batch]
        return [list(self._segmenter.values(Signal(_heard(path)), snap=self.options.snap)) for path in batch]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays and lists."""
        assert self._segmenter is not None, "an untrained model is never saved"
        save_state(directory, self._segmenter.state())

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        state = load_state(directory, self.name)
        try:
            segmenter = Segmenter.restore(state)
            if segmenter.channels != _BANDS:
                raise ValueError("its parts differ in size")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._segmenter = segmenter


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
