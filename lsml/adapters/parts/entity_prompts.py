"""A GLiNER model: the probability of each span of words to be an entity that is named in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lsml.adapters.base import Progress
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.fine_tuning import TuningOptions, fine_tune
from lsml.adapters.parts.text_spans import apart, parted
from lsml.adapters.parts.transformers_models import device_of, snapshots
from lsml.errors import AdapterError
from lsml.values import DecidedSpans, Span

if TYPE_CHECKING:
    from gliner import GLiNER
    from torch import Tensor

_CONFIG: Final = "gliner_config.json"
_DOUBTFUL: Final = 0.1  # the probability from which a span that is not found counts for the certainty of a text
_LEAST: Final = 0.01  # the least probability that the model is asked for; below are too many spans
_CALIBRATION: Final = "lsml_calibration.json"  # its file in the folder of a trained model


class WordWindow(NamedTuple):
    """Some words of a text: its index in the batch, and the code points from `start` up to `end` of each word."""

    text: int
    words: list[tuple[int, int]]


class EntityModel:
    """A GLiNER model of a folder. Raises AdapterError."""

    def __init__(self, folder: Path | None, options: TuningOptions) -> None:
        assert folder is not None
        self._options = options
        self._lock = threading.Lock()
        self._model = _read(folder).to(device_of(options.device))
        self._model.eval()
        self._calibration = _read_calibration(folder)

    @property
    def widest(self) -> int:
        """The most words of a span."""
        return int(self._model.config.max_width)

    def save(self, directory: Path) -> None:
        """Write everything that is needed to read it."""
        self._model.save_pretrained(directory, safe_serialization=True)
        (directory / _CALIBRATION).write_text(json.dumps(self._calibration), encoding="utf-8")

    def spans(self, texts: Sequence[str], names: Mapping[str, str], least: float) -> list[DecidedSpans]:
        """Return the spans of each text from a probability of `least` on, in order, none inside another. `names`: the label
        for each of the words that the model is asked for.
        """
        asked = max(_LEAST, self._calibration.before(min(least, _DOUBTFUL)))
        found = self._probable(texts, names, asked)
        return [
            _decided(len(text), self._calibration.calibrated(spans), least)
            for text, spans in zip(texts, found, strict=True)
        ]

    def _probable(self, texts: Sequence[str], names: Mapping[str, str], least: float) -> list[list[Span]]:
        """Return the spans of each text with the probabilities of the model, from `least` on; those of windows may overlap."""
        windows = self._windows(texts, overlap=2 * self.widest)
        found: list[list[Span]] = [[] for _ in texts]
        with self._lock:
            said = self._model.inference(
                [_slice(texts[window.text], window.words) for window in windows],
                list(names),
                threshold=least,
                batch_size=self._options.batch,
            )
        for window, entities in zip(windows, said, strict=True):
            first = window.words[0][0]
            found[window.text] += [
                Span(first + one["start"], first + one["end"], names[one["label"]], min(1.0, float(one["score"])))
                for one in entities
            ]
        return found

    def fit(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        names: Mapping[str, str],
        seed: int,
        progress: Progress,
    ) -> int:
        """Train on the spans of texts, and calibrate by windows that were not learnt, if there are any. Returns the number
        of spans that are too wide to learn.
        """
        import torch

        asked = {label: words for words, label in names.items()}
        encoded, wide = [], 0
        for window in self._windows(texts, overlap=0):
            text, entities = texts[window.text], []
            for span in spans[window.text]:
                inside = [
                    place for place, (start, end) in enumerate(window.words) if start < span.end and span.start < end
                ]
                if len(inside) > self.widest:
                    wide += 1
                elif inside:
                    entities += [[inside[0], inside[-1], asked[one.label]] for one in parted(span)]
            words = [text[start:end] for start, end in window.words]
            encoded.append({"tokenized_text": words, "ner": entities, "ner_labels": list(names)})
        collate = self._model._create_data_collator()
        device = next(self._model.parameters()).device

        def loss(some: Sequence[dict[str, object]]) -> Tensor:
            batch = collate(list(some))
            inputs = {name: one.to(device) if isinstance(one, torch.Tensor) else one for name, one in batch.items()}
            return self._model(**inputs).loss

        held_out = fine_tune(self._model, encoded, loss, self._options, seed, progress)
        self._calibration = self._calibrated(held_out, names)
        return wide

    def _calibrated(self, held_out: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> PlattScaling:
        """Return the calibration by encoded windows that were not learnt: a span is right if all of it is annotated."""
        texts, truths = [], []
        for window in held_out:
            words: list[str] = window["tokenized_text"]
            ends = list(accumulate(len(word) + 1 for word in words))
            texts.append(" ".join(words))
            truths.append({
                (ends[first] - len(words[first]) - 1, ends[last] - 1, names[asked]) for first, last, asked in window["ner"]
            })  # fmt: skip
        found = self._probable(texts, names, _DOUBTFUL) if texts else []
        said = [
            (span.score or 0.0, (span.start, span.end, span.label) in truth)
            for spans, truth in zip(found, truths, strict=True)
            for span in spans
        ]
        return PlattScaling.fit([score for score, _ in said], [right for _, right in said])

    def _windows(self, texts: Sequence[str], overlap: int) -> list[WordWindow]:
        """Return windows over all words of the texts, as many words as the model reads at once; none for a blank text."""
        size = int(self._model.config.max_len)
        step = size - min(overlap, size // 2)
        made = []
        for index, text in enumerate(texts):
            words = [(start, end) for _, start, end in self._model.data_processor.words_splitter(text)]
            begins = range(0, max(1, len(words) - size + step), step) if words else ()
            made += [WordWindow(index, words[begin : begin + size]) for begin in begins]
        return made


def folder_of(weights: str) -> Path | None:
    """Return the folder of a GLiNER model: the given one, or that of a downloaded model with that name; None without one."""
    folders = (Path(weights).expanduser(), *snapshots(weights))
    return next((folder for folder in folders if (folder / _CONFIG).is_file()), None)


def _read(folder: Path) -> GLiNER:
    if not any(folder.glob("*.safetensors")):
        raise AdapterError(f"{folder}: has no weights as safetensors; restore them")
    import transformers
    from gliner import GLiNER

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        return GLiNER.from_pretrained(str(folder), local_files_only=True, map_location="cpu").float()
    except Exception as error:  # its readers may raise anything
        raise AdapterError(f"{folder}: gliner cannot read it: {error}; give a complete model") from error


def _read_calibration(folder: Path) -> PlattScaling:
    """Return the calibration of a trained model; that of another changes nothing."""
    file = folder / _CALIBRATION
    if not file.exists():
        return PlattScaling()
    try:
        return PlattScaling.restore(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise AdapterError(f"{file}: {error}; restore it") from error


def _slice(text: str, words: Sequence[tuple[int, int]]) -> str:
    return text[words[0][0] : words[-1][1]]


def _decided(length: int, spans: Sequence[Span], least: float) -> DecidedSpans:
    """Return the likeliest spans that do not overlap, and the probability of each decision: of those below `least` that they
    are none.
    """
    likeliest = sorted(spans, key=lambda one: (-(one.score or 0.0), one.start, one.end))
    kept = apart(dict.fromkeys(likeliest), lambda one: (one.start, one.end), length)
    shown = sorted((one for one in kept if (one.score or 0.0) >= least), key=lambda one: one.start)
    decisions = [score if score >= least else 1.0 - score for one in kept if (score := one.score) is not None]
    return DecidedSpans(shown, decisions=decisions)
