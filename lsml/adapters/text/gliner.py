"""gliner: entities that are named in words, with no training data; fine-tuned on annotations."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.entity_prompts import EntityModel, folder_of
from lsml.adapters.parts.fine_tuning import TuningOptions
from lsml.adapters.parts.text_spans import PASSED_OVER, inner, notes_of, outermost
from lsml.adapters.parts.transformers_models import remedy
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.values import Span, Value

_CONVERT: Final = "write them once with gliner's from_pretrained and save_pretrained, and give the path of that folder"
_HOLDS: Final = 0.5  # the probability from which an entity is found where a recipe names no threshold


class GlinerOptions(TuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `gliner`."""

    weights: Annotated[
        str,
        Meta(
            description="A GLiNER model with weights as safetensors: a folder, relative to the recipe's, or the name of one "
            "that was downloaded before. Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = "gliner-community/gliner_small-v2.5"


class Gliner(TrainableAdapter[GlinerOptions]):
    """Labelled spans of a text: whole words, none inside another. A label stands for what its description, or else its name,
    says. Spans from a probability of 0.5 on are found, or from the recipe's threshold on where it names one.
    """

    name: ClassVar[str] = "gliner"
    title: ClassVar[str] = "entities in texts without training data, by what the labels mean; fine-tuned on annotations"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    requires: ClassVar[tuple[str, ...]] = ("gliner", "torch", "safetensors")
    extra: ClassVar[str | None] = "gliner"
    licence: ClassVar[str | None] = (
        "Apache-2.0 (GLiNER, transformers), BSD-3-Clause (torch); weights have terms of their own"
    )
    starts_ready: ClassVar[bool] = True
    passes_over: ClassVar[str | None] = PASSED_OVER
    Options: ClassVar[type[msgspec.Struct]] = GlinerOptions

    def __init__(self, options: GlinerOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model: EntityModel | None = None
        self._learnt = False
        self._notes: tuple[str, ...] = ()
        self._lock = threading.Lock()

    @classmethod
    def lacks(cls, options: GlinerOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing on this machine, or are pickles; or None."""
        folder = folder_of(options.weights)
        if folder is None:
            return f"the weights {options.weights} are not on this machine; {remedy(options.weights)}"
        if not any(folder.glob("*.safetensors")):
            return f"{options.weights} has no safetensors, and pickles are not loaded, because they can run code; {_CONVERT}"
        return None

    @classmethod
    def facts(cls, options: GlinerOptions, target: Target) -> list[tuple[str, str]]:
        """Return the labels' descriptions."""
        return sorted(_described(target).items())

    @property
    def own_names(self) -> bool:
        """False: it predicts the labels of the config."""
        return False

    @property
    def ready(self) -> bool:
        """True if its model is here, and there are labels."""
        return bool(self.target.labels) and (self._learnt or self.lacks(self.options, self.target) is None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about spans that were not used, if there are any."""
        return self._notes

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return the spans of each text from a probability of 0.5 on."""
        return self.predict_above(batch, _HOLDS)

    def predict_above(self, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return the spans of each text from a probability of `floor` on, or of 0.5 where that is 0, in the order of the
        text.
        """
        if not self.ready or not batch:
            return [[] for _ in batch]
        return self._loaded().spans(batch, _names(self.target), floor or _HOLDS)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their spans, extended to whole words; of overlapping ones on the longest. Raises
        NotEnoughData without two texts, of which one has a span; AdapterError where the weights are missing.
        """
        allowed = set(self.target.labels)
        spans = [outermost(example.values, allowed) for example in examples]
        marked = sum(bool(some) for some in spans)
        if len(examples) < 2 or not marked:
            raise NotEnoughData(
                f"{marked} of {len(examples)} texts have a marked span; annotate at least two texts, and a span in one"
            )
        lacking = self.lacks(self.options, self.target)
        if lacking is not None:
            raise AdapterError(f"{self.name}: {lacking}")
        model = EntityModel(folder_of(self.options.weights), self.options)
        texts = [example.data for example in examples]
        long = model.fit(texts, spans, _names(self.target), seed, progress)
        overlapping = sum(
            len(inner(example.values, some, allowed)) for example, some in zip(examples, spans, strict=True)
        )
        self._notes = notes_of(overlapping)
        if long:
            self._notes += (f"{long} spans have more than {model.widest} words and were not used for training",)
        self._model, self._learnt = model, True
        progress(1.0, f"trained on {sum(map(len, spans))} spans in {len(texts)} texts")

    def _loaded(self) -> EntityModel:
        with self._lock:
            if self._model is None:
                self._model = EntityModel(folder_of(self.options.weights), self.options)
            return self._model

    def save(self, directory: Path) -> None:
        """Write safetensors, and the configuration and tokenizer as JSON."""
        assert self._model is not None and self._learnt, "an untrained model is never saved"
        self._model.save(directory)

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        try:
            self._model = EntityModel(directory, self.options)
        except AdapterError as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._learnt = True


def _described(target: Target) -> Mapping[str, str]:
    return {label: text for question in target.questions for label, text in question.descriptions.items()}


def _names(target: Target) -> dict[str, str]:
    """Return each label by the words that the model is asked for. Labels with the same words are told apart by their names."""
    described = _described(target)
    words: dict[str, str] = {}
    for label in target.labels:
        text = described.get(label, label.replace("_", " ")).strip().rstrip(".").lower() or label
        words[text if text not in words else f"{text} ({label})"] = label
    return words
