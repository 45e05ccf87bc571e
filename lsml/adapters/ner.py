"""ner: spans of text by a transformer that labels tokens. Pretrained, or fine-tuned from annotations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import (
    MACHINE,
    PREDICTIONS,
    Data,
    Example,
    Progress,
    Target,
    TrainableAdapter,
    silent,
)
from lsml.adapters.text_spans import outermost, stands_alone
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
from lsml.errors import NotEnoughData, VersionError
from lsml.values import Span, Value

_log = logging.getLogger(__name__)
_HEAD: Final = "TokenClassification"
_OUTSIDE: Final = "O"
_IGNORED: Final = -100  # what torch's cross entropy passes over


class NerOptions(TuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `ner`."""

    weights: Annotated[
        str,
        Meta(
            description="A model for token classification, or a plain encoder to learn from: a folder that transformers wrote, "
            "from the recipe's folder, or the name of one that was fetched before. Nothing is fetched.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = "dslim/bert-base-NER"
    max_length: Annotated[
        int,
        Meta(ge=16, le=8192, description="Tokens of a window; a longer text is read in several.", extra=PREDICTIONS),
    ] = 256
    overlap: Annotated[
        int,
        Meta(
            ge=0, le=4096, description="Tokens that neighbouring windows share, at most half of one.", extra=PREDICTIONS
        ),
    ] = 64
    accelerate: Annotated[
        Literal["onnx"] | None,
        Meta(
            description="onnx: export once, and answer through ONNX Runtime (pip install lsml[onnx]), checked against torch.",
            extra=MACHINE,
        ),
    ] = None


class Word(NamedTuple):
    """A word of a text: its tokens from `first` up to `last`, code points from `start` up to `end`."""

    first: int
    last: int
    start: int
    end: int


class Ner(TrainableAdapter):
    """Labelled spans of a text: whole words, one label each, none inside another."""

    name: ClassVar[str] = "ner"
    title: ClassVar[str] = "entities in texts by a transformer, pretrained or fine-tuned"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    extra: ClassVar[str | None] = "transformers"
    starts_ready: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = NerOptions

    def __init__(self, options: NerOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model: TokenLabels | None = None
        self._learnt = False
        self._lock = threading.Lock()

    @classmethod
    def class_names(cls, options: Any, target: Target) -> dict[str, tuple[str, ...]]:
        """The entities that a pretrained model knows."""
        return {"span": _entities(head_labels(config_of(options.weights), _HEAD))}

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
            return f"{cls.name}: {options.weights} is an encoder without entities of its own; it answers once it learnt"
        return None

    @property
    def own_names(self) -> bool:
        """Until it learnt, its entities are those of the weights."""
        return not self._learnt

    @property
    def ready(self) -> bool:
        """Whether it learnt, or its weights know entities. A head that was never trained would only guess."""
        return self._learnt or self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Spans in the order of the text, each with the probability of its least sure word."""
        if not self.ready or not batch:
            return [[] for _ in batch]
        return self._loaded().spans(batch)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from texts (str) and their spans; labels that the target does not have are passed over. Of spans that
        overlap the longest is learnt, and what a span cuts off a word belongs to it.

        Raises NotEnoughData without two texts, of which one has a span; AdapterError where the weights are not here.
        """
        allowed = None if self.target.open else set(self.target.labels)
        texts = [example.data for example in examples]
        spans = [outermost(example.values, allowed) for example in examples]
        marked = sum(bool(some) for some in spans)
        if len(texts) < 2 or not marked:
            raise NotEnoughData(
                f"{marked} of {len(texts)} texts have a marked span; annotate at least two texts, and a span in one"
            )
        labels = self.target.labels or tuple(sorted({span.label for some in spans for span in some}))
        folder = find(self.name, self.options.weights, "a model")
        model = TokenLabels.fresh(folder, labels, self.options, seed)
        model.learn(texts, spans, seed, progress)
        self._model, self._learnt = model, True
        progress(1.0, f"learnt {sum(map(len, spans))} spans in {len(texts)} texts")

    def save(self, directory: Path) -> None:
        """Write safetensors, and the configuration and tokenizer as JSON."""
        assert self._model is not None and self._learnt, "an untrained model is never saved"
        self._model.save(directory)

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        if not (directory / "model.safetensors").is_file():
            raise VersionError(f"{directory}: holds no model.safetensors; restore it, or train anew")
        try:
            model = TokenLabels.of(directory, self.options)
        except Exception as error:  # transformers raises whatever its readers do
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train anew"
            ) from error
        self._model, self._learnt = model, True

    def _loaded(self) -> TokenLabels:
        with self._lock:
            if self._model is None:
                self._model = TokenLabels.of(find(self.name, self.options.weights, "a model"), self.options)
            return self._model


class TokenLabels:
    """A model that labels tokens, and how its labels become spans."""

    def __init__(self, tokenizer: Any, model: Any, options: NerOptions) -> None:
        self._tokenizer = tokenizer
        self._model = model.to(device_of(options.device))
        self._options = options
        self._lock = threading.Lock()
        names = model.config.id2label
        self._names = [str(names[number]) for number in range(model.config.num_labels)]
        self._windows = Windows.of(tokenizer, model.config, options.max_length, options.overlap)
        self._session: Any = None
        self._tried = options.accelerate is None

    @classmethod
    def of(cls, folder: Path, options: NerOptions) -> TokenLabels:
        """The model of a folder as it is. Raises AdapterError."""
        model = load_model(f"AutoModelFor{_HEAD}", folder)
        return cls(load_tokenizer(folder), model, options)

    @classmethod
    def fresh(cls, folder: Path, labels: Sequence[str], options: NerOptions, seed: int) -> TokenLabels:
        """The model of a folder with a head for `labels`, which knows already what the folder's head knew of them."""
        import torch

        tags = [_OUTSIDE, *(f"{kind}-{label}" for label in labels for kind in "BI")]
        facts = {
            "num_labels": len(tags),
            "id2label": dict(enumerate(tags)),
            "label2id": {tag: number for number, tag in enumerate(tags)},
            "ignore_mismatched_sizes": True,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = load_model(f"AutoModelFor{_HEAD}", folder, **facts)
        known = head_labels(config_of(str(folder)), _HEAD)
        if known:
            before = load_model(f"AutoModelFor{_HEAD}", folder)
            _copy_rows(_head(before), [known.get(number, "") for number in range(len(known))], _head(model), tags)
        return cls(load_tokenizer(folder), model, options)

    def save(self, directory: Path) -> None:
        """Write everything that `of` needs."""
        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)

    # Predicting

    def spans(self, texts: Sequence[str]) -> list[list[Value]]:
        """The spans of each text."""
        import numpy as np

        encodings = self._windows.encode(texts)
        pieces = self._windows.pieces(encodings)
        # For each token what the window says in which it stands farthest from an edge.
        rows = [np.zeros((len(encoding.ids), len(self._names)), dtype=np.float32) for encoding in encodings]
        inner = [np.full(len(encoding.ids), -1) for encoding in encodings]
        for places, inputs in self._windows.batches(pieces, self._options.batch):
            probabilities = self._probabilities(inputs)
            for place, found in zip(places, probabilities, strict=True):
                piece = pieces[place]
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
        return [
            list(self._of_text(text, encoding, row)) for text, encoding, row in zip(texts, encodings, rows, strict=True)
        ]

    def _of_text(self, text: str, encoding: Any, rows: Any) -> Iterator[Value]:
        """Spans of whole words: a word is what most of its tokens together say."""
        begun: Span | None = None
        for word in words(encoding, text):
            mean = rows[word.first : word.last].mean(axis=0)
            best = int(mean.argmax())
            kind, label = _split(self._names[best])
            score = min(1.0, max(0.0, float(mean[best])))
            # A tokenizer parts signs from letters; what no space parts is one thing, whatever the model says.
            joined = begun is not None and begun.end == word.start and not stands_alone(text[word.start])
            if label is not None and begun is not None and label == begun.label and (kind != "B" or joined):
                begun = Span(begun.start, word.end, label, min(score, begun.score or 0.0))
                continue
            if begun is not None:
                yield begun
            begun = None if label is None else Span(word.start, word.end, label, score)
        if begun is not None:
            yield begun

    def _probabilities(self, inputs: dict[str, Any]) -> Any:
        """(windows, tokens, labels)"""
        import torch

        with self._lock:
            if not self._tried:
                self._tried = True
                self._session = self._accelerated(inputs)
            if self._session is not None:
                logits = torch.from_numpy(
                    self._session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
                )
            else:
                logits = self._logits(inputs)
        return torch.softmax(logits.float(), dim=-1).numpy()

    def _logits(self, inputs: dict[str, Any]) -> Any:
        import torch

        device = next(self._model.parameters()).device
        with torch.inference_mode():
            return self._model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits.cpu()

    def _accelerated(self, inputs: dict[str, Any]) -> Any:
        """An ONNX Runtime session that answers as torch does on the first texts; None, with a warning, where there is none."""
        try:
            return _onnx_session(self._model, inputs, self._logits(inputs))
        except Exception as error:  # exporters raise whatever they do; torch still answers
            _log.warning(
                "ner: accelerate: onnx is not possible, so torch answers: %s", str(error).splitlines()[0][:300]
            )
            return None

    # Learning

    def learn(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], seed: int, progress: Progress) -> None:
        """Fine-tune all weights. Raises what `progress` raises."""
        lessons = self._lessons(texts, spans)

        def loss(some: Sequence[int]) -> Any:
            return self._loss([lessons[place] for place in some])

        tune(self._model, len(lessons), loss, self._options, seed, progress)

    def _lessons(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[tuple[Any, list[int]]]:
        """(window, the label of each of its tokens)"""
        numbers = {name: number for number, name in enumerate(self._names)}
        encodings = self._windows.encode(texts)
        of_text = []
        for text, encoding, some in zip(texts, encodings, spans, strict=True):
            labels = [numbers[_OUTSIDE]] * len(encoding.ids)
            begun: Span | None = None
            for word in words(encoding, text):
                span = next((one for one in some if word.start < one.end and one.start < word.end), None)
                if span is not None:
                    number = numbers[f"{'I' if span is begun else 'B'}-{span.label}"]
                    labels[word.first : word.last] = [number] * (word.last - word.first)
                begun = span
            of_text.append(labels)
        return [
            (piece, of_text[piece.text][piece.start : piece.start + len(piece.ids)])
            for piece in self._windows.pieces(encodings)
            if piece.ids
        ]

    def _loss(self, lessons: Sequence[tuple[Any, list[int]]]) -> Any:
        import torch

        device = next(self._model.parameters()).device
        [(places, inputs)] = self._windows.batches([piece for piece, _ in lessons], len(lessons))
        wanted = torch.full(inputs["input_ids"].shape, _IGNORED)
        for row, place in enumerate(places):
            labels = lessons[place][1]
            wanted[row, self._windows.first : self._windows.first + len(labels)] = torch.tensor(labels)
        logits = self._model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), wanted.flatten().to(device), ignore_index=_IGNORED
        )


