"""text-matcher: keywords, patterns and earlier annotations, found in texts. A person marks one mention and gets the others.

Patterns run on the `regex` package, which can stop one that takes too long. `re` cannot. RE2 never takes long, but its
`\\w`, `\\d` and `\\b` only know ASCII, and it has neither lookahead nor lookbehind.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import (
    PREDICTIONS,
    Data,
    Example,
    InteractiveAdapter,
    Progress,
    Target,
    TrainableAdapter,
    silent,
)
from lsml.adapters.parts.mentions import Hit, Mention, MentionFinder, as_spans, fold, longest, plain, trimmed
from lsml.adapters.parts.text_spans import word_bounds
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.values import Span, Value

_log = logging.getLogger(__name__)
_FILE: Final = "mentions.json"
_FORMAT: Final = 1
_PATIENCE: Final = 3  # time-outs of a pattern before it is no longer used
_LONGEST: Final = 200  # the most characters of a learnt mention
_BY_LABEL: Final = {**PREDICTIONS, "labels": True}


class TextMatcherOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `text-matcher`."""

    keywords: Annotated[
        dict[str, list[Annotated[str, Meta(min_length=1)]]],
        Meta(description="A map from a label to its words and phrases, which are matched literally.", extra=_BY_LABEL),
    ] = {}
    patterns: Annotated[
        dict[str, list[Annotated[str, Meta(min_length=1)]]],
        Meta(
            description="A map from a label to regular expressions, in the syntax of Python's `regex`.", extra=_BY_LABEL
        ),
    ] = {}
    file: Annotated[
        str | None,
        Meta(
            description=(
                "A text file of more keywords, relative to the recipe's folder. Each line has a keyword, a tab and "
                "its label."
            ),
            extra={**PREDICTIONS, "file": True},
        ),
    ] = None
    case: Annotated[
        Literal["auto", "match", "ignore"],
        Meta(
            description="The matching of upper and lower case. auto: a keyword with capitals matches as written or "
            "all in capitals, so that US is not us; a keyword in lower case matches any case.",
            extra=PREDICTIONS,
        ),
    ] = "auto"
    whole_words: Annotated[bool, Meta(description="`true` finds keywords only as whole words.", extra=PREDICTIONS)] = (
        True
    )
    timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="The most seconds for a pattern in one text; if it takes longer it finds nothing there, and after "
            f"{_PATIENCE} such texts it is no longer used.",
            extra=PREDICTIONS,
        ),
    ] = 1.0

    def __post_init__(self) -> None:
        for label, patterns in self.patterns.items():
            for pattern in patterns:
                problem = _pattern_problem(pattern)
                if problem:
                    raise ValueError(f"patterns.{label}: `{pattern}` is not a regular expression: {problem}")
        meant: dict[str, str] = {}
        for keyword, label in self.all_keywords():
            if not plain(keyword):
                raise ValueError(f"keywords.{label}: a keyword is blank; remove it")
            other = meant.setdefault(plain(keyword), label)
            if other != label:
                raise ValueError(f"`{keyword}` is a keyword of {other} and of {label}; keep it under one of them")

    def all_keywords(self) -> list[tuple[str, str]]:
        """Return (keyword, label) of the recipe and of its file. Raises ValueError where the file cannot be read."""
        listed = [(keyword, label) for label, keywords in self.keywords.items() for keyword in keywords]
        return listed + (_listed(Path(self.file)) if self.file else [])


