"""A request's body as unambiguous JSON, or a sentence with the error; and responses as JSON."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping

import msgspec
from flask import Response, g, request

from lsml.errors import RequestError, WrongType
from lsml.files.strict_json import decode_json


def read_object(spare: Collection[str] = ()) -> dict[str, object]:
    """Return the request's body as a JSON object; `spare` as in `decode_json`. Raises RequestError with a sentence.

    Its Content-Type must be JSON: browsers let pages of other sites send forms and plain text anywhere.
    """
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise RequestError(f"Content-Encoding {encoding[:20]!r} is not supported; send the body uncompressed")
    body = g.body = request.get_data()
    if not request.is_json:
        raise WrongType(
            f"Content-Type {request.mimetype[:100]!r}: expected application/json (curl -H 'Content-Type: application/json')"
        )
    return as_object(body, spare)


def as_object(body: bytes, spare: Collection[str] = ()) -> dict[str, object]:
    """Return a body as a JSON object; `spare` as in `decode_json`. Raises RequestError with a sentence."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body:
        raise RequestError("the body is empty; expected JSON")
    try:
        payload = decode_json(body, spare=spare)
    except ValueError as error:
        raise RequestError(f"the body is not valid JSON: {error}") from None
    if not isinstance(payload, dict):
        raise RequestError("expected a JSON object")
    return payload


def optional_text(payload: Mapping[str, object], name: str) -> str | None:
    """Return a member that may be missing, null or empty: then None. Raises RequestError where it is no text."""
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{name}: expected a text")
    return value or None


def json_response(content: object, status: int = 200) -> Response:
    """Return a JSON response from anything that msgspec encodes."""
    return Response(msgspec.json.encode(content), status=status, mimetype="application/json")
