"""JSON from outside as plain data in which every text is valid Unicode, so that nothing downstream trips over it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

# Half of a surrogate pair without its other half: legal in JSON's grammar, no character, and refused by UTF-8.
_LONE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def decode_json(content: bytes) -> Any:
    """Plain data; lone surrogates become the replacement character. Raises ValueError with a sentence."""
    try:
        return _decode(content)
    except ValueError:
        mended = _LONE.sub(rb"\\ufffd", content)
        if mended == content:
            raise
        return _decode(mended)


def _decode(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
