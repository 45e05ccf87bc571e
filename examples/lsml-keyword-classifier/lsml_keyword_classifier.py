"""keyword-classifier: learns which words speak for which label, and counts them."""

import json
from collections import Counter
from typing import Annotated

import msgspec

from lsml.adapters.base import Example, NotEnoughData, TrainableAdapter, silent
from lsml.values import Choice


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `keyword-classifier`."""

    shortest: Annotated[
        int, msgspec.Meta(ge=1, le=20, description="Letters of a word that counts.", extra={"decides": "training"})
    ] = 3


class KeywordClassifier(TrainableAdapter):
    """One label for a text: the one whose words occur most in it."""

    name, title = "keyword-classifier", "labels by the words that speak for them"
    consumes, produces = frozenset({"Text", "HyperText"}), frozenset({Choice})
    Options = Options

    words: dict[str, dict[str, int]] | None = None  # label -> word -> how often

    @property
    def ready(self) -> bool:
        return self.words is not None

    def fit(self, examples: list[Example], seed, progress=silent):
        words: dict[str, Counter] = {}
        for example in examples:
            for value in example.values:
                words.setdefault(value.label, Counter()).update(self._split(example.data))
        if len(words) < 2:
            raise NotEnoughData(f"the examples have {len(words)} labels; annotate at least two")
        self.words = words

    def predict(self, batch):
        return [self._answer(self._split(text)) if self.ready else [] for text in batch]

    def _answer(self, found):
        hits = {label: 1 + sum(known.get(word, 0) for word in found) for label, known in self.words.items()}
        return [Choice(label, count / sum(hits.values())) for label, count in sorted(hits.items())]

    def _split(self, text):
        return [word for word in text.lower().split() if len(word) >= self.options.shortest]

    def save(self, directory):
        (directory / "words.json").write_text(json.dumps(self.words))

    def load(self, directory):
        self.words = json.loads((directory / "words.json").read_text())
