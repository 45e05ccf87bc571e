"""The base of adapters that mark segments of files: each file is read as a series, and learnt by gradient boosted trees."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.boosted_trees import TreeOptions
from lsml.adapters.parts.once_read import OnceRead
from lsml.adapters.parts.segmenter import AnnotatedSignal, Segmenter, learnt_segmenter
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.labeling.series import Points
from lsml.values import Interval, Value


class SegmentOptions(TreeOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of adapters that mark segments of files."""

    iterations: Annotated[
        int, Meta(ge=1, le=10_000, description="The number of trees for each label.", extra=TRAINING)
    ] = 40
    gaps: Annotated[
        Literal["unknown", "nothing"],
        Meta(
            description="The meaning of unmarked parts of an annotated file. nothing: they have none of the labels; "
            "unknown: they are not used, and every part of a file gets the likeliest label.",
            extra=TRAINING,
        ),
    ] = "nothing"
    snap: Annotated[
        bool,
        Meta(description="`true` moves the ends of a segment to the largest change nearby.", extra=PREDICTIONS),
    ] = True


OptionsT = TypeVar("OptionsT", bound=SegmentOptions)


class SegmentedFiles(TrainableAdapter[OptionsT]):
    """Stretches of a file, each with a label. A subclass says how a file is read."""

    what: ClassVar[str]  # the files, in sentences
    channels: ClassVar[int]  # of the series of a file

    def __init__(self, options: OptionsT, target: Target) -> None:
        super().__init__(options, target)
        self._segmenter: Segmenter | None = None
        self._notes: tuple[str, ...] = ()

    @abstractmethod
    def points(self, path: Path) -> tuple[Points, bool]:
        """Return a file as a series, and True if it ends too early. Raises AdapterError if it cannot be read."""

    @abstractmethod
    def stretches(self, segmenter: Segmenter, path: Path) -> list[Value]:
        """Return the stretches of a file, in order. Raises AdapterError if it cannot be read."""

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._segmenter is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """The number of files that were not used, or not to their end, with the reasons."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on files (paths) and the intervals in them: all of them, every time. Raises NotEnoughData."""
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
        progress(0.1, f"reading {len(owned)} {self.what}")
        early: set[int] = set()

        def decode(number: int) -> Points:
            points, ends_early = self.points(examples[number].data)
            if ends_early:
                early.add(number)
            return points

        with OnceRead(decode) as files:
            signals = [AnnotatedSignal(partial(files.signal, number), own) for number, own in owned]
            self._segmenter = learnt_segmenter(
                signals, gaps=gaps, windows=None, options=self.options, seed=seed, what=self.what
            )
        ended = [f"{len(early)} {self.what} end early, and were used as far as they can be decoded"] if early else []
        self._notes = (*files.notes(self.what), *ended)
        progress(1.0, f"trained on {len(owned) - files.failed} {self.what}")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the stretches of each file (path), in order. Raises AdapterError if one cannot be read."""
        if self._segmenter is None:
            return [[] for _ in batch]
        return [self.stretches(self._segmenter, path) for path in batch]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays and lists."""
        assert self._segmenter is not None, "an untrained model is never saved"
        save_state(directory, self._segmenter.state())

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            segmenter = Segmenter.restore(state)
            if segmenter.channels != self.channels:
                raise ValueError("its parts differ in size")
        self._segmenter = segmenter
