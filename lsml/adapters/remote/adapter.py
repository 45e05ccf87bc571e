"""remote: choices, spans, texts and numbers from any HTTP service that answers in JSON. The recipe says what to send and where
in the answer the values stand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, Adapter, Data, Target
from lsml.adapters.parts.asking import Dropped, Retries, Rounds
from lsml.adapters.remote.paths import PATTERN, first_at, found_at
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Choice, Number, Span, Text, Value

if TYPE_CHECKING:
    from lsml.adapters.remote.service import Service

_TEXTS = frozenset({"Text", "HyperText", "Paragraphs"})
_NEEDS = {"choice": ("label",), "span": ("start", "end", "label"), "text": ("text",), "number": ("number",)}
_Path = Annotated[str, Meta(pattern=PATTERN)]


def _where(what: str) -> Meta:
    return Meta(description=f"Path from there to {what}.", extra=PREDICTIONS)


class RemoteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `remote`."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s@]+(/\S*)?|.*\$\{.*)?$",  # or what the environment says
            description="Where the service is asked, by POST. Nothing of a task becomes part of it.",
            extra=PREDICTIONS,
        ),
    ] = ""
    send: Annotated[
        Literal["json", "file"],
        Meta(
            description="json: the request below, for texts; file: the file's bytes, for sound and images.",
            extra=PREDICTIONS,
        ),
    ] = "json"
    request: Annotated[
        dict[str, Any],
        Meta(description="The JSON that is sent; `{text}` in its strings is the task's text.", extra=PREDICTIONS),
    ] = msgspec.field(default_factory=lambda: {"text": "{text}"})
    content_type: Annotated[
        str, Meta(description="What a file is said to be.", extra=PREDICTIONS, pattern=r"^[\w.+-]+/[\w.+-]+$")
    ] = "application/octet-stream"
    headers: Annotated[
        dict[str, Annotated[str, Meta(pattern=r"^[^\r\n]*$")]],
        Meta(description="More headers; none that is secret.", extra=PREDICTIONS),
    ] = {}
    authorization: Annotated[
        Annotated[str, Meta(pattern=r"^[^\r\n]*$")] | None,
        Meta(description="The Authorization header, as `Bearer ${MY_KEY}`.", extra={"decides": "secret"}),
    ] = None
    each: Annotated[
        _Path,
        Meta(
            description="Path to what holds a value each, such as `results[*]`; $: all of the answer.",
            extra=PREDICTIONS,
        ),
    ] = "$"
    label: Annotated[_Path, _where("a label or a class name, which `labels` translates")] = "label"
    score: Annotated[_Path, _where("a score from 0 to 1, where there is one")] = "score"
    start: Annotated[_Path, _where("a span's first character, counted from 0")] = "start"
    end: Annotated[_Path, _where("the character after a span")] = "end"
    text: Annotated[_Path, _where("a text")] = "text"
    number: Annotated[_Path, _where("a number")] = "number"
    private: Annotated[
        bool, Meta(description="Whether the service may be at an address that is not public.", extra=MACHINE)
    ] = False
    timeout: Annotated[float, Meta(gt=0, le=600, description="Seconds that an attempt may wait.", extra=MACHINE)] = 30.0
    retries: Retries = 2
    concurrency: Annotated[int, Meta(ge=1, le=64, description="Requests at once.", extra=MACHINE)] = 4


class Remote(Adapter):
    """What a service says. A blank text is not sent, and has no values."""

    name: ClassVar[str] = "remote"
    title: ClassVar[str] = "labels, spans, texts and numbers from any HTTP service that answers in JSON"
    consumes: ClassVar[frozenset[str]] = _TEXTS | {"Audio", "Image"}
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Number, Span, Text})
    licence: ClassVar[str | None] = "none of its own; the service's terms bind you"
    Options: ClassVar[type[msgspec.Struct]] = RemoteOptions

    def __init__(self, options: RemoteOptions, target: Target) -> None:
        super().__init__(options, target)
        self._kinds = [kind for kind in _NEEDS if kind in target.kinds]
        self._rounds = Rounds(self.name, options.concurrency)
        self._service: Service | None = None

    @classmethod
    def refusal(cls, options: Any, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Texts are sent as JSON, and files as they are."""
        wanted = "json" if object_tag.tag in _TEXTS else "file"
        if options.send == wanted:
            return None
        where = "write it under `options`"
        return f"{control_tag.selector}: remote asks a service about {object_tag.tag} with `send: {wanted}`; {where}"

    @classmethod
    def lacks(cls, options: Any, target: Target) -> str | None:
        """Where to ask."""
        return None if options.url else f"{cls.name}: no service is named; write `url` under `options`"

    @property
    def ready(self) -> bool:
        """True if it knows whom to ask."""
        return bool(self.options.url)

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """What the service says of each text (str) or file (Path). Raises AdapterError where one has no answer."""
        keys = [hashlib.sha256(str(data).encode("utf-8", "surrogatepass")).digest() for data in batch]
        asked = {key: data for key, data in zip(keys, batch, strict=True) if isinstance(data, Path) or data.strip()}
        if not asked or not self.ready:
            return [[] for _ in batch]
        found, failed = self._rounds.run(asked, self._answer, alone=len(batch) == 1)
        if failed:
            raise next(iter(failed.values()))
        return [found.get(key, []) for key in keys]

    def _answer(self, data: Data) -> list[Value]:
        from lsml.adapters.remote.service import Service, filled

        service = self._service = self._service or Service(self.name, self.options)
        if isinstance(data, Path):
            answer = service.ask(data.read_bytes(), self.options.content_type)
        else:
            body = json.dumps(filled(self.options.request, {"text": data})).encode()
            answer = service.ask(body, "application/json")
        found = found_at(self.options.each, answer)
        length = len(data) if isinstance(data, str) else None
        return [value for one in found for kind in self._kinds if (value := self._value(kind, one, length))]

    def _value(self, kind: str, one: Any, length: int | None) -> Value | None:
        """A value of that kind where the service gives all that it needs; None where it gives none of it. Raises Dropped."""
        given = {name: first_at(getattr(self.options, name), one) for name in (*_NEEDS[kind], "score")}
        if all(given[name] is None for name in _NEEDS[kind]):
            return None
        try:
            score = None if given["score"] is None else float(given["score"])
            if kind == "choice":
                return Choice(str(given["label"]), score)
            if kind == "number":
                return Number(float(given["number"]), score)
            if kind == "text":
                return Text(str(given["text"]), score)
            if (
                length is None
                or not all(type(given[name]) is int for name in ("start", "end"))
                or given["end"] > length
            ):
                raise ValueError("a span must lie in the text")
            return Span(given["start"], given["end"], str(given["label"] or ""), score)
        except (TypeError, ValueError) as error:
            raise Dropped(
                "wrong answer", f"{self.name}: the service's answer is no {kind} ({error}); check the paths"
            ) from error
