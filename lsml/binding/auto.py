"""`adapter: auto`: the best of several adapters by cross-validation, chosen anew at each training."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import msgspec

from lsml.adapters import get_adapter, install_hint, is_installed, lacking
from lsml.adapters.base import Adapter, Data, Example, NoOptions, Progress, Target, TrainableAdapter, silent
from lsml.adapters.fitting import fit_adapter
from lsml.adapters.parts.threads import one_thread
from lsml.controls.base import Control, Threshold
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.labeling import ControlTag, ObjectTag
from lsml.metrics import judge
from lsml.recipe import AUTO, Model, Use
from lsml.values import Choice, Value, label_of

if TYPE_CHECKING:
    from lsml.arrays import Rows

_FOLDS: Final = 5
_REPEATS: Final = 2  # rounds of cross-validation; several reduce the effect of one lucky fold
_ONCE_FROM: Final = 100  # examples from which one round is enough
_LEAST: Final = 10  # examples; with fewer there is no comparison
_MAX_EXAMPLES: Final = 2000  # examples; more would take long and improve little
_FACTS: Final = "chosen.json"
_MODEL: Final = "model"
_TRYING: Final = 0.8  # of a fit


class Selection(msgspec.Struct, frozen=True):
    """The adapter that was chosen, and the figures: the `metric` of answers to `examples` that cross-validation left out.

    `figures` are by name, in the order of the recipe; None for an adapter without one. `refusals`: the reason for those that
    cannot learn.
    """

    chosen: str
    figures: dict[str, float | None]
    metric: str = ""
    examples: int = 0
    refusals: dict[str, str] = {}

    @property
    def sentence(self) -> str:
        """The choice and its figures, for people."""
        others = [
            f"{name} {'could not be trained' if value is None else f'{value:.3f}'}"
            for name, value in self.figures.items()
            if name != self.chosen
        ]
        best = self.figures.get(self.chosen)
        if best is None:
            return (
                f"selected {self.chosen}, the first that can be trained: {self.examples} examples are too few for a "
                "comparison"
            )
        return (
            f"selected {self.chosen}: {self.metric} {best:.3f}, {', '.join(others)} (cross-validation of "
            f"{self.examples} examples)"
        )


class Answering(NamedTuple):
    """A control that the chosen adapter answers, and the least score that counts."""

    control: Control
    threshold: Threshold


class Candidate(NamedTuple):
    """One of the adapters to choose from. `name`: the adapter's, with a number where one is there several times."""

    name: str
    adapter_class: type[Adapter]
    use: Use

    def new(self, target: Target) -> TrainableAdapter:
        """Return a new adapter."""
        adapter = self.adapter_class(self.use.options, target)
        assert isinstance(adapter, TrainableAdapter)
        return adapter


