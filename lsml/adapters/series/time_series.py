"""time-series: stretches of time series, and labels of whole series, by features of windows and gradient boosted trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.boosted_trees import Forest, TreeOptions, estimates, forest_of, grow, probabilities, spread_of
from lsml.adapters.parts.linear_head import labelled
from lsml.adapters.parts.notes import unlearnt
from lsml.adapters.parts.number_head import numbered
from lsml.adapters.parts.segmenter import AnnotatedSignal, Segmenter, learnt_segmenter
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.adapters.parts.windows import OF_CHANNEL, Signal
from lsml.errors import AdapterError
from lsml.labeling import ControlTag
from lsml.labeling.series import UnreadableSeries
from lsml.values import Choice, Interval, Number, Value

if TYPE_CHECKING:
    from lsml.adapters.parts.state import State


_ITERATIONS: Final = 60  # neighbouring windows are similar, so cross-validation would choose too many


class TimeSeriesOptions(TreeOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `time-series`."""

    iterations: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | Literal["auto"],
        Meta(
            description="The number of trees for each label. auto: 60 for segments; for whole series chosen by "
            "cross-validation.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a whole number from 1 to 10000, or auto"},
        ),
    ] = "auto"
    gaps: Annotated[
        Literal["auto", "unknown", "nothing"],
        Meta(
            description="The meaning of unlabelled parts of an annotated series. unknown: they are not used, and "
            "every part of a series gets the likeliest label; nothing: they have none of the labels. "
            "auto: nothing if the tag has one label, because there is no other to distinguish it from; "
            "otherwise unknown.",
            extra=TRAINING,
        ),
    ] = "auto"
    windows: Annotated[
        Annotated[list[Annotated[float, Meta(gt=0)]], Meta(min_length=1, max_length=8)] | None,
        Meta(
            description="The lengths of the windows around each point, in seconds or the unit of the time column. "
            "null: an eighth, a half and one and a half times the length of a short annotated segment.",
            extra=TRAINING,
        ),
    ] = None
    snap: Annotated[
        bool,
        Meta(
            description="`true` moves the ends of a segment to the largest change of the series nearby.",
            extra=PREDICTIONS,
        ),
    ] = True


class _Chooser(NamedTuple):
    """The learnt model of whole series: one forest for all labels, or if several may hold at once, one for each."""

    labels: list[str]
    forests: list[Forest]
    channels: int
    multiple: bool

    def values(self, signal: Signal) -> list[Choice]:
        """Return every label with its probability, in alphabetical order."""
        row = signal.summary()[None]
        [scores] = probabilities([forest.outputs(row) for forest in self.forests], multiple=self.multiple)
        return [Choice(label, score) for label, score in zip(self.labels, scores.tolist(), strict=True)]

    def state(self) -> State:
        """Return lists and arrays from which `restore` makes the same model."""
        return {**self._asdict(), "forests": [forest.state() for forest in self.forests]}

    @classmethod
    def restore(cls, state: State) -> _Chooser:
        """Return the model of a `state`. Raises KeyError, TypeError or ValueError for anything else."""
        labels, channels, multiple = (
            [str(one) for one in state["labels"]],
            int(state["channels"]),
            bool(state["multiple"]),
        )
        forests = [Forest.restore(forest, channels * OF_CHANNEL) for forest in state["forests"]]
        if not labels or len(forests) != (len(labels) if multiple else 1):
            raise ValueError("its parts differ in size")
        return cls(labels, forests, channels, multiple)


class _Rater(NamedTuple):
    """The learnt model of a number for whole series: a forest and its members, and the spread of the annotated numbers."""

    forests: list[Forest]
    channels: int
    spread: float

    def values(self, signal: Signal) -> list[Number]:
        """Return the number of a series."""
        row = signal.summary()[None]
        return estimates([forest.outputs(row) for forest in self.forests], self.spread)

    def state(self) -> State:
        """Return lists and arrays from which `restore` makes the same model."""
        return {**self._asdict(), "forests": [forest.state() for forest in self.forests]}

    @classmethod
    def restore(cls, state: State) -> _Rater:
        """Return the model of a `state`. Raises KeyError, TypeError or ValueError for anything else."""
        channels, spread = int(state["channels"]), float(state["spread"])
        forests = [Forest.restore(forest, channels * OF_CHANNEL) for forest in state["forests"]]
        if not forests or not spread > 0:
            raise ValueError("its parts differ in size")
        return cls(forests, channels, spread)


