"""seq2seq: texts from texts, such as summaries and translations, by an encoder-decoder; fine-tuned on people's texts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.fine_tuning import TuningOptions, fine_tune
from lsml.adapters.parts.transformers_models import (
    config_of,
    device_of,
    find,
    load_model,
    load_tokenizer,
    longest_window,
    remedy,
)
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.values import Text, Value

if TYPE_CHECKING:
    from torch import Tensor

_HEAD: Final = "AutoModelForSeq2SeqLM"
_IGNORED: Final = -100  # the token that the loss ignores


class Seq2SeqOptions(TuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `seq2seq`."""

    weights: Annotated[
        str,
        Meta(
            description="An encoder-decoder such as T5, BART or NLLB: a folder of transformers, relative to the recipe's, or "
            "the name of one that was downloaded before. Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = "google/flan-t5-small"
    prefix: Annotated[
        str, Meta(description="Written before each text; it tells a model such as T5 what to do.", extra=PREDICTIONS)
    ] = ""
    first_token: Annotated[
        str | None,
        Meta(
            description="The first token of each answer: the language code of a multilingual model, such as deu_Latn.",
            extra=PREDICTIONS,
        ),
    ] = None
    max_length: Annotated[
        int, Meta(ge=8, le=100_000, description="Tokens of a text that are read; the rest is not.", extra=PREDICTIONS)
    ] = 512
    max_answer: Annotated[
        int, Meta(ge=1, le=10_000, description="The most tokens of an answer.", extra=PREDICTIONS)
    ] = 128
    beams: Annotated[
        int, Meta(ge=1, le=32, description="Answers that are followed at once; more are slower.", extra=PREDICTIONS)
    ] = 1


class EncodedPair(NamedTuple):
    """The tokens of a text, and those of its answer."""

    text: list[int]
    answer: list[int]


class Seq2Seq(TrainableAdapter[Seq2SeqOptions]):
    """A text for each text. Its score is the geometric mean of its tokens' probabilities. A blank text has none."""

    name: ClassVar[str] = "seq2seq"
    title: ClassVar[str] = "texts from texts, such as summaries and translations, by an encoder-decoder; fine-tuned"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Text})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    extra: ClassVar[str | None] = "transformers"
    licence: ClassVar[str | None] = "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own"
    starts_ready: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = Seq2SeqOptions

    def __init__(self, options: Seq2SeqOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model: WritingModel | None = None
        self._learnt = False
        self._lock = threading.Lock()

    @classmethod
    def lacks(cls, options: Seq2SeqOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing on this machine, or are of another kind; or None."""
        config = config_of(options.weights)
        if not config:
            return f"the weights {options.weights} are not on this machine; {remedy(options.weights)}"
        if not config.get("is_encoder_decoder"):
            return f"{options.weights} is no encoder-decoder; name one, such as a T5 or a BART"
        return None

    @property
    def ready(self) -> bool:
        """True if its model is here."""
        return self._learnt or self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return one text with its score for each text."""
        indices = [index for index, text in enumerate(batch) if text.strip()]
        found: list[list[Value]] = [[] for _ in batch]
        if not indices or not self.ready:
            return found
        with self._lock:
            if self._model is None:
                self._model = WritingModel(self._folder(), self.options)
            said = self._model.written([batch[index] for index in indices])
        for index, text in zip(indices, said, strict=True):
            found[index] = [text] if text.text else []
        return found

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts and people's texts for them; several of one are joined by line breaks. Raises NotEnoughData with
        fewer than two; AdapterError where the weights are missing.
        """
        told = [
            (example.data, "\n".join(value.text for value in example.values if isinstance(value, Text)))
            for example in examples
        ]
        told = [(text, answer) for text, answer in told if text.strip() and answer]
        if len(told) < 2:
            raise NotEnoughData(f"{len(told)} texts have an answer; annotate at least two")
        model = WritingModel(self._folder(), self.options)
        model.fit(told, seed, progress)
        self._model, self._learnt = model, True
        progress(1.0, f"trained on {len(told)} texts")

    def _folder(self) -> Path:
        lacking = self.lacks(self.options, self.target)
        if lacking is not None:
            raise AdapterError(f"{self.name}: {lacking}")
        return find(self.name, self.options.weights, "an encoder-decoder")

    def save(self, directory: Path) -> None:
        """Write safetensors, and the configuration and tokenizer as JSON."""
        assert self._model is not None and self._learnt, "an untrained model is never saved"
        self._model.save(directory)

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        try:
            self._model = WritingModel(directory, self.options)
        except AdapterError as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._learnt = True


class WritingModel:
    """An encoder-decoder of a folder, and its tokenizer. Raises AdapterError."""

    def __init__(self, folder: Path, options: Seq2SeqOptions) -> None:
        self._options = options
        self._tokenizer = load_tokenizer(folder)
        self._model = load_model(_HEAD, folder).to(device_of(options.device))
        self._length = longest_window(config_of(str(folder)), options.max_length)
        self._pad = self._tokenizer.pad_token_id or 0
        self._first: int | None = None
        if options.first_token is not None:
            self._first = self._tokenizer.get_vocab().get(options.first_token)
            if self._first is None:
                raise AdapterError(f"{folder}: its tokenizer has no token {options.first_token}; correct first_token")

    def save(self, directory: Path) -> None:
        """Write everything that is needed to read it."""
        self._model.save_pretrained(directory, safe_serialization=True)
        self._tokenizer.save_pretrained(directory)

    def written(self, texts: Sequence[str]) -> list[Text]:
        """Return an answer to each text."""
        rows = self._encoded([self._options.prefix + text for text in texts], self._length)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))  # similar lengths together
        answers: dict[int, Text] = {}
        for begin in range(0, len(order), self._options.batch):
            some = order[begin : begin + self._options.batch]
            answers.update(zip(some, self._generated([rows[index] for index in some]), strict=True))
        return [answers[index] for index in range(len(rows))]

    def _generated(self, rows: Sequence[list[int]]) -> list[Text]:
        import torch

        ids, seen = self._padded(rows, self._pad)
        more = {} if self._first is None else {"forced_bos_token_id": self._first}
        with torch.inference_mode():
            made = self._model.generate(
                input_ids=ids, attention_mask=seen, max_new_tokens=self._options.max_answer, num_beams=self._options.beams,
                do_sample=False, return_dict_in_generate=True, output_scores=True, **more,
            )  # fmt: skip
            scores = self._model.compute_transition_scores(
                made.sequences, made.scores, getattr(made, "beam_indices", None), normalize_logits=True
            )
        told = torch.isfinite(scores) & (made.sequences[:, -scores.shape[1] :] != self._pad)
        means = torch.where(told, scores, 0.0).sum(dim=1) / told.sum(dim=1).clamp(min=1)
        written = self._tokenizer.batch_decode(made.sequences, skip_special_tokens=True)
        return [Text(text.strip(), min(1.0, score)) for text, score in zip(written, means.exp().tolist(), strict=True)]

    def fit(self, told: Sequence[tuple[str, str]], seed: int, progress: Progress) -> None:
        """Train on texts and their answers."""
        texts = self._encoded([self._options.prefix + text for text, _ in told], self._length)
        answers = self._encoded([answer for _, answer in told], self._options.max_answer, self._first)
        pairs = [EncodedPair(text, answer) for text, answer in zip(texts, answers, strict=True)]
        fine_tune(self._model, pairs, self._loss, self._options, seed, progress)

    def _loss(self, pairs: Sequence[EncodedPair]) -> Tensor:
        ids, seen = self._padded([pair.text for pair in pairs], self._pad)
        labels, _ = self._padded([pair.answer for pair in pairs], _IGNORED)
        return self._model(input_ids=ids, attention_mask=seen, labels=labels).loss

    def _encoded(self, texts: Sequence[str], most: int, first: int | None = None) -> list[list[int]]:
        """Return the tokens of each text, cut to so many with the special one at its end. `first` is the first token, in
        place of the tokenizer's own special one, which names the language that is read.
        """
        encodings = self._tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=True)
        rows = [list(encoding.ids) for encoding in encodings]
        if first is not None:
            rows = [
                [first, *row[encoding.special_tokens_mask[0] :]] for row, encoding in zip(rows, encodings, strict=True)
            ]
        return [row if len(row) <= most else [*row[: most - 1], row[-1]] for row in rows]

    def _padded(self, rows: Sequence[list[int]], pad: int) -> tuple[Tensor, Tensor]:
        """Return the tokens as an array (rows, tokens), and 1 where they are real."""
        import torch

        longest = max(map(len, rows))
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        return ids.to(self._model.device), seen.to(self._model.device)
