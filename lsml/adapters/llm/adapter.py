"""llm: labels, spans, texts, ratings and numbers for texts and images, by a language model behind any OpenAI-compatible
endpoint.

The prompt follows from the labels and the recipe. It shows the most similar of the annotated tasks as examples. The answer must
fit a JSON Schema; it is checked, and asked for once more if it is wrong. Spans are searched in the text. The text is data
between two marks, and cannot change the instructions.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from lsml.adapters.base import TEXTS, Data, Example, InteractiveAdapter, Progress, Target, TrainableAdapter, silent
from lsml.adapters.llm import prompt as prompting
from lsml.adapters.llm.agreement import agreed
from lsml.adapters.llm.answer import Read, read, values_of
from lsml.adapters.llm.budget import Budget
from lsml.adapters.llm.documents import ShownPart, content_of, is_blank, parts_of, selected
from lsml.adapters.llm.endpoint import Endpoint
from lsml.adapters.llm.examples import Examples, ShownExample
from lsml.adapters.llm.options import LlmOptions
from lsml.adapters.llm.searching import Search
from lsml.adapters.parts.asking import Dropped, Rounds
from lsml.adapters.parts.kept import Kept
from lsml.errors import AdapterError
from lsml.values import AssignedValues, Choice, Number, Span, Text, Value

_log = logging.getLogger(__name__)
_FORMAT: Final = 2  # the format of cached answers; it changes when answers are read differently
_KEPT: Final = 200_000  # answers in the cache
_LONGEST_TYPED: Final = 4000  # characters of a prompt that a person types
_ByQuestion = dict[str, list[Value]]


class _ShownElement(msgspec.Struct, frozen=True):
    """One element to ask about: what the model sees of it, the examples beside it, and the instructions."""

    parts: tuple[ShownPart, ...]
    examples: list[ShownExample]
    system: str


class Llm(TrainableAdapter[LlmOptions], InteractiveAdapter[LlmOptions]):
    """A language model's answers for a text, an image, or items to compare. A blank text is not sent, and has no values.

    Its training only chooses annotated tasks as examples for the prompt.
    """

    name: ClassVar[str] = "llm"
    title: ClassVar[str] = (
        "labels, spans, texts and numbers for texts and images, by any OpenAI-compatible language model"
    )
    consumes: ClassVar[frozenset[str]] = TEXTS | {"Image"}
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Number, Span, Text})
    compares: ClassVar[bool] = True
    starts_ready: ClassVar[bool] = True
    asks_service: ClassVar[bool] = True
    reads_typed: ClassVar[bool] = True
    learns_unasked: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("openai", "PIL", "sklearn")
    extra: ClassVar[str | None] = "llm"
    licence: ClassVar[str | None] = "Apache-2.0; the model's own terms bind you, too"
    Options: ClassVar[type[msgspec.Struct]] = LlmOptions

    def __init__(self, options: LlmOptions, target: Target) -> None:
        super().__init__(options, target)
        self._questions = prompting.asked(target.questions)
        self._system = prompting.instructions(options.prompt, self._questions)
        self._schema = prompting.schema(self._questions)
        self._endpoint = Endpoint(self.name, options)
        self._search = Search(self.name, options)
        self._begin = options.prompt or prompting.DEFAULT
        self._examples: Examples | None = None
        self._notes: tuple[str, ...] = ()
        shape = msgspec.json.encode([_FORMAT, _asking(options), self._system, self._schema])
        self._salt = hashlib.sha256(shape).digest()
        self._answers = Kept(self.name, "answers", _KEPT)
        self._rounds = Rounds(self.name, options.concurrency)

    @classmethod
    def lacks(cls, options: LlmOptions, target: Target) -> str | None:
        """Return that the model's name is missing, or a key for OpenAI itself."""
        if not options.model:
            return f"{cls.name}: the model is missing; write `model` under `options`"
        if urlsplit(options.base_url).hostname == "api.openai.com" and not options.api_key:
            return f"{cls.name}: api.openai.com needs a key; write `api_key: ${{OPENAI_API_KEY}}` under `options`"
        if target.open:
            return (
                f"{cls.name}: its labels come with each task, but it needs them in advance; write them into the config"
            )
        return None

    @classmethod
    def paused(cls, options: LlmOptions) -> str | None:
        """Return that today's budget is used up; or None."""
        over = Budget(cls.name, options).exhausted()
        return f"{cls.name}: {over}; until then only cached answers are used" if over else None

    @classmethod
    def facts(cls, options: LlmOptions, target: Target) -> str:
        """Return a hash of the whole prompt, with the labels' descriptions."""
        told = prompting.instructions(options.prompt, prompting.asked(target.questions))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def own_names(self) -> bool:
        """False: it predicts the labels in its prompt."""
        return False

    @property
    def ready(self) -> bool:
        """True if it has an endpoint and a model."""
        return self.lacks(self.options, self.target) is None and bool(self._questions)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about annotated tasks that are no examples."""
        return self._notes

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Keep examples to choose from. Raises NotEnoughData where fewer than two have a whole answer, and AdapterError where
        the budget is used up, because nothing could be judged.
        """
        if why := self.paused(self.options):
            raise AdapterError(why)
        progress(0.1, f"choosing examples from {len(examples)} annotated tasks")
        self._examples, note = Examples.chosen(examples, self._questions, self.options.image_side, seed)
        self._notes = (note,) if note else ()
        progress(1.0, "chose the examples")

    def save(self, directory: Path) -> None:
        """Write the examples as one JSON file."""
        assert self._examples is not None, "a version without examples is never saved"
        self._examples.save(directory)

    def load(self, directory: Path) -> None:
        """Load saved examples. Raises VersionError."""
        self._examples = Examples.load(directory, self.name)

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the model's values for each text (str), image (Path) or Items, from several requests at once; cached answers
        are not asked for again.

        Raises AdapterError where an element has no answer. The other answers are cached, so that asking for each element
        alone afterwards costs nothing more, and gives each one's own error.
        """
        if not self.ready:
            return [[] for _ in batch]
        asked = {index: self._shown(data) for index, data in enumerate(batch) if not is_blank(data)}
        return self._values(batch, asked)

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the model's values for what a person typed about one element, or about the span or box selected in it; none
        where nothing was typed. Raises AdapterError.
        """
        typed = tuple(prompt.text.strip()[:_LONGEST_TYPED] for prompt in prompts if isinstance(prompt, Text))
        if not self.ready or not any(typed) or is_blank(data):
            return []
        parts = (*parts_of(data, self.options.image_side), *selected(data, prompts, self.options.image_side))
        system = prompting.instructions(self.options.prompt, self._questions, typed)
        return self._values([data], {0: _ShownElement(parts, [], system)})[0]

    def _values(self, batch: Sequence[Data], asked: Mapping[int, _ShownElement]) -> list[list[Value]]:
        """Return the values of each element, those of `asked` by its index; others have none. Raises AdapterError."""
        keys = {index: self._key(batch[index], one) for index, one in asked.items()}
        kept = self._answers.get(list(keys.values()))
        known = {key: msgspec.json.decode(entry, type=_ByQuestion) for key, entry in kept.items()}
        new = {key: asked[index] for index, key in keys.items() if key not in known}
        if new:
            found, failed = self._rounds.run(new, self._answered, alone=len(batch) == 1)
            self._answers.put({key: msgspec.json.encode(read.values) for key, read in found.items()})
            known.update((key, read.values) for key, read in found.items())
            self._count(list(found.values()))
            if failed:
                raise next(iter(failed.values()))
        return [AssignedValues(known[keys[index]]) if index in keys else [] for index in range(len(batch))]

    def _shown(self, data: Data) -> _ShownElement:
        parts = parts_of(data, self.options.image_side)
        examples = self._examples.nearest(parts, self.options.examples) if self._examples else []
        return _ShownElement(parts, examples, self._system)

    def _key(self, data: Data, asked: _ShownElement) -> bytes:
        """Return the key of a cached answer: a hash of everything that decides it."""
        beside = msgspec.json.encode([asked.examples, asked.system, asked.parts[1:]])
        return hashlib.sha256(self._salt + content_of(data) + hashlib.sha256(beside).digest()).digest()

    def _count(self, found: Sequence[Read]) -> None:
        """Log the number of dropped spans."""
        dropped = sum(one.ungrounded for one in found)
        if dropped:
            values = [value for one in found for own in one.values.values() for value in own]
            spans = dropped + sum(isinstance(value, Span) for value in values)
            _log.warning(
                "%s: %d of %d spans were dropped, because their words are not in the text", self.name, dropped, spans
            )

    def _answered(self, asked: _ShownElement) -> Read:
        """Return the model's answer, or that on which several agree. Raises Dropped or Away."""
        found = self._search.found(self._begin, asked.parts, self._endpoint.ask)
        sent = prompting.messages(asked.system, (*asked.parts, *found), asked.examples)
        if self.options.samples == 1:
            return self._sample(sent, asked)
        samples: list[Read] = []
        dropped: Dropped | None = None
        for _ in range(self.options.samples):
            try:
                samples.append(self._sample(sent, asked))
            except Dropped as error:
                dropped = error
        if not samples:
            assert dropped is not None
            raise dropped
        values = {one.name: agreed([sample.values[one.name] for sample in samples], one) for one in self._questions}
        return Read(values, sum(sample.ungrounded for sample in samples))

    def _sample(self, sent: Sequence[prompting.Message], asked: _ShownElement) -> Read:
        """Return one answer of the model. Raises Dropped or Away."""
        reply = self._endpoint.ask(sent, self._schema)
        try:
            answer = read(reply, self._schema)
        except Dropped as error:
            if not reply.complete:
                raise Dropped(error.reason, f"{self.name}: the model's answer was dropped: {error}") from error
            # Ask once more, with the error.
            reply = self._endpoint.ask(prompting.corrected(sent, reply.text, str(error)), self._schema)
            try:
                answer = read(reply, self._schema)
            except Dropped as again:
                raise Dropped(again.reason, f"{self.name}: the model's answer was dropped, twice: {again}") from again
        return values_of(answer, reply, self._questions, asked.parts[0].text, self.options.grounding)


def _asking(options: LlmOptions) -> dict[str, object]:
    """Return the options that decide an answer."""
    names = (
        "model",
        "base_url",
        "format",
        "temperature",
        "samples",
        "max_tokens",
        "image_side",
        "logprobs",
        "grounding",
        "search_url",
        "search_request",
    )
    return {name: getattr(options, name) for name in names}