class Auto(TrainableAdapter[NoOptions]):
    """The one of its `candidates` that cross-validation finds best. Before it learnt, the first answers."""

    name: ClassVar[str] = AUTO
    title: ClassVar[str] = "the best of several adapters"
    candidates: ClassVar[tuple[Candidate, ...]] = ()

    def __init__(self, options: NoOptions, target: Target) -> None:
        super().__init__(options, target)
        self._answering: tuple[Answering, ...] = ()
        self._adapter = self.candidates[0].new(target)
        self.selection: Selection | None = None
        self._saved: Path | None = None  # the folder of the version that it is
        self._went_on: bool | None = None  # once it learnt

    @classmethod
    def import_library(cls) -> None:
        """Import the libraries of its candidates."""
        for candidate in cls.candidates:
            candidate.adapter_class.import_library()

    @classmethod
    def lacks(cls, options: NoOptions, target: Target) -> str | None:
        """Return what every candidate lacks; None if one can answer."""
        found = [lacking(one.adapter_class, one.use.options, target) for one in cls.candidates]
        return "; ".join(filter(None, found)) if all(found) else None

    @classmethod
    def refusal(cls, options: NoOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return why a candidate cannot serve a control tag; None if all can."""
        found = (one.adapter_class.refusal(one.use.options, control_tag, object_tag) for one in cls.candidates)
        return next(filter(None, found), None)

    @classmethod
    def class_names(cls, options: NoOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the class names of the first candidate."""
        first = cls.candidates[0]
        return first.adapter_class.class_names(first.use.options, target)

    def judge_by(self, answering: Sequence[Answering]) -> None:
        """Set the controls whose metrics decide."""
        self._answering = tuple(answering)

    @property
    def own_names(self) -> bool:
        """The `own_names` of the chosen adapter."""
        return self._adapter.own_names

    @property
    def ready(self) -> bool:
        """True if the chosen adapter is ready."""
        return self._adapter.ready

    @property
    def resumes(self) -> bool:
        """True if one of its candidates does; once it learnt, if the chosen one went on from a saved version."""
        if self._went_on is not None:
            return self._went_on
        return any(one.new(self.target).resumes for one in self.candidates)

    @property
    def notes(self) -> tuple[str, ...]:
        """The choice with its figures, the refusals, and the notes of the adapter itself."""
        told = [] if self.selection is None else [self.selection.sentence]
        refused = [] if self.selection is None else [f"{name}: {why}" for name, why in self.selection.refusals.items()]
        return (*told, *refused, *self._adapter.notes)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Select an adapter and train it. In cross-validation, none goes on from a saved version, which may have learnt what a
        fold leaves out. Raises NotEnoughData or AdapterError if none of them can be trained.
        """

        def trying(share: float, message: str) -> None:
            progress(_TRYING * share, message)

        def fitting(share: float, message: str) -> None:
            progress(_TRYING + (1 - _TRYING) * share, message)

        figures, metric, refusals = self._tried(examples, seed, trying)
        judged = {name: value for name, value in figures.items() if value is not None}
        # Among equals, and among those without a figure, the first wins.
        ranked = sorted(self.candidates, key=lambda one: judged.get(one.name, -math.inf), reverse=True)
        for candidate in ranked:
            adapter, goes_on = self._begun(candidate)
            error = _failure(candidate.name, adapter, examples, seed, fitting)
            if error is None:
                self._adapter, self._went_on = adapter, goes_on
                self.selection = Selection(candidate.name, figures, metric, min(len(examples), _MAX_EXAMPLES), refusals)
                return
            refusals[candidate.name] = str(error)
            figures[candidate.name] = None
        said = "; ".join(f"{name}: {why}" for name, why in refusals.items())
        raise type(error)(said) if isinstance(error, NotEnoughData) else AdapterError(said)

    def _begun(self, candidate: Candidate) -> tuple[TrainableAdapter, bool]:
        """Return (an adapter to train, True if it goes on from the saved version: that is of the same candidate, and the recipe
        says so). Raises VersionError.
        """
        adapter = candidate.new(self.target)
        if self._saved is None or self.selection is None or not adapter.resumes:
            return adapter, False
        if candidate is not self.candidate(self.selection.chosen):
            return adapter, False
        adapter.load(self._saved / _MODEL)
        return adapter, True

    def _tried(
        self, examples: Sequence[Example], seed: int, progress: Progress
    ) -> tuple[dict[str, float | None], str, dict[str, str]]:
        """Return (the figure of each candidate in cross-validation, the metric, the reasons of those that cannot learn)."""
        import numpy as np
        from sklearn.model_selection import RepeatedKFold

        figures: dict[str, float | None] = {one.name: None for one in self.candidates}
        if len(examples) < _LEAST:
            return figures, "", {}
        if len(examples) > _MAX_EXAMPLES:
            drawn = np.random.default_rng(seed).choice(len(examples), _MAX_EXAMPLES, replace=False)
            examples = [examples[index] for index in sorted(drawn)]
        repeats = 1 if len(examples) >= _ONCE_FROM else _REPEATS
        splits = list(RepeatedKFold(n_splits=_FOLDS, n_repeats=repeats, random_state=seed).split(examples))
        refusals: dict[str, str] = {}
        metric = ""
        for number, candidate in enumerate(self.candidates):
            told: list[tuple[Example, Sequence[Value]]] = []
            learning = False
            for turn, (learnt, left) in enumerate(splits):
                progress((number + turn / len(splits)) / len(self.candidates), f"trying {candidate.name}")
                adapter = candidate.new(self.target)
                some = [examples[index] for index in learnt]
                with one_thread():
                    error = _failure(candidate.name, adapter, some, seed, silent)
                if isinstance(error, AdapterError):
                    refusals[candidate.name] = str(error)
                    break
                learning |= error is None
                fold = [examples[index] for index in left]
                # A model that cannot be trained without these examples predicts nothing, which counts as wrong.
                answers = [[] for _ in fold] if error else adapter.predict([example.data for example in fold])
                told += zip(fold, answers, strict=True)
            else:
                if learning:
                    figures[candidate.name], metric = _judged(self._answering, told)
        return figures, metric, refusals

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return the answers of the chosen adapter."""
        return self._adapter.predict(batch)

    def predict_above(self, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return the answers of the chosen adapter."""
        return self._adapter.predict_above(batch, floor)

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features of the chosen adapter; before a choice, those of the first candidate that has some."""
        if self.selection is not None:
            return self._adapter.features(batch)
        found = (one.new(self.target).features(batch) for one in self.candidates)
        return next((rows for rows in found if rows is not None), None)

    def save(self, directory: Path) -> None:
        """Write the choice, and the files of the chosen adapter."""
        assert self.selection is not None, "an untrained model is never saved"
        (directory / _FACTS).write_text(json.dumps(msgspec.to_builtins(self.selection)), encoding="utf-8")
        (directory / _MODEL).mkdir()
        self._adapter.save(directory / _MODEL)

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError, also if the recipe no longer names the chosen adapter."""
        try:
            selection = msgspec.json.decode((directory / _FACTS).read_bytes(), type=Selection)
        except (OSError, ValueError, msgspec.ValidationError) as error:
            raise VersionError(f"{directory}: auto cannot read it: {error}; restore it, or train again") from error
        adapter = self.candidate(selection.chosen).new(self.target)
        adapter.load(directory / _MODEL)
        self._adapter, self.selection, self._saved = adapter, selection, directory

    @classmethod
    def candidate(cls, name: str) -> Candidate:
        """Return the candidate of that name, or the first with the same adapter. Raises VersionError if there is none."""
        same = [one for one in cls.candidates if one.use.adapter == name.partition(":")[0]]
        found = next((one for one in cls.candidates if one.name == name), same[0] if same else None)
        if found is None:
            raise VersionError(f"it was trained with {name}, which is no longer in the recipe; train again")
        return found


def _failure(
    name: str, adapter: TrainableAdapter, examples: Sequence[Example], seed: int, progress: Progress
) -> NotEnoughData | AdapterError | None:
    """Fit an adapter; return why it cannot learn, or None. The other candidates can still learn."""
    if not is_installed(type(adapter)):
        return AdapterError(f"its library is not installed: {install_hint(type(adapter))}")
    try:
        fit_adapter(name, adapter, examples, seed, progress)
    except (NotEnoughData, AdapterError) as error:
        return error
    return None


def _judged(
    answering: Sequence[Answering], told: Sequence[tuple[Example, Sequence[Value]]]
) -> tuple[float | None, str]:
    """Return (the mean metric over the controls, its name)."""
    values, metrics = [], []
    for control, threshold in answering:
        least: Threshold = (lambda _label: 0.0) if control.judged_unfiltered else threshold
        pairs = []
        for example, guess in told:
            truth = _of_control(control, example.values)
            # A missing choice is not an annotation; an image or text without regions is one.
            if truth or control.multiple or control.value_type is not Choice:
                pairs.append((truth, control.select(_of_control(control, guess), least)))
        judged = judge(control.value_type, pairs)
        if judged["value"] is not None:
            values.append(float(judged["value"]))
            metrics.append(str(judged["metric"]))
    return (sum(values) / len(values) if values else None), " and ".join(sorted(set(metrics)))


def _of_control(control: Control, values: Sequence[Value]) -> list[Value]:
    known = frozenset(control.labels)
    return [
        value
        for value in values
        if isinstance(value, control.value_type) and (control.open or not known or label_of(value) in known)
    ]


def class_of(spec: Model) -> type[Adapter]:
    """Return the class of a model's adapter: with candidates, one that chooses. Raises UnknownAdapter or AdapterError."""
    if not spec.candidates:
        return get_adapter(spec.adapter).variant(msgspec.structs.asdict(spec.options))
    names = [use.adapter for use in spec.candidates]
    candidates = []
    for index, use in enumerate(spec.candidates):
        again = names[:index].count(use.adapter)
        name = f"{use.adapter}:{again + 1}" if again else use.adapter
        candidates.append(Candidate(name, get_adapter(use.adapter), use))
    classes = [one.adapter_class for one in candidates]
    attributes = {
        "candidates": tuple(candidates),
        "consumes": frozenset.intersection(*(one.consumes for one in classes)),
        "produces": frozenset.intersection(*(one.produces for one in classes)),
        "starts_ready": classes[0].starts_ready,
        "asks_service": any(one.asks_service for one in classes),
        "learns_quickly": all(issubclass(one, TrainableAdapter) and one.learns_quickly for one in classes),
    }
    return type(Auto.__name__, (Auto,), attributes)
