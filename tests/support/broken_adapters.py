"""For each check of the conformance suite an adapter that breaks exactly what it checks."""

from __future__ import annotations

import pickle
import random
import re
import threading
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from lsml.adapters.base import Adapter, InteractiveAdapter, NotEnoughData, TrainableAdapter, silent
from lsml.values import Box, Choice, Keyframe, Mask, Span, Track

_WORDS = {"Bug": ("crash", "error"), "Billing": ("refund", "invoice")}


class Good(TrainableAdapter):
    """Counts which words go with which label: small, right, and the base of all that is broken below."""

    name = "good"
    title = "counts words"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Choice})

    def __init__(self, options, target):
        super().__init__(options, target)
        self.counts = {}

    @property
    def ready(self):
        return bool(self.counts)

    def fit(self, examples, seed, progress=silent):
        counts = {}
        for example in examples:
            for value in example.values:
                for word in example.data.split():
                    counts.setdefault(value.label, {}).setdefault(word, 0)
                    counts[value.label][word] += 1
        if len(counts) < 2:
            raise NotEnoughData("annotate two labels")
        self.counts = counts

    def predict(self, batch):
        return [self.answer(text) for text in batch] if self.ready else [[] for _ in batch]

    def answer(self, text):
        hits = {label: 1 + sum(words.get(word, 0) for word in text.split()) for label, words in self.counts.items()}
        return [Choice(label, count / sum(hits.values())) for label, count in sorted(hits.items())]

    def save(self, directory):
        (directory / "counts.json").write_bytes(msgspec.json.encode(self.counts))

    def load(self, directory):
        self.counts = msgspec.json.decode((directory / "counts.json").read_bytes())


class OfAnotherContract(Good):
    api = 2


class Vague(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    strength: int = 1


class WithAnUndescribedOption(Good):
    Options = Vague


class Lax(msgspec.Struct, frozen=True):
    strength: Annotated[int, Meta(description="How strong.", extra={"decides": "training"})] = 1


class WithLaxOptions(Good):
    Options = Lax


class ImportingItsLibrary(Good):
    requires = ("pickle",)  # this module imports it at its top


class Chatty(Good):
    """Answers before it learnt anything."""

    def predict(self, batch):
        return super().predict(batch) if self.ready else [[Choice("Bug", 0.5)] for _ in batch]


class DroppingQuietTexts(Good):
    """Leaves out what it has nothing to say of, as many do."""

    def predict(self, batch):
        return super().predict([text for text in batch if text]) if self.ready else [[] for _ in batch]


class Sorting(Good):
    """Answers in an order of its own."""

    def predict(self, batch):
        return super().predict(sorted(batch))


class FailingOnNothing(Good):
    def predict(self, batch):
        assert batch, "expected at least one text"
        return super().predict(batch)


class InventingLabels(Good):
    def answer(self, text):
        return [Choice(value.label.lower(), value.score) for value in super().answer(text)]


class NormalisingOverTheBatch(Good):
    def predict(self, batch):
        answered = super().predict(batch)
        top = max((value.score for values in answered for value in values), default=1)
        return [[Choice(value.label, value.score / top) for value in values] for values in answered]


class EatingItsBatch(Good):
    def predict(self, batch):
        answered = super().predict(batch)
        if isinstance(batch, list):
            batch.clear()
        return answered


class WithUnreadableLabels(Good):
    """Labels that no control can show."""

    def answer(self, text):
        return [Choice(f"{value.label}: {value.score:.2f}", value.score) for value in super().answer(text)]


class Shared(Good):
    """Keeps the text at hand in itself, so that threads mix theirs."""

    def predict(self, batch):
        answered = []
        for text in batch:
            self.text = text
            threading.Event().wait(0.001)
            answered.append(self.answer(self.text) if self.ready else [])
        return answered


class Credulous(Good):
    """Learns from anything."""

    def fit(self, examples, seed, progress=silent):
        try:
            super().fit(examples, seed, progress)
        except NotEnoughData:
            self.counts = {"Bug": {}, "Billing": {}}


class SayingTheSame(Good):
    def answer(self, text):
        return [Choice("Billing", 0.5), Choice("Bug", 0.5)]


class Moody(Good):
    """Random without the seed."""

    def fit(self, examples, seed, progress=silent):
        super().fit(examples, seed, progress)
        self.counts = {
            label: {word: count + random.random() for word, count in words.items()}
            for label, words in self.counts.items()
        }


class Pickling(Good):
    def save(self, directory):
        (directory / "counts").write_bytes(pickle.dumps(self.counts))

    def load(self, directory):
        self.counts = pickle.loads((directory / "counts").read_bytes())


class Forgetting(Good):
    """Saves where it was told, and loads from where it was."""

    def save(self, directory):
        (directory / "where.txt").write_text(str(directory))
        (directory / "counts.json").write_bytes(msgspec.json.encode(self.counts))

    def load(self, directory):
        from pathlib import Path

        self.counts = msgspec.json.decode((Path((directory / "where.txt").read_text()) / "counts.json").read_bytes())


class NeverReady(Good):
    @property
    def ready(self):
        return False


class Pretrained(Adapter):
    """Cannot learn, and is right: the checks of learning pass it by."""

    name = "pretrained"
    title = "knows two words for each label"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Choice})

    def predict(self, batch):
        return [
            [Choice(label, 0.9 if any(w in text for w in words) else 0.1) for label, words in _WORDS.items()]
            for text in batch
        ]


