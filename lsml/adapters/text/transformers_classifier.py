"""transformers-classifier: labels for texts by a transformer that classifies whole texts. Pretrained, or fine-tuned."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.fine_tuning import FineTuningOptions, fine_tune
from lsml.adapters.parts.linear_head import labelled
from lsml.adapters.parts.logits import Accelerate, Logits
from lsml.adapters.parts.transformers_models import (
    Piece,
    Windows,
    config_of,
    find,
    load_fresh,
    load_model,
    load_tokenizer,
    longest_window,
    remedy,
    trained_names,
)
from lsml.errors import VersionError
from lsml.labeling import ControlTag
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


_KIND: Final = "AutoModelForSequenceClassification"
_EACH: Final = "multi_label_classification"  # transformers' name for labels of which several may hold


class TransformersClassifierOptions(FineTuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `transformers-classifier`."""

    weights: Annotated[
        str,
        Meta(
            min_length=1,
            description="A model for sequence classification, or a plain encoder to fine-tune: a folder of transformers, "
            "relative to the recipe's, or the name of one that was downloaded before. Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
    max_length: Annotated[
        int,
        Meta(
            ge=16,
            le=8192,
            description="Tokens of a window, at most the model's own limit; a longer text has several.",
            extra=PREDICTIONS,
        ),
    ] = 512
    windows: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="The most windows of a text, from its beginning. Their probabilities are averaged by length; the rest "
            "of the text is ignored.",
            extra=PREDICTIONS,
        ),
    ] = 4
    accelerate: Accelerate = None