class TimeSeries(TrainableAdapter[TimeSeriesOptions]):
    """Stretches of a series, each with a label, and labels or a number of a whole series: whichever were annotated."""

    name: ClassVar[str] = "time-series"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = "segments of time series, and labels or numbers of whole series, trained on a few series"
    consumes: ClassVar[frozenset[str]] = frozenset({"TimeSeries"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Interval, Number})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    passes_over: ClassVar[str | None] = "is trained on segments with a length, not on instants"
    Options: ClassVar[type[msgspec.Struct]] = TimeSeriesOptions

    def __init__(self, options: TimeSeriesOptions, target: Target) -> None:
        super().__init__(options, target)
        self._segmenter: Segmenter | None = None
        self._chooser: _Chooser | None = None
        self._rater: _Rater | None = None
        self._notes: tuple[str, ...] = ()

    @classmethod
    def limits(cls, options: TimeSeriesOptions, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """Return that it labels all of a series, where unlabelled parts are not learnt."""
        if "interval" not in target.kinds or _counts_gaps(options, target):
            return None
        return "gives every part of a series a label; with `options: {gaps: nothing}`, unmarked parts have none"

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return bool(self._parts)

    @property
    def _parts(self) -> list[Segmenter | _Chooser | _Rater]:
        return [part for part in (self._segmenter, self._chooser, self._rater) if part is not None]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about series that could not be used, and the lengths of the windows."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on series and their intervals, choices or numbers. Raises NotEnoughData."""
        marked, chosen, rated = (
            any(isinstance(value, kind) for example in examples for value in example.values)
            for kind in (Interval, Choice, Number)
        )
        kinds = self.target.kinds or {"interval" if marked else "choice": ()}
        stretches = "interval" in kinds and (marked or not (chosen or rated))
        unread: dict[int, str] = {}
        segmenter = self._stretches(examples, seed, progress, unread) if stretches else None
        progress(0.5, f"trained on the segments of {len(examples)} series" if stretches else "")
        choosing = chosen or not (stretches or rated or kinds.keys() == {"number"})
        chooser = self._choices(examples, seed, unread, stretches=stretches) if choosing else None
        rater = self._numbers(examples, seed, unread) if rated or not (stretches or choosing) else None
        self._segmenter, self._chooser, self._rater = segmenter, chooser, rater
        lengths = ", ".join(f"{length:g}" for length in segmenter.windows) if segmenter else ""
        self._notes = (
            *([f"uses windows of {lengths}"] if lengths else []),
            *unlearnt(Counter(unread.values()), "series"),
        )
        progress(1.0, f"trained on {len(examples) - len(unread)} series")

    def _stretches(
        self, examples: Sequence[Example], seed: int, progress: Progress, unread: dict[int, str]
    ) -> Segmenter:
        allowed = None if self.target.open else set(self.target.kinds.get("interval", self.target.labels))
        gaps = _counts_gaps(self.options, self.target)
        reader = _SeriesReader(examples, unread)
        signals = []
        for number, example in enumerate(examples):
            intervals = [value for value in example.values if isinstance(value, Interval) and value.start < value.end]
            own = [value for value in intervals if allowed is None or value.label in allowed]
            if own or gaps:
                signals.append(AnnotatedSignal(partial(reader.signal, number), own))
        progress(0.1, f"reading {len(signals)} series")
        options = self.options
        if options.iterations == "auto":
            options = msgspec.structs.replace(options, iterations=_ITERATIONS)
        return learnt_segmenter(signals, gaps=gaps, windows=options.windows, options=options, seed=seed)

    def _choices(self, examples: Sequence[Example], seed: int, unread: dict[int, str], *, stretches: bool) -> _Chooser:
        import numpy as np

        # If segments are wanted too, a series without a choice was annotated only with segments.
        asked = [n for n, e in enumerate(examples) if not stretches or any(isinstance(v, Choice) for v in e.values)]
        reader = _SeriesReader(examples, unread)
        seen = [(number, signal.summary()) for number in asked if (signal := reader.signal(number)) is not None]
        learnt = labelled([examples[number] for number, _ in seen], self.target, "series")
        rows = np.stack([seen[index][1] for index in learnt.indices])
        multiple = self.target.multiple
        if multiple:
            questions = [np.array([label in labels for labels in learnt.truths]) for label in learnt.labels]
        else:
            questions = [np.array([learnt.labels.index(labels[0]) for labels in learnt.truths])]
        forests = [forest_of(rows, truths, self.options, seed) for truths in questions]
        return _Chooser(learnt.labels, forests, rows.shape[1] // OF_CHANNEL, multiple)

    def _numbers(self, examples: Sequence[Example], seed: int, unread: dict[int, str]) -> _Rater:
        import numpy as np

        reader = _SeriesReader(examples, unread)
        signals = [(number, reader.signal(number)) for number in numbered(examples, "series")[0]]
        seen = {number: signal.summary() for number, signal in signals if signal is not None}
        _, told = numbered([examples[number] for number in seen], "series that can be read")
        truths, rows = np.array(told), np.stack(list(seen.values()))
        grown = grow(rows, truths, self.options, seed, numbers=True)
        return _Rater([grown.forest, *grown.members], rows.shape[1] // OF_CHANNEL, spread_of(truths))

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the stretches of each series in order, and every label of the whole series with its probability.

        Raises AdapterError for a series that cannot be read, or has other channels than the learnt ones.
        """
        if not self.ready:
            return [[] for _ in batch]
        return [self._values(data) for data in batch]

    def _values(self, data: Data) -> list[Value]:
        signal = Signal(data.points())
        for part in self._parts:
            if part.channels != signal.channels:
                raise AdapterError(
                    f"the series has {signal.channels} channels, but the model was trained with {part.channels}"
                )
        intervals = self._segmenter.values(signal, snap=self.options.snap) if self._segmenter else []
        wholes = [part.values(signal) for part in (self._chooser, self._rater) if part is not None]
        return [*intervals, *(value for values in wholes for value in values)]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays and lists."""
        assert self.ready, "an untrained model is never saved"
        parts = {"segmenter": self._segmenter, "chooser": self._chooser, "rater": self._rater}
        save_state(directory, {name: part.state() if part else None for name, part in parts.items()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            segmenter = None if state["segmenter"] is None else Segmenter.restore(state["segmenter"])
            chooser = None if state["chooser"] is None else _Chooser.restore(state["chooser"])
            held = state.get("rater")  # older versions have none
            rater = None if held is None else _Rater.restore(held)
            if segmenter is None and chooser is None and rater is None:
                raise ValueError("it holds nothing")
        self._segmenter, self._chooser, self._rater = segmenter, chooser, rater


class _SeriesReader:
    """A reader of the points of examples, one at a time. It notes series that cannot be read or have other channels than
    the first.
    """

    def __init__(self, examples: Sequence[Example], unread: dict[int, str]) -> None:
        self._examples = examples
        self._unread = unread
        self._channels: int | None = None

    def signal(self, number: int) -> Signal | None:
        """Return the points of one example; None where they cannot be read."""
        try:
            signal = Signal(self._examples[number].data.points())
        except UnreadableSeries as error:
            self._unread[number] = str(error)
            return None
        if self._channels is None:
            self._channels = signal.channels
        if signal.channels == self._channels:
            return signal
        self._unread[number] = f"it has {signal.channels} channels, and another series has {self._channels}"
        return None


def _counts_gaps(options: TimeSeriesOptions, target: Target) -> bool:
    """Return True if unlabelled parts have none of the labels."""
    labels = target.kinds.get("interval", target.labels)
    return bool(options.gaps == "nothing" or (options.gaps == "auto" and len(labels) == 1))