class TextMatcher(TrainableAdapter[TextMatcherOptions], InteractiveAdapter[TextMatcherOptions]):
    """Spans that a list, a pattern or an annotator named. Of overlapping ones the longest is returned."""

    name: ClassVar[str] = "text-matcher"
    licence: ClassVar[str | None] = "Apache-2.0 and CNRI-Python (regex)"
    title: ClassVar[str] = (
        "finds keywords, patterns, earlier annotations, and the other mentions of what a person marks"
    )
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs"})
    produces: ClassVar[frozenset[type]] = frozenset({Span})
    requires: ClassVar[tuple[str, ...]] = ("regex",)
    starts_ready: ClassVar[bool] = True
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = TextMatcherOptions

    def __init__(self, options: TextMatcherOptions, target: Target) -> None:
        super().__init__(options, target)
        try:
            listed = [
                Mention(plain(keyword), label) for keyword, label in options.all_keywords() if self._selects(label)
            ]
        except ValueError as error:
            raise AdapterError(f"{self.name}: {error}") from error
        self._listed = MentionFinder(listed, whole=options.whole_words, case=options.case)
        self._learnt = MentionFinder((), whole=options.whole_words, case=options.case)
        self._patterns = [
            _Pattern(pattern, label)
            for label, patterns in options.patterns.items()
            if self._selects(label)
            for pattern in patterns
        ]

    @property
    def ready(self) -> bool:
        """True if there is anything to search. A person's selection is answered even without."""
        return bool(self._listed or self._learnt or self._patterns)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn annotated phrases, each with its label, unless it more often has another label or none.

        Raises NotEnoughData without two texts, of which one has a span, and where no phrase is left to learn.
        """
        texts = [(example.data, self._marked(example)) for example in examples]
        marked = sum(bool(spans) for _, spans in texts)
        if len(texts) < 2 or not marked:
            raise NotEnoughData(
                f"{marked} of {len(texts)} texts have a marked span; annotate at least two texts, and a span in one"
            )
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text, spans in texts:
            for start, end, label in spans:
                counts[plain(text[start:end])][label] += 1
        # The recipe decides on its own keywords.
        mentions = [
            Mention(written, max(sorted(labels), key=labels.__getitem__))
            for written, labels in sorted(counts.items())
            if written and len(written) <= _LONGEST and not self._listed.names(written)
        ]
        vocabulary = MentionFinder(mentions, whole=self.options.whole_words, case=self.options.case)
        right: Counter[Mention] = Counter()
        found: Counter[Mention] = Counter()
        for number, (text, spans) in enumerate(texts):
            if number % 100 == 0:
                progress(0.9 * number / len(texts), f"checking {len(mentions)} mentions in {len(texts)} texts")
            folded = fold(text)
            for hit in longest(text, [*self._listed.find(folded), *vocabulary.find(folded)]):
                found[hit.mention] += 1
                right[hit.mention] += (hit.start, hit.end, hit.mention.label) in spans
        kept = [
            # The score is the probability of the next one by Laplace's rule of succession.
            mention._replace(score=(right[mention] + 1) / (found[mention] + 2))
            for mention in mentions
            if 2 * right[mention] > found[mention]
        ]
        if not kept:
            raise NotEnoughData(
                f"none of {len(mentions)} phrases is annotated in most of its occurrences; annotate more texts"
            )
        self._learnt = MentionFinder(kept, whole=self.options.whole_words, case=self.options.case)
        progress(1.0, f"found {len(kept)} mentions in {len(texts)} texts")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return spans in the order of the text, with score 1 for the recipe's keywords, and for learnt ones the share of
        right places.
        """
        if not self.ready:
            return [[] for _ in batch]
        return [self._spans(text) for text in batch]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the other mentions in a text (str) of the phrases that a person marked there; whole words if whole words
        were marked.

        Marked places are not returned again.
        """
        text: str = data
        marked = [prompt for prompt in prompts if isinstance(prompt, Span) and prompt.end <= len(text)]
        starts, ends = map(set, word_bounds(text))
        mentions: dict[bool, list[Mention]] = {True: [], False: []}
        for prompt in marked:
            start, end = trimmed(text, prompt.start, prompt.end)
            if start < end and self._selects(prompt.label):
                mentions[start in starts and end in ends].append(Mention(plain(text[start:end]), prompt.label))
        folded = fold(text)
        hits = [
            hit
            for whole_words, some in mentions.items()
            if some
            for hit in MentionFinder(some, whole=whole_words, case=self.options.case).find(folded)
        ]
        return as_spans(longest(text, hits, held=[(prompt.start, prompt.end) for prompt in marked]))

    def save(self, directory: Path) -> None:
        """Write the learnt phrases, as JSON."""
        content = {"format": _FORMAT, "mentions": sorted(self._learnt.mentions)}
        (directory / _FILE).write_text(json.dumps(content), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        path = directory / _FILE
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != _FORMAT:
                raise ValueError("it has another format")
            mentions = msgspec.convert(content["mentions"], list[Mention])
        except (OSError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            raise VersionError(f"{path}: {self.name} cannot read it: {error}; restore it, or train again") from error
        self._learnt = MentionFinder(
            [
                mention
                for mention in mentions
                if self._selects(mention.label) and not self._listed.names(mention.written)
            ],
            whole=self.options.whole_words,
            case=self.options.case,
        )

    def _selects(self, label: str) -> bool:
        return self.target.open or label in self.target.labels

    def _marked(self, example: Example) -> set[tuple[int, int, str]]:
        return {
            (*trimmed(example.data, value.start, value.end), value.label)
            for value in example.values
            if isinstance(value, Span) and self._selects(value.label)
        }

    def _spans(self, text: str) -> list[Value]:
        folded = fold(text)
        hits = [*self._listed.find(folded), *self._learnt.find(folded)]
        for pattern in self._patterns:
            hits += pattern.find(text, self.options.timeout)
        return as_spans(longest(text, hits))


class _Pattern:
    """A regular expression of a recipe, with its number of time-outs."""

    def __init__(self, pattern: str, label: str) -> None:
        import regex

        self._regex = regex.compile(pattern)
        self._mention = Mention(pattern, label)
        self._late = 0

    def find(self, text: str, seconds: float) -> list[Hit]:
        """Return its matches; empty where that takes longer than `seconds`."""
        if self._late >= _PATIENCE:
            return []
        until = time.monotonic() + seconds
        hits = []
        try:
            # concurrent: lets other threads run.
            for match in self._regex.finditer(text, timeout=seconds, concurrent=True):
                if time.monotonic() > until:
                    raise TimeoutError
                if match.end() > match.start():
                    hits.append(Hit(match.start(), match.end(), self._mention))
        except TimeoutError:
            self._late += 1
            then = "it is no longer used; rewrite it" if self._late >= _PATIENCE else "it finds nothing there"
            _log.warning(
                "pattern %s of %s took more than %.3g s in a text; %s",
                self._mention.written, self._mention.label, seconds, then,
            )  # fmt: skip
            return []
        return hits


def _pattern_problem(pattern: str) -> str | None:
    import regex

    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        return str(error) or type(error).__name__
    return None


@lru_cache(maxsize=8)
def _read(path: Path, _changed_ns: int) -> list[tuple[str, str]]:
    """Return (keyword, label) of each line that is not blank."""
    listed = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        keyword, tab, label = line.partition("\t")
        if not tab or not keyword.strip() or not label.strip():
            raise ValueError(f"file: line {number} of {path.name} is not a keyword, a tab and a label; correct it")
        listed.append((sys.intern(keyword.strip()), sys.intern(label.strip())))
    return listed


def _listed(path: Path) -> list[tuple[str, str]]:
    """Return the content of a file of keywords. Raises ValueError, with a sentence."""
    if not path.is_absolute():
        raise ValueError(f"file: there is no {path}; give an existing file")
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ValueError(f"file: {path.name} cannot be read: {error.strerror}; repair it") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"file: {path.name} is not UTF-8; save it as UTF-8") from error
