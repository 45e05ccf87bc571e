"""Requests that arrived together: the first one can compute the results of the others with its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from waitress.parser import HTTPRequestParser


ARRIVALS: Final = "lsml.arrivals"  # the key of Arrivals in a request's environment
REQUEST: Final = "lsml.request"  # and the key of the request itself
BUSY: Final = "lsml.busy"  # in the environment of a prediction that came while too many requests waited
_OF_ITS_OWN: Final = frozenset({"CONTENT_LENGTH", "X_REQUEST_ID"})  # headers that do not affect access


class Arrivals:
    """Small requests that arrived in one turn of the loop, in the order in which they are answered.

    A result that was computed ahead is given only to its own request, when its turn comes and the guard has let it
    pass. Bodies are read at the start, as another thread may answer some of them later.
    """

    def __init__(self, requests: Sequence[HTTPRequestParser]) -> None:
        self._waiting = [(request, _body(request)) for request in requests]
        self._ahead: dict[int, object] = {}

    def turn(self, request: HTTPRequestParser) -> Any:
        """Begin a request. Return the result that was computed for it, or None."""
        self._waiting = [one for one in self._waiting if one[0] is not request]
        return self._ahead.pop(id(request), None)

    def alike(self, request: HTTPRequestParser) -> Iterator[tuple[HTTPRequestParser, bytes]]:
        """Yield waiting requests, with their bodies, that have the same address and headers, and so the same access."""
        own = _address(request)
        for one, body in self._waiting:
            if one is not request and _address(one) == own:
                yield one, body

    def keep(self, request: HTTPRequestParser, worked_out: object) -> None:
        """Keep a result for when the request's turn comes."""
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
