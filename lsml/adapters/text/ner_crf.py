"""ner-crf: spans of text by a conditional random field. Learns from twenty sentences in a fraction of a second.

J. Lafferty, A. McCallum, F. Pereira: Conditional Random Fields, 2001; trained by CRFsuite
(https://www.chokkan.org/software/crfsuite).
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.text_features import TextOptions, text_rows
from lsml.adapters.parts.text_spans import inner, outermost, parted
from lsml.adapters.parts.word_features import OUTSIDE, Lexicon, features, stretches, tags_of, told_by_others
from lsml.errors import NotEnoughData, VersionError
from lsml.values import DecidedSpans, Span, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows


_WITHIN: Final = "within"  # the folder of the model of inner spans
_MODEL: Final = "model.crfsuite"
_LEXICON_FILE: Final = "facts.json"
_FORMAT: Final = 2
_MAGIC: Final = b"lCRF"
# (c1, c2) that `auto` chooses from: many weak features, or few strong ones, as where a capital alone marks a name.
_SETTINGS: Final = ((0.0, 0.1), (0.05, 0.01))
_FOLDS: Final = 3
_PARTS: Final = 5  # of more texts, of which one is held out to calibrate by
_MOST_TRIED: Final = 200  # texts; with more, each feature occurs often enough


class NerCrfOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `ner-crf`."""

    c1: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | Literal["auto"],
        Meta(
            description="The L1 regularisation; more drops more features. auto: 0 or 0.05, chosen by cross-validation "
            "of up to 200 texts.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number from 0 to 100, or auto"},
        ),
    ] = "auto"
    c2: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | Literal["auto"],
        Meta(
            description="The L2 regularisation; more resists noisy annotations. auto: 0.1 or 0.01, chosen by "
            "cross-validation of up to 200 texts.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number from 0 to 100, or auto"},
        ),
    ] = "auto"
    iterations: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="The most steps of the optimiser; with more, the fit is closer.",
            extra=TRAINING,
        ),
    ] = 150


class _HeldOut(NamedTuple):
    """Spans in held-out texts: the score of each, and whether it is one of the annotated ones."""

    scores: list[float]
    right: list[bool]
    annotated: int

    @property
    def f1(self) -> float:
        """The strict F1."""
        return 2 * sum(self.right) / max(1, len(self.right) + self.annotated)


