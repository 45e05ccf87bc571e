"""The bases of adapters with a model of transformers: pretrained, or fine-tuned on annotations."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from lsml.adapters.base import Progress, Target, TrainableAdapter
from lsml.adapters.parts.fine_tuning import (
    TEMPERATURE,
    FineTuningOptions,
    PretrainedOptions,
    fine_tune,
    saved_temperature,
    temperature_by,
)
from lsml.adapters.parts.logits import Logits
from lsml.adapters.parts.regressions import HeldOut
from lsml.adapters.parts.transformers_models import (
    Knew,
    Windows,
    config_of,
    find,
    load_fresh,
    load_model,
    load_tokenizer,
    longest_window,
    remedy,
)
from lsml.errors import VersionError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Options = TypeVar("Options", bound=FineTuningOptions)
AnyOptions = TypeVar("AnyOptions", bound=PretrainedOptions)
Encoded = TypeVar("Encoded")


class LabelModel(ABC, Generic[Options, Encoded]):
    """A transformer with a head of labels, its tokenizer, and the windows that fit it.

    Its logits are divided by the `temperature`, so that its probabilities are calibrated.
    """

    adapter: ClassVar[str]  # its adapter's name, for messages
    head: ClassVar[str]  # transformers' class of the model, such as AutoModelForTokenClassification

    def __init__(self, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel, options: Options) -> None:
        self._tokenizer = tokenizer
        self._logits = Logits(self.adapter, model, options.device, options.accelerate)
        self._options = options
        self.temperature = saved_temperature(model.config)
        self._names = [str(model.config.id2label[number]) for number in range(model.config.num_labels)]
        length = longest_window(model.config.to_dict(), options.max_length)
        self._windows = Windows(tokenizer, length, self._overlap())

    def _overlap(self) -> int:
        """Return the number of tokens that neighbouring windows share."""
        return 0

    @classmethod
    def of(cls, folder: Path, options: Options) -> Self:
        """Return the model of a folder unchanged. Raises AdapterError."""
        return cls(load_tokenizer(folder), load_model(cls.head, folder), options)

    @classmethod
    def with_head(
        cls, folder: Path, names: Sequence[str], options: Options, seed: int, knew: Knew, **config: object
    ) -> Self:
        """Return the model of a folder with a head for `names`, which starts with the rows that the folder's head has for
        them: see `load_fresh`. Raises AdapterError.
        """
        return cls(load_tokenizer(folder), load_fresh(cls.head, folder, names, seed, knew, **config), options)

    @property
    def model(self) -> PreTrainedModel:
        """The module that is trained."""
        return self._logits.model

    def save(self, directory: Path) -> None:
        """Write everything that `of` needs."""
        self.model.save_pretrained(directory, safe_serialization=True)
        self._tokenizer.save_pretrained(directory)

    @abstractmethod
    def loss(self, encoded: Sequence[Encoded]) -> Tensor:
        """Return the loss of encoded examples."""

    @abstractmethod
    def held_out(self, encoded: Sequence[Encoded]) -> list[HeldOut]:
        """Return the logits for encoded examples that were not learnt, and their true classes."""

    def calibrate(self, encoded: Sequence[Encoded]) -> None:
        """Set the temperature by encoded examples that were not learnt."""
        self.temperature = temperature_by(encoded, self.held_out, self._options.batch)
        setattr(self.model.config, TEMPERATURE, self.temperature)


class Keepable(Protocol):
    """A model that writes its own version."""

    def save(self, directory: Path) -> None:
        """Write everything that is needed to read it again."""


Model = TypeVar("Model", bound=Keepable)
Labels = TypeVar("Labels", bound=LabelModel[Any, Any])


class PretrainedAdapter(TrainableAdapter[AnyOptions], Generic[AnyOptions, Model]):
    """An adapter with one model of transformers: that of its `weights` until it has learnt, then its own."""

    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    extra: ClassVar[str | None] = "transformers"
    starts_ready: ClassVar[bool] = True
    untrained: ClassVar[str]  # what weights without labels are, in words that follow their name

    def __init__(self, options: AnyOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model: Model | None = None
        self._learnt = False
        self._lock = threading.Lock()

    @classmethod
    @abstractmethod
    def labels_of(cls, config: Mapping[str, object]) -> tuple[str, ...]:
        """Return the labels that weights know, by the content of their `config.json`; empty where their head is untrained."""

    @abstractmethod
    def _read(self, folder: Path) -> Model:
        """Return the model of a folder. Raises AdapterError."""

    @classmethod
    def lacks(cls, options: AnyOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing, or know no labels yet; or None."""
        config = config_of(options.weights)
        if not config:
            return f"the weights {options.weights} are not on this machine; {remedy(options.weights)}"
        if not cls.labels_of(config):
            return f"{options.weights} {cls.untrained}; it predicts once it is trained"
        return None

    @property
    def own_names(self) -> bool:
        """True until it is trained: until then its labels are those of the weights."""
        return not self._learnt

    @property
    def ready(self) -> bool:
        """True if it is trained, or its weights have labels. An untrained head would only guess."""
        return self._learnt or self.lacks(self.options, self.target) is None

    def save(self, directory: Path) -> None:
        """Write safetensors, and the configuration and tokenizer as JSON."""
        assert self._model is not None and self._learnt, "an untrained model is never saved"
        self._model.save(directory)

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        if not (directory / "model.safetensors").is_file():
            raise VersionError(f"{directory}: holds no model.safetensors; restore it, or train again")
        try:
            model = self._read(directory)
        except Exception as error:  # transformers' readers may raise anything
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._become(model)

    def _folder(self) -> Path:
        """Return the folder of the weights. Raises AdapterError where they are not on this machine."""
        return find(self.name, self.options.weights, "a model")

    def _loaded(self) -> Model:
        """Return the model that predicts, read once. Raises AdapterError."""
        with self._lock:
            if self._model is None:
                self._model = self._read(self._folder())
            return self._model

    def _become(self, model: Model) -> None:
        """Predict with a trained model from now on."""
        self._model, self._learnt = model, True


class TransformerAdapter(PretrainedAdapter[Options, Labels], Generic[Options, Labels]):
    """An adapter with one LabelModel, for texts. `fit` makes one with `_learn`."""

    def _learn(self, model: Labels, encoded: Sequence[object], seed: int, progress: Progress) -> None:
        """Fine-tune a model, which predicts from then on. Raises what `fine_tune` raises."""
        model.calibrate(fine_tune(model.model, encoded, model.loss, self.options, seed, progress))
        self._become(model)
