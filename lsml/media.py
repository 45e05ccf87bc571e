"""What a task's URL names, brought here safely.

A task can name any URL, so its values are a stranger's: local paths only inside folders that were allowed, other hosts
only at public addresses, everything bounded in size and time, and never with a token. What Label Studio keeps itself
comes through a function that the caller hands in (`Studio.fetch`).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urljoin, urlsplit

from lsml.errors import FetchError

if TYPE_CHECKING:
    import httpx

MAX_TEXT_BYTES = 10 * 1024 * 1024
REDIRECTS = 5
CONNECT_S = 10.0
TOTAL_S = 60.0  # for one file, redirects included

StudioFetch = Callable[[str, Path, int], str]  # (URL, destination, most bytes) -> Content-Type, as `Studio.fetch`

_STUDIO_PATH = re.compile(r"(/data/|/tasks/\d+/|/projects/\d+/|/storage-data/|upload/)")
_CLOUD = ("s3", "gs", "azure-blob", "redis")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def fetch_text(
    url: str,
    *,
    studio_fetch: StudioFetch | None = None,
    studio_url: str | None = None,
    allow_private: bool = False,
    folders: Sequence[Path] | None = (),
    max_bytes: int = MAX_TEXT_BYTES,
) -> str:
    """The text behind a task's URL: UTF-8, with or without a byte order mark, or the charset that its server declares.

    `studio_fetch` and `studio_url` belong together; without them, what only Label Studio has is an error that says so.
    `folders`: where local paths may lie; None allows any, for commands that a person runs on files of their own.
    `allow_private`: other hosts may be at private addresses. Raises FetchError: where, what was found, what to do.
    """
    if url.startswith("data:"):
        content, content_type = _decoded_data_url(url, max_bytes)
        return _text(content, content_type, url)
    with tempfile.TemporaryDirectory(prefix="lsml-") as directory:
        destination = Path(directory) / "text"
        scheme = _place(url)[0]
        ours = studio_url is not None and _origin(url) == _origin(studio_url)
        if studio_fetch is not None and (ours or (not scheme and _STUDIO_PATH.match(url))):
            content_type = studio_fetch(url, destination, max_bytes)
        elif scheme in ("http", "https"):
            content_type = fetch_public(url, destination, max_bytes, allow_private)
        elif scheme in ("", "file"):
            destination, content_type = _local_path(url, folders, max_bytes), ""
        elif scheme in _CLOUD:
            raise FetchError(
                f"{_shown(url)}: lsml does not read cloud storage; let the storage make pre-signed http addresses, or "
                "put the text itself into the task"
            )
        else:
            raise FetchError(f"{_shown(url)}: expected http, https, data, or a path of Label Studio's, got {scheme}")
        try:
            content = destination.read_bytes()
        except OSError as error:
            raise FetchError(f"{_shown(url)}: cannot be read ({error.strerror})") from error
        return _text(content, content_type, url)


def fetch_public(url: str, destination: Path, max_bytes: int, allow_private: bool = False) -> str:
    """Bring an http(s) file to `destination`, and return its Content-Type ("" where it has none).

    No token goes anywhere, no proxy is used, and at most five redirects are followed. Every host is resolved once and
    the connection goes to an address that was checked, so a name cannot turn private between check and use. Raises
    FetchError; then there is no file.
    """
    import httpx

    deadline = time.monotonic() + TOTAL_S
    target = url
    # The environment's proxies would resolve names themselves, behind the check. A connection belongs to an address and
    # a certificate's host, so none is kept for the next redirect.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(timeout=CONNECT_S, follow_redirects=False, trust_env=False, limits=limits) as client:
        for _ in range(REDIRECTS + 1):
            with _pinned(client, target, url, allow_private) as answer:
                if answer.is_redirect:
                    target = urljoin(target, answer.headers.get("location", ""))
                    continue
                if answer.status_code != 200:
                    raise FetchError(f"{_shown(url)}: answered {answer.status_code}; {_remedy(answer.status_code)}")
                try:
                    _save(answer, destination, max_bytes, deadline, url)
                except BaseException:
                    destination.unlink(missing_ok=True)
                    raise
                return str(answer.headers.get("content-type", ""))
    raise FetchError(f"{_shown(url)}: redirects more than {REDIRECTS} times; give the address where it ends")


@contextmanager
def _pinned(client: httpx.Client, target: str, url: str, allow_private: bool) -> Iterator[httpx.Response]:
    """The answer of `target`, from an address that was checked; errors name `url`, which led there."""
    import httpx

    scheme, host, port = _place(target)
    if scheme not in ("http", "https") or not host:
        raise FetchError(f"{_shown(url)}: leads to {_shown(target)}; expected http or https and a host")
    addresses = _addresses(host, port or (443 if scheme == "https" else 80), url, allow_private)
    try:
        where = httpx.URL(target)
        asked = where.copy_with(userinfo=b"", fragment=None)
        headers = {"Host": asked.netloc.decode("ascii"), "User-Agent": "lsml", "Accept-Encoding": "identity"}
        answer: httpx.Response | None = None
        for position, address in enumerate(addresses, start=1):
            # The certificate has to be the host's, although the connection goes to an address.
            request = client.build_request(
                "GET",
                asked.copy_with(host=address),
                headers=headers,
                extensions={"sni_hostname": asked.raw_host.decode()},
            )
            try:
                answer = client.send(request, stream=True)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if position == len(addresses):
                    raise
        assert answer is not None  # _addresses gives at least one
        try:
            yield answer
        finally:
            answer.close()
    except httpx.TimeoutException as error:
        raise FetchError(f"{_shown(url)}: {host} did not answer within {CONNECT_S:g} s") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise FetchError(f"{_shown(url)}: cannot be read from {host} ({str(error) or type(error).__name__})") from error


def _addresses(host: str, port: int, url: str, allow_private: bool) -> list[str]:
    """The addresses of a host. Raises FetchError where it has none, or where one of them is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(
            f"{_shown(url)}: the host {host} cannot be found; check its spelling and the network"
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not allow_private and not _is_public(address):
            raise FetchError(
                f"{_shown(url)}: the host {host} is at {address}, which is not a public address, so a task may not "
                "make lsml read it; put the file into Label Studio"
            )
    return addresses


def _is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; what is wrapped in an IPv6 address counts as itself."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return _is_public(str(wrapped))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


def _save(answer: httpx.Response, destination: Path, max_bytes: int, deadline: float, url: str) -> None:
    packed = answer.headers.get("content-encoding", "identity")
    if packed != "identity":  # a few packed bytes can unpack to gigabytes
        raise FetchError(
            f"{_shown(url)}: comes packed as {packed} although it was asked for as it is; serve it unpacked"
        )
    size = 0
    with destination.open("wb") as file:
        for chunk in answer.iter_raw():
            size += len(chunk)
            if size > max_bytes:
                raise FetchError(_too_large(url, max_bytes))
            if time.monotonic() > deadline:
                raise FetchError(f"{_shown(url)}: was not here after {TOTAL_S:g} s")
            file.write(chunk)


def _decoded_data_url(url: str, max_bytes: int) -> tuple[bytes, str]:
    """The bytes and the content type of a `data:` URL."""
    head, comma, body = url[len("data:") :].partition(",")
    if not comma:
        raise FetchError(f"{_shown(url)}: is no data URL; expected data:<type>,<text> or data:<type>;base64,<bytes>")
    if len(body) > 4 * max_bytes:  # before decoding: %41 is three characters for one byte
        raise FetchError(_too_large(url, max_bytes))
    content = unquote_to_bytes(body)
    content_type = head.strip()
    if content_type.lower().endswith(";base64"):
        content_type = content_type[: -len(";base64")]
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error as error:
            raise FetchError(f"{_shown(url)}: says that it is base64 and is not; encode it again") from error
    if len(content) > max_bytes:
        raise FetchError(_too_large(url, max_bytes))
    return content, content_type


def _local_path(url: str, folders: Sequence[Path] | None, max_bytes: int) -> Path:
    """The file that a path or a file: URL names, if it may be read."""
    from urllib.request import url2pathname

    parts = urlsplit(url)
    path = Path(url2pathname(unquote(parts.path)) if parts.scheme == "file" else url)
    try:
        real = path.resolve()
    except (OSError, ValueError) as error:
        raise FetchError(f"{_shown(url)}: is no path; expected a URL or the path of a file") from error
    if folders is not None and not any(real.is_relative_to(folder.resolve()) for folder in folders):
        if _STUDIO_PATH.match(url):
            raise FetchError(
                f"{_shown(url)}: is kept by Label Studio; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, so that lsml "
                "can ask for it"
            )
        raise FetchError(f"{_shown(url)}: is a local path outside the folders that lsml may read")
    if not real.is_file():
        raise FetchError(f"{_shown(url)}: there is no such file")
    if real.stat().st_size > max_bytes:
        raise FetchError(_too_large(url, max_bytes))
    return real


def _text(content: bytes, content_type: str, url: str) -> str:
    """Bytes as text: UTF-8 where they are that, else the declared charset."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    if declared is None:
        raise FetchError(f"{_shown(url)}: is not UTF-8 text and declares no charset; save it as UTF-8")
    charset = declared.group(1)
    try:
        return content.decode(charset)
    except (LookupError, ValueError) as error:
        raise FetchError(
            f"{_shown(url)}: is neither UTF-8 nor the charset {charset} it declares; save it as UTF-8"
        ) from error


def _place(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; no scheme for a path, `C:\\texts` included. Raises FetchError for what is no URL."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme if len(parts.scheme) > 1 else ""
        return scheme, parts.hostname or "", parts.port
    except ValueError as error:
        raise FetchError(f"{_shown(url)}: is no URL ({error})") from error


def _origin(url: str) -> tuple[str, str, int | None]:
    scheme, host, port = _place(url)
    return scheme, host, port or {"http": 80, "https": 443}.get(scheme)


def _shown(url: str) -> str:
    """A URL for an error's sentence: cut, without a password, and without its query, which may be a signature."""
    bare = url if url.startswith("/data/local-files/") else url.split("?", 1)[0]
    bare = re.sub(r"//[^/@]*@", "//", bare)
    bare = "".join(character if character.isprintable() else " " for character in bare)
    most = 40 if bare.startswith("data:") else 200
    return bare if len(bare) <= most else bare[:most] + "..."


def _too_large(url: str, max_bytes: int) -> str:
    return f"{_shown(url)}: is larger than {max_bytes} bytes, the most that is fetched"


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "lsml sends no password to other hosts: make it public, or put it into Label Studio"
    if status in (404, 410):
        return "the file is gone: correct the task"
    return "try again later, or put the file into Label Studio"