def words(encoding: Any, text: str) -> list[Word]:
    """The words of a text as its tokenizer parts them, without white space at their ends."""
    found: list[Word] = []
    numbers, offsets = encoding.word_ids, encoding.offsets
    first = 0
    for place in range(1, len(numbers) + 1):
        if place < len(numbers) and numbers[place] is not None and numbers[place] == numbers[first]:
            continue
        start, end = offsets[first][0], offsets[place - 1][1]
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start < end:
            found.append(Word(first, place, start, end))
        first = place
    return found


def _split(name: str) -> tuple[str, str | None]:
    """(B, I or "", the entity) of a label; no entity outside of all."""
    if name == _OUTSIDE:
        return "", None
    head, dash, rest = name.partition("-")
    return (head, rest) if dash and head in ("B", "I", "E", "S", "L", "U") and rest else ("", name)


def _entities(labels: dict[int, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entity for name in labels.values() if (entity := _split(name)[1]) is not None))


def _head(model: Any) -> Any:
    """The last layer, which gives each token its labels."""
    return getattr(model, "classifier", None) or getattr(model, "score", None)


def _copy_rows(old: Any, old_names: Sequence[str], new: Any, new_names: Sequence[str]) -> None:
    """What a head knew of a label, the new one knows, too; upper and lower case are one."""
    import torch

    if not (hasattr(old, "weight") and hasattr(new, "weight")) or old.weight.shape[1] != new.weight.shape[1]:
        return
    known = {name.casefold(): row for row, name in enumerate(old_names)}
    with torch.no_grad():
        for row, name in enumerate(new_names):
            # A model without beginnings has one row for both.
            source = known.get(name.casefold(), known.get((_split(name)[1] or name).casefold()))
            if source is not None:
                new.weight[row] = old.weight[source]
                if old.bias is not None and new.bias is not None:
                    new.bias[row] = old.bias[source]


