"""ner-crf: spans of text by a conditional random field. Learns from twenty sentences in a fraction of a second.

J. Lafferty, A. McCallum, F. Pereira: Conditional Random Fields, 2001; trained by CRFsuite
(https://www.chokkan.org/software/crfsuite).
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.text_spans import Token, outermost, tokens
from lsml.errors import NotEnoughData, VersionError
from lsml.values import Span, Value

_MODEL: Final = "model.crfsuite"
_FACTS: Final = "facts.json"
_FORMAT: Final = 1
_MAGIC: Final = b"lCRF"
_LONGEST: Final = 400  # tokens of a stretch that is tagged at once; longer lines are cut at the ends of sentences
_OUTSIDE: Final = "O"
_ENDS: Final = frozenset(".!?…。！？।")
_REMEMBERED: Final = 1 << 15  # words whose features are kept


class NerCrfOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `ner-crf`."""

    c1: Annotated[
        float,
        Meta(ge=0, le=100, description="L1 regularisation: more leaves out more features.", extra=TRAINING),
    ] = 0.0
    c2: Annotated[
        float,
        Meta(ge=0, le=100, description="L2 regularisation: more holds noisy annotations at bay.", extra=TRAINING),
    ] = 0.1
    iterations: Annotated[
        int, Meta(ge=1, le=10_000, description="Most steps of the optimiser; more fits more closely.", extra=TRAINING)
    ] = 150


