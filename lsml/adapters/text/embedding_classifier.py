"""text-embedding-classifier: a linear model on the embeddings of a sentence encoder. It learns from very few labels."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.sentence_encoder import Encoder, EncoderOptions, encoder_of
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.adapters.parts.transformers_models import config_of, find, remedy
from lsml.errors import AdapterError, VersionError
from lsml.files.digests import content_digest
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from lsml.arrays import Array


class TextEmbeddingClassifierOptions(EncoderOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `text-embedding-classifier`."""

    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"


class TextEmbeddingClassifier(TrainableAdapter[TextEmbeddingClassifierOptions]):
    """One label or several for a text. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "text-embedding-classifier"
    licence: ClassVar[str | None] = (
        "Apache-2.0 (transformers), BSD-3-Clause (torch, scikit-learn); weights have terms of their own"
    )
    title: ClassVar[str] = "labels for texts from very few examples, by a sentence encoder"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "sklearn", "skops")
    extra: ClassVar[str | None] = "transformers"
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TextEmbeddingClassifierOptions

    def __init__(self, options: TextEmbeddingClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._head: LinearHead | None = None
        self._encoder: Encoder | None = None
        self._read_by: str | None = None  # the hash of the encoder with which a loaded version was trained
        self._lock = threading.Lock()

    @classmethod
    def lacks(cls, options: TextEmbeddingClassifierOptions, target: Target) -> str | None:
        """Return what to do where the encoder is missing on this machine; or None."""
        if config_of(options.encoder):
            return None
        return f"{cls.name}: the encoder {options.encoder} is not on this machine; {remedy(options.encoder)}"

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded, and its encoder is on this machine."""
        return self._head is not None and self.lacks(self.options, self.target) is None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their choices; labels that the target does not have are ignored.

        Raises NotEnoughData unless two different labels occur; AdapterError where the encoder is missing.
        """
        learnt = labelled(examples, self.target, "texts")

        def reading(share: float, message: str) -> None:
            progress(0.9 * share, message)

        def fitting(share: float, message: str) -> None:
            progress(0.9 + 0.1 * share, message)

        self._read_by = None
        rows = self._rows([examples[index].data for index in learnt.indices], reading)
        self._head = LinearHead.fit(
            rows, learnt, multiple=self.target.multiple, options=self.options, seed=seed, progress=fitting
        )
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(learnt.indices)} texts")

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every known label with its probability, for each text; labels in alphabetical order."""
        if self._head is None or not batch or not self.ready:
            return [[] for _ in batch]
        return self._head.values(self._rows(batch, silent))

    def features(self, batch: Sequence[Data]) -> Array | None:
        """Return the encoder's embeddings of these texts; None where it is missing."""
        return self._rows(batch, silent) if self.lacks(self.options, self.target) is None else None

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays; the encoder is not part of it."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "encoder": self._identity()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError, also where it was learnt with another encoder."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            known = str(state["encoder"])
            head = LinearHead.restore(state, len(state["weights"]))
        # Without its encoder it predicts nothing, so that the other models of a version still load.
        if self.lacks(self.options, self.target) is None and known != self._identity():
            raise VersionError(
                f"{directory}: was trained with another encoder than {self.options.encoder}; train again"
            )
        self._head, self._read_by = head, known

    def _identity(self) -> str:
        """Return a hash of the encoder's content."""
        return content_digest(find(self.name, self.options.encoder, "an encoder"))

    def _rows(self, texts: Sequence[str], progress: Progress) -> Array:
        with self._lock:
            if self._encoder is None:
                encoder = encoder_of(self.name, self.options)
                if self._read_by not in (None, self._identity()):
                    raise AdapterError(
                        f"{self.name}: trained with another encoder than {self.options.encoder}; train again"
                    )
                self._encoder = encoder
        return self._encoder.rows(texts, progress)
