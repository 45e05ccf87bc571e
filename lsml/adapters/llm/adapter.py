"""llm: choices, spans, texts, ratings and numbers for texts, by a language model behind any OpenAI-compatible endpoint.

The prompt follows from the labels and the recipe. The answer must fit a JSON Schema; it is checked, and asked for once more
if it is wrong. Spans are searched in the text. The text is data between two marks, and cannot change the instructions.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from lsml.adapters.base import TEXTS, Adapter, Data, Target
from lsml.adapters.llm import prompt as prompting
from lsml.adapters.llm.answer import Read, read, values_of
from lsml.adapters.llm.endpoint import Endpoint
from lsml.adapters.llm.options import LlmOptions
from lsml.adapters.parts.asking import Dropped, Rounds
from lsml.adapters.parts.kept import Kept
from lsml.labeling import ControlTag
from lsml.values import Choice, Number, Span, Text, Value

_log = logging.getLogger(__name__)
_FORMAT: Final = 1  # the format of cached answers; it changes when answers are read differently
_KEPT: Final = 200_000  # answers in the cache


class Llm(Adapter[LlmOptions]):
    """A language model's answers for a text. A blank text is not sent, and has no values."""

    name: ClassVar[str] = "llm"
    title: ClassVar[str] = "labels, spans, texts and numbers for texts, by any OpenAI-compatible language model"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Number, Span, Text})
    requires: ClassVar[tuple[str, ...]] = ("openai",)
    extra: ClassVar[str | None] = "llm"
    licence: ClassVar[str | None] = "Apache-2.0; the model's own terms bind you, too"
    Options: ClassVar[type[msgspec.Struct]] = LlmOptions

    def __init__(self, options: LlmOptions, target: Target) -> None:
        super().__init__(options, target)
        self._questions = prompting.asked(target.questions)
        self._system = prompting.instructions(options.prompt, self._questions)
        self._schema = prompting.schema(self._questions)
        self._endpoint = Endpoint(self.name, options)
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
    def limits(cls, options: LlmOptions, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """Return the controls whose answers cannot be separated in one request."""
        left = [question.name for question in target.questions if question not in prompting.asked(target.questions)]
        if not left:
            return None
        return (
            f"does not serve {', '.join(left)}: another control under the same key takes the same kind of value; "
            "give it a separate key"
        )

    @classmethod
    def facts(cls, options: LlmOptions, target: Target) -> Any:
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

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the model's values for each text (str), from several requests at once; cached answers are not asked for
        again.

        Raises AdapterError where a text has no answer. The other answers are cached, so that asking for each text alone
        afterwards costs nothing more, and gives each text's own error.
        """
        if not self.ready:
            return [[] for _ in batch]
        keys = [hashlib.sha256(self._salt + text.encode("utf-8", "surrogatepass")).digest() for text in batch]
        kept = self._answers.get(keys)
        known = {key: msgspec.json.decode(entry, type=list[Value]) for key, entry in kept.items()}
        new = {key: text for key, text in zip(keys, batch, strict=True) if key not in known and text.strip()}
        if new:
            found, failed = self._rounds.run(new, self._asked, alone=len(batch) == 1)
            self._answers.put({key: msgspec.json.encode(read.values) for key, read in found.items()})
            known.update((key, read.values) for key, read in found.items())
            self._count(list(found.values()))
            if failed:
                raise next(iter(failed.values()))
        return [known.get(key, []) for key in keys]

    def _count(self, found: Sequence[Read]) -> None:
        """Log the number of dropped spans."""
        dropped = sum(one.ungrounded for one in found)
        if dropped:
            spans = dropped + sum(isinstance(value, Span) for one in found for value in one.values)
            _log.warning(
                "%s: %d of %d spans were dropped, because their words are not in the text", self.name, dropped, spans
            )

    def _asked(self, text: str) -> Read:
        """Return the model's answer for one text. Raises Dropped or Away."""
        sent = prompting.messages(self._system, text)
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
        return values_of(answer, reply, self._questions, text, self.options.grounding)


def _asking(options: LlmOptions) -> dict[str, object]:
    """Return the options that decide an answer."""
    names = ("model", "base_url", "format", "temperature", "max_tokens", "logprobs", "grounding")
    return {name: getattr(options, name) for name in names}
