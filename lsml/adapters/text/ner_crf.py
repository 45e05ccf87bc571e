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
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.text_features import TextOptions, text_rows
from lsml.adapters.parts.text_spans import PASSED_OVER, Token, inner, notes_of, outermost, parted, tokens
from lsml.errors import NotEnoughData, VersionError
from lsml.values import DecidedSpans, Span, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows


_MODEL: Final = "model.crfsuite"
_LEXICON_FILE: Final = "facts.json"
_FORMAT: Final = 2
_MAGIC: Final = b"lCRF"
_LONGEST: Final = 400  # the most tokens that are tagged at once; longer lines are cut at the ends of sentences
_OUTSIDE: Final = "O"
_SMALL: Final = "small"
_CAPITAL: Final = "capital"
_NEW: Final = 3  # of this many texts with spans, at least one is treated as having new names
_ENDS: Final = frozenset(".!?…。！？।")
# (c1, c2) that `auto` chooses from: many weak features, or few strong ones, as where a capital alone marks a name.
_SETTINGS: Final = ((0.0, 0.1), (0.05, 0.01))
_FOLDS: Final = 3
_MOST_TRIED: Final = 200  # texts; with more, each feature occurs often enough
_REMEMBERED: Final = 1 << 15  # words whose features are cached


class NerCrfOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `ner-crf`."""

    c1: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | Literal["auto"],
        Meta(
            description="The L1 regularisation; more drops more features. auto: 0 or 0.05, chosen by cross-validation "
            "of up to 200 texts.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number from 0 to 100, or auto"},
        ),
    ] = "auto"
    c2: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | Literal["auto"],
        Meta(
            description="The L2 regularisation; more resists noisy annotations. auto: 0.1 or 0.01, chosen by "
            "cross-validation of up to 200 texts.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number from 0 to 100, or auto"},
        ),
    ] = "auto"
    iterations: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="The most steps of the optimiser; with more, the fit is closer.",
            extra=TRAINING,
        ),
    ] = 150


class NerCrf(TrainableAdapter[NerCrfOptions]):
    """Labelled spans of a text: whole words, with one label or several, none inside another."""

    name: ClassVar[str] = "ner-crf"
    title: ClassVar[str] = "entities in texts, trained on a few dozen sentences in a second"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    passes_over: ClassVar[str | None] = PASSED_OVER
    requires: ClassVar[tuple[str, ...]] = ("pycrfsuite",)
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = NerCrfOptions

    def __init__(self, options: NerCrfOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model = b""
        self._lexicon: Lexicon
        self._inner = 0  # spans that were not used for training, because they overlap longer ones
        self._lock = threading.Lock()
        self._tagger: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about spans that were not used, if there are any."""
        return notes_of(self._inner)

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return bool(self._model)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts (str) and their spans; labels that the target does not have are ignored.

        Of overlapping spans it is trained on the longest, with all labels of its place; it is extended to whole words.
        Raises NotEnoughData without two texts, of which one has a span.
        """
        import pycrfsuite

        allowed = None if self.target.open else set(self.target.labels)
        texts = [(example.data, outermost(example.values, allowed)) for example in examples]
        self._inner = sum(
            inner(example.values, spans, allowed) for example, (_, spans) in zip(examples, texts, strict=True)
        )
        marked = sum(bool(spans) for _, spans in texts)
        if len(texts) < 2 or not marked:
            raise NotEnoughData(
                f"{marked} of {len(texts)} texts have a marked span; annotate at least two texts, and a span in one"
            )
        progress(0.0, f"reading {len(texts)} texts")
        c1, c2 = self._regularisation(examples, seed)
        lexicon = Lexicon.of(texts)
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(
            {
                "c1": c1,
                "c2": c2,
                "max_iterations": self.options.iterations,
                "feature.possible_transitions": True,
            }
        )
        for number, (text, spans, own) in enumerate(_told_by_others(texts, lexicon)):
            if number % 100 == 0:
                progress(0.2 * number / len(texts), f"read {number} of {len(texts)} texts")
            for stretch in stretches(text):
                trainer.append(features(stretch, own), _tags(stretch, spans))
        progress(0.2, f"training on {len(texts)} texts")
        with tempfile.TemporaryDirectory(prefix="lsml-") as directory:
            path = Path(directory) / _MODEL
            trainer.train(str(path))
            self._become(path.read_bytes(), lexicon)
        progress(
            1.0,
            (
                f"trained on {sum(len(parted(span)) for _, spans in texts for span in spans)} spans in {len(texts)} "
                "texts"
            ),
        )

    def _regularisation(self, examples: Sequence[Example], seed: int) -> tuple[float, float]:
        """Return (c1, c2): those of the options, or those whose answers to left out texts have the best strict F1."""
        c1, c2 = self.options.c1, self.options.c2
        possible = dict.fromkeys((one if c1 == "auto" else c1, two if c2 == "auto" else c2) for one, two in _SETTINGS)
        first, *others = possible
        if not others or len(examples) > _MOST_TRIED:
            return first
        return max(possible, key=lambda setting: self._tried(setting, examples, seed))

    def _tried(self, setting: tuple[float, float], examples: Sequence[Example], seed: int) -> float:
        """Return the strict F1 of answers to texts that were left out."""
        right = said = true = 0
        options = msgspec.structs.replace(self.options, c1=setting[0], c2=setting[1])
        for fold in range(_FOLDS):
            left = examples[fold::_FOLDS]
            adapter = NerCrf(options, self.target)
            try:
                adapter.fit([example for index, example in enumerate(examples) if index % _FOLDS != fold], seed)
            except NotEnoughData:
                continue
            for example, values in zip(left, adapter.predict([one.data for one in left]), strict=True):
                truth, guess = ({(v.start, v.end, v.label) for v in of if isinstance(v, Span)}
                                for of in (example.values, values))  # fmt: skip
                right, said, true = right + len(truth & guess), said + len(guess), true + len(truth)
        return 2 * right / (said + true) if said + true else 0.0

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return spans in the order of the text, each with the probability of its least sure word, and those of all words."""
        return [self._spans(text) for text in batch] if self._model else [[] for _ in batch]

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return TF-IDF of the n-grams of these texts."""
        return text_rows(TextOptions(), batch)

    def save(self, directory: Path) -> None:
        """Write CRFsuite's file, which holds only numbers and names, and the lexicon of annotated words."""
        assert self._model, "an untrained model is never saved"
        (directory / _MODEL).write_bytes(self._model)
        facts = {"format": _FORMAT, "lexicon": self._lexicon.counts}
        (directory / _LEXICON_FILE).write_text(json.dumps(facts, sort_keys=True), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        try:
            model = (directory / _MODEL).read_bytes()
            facts = json.loads((directory / _LEXICON_FILE).read_bytes())
            if facts["format"] != _FORMAT:
                raise ValueError("it has another format")
            lexicon = Lexicon(msgspec.convert(facts["lexicon"], dict[str, dict[str, int]]))
            # CRFsuite trusts its file, so a truncated one could crash the process.
            if model[:4] != _MAGIC or int.from_bytes(model[4:8], sys.byteorder) != len(model):
                raise ValueError(f"{_MODEL} is incomplete")
        except (OSError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        self._become(model, lexicon)

    def _become(self, model: bytes, lexicon: Lexicon) -> None:
        import pycrfsuite

        tagger = pycrfsuite.Tagger()
        tagger.open_inmemory(model)
        with self._lock:
            self._model, self._lexicon, self._tagger = model, lexicon, tagger

    def _spans(self, text: str) -> DecidedSpans:
        found: list[Value] = []
        decisions: list[float] = []  # the probability of each word's tag
        for stretch in stretches(text):
            rows = features(stretch, self._lexicon)
            with self._lock:  # a tagger keeps the current sequence
                tags = self._tagger.tag(rows)
                said = [min(1.0, max(0.0, self._tagger.marginal(tag, index))) for index, tag in enumerate(tags)]
            for first, last, label in _runs(tags):
                score = min(said[first : last + 1])
                found += parted(Span(stretch[first].start, stretch[last].end, label, score))
            decisions += said
        return DecidedSpans(found, decisions=decisions)


class Lexicon:
    """Counts of training texts for each word in lower case: its labels, its places without a label, and its places with a
    capital inside a sentence, or in lower case.
    """

    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self.counts = counts
        self._said: dict[str, _Said] = {}

    @classmethod
    def of(cls, texts: Iterable[tuple[str, Sequence[Span]]]) -> Lexicon:
        """Return the counts of all texts."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text, spans in texts:
            for word, fact in _observed(text, spans):
                counts[word][fact] += 1
        return cls({word: dict(facts) for word, facts in counts.items()})

    def without(self, text: str, spans: Sequence[Span]) -> Lexicon:
        """Return the counts of all other texts, as a text must not learn from its own counts."""
        own: dict[str, Counter[str]] = defaultdict(Counter)
        for word, fact in _observed(text, spans):
            own[word][fact] += 1
        return Lexicon(
            {
                word: {fact: count - facts[fact] for fact, count in self.counts[word].items()}
                for word, facts in own.items()
            }
        )

    def knows(self, text: str, spans: Sequence[Span]) -> bool:
        """Return True if every word in the spans of a text is annotated in other texts."""
        return all(
            any(fact[0] == "-" and count for fact, count in self.counts.get(word, {}).items())
            for word, fact in _observed(text, spans)
            if fact[0] == "-"
        )

    def less(self, text: str, spans: Sequence[Span]) -> Lexicon:
        """Return the counts without the words in the spans of a text."""
        marked = {word for word, fact in _observed(text, spans) if fact[0] == "-"}
        return Lexicon({word: facts for word, facts in self.counts.items() if word not in marked})

    def says(self, word: str) -> _Said:
        """Return features of a word: the share of each label, and its capitals. A new word has none."""
        facts = self.counts.get(word)
        if not facts:
            return _NOTHING
        said = self._said.get(word)
        if said is None:
            labels = [(fact, count) for fact, count in sorted(facts.items()) if count and fact[0] in "O-"]
            total = sum(count for _, count in labels)
            shares = [f"lex={label} {min(3, 4 * count // total)}" for label, count in labels]
            small, capital = facts.get(_SMALL, 0), facts.get(_CAPITAL, 0)
            case = "small" if small >= 4 * capital else "capital" if capital >= 4 * small else "mixed"
            if small + capital:
                shares.append(f"case={case}")
            before, after = (tuple(f"{side}{share}" for share in shares) for side in "-+")
            said = self._said[word] = _Said(tuple(shares), before, after, case if small + capital else "")
        return said


def _told_by_others(
    texts: Iterable[tuple[str, Sequence[Span]]], lexicon: Lexicon
) -> Iterator[tuple[str, Sequence[Span], Lexicon]]:
    """Yield each text with its spans and the other texts' counts of its words.

    If the same names occur again and again, nothing would teach the model about new ones. Then some texts are read as
    if their names were new.
    """
    marked = new = 0
    for text, spans in texts:
        own = lexicon.without(text, spans)
        if spans and own.knows(text, spans):
            if new * _NEW < marked:
                own, new = own.less(text, spans), new + 1
        else:
            new += bool(spans)
        marked += bool(spans)
        yield text, spans, own


class _Said(NamedTuple):
    """A lexicon's features of a word: for the word itself, for the one after it, and for the one before it."""

    own: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    case: str


_NOTHING: Final = _Said((), (), (), "")


def _observed(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Yield (word in lower case, its tag without position, or its capitals) for every word of a text."""
    for stretch in stretches(text):
        for index, (token, tag) in enumerate(zip(stretch, _tags(stretch, spans), strict=True)):
            word = token.text.lower()
            yield word, tag[1:] or _OUTSIDE  # only labels have a "-"
            if token.text[0].islower():
                yield word, _SMALL
            elif index and token.text[0].isupper():
                yield word, _CAPITAL


def stretches(text: str) -> Iterator[list[Token]]:
    """Yield the tokens that are tagged at once: those of a line; of a long line those of some sentences."""
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


class _Word(NamedTuple):
    """The features of a word that do not depend on its place: lower case, shape, features, and those for a neighbour."""

    lower: str
    shape: str
    own: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@lru_cache(_REMEMBERED)
def _of_word(word: str) -> _Word:
    lower = word.lower()
    shape = "".join("X" if c.isupper() else "d" if c.isdigit() else "x" if c.isalpha() else c for c in word[:20])
    short = re.sub(r"(.)\1+", r"\1+", shape)
    own = [f"W={word}", f"w={lower}", f"s={short}"]
    if len(shape) < 8:
        own.append(f"S={shape}")
    for size in (1, 2, 3, 4):
        if len(lower) > size:
            own += (f"p={lower[:size]}", f"e={lower[-size:]}")
    return _Word(lower, short, tuple(own), (f"-w={lower}", f"-s={short}"), (f"+w={lower}", f"+s={short}"))


@lru_cache(_REMEMBERED)
def _of_shapes(two_before: str, before: str, shape: str, after: str, two_after: str) -> tuple[str, ...]:
    return (
        f"-s|s={before} {shape}", f"s|+s={shape} {after}", f"-s|s|+s={before} {shape} {after}",
        f"--s|-s|s={two_before} {before} {shape}", f"s|+s|++s={shape} {after} {two_after}",
    )  # fmt: skip


_BEGIN: Final = _Word("", "[", (), ("first",), ())
_END: Final = _Word("", "]", (), (), ("last",))


def features(stretch: Sequence[Token], lexicon: Lexicon) -> list[list[str]]:
    """Return the features of each token: the word, its form, its neighbours, and the lexicon's features of the three."""
    words = [_BEGIN, _BEGIN, *(_of_word(token.text) for token in stretch), _END, _END]
    facts = [_NOTHING, *(lexicon.says(word.lower) for word in words[2:-2]), _NOTHING]
    lowers = [word.lower for word in words]
    shapes = [word.shape for word in words]
    rows = []
    for index in range(len(stretch)):
        two_before, before, lower, after, two_after = lowers[index : index + 5]
        said = facts[index + 1]
        rows.append(
            [
                "1", *words[index + 2].own, *words[index + 1].before, *words[index + 3].after,
                f"--w={two_before}", f"-w|w={before} {lower}", f"w|+w={lower} {after}", f"++w={two_after}",
                *_of_shapes(*shapes[index : index + 5]),
                *said.own, *facts[index].before, *facts[index + 2].after, f"s|{said.case}={shapes[index + 2]}",
            ]
        )  # fmt: skip
    rows[0].append(f"first|{facts[1].case}")
    return rows


def _tags(stretch: Sequence[Token], spans: Sequence[Span]) -> list[str]:
    """Return the tag of each token: it begins a span, is inside one, or outside of all."""
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
    """Yield (first, last, label) of each span; an inside tag after none begins one."""
    begin: int | None = None
    for index, (tag, following) in enumerate(pairwise([*tags, _OUTSIDE])):
        if tag == _OUTSIDE:
            continue
        if begin is None:
            begin = index
        if following != f"I-{tag[2:]}":
            yield begin, index, tag[2:]
            begin = None
