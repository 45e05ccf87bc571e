"""The program that reads one PDF document, in a process of its own: a page can take any memory, and PDFium can crash.

It is run by its path and imports nothing of lsml, so that it starts in a moment. Arguments: the most bytes of memory, the most
seconds for a page, the path, and `count`, `text`, or the numbers of the pages to draw and their longer side in pixels. It
writes lines of JSON; that of a page is followed by its pixels.
"""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument


def main(arguments: Sequence[str]) -> None:
    """Write what is asked of a document, or {"failed": PDFium's error code} where it cannot be read."""
    # A terminal and systemd send these to every process. lsml, which still answers current requests, ends this one.
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)
    memory, seconds, path, what, *numbers = arguments
    _limit("RLIMIT_AS", int(memory))
    import pypdfium2

    try:
        with closing(pypdfium2.PdfDocument(path)) as document:
            if what == "count":
                _write({"pages": len(document)})
            elif what == "text":
                _write({"pages": len(document)})
                for text in _texts(document, int(seconds)):
                    _write({"text": text})
            else:
                for number in numbers:
                    _draw(document, int(number), int(what), int(seconds))
    except pypdfium2.PdfiumError as error:
        _write({"failed": getattr(error, "err_code", None)})


def _texts(document: PdfDocument, seconds: int) -> Iterator[str]:
    for number in range(len(document)):
        _allow(seconds)
        with closing(document[number]) as page, closing(page.get_textpage()) as written:
            yield written.get_text_range()


def _draw(document: PdfDocument, number: int, side: int, seconds: int) -> None:
    """Write a page as people see it, `side` pixels long or high."""
    _allow(seconds)
    with closing(document[number]) as page:
        scale = side / max(*page.get_size(), 1.0)
        with closing(page.render(scale=scale, rev_byteorder=True)) as bitmap:
            pixels = bytes(bitmap.buffer)
            _write({"mode": bitmap.mode, "stride": bitmap.stride, "bytes": len(pixels),
                    "size": [bitmap.width, bitmap.height]}, pixels)  # fmt: skip


def _write(told: dict[str, object], content: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + content)
    sys.stdout.buffer.flush()


def _allow(seconds: int) -> None:
    """Allow some seconds of computing from now on."""
    import time

    _limit("RLIMIT_CPU", math.ceil(time.process_time()) + seconds)


def _limit(name: str, most: int) -> None:
    """Set a limit of this process, where the system knows it."""
    try:
        import resource

        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    except (ImportError, AttributeError, ValueError, OSError):
        return  # Windows has no limits, and macOS not all


if __name__ == "__main__":
    main(sys.argv[1:])
