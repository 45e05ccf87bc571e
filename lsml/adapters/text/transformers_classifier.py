"""transformers-classifier: labels for texts by a transformer that classifies whole texts. Pretrained, or fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TEXTS, Data, Example, Progress, Target, silent
from lsml.adapters.parts.fine_tuning import FineTuningOptions
from lsml.adapters.parts.linear_head import labelled
from lsml.adapters.parts.regressions import HeldOut
from lsml.adapters.parts.transformer_adapter import LabelModel, TransformerAdapter
from lsml.adapters.parts.transformers_models import Piece, config_of, trained_names
from lsml.labeling import ControlTag
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


_EACH: Final = "multi_label_classification"  # transformers' name for labels of which several may hold


class TransformersClassifierOptions(FineTuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `transformers-classifier`."""

    weights: Annotated[
        str,
        Meta(
            min_length=1,
            description="A model for sequence classification, or a plain encoder to fine-tune: a folder of transformers, "
            "relative to the recipe's, or the name of one that was downloaded before. Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True, "hub": True},
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


class TransformersClassifier(TransformerAdapter[TransformersClassifierOptions, "TextLabels"]):
    """One label or several for a text. It predicts every label of its head with its probability."""

    name: ClassVar[str] = "transformers-classifier"
    licence: ClassVar[str | None] = "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own"
    title: ClassVar[str] = "labels for texts by a transformer, pretrained or fine-tuned"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    untrained: ClassVar[str] = "has no labels of its own, for its head was never trained"
    Options: ClassVar[type[msgspec.Struct]] = TransformersClassifierOptions

    @classmethod
    def labels_of(cls, config: Mapping[str, object]) -> tuple[str, ...]:
        """Return the labels of weights; empty for a head that gives a number."""
        names = trained_names(config, TextLabels.head)
        return names if len(names) > 1 else ()

    @classmethod
    def class_names(cls, options: TransformersClassifierOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the labels of a pretrained model."""
        names = cls.labels_of(config_of(options.weights))
        return {"choice": names} if names else {}

    @classmethod
    def limits(
        cls, options: TransformersClassifierOptions, target: Target, label_tags: Sequence[ControlTag]
    ) -> str | None:
        """Return that the labels of the weights exclude each other, where several may hold; or None."""
        config = config_of(options.weights)
        if not target.multiple or not config or not cls.labels_of(config) or config.get("problem_type") == _EACH:
            return None
        return (
            f"predicts one label of a text until it is trained, because the labels of {options.weights} are mutually "
            "exclusive"
        )

    def _read(self, folder: Path) -> TextLabels:
        return TextLabels.of(folder, self.options)

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
        # Probabilities of mutually exclusive labels sum to one, so they are not independent probabilities of each label.
        return [[max(values, key=_score)] for values in choices]

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their choices; labels that the target does not have are ignored.

        Raises NotEnoughData unless two different labels occur; AdapterError where the weights are missing.
        """
        learnt = labelled(examples, self.target, "texts")
        model = TextLabels.fresh(
            self._folder(), learnt.labels, multiple=self.target.multiple, options=self.options, seed=seed
        )
        encoded = model.encode([examples[index].data for index in learnt.indices], learnt.truths)
        self._learn(model, encoded, seed, progress)
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(learnt.indices)} texts")


class TextLabels(LabelModel[TransformersClassifierOptions, tuple[Piece, list[float]]]):
    """A model that labels texts. `each`: each label holds or not, as its configuration says; else they exclude each other."""

    adapter: ClassVar[str] = TransformersClassifier.name
    head: ClassVar[str] = "AutoModelForSequenceClassification"

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel, options: TransformersClassifierOptions
    ) -> None:
        super().__init__(tokenizer, model, options)
        self.each = model.config.problem_type == _EACH
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id or 0  # a decoder needs it to find a text's end

    @classmethod
    def fresh(
        cls, folder: Path, labels: Sequence[str], *, multiple: bool, options: TransformersClassifierOptions, seed: int
    ) -> TextLabels:
        """Return the model of a folder with a head for `labels`. Raises AdapterError."""
        kind = _EACH if multiple else "single_label_classification"
        return cls.with_head(folder, labels, options, seed, _knew, problem_type=kind)

    def choices(self, texts: Sequence[str]) -> list[list[Value]]:
        """Return every label of each text."""
        import numpy as np

        pieces = self._pieces(texts)
        sums = np.zeros((len(texts), len(self._names)))
        lengths = np.zeros((len(texts), 1))
        for indices, inputs in self._windows.batches(pieces, self._options.batch, self._logits.tokens):
            logits = self._logits.of(inputs).double() / self.temperature
            found = (logits.sigmoid() if self.each else logits.softmax(dim=-1)).numpy()
            for index, row in zip(indices, found, strict=True):
                length = max(1, len(pieces[index].ids))  # a text without tokens has a prediction, too
                sums[pieces[index].text] += row * length
                lengths[pieces[index].text] += length
        return [
            [Choice(name, min(1.0, share)) for name, share in zip(self._names, row, strict=True)]
            for row in (sums / lengths).tolist()
        ]

    def _pieces(self, texts: Sequence[str]) -> list[Piece]:
        return self._windows.pieces(self._windows.encode(texts), self._options.windows)

    def encode(self, texts: Sequence[str], truths: Sequence[tuple[str, ...]]) -> list[tuple[Piece, list[float]]]:
        """Return (window, probability of each label) for every window that is used."""
        known = [[float(name in labels) for name in self._names] for labels in truths]
        return [(piece, known[piece.text]) for piece in self._pieces(texts)]

    def loss(self, encoded: Sequence[tuple[Piece, list[float]]]) -> Tensor:
        """Return the loss of encoded examples."""
        import torch

        [(indices, inputs)] = self._windows.batches([piece for piece, _ in encoded], len(encoded))
        logits = self._logits.learning(inputs)
        wanted = torch.tensor([encoded[index][1] for index in indices], device=logits.device)
        if self.each:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        return torch.nn.functional.cross_entropy(logits, wanted)

    def held_out(self, encoded: Sequence[tuple[Piece, list[float]]]) -> list[HeldOut]:
        """Return logits (windows, labels) and the true labels; with several, for each label whether it holds."""
        import numpy as np

        [(indices, inputs)] = self._windows.batches([piece for piece, _ in encoded], len(encoded))
        logits = self._logits.learning(inputs).double().cpu().numpy()
        wanted = np.array([encoded[index][1] for index in indices])
        if not self.each:
            return [HeldOut(logits, wanted.argmax(axis=1))]
        # A label that holds or not has the logits 0 and its own.
        return [
            HeldOut(np.stack([np.zeros_like(column), column], axis=1), holds.astype(int))
            for column, holds in zip(logits.T, wanted.T, strict=True)
        ]


def _score(value: Value) -> float:
    return value.score or 0.0


def _knew(name: str, rows: Mapping[str, int]) -> int | None:
    return rows.get(name.casefold())