class NerCrf(TrainableAdapter):
    """Labelled spans of a text: whole words, one label each, none inside another."""

    name: ClassVar[str] = "ner-crf"
    title: ClassVar[str] = "entities in texts, learnt from a few dozen sentences in a second"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    requires: ClassVar[tuple[str, ...]] = ("pycrfsuite",)
    Options: ClassVar[type[msgspec.Struct]] = NerCrfOptions

    def __init__(self, options: NerCrfOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model = b""
        self._lexicon: Lexicon
        self._lock = threading.Lock()
        self._tagger: Any = None

    @property
    def ready(self) -> bool:
        """Whether it has learnt or loaded anything."""
        return bool(self._model)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from texts (str) and their spans; labels that the target does not have are passed over. Of spans that
        overlap the longest is learnt, and what a span cuts off a word belongs to it.

        Raises NotEnoughData without two texts, of which one has a span.
        """
        import pycrfsuite

        allowed = None if self.target.open else set(self.target.labels)
        texts = [(example.data, outermost(example.values, allowed)) for example in examples]
        marked = sum(bool(spans) for _, spans in texts)
        if len(texts) < 2 or not marked:
            raise NotEnoughData(
                f"{marked} of {len(texts)} texts have a marked span; annotate at least two texts, and a span in one"
            )
        progress(0.0, f"reading {len(texts)} texts")
        lexicon = Lexicon.of(texts)
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(
            {
                "c1": self.options.c1,
                "c2": self.options.c2,
                "max_iterations": self.options.iterations,
                "feature.possible_transitions": True,
            }
        )
        for number, (text, spans) in enumerate(texts):
            if number % 100 == 0:
                progress(0.2 * number / len(texts), f"read {number} of {len(texts)} texts")
            own = lexicon.without(text, spans)
            for stretch in stretches(text):
                trainer.append(features(stretch, own), _tags(stretch, spans))
        progress(0.2, f"learning from {len(texts)} texts")
        with tempfile.TemporaryDirectory(prefix="lsml-") as directory:
            path = Path(directory) / _MODEL
            trainer.train(str(path))
            self._become(path.read_bytes(), lexicon)
        progress(1.0, f"learnt {sum(len(spans) for _, spans in texts)} spans in {len(texts)} texts")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Spans in the order of the text, each with the probability of its least sure word."""
        return [self._spans(text) for text in batch] if self._model else [[] for _ in batch]

    def save(self, directory: Path) -> None:
        """Write CRFsuite's file, which holds numbers and names alone, and what words were marked."""
        assert self._model, "an untrained model is never saved"
        (directory / _MODEL).write_bytes(self._model)
        facts = {"format": _FORMAT, "lexicon": self._lexicon.counts}
        (directory / _FACTS).write_text(json.dumps(facts, sort_keys=True), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        try:
            model = (directory / _MODEL).read_bytes()
            facts = json.loads((directory / _FACTS).read_bytes())
            if facts["format"] != _FORMAT:
                raise ValueError("it has another format")
            lexicon = Lexicon(msgspec.convert(facts["lexicon"], dict[str, dict[str, int]]))
            # CRFsuite trusts its file: a cut one could crash the process.
            if model[:4] != _MAGIC or int.from_bytes(model[4:8], sys.byteorder) != len(model):
                raise ValueError(f"{_MODEL} is not whole")
        except (OSError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train anew"
            ) from error
        self._become(model, lexicon)

    def _become(self, model: bytes, lexicon: Lexicon) -> None:
        import pycrfsuite

        tagger = pycrfsuite.Tagger()
        tagger.open_inmemory(model)
        with self._lock:
            self._model, self._lexicon, self._tagger = model, lexicon, tagger

    def _spans(self, text: str) -> list[Value]:
        found: list[Value] = []
        for stretch in stretches(text):
            rows = features(stretch, self._lexicon)
            with self._lock:  # a tagger holds the sequence at hand
                tags = self._tagger.tag(rows)
                for first, last, label in _runs(tags):
                    sure = min(self._tagger.marginal(tags[place], place) for place in range(first, last + 1))
                    score = min(1.0, max(0.0, sure))
                    found.append(Span(stretch[first].start, stretch[last].end, label, score))
        return found


class Lexicon:
    """Which words of training texts were marked as what, and how often: word in small letters -> label -> count."""

    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self.counts = counts

    @classmethod
    def of(cls, texts: Iterable[tuple[str, Sequence[Span]]]) -> Lexicon:
        """What all texts say together."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text, spans in texts:
            for word, label in _marked(text, spans):
                counts[word][label] += 1
        return cls({word: dict(labels) for word, labels in counts.items()})

    def without(self, text: str, spans: Sequence[Span]) -> Lexicon:
        """What all other texts say: a text must not learn to trust what it told itself."""
        own = Counter(_marked(text, spans))
        changed: dict[str, Mapping[str, int]] = {}
        for word in {word for word, _ in own}:
            left = {label: count - own[word, label] for label, count in self.counts[word].items()}
            changed[word] = {label: count for label, count in left.items() if count > 0}
        return Lexicon(_Over(self.counts, changed))

    def says(self, word: str) -> list[str]:
        """A feature for the label that the word was marked with most often."""
        labels = self.counts.get(word)
        if not labels:
            return []
        best = max(sorted(labels), key=labels.__getitem__)
        return [f"lex={best}", f"lex={best}+"] if labels[best] > 1 else [f"lex={best}"]


class _Over(dict[str, Mapping[str, int]]):
    """A mapping whose few changes lie over a large one that stays as it is."""

    def __init__(self, below: Mapping[str, Mapping[str, int]], changes: Mapping[str, Mapping[str, int]]) -> None:
        super().__init__(changes)
        self._below = below

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key) if key in self else self._below.get(key, default)


def _marked(text: str, spans: Sequence[Span]) -> list[tuple[str, str]]:
    """(word in small letters, label) of every word in a span that says something."""
    return [
        (token.text.lower(), span.label)
        for span in spans
        for token in tokens(text[span.start : span.end])
        if token.text[0].isalpha()
    ]


def stretches(text: str) -> Iterator[list[Token]]:
    """What is tagged at once: the tokens of a line; of a long line those of some sentences."""
    for line in re.finditer(r"[^\r\n\u2028\u2029]+", text):
        found = tokens(text, line.start(), line.end())
        begin = 0
        while len(found) - begin > _LONGEST:
            window = range(begin + _LONGEST - 1, begin + _LONGEST // 2, -1)
            cut = next((place + 1 for place in window if found[place].text in _ENDS), begin + _LONGEST)
            yield found[begin:cut]
            begin = cut
        if len(found) > begin:
            yield found[begin:]


@lru_cache(_REMEMBERED)
def _of_word(word: str) -> tuple[tuple[str, ...], tuple[str, ...], str, str, str]:
    """(features of a word, of a neighbour without the place, small letters, shape, short shape)."""
    lower = word.lower()
    shape = "".join("X" if c.isupper() else "d" if c.isdigit() else "x" if c.isalpha() else c for c in word[:20])
    short = re.sub(r"(.)\1+", r"\1", shape)
    own = [f"w={lower}", f"s={short}", f"S={shape}", f"n={min(len(word), 12)}"]
    own += [f"p{size}={lower[:size]}" for size in (1, 2, 3, 4) if len(lower) > size]
    own += [f"e{size}={lower[-size:]}" for size in (1, 2, 3, 4) if len(lower) > size]
    if not word[0].isalnum():
        own.append("sign")
    beside = (f"w={lower}", f"s={short}", f"e={lower[-3:]}", f"p={lower[:3]}")
    return tuple(own), beside, lower, shape, short


def features(stretch: Sequence[Token], lexicon: Lexicon) -> list[list[str]]:
    """What the field sees of each token: the word, its form, its neighbours, and what the lexicon says."""
    known = [_of_word(token.text) for token in stretch]
    said = [lexicon.says(word[2]) for word in known]
    last = len(stretch) - 1
    rows = []
    for place, (own, _, lower, _, short) in enumerate(known):
        row = ["1", *own, *said[place]]
        if place > 0:
            before = known[place - 1]
            row += [f"-{feature}" for feature in before[1]]
            row += [f"-{feature}" for feature in said[place - 1]]
            row += [f"-w|w={before[2]}|{lower}", f"-s|s={before[4]}|{short}"]
            if place > 1:
                row += (f"--w={known[place - 2][2]}", f"--s|s|s={known[place - 2][4]}|{before[4]}|{short}")
        else:
            row.append("first")
        if place < last:
            after = known[place + 1]
            row += [f"+{feature}" for feature in after[1]]
            row += [f"+{feature}" for feature in said[place + 1]]
            row += [f"w|+w={lower}|{after[2]}", f"s|+s={short}|{after[4]}"]
            if place < last - 1:
                row += (f"++w={known[place + 2][2]}", f"s|+s|++s={short}|{after[4]}|{known[place + 2][4]}")
        else:
            row.append("last")
        rows.append(row)
    return rows


def _tags(stretch: Sequence[Token], spans: Sequence[Span]) -> list[str]:
    """The tag of each token: it begins a span, is inside one, or outside of all."""
    tags = []
    place = bisect_left(spans, stretch[0].start, key=lambda span: span.end)
    begun = -1
    for token in stretch:
        while place < len(spans) and spans[place].end <= token.start:
            place += 1
        if place == len(spans) or token.end <= spans[place].start:
            tags.append(_OUTSIDE)
            continue
        tags.append(f"{'I' if begun == place else 'B'}-{spans[place].label}")
        begun = place
    return tags


def _runs(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(first, last, label) of each span; what is inside of nothing begins one."""
    begin: int | None = None
    for place, (tag, following) in enumerate(pairwise([*tags, _OUTSIDE])):
        if tag == _OUTSIDE:
            continue
        if begin is None:
            begin = place
        if following != f"I-{tag[2:]}":
            yield begin, place, tag[2:]
            begin = None
