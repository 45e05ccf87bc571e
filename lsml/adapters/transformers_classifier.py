"""transformers-classifier: labels for texts by a transformer, pretrained or fine-tuned."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.linear_head import answered
from lsml.adapters.transformers_models import (
    TuningOptions,
    Windows,
    config_of,
    device_of,
    find,
    head_labels,
    load_model,
    load_tokenizer,
    tune,
)
from lsml.errors import VersionError
from lsml.values import Choice, Value

_HEAD = "SequenceClassification"


class TransformersClassifierOptions(TuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `transformers-classifier`."""

    weights: Annotated[
        str,
        Meta(
            description="A model for sequence classification, or a plain encoder to learn from: a folder that transformers "
            "wrote, from the recipe's folder, or the name of one that was fetched before. Nothing is fetched.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = "distilbert-base-uncased-finetuned-sst-2-english"
    max_length: Annotated[
        int,
        Meta(
            ge=8,
            le=8192,
            description="Tokens that are read at a time; of a longer text the parts count together, by their length. Learning "
            "takes the first part.",
            extra=PREDICTIONS,
        ),
    ] = 256


class TransformersClassifier(TrainableAdapter):
    """One label or several for a text. Answers every label that it knows, with its probability."""

    name: ClassVar[str] = "transformers-classifier"
    title: ClassVar[str] = "labels for texts by a transformer, pretrained or fine-tuned"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
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
    def class_names(cls, options: Any, target: Target) -> dict[str, tuple[str, ...]]:
        """The classes that a pretrained model knows."""
        return {"choice": tuple(head_labels(config_of(options.weights), _HEAD).values())}

    @classmethod
    def lacks(cls, options: Any, target: Target) -> str | None:
        """The weights, or what they have not learnt."""
        config = config_of(options.weights)
        if not config:
            return (
                f"{cls.name}: the weights {options.weights} are not on this machine; give the path of their folder, or fetch "
                f"them once: hf download {options.weights}"
            )
        if not head_labels(config, _HEAD):
            return f"{cls.name}: {options.weights} is an encoder without classes of its own; it answers once it learnt"
        return None

    @property
    def own_names(self) -> bool:
        """Until it learnt, its classes are those of the weights."""
        return not self._learnt

    @property
    def ready(self) -> bool:
        """Whether it learnt, or its weights know classes. A head that was never trained would only guess."""
        return self._learnt or self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Every known label with its probability, for each text."""
        if not self.ready or not batch:
            return [[] for _ in batch]
        with self._lock:
            if self._model is None:
                folder = find(self.name, self.options.weights, "a model")
                self._model = TextLabels.of(folder, self.options, multiple=None)
        return self._model.values(batch)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from texts (str) and their choices; labels that the target does not have are passed over.

        Raises NotEnoughData unless two different answers occur; AdapterError where the weights are not here.
        """
        learnt = answered(examples, self.target, "texts")
        labels = [label for label in self.target.labels if label in learnt.labels] or learnt.labels
        folder = find(self.name, self.options.weights, "a model")
        model = TextLabels.fresh(folder, labels, self.target.multiple, self.options, seed)
        model.learn([examples[place].data for place in learnt.places], learnt.answers, seed, progress)
        self._model, self._learnt = model, True
        progress(1.0, f"learnt {len(labels)} labels from {len(learnt.places)} texts")

    def save(self, directory: Path) -> None:
        """Write safetensors, and the configuration and tokenizer as JSON."""
        assert self._model is not None and self._learnt, "an untrained model is never saved"
        self._model.save(directory)

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        if not (directory / "model.safetensors").is_file():
            raise VersionError(f"{directory}: holds no model.safetensors; restore it, or train anew")
        try:
            model = TextLabels.of(directory, self.options, self.target.multiple)
        except Exception as error:  # transformers raises whatever its readers do
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train anew"
            ) from error
        self._model, self._learnt = model, True


class TextLabels:
    """A model that labels texts."""

    def __init__(self, tokenizer: Any, model: Any, options: TransformersClassifierOptions, multiple: bool) -> None:
        self._tokenizer = tokenizer
        self._model = model.to(device_of(options.device))
        self._options = options
        self._multiple = multiple
        names = model.config.id2label
        self._labels = [str(names[number]) for number in range(model.config.num_labels)]
        self._windows = Windows.of(tokenizer, model.config, options.max_length)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, folder: Path, options: TransformersClassifierOptions, multiple: bool | None) -> TextLabels:
        """The model of a folder as it is; `multiple`: None for what its own configuration says. Raises AdapterError."""
        model = load_model(f"AutoModelFor{_HEAD}", folder)
        if multiple is None:
            multiple = model.config.problem_type == "multi_label_classification"
        return cls(load_tokenizer(folder), model, options, multiple)

    @classmethod
    def fresh(
        cls, folder: Path, labels: Sequence[str], multiple: bool, options: TransformersClassifierOptions, seed: int
    ) -> TextLabels:
        """The model of a folder with a new head for `labels`."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = load_model(
                f"AutoModelFor{_HEAD}",
                folder,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
                problem_type="multi_label_classification" if multiple else "single_label_classification",
                ignore_mismatched_sizes=True,
            )
        return cls(load_tokenizer(folder), model, options, multiple)

    def save(self, directory: Path) -> None:
        """Write everything that `of` needs."""
        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)

    def values(self, texts: Sequence[str]) -> list[list[Value]]:
        """Every label with its probability, for each text."""
        import numpy as np
        import torch

        encodings = self._windows.encode(texts)
        pieces = self._windows.pieces(encodings)
        sums = np.zeros((len(texts), len(self._labels)))
        lengths = np.zeros(len(texts))
        device = next(self._model.parameters()).device
        for places, inputs in self._windows.batches(pieces, self._options.batch):
            with self._lock, torch.inference_mode():
                logits = self._model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits.float()
            found = (torch.sigmoid(logits) if self._multiple else torch.softmax(logits, dim=-1)).cpu().numpy()
            for place, row in zip(places, found, strict=True):
                length = max(1, len(pieces[place].ids))
                sums[pieces[place].text] += row * length
                lengths[pieces[place].text] += length
        rows = np.clip(sums / lengths[:, None], 0.0, 1.0).tolist()
        return [[Choice(label, p) for label, p in zip(self._labels, row, strict=True)] for row in rows]

    def learn(self, texts: Sequence[str], answers: Sequence[tuple[str, ...]], seed: int, progress: Progress) -> None:
        """Fine-tune all weights. Raises what `progress` raises."""
        import torch

        numbers = {label: number for number, label in enumerate(self._labels)}
        pieces = self._windows.pieces(self._windows.encode(texts), most=1)
        device = next(self._model.parameters()).device

        def loss(some: Sequence[int]) -> Any:
            [(places, inputs)] = self._windows.batches([pieces[place] for place in some], len(some))
            wanted = [answers[some[place]] for place in places]
            logits = self._model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits.float()
            if self._multiple:
                holds = torch.tensor([[float(label in answer) for label in self._labels] for answer in wanted])
                return torch.nn.functional.binary_cross_entropy_with_logits(logits, holds.to(device))
            right = torch.tensor([numbers[answer[0]] for answer in wanted])
            return torch.nn.functional.cross_entropy(logits, right.to(device))

        tune(self._model, len(pieces), loss, self._options, seed, progress)
