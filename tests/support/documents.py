"""Small PDF documents, as bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence


def pdf(pages: Sequence[Sequence[str]], *, size: tuple[int, int] = (612, 792), locked: bool = False) -> bytes:
    """A document with lines of text on each page, in Helvetica, 24 points high. `locked`: only a password opens it."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = " ".join(f"({line}) Tj 0 -40 Td" for line in lines)
        stream = f"BT /F1 24 Tf 72 {size[1] - 90} Td {shown} ET".encode("latin-1")
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        ]
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    # No password has these digests.
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <{'41' * 32}> /U <{'42' * 32}> >> /ID [<00> <00>]"
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R {lock if locked else ''} >>".encode()
    start = len(written)
    return (
        written + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
        + b"trailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (trailer, start)
    )  # fmt: skip


def as_url(document: bytes) -> str:
    """The same as a data URL."""
    return "data:application/pdf;base64," + base64.b64encode(document).decode()
