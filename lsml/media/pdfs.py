"""PDF documents: their text, and their pages as images. PDFium reads both, one page at a time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.labeling.objects import Unreadable
from lsml.media.content import content_of
from lsml.media.pictures import write_image

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_SIDE: Final = 2000  # pixels of a page's longer side: small print is legible
_MOST_PAGES: Final = 10_000  # of a text; a small file may claim millions, and others wait for it
_READING: Final = threading.Lock()  # PDFium must not run in two threads at once
_PASSWORD, _PROTECTED = 4, 5  # PDFium's error codes
_HYPHEN: Final = re.compile("[\x02\ufffe]\n?")  # how PDFium writes the hyphen of a word that goes on in the next line


def pdf_text(path: Path, shown: str, most: int) -> str:
    """Return the text of all pages, with a blank line between them. Raises Unreadable, with a sentence that begins with
    `shown`, also where the text is longer than `most` characters, or has thousands of pages.
    """
    texts: list[str] = []
    with _READING, _opened(path, shown) as document:
        length = 0
        if len(document) > _MOST_PAGES:
            raise Unreadable("too many pages", f"{shown}: has {len(document)} pages; split the document")
        for number in range(len(document)):
            with closing(document[number]) as page, closing(page.get_textpage()) as written:
                texts.append(_HYPHEN.sub("", written.get_text_range().replace("\r\n", "\n")).strip())
            length += len(texts[-1])
            if length > most:
                raise Unreadable("too long", f"{shown}: has more than {most} characters of text; split the document")
    return "\n\n".join(text for text in texts if text)


def page_numbers(path: Path, shown: str, most: int, *, first: bool) -> range:
    """Return the numbers of all pages, from 0, or only the `first`. Raises Unreadable, also where more than `most` are asked
    for.
    """
    with _READING, _opened(path, shown) as document:
        count = len(document)
    if first:
        return range(1)
    if count > most:
        raise Unreadable(
            "too many pages", f"{shown}: has {count} pages; the limit is {most} (media.pages of the recipe)"
        )
    return range(count)


def render_pages(path: Path, numbers: Sequence[int], scratch: Callable[[], Path]) -> Iterator[Path]:
    """Yield pages, counted from 0, each as a PNG as people see it. One is in memory at a time.

    Raises Unreadable, and OSError where a page cannot be written.
    """
    for number in numbers:
        with _READING, _opened(path, path.name) as document, closing(document[number]) as page:
            scale = _SIDE / max(*page.get_size(), 1.0)
            with closing(page.render(scale=scale, rev_byteorder=True)) as bitmap:
                image = bitmap.to_pil().convert("RGB")
        yield write_image(image, scratch())


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[PdfDocument]:
    """Yield an open document. Raises Unreadable where the file is none, or PDFium fails on a part of it."""
    content = content_of(path)
    if content.suffix != ".pdf":
        raise Unreadable(
            "wrong content", f"{shown}: is {content.name}, not a PDF document; correct the task or the file"
        )
    try:
        import pypdfium2
    except ImportError:
        raise Unreadable("no library", 'PDF documents need pypdfium2; pip install "lsml[pdf]"') from None
    try:
        with closing(pypdfium2.PdfDocument(path)) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in (_PASSWORD, _PROTECTED):
            raise Unreadable("encrypted", f"{shown}: is a PDF document with a password; save it without one") from error
        raise Unreadable(
            "bad document", f"{shown}: is a PDF document that is broken or truncated; save it again"
        ) from error
