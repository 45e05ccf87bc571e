"""Sentences about XML that does not parse: the fault, and its correction."""

from __future__ import annotations

import re
from html.entities import html5
from typing import Final
from xml.parsers.expat import errors as expat

from lsml.wording import one_line


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, both from 1, of an offset."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def advice_for(xml: str, code: int, line: int, column: int) -> str:
    """Return a sentence about the fault at a position of the XML, and its correction. `line` counts from 1, `column` from 0."""
    # The parser counts only \n as the end of a line, unlike str.splitlines.
    lines = xml.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    here = text[column:]
    if code == expat.codes[expat.XML_ERROR_UNDEFINED_ENTITY]:
        return _entity_advice("\n".join([here, *lines[line:]]))
    if code == expat.codes[expat.XML_ERROR_INVALID_TOKEN]:
        if here.startswith("&") or re.search(r"&[#\w]*$", text[:column]):
            return "a bare & is not XML; write &amp;"
        if here.startswith("<"):
            return "a bare < is not XML; write &lt;, or close the quotation mark or tag before it"
        return f'not XML at "{one_line(here, 30)}"; check quotation marks, = and brackets around it'
    if code == expat.codes[expat.XML_ERROR_TAG_MISMATCH]:
        name = re.split(r"[\s>]", here, maxsplit=1)[0]
        return f"</{one_line(name, 30)}> does not close the tag that was opened last; close tags in reverse order"
    if code == expat.codes[expat.XML_ERROR_NO_ELEMENTS]:
        return "the XML ends too early; close every tag that was opened"
    if code == expat.codes[expat.XML_ERROR_UNCLOSED_TOKEN]:
        return "a tag or a quotation mark that opens here is never closed; close it"
    if code == expat.codes[expat.XML_ERROR_DUPLICATE_ATTRIBUTE]:
        return f"the attribute {one_line(here.partition('=')[0].strip(), 30)} is set twice; remove one"
    if code == expat.codes[expat.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
        return "something follows the end of the first tag; put everything into one <View>...</View>"
    if code == expat.codes[expat.XML_ERROR_MISPLACED_XML_PI]:
        return "<?xml ...?> must come first; remove everything before it"
    if code == expat.codes[expat.XML_ERROR_SYNTAX]:
        return f'expected a tag, found "{one_line(here, 30)}"; put everything into one <View>...</View>'
    return f"not XML ({expat.messages[code]}); correct it"


_XML_ENTITIES: Final = ("amp", "lt", "gt", "quot", "apos")
_ENTITY = re.compile(r"&([^;\s&<>#]+);")


def _entity_advice(here: str) -> str:
    # For a fault in an attribute's value the parser names the position of its tag.
    names = (match[1] for match in _ENTITY.finditer(here))
    name = next((name for name in names if name not in _XML_ENTITIES), "")
    characters = html5.get(f"{name};")
    if not characters:
        return f"&{one_line(name)}; is not valid XML; write the character itself"
    written = "".join(f"&#{ord(character)};" for character in characters)
    return f"&{name}; is not XML; write {written}"
