"""Files of other hosts: fetched only from checked addresses, bounded in size and time, and never with a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from lsml.addresses import addresses_of, is_public, tls_context
from lsml.deadlines import Deadline
from lsml.errors import FetchError
from lsml.media.transfer import (
    IDLE_S,
    PASSING,
    REDIRECTS,
    Download,
    Received,
    parts_of,
    receive,
    shown_url,
    too_late,
)

if TYPE_CHECKING:
    import httpx

MayBePrivate = Callable[[str], bool]  # host -> True if it may be at a private address


def fetch_public(url: str, wanted: Download, may_be_private: MayBePrivate) -> Received | None:
    """Fetch an http(s) file; None where the known one is still current.

    No token is sent, no proxy is used, and at most five redirects are followed. Every host is resolved once and the
    connection goes to an address that was checked, so a name cannot turn private between check and use. Raises
    FetchError; then no file is left.
    """
    import httpx

    target = url
    # The environment's proxies would resolve names themselves, past the check. A connection belongs to an address and
    # a certificate's host, so none is kept for the next redirect.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(verify=tls_context(), follow_redirects=False, trust_env=False, limits=limits) as client:
        for _ in range(REDIRECTS + 1):
            with _pinned(client, target, url, wanted, may_be_private) as response:
                if response.status_code == 304 and wanted.known.headers():
                    return None
                if response.is_redirect:
                    target = urljoin(target, response.headers.get("location", ""))
                    continue
                if response.status_code != 200:
                    raise FetchError(
                        f"{shown_url(url)}: answered {response.status_code}; {_remedy(response.status_code)}",
                        passing=response.status_code in PASSING,
                    )
                return receive(response, wanted, url)
    raise FetchError(f"{shown_url(url)}: redirects more than {REDIRECTS} times; use its final URL")


@contextmanager
def _pinned(
    client: httpx.Client, target: str, url: str, wanted: Download, may_be_private: MayBePrivate
) -> Iterator[httpx.Response]:
    """Yield the response of `target`, from an address that was checked; errors name `url`, which led there."""
    import httpx

    scheme, host, port = parts_of(target)
    if scheme not in ("http", "https") or not host:
        raise FetchError(f"{shown_url(url)}: redirects to {shown_url(target)}; expected http or https and a host")
    addresses = _addresses(host, port or (443 if scheme == "https" else 80), url, may_be_private)
    try:
        where = httpx.URL(target)
        asked = where.copy_with(userinfo=b"", fragment=None)
        headers = {
            "Host": asked.netloc.decode("ascii"),
            "User-Agent": "lsml",
            "Accept-Encoding": "identity",
            **wanted.known.headers(),
        }
        response: httpx.Response | None = None
        for position, address in enumerate(addresses, start=1):
            if time.monotonic() > wanted.deadline:
                raise too_late(url)
            try:
                with Deadline(wanted.left_s()) as deadline:
                    # The certificate has to be the host's, although the connection goes to an address.
                    request = client.build_request(
                        "GET",
                        asked.copy_with(host=address),
                        headers=headers,
                        extensions={"sni_hostname": asked.raw_host.decode(), "trace": deadline.trace},
                        timeout=min(IDLE_S, wanted.left_s()),
                    )
                    response = client.send(request, stream=True)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if position == len(addresses):
                    raise
        assert response is not None  # _addresses gives at least one
        try:
            yield response
        finally:
            response.close()
    except httpx.TimeoutException as error:
        if time.monotonic() > wanted.deadline:
            raise too_late(url) from error
        raise FetchError(
            f"{shown_url(url)}: {host} did not answer within {IDLE_S:g} s; try again later", passing=True
        ) from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        if time.monotonic() > wanted.deadline:
            raise too_late(url) from error
        raise FetchError(
            f"{shown_url(url)}: cannot be read from {host} ({str(error) or type(error).__name__})",
            passing=isinstance(error, httpx.TransportError),
        ) from error


def _addresses(host: str, port: int, url: str, may_be_private: MayBePrivate) -> list[str]:
    """Return the addresses of a host. Raises FetchError where it has none, or where one of them is not public."""
    try:
        addresses = addresses_of(host, port)
    except (OSError, UnicodeError) as error:
        raise FetchError(
            f"{shown_url(url)}: the host {host} cannot be found; check its spelling and the network"
        ) from error
    for address in addresses:
        if not is_public(address) and not may_be_private(host):
            raise FetchError(
                f"{shown_url(url)}: the host {host} has the private address {address}, which tasks may not use; put "
                "the file into Label Studio, or add the host to `media.hosts` of the recipe"
            )
    return addresses


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "lsml sends no password to other hosts; make the file public, or put it into Label Studio"
    if status in (404, 410):
        return "the file is gone; correct the task"
    return "try again later, or put the file into Label Studio"
