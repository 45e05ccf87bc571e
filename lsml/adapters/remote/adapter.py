"""remote: choices, spans, texts and numbers from any HTTP service that answers in JSON. The recipe declares the request, and
the paths of the values in the response."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import TEXTS, Adapter, Data, Target
from lsml.adapters.parts.asking import Dropped, Rounds
from lsml.adapters.remote.options import RemoteOptions
from lsml.adapters.remote.paths import first_at, found_at
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Choice, Number, Span, Text, Value

if TYPE_CHECKING:
    from lsml.adapters.remote.service import Service

_NEEDS = {"choice": ("label",), "span": ("start", "end", "label"), "text": ("text",), "number": ("number",)}


class Remote(Adapter[RemoteOptions]):
    """A service's answers. A blank text is not sent, and has no values."""

    name: ClassVar[str] = "remote"
    title: ClassVar[str] = "labels, spans, texts and numbers from any HTTP service that answers in JSON"
    consumes: ClassVar[frozenset[str]] = TEXTS | {"Audio", "Image"}
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Number, Span, Text})
    asks_service: ClassVar[bool] = True
    licence: ClassVar[str | None] = "none of its own; the service's terms bind you"
    Options: ClassVar[type[msgspec.Struct]] = RemoteOptions

    def __init__(self, options: RemoteOptions, target: Target) -> None:
        super().__init__(options, target)
        self._kinds = [kind for kind in _NEEDS if kind in target.kinds]
        self._rounds = Rounds(self.name, options.concurrency)
        self._service: Service | None = None

    @classmethod
    def variant(cls, options: Mapping[str, object]) -> type[Adapter]:
        """Return the class for another ML backend, where the protocol is Label Studio's."""
        if options.get("protocol") != "label-studio":
            return cls
        from lsml.adapters.remote.label_studio import LabelStudioBackend

        return LabelStudioBackend

    @classmethod
    def refusal(cls, options: RemoteOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return the setting of `send` that the object tag needs, where it is another: texts are sent as JSON, files
        unchanged.
        """
        wanted = "json" if object_tag.tag in TEXTS else "file"
        if options.send == wanted:
            return None
        where = "write it under `options`"
        return f"{control_tag.selector}: remote needs `send: {wanted}` for {object_tag.tag}; {where}"

    @classmethod
    def lacks(cls, options: RemoteOptions, target: Target) -> str | None:
        """Return that the URL is missing; or None."""
        return None if options.url else f"{cls.name}: the service's URL is missing; write `url` under `options`"

    @property
    def ready(self) -> bool:
        """True if it has a URL."""
        return bool(self.options.url)

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the service's values for each text (str) or file (Path). Raises AdapterError where one has no answer."""
        keys = [hashlib.sha256(str(data).encode("utf-8", "surrogatepass")).digest() for data in batch]
        asked = {key: data for key, data in zip(keys, batch, strict=True) if isinstance(data, Path) or data.strip()}
        if not asked or not self.ready:
            return [[] for _ in batch]
        found, failed = self._rounds.run(asked, self._values, alone=len(batch) == 1)
        if failed:
            raise next(iter(failed.values()))
        return [found.get(key, []) for key in keys]

    def _values(self, data: Data) -> list[Value]:
        from lsml.adapters.remote.service import Service, filled

        service = self._service = self._service or Service(self.name, self.options)
        if isinstance(data, Path):
            reply = service.ask(data.read_bytes(), self.options.content_type)
        else:
            body = json.dumps(filled(self.options.request, {"text": data})).encode()
            reply = service.ask(body, "application/json")
        found = found_at(self.options.each, reply)
        length = len(data) if isinstance(data, str) else None
        return [value for one in found for kind in self._kinds if (value := self._value(kind, one, length))]

    def _value(self, kind: str, one: object, length: int | None) -> Value | None:
        """Return a value of that kind; None where the answer holds none of its parts. Raises Dropped where a part is wrong."""
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
                raise ValueError("a span must be inside the text")
            return Span(given["start"], given["end"], str(given["label"] or ""), score)
        except (TypeError, ValueError) as error:
            raise Dropped(
                "wrong answer", f"{self.name}: the service's answer is not a valid {kind} ({error}); check the paths"
            ) from error
