"""Requests to Label Studio's API: authorised, tried again when Label Studio is not reachable, with errors as sentences."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from lsml.errors import StudioAway, StudioError, StudioExists, StudioMissing, StudioRefused
from lsml.media.transfer import shown_url
from lsml.studio.tokens import Access, TokenKind, access_of, kind_of, refusal

if TYPE_CHECKING:
    import httpx

_BAD_ADDRESS = ("URL resolves to", "Can't resolve hostname")  # refusals of a URL in the request
_PAUSE_S = 0.25  # seconds before the second try; doubled before each further one
TRIES = 3  # of a GET, where Label Studio is not reachable or fails


class StudioApi:
    """The API of one Label Studio for one token. Threads may share it; every method raises StudioError."""

    def __init__(self, url: str, token: str, timeout_s: float, ca_file: str | None) -> None:
        self.url = _checked_url(url)
        self.kind: TokenKind = kind_of(token)
        self.timeout_s = timeout_s
        self.access: Access | None = None
        self._token = token
        self._ca_file = ca_file
        self._client: httpx.Client | None = None
        self._client_lock = threading.Lock()
        self._access_lock = threading.Lock()

    def close(self) -> None:
        """Close its connections; the next request opens new ones."""
        with self._client_lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def get(self, path: str, what: str, parameters: Mapping[str, Any] | None = None, tries: int = TRIES) -> Any:
        """Return the JSON at `path`; `what` names it in an error's sentence."""
        response = self.response(
            lambda client, headers: client.get(self.url + path, params=parameters, headers=headers), tries
        )
        return self._read(response, f"read {what}", what)

    def send(self, method: str, path: str, what: str, body: object = None) -> Any:
        """Send one request that changes something. Return the JSON of the response, None where it is empty.

        `what` names the change in an error's sentence, as in "may not <what>". Raises StudioAway where it is unknown
        whether the change was made, StudioRefused where the request is wrong, else StudioError.
        """
        response = self.response(
            lambda client, headers: client.request(method, self.url + path, json=body, headers=headers), tries=1
        )
        return self._read(response, what, what) if response.content else self._read_status(response, what, what)

    def upload(self, path: str, what: str, files: Mapping[str, bytes]) -> None:
        """Upload files by name, as a form does, once; errors are those of `send`."""
        form = [(f"file{number}", file) for number, file in enumerate(files.items())]
        uploaded = self.response(lambda client, sent: client.post(self.url + path, files=form, headers=sent), tries=1)
        self._read_status(uploaded, what, what)

    def _read(self, response: httpx.Response, deed: str, what: str) -> Any:
        """Return the JSON of a response."""
        self._read_status(response, deed, what)
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise StudioError(
                f"{self.url}: answered {response.headers.get('content-type', 'something')} instead of JSON for "
                f"{what}; label_studio.url is the address of another program, or a sign-in page is in front of Label "
                "Studio"
            ) from error

    def _read_status(self, response: httpx.Response, deed: str, what: str) -> None:
        """Raise StudioError unless a response has a good status."""
        status = response.status_code
        if response.is_redirect:
            raise StudioError(
                f"{self.url}: redirects the API to {shown_url(response.headers.get('location', ''))}; the token is "
                "not sent along, so set label_studio.url to Label Studio's final address"
            )
        if status in (403, 500) and (said := _said(response)).startswith(_BAD_ADDRESS):
            raise StudioRefused(f"{self.url}: refused to {deed} ({status}): {said}")
        if status == 403:
            raise StudioError(
                f"{self.url}: the user of the {self.kind} may not {deed} (403); use a token of a member "
                "who may, or let an administrator allow it"
            )
        if status == 409:
            raise StudioExists(f"{self.url}: refused to {deed}, because it exists already (409): {_said(response)}")
        if status == 404:
            raise StudioMissing(
                f"{self.url}: {what} does not exist (404); it was deleted, it belongs to an organisation without the "
                f"user of the {self.kind}, or label_studio.url is not a Label Studio"
            )
        if status == 429 or status >= 500:
            raise StudioAway(
                f"{self.url}: answered {status} for {what}; Label Studio's own log says why", _wait_s(response)
            )
        if status in (400, 422):
            raise StudioRefused(f"{self.url}: refused to {deed} ({status}): {_said(response)}")
        if not response.is_success:
            raise StudioError(f"{self.url}: answered {status} for {what}; Label Studio's own log says why")

    def response(
        self, ask: Callable[[httpx.Client, dict[str, str]], httpx.Response], tries: int = TRIES
    ) -> httpx.Response:
        """Return the response to one authorised request. It is tried again where Label Studio is not reachable, and once
        with a new access token.

        Raises StudioError where it is not reachable even so.
        """
        response = self._tried(ask, self._headers(), tries)
        if response.status_code == 401 and self.access is not None:
            response.close()
            response = self._tried(ask, self._headers(refused=response.request.headers.get("authorization")), tries)
        if response.status_code == 401:
            response.read()
            raise StudioError(refusal(self.url, self._token, _detail(response)))
        return response

    def _tried(
        self,
        ask: Callable[[httpx.Client, dict[str, str]], httpx.Response],
        headers: dict[str, str],
        tries: int = TRIES,
    ) -> httpx.Response:
        import httpx

        for attempt in range(1, tries + 1):
            try:
                response = ask(self.http(), headers)
            except httpx.TransportError as error:
                if attempt == tries:
                    raise self.unreachable(error) from error
            else:
                if response.status_code < 500 or attempt == tries:
                    return response
                response.close()
            time.sleep(_PAUSE_S * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def http(self) -> httpx.Client:
        """Return the client with its connections, which threads share."""
        import httpx

        with self._client_lock:
            if self._client is None:
                agent = {"User-Agent": "lsml", "Accept-Encoding": "identity"}
                trusted = httpx.create_ssl_context()
                if self._ca_file is not None:
                    trusted.load_verify_locations(self._ca_file)
                self._client = httpx.Client(
                    headers=agent, timeout=self.timeout_s, follow_redirects=False, verify=trusted
                )
            return self._client

    def _headers(self, refused: str | None = None) -> dict[str, str]:
        """Return the Authorization header. `refused`: a header that just got a 401, so it is not used again."""
        if not self._token:
            return {}
        if self.kind == "legacy token":
            return {"Authorization": f"Token {self._token}"}
        with self._access_lock:
            access = self.access
            # Another thread may have exchanged the token already; then its access token is used.
            if access is None or time.monotonic() >= access.stale_at_s or refused == f"Bearer {access.token}":
                access = self.access = self._exchange()
            return {"Authorization": f"Bearer {access.token}"}

    def _exchange(self) -> Access:
        """Return a new access token for the personal access token."""
        response = self._tried(
            lambda client, _: client.post(f"{self.url}/api/token/refresh/", json={"refresh": self._token}), {}
        )
        if response.status_code == 404:
            raise StudioError(
                f"{self.url}: cannot exchange a personal access token (404); label_studio.url is not a Label Studio, "
                "or too old for such tokens; then use a legacy token"
            )
        if response.status_code in (400, 401, 403):
            raise StudioError(refusal(self.url, self._token, _detail(response), exchanged=False))
        try:
            token = str(msgspec.json.decode(response.content)["access"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise self.unexpected(f"the exchange of the personal access token ({response.status_code})") from error
        return access_of(token)

    def unreachable(self, error: Exception) -> StudioError:
        """Return the error for a Label Studio that is not reachable, with what to do."""
        import httpx

        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why = str(error).rpartition("certificate verify failed: ")[2]
            return StudioError(
                f"{self.url}: its certificate is not trusted ({why}); set label_studio.ca_file to the PEM file of "
                "the authority that signed it"
            )
        if isinstance(error, httpx.TimeoutException):
            found = f"did not answer within {self.timeout_s:g} s"
        else:
            found = f"cannot be reached ({str(error) or type(error).__name__})"
        host = urlsplit(self.url).hostname or ""
        inside = (
            "; inside a container, localhost is the container itself: use host.docker.internal or the service's name"
            if host in ("localhost", "127.0.0.1", "::1")
            else ""
        )
        return StudioAway(f"{self.url}: {found}; check that Label Studio runs and label_studio.url is right{inside}")

    def unexpected(self, what: str) -> StudioError:
        """Return the error for a response that is not Label Studio's; `what` names the requested data."""
        return StudioError(
            f"{self.url}: sent an unexpected answer for {what}; label_studio.url is another program, or a version of "
            "Label Studio that lsml does not support"
        )


def _checked_url(url: str) -> str:
    """Return the URL without a slash at its end. Raises StudioError where the token may not be sent to it."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise StudioError("label_studio.url: expected something like http://localhost:8080")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise StudioError("label_studio.url: expected only scheme, host, port and path; put the token into api_key")
    return url.strip().rstrip("/")


def _wait_s(response: httpx.Response) -> float | None:
    """Return the seconds that a response asks to wait (Retry-After); None where it has none."""
    said = response.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else None


def _said(response: httpx.Response) -> str:
    """Return Label Studio's own words in a refusal, on one line and shortened."""
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return "without a reason"
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail") or body
    return " ".join(str(body).split())[:500]


def _detail(response: httpx.Response) -> str:
    """Return Label Studio's own message in an error."""
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return ""
    return str(body.get("detail", "")) if isinstance(body, dict) else ""
