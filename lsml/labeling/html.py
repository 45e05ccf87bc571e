"""HTML as Label Studio's editor gives it to the browser.

The editor changes a page before it is shown. It parses the page loosely, leaves out scripts, frames, comments and the document
type, closes open elements, and writes it anew; only then does the browser parse it. XPaths refer to the result,
so bold words that end outside of their paragraph, for example, end in other text nodes than in the page itself.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit

_VOID = frozenset(
    [
        *(
            "area",
            "base",
            "basefont",
            "br",
            "col",
            "command",
            "embed",
            "frame",
            "hr",
            "img",
            "input",
            "isindex",
            "keygen",
        ),
        *("link", "meta", "param", "source", "track", "wbr"),
    ]
)
_WRITTEN_CLOSED = frozenset({"img", "br", "hr", "area", "base", "basefont", "input", "link", "meta"})  # <br />
_FORM = frozenset({"input", "option", "optgroup", "select", "button", "datalist", "textarea"})
_PARAGRAPH = frozenset({"p"})
# The elements that an element closes when it opens, if they were opened last.
_CLOSES: dict[str, frozenset[str]] = {
    "tr": frozenset({"tr", "th", "td"}),
    "th": frozenset({"th"}),
    "td": frozenset({"thead", "th", "td"}),
    "body": frozenset({"head", "link", "script"}),
    "li": frozenset({"li"}),
    "option": frozenset({"option"}),
    "optgroup": frozenset({"optgroup", "option"}),
    **dict.fromkeys(("select", "input", "output", "button", "datalist", "textarea"), _FORM),
    **dict.fromkeys(("dd", "dt"), frozenset({"dd", "dt"})),
    **dict.fromkeys(("rt", "rp"), frozenset({"rt", "rp"})),
    **dict.fromkeys(("tbody", "tfoot"), frozenset({"thead", "tbody"})),
    **dict.fromkeys(("p", "h1", "h2", "h3", "h4", "h5", "h6", "address", "article", "aside", "blockquote"), _PARAGRAPH),
    **dict.fromkeys(
        ("details", "div", "dl", "fieldset", "figcaption", "figure", "footer", "form", "header"), _PARAGRAPH
    ),
    **dict.fromkeys(("hr", "main", "nav", "ol", "pre", "section", "table", "ul"), _PARAGRAPH),
}
_FOREIGN = frozenset({"svg", "math"})  # in which <a/> is closed
_HTML_IN_FOREIGN = frozenset({"mi", "mo", "mn", "ms", "mtext", "annotation-xml", "foreignobject", "desc", "title"})
_PLAYERS = frozenset({"www.youtube.com", "youtube.com", "www.youtube-nocookie.com", "youtube-nocookie.com", "youtu.be"})


def as_edited(html: str) -> str:
    """Return the page that the editor gives to the browser. Attributes are left out, as they do not change any position."""
    page = _HtmlWriter()
    page.feed(html)
    page.close()
    return page.written()


def images_in(html: str) -> list[str]:
    """Return the addresses of the images that HTML shows, in order."""
    page = _ImageReader()
    page.feed(html)
    page.close()
    return page.addresses


class _ImageReader(HTMLParser):
    """The parser that collects the addresses of images."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = (dict(attrs).get("src") or "").strip() if tag == "img" else ""
        if address:
            self.addresses.append(address)


class _HtmlWriter(HTMLParser):
    """The parser that writes a page anew while it is read."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        # (name, index in `_parts`, True if it is left out), outermost first
        self._open: list[tuple[str, int, bool]] = []
        self._foreign = [False]

    def written(self) -> str:
        """Return the page, with all elements closed."""
        while self._open:
            self._end()
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._foreign[-1]:
            closes = _CLOSES.get(tag, frozenset())
            while self._open and self._open[-1][0] in closes:
                self._end()
        left_out = tag == "script" or (tag == "iframe" and not _is_player(dict(attrs).get("src")))
        self._open.append((tag, len(self._parts), left_out))
        self._parts.append(f"<{tag} />" if tag in _WRITTEN_CLOSED else f"<{tag}>")
        if tag in _FOREIGN:
            self._foreign.append(True)
        elif tag in _HTML_IN_FOREIGN:
            self._foreign.append(False)
        if tag in _VOID:
            self._end()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        closed = self._foreign[-1] or tag in _FOREIGN
        self.handle_starttag(tag, attrs)
        if closed and tag not in _VOID and self._foreign[-1]:
            self._end()

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            if tag == "br":
                self._parts.append("<br />")
        elif any(name == tag for name, _, _ in self._open):
            while self._open[-1][0] != tag:
                self._end()
            self._end()
        elif tag == "p":
            self._parts.append("<p></p>")

    def handle_data(self, data: str) -> None:
        inside = self._open[-1][0] if self._open else ""
        self._parts.append(data if inside in ("script", "style") else escape(data, quote=False))

    def _end(self) -> None:
        """Close the element that was opened last."""
        name, begin, left_out = self._open.pop()
        if name in _FOREIGN or name in _HTML_IN_FOREIGN:
            self._foreign.pop()
        if left_out:
            del self._parts[begin:]
        elif name not in _WRITTEN_CLOSED:
            self._parts.append(f"</{name}>")


def _is_player(address: str | None) -> bool:
    """Return True if the editor shows a frame with this address."""
    try:
        parts = urlsplit(address or "")
        return parts.scheme == "https" and parts.hostname in _PLAYERS
    except ValueError:
        return False
