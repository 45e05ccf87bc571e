"""A model of natural-language inference: whether a sentence follows from a text."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lsml.adapters.parts.matrices import fast
from lsml.adapters.parts.transformers_models import (
    config_of,
    device_of,
    find,
    load_model,
    load_tokenizer,
    longest_window,
    trained_names,
)
from lsml.errors import AdapterError

if TYPE_CHECKING:
    from lsml.arrays import Array

_KIND: Final = "AutoModelForSequenceClassification"
_LONGEST: Final = 512  # tokens of a text and a sentence; what is longer loses the end of the text


def entailed_by(config: Mapping[str, object]) -> tuple[int, int | None] | None:
    """Return the numbers of a model's classes for entailment and contradiction; None without the first. `config`: the content
    of its `config.json`.
    """
    names = [name.casefold() for name in trained_names(config, _KIND)]
    entails = next((number for number, name in enumerate(names) if name.startswith("entail")), None)
    against = next((number for number, name in enumerate(names) if name.startswith(("contra", "not_entail"))), None)
    return None if entails is None else (entails, against)


class Entailment:
    """Texts and sentences -> whether each sentence follows from each text. Raises AdapterError."""

    def __init__(self, adapter: str, weights: str, device: str, batch: int) -> None:
        folder = find(adapter, weights, "a model")
        config = config_of(str(folder))
        numbers = entailed_by(config)
        if numbers is None:
            raise AdapterError(
                f"{adapter}: {weights} has no class `entailment`; name a model of natural-language inference"
            )
        self._entails, self._against = numbers
        self._tokenizer = load_tokenizer(folder)
        self._longest = longest_window(config, _LONGEST)
        self._batch = batch
        self._model = fast(load_model(_KIND, folder).to(device_of(device)))
        self._lock = threading.Lock()

    def judged(self, texts: Sequence[str], sentences: Sequence[str]) -> tuple[Array, Array]:
        """Return (probability that the sentence follows, logit of that), each (texts, sentences).

        The probability is that of entailment against contradiction, as usual where several sentences may hold.
        """
        import numpy as np

        pairs = [(text, sentence) for text in texts for sentence in sentences]
        rows = [self._logits(pairs[start : start + self._batch]) for start in range(0, len(pairs), self._batch)]
        logits = np.concatenate(rows).reshape(len(texts), len(sentences), -1).astype(np.float64)
        entails = logits[:, :, self._entails]
        against = np.zeros_like(entails) if self._against is None else logits[:, :, self._against]
        return 1.0 / (1.0 + np.exp(np.clip(against - entails, -500, 500))), entails

    def _logits(self, pairs: Sequence[tuple[str, str]]) -> Array:
        """Return (pairs, classes). Only the text is cut where both are too long."""
        import torch

        with self._lock, torch.inference_mode():
            inputs = self._tokenizer(
                [text.encode("utf-8", "replace").decode() for text, _ in pairs],
                [sentence.encode("utf-8", "replace").decode() for _, sentence in pairs],
                truncation="only_first",
                max_length=self._longest,
                padding=True,
                return_tensors="pt",
            )
            device = next(self._model.parameters()).device
            logits: Array = self._model(**inputs.to(device)).logits.float().cpu().numpy()
            return logits
