"""The texts that text tags show, and the only place where Label Studio's offsets are converted to lsml's.

lsml's offsets count code points of `text`. Label Studio's editor (1.23.2, tested in a browser) counts

- in a Text code points, and a line break as one for each `\\n` and `\\r`;
- in a page UTF-16 code units within a text node that an XPath names, and code points of the whole page in
  `globalOffsets`, with one for each `<br>`; it reads `globalOffsets` only where the XPaths match no node;
- in a dialogue UTF-16 code units within a paragraph.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lsml.labeling.html import as_edited
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import Document, whole_number


class PlainText(Document):
    """The text of a `<Text>`. `saves_text`: regions repeat their text, as the tag's `saveTextResult` says. A NUL is
    dropped, as the browser does: it is not shown, and offsets do not count it.
    """

    def __init__(self, text: str, *, saves_text: bool = True) -> None:
        self.text = text.replace("\0", "") if "\0" in text else text
        self._saves_text = saves_text

    def region_value(self, start: int, end: int) -> dict[str, object]:
        """Return `start` and `end` unchanged."""
        value: dict[str, object] = {"start": start, "end": end}
        if self._saves_text:
            value["text"] = self.text[start:end]
        return value

    def _told(self, value: Mapping[str, object]) -> tuple[int, int] | None:
        start, end = _in_order(value.get("start"), value.get("end"))
        return (start, end) if end <= len(self.text) else None

    def _otherwise(self, value: Mapping[str, object], own: str) -> Iterator[tuple[int, int]]:
        start, end = _in_order(value.get("start"), value.get("end"))
        for units in (True, False):
            if units:
                yield _points_or_beyond(self.text, start), _points_or_beyond(self.text, end)
            if "\r\n" in self.text:
                yield _folded_breaks(self.text, start, units=units), _folded_breaks(self.text, end, units=units)
        yield from self._nearby(own, start)


class Dialogue(Document):
    """The text of a `<Paragraphs>`: its utterances, joined by line breaks."""

    def __init__(self, utterances: Sequence[str], *, saves_text: bool = True) -> None:
        self._utterances = [utterance.replace("\0", "") for utterance in utterances]
        self.text = "\n".join(self._utterances)
        self._saves_text = saves_text
        self._starts: list[int] = []
        position = 0
        for utterance in self._utterances:
            self._starts.append(position)
            position += len(utterance) + 1

    def region_value(self, start: int, end: int) -> dict[str, object]:
        """Return the indices of the paragraphs, and offsets in them. A break between two belongs to neither."""
        first = bisect_right(self._starts, start) - 1
        while first < len(self._starts) - 1 and start >= self._starts[first] + len(self._utterances[first]):
            first += 1
            start = self._starts[first]
        last = bisect_left(self._starts, end) - 1
        end = min(end, self._starts[last] + len(self._utterances[last]))
        while last > first and end <= self._starts[last]:
            last -= 1
            end = self._starts[last] + len(self._utterances[last])
        if start >= end:
            return {}
        value: dict[str, object] = {
            "start": str(first),
            "end": str(last),
            "startOffset": _units(self._utterances[first], start - self._starts[first]),
            "endOffset": _units(self._utterances[last], end - self._starts[last]),
        }
        if self._saves_text:
            value["text"] = self.text[start:end]
        return value

    def _told(self, value: Mapping[str, object]) -> tuple[int, int] | None:
        first, last, begin, stop = self._pieces(value)
        start, end = self._position(first, begin), self._position(last, stop)
        return None if start is None or end is None else _forward(start, end)

    def _says(self, span: tuple[int, int], own: str) -> bool:
        """Return True if a span holds the region's own text, or several paragraphs, whose own text holds the speakers, too."""
        first, last = (bisect_right(self._starts, offset) for offset in (span[0], span[1] - 1))
        return first != last or super()._says(span, own)

    def _otherwise(self, value: Mapping[str, object], own: str) -> Iterator[tuple[int, int]]:
        first, last, begin, stop = self._pieces(value)
        if first < len(self._starts) and last < len(self._starts):
            yield self._starts[first] + begin, self._starts[last] + stop
            yield from self._nearby(own, self._starts[first] + begin)

    def _pieces(self, value: Mapping[str, object]) -> tuple[int, int, int, int]:
        """Return the first and the last paragraph, which may be written as texts, and the offsets in them."""
        found = [whole_number(value.get(key)) for key in ("start", "end", "startOffset", "endOffset")]
        first, last, begin, stop = found
        if first is None or last is None or begin is None or stop is None:
            raise Misread(Reason.NO_OFFSETS)
        return first, last, begin, stop

    def _position(self, index: int, offset: int) -> int | None:
        if index >= len(self._utterances):
            return None
        points = _points(self._utterances[index], offset)
        return None if points is None else self._starts[index] + points