class TransformersClassifier(TrainableAdapter[TransformersClassifierOptions]):
    """One label or several for a text. It predicts every label of its head with its probability."""

    name: ClassVar[str] = "transformers-classifier"
    title: ClassVar[str] = "labels for texts by a transformer, pretrained or fine-tuned"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    extra: ClassVar[str | None] = "transformers"
    starts_ready: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TransformersClassifierOptions

    def __init__(self, options: TransformersClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model: TextLabels | None = None
        self._learnt = False
        self._lock = threading.Lock()

    @classmethod
    def class_names(cls, options: TransformersClassifierOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the labels of a pretrained model."""
        names = _names(config_of(options.weights))
        return {"choice": names} if names else {}

    @classmethod
    def lacks(cls, options: TransformersClassifierOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing, or have no trained head; or None."""
        config = config_of(options.weights)
        if not config:
            return f"the weights {options.weights} are not on this machine; {remedy(options.weights)}"
        if not _names(config):
            return f"{options.weights} has no labels of its own, for its head was never trained; it predicts once it is trained"
        return None

    @classmethod
    def limits(
        cls, options: TransformersClassifierOptions, target: Target, label_tags: Sequence[ControlTag]
    ) -> str | None:
        """Return that the labels of the weights exclude each other, where several may hold; or None."""
        config = config_of(options.weights)
        if not target.multiple or not config or not _names(config) or config.get("problem_type") == _EACH:
            return None
        return f"predicts one label of a text until it is trained, for those of {options.weights} exclude each other"

    @property
    def own_names(self) -> bool:
        """True until it has learnt: then its labels are those of the weights."""
        return not self._learnt

    @property
    def ready(self) -> bool:
        """True if it has learnt, or its weights know labels. An untrained head would only guess."""
        return self._learnt or self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return every label with its probability, for each text, in the order of the head.

        If several labels may hold, but those of the head exclude each other, only the likeliest is returned.
        """
        if not self.ready or not batch:
            return [[] for _ in batch]
        model = self._loaded()
        choices = model.choices(batch)
        if not self.target.multiple or model.each:
            return choices
        # The probabilities of labels that exclude each other sum to one, so they do not tell for each whether it holds.
        return [[max(values, key=_score)] for values in choices]

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from texts (str) and their choices; labels that the target does not have are ignored.

        Raises NotEnoughData unless two different answers occur; AdapterError where the weights are missing.
        """
        learnt = labelled(examples, self.target, "texts")
        folder = find(self.name, self.options.weights, "a model")
        model = TextLabels.fresh(folder, learnt.labels, multiple=self.target.multiple, options=self.options, seed=seed)
        lessons = model.lessons([examples[index].data for index in learnt.indices], learnt.truths)
        fine_tune(model.model, lessons, model.loss, self.options, seed, progress)
        self._model, self._learnt = model, True
        progress(1.0, f"learnt {len(learnt.labels)} labels from {len(learnt.indices)} texts")

    def save(self, directory: Path) -> None:
        """Write safetensors, and the configuration and tokenizer as JSON."""
        assert self._model is not None and self._learnt, "an untrained model is never saved"
        self._model.save(directory)

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        try:
            model = TextLabels.of(directory, self.options)
        except Exception as error:  # transformers' readers may raise anything
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train anew"
            ) from error
        self._model, self._learnt = model, True

    def _loaded(self) -> TextLabels:
        with self._lock:
            if self._model is None:
                self._model = TextLabels.of(find(self.name, self.options.weights, "a model"), self.options)
            return self._model


class TextLabels:
    """A model that labels texts. `each`: each label holds or not, as its configuration says; else they exclude each other."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel, options: TransformersClassifierOptions
    ) -> None:
        self._tokenizer = tokenizer
        self._logits = Logits(TransformersClassifier.name, model, options.device, options.accelerate)
        self._options = options
        self.each = model.config.problem_type == _EACH
        self._names = [str(model.config.id2label[number]) for number in range(model.config.num_labels)]
        self._windows = Windows(tokenizer, longest_window(model.config.to_dict(), options.max_length))
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id or 0  # a decoder needs it to find a text's end

    @classmethod
    def of(cls, folder: Path, options: TransformersClassifierOptions) -> TextLabels:
        """Return the model of a folder unchanged. Raises AdapterError."""
        return cls(load_tokenizer(folder), load_model(_KIND, folder), options)

    @classmethod
    def fresh(
        cls, folder: Path, labels: Sequence[str], *, multiple: bool, options: TransformersClassifierOptions, seed: int
    ) -> TextLabels:
        """Return the model of a folder with a head for `labels`, which starts with the rows that the folder's head has for
        them.
        """
        kind = _EACH if multiple else "single_label_classification"
        return cls(
            load_tokenizer(folder), load_fresh(_KIND, folder, labels, seed, _knew, problem_type=kind), options
        )  # fmt: skip

    @property
    def model(self) -> PreTrainedModel:
        """The module that is trained."""
        return self._logits.model

    def save(self, directory: Path) -> None:
        """Write everything that `of` needs."""
        self.model.save_pretrained(directory, safe_serialization=True)
        self._tokenizer.save_pretrained(directory)

    def choices(self, texts: Sequence[str]) -> list[list[Value]]:
        """Return every label of each text."""
        import numpy as np

        pieces = self._pieces(texts)
        sums = np.zeros((len(texts), len(self._names)))
        lengths = np.zeros((len(texts), 1))
        for places, inputs in self._windows.batches(pieces, self._options.batch, self._logits.tokens):
            logits = self._logits.of(inputs).double()
            found = (logits.sigmoid() if self.each else logits.softmax(dim=-1)).numpy()
            for place, row in zip(places, found, strict=True):
                length = max(1, len(pieces[place].ids))  # a text without tokens has a prediction, too
                sums[pieces[place].text] += row * length
                lengths[pieces[place].text] += length
        return [
            [Choice(name, min(1.0, share)) for name, share in zip(self._names, row, strict=True)]
            for row in (sums / lengths).tolist()
        ]

    def _pieces(self, texts: Sequence[str]) -> list[Piece]:
        return self._windows.pieces(self._windows.encode(texts), self._options.windows)

    def lessons(self, texts: Sequence[str], truths: Sequence[tuple[str, ...]]) -> list[tuple[Piece, list[float]]]:
        """Return (window, probability of each label) for every window that is used."""
        known = [[float(name in labels) for name in self._names] for labels in truths]
        return [(piece, known[piece.text]) for piece in self._pieces(texts)]

    def loss(self, lessons: Sequence[tuple[Piece, list[float]]]) -> Tensor:
        """Return the loss of lessons."""
        import torch

        [(places, inputs)] = self._windows.batches([piece for piece, _ in lessons], len(lessons))
        logits = self._logits.learning(inputs)
        wanted = torch.tensor([lessons[place][1] for place in places], device=logits.device)
        if self.each:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        return torch.nn.functional.cross_entropy(logits, wanted)


def _score(value: Value) -> float:
    return value.score or 0.0


def _names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of a trained head; empty for a head that gives a number."""
    names = trained_names(config, _KIND)
    return names if len(names) > 1 else ()


def _knew(name: str, rows: Mapping[str, int]) -> int | None:
    return rows.get(name.casefold())
