"""Requests that arrived together: the first that is answered can have what the others ask for worked out with its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from waitress.parser import HTTPRequestParser


ARRIVALS: Final = "lsml.arrivals"  # where a request's environment holds its Arrivals
REQUEST: Final = "lsml.request"  # and which of them it is
_OF_ITS_OWN: Final = frozenset({"CONTENT_LENGTH", "X_REQUEST_ID"})  # headers that decide nothing


class Arrivals:
    """Small requests that one look at the connections brought, in the order in which they are answered.

    What was worked out ahead is handed out only to the request it is for, when its own turn comes: after whoever guards the
    application let it pass. Bodies are read at the start, for later another thread may be answering some of them.
    """

    def __init__(self, requests: Sequence[HTTPRequestParser]) -> None:
        self._waiting = [(request, _body(request)) for request in requests]
        self._ahead: dict[int, object] = {}

    def turn(self, request: HTTPRequestParser) -> Any:
        """Begin a request: what was worked out for it, or None."""
        self._waiting = [one for one in self._waiting if one[0] is not request]
        return self._ahead.pop(id(request), None)

    def alike(self, request: HTTPRequestParser) -> Iterator[tuple[HTTPRequestParser, bytes]]:
        """Those that wait, with their bodies, and that ask at the same address with the same headers, so that what may be
        said to the one may be said to the other."""
        own = _address(request)
        for one, body in self._waiting:
            if one is not request and _address(one) == own:
                yield one, body

    def keep(self, request: HTTPRequestParser, worked_out: object) -> None:
        """Have `worked_out` handed out when the request's turn comes."""
        self._ahead[id(request)] = worked_out


def _body(request: HTTPRequestParser) -> bytes:
    stream = request.get_body_stream()
    body: bytes = stream.read()
    stream.seek(0)
    return body


def _address(request: HTTPRequestParser) -> tuple[object, ...]:
    headers: Mapping[str, str] = request.headers
    return (
        request.command,
        request.path,
        request.query,
        {name: value for name, value in headers.items() if name not in _OF_ITS_OWN},
    )