class _TextNode(NamedTuple):
    """A text node of a page. `begin`: the code points of the page before it, a `<br>` counting one."""

    path: str
    data: str
    begin: int


# Elements that a browser does not show.
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript", "iframe"})
_BREAKING = frozenset(
    [
        *(
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
        ),
        *(
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
        ),
        *("pre", "section", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    ]
)
_VERBATIM = frozenset({"pre", "textarea"})
_WORD_OR_SPACE = re.compile(r"\s+|\S+")
_STEP = re.compile(r"/([A-Za-z][^/\[\]]*|text\(\))(?:\[([0-9]{1,9})\])?")


class HtmlDocument(Document):
    """The text of a `<HyperText>`, as a browser shows it: block elements and line breaks end lines, white space is folded,
    and hidden elements are left out. `inline`: the page is an element of the editor, not a frame of its own, so it has
    no head.
    """

    def __init__(self, html: str, *, saves_text: bool = True, inline: bool = False) -> None:
        self._saves_text = saves_text
        self._nodes: list[_TextNode] = []
        self._elements: dict[str, int] = {}  # path -> the code points of the page before it
        self._begins: list[int] = []
        # Parts of `text` that are contiguous in the page: the start of each in the text, and in the page.
        self._in_text = array("q")
        self._in_page = array("q")
        self._lengths = array("q")
        self._parts: list[str] = []
        self._length = 0
        self._read(html, inline=inline)
        self.text = "".join(self._parts)
        self._by_path = {node.path: node for node in self._nodes}
        self._begins = [node.begin for node in self._nodes]

    # Reading

    def _read(self, html: str, *, inline: bool) -> None:
        position = 0
        pending = ""  # the white space that comes before the next word
        pending_at = 0
        verbatim: list[bool] = [False]
        silent = 0
        for kind, name, path in _walk(html, inline=inline):
            if kind == "open":
                self._elements[path] = position
                silent += name in _SILENT
                verbatim.append(verbatim[-1] or name in _VERBATIM)
                if name == "br":
                    position += 1
                if name in _BREAKING:
                    pending = "\n"
            elif kind == "close":
                silent -= name in _SILENT
                verbatim.pop()
                if name in _BREAKING:
                    pending = "\n"
            else:
                self._nodes.append(_TextNode(path, name, position))
                if not silent:
                    for token in _WORD_OR_SPACE.finditer(name):
                        word = token[0]
                        if not word.isspace():
                            if pending and self._length:
                                self._add(pending, pending_at if pending == " " else None)
                            self._add(word, position + token.start())
                            pending = ""
                        elif verbatim[-1] and "\n" in word:
                            pending = "\n"
                        elif not pending:
                            pending, pending_at = " ", position + token.start()
                position += len(name)
        self._page_length = position

    def _add(self, text: str, at: int | None) -> None:
        if at is not None:
            self._in_text.append(self._length)
            self._in_page.append(at)
            self._lengths.append(len(text))
        self._parts.append(text)
        self._length += len(text)

    # Writing

    def region_value(self, start: int, end: int) -> dict[str, object]:
        """Return XPaths with offsets, and `globalOffsets`. A line break between block elements belongs to neither side."""
        first = bisect_right(self._in_text, start) - 1
        if first < 0 or start >= self._in_text[first] + self._lengths[first]:
            first += 1  # a break: what follows it
            if first == len(self._in_text):
                return {}
            start = self._in_text[first]
        last = bisect_left(self._in_text, end) - 1
        end = min(end, self._in_text[last] + self._lengths[last]) if last >= 0 else end
        if start >= end or last < first:
            return {}
        begin = self._in_page[first] + start - self._in_text[first]
        stop = self._in_page[last] + end - self._in_text[last]
        head = self._nodes[bisect_right(self._begins, begin) - 1]
        tail = self._nodes[bisect_right(self._begins, stop - 1) - 1]
        value: dict[str, object] = {
            "start": head.path,
            "end": tail.path,
            "startOffset": _units(head.data, begin - head.begin),
            "endOffset": _units(tail.data, stop - tail.begin),
            "globalOffsets": {"start": begin, "end": stop},
        }
        if self._saves_text:
            value["text"] = self.text[start:end]
        return value

    def _told(self, value: Mapping[str, object]) -> tuple[int, int] | None:
        """Return the span at its XPaths; like the editor, that at its `globalOffsets` where the XPaths match no node."""
        begin = self._position(value.get("start"), value.get("startOffset"))
        stop = self._position(value.get("end"), value.get("endOffset"))
        if begin is None or stop is None:
            given = _global(value)
            if given == (None, None) and {"start", "end", "startOffset", "endOffset"} <= value.keys():
                return None
            begin, stop = _in_order(*given)
        return self._in_page_text(begin, stop)

    def _otherwise(self, value: Mapping[str, object], own: str) -> Iterator[tuple[int, int]]:
        begin, stop = (whole_number(offset) for offset in _global(value))
        if begin is not None and stop is not None and begin < stop:
            place = self._in_page_text(begin, stop)
            if place is not None:
                yield place
                yield from self._nearby(own, place[0])
        begin = self._position(value.get("start"), value.get("startOffset"))
        if begin is not None:
            after = bisect_right(self._in_page, begin) - 1
            yield from self._nearby(own, self._in_text[max(0, after)] if self._in_text else 0)

    def _in_page_text(self, begin: int, stop: int) -> tuple[int, int] | None:
        """Return a part of the page as a span of `text`; None beyond the page. Raises Misread where none of it is shown."""
        if stop > self._page_length:
            return None
        first = bisect_right(self._in_page, begin) - 1
        if first < 0 or begin >= self._in_page[first] + self._lengths[first]:
            first += 1
        last = bisect_left(self._in_page, stop) - 1
        if first >= len(self._in_page) or last < first:
            raise Misread(Reason.OUT_OF_ORDER)
        start = self._in_text[first] + max(0, begin - self._in_page[first])
        end = self._in_text[last] + min(self._lengths[last], stop - self._in_page[last])
        return _forward(start, end)

    def _position(self, path: object, offset: object) -> int | None:
        """Return the offset in the page of an XPath and an offset in it; None where the page has no such node."""
        offset = whole_number(offset)
        if not isinstance(path, str) or offset is None:
            return None
        full = _full(path)
        node = self._by_path.get(full)
        if node is None:
            begin = self._elements.get(full)
            if begin is None:
                return None
            # An element stands for the text that begins in it.
            index = bisect_right(self._begins, begin) - 1
            while 0 <= index < len(self._nodes) and self._begins[index] + len(self._nodes[index].data) <= begin:
                index += 1
            if not 0 <= index < len(self._nodes):
                return None
            node = self._nodes[index]
        points = _points(node.data, offset)
        return None if points is None else node.begin + points


def _full(path: str) -> str:
    """Return an XPath with every index written out: `/p/text()` is `/p[1]/text()[1]`."""
    steps = _STEP.findall(path)
    return "".join(f"/{name.lower()}[{number or 1}]" for name, number in steps)


def _walk(html: str, *, inline: bool) -> Iterator[tuple[str, str, str]]:
    """Yield a page in document order: ("open" | "close", name, path) for elements, ("text", data, path) for texts.

    It is the page that the browser gets from the editor.
    """
    from justhtml import JustHTML

    html = as_edited(html)
    root: Any
    if inline:
        root = JustHTML(html, sanitize=False, fragment=True).root
    else:
        document: Any = JustHTML(html, sanitize=False, iframe_srcdoc=True).root
        (page,) = (node for node in document.children if node.name == "html")
        bodies = [node for node in page.children if node.name == "body"]
        if not bodies:
            return  # a frameset
        root = bodies[0]
    todo = _children(root, "")[::-1]
    while todo:
        kind, node, path = todo.pop()
        if kind != "open":
            yield kind, node, path
            continue
        name = node.name.lower()
        yield "open", name, path
        todo.append(("close", name, path))
        todo.extend(reversed(_children(node, path)))


def _children(node: Any, path: str) -> list[tuple[str, Any, str]]:
    """Return the elements and texts in an element: ("open", element, path) or ("text", data, path)."""
    found: list[tuple[str, Any, str]] = []
    counts: dict[str, int] = {}
    texts: list[str] = []

    def end_text() -> None:
        if texts:
            counts["text()"] = counts.get("text()", 0) + 1
            found.append(("text", "".join(texts), f"{path}/text()[{counts['text()']}]"))
            texts.clear()

    for child in node.children or ():
        name = child.name.lower()
        if name == "#text":
            texts.append(child.data or "")
            continue
        end_text()
        if not name.startswith(("#", "!")):
            counts[name] = counts.get(name, 0) + 1
            found.append(("open", child, f"{path}/{name}[{counts[name]}]"))
    end_text()
    return found


def _global(value: Mapping[str, object]) -> tuple[object, object]:
    offsets = value.get("globalOffsets")
    return (offsets.get("start"), offsets.get("end")) if isinstance(offsets, Mapping) else (None, None)


def _in_order(start: object, end: object) -> tuple[int, int]:
    """Return two offsets, which may be given as texts or floats. Raises Misread where they are missing or out of order."""
    first, last = whole_number(start), whole_number(end)
    if first is None or last is None:
        raise Misread(Reason.NO_OFFSETS)
    return _forward(first, last)


def _forward(start: int, end: int) -> tuple[int, int]:
    if start >= end:
        raise Misread(Reason.OUT_OF_ORDER)
    return start, end


def _points_or_beyond(text: str, units: int) -> int:
    """Return `_points`, or beyond the text its length plus one."""
    points = _points(text, units)
    return len(text) + 1 if points is None else points


def _folded_breaks(text: str, offset: int, *, units: bool) -> int:
    """Return the code points before an offset that counts each CRLF as one. If `units`, the offset counts UTF-16 units."""
    folded = text.replace("\r\n", "\n")
    points = _points_or_beyond(folded, offset) if units else offset
    if points > len(folded):
        return len(text) + 1
    seen = 0
    for index, character in enumerate(text):
        if seen == points and text[index - 1 : index + 1] != "\r\n":
            return index
        seen += not (character == "\r" and text[index + 1 : index + 2] == "\n")
    return len(text)


def _units(text: str, points: int) -> int:
    """Return the number of UTF-16 code units in the first `points` code points of a text."""
    if text.isascii():
        return points
    return points + sum(character > "\uffff" for character in text[:points])


def _points(text: str, units: int) -> int | None:
    """Return the number of code points in the first `units` UTF-16 units, half a pair counting as a whole; None beyond the
    text.
    """
    if text.isascii():
        return units if units <= len(text) else None
    points = 0
    for character in text:
        if units <= 0:
            break
        units -= 2 if character > "\uffff" else 1
        points += 1
    return points if units <= 0 else None
