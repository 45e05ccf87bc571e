"""A request to the service of a recipe: to a checked address, bounded, and repeated where that may help."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from lsml.adapters.parts.asking import Away, Dropped
from lsml.adapters.remote.options import RemoteOptions
from lsml.addresses import addresses_of, is_public, tls_context
from lsml.deadlines import Deadline

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_OF_REQUEST: Final = frozenset({400, 413, 415, 422})
_LARGEST: Final = 32 * 2**20  # the most bytes of an answer
_LONGEST_WAIT_S: Final = 30.0


class Service:
    """One URL. Threads may ask at once. No part of a task is in the URL, no redirect is followed, and no proxy is used."""

    def __init__(
        self,
        adapter: str,
        options: RemoteOptions,
        *,
        passing: frozenset[int] = _PASSING,
        of_request: frozenset[int] = _OF_REQUEST,
    ) -> None:
        """Ask the URL of `options`. `passing`: statuses after which it is asked again; `of_request`: those that refuse only
        one request.
        """
        self._options = options
        self._url = httpx.URL(options.url)
        self.name = f"{adapter}: {self._url.host}"
        self._passing = passing
        self._of_request = of_request

    def ask(self, body: bytes, content_type: str, below: str = "") -> object:
        """Return its answer as JSON, at the URL or at a path below it. Raises Away, or Dropped where it only refuses this
        request.
        """
        url = self._url.copy_with(path=self._url.path.rstrip("/") + below) if below else self._url
        attempts = self._options.retries + 1
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            try:
                status, wait_s, content = self._sent(url, body, content_type)
            except httpx.TimeoutException as error:
                if last:
                    raise Away(
                        f"{self.name}: no answer within {self._options.timeout:g} s (options.timeout)"
                    ) from error
            except httpx.RequestError as error:
                if last:
                    raise Away(
                        f"{self.name}: cannot be reached ({type(error).__name__}); check `url`, and that it runs"
                    ) from error
            else:
                if status not in self._passing or last:
                    return self._read(status, content)
                if wait_s is not None:
                    time.sleep(wait_s)
                    continue
            # Growing pauses with some randomness.
            time.sleep(min(8.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        raise AssertionError("the last attempt answers or raises")

    def _sent(self, url: httpx.URL, body: bytes, content_type: str) -> tuple[int, float | None, bytes]:
        """Return (status, seconds that it asks to wait, content)."""
        headers = {"User-Agent": "lsml", "Accept": "application/json", "Content-Type": content_type}
        headers |= self._options.headers | {"Host": self._url.netloc.decode("ascii")}
        if self._options.authorization:
            headers["Authorization"] = self._options.authorization
        timeout = self._options.timeout
        address = self._address()
        with (
            httpx.Client(verify=tls_context(), follow_redirects=False, trust_env=False, timeout=timeout) as client,
            Deadline(timeout) as deadline,
        ):
            request = client.build_request(
                "POST",
                # The certificate must be the host's, although the connection goes to an address.
                url.copy_with(host=address),
                content=body,
                headers=headers,
                extensions={"sni_hostname": self._url.raw_host.decode(), "trace": deadline.trace},
            )
            try:
                response, content = self._received(client, request)
            except httpx.RequestError as error:
                if deadline.passed:
                    raise httpx.ReadTimeout("the answer goes on and on") from error
                raise
            if deadline.passed:
                raise httpx.ReadTimeout("the answer goes on and on")
        asked = response.headers.get("retry-after", "")
        return response.status_code, min(float(asked), _LONGEST_WAIT_S) if asked.isdecimal() else None, content

    def _received(self, client: httpx.Client, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """Return (the response, its content). Raises Dropped where it is too large, and what httpx raises."""
        response = client.send(request, stream=True)
        content = bytearray()
        try:
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise Dropped("too large", f"{self.name}: answered more than {_LARGEST // 2**20} MB")
        finally:
            response.close()
        return response, bytes(content)

    def _address(self) -> str:
        """Return an allowed address of the host. Raises Away."""
        host = self._url.host
        try:
            addresses = addresses_of(host, self._url.port or (443 if self._url.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            raise Away(f"{self.name}: the host cannot be found; check its spelling and the network") from error
        inside = next((address for address in addresses if not is_public(address)), None)
        if inside is not None and not self._options.private:
            raise Away(
                f"{self.name}: has the private address {inside}; if it is your own service, write `private: true` "
                "under `options`"
            )
        return addresses[0]

    def _read(self, status: int, content: bytes) -> Any:
        if status in self._of_request:
            what = "refused the request" if status < 500 else "failed on the request"
            advice = "check `request` against what it expects" if status < 500 else "its own log says why"
            raise Dropped("refused", f"{self.name}: {what} ({status}); {advice}")
        if status in (401, 403):
            raise Away(f"{self.name}: rejected the key ({status}); check `authorization` under `options`")
        if status != 200:
            raise Away(
                f"{self.name}: answered {status} to the last of {self._options.retries + 1} attempts; check `url`"
            )
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Dropped("not JSON", f"{self.name}: its answer is not JSON; check `url`") from error


def filled(template: object, given: Mapping[str, str]) -> Any:
    """Return a template with `{text}` replaced in all its strings; a text can change nothing else of it."""
    if isinstance(template, str):
        for name, text in given.items():
            template = template.replace(f"{{{name}}}", text)
        return template
    if isinstance(template, dict):
        return {name: filled(value, given) for name, value in template.items()}
    return [filled(value, given) for value in template] if isinstance(template, list) else template
