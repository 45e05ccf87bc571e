"""A request's body as JSON that means one thing, or a sentence that says why not; and answers as JSON."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping

import msgspec
from flask import Response, g, request

from lsml.errors import RequestError, WrongType
from lsml.files.strict_json import decode_json


def read_object(spare: Collection[str] = ()) -> dict[str, object]:
    """The request's body as a JSON object; `spare` as in `decode_json`. Raises RequestError with a sentence.

    Its Content-Type must say JSON: a browser lets a page of another site send forms and plain text to anybody unasked.
    """
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise RequestError(f"Content-Encoding {encoding[:20]!r} is not read; send the body as it is")
    body = g.body = request.get_data()
    if not request.is_json:
        raise WrongType(
            f"Content-Type {request.mimetype[:100]!r}: expected application/json (curl -H 'Content-Type: application/json')"
        )
    return as_object(body, spare)


def as_object(body: bytes, spare: Collection[str] = ()) -> dict[str, object]:
    """A body as a JSON object; `spare` as in `decode_json`. Raises RequestError with a sentence."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body:
        raise RequestError("the body is empty; expected JSON")
    try:
        payload = decode_json(body, spare=spare)
    except ValueError as error:
        raise RequestError(f"the body is not JSON that can be read: {error}") from None
    if not isinstance(payload, dict):
        raise RequestError("expected a JSON object")
    return payload


def optional_text(payload: Mapping[str, object], name: str) -> str | None:
    """A member that may be missing, null or empty: then None. Raises RequestError where it is no text."""
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{name}: expected a text")
    return value or None


def answer(content: object, status: int = 200) -> Response:
    """JSON from anything that msgspec encodes."""
    return Response(msgspec.json.encode(content), status=status, mimetype="application/json")
