"""A search service that a recipe names: the model says what to search for, and sees what was found as one more document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lsml.adapters.llm.answer import Reply, read
from lsml.adapters.llm.documents import ShownPart
from lsml.adapters.llm.options import LlmOptions
from lsml.adapters.llm.prompt import RULE, Message, messages
from lsml.adapters.remote.options import RemoteOptions

_MOST: Final = 3  # queries for one element
_LONGEST: Final = 8000  # the most characters of what is found for a query
_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {"queries": {"type": "array", "items": {"type": "string"}}},
    "required": ["queries"],
    "additionalProperties": False,
}
_ASKED: Final = (
    "Before you answer, you can search. Answer with one JSON object, "
    f'{{"queries": [up to {_MOST} short queries]}}, an empty list where the document suffices.'
)


class Search:
    """The search service of a recipe. Threads may search at once."""

    def __init__(self, adapter: str, options: LlmOptions) -> None:
        self._adapter = adapter
        self._options = options

    def found(
        self, system: str, parts: Sequence[ShownPart], ask: Callable[[Sequence[Message], Mapping[str, object]], Reply]
    ) -> tuple[ShownPart, ...]:
        """Return what the service finds for the queries of a model, as parts. `ask`: asks the model.

        Raises Dropped or Away.
        """
        from lsml.adapters.remote.service import Service, filled

        if self._options.search_url is None:
            return ()
        sent = messages("\n\n".join([system, _ASKED, RULE]), parts, ())
        queries = read(ask(sent, _SCHEMA), _SCHEMA)["queries"]
        service = Service(f"{self._adapter}: search", self._service_options(self._options.search_url))
        found = []
        for query in list(dict.fromkeys(query.strip() for query in queries if query.strip()))[:_MOST]:
            body = filled(self._options.search_request, {"query": query})
            reply = service.ask(json.dumps(body).encode(), "application/json")
            found.append(ShownPart("found", f"{query}\n{json.dumps(reply, ensure_ascii=False)[:_LONGEST]}"))
        return tuple(found)

    def _service_options(self, url: str) -> RemoteOptions:
        return RemoteOptions(
            url=url,
            authorization=self._options.search_authorization,
            private=self._options.search_private,
            timeout=self._options.timeout,
            retries=self._options.retries,
        )
