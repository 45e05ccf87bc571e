"""video-events: stretches of videos, by colours, edges and motion of frames and gradient boosted trees, as for series."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.boosted_trees import TreeOptions
from lsml.adapters.parts.once_read import OnceRead
from lsml.adapters.parts.segmenter import AnnotatedSignal, Segmenter, learnt_segmenter
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.parts.windows import Signal
from lsml.adapters.video.footage import CHANNELS, footage_of
from lsml.errors import VersionError
from lsml.labeling.series import Points
from lsml.values import Interval, Value


class VideoEventsOptions(TreeOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `video-events`."""

    iterations: Annotated[
        int, Meta(ge=1, le=10_000, description="The number of trees for each label.", extra=TRAINING)
    ] = 40
    rate: Annotated[
        float,
        Meta(
            gt=0, le=120, extra=TRAINING,
            description="The frames of a second that are used; of videos longer than an hour and three quarters, fewer.",
        ),
    ] = 8.0  # fmt: skip
    gaps: Annotated[
        Literal["unknown", "nothing"],
        Meta(
            description="The meaning of unmarked parts of an annotated video. nothing: they have none of the labels; "
            "unknown: they are not used, and every part of a video gets the likeliest label.",
            extra=TRAINING,
        ),
    ] = "nothing"
    snap: Annotated[
        bool,
        Meta(
            description="`true` moves the ends of a segment to the largest change of the picture nearby.",
            extra=PREDICTIONS,
        ),
    ] = True


class VideoEvents(TrainableAdapter[VideoEventsOptions]):
    """Stretches of a video, each with a label: what happens, or what is seen."""

    name: ClassVar[str] = "video-events"
    title: ClassVar[str] = "segments of videos, trained on a few of them"
    licence: ClassVar[str | None] = "Apache-2.0 (OpenCV), BSD-3-Clause (scikit-learn)"
    consumes: ClassVar[frozenset[str]] = frozenset({"Video"})
    produces: ClassVar[frozenset[type]] = frozenset({Interval})
    requires: ClassVar[tuple[str, ...]] = ("cv2", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    Options: ClassVar[type[msgspec.Struct]] = VideoEventsOptions

    def __init__(self, options: VideoEventsOptions, target: Target) -> None:
        super().__init__(options, target)
        self._segmenter: Segmenter | None = None
        self._notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._segmenter is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """The number of videos that were not used, or not to their end, with the reasons."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on videos (paths) and the intervals in them: all of them, every time. Raises NotEnoughData."""
        allowed = None if self.target.open else set(self.target.labels)
        gaps = self.options.gaps == "nothing"
        cut: set[int] = set()

        def points_of(number: int) -> Points:
            footage = footage_of(examples[number].data, self.options.rate)
            if footage.missing_s > 0:
                cut.add(number)
            return footage.points

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
        progress(0.1, f"reading {len(owned)} videos")
        with OnceRead(points_of) as videos:
            signals = [AnnotatedSignal(partial(videos.signal, number), own) for number, own in owned]
            self._segmenter = learnt_segmenter(
                signals, gaps=gaps, windows=None, options=self.options, seed=seed, what="videos"
            )
        early = [f"{len(cut)} videos end early, and were used as far as they can be decoded"] if cut else []
        self._notes = (*videos.notes("videos"), *early)
        progress(1.0, f"trained on {len(owned) - videos.failed} videos")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the stretches of each video (path), in order. Raises AdapterError if one cannot be read."""
        if self._segmenter is None:
            return [[] for _ in batch]
        return [self._stretches(self._segmenter, path) for path in batch]

    def _stretches(self, segmenter: Segmenter, path: Path) -> list[Value]:
        footage = footage_of(path, self.options.rate)
        found = segmenter.values(Signal(footage.points), snap=self.options.snap)
        # A frame stands for the time around it, up to the middle between it and its neighbours.
        half = footage.step_s / 2
        return [msgspec.structs.replace(one, start=max(0.0, one.start - half), end=one.end + half) for one in found]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays and lists."""
        assert self._segmenter is not None, "an untrained model is never saved"
        save_state(directory, self._segmenter.state())

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        state = load_state(directory, self.name)
        try:
            segmenter = Segmenter.restore(state)
            if segmenter.channels != CHANNELS:
                raise ValueError("its parts differ in size")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._segmenter = segmenter
