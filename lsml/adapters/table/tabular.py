"""tabular: gradient boosted trees over columns: numbers, categories, dates, missing values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.boosted_trees import Forest, TreeOptions, estimates, forest_of, grow, probabilities, spread_of
from lsml.adapters.parts.columns import Columns, Kind
from lsml.adapters.parts.linear_head import LabelledExamples, labelled
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.errors import NotEnoughData
from lsml.values import Choice, Number, Scored, Value

if TYPE_CHECKING:
    from lsml.adapters.parts.state import State
    from lsml.arrays import Array, Rows


class TabularOptions(TreeOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `tabular`."""

    kinds: Annotated[
        dict[str, Kind],
        Meta(
            description="A map from a column to its kind, if it is not detected correctly: number, category or date. "
            "A postal code that looks like a number is a category.",
            extra=TRAINING,
        ),
    ] = msgspec.field(default_factory=dict)


class _Learnt(NamedTuple):
    """The learnt model for one kind of answer: `labels` in the order of their forests, or None for a number.

    `forests`: one for all labels; if several labels may hold at once, one for each; for a number one, then its members.
    `spread`: the standard deviation of the annotated numbers.
    """

    columns: Columns
    labels: list[str] | None
    forests: list[Forest]
    multiple: bool = False
    spread: float = 1.0

    def values(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every label with its probability, in alphabetical order; or one number with its score."""
        rows = self.columns.features(batch)
        outputs = [forest.outputs(rows) for forest in self.forests]
        if self.labels is not None:
            return Scored.of_rows(self.labels, frozenset(self.labels), probabilities(outputs, multiple=self.multiple))
        return [[number] for number in estimates(outputs, self.spread)]

    def state(self) -> State:
        """Return lists and arrays from which `restore` makes the same model."""
        forests = [forest.state() for forest in self.forests]
        return {**self._asdict(), "columns": self.columns.state(), "forests": forests}

    @classmethod
    def restore(cls, state: State) -> _Learnt:
        """Return the model of a `state`. Raises KeyError, TypeError or ValueError for anything else."""
        columns = Columns.restore(state["columns"])
        forests = [Forest.restore(forest, columns.width) for forest in state["forests"]]
        labels = None if state["labels"] is None else [str(label) for label in state["labels"]]
        multiple = bool(state["multiple"])
        if not forests or (labels is not None and len(forests) != (len(labels) if multiple else 1)):
            raise ValueError("its parts differ in size")
        return cls(columns, labels, forests, multiple, float(state["spread"]))


class Tabular(TrainableAdapter[TabularOptions]):
    """Labels or a number for the columns of a task, by gradient boosted trees.

    A number's score is exp(-error / spread), as for `text-regressor`: the error that the jackknife expects from the
    disagreement of forests that each missed a fifth of the examples, in units of the annotated numbers' spread.
    """

    name: ClassVar[str] = "tabular"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = "labels, numbers and ratings from columns: numbers, categories, dates, missing values"
    consumes: ClassVar[frozenset[str]] = frozenset({"Table"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Number})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TabularOptions

    def __init__(self, options: TabularOptions, target: Target) -> None:
        super().__init__(options, target)
        self._learnt: list[_Learnt] = []
        self._notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return bool(self._learnt)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the kinds of the columns, and those without information."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on columns (dicts) and their choices, or one number each. Raises NotEnoughData."""
        numbers = any(isinstance(value, Number) for example in examples for value in example.values)
        choices = any(isinstance(value, Choice) for example in examples for value in example.values)
        learnt = []
        if choices or not numbers:
            learnt.append(self._labels(examples, seed, progress))
        if numbers:
            learnt.append(self._number(examples, seed, progress))
        self._learnt = learnt
        progress(1.0, f"trained on {len(examples)} tasks")

    def _read(self, examples: Sequence[Example]) -> tuple[Columns, Array]:
        rows = [example.data for example in examples]
        columns, left_out = Columns.of(rows, self.options.kinds)
        self._notes = (
            columns.told,
            *([f"left out, because they do not differ between tasks: {', '.join(left_out)}"] if left_out else []),
        )
        return columns, columns.features(rows)

    def _labels(self, examples: Sequence[Example], seed: int, progress: Progress) -> _Learnt:
        learnt = labelled(examples, self.target, "tasks")
        columns, rows = self._read([examples[index] for index in learnt.indices])
        forests = []
        questions = _questions(learnt, multiple=self.target.multiple)
        for number, truths in enumerate(questions):
            progress(number / len(questions), f"growing trees for {len(learnt.labels)} labels")
            forests.append(forest_of(rows, truths, self.options, seed))
        return _Learnt(columns, learnt.labels, forests, self.target.multiple)

    def _number(self, examples: Sequence[Example], seed: int, progress: Progress) -> _Learnt:
        import numpy as np

        told = [(e, next((v.value for v in e.values if isinstance(v, Number)), None)) for e in examples]
        kept = [(example, number) for example, number in told if number is not None]
        if len(kept) < 2:
            raise NotEnoughData(f"{len(kept)} tasks have a number; annotate at least two")
        columns, rows = self._read([example for example, _ in kept])
        truths = np.array([number for _, number in kept], dtype=np.float64)
        progress(0.5, f"growing trees for {len(kept)} numbers")
        grown = grow(rows, truths, self.options, seed, numbers=True)
        return _Learnt(columns, None, [grown.forest, *grown.members], spread=spread_of(truths))

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every known label with its probability, in alphabetical order; or one number with its score; or both."""
        if not self._learnt or not batch:
            return [[] for _ in batch]
        first, *others = [learnt.values(batch) for learnt in self._learnt]
        if not others:
            return first
        return [[*one, *two] for one, two in zip(first, others[0], strict=True)]

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the columns of these tasks alone, on one scale, 0 for a gap; None if no column tells them apart."""
        import numpy as np

        try:
            rows = Columns.of(batch, self.options.kinds)[0].features(batch)
        except NotEnoughData:
            return None
        spread = np.nanstd(rows, axis=0)
        scaled = np.nan_to_num((rows - np.nanmean(rows, axis=0)) / np.where(spread > 0, spread, 1.0))
        # Normalised to length 1, rows near the mean would have random directions; with a constant column they have the same.
        return np.hstack([scaled, np.full((len(rows), 1), np.sqrt(rows.shape[1]))])

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays and lists."""
        assert self._learnt, "an untrained model is never saved"
        save_state(directory, {"learnt": [learnt.state() for learnt in self._learnt]})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            learnt = [_Learnt.restore(one) for one in state["learnt"]]
            if not 1 <= len(learnt) <= 2:
                raise ValueError("it holds nothing")
        self._learnt = learnt


def _questions(learnt: LabelledExamples, *, multiple: bool) -> list[Array]:
    """Return the truths for each forest, by example: the label that holds; or for each label whether it holds."""
    import numpy as np

    if not multiple:
        return [np.array([learnt.labels.index(labels[0]) for labels in learnt.truths])]
    return [np.array([label in labels for labels in learnt.truths]) for label in learnt.labels]
