"""Files that Label Studio keeps: uploads, local folders, and cloud storages for which it signs addresses.

The token goes to exactly the configured scheme, host and port, and never along with a redirect.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from lsml.errors import FetchError, StudioError
from lsml.media.transfer import IDLE_S, PASSING, REDIRECTS, Download, Received, origin, receive, shown_url, too_late
from lsml.studio.api import StudioApi

if TYPE_CHECKING:
    import httpx

_FILES = re.compile(r"/(data/upload|data/local-files|storage-data/uploaded|(tasks|projects)/\d+/(resolve|presign))/")


class _Refused(FetchError):
    """An error for a status of Label Studio, or of the storage behind it, that brings no file."""

    def __init__(self, message: str, status: int, *, passing: bool) -> None:
        self.answered = status
        super().__init__(message, passing=passing)


def fetch_file(api: StudioApi, url: str, wanted: Download) -> Received | None:
    """Fetch a file that Label Studio keeps; None where the known one is current.

    `url`: `/data/upload/...`, `upload/...`, `/data/local-files/?d=...`, `/tasks/7/resolve/?fileuri=...`, or one of them
    with this Label Studio's scheme, host and port. Nothing else is requested with the token, as a task can name any
    URL. Raises FetchError with the status and what to do; then no file is left.
    """
    absolute = _file_url(api, url)
    try:
        return _fetch(api, absolute, url, wanted)
    except _Refused as refused:
        # If uploads are in a cloud storage, Label Studio serves them only at another address.
        upload = urlsplit(absolute).path.partition("/data/upload/")[2]
        if not upload or refused.answered not in (404, 500):
            raise
        elsewhere = f"{api.url}/storage-data/uploaded/?filepath={quote(unquote(f'upload/{upload}'), safe='')}"
        try:
            return _fetch(api, elsewhere, url, wanted)
        except FetchError:
            raise refused from None


def _fetch(api: StudioApi, absolute: str, url: str, wanted: Download) -> Received | None:
    with _open_file(api, absolute, url, wanted) as response:
        return None if response.status_code == 304 else receive(response, wanted, url)


def _file_url(api: StudioApi, url: str) -> str:
    prefix = urlsplit(api.url).path
    absolute = f"/data/{url}" if url.startswith("upload/") else url
    if absolute.startswith("/") and not absolute.startswith("//"):
        # Where Label Studio has a path prefix, values come with and without it.
        absolute = api.url + (absolute.removeprefix(prefix) if absolute.startswith(f"{prefix}/") else absolute)
    if origin(absolute) != origin(api.url):
        raise FetchError(f"{shown_url(url)}: is not at {api.url}, so it is not requested with Label Studio's token")
    path = unquote(urlsplit(absolute).path).removeprefix(prefix)
    if not _FILES.match(path) or ".." in path.split("/") or "\\" in path:
        raise FetchError(
            f"{shown_url(url)}: is not a path of Label Studio's files, so it is not requested with its token; "
            "expected /data/upload/..., /data/local-files/?d=... or /tasks/<id>/resolve/?fileuri=..."
        )
    return absolute


@contextmanager
def _open_file(api: StudioApi, absolute: str, url: str, wanted: Download) -> Iterator[httpx.Response]:
    import httpx

    def get(target: str, headers: dict[str, str]) -> httpx.Response:
        if time.monotonic() > wanted.deadline:
            raise too_late(url)
        client = api.http()
        timeout = min(api.timeout_s, IDLE_S, wanted.left_s())
        headers = {**headers, **wanted.known.headers()}
        return client.send(client.build_request("GET", target, headers=headers, timeout=timeout), stream=True)

    try:
        response = api.response(lambda _, headers: get(absolute, headers))
    except StudioError as error:
        raise FetchError(f"{shown_url(url)}: {error}") from error
    try:
        for _ in range(REDIRECTS):
            if not response.is_redirect:
                break
            response.close()
            target = urljoin(str(response.url), response.headers.get("location", ""))
            if urlsplit(target).scheme not in ("http", "https"):
                raise FetchError(f"{shown_url(url)}: redirects to {shown_url(target)}; expected http or https")
            # A signed address needs no token, and the token is only for Label Studio. The storage may be at a private
            # address, as Label Studio's administrator chose it.
            response = get(target, {})
        if response.is_redirect:
            raise FetchError(f"{shown_url(url)}: {api.url} redirects more than {REDIRECTS} times")
        if response.status_code != 200 and not (response.status_code == 304 and wanted.known.headers()):
            status = response.status_code
            # The API has already retried Label Studio itself.
            passing = status in PASSING and origin(str(response.url)) != origin(api.url)
            sentence = f"{shown_url(url)}: {api.url} answered {status}; {_remedy(response, url)}"
            raise _Refused(sentence, status, passing=passing)
        yield response
    except (httpx.TransportError, httpx.InvalidURL) as error:
        if time.monotonic() > wanted.deadline:
            raise too_late(url) from error
        passing = isinstance(error, httpx.TransportError)
        raise FetchError(f"{shown_url(url)}: {api.unreachable(error)}", passing=passing) from error
    finally:
        response.close()


def _remedy(response: httpx.Response, url: str) -> str:
    local = "/data/local-files/" in url
    if response.status_code == 403 and local:
        return "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"
    if response.status_code == 404 and local:
        return "add a Local Files storage for its folder to the project"
    if response.status_code in (401, 403):
        return "use a token of a member who may see the project"
    if response.status_code == 404:
        return "check that the file exists and that a storage of the project covers it"
    if response.status_code == 500 and "upload/" in url:
        return "the uploaded file is probably missing in Label Studio's media folder; upload it again"
    return "Label Studio's own log says why"