class Drawing(Adapter):
    """Draws a box and a mask of another size: small and right."""

    name = "drawing"
    title = "draws where a word stands"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Box, Mask})
    place = 0.5

    def predict(self, batch):
        label = self.target.labels[0]
        return [
            [
                Box(label=label, score=0.75, x=self.place, y=0.25, width=0.5, height=len(data) / 50 + 0.1),
                Mask(label=label, score=0.5, width=4, height=2, runs=(3, 1 + len(data) % 2, 4 - len(data) % 2)),
            ]
            for data in batch
        ]


class DrawingOnFiles(Drawing):
    """The same on pictures; a track on videos."""

    consumes: ClassVar = frozenset({"Image", "Video"})
    produces: ClassVar = frozenset({Box, Mask, Track})

    def predict(self, batch):
        keyframes = (Keyframe(0.0, 0.1, 0.1, 0.5, 0.5), Keyframe(0.33, 0.3, 0.1, 0.5, 0.5))
        track = [Track(label=self.target.labels[0], score=0.5, keyframes=keyframes)]
        drawn = super().predict([data.read_bytes()[:9] for data in batch])
        return [track if data.suffix == ".avi" else values for data, values in zip(batch, drawn, strict=True)]


class DrawingOutside(DrawingOnFiles):
    place = 0.75  # a box of half the width ends a quarter beyond the image


class Answering(InteractiveAdapter):
    """Repeats the label of what a person selected: small and right."""

    name = "answering"
    title = "repeats a label"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Choice})
    only_interactive = True

    def predict(self, batch):
        return [[] for _ in batch]

    def respond(self, data, prompts):
        return [Choice(value.label, 0.5) for value in prompts]


class AnsweringWithoutBeingAsked(Answering):
    def respond(self, data, prompts):
        return super().respond(data, prompts) or [Choice("Bug", 0.5)]


class MakingUpAnswers(Answering):
    def respond(self, data, prompts):
        return [Choice(value.label.upper(), 0.5) for value in prompts]


class Marking(Adapter):
    """Marks two words wherever they stand; cannot learn, and is right."""

    name = "marking"
    title = "marks two words"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Span})

    def predict(self, batch):
        return [
            [
                Span(*self.place(text, match.start(), match.end()), label, 0.9)
                for label, words in _WORDS.items()
                for match in re.finditer("|".join(words), text)
            ]
            for text in batch
        ]

    def place(self, text, start, end):
        return start, end


class CountingUnits(Marking):
    """Its offsets are those of UTF-16, as JavaScript's are."""

    def place(self, text, start, end):
        return tuple(len(text[:offset].encode("utf-16-le")) // 2 for offset in (start, end))


class MarkingOverTheEnd(Marking):
    def place(self, text, start, end):
        return start, len(text) + 1


# adapter -> the check that must fail; others may fail with it.
BROKEN = {
    CountingUnits: "test_spans_count_code_points",
    MarkingOverTheEnd: "test_values_survive_the_controls",
    OfAnotherContract: "test_it_declares_itself",
    WithAnUndescribedOption: "test_every_option_is_described_bounded_by_a_type_and_has_a_default",
    WithLaxOptions: "test_an_unknown_option_is_refused",
    ImportingItsLibrary: "test_importing_it_does_not_import_its_library",
    Chatty: "test_untrained_is_quiet",
    NeverReady: "test_untrained_is_quiet",
    DroppingQuietTexts: "test_one_list_of_values_for_each_element_in_order",
    Sorting: "test_one_list_of_values_for_each_element_in_order",
    FailingOnNothing: "test_an_empty_batch_gives_an_empty_list",
    InventingLabels: "test_labels_are_the_ones_given",
    NormalisingOverTheBatch: "test_a_prediction_does_not_depend_on_its_neighbours",
    EatingItsBatch: "test_inputs_are_left_untouched",
    WithUnreadableLabels: "test_values_survive_the_controls",
    AnsweringWithoutBeingAsked: "test_it_answers_what_a_person_made",
    MakingUpAnswers: "test_it_answers_what_a_person_made",
    Shared: "test_four_threads_agree",
    Credulous: "test_too_few_examples_raise_not_enough_data",
    SayingTheSame: "test_fit_beats_the_commonest_answer",
    Moody: "test_the_same_examples_and_seed_give_the_same_model",
    Pickling: "test_a_saved_version_loads_in_a_fresh_process_from_a_moved_folder",
    Forgetting: "test_a_saved_version_loads_in_a_fresh_process_from_a_moved_folder",
}
