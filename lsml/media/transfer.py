"""The common part of all ways to fetch a file: its URL in messages, scheme and host, and the receiving of a body."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lsml.errors import FetchError
from lsml.files.cache import new_file
from lsml.files.digests import write_digested

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5
IDLE_S = 10.0  # the longest wait for a connection, and between two pieces of a body
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses of temporary failures


@dataclass(frozen=True)
class Validators:
    """A server's validators for a file (ETag, Last-Modified), to ask whether it changed; "" where the server sent none."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        """Return the headers of a request that wants the file only if it changed."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True)
class Received:
    """A received file. `fresh_s`: the seconds for which its server declares it fresh, or None; `sha256` in hexadecimal."""

    size: int
    sha256: str
    content_type: str = ""
    validators: Validators = Validators()
    fresh_s: float | None = None


@dataclass(frozen=True)
class Download:
    """A request for a file: destination, most bytes, deadline by the monotonic clock, and the validators of the known file."""

    destination: Path
    max_bytes: int
    deadline: float
    known: Validators = Validators()

    def left_s(self) -> float:
        """Return the seconds until the deadline, at least 0.1, as a timeout must be above 0."""
        return max(0.1, self.deadline - time.monotonic())


def receive(response: httpx.Response, wanted: Download, url: str) -> Received:
    """Stream the body of a 200 to its destination. Raises FetchError, also where less came than announced; then no file is
    left.
    """
    headers = response.headers
    packed = headers.get("content-encoding", "identity")
    if packed != "identity":  # a few compressed bytes can unpack to gigabytes
        raise FetchError(
            f"{shown_url(url)}: is compressed as {packed}, which lsml does not accept; serve it uncompressed"
        )
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > wanted.max_bytes:
        raise FetchError(too_large(url, wanted.max_bytes))
    size = 0

    def within_limits() -> Iterator[bytes]:
        nonlocal size
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > wanted.max_bytes:
                raise FetchError(too_large(url, wanted.max_bytes))
            if time.monotonic() > wanted.deadline:
                raise too_late(url)
            yield chunk

    try:
        with new_file(wanted.destination) as file:
            digest = write_digested(file, within_limits())
        if announced.isdecimal() and size != int(announced):
            raise FetchError(
                f"{shown_url(url)}: ended after {size} of {announced} bytes; try again later", passing=True
            )
    except BaseException:
        wanted.destination.unlink(missing_ok=True)
        raise
    return Received(size, digest, headers.get("content-type", ""), validators_of(response), _fresh_s(response))


def validators_of(response: httpx.Response) -> Validators:
    """Return the validators in a response."""
    return Validators(response.headers.get("etag", ""), response.headers.get("last-modified", ""))


def _fresh_s(response: httpx.Response) -> float | None:
    said = response.headers.get("cache-control", "").lower()
    if re.search(r"\bno-(store|cache)\b", said):
        return 0.0
    age = re.search(r"\bmax-age=(\d{1,10})", said)
    return float(age[1]) if age else None


def too_large(url: str, max_bytes: int) -> str:
    """Return the sentence for a file that is larger than allowed."""
    return f"{shown_url(url)}: is larger than {max_bytes} bytes, the limit"


def too_late(url: str) -> FetchError:
    """Return the error for a file that was not complete in time."""
    return FetchError(f"{shown_url(url)}: took too long; raise `media.timeout` of the recipe, or make it smaller")


def parts_of(url: str) -> tuple[str, str, int | None]:
    r"""Return scheme, host and port; no scheme for a path, also for `C:\texts`. Raises FetchError for an invalid URL."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme if len(parts.scheme) > 1 else ""
        return scheme, parts.hostname or "", parts.port
    except ValueError as error:
        raise FetchError(f"{shown_url(url)}: is not a URL ({error})") from error


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port, with the default port filled in; an invalid URL's origin equals no other."""
    try:
        scheme, host, port = parts_of(url)
    except FetchError:
        return "", "", -1
    return scheme, host, port or {"http": 80, "https": 443}.get(scheme)


def shown_url(url: str) -> str:
    """Return a URL for an error message: shortened, without a password, and without its query, which may hold a signature."""
    bare = url if url.startswith("/data/local-files/") else url.split("?", 1)[0]
    bare = re.sub(r"//[^/@]*@", "//", bare)
    bare = "".join(character if character.isprintable() else " " for character in bare)
    most = 40 if bare.startswith("data:") else 200
    return bare if len(bare) <= most else bare[:most] + "..."
