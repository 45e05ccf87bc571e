"""Content of `data:` URLs, and the decoding of bytes to text."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from urllib.parse import unquote_to_bytes

from lsml.errors import FetchError
from lsml.files.cache import new_file
from lsml.media.transfer import Download, Received, shown_url, too_large


def write_data_url(url: str, wanted: Download) -> Received:
    """Write the content of a `data:` URL to its destination. Raises FetchError."""
    content, content_type = decoded_data_url(url, wanted.max_bytes)
    with new_file(wanted.destination) as file:
        file.write(content)
    return Received(len(content), hashlib.sha256(content).hexdigest(), content_type)


def decoded_data_url(url: str, max_bytes: int) -> tuple[bytes, str]:
    """Return the bytes and the content type of a `data:` URL. Raises FetchError."""
    head, comma, body = url[len("data:") :].partition(",")
    if not comma:
        raise FetchError(
            f"{shown_url(url)}: is not a data URL; expected data:<type>,<text> or data:<type>;base64,<bytes>"
        )
    if len(body) > 4 * max_bytes:  # before decoding: %41 is three characters for one byte
        raise FetchError(too_large(url, max_bytes))
    content = unquote_to_bytes(body)
    content_type = head.strip()
    if content_type.lower().endswith(";base64"):
        content_type = content_type[: -len(";base64")]
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error as error:
            raise FetchError(f"{shown_url(url)}: is declared as base64 but is not; encode it again") from error
    if len(content) > max_bytes:
        raise FetchError(too_large(url, max_bytes))
    return content, content_type


def as_text(content: bytes, content_type: str, url: str) -> str:
    """Return bytes as text: UTF-8 where they are valid, else the declared charset. Raises FetchError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    if declared is None:
        raise FetchError(f"{shown_url(url)}: is not UTF-8 and declares no charset; save it as UTF-8")
    charset = declared.group(1)
    try:
        return content.decode(charset)
    except (LookupError, ValueError) as error:
        raise FetchError(
            f"{shown_url(url)}: is neither UTF-8 nor the charset {charset} it declares; save it as UTF-8"
        ) from error