def _onnx_session(model: Any, inputs: dict[str, Any], expected: Any) -> Any:
    """A session of the model's export, which is kept by what the model holds. Raises anything where it is not possible."""
    import hashlib
    import os

    import numpy as np
    import onnxruntime
    import torch

    from lsml.cache import cache_directory

    digest = hashlib.sha256(model.config.to_json_string().encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    path = cache_directory("onnx") / f"{digest.hexdigest()[:32]}.onnx"
    if not path.exists():
        making = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
        axes = {0: "batch", 1: "tokens"}
        names = list(inputs)
        try:
            torch.onnx.export(
                _Plain(model).eval(), tuple(inputs[name] for name in names), str(making), input_names=names,
                output_names=["logits"], dynamic_axes=dict.fromkeys([*names, "logits"], axes), dynamo=False,
                opset_version=17,
            )  # fmt: skip
            making.replace(path)
        finally:
            making.unlink(missing_ok=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    answered = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    seen = inputs["attention_mask"].numpy().astype(bool)
    far = float(np.abs(answered - expected.numpy())[seen].max())
    if far > 1e-2:
        raise RuntimeError(f"the export answers otherwise than torch (by {far:.3g})")
    return session


def _Plain(model: Any) -> Any:  # noqa: N802  # it makes what torch calls a module
    """A module whose answer is the logits alone, as an exporter wants it."""
    import torch

    class Logits(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).logits

    return Logits()
