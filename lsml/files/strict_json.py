"""JSON from outside, decoded so that it has one meaning: no key stands twice, and every text is valid Unicode."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

# Half of a surrogate pair: JSON's grammar allows it, but it is not a character and UTF-8 cannot encode it.
_LONE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


@dataclass(frozen=True)
class NotUnicode:
    """The placeholder for an entry of a list that holds half of a surrogate pair. `where`: its path, such as
    `tasks[3].data.text`.
    """

    where: str

    def __str__(self) -> str:
        return (
            f"{self.where}: holds half of a surrogate pair (\\ud800 to \\udfff), which is not a character; send both "
            "halves"
        )


def decode_json(content: bytes, *, spare: Collection[str] = ()) -> Any:
    """Return JSON as plain data. Raises ValueError with a sentence for invalid JSON, a repeated key, or half of a
    surrogate pair.

    `spare` names keys of the top object. In a list directly below one of them, an entry with half of a surrogate pair
    is replaced by a NotUnicode, and the other entries are kept.
    """
    try:
        decoded = _decode(content)
    except ValueError:
        mended = _LONE.sub(rb"\\ufffd", content)
        if mended == content:
            raise
        _decode(mended)  # also raises for other errors
        return _without_halves(decode_once(content.decode()), spare)
    if not _holds_as_many_texts(decoded, content):
        decode_once(content.decode())
    return decoded


def _decode(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _holds_as_many_texts(decoded: object, content: bytes) -> bool:
    """Return True if no text was lost in decoding. The decoder keeps only one value of a repeated key.

    Every text, keys included, has two quotes around it, so encoding again and counting quotes finds a loss. A quote inside
    a text is counted both times, unless it was written as its number; then False is returned, too.
    """
    try:
        return rb"\u0022" not in content and msgspec.json.encode(decoded).count(b'"') == content.count(b'"')
    except (OverflowError, RecursionError):
        return False


def decode_once(text: str) -> Any:
    """Return decoded JSON, halves of surrogate pairs included. Raises ValueError with a sentence for invalid JSON, or where an
    object has a key twice.
    """

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # adds, and is false
            raise ValueError(f"the key {_printable(twice)!r} occurs twice in one object, which is ambiguous")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_halves(decoded: object, spare: Collection[str]) -> Any:
    if isinstance(decoded, dict):
        for name in spare:
            entries = decoded.get(name)
            if isinstance(entries, list):
                decoded[name] = [
                    NotUnicode(where) if (where := first_half(entry, f"{name}[{number}]")) is not None else entry
                    for number, entry in enumerate(entries)
                ]
    where = first_half(decoded, "")
    if where is not None:
        raise ValueError(str(NotUnicode(where or "a text")))
    return decoded


def first_half(value: object, where: str) -> str | None:
    """Return the path of the first half of a surrogate pair in a value at path `where`; None where there is none."""
    waiting = [(value, where)]
    while waiting:
        one, path = waiting.pop()
        if isinstance(one, str) and _is_broken(one):
            return path
        if isinstance(one, dict):
            broken = next((key for key in one if _is_broken(key)), None)
            if broken is not None:
                return f"{path}: the key {_printable(broken)!r}".removeprefix(": ")
        waiting += _inside(one, path)
    return None


def _inside(value: object, path: str) -> Iterator[tuple[object, str]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield entry, f"{path}.{_printable(key)}".removeprefix(".")
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield entry, f"{path}[{number}]"


def _is_broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _printable(key: str) -> str:
    """Return a key of unknown origin, cut and made printable for a sentence."""
    return "".join(character if character.isprintable() else "?" for character in key[:60])
