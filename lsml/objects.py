"""What an adapter sees of an object tag: one reader for each tag, chosen by the tag and never guessed from the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

from lsml.errors import LsmlError
from lsml.labeling import ObjectTag, resolve_value

Fetch = Callable[[str, Mapping[str, Any]], str]  # (a task's URL, the task) -> the text behind it; raises FetchError
Reader = Callable[[ObjectTag, Any], Any]

_SILENT = frozenset({"script", "style", "head", "title", "template"})
_BREAKING = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)


class Unreadable(LsmlError):
    """One task's data cannot be read. `reason` is a short, countable name; the text is the whole sentence."""

    status = 422

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class _Text(HTMLParser):
    """Collects what a browser would show as text; block elements and line breaks part words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKING:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKING:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def strip_markup(html: str) -> str:
    """The text of an HTML page or fragment: without tags, scripts and styles, white space folded within lines."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _as_text(tag: ObjectTag, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Unreadable(
        "wrong type", f"{tag.tag}#{tag.name} shows {tag.value}, which is {_kind(value)} in this task; expected a text"
    )


def _as_utterances(tag: ObjectTag, value: Any) -> str:
    """The utterances of a dialogue, one a line; the speakers' names are left out: they are no part of what was said."""
    key = tag.attributes.get("textKey", "text")
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise Unreadable(
            "wrong type",
            f"{tag.tag}#{tag.name} shows {tag.value}, which is {_kind(value)} in this task; expected a list of utterances",
        )
    return "\n".join(str(item.get(key, "")) for item in value if isinstance(item, Mapping))


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", list: "a list", dict: "an object", str: "a text"}
    return names.get(type(value), "a number")


READERS: dict[str, Reader] = {
    "Text": _as_text,
    "HyperText": lambda tag, value: strip_markup(_as_text(tag, value)),
    "Paragraphs": _as_utterances,
}


def needs_fetch(tag: ObjectTag) -> bool:
    """Whether the task holds a URL where the annotator sees what is behind it."""
    return tag.attributes.get("valueType", "").lower() == "url"


def read_object(tag: ObjectTag, task: Mapping[str, Any], fetch: Fetch) -> Any:
    """What an adapter sees of `tag` in `task`: a str for Text, HyperText and Paragraphs.

    Raises Unreadable, with a sentence that names the task's key; FetchError where a URL cannot be brought here.
    """
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise Unreadable("no data", 'the task has no data; expected {"data": {...}}')
    try:
        value = resolve_value(tag.value, data)
    except KeyError as missing:
        present = ", ".join(sorted(map(str, data))[:10]) or "nothing"
        raise Unreadable(
            "no data",
            f"{tag.tag}#{tag.name} shows {tag.value}, and the task's data has no {missing.args[0]!r}; it has {present}",
        ) from None
    if value is None:
        raise Unreadable("no data", f"{tag.tag}#{tag.name} shows {tag.value}, which is null in this task")
    if needs_fetch(tag) and isinstance(value, str):
        value = fetch(value, task)
        if tag.tag == "Paragraphs":
            value = _utterances_from_json(tag, value)
    read = READERS[tag.tag](tag, value)
    if isinstance(read, str) and not read.strip():
        raise Unreadable("empty", f"{tag.tag}#{tag.name} shows {tag.value}, which is empty in this task")
    return read


def _utterances_from_json(tag: ObjectTag, text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        raise Unreadable("wrong type", f"{tag.tag}#{tag.name}: what is behind its URL is not JSON") from None
