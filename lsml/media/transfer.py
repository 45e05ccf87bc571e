"""What every way of bringing a file here shares: how its URL is shown, where it leads, and how a body is received."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lsml.errors import FetchError
from lsml.files.cache import new_file

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5
IDLE_S = 10.0  # the longest wait for a connection, and between two pieces of a body
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses of servers that may do better in a moment


@dataclass(frozen=True)
class Validators:
    """What a server said of a file, so that it can be asked whether the file changed; "" where it said nothing."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        """The headers of a request that wants the file only if it changed."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True)
class Received:
    """A file that came. `fresh_s`: how long its server says that it stays as it is, or None; `sha256` in hexadecimal."""

    size: int
    sha256: str
    content_type: str = ""
    validators: Validators = Validators()
    fresh_s: float | None = None


@dataclass(frozen=True)
class Wanted:
    """How a file is wanted: where to, at most how many bytes, until when by the monotonic clock, and what is known of it."""

    destination: Path
    max_bytes: int
    deadline: float
    known: Validators = Validators()

    def left_s(self) -> float:
        """Seconds until the deadline, and a tenth at least, as no timeout may be none."""
        return max(0.1, self.deadline - time.monotonic())


def receive(answer: httpx.Response, wanted: Wanted, url: str) -> Received:
    """Stream the body of a 200 to its destination. Raises FetchError, also where less came than was announced; then
    there is no file."""
    headers = answer.headers
    packed = headers.get("content-encoding", "identity")
    if packed != "identity":  # a few packed bytes can unpack to gigabytes
        raise FetchError(
            f"{shown_url(url)}: comes packed as {packed} although it was asked for as it is; serve it unpacked"
        )
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > wanted.max_bytes:
        raise FetchError(too_large(url, wanted.max_bytes))
    digest = hashlib.sha256()
    size = 0
    try:
        with new_file(wanted.destination) as file:
            for chunk in answer.iter_raw():
                size += len(chunk)
                if size > wanted.max_bytes:
                    raise FetchError(too_large(url, wanted.max_bytes))
                if time.monotonic() > wanted.deadline:
                    raise too_late(url)
                file.write(chunk)
                digest.update(chunk)
        if announced.isdecimal() and size != int(announced):
            raise FetchError(
                f"{shown_url(url)}: broke off after {size} of {announced} bytes; try again later", passing=True
            )
    except BaseException:
        wanted.destination.unlink(missing_ok=True)
        raise
    return Received(size, digest.hexdigest(), headers.get("content-type", ""), validators_of(answer), _fresh_s(answer))


def validators_of(answer: httpx.Response) -> Validators:
    """What an answer says of its file."""
    return Validators(answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))


def _fresh_s(answer: httpx.Response) -> float | None:
    said = answer.headers.get("cache-control", "").lower()
    if re.search(r"\bno-(store|cache)\b", said):
        return 0.0
    age = re.search(r"\bmax-age=(\d{1,10})", said)
    return float(age[1]) if age else None


def too_large(url: str, max_bytes: int) -> str:
    """The sentence about a file that is larger than it may be."""
    return f"{shown_url(url)}: is larger than {max_bytes} bytes, the most that is fetched"


def too_late(url: str) -> FetchError:
    """The error of a file that was not whole in time."""
    return FetchError(
        f"{shown_url(url)}: was not here in time; raise `media.timeout` of the recipe, or make it smaller"
    )


def place(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; no scheme for a path, `C:\\texts` included. Raises FetchError for what is no URL."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme if len(parts.scheme) > 1 else ""
        return scheme, parts.hostname or "", parts.port
    except ValueError as error:
        raise FetchError(f"{shown_url(url)}: is no URL ({error})") from error


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port, the usual port filled in; nothing equals the origin of what is no URL."""
    try:
        scheme, host, port = place(url)
    except FetchError:
        return "", "", -1
    return scheme, host, port or {"http": 80, "https": 443}.get(scheme)


def shown_url(url: str) -> str:
    """A URL for an error's sentence: cut, without a password, and without its query, which may be a signature."""
    bare = url if url.startswith("/data/local-files/") else url.split("?", 1)[0]
    bare = re.sub(r"//[^/@]*@", "//", bare)
    bare = "".join(character if character.isprintable() else " " for character in bare)
    most = 40 if bare.startswith("data:") else 200
    return bare if len(bare) <= most else bare[:most] + "..."