class NerCrf(TrainableAdapter[NerCrfOptions]):
    """Labelled spans of a text: whole words, with one label or several. A model of its own finds spans that overlap others."""

    name: ClassVar[str] = "ner-crf"
    licence: ClassVar[str | None] = "MIT (python-crfsuite)"
    title: ClassVar[str] = "entities in texts, trained on a few dozen sentences in a second"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    passes_over: ClassVar[str | None] = "finds spans that overlap others, but none that overlap these, too"
    requires: ClassVar[tuple[str, ...]] = ("pycrfsuite",)
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = NerCrfOptions

    def __init__(self, options: NerCrfOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model = b""
        self._lexicon: Lexicon
        self._calibration = PlattScaling()
        self._within: NerCrf | None = None  # trained on the spans inside those that this one is trained on
        self._unused = 0  # spans that were not used for training, as they are too deep inside others
        self._lock = threading.Lock()
        self._tagger: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about spans that were not used, if there are any."""
        if not self._unused:
            return ()
        return (f"{self._unused} spans were not used for training: they overlap several longer ones",)

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return bool(self._model)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their spans; labels that the target does not have are ignored.

        Of overlapping spans it is trained on the longest, with all labels of its place, and a second model on the longest of
        the others; they are extended to whole words. Raises NotEnoughData without two texts, of which one has a span.
        """
        allowed = None if self.target.open else set(self.target.labels)
        self._fit_outermost(examples, progress)
        self._within, left = None, _left(examples, allowed)
        self._unused = sum(len(one.values) for one in left)
        if self._unused:
            within = NerCrf(self.options, self.target)
            within._fit_outermost(left, silent)
            self._within = within
            self._unused = sum(len(one.values) for one in _left(left, allowed))

    def _fit_outermost(self, examples: Sequence[Example], progress: Progress) -> None:
        texts = _read(examples, self.target)
        progress(0.0, f"reading {len(texts)} texts")
        setting, calibration = self._chosen(examples)
        self._learn(texts, setting, progress)
        self._calibration = calibration
        progress(
            1.0,
            f"trained on {sum(len(parted(span)) for _, spans in texts for span in spans)} spans in {len(texts)} texts",
        )

    def _learn(
        self, texts: Sequence[tuple[str, Sequence[Span]]], setting: tuple[float, float], progress: Progress = silent
    ) -> None:
        import pycrfsuite

        lexicon = Lexicon.of(texts)
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(
            {
                "c1": setting[0],
                "c2": setting[1],
                "max_iterations": self.options.iterations,
                "feature.possible_transitions": True,
            }
        )
        for number, (text, spans, own) in enumerate(told_by_others(texts, lexicon)):
            if number % 100 == 0:
                progress(0.2 * number / len(texts), f"read {number} of {len(texts)} texts")
            for stretch in stretches(text):
                trainer.append(features(stretch, own), tags_of(stretch, spans))
        progress(0.2, f"training on {len(texts)} texts")
        with tempfile.TemporaryDirectory(prefix="lsml-") as directory:
            path = Path(directory) / _MODEL
            trainer.train(str(path))
            self._become(path.read_bytes(), lexicon, PlattScaling())

    def _chosen(self, examples: Sequence[Example]) -> tuple[tuple[float, float], PlattScaling]:
        """Return (c1, c2): those of the options, or those whose spans in held-out texts have the best strict F1; and the
        calibration by these spans. Of many texts, one part is held out once.
        """
        c1, c2 = self.options.c1, self.options.c2
        possible = dict.fromkeys((one if c1 == "auto" else c1, two if c2 == "auto" else c2) for one, two in _SETTINGS)
        few = len(examples) <= _MOST_TRIED
        parts, held_out = (_FOLDS, _FOLDS) if few else (_PARTS, 1)
        told = {
            setting: self._held_out(setting, examples, parts, held_out)
            for setting in (possible if few else [next(iter(possible))])
        }
        best = max(told, key=lambda setting: told[setting].f1)
        return best, PlattScaling.fit(told[best].scores, told[best].right)

    def _held_out(
        self, setting: tuple[float, float], examples: Sequence[Example], parts: int, held_out: int
    ) -> _HeldOut:
        """Return the spans in the first `held_out` of the parts of the texts, each of models of the other parts."""
        scores: list[float] = []
        right: list[bool] = []
        annotated = 0
        for part in range(held_out):
            left = examples[part::parts]
            adapter = NerCrf(self.options, self.target)
            try:
                learnt = _read(
                    [example for index, example in enumerate(examples) if index % parts != part], self.target
                )
            except NotEnoughData:
                continue
            adapter._learn(learnt, setting)
            for example, values in zip(left, adapter.predict([one.data for one in left]), strict=True):
                truth = {(v.start, v.end, v.label) for v in example.values if isinstance(v, Span)}
                spans = [value for value in values if isinstance(value, Span)]
                scores += [span.score or 0.0 for span in spans]
                right += [(span.start, span.end, span.label) in truth for span in spans]
                annotated += len(truth)
        return _HeldOut(scores, right, annotated)

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return spans in the order of the text, each with its calibrated probability, and those of all words' labels."""
        return [self._spans(text) for text in batch] if self._model else [[] for _ in batch]

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return TF-IDF of the n-grams of these texts."""
        return text_rows(TextOptions(), batch)

    def save(self, directory: Path) -> None:
        """Write CRFsuite's file, which holds only numbers and names, and the lexicon of annotated words."""
        assert self._model, "an untrained model is never saved"
        (directory / _MODEL).write_bytes(self._model)
        if self._within is not None:
            (directory / _WITHIN).mkdir()
            self._within.save(directory / _WITHIN)
        content = {"format": _FORMAT, "lexicon": self._lexicon.counts, "calibration": self._calibration}
        (directory / _LEXICON_FILE).write_text(json.dumps(content, sort_keys=True), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        try:
            model = (directory / _MODEL).read_bytes()
            content = json.loads((directory / _LEXICON_FILE).read_bytes())
            if content["format"] != _FORMAT:
                raise ValueError("it has another format")
            lexicon = Lexicon(msgspec.convert(content["lexicon"], dict[str, dict[str, int]]))
            calibration = PlattScaling.restore(content.get("calibration", PlattScaling()))  # older versions have none
            # CRFsuite trusts its file, so a truncated one could crash the process.
            if model[:4] != _MAGIC or int.from_bytes(model[4:8], sys.byteorder) != len(model):
                raise ValueError(f"{_MODEL} is incomplete")
        except (OSError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._become(model, lexicon, calibration)
        self._within = None
        if (directory / _WITHIN).is_dir():  # versions without inner spans have none
            self._within = NerCrf(self.options, self.target)
            self._within.load(directory / _WITHIN)

    def _become(self, model: bytes, lexicon: Lexicon, calibration: PlattScaling) -> None:
        import pycrfsuite

        tagger = pycrfsuite.Tagger()
        tagger.open_inmemory(model)
        with self._lock:
            self._model, self._lexicon, self._tagger = model, lexicon, tagger
            self._calibration = calibration

    def _spans(self, text: str) -> DecidedSpans:
        found: list[Value] = []
        decisions: list[float] = []  # the probability of each word's tag
        for stretch in stretches(text):
            rows = features(stretch, self._lexicon)
            with self._lock:  # a tagger keeps the current sequence
                tags = self._tagger.tag(rows)
                said = [min(1.0, max(0.0, self._tagger.marginal(tag, index))) for index, tag in enumerate(tags)]
            for first, last, label in _runs(tags):
                score = self._calibration.after(min(said[first : last + 1]))
                found += parted(Span(stretch[first].start, stretch[last].end, label, score))
            decisions += said
        spans = DecidedSpans(found, decisions=decisions)
        return spans if self._within is None else _with_inner(spans, self._within._spans(text))


def _read(examples: Sequence[Example], target: Target) -> list[tuple[str, Sequence[Span]]]:
    """Return texts with the longest of their spans. Raises NotEnoughData."""
    allowed = None if target.open else set(target.labels)
    texts: list[tuple[str, Sequence[Span]]] = [(one.data, outermost(one.values, allowed)) for one in examples]
    marked = sum(bool(spans) for _, spans in texts)
    if len(texts) < 2 or not marked:
        raise NotEnoughData(
            f"{marked} of {len(texts)} texts have a marked span; annotate at least two texts, and a span in one"
        )
    return texts


def _left(examples: Sequence[Example], allowed: set[str] | None) -> list[Example]:
    """Return texts with the spans that overlap longer ones."""
    return [Example(one.data, tuple(inner(one.values, outermost(one.values, allowed), allowed))) for one in examples]


def _with_inner(outer: DecidedSpans, deeper: DecidedSpans) -> DecidedSpans:
    """Return spans, and those of a second model that overlap them at another place, in order; with all decisions."""
    spans = [one for one in outer if isinstance(one, Span)]
    places = {(one.start, one.end) for one in spans}
    inside = [
        one
        for one in deeper
        if isinstance(one, Span)
        and (one.start, one.end) not in places
        and any(one.start < other.end and other.start < one.end for other in spans)
    ]
    ordered = sorted([*spans, *inside], key=lambda one: (one.start, -one.end))
    return DecidedSpans(ordered, decisions=[*outer.decisions, *deeper.decisions])


def _runs(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (first, last, label) of each span; an inside tag after none begins one."""
    begin: int | None = None
    for index, (tag, following) in enumerate(pairwise([*tags, OUTSIDE])):
        if tag == OUTSIDE:
            continue
        if begin is None:
            begin = index
        if following != f"I-{tag[2:]}":
            yield begin, index, tag[2:]
            begin = None
