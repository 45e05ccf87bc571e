"""PDF documents: their text, and their pages as images. PDFium reads both, in a process that may fail."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec

from lsml.labeling.objects import Unreadable
from lsml.media.content import content_of
from lsml.media.pictures import write_image

_SIDE: Final = 2000  # pixels of a page's longer side: small print is legible
_MOST_PAGES: Final = 10_000  # of a text; a small file may claim millions, and others wait for it
_PROGRAM: Final = Path(__file__).with_name("pdf_process.py")
_MEMORY: Final = 2 * 2**30  # bytes for a document; a file of a megabyte can ask for any number
_PAGE_S: Final = 60  # seconds of computing for a page
_READING: Final = threading.BoundedSemaphore(2)  # at most two documents at a time
_PASSWORD, _PROTECTED = 4, 5  # PDFium's error codes
_HYPHEN: Final = re.compile("[\x02\ufffe]\n?")  # how PDFium writes the hyphen of a word that goes on in the next line


def pdf_text(path: Path, shown: str, most: int) -> str:
    """Return the text of all pages, with a blank line between them. Raises Unreadable, with a sentence that begins with
    `shown`, also where the text is longer than `most` characters, or has thousands of pages.
    """
    texts: list[str] = []
    length = 0
    with closing(_read(path, shown, "text")) as responses:
        for told, _ in responses:
            if told.pages > _MOST_PAGES:
                raise Unreadable("too many pages", f"{shown}: has {told.pages} pages; split the document")
            texts.append(_HYPHEN.sub("", told.text.replace("\r\n", "\n")).strip())
            length += len(texts[-1])
            if length > most:
                raise Unreadable("too long", f"{shown}: has more than {most} characters of text; split the document")
    return "\n\n".join(text for text in texts if text)


def page_numbers(path: Path, shown: str, most: int, *, first: bool) -> range:
    """Return the numbers of all pages, from 0, or only the `first`. Raises Unreadable, also where more than `most` are asked
    for.
    """
    if first:
        return range(1)
    with closing(_read(path, shown, "count")) as responses:
        count = sum(told.pages for told, _ in responses)
    if count > most:
        raise Unreadable(
            "too many pages", f"{shown}: has {count} pages; the limit is {most} (media.pages of the recipe)"
        )
    return range(count)


def render_pages(path: Path, numbers: Sequence[int], scratch: Callable[[], Path], *, shown: str) -> Iterator[Path]:
    """Yield pages, counted from 0, each as a PNG as people see it. One is in memory at a time.

    Raises Unreadable, with a sentence that begins with `shown`, and OSError where a page cannot be written.
    """
    if not numbers:
        return
    import PIL.Image

    with closing(_read(path, shown, str(_SIDE), *map(str, numbers))) as responses:
        for told, pixels in responses:
            image = PIL.Image.frombytes("RGB", told.size, pixels, "raw", told.mode, told.stride, 1)
            yield write_image(image, scratch())


class _Told(msgspec.Struct, frozen=True):
    """A line of the program: the number of pages; the text of one; or the pixels of one, of which `bytes` follow; or why it
    failed.
    """

    pages: int = 0
    text: str = ""
    mode: str = ""
    stride: int = 0
    bytes: int = 0
    size: tuple[int, int] = (0, 0)
    failed: int | msgspec.UnsetType | None = msgspec.UNSET


class _PdfResponse(NamedTuple):
    """A line of the program, and what follows it."""

    told: _Told
    content: bytes


def _read(path: Path, shown: str, *asked: str) -> Generator[_PdfResponse, None, None]:
    """Yield the responses of `pdf_process.py`. Raises Unreadable where the file is no PDF document, or a page is too much."""
    content = content_of(path)
    if content.suffix != ".pdf":
        raise Unreadable(
            "wrong content", f"{shown}: is {content.name}, not a PDF document; correct the task or the file"
        )
    if find_spec("pypdfium2") is None:
        raise Unreadable("no library", 'PDF documents need pypdfium2; pip install "lsml[pdf]"')
    # Without -P, the modules beside the program would stand for those of other names.
    command = [sys.executable, "-P", str(_PROGRAM), str(_MEMORY), str(_PAGE_S), str(path.absolute()), *asked]
    with _READING, subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for response in _responses(process.stdout):
                if response.told.failed is not msgspec.UNSET:
                    raise _failed(shown, response.told.failed)
                yield response
            status = process.wait()
        finally:
            process.kill()
    if status:
        raise Unreadable(
            "too large",
            f"{shown}: is a PDF document that PDFium cannot read with {_MEMORY / 2**30:.3g} GiB of memory and {_PAGE_S} s "
            f"for a page (exit status {status}); save it with smaller pages, or as images",
        )


def _responses(lines: IO[bytes]) -> Iterator[_PdfResponse]:
    """Yield the responses that are complete."""
    while (line := lines.readline()).endswith(b"\n"):
        told = msgspec.json.decode(line, type=_Told)
        content = lines.read(told.bytes)
        if len(content) == told.bytes:
            yield _PdfResponse(told, content)


def _failed(shown: str, code: int | None) -> Unreadable:
    if code in (_PASSWORD, _PROTECTED):
        return Unreadable("encrypted", f"{shown}: is a PDF document with a password; save it without one")
    return Unreadable("bad document", f"{shown}: is a PDF document that is broken or truncated; save it again")
