"""dates: the date or the time that people take from a text, of those that are written in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.found_dates import DateFinder, FoundDate
from lsml.adapters.parts.linear_head import Closeness
from lsml.adapters.parts.preference_head import PreferenceHead, PreferredItem
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.adapters.parts.text_features import TextFeatures, TextOptions
from lsml.errors import NotEnoughData
from lsml.values import Moment, Value

_WORD: Final = re.compile(r"\w+")
_BEFORE, _AFTER = 4, 2  # words around a date that tell what it is for
_MOST_RIVALS: Final = 50  # other dates of a text that one is compared with


class DatesOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `dates`."""

    languages: Annotated[
        tuple[Annotated[str, Meta(pattern="^[a-z]{2,3}$")], ...],
        Meta(
            description="The languages of the texts, by two-letter codes, the commonest first: it gives the names of months.",
            extra=PREDICTIONS,
        ),
    ] = ("en",)
    order: Annotated[
        Literal["DMY", "MDY", "YMD"] | None,
        Meta(
            description="What 03/04/2026 means: day, month, year, or month, day, year; null as in the first language.",
            extra=PREDICTIONS,
        ),
    ] = None
    C: Closeness = "auto"

    def __post_init__(self) -> None:
        if not self.languages:
            raise ValueError("languages: expected at least one, such as en")


class WrittenDate(NamedTuple):
    """A date of a text, and the words around it and its ranks as one text of features."""

    at: str
    features: str


class Dates(TrainableAdapter[DatesOptions]):
    """Every date and time written in a text, with the probability that people take it: before training all alike.

    It learns from words around a date, its form, and whether it is the first, the last, the earliest or the latest. Scores
    are smaller where people often take dates that are not written in the text.
    """

    name: ClassVar[str] = "dates"
    licence: ClassVar[str | None] = "BSD-3-Clause (dateparser, scikit-learn)"
    title: ClassVar[str] = "dates and times that are written in texts; learns which of several people take"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Moment})
    requires: ClassVar[tuple[str, ...]] = ("dateparser", "sklearn", "skops")
    extra: ClassVar[str | None] = "dates"
    starts_ready: ClassVar[bool] = True
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = DatesOptions

    def __init__(self, options: DatesOptions, target: Target) -> None:
        super().__init__(options, target)
        self._finder: DateFinder | None = None
        self._features: TextFeatures | None = None
        self._head: PreferenceHead
        self._written = 0.5  # the share of tasks whose date is written in the text
        self._notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about annotated dates that are not in their texts."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on texts and the date or time of each. Raises NotEnoughData where no text has the annotated date beside
        another one.
        """
        told = [
            (self._candidates(example.data), moment.at)
            for example in examples
            for moment in example.values[:1]
            if isinstance(moment, Moment)
        ]
        if len(told) < 2:
            raise NotEnoughData(f"{len(told)} texts have a date; annotate at least two")
        right = [[_is(one.at, at) for one in candidates] for candidates, at in told]
        comparisons = _comparisons(right)
        if len(comparisons) < 2:
            raise NotEnoughData("no text has the annotated date beside another one, so there is nothing to learn")
        progress(0.3, f"fitting {len(comparisons)} comparisons of dates")
        texts = [one.features for candidates, _ in told for one in candidates]
        features = TextFeatures.of_options(TextOptions(ngrams=(1, 1), characters=None))
        rows = features.fit_transform(lambda: texts)
        self._head = PreferenceHead.fit(rows, comparisons, self.options.C, seed)
        self._features = features
        written = sum(map(any, right))
        self._written = (written + 1) / (len(told) + 2)
        missing = len(told) - written
        self._notes = (f"the annotated date is not written in {missing} of {len(told)} texts",) if missing else ()
        progress(1.0, f"trained on {len(told)} texts")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return each date and time of a text once, with its probability, the likeliest first."""
        import numpy as np

        of_texts = [self._candidates(text) for text in batch]
        flat = [one.features for candidates in of_texts for one in candidates]
        worths = np.zeros(len(flat))
        if flat and self._features is not None:
            worths = self._head.worths(self._features.transform(flat))
        found: list[list[Value]] = []
        start = 0
        for candidates in of_texts:
            own = worths[start : start + len(candidates)]
            start += len(candidates)
            shares = np.exp(own - own.max(initial=0.0))
            shares *= self._written / (shares.sum() or 1.0)
            sums: dict[str, float] = {}
            for one, share in zip(candidates, shares.tolist(), strict=True):
                sums[one.at] = min(1.0, sums.get(one.at, 0.0) + share)
            found.append([Moment(at, share) for at, share in sorted(sums.items(), key=lambda one: -one[1])])
        return found

    def _candidates(self, text: str) -> list[WrittenDate]:
        if self._finder is None:
            self._finder = DateFinder(self.options.languages, self.options.order)
        found = self._finder.find(text)
        days = sorted({one.at for one in found if len(one.at) >= 10})
        return [WrittenDate(one.at, _features(text, found, index, days)) for index, one in enumerate(found)]

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        save_state(
            directory, {**self._head.state(), "features": self._features.state(), "written": float(self._written)}
        )

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            features = TextFeatures.restore(state["features"])
            head = PreferenceHead.restore(state, features.width)
            written = float(state["written"])
        self._features, self._head, self._written = features, head, written


def _features(text: str, found: Sequence[FoundDate], index: int, days: Sequence[str]) -> str:
    """Return the features of a date as words: `due_1` for the nearest word before it, `is_last`."""
    one = found[index]
    before = _WORD.findall(text[max(0, one.start - 80) : one.start])[::-1][:_BEFORE]
    after = _WORD.findall(text[one.end : one.end + 40])[:_AFTER]
    words = [f"{word}_{min(place, 2)}" for place, word in enumerate(before, 1)] + [f"after_{word}" for word in after]
    words.append("form_" + re.sub(r"\W+", "_", re.sub(r"\d", "0", re.sub(r"[^\W\d]+", "a", text[one.start : one.end]))))
    facts = {
        "first": index == 0, "second": index == 1, "last": index == len(found) - 1,
        "earliest": one.at in days[:1], "latest": one.at in days[-1:], "clock": ":" in one.at, "day": len(one.at) >= 10,
    }  # fmt: skip
    return " ".join(words + [f"is_{name}" for name, holds in facts.items() if holds])


def _is(found: str, annotated: str) -> bool:
    """Return True if a date that was found is the annotated one, in the parts that both have."""
    if annotated[2] == ":":
        return found.endswith(annotated)
    return len(found) >= min(len(annotated), 10) and (found.startswith(annotated) or annotated == f"{found}T00:00")


def _comparisons(right: Sequence[Sequence[bool]]) -> list[PreferredItem]:
    """Return each right date of a text beside each wrong one, as rows of all texts."""
    found = []
    start = 0
    for task, of_text in enumerate(right):
        wrong = [start + index for index, is_right in enumerate(of_text) if not is_right][:_MOST_RIVALS]
        found += [
            PreferredItem(start + index, other, task)
            for index, is_right in enumerate(of_text)
            if is_right
            for other in wrong
        ]
        start += len(of_text)
    return found
