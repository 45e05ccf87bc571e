"""ner: spans of text by a transformer that labels tokens. Pretrained, or fine-tuned on annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import (
    PREDICTIONS,
    Data,
    Example,
    Progress,
    Target,
    silent,
)
from lsml.adapters.parts.fine_tuning import FineTuningOptions
from lsml.adapters.parts.regressions import HeldOut
from lsml.adapters.parts.text_spans import PASSED_OVER, inner, is_mark, notes_of, outermost, parted, stands_alone
from lsml.adapters.parts.transformer_adapter import LabelModel, TransformerAdapter
from lsml.adapters.parts.transformers_models import config_of, trained_names
from lsml.errors import NotEnoughData
from lsml.values import DecidedSpans, Span, Value

if TYPE_CHECKING:
    from tokenizers import Encoding
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from lsml.adapters.parts.transformers_models import Piece
    from lsml.arrays import Array


_OUTSIDE: Final = "O"
_KINDS: Final = frozenset("BIELSU")
_BEGINS: Final = frozenset("BSU")
_ENDS: Final = frozenset("ELSU")
_IGNORED: Final = -100  # the label that torch's cross entropy ignores


class NerOptions(FineTuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `ner`."""

    weights: Annotated[
        str,
        Meta(
            description="A model for token classification, or a plain encoder to fine-tune: a folder of transformers, relative "
            "to the recipe's, or the name of one that was downloaded before. Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = "dslim/bert-base-NER"
    max_length: Annotated[
        int,
        Meta(ge=16, le=8192, description="Tokens of a window; a longer text has several.", extra=PREDICTIONS),
    ] = 256
    overlap: Annotated[
        int,
        Meta(
            ge=0, le=4096, description="Tokens that neighbouring windows share, at most half of one.", extra=PREDICTIONS
        ),
    ] = 64


class Tag(NamedTuple):
    """The meaning of a token's label: the kind (B begins an entity, I is inside; E, L end one; S, U are one alone; "" is
    unknown), and the entity; None outside of all.
    """

    kind: str
    label: str | None


_NOTHING: Final = Tag("", None)


class Word(NamedTuple):
    """A word of a text: its tokens from `first` up to `last`, code points from `start` up to `end`."""

    first: int
    last: int
    start: int
    end: int


class Ner(TransformerAdapter[NerOptions, "TokenLabels"]):
    """Labelled spans of a text: whole words, with one label or several, none inside another."""

    name: ClassVar[str] = "ner"
    licence: ClassVar[str | None] = "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own"
    title: ClassVar[str] = "entities in texts by a transformer, pretrained or fine-tuned"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    passes_over: ClassVar[str | None] = PASSED_OVER
    untrained: ClassVar[str] = "is an encoder without entities of its own"
    Options: ClassVar[type[msgspec.Struct]] = NerOptions

    def __init__(self, options: NerOptions, target: Target) -> None:
        super().__init__(options, target)
        self._inner = 0  # spans that were not used for training, because they overlap longer ones

    @classmethod
    def labels_of(cls, config: Mapping[str, object]) -> tuple[str, ...]:
        """Return the entities of weights; empty for placeholders."""
        names = trained_names(config, TokenLabels.head)
        if all(name.startswith("LABEL_") for name in names):
            return ()
        return tuple(dict.fromkeys(label for name in names if (label := _tag(name).label) is not None))

    @classmethod
    def class_names(cls, options: NerOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the entities of a pretrained model."""
        return {"span": cls.labels_of(config_of(options.weights))}

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about spans that were not used, if there are any."""
        return notes_of(self._inner)

    def _read(self, folder: Path) -> TokenLabels:
        return TokenLabels.of(folder, self.options)

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return spans in the order of the text, each with the probability of its least sure word, and those of all words."""
        if not self.ready or not batch:
            return [[] for _ in batch]
        return self._loaded().spans(batch)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their spans; labels that the target does not have are ignored.

        Of overlapping spans it is trained on the longest, with all labels of its place; it is extended to whole words.
        Raises NotEnoughData without two texts, of which one has a span; AdapterError where the weights are missing.
        """
        allowed = None if self.target.open else set(self.target.labels)
        texts = [example.data for example in examples]
        spans = [outermost(example.values, allowed) for example in examples]
        self._inner = sum(
            len(inner(example.values, some, allowed)) for example, some in zip(examples, spans, strict=True)
        )
        marked = sum(bool(some) for some in spans)
        if len(texts) < 2 or not marked:
            raise NotEnoughData(
                f"{marked} of {len(texts)} texts have a marked span; annotate at least two texts, and a span in one"
            )
        # Several labels at one place become one combined label, in addition to those of the config.
        labels = tuple(dict.fromkeys((*self.target.labels, *sorted({span.label for some in spans for span in some}))))
        model = TokenLabels.fresh(self._folder(), labels, self.options, seed)
        self._learn(model, model.encode(texts, spans), seed, progress)
        progress(
            1.0, (f"trained on {sum(len(parted(span)) for some in spans for span in some)} spans in {len(texts)} texts")
        )


class TokenLabels(LabelModel[NerOptions, tuple["Piece", list[int]]]):
    """A model that labels tokens, and the conversion of its labels to spans."""

    adapter: ClassVar[str] = Ner.name
    head: ClassVar[str] = "AutoModelForTokenClassification"

    def __init__(self, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel, options: NerOptions) -> None:
        super().__init__(tokenizer, model, options)
        self._tags = [_tag(name) for name in self._names]
        self._columns: dict[str | None, list[int]] = {}  # entity -> the columns of its tags
        for index, tag in enumerate(self._tags):
            self._columns.setdefault(tag.label, []).append(index)

    def _overlap(self) -> int:
        return self._options.overlap

    @classmethod
    def fresh(cls, folder: Path, labels: Sequence[str], options: NerOptions, seed: int) -> TokenLabels:
        """Return the model of a folder with a head for `labels`. Raises AdapterError."""
        names = [_OUTSIDE, *(f"{kind}-{label}" for label in labels for kind in "BI")]
        return cls.with_head(folder, names, options, seed, _knew)

    # Prediction

    def spans(self, texts: Sequence[str]) -> list[DecidedSpans]:
        """Return the spans of each text."""
        import numpy as np

        encodings = self._windows.encode(texts)
        pieces = self._windows.pieces(encodings)
        # For each token the result of the window in which it is farthest from an edge.
        rows = [np.zeros((len(encoding.ids), len(self._tags)), dtype=np.float32) for encoding in encodings]
        inner = [np.full(len(encoding.ids), -1) for encoding in encodings]
        for indices, inputs in self._windows.batches(pieces, self._options.batch, self._logits.tokens):
            probabilities = self._probabilities(inputs)
            for index, found in zip(indices, probabilities, strict=True):
                piece = pieces[index]
                count = len(piece.ids)
                if not count:
                    continue
                within = np.minimum(np.arange(count), np.arange(count)[::-1])
                if piece.start == 0:
                    within = np.maximum(within, np.arange(count)[::-1])
                if piece.start + count == len(encodings[piece.text].ids):
                    within = np.maximum(within, np.arange(count))
                window = slice(piece.start, piece.start + count)
                better = within > inner[piece.text][window]
                kept = found[self._windows.first : self._windows.first + count]
                rows[piece.text][window][better] = kept[better]
                inner[piece.text][window][better] = within[better]
        return [self._of_text(text, encoding, row) for text, encoding, row in zip(texts, encodings, rows, strict=True)]

    def _of_text(self, text: str, encoding: Encoding, rows: Array) -> DecidedSpans:
        """Return the spans of a text, and the probability of each word's label.

        A word has the mean of its tokens' probabilities.
        """
        import numpy as np

        found = words(encoding, text)
        if not found:
            return DecidedSpans(decisions=())
        firsts, lasts = np.array([(word.first, word.last) for word in found]).T
        sums = np.concatenate([np.zeros((1, rows.shape[1])), rows.cumsum(axis=0, dtype=np.float64)])
        means = (sums[lasts] - sums[firsts]) / (lasts - firsts)[:, None]  # (words, labels)
        likeliest = means.argmax(axis=1)
        scores = means[np.arange(len(found)), likeliest].clip(0.0, 1.0).tolist()
        spans = self._joined(found, text, rows, likeliest.tolist(), scores)
        return DecidedSpans([one for span in spans for one in parted(span)], decisions=scores)

    def _joined(
        self, found: Sequence[Word], text: str, rows: Array, likeliest: Sequence[int], scores: Sequence[float]
    ) -> Iterator[Span]:
        """Yield spans of whole words, of each word's likeliest label and its probability. A word begins an entity if its
        first token does.
        """
        begun: Span | None = None
        before = _NOTHING  # the tag of the last word of `begun`
        for word, best, score in zip(found, likeliest, scores, strict=True):
            label = self._tags[best].label
            if label is None:
                if begun is not None:
                    yield begun
                    begun = None
                continue
            own = self._columns[label]
            tag = self._tags[own[int(rows[word.first][own].argmax())]]
            if begun is not None and label == begun.label:
                # Tokenizers separate symbols from letters; without a space between them they are one entity.
                glued = begun.end == word.start and not stands_alone(text[word.start])
                if glued or (tag.kind not in _BEGINS and before.kind not in _ENDS):
                    begun, before = Span(begun.start, word.end, label, min(score, begun.score or 0.0)), tag
                    continue
            if begun is not None:
                yield begun
            begun, before = Span(word.start, word.end, label, score), tag
        if begun is not None:
            yield begun

    def _probabilities(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return probabilities (windows, tokens, labels)."""
        return (self._logits.of(inputs) / self.temperature).softmax(dim=-1).numpy()

    # Training

    def encode(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[tuple[Piece, list[int]]]:
        """Return (window, label of each of its tokens)."""
        numbers = {tag: number for number, tag in enumerate(self._tags)}
        encodings = self._windows.encode(texts)
        of_text = []
        for text, encoding, some in zip(texts, encodings, spans, strict=True):
            labels = [numbers[_NOTHING]] * len(encoding.ids)
            begun: Span | None = None
            for word in words(encoding, text):
                span = next((one for one in some if word.start < one.end and one.start < word.end), None)
                if span is not None:
                    number = numbers[Tag("I" if span is begun else "B", span.label)]
                    labels[word.first : word.last] = [number] * (word.last - word.first)
                begun = span
            of_text.append(labels)
        return [
            (piece, of_text[piece.text][piece.start : piece.start + len(piece.ids)])
            for piece in self._windows.pieces(encodings)
            if piece.ids
        ]

    def loss(self, encoded: Sequence[tuple[Piece, list[int]]]) -> Tensor:
        """Return the loss of encoded examples."""
        import torch

        [(indices, inputs)] = self._windows.batches([piece for piece, _ in encoded], len(encoded))
        wanted = torch.full(inputs["input_ids"].shape, _IGNORED)
        for row, index in enumerate(indices):
            labels = encoded[index][1]
            wanted[row, self._windows.first : self._windows.first + len(labels)] = torch.tensor(labels)
        logits = self._logits.learning(inputs).flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, wanted.flatten().to(logits.device), ignore_index=_IGNORED)

    def held_out(self, encoded: Sequence[tuple[Piece, list[int]]]) -> list[HeldOut]:
        """Return logits (tokens, labels) and the true labels of each window."""
        import numpy as np

        [(indices, inputs)] = self._windows.batches([piece for piece, _ in encoded], len(encoded))
        logits = self._logits.learning(inputs).double().cpu().numpy()  # (windows, tokens, labels)
        first = self._windows.first
        return [
            HeldOut(row[first : first + len(encoded[index][1])], np.array(encoded[index][1]))
            for row, index in zip(logits, indices, strict=True)
        ]


def words(encoding: Encoding, text: str) -> list[Word]:
    """Return the words of a text, of whole tokens each, without white space at their ends.

    Some tokenizers separate words at spaces and symbols, others only at spaces. Then a symbol, or a whole sentence of a
    script without spaces, would be one word with the text before it, so words are separated here.
    """
    found: list[Word] = []
    numbers, offsets = encoding.word_ids, encoding.offsets
    first = 0
    for index in range(1, len(numbers) + 1):
        if (
            index < len(numbers)
            and numbers[index] is not None
            and numbers[index] == numbers[first]
            and not _parted(text, offsets[index][0])
        ):
            continue
        start, end = offsets[first][0], offsets[index - 1][1]
        # Tokenizers that drop accents end a token before them.
        while end < len(text) and is_mark(text[end]) and not (index < len(offsets) and offsets[index][0] == end):
            end += 1
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start < end:
            found.append(Word(first, index, start, end))
        first = index
    return found


def _parted(text: str, at: int) -> bool:
    """Return True if a word may end before an offset in a text: it is not between letters or digits of one word."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if is_mark(after):
        return False
    return (
        not (before.isalnum() or is_mark(before)) or not after.isalnum() or stands_alone(before) or stands_alone(after)
    )


def _tag(name: str) -> Tag:
    """Return the tag of a model's label, in any usual scheme: IO, IOB, BIOES, BILOU, or without kinds."""
    if name in (_OUTSIDE, _OUTSIDE.lower()):
        return _NOTHING
    kind, dash, label = name.partition("-")
    return Tag(kind, label) if dash and label and kind in _KINDS else Tag("", name)


def _knew(name: str, rows: Mapping[str, int]) -> int | None:
    """Return the row of an old head for a tag; a head without beginnings has one row for both."""
    label = _tag(name).label or name
    candidates = (name, f"I-{label}", label)
    return next((rows[one.casefold()] for one in candidates if one.casefold() in rows), None)
