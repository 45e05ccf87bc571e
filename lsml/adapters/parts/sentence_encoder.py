"""A sentence encoder of this machine: texts -> embeddings, kept on disk."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, Progress, silent
from lsml.adapters.parts.kept import Kept
from lsml.adapters.parts.matrices import fast
from lsml.adapters.parts.pooled import Pool
from lsml.adapters.parts.transformers_models import (
    ENCODER,
    Windows,
    config_of,
    device_of,
    find,
    load_model,
    load_tokenizer,
    longest_window,
    tokens_at_once,
)
from lsml.files.digests import content_digest

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel
    from transformers.utils import ModelOutput

    from lsml.arrays import Array

_KEPT: Final = 500_000  # embeddings in the cache, some kilobytes each


class EncoderOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of an encoder; each adapter with one adds its own."""

    encoder: Annotated[
        str,
        Meta(
            description="The sentence encoder: a folder of sentence-transformers or transformers, relative to the recipe's, "
            "or the name of one that was downloaded before. Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = "sentence-transformers/all-MiniLM-L6-v2"
    max_length: Annotated[
        Annotated[int, Meta(ge=8, le=100_000)] | None,
        Meta(
            description="The most tokens in one window; a longer text is the mean of its windows. null: the encoder's own "
            "limit.",
            extra=PREDICTIONS,
        ),
    ] = None
    device: Annotated[str, Meta(description="The encoder's device: auto, cpu, cuda, cuda:1, mps.", extra=MACHINE)] = (
        "auto"
    )
    batch: Annotated[int, Meta(ge=1, le=4096, description="Texts in one batch of the encoder.", extra=MACHINE)] = 32


class Encoder:
    """Texts -> embeddings of length 1, cached on disk by the hash of the text. Raises AdapterError."""

    def __init__(self, adapter: str, options: EncoderOptions) -> None:
        folder = find(adapter, options.encoder, "an encoder")
        self._options = options
        self._model: PreTrainedModel = None
        self._folder = folder
        self._lock = threading.Lock()
        self._pooling = _pooling(folder)
        length = longest_window(config_of(str(folder)), options.max_length or _length(folder))
        self._windows = Windows(load_tokenizer(folder), length)
        read_by = hashlib.sha256(f"{content_digest(folder)} {length}".encode()).hexdigest()[:24]
        self._cache = Kept("embeddings", read_by, _KEPT)

    def rows(self, texts: Sequence[str], progress: Progress = silent) -> Array:
        """Return embeddings: (texts, features)."""
        import numpy as np

        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16] for text in texts]
        known = {key: np.frombuffer(vector, np.float32) for key, vector in self._cache.get(keys).items()}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        names, size = list(new), self._options.batch * 8
        for begin in range(0, len(names), size):
            progress(begin / len(names), f"reading text {begin + 1} of {len(names)}")
            some = names[begin : begin + size]
            made = dict(zip(some, self._encoded([new[key] for key in some]), strict=True))
            self._cache.put({key: vector.tobytes() for key, vector in made.items()})
            known.update(made)
        return np.stack([known[key] for key in keys]).astype(np.float64)

    def _encoded(self, texts: Sequence[str]) -> Array:
        """Return embeddings: (texts, features), floats of four bytes."""
        import numpy as np
        import torch

        encodings = self._windows.encode(texts)
        pieces = self._windows.pieces(encodings)
        sums: list[Array | float] = [0.0] * len(texts)
        with self._lock:
            if self._model is None:
                self._model = fast(load_model(ENCODER, self._folder).to(device_of(self._options.device)))
            device = next(self._model.parameters()).device
            for indices, inputs in self._windows.batches(pieces, self._options.batch, tokens_at_once(device)):
                with torch.inference_mode():
                    output = self._model(**{name: tensor.to(device) for name, tensor in inputs.items()})
                vectors = self._pooled(output, inputs["attention_mask"].to(device))
                for index, vector in zip(indices, vectors.float().cpu().numpy(), strict=True):
                    # The weight of a window is its length, and at least 1, so that every text has an embedding.
                    sums[pieces[index].text] = sums[pieces[index].text] + vector * max(1, len(pieces[index].ids))
        rows = np.stack(sums)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)

    def _pooled(self, output: ModelOutput, seen: Tensor) -> Tensor:
        hidden = output.last_hidden_state  # (batch, tokens, features)
        if self._pooling == "cls":
            return hidden[:, 0]
        weights = seen.unsqueeze(-1).to(hidden.dtype)
        if self._pooling == "max":
            return (hidden + (1 - weights) * -1e9).max(dim=1).values
        if self._pooling == "last":
            return hidden[range(len(hidden)), seen.sum(dim=1) - 1]
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


# Encoders by the content of their folder and the options that they are made with.
POOL: Final[Pool[Encoder]] = Pool()


def encoder_of(adapter: str, options: EncoderOptions) -> Encoder:
    """Return the encoder of some options, which all adapters with equal ones share. Raises AdapterError."""
    content = content_digest(find(adapter, options.encoder, "an encoder"))
    key = (content, options.max_length, options.device, options.batch)
    return POOL.get(key, lambda: Encoder(adapter, options))


def _pooling(folder: Path) -> str:
    """Return the pooling of tokens in the files of sentence-transformers: cls, max, last or mean, the default."""
    pooling = "1_Pooling"
    with suppress(OSError, ValueError):
        modules = json.loads((folder / "modules.json").read_bytes())
        pooling = next((module["path"] for module in modules if str(module["type"]).endswith("Pooling")), pooling)
    config: dict[str, object] = {}
    with suppress(OSError, ValueError):
        config = json.loads((folder / pooling / "config.json").read_bytes())
    modes = [name.removeprefix("pooling_mode_") for name, holds in config.items() if holds is True]
    said = " ".join([str(config.get("pooling_mode", "")), *modes])
    return next((mode for mode in ("cls", "max", "last") if mode in said), "mean")


def _length(folder: Path) -> int:
    """Return the most tokens of an encoder."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("config.json", "max_position_embeddings")):
        try:
            length = json.loads((folder / name).read_bytes()).get(key)
        except (OSError, ValueError):
            continue
        if isinstance(length, int) and length >= 8:
            return min(length, 512)
    return 256
