"""Label Studio's own API: who the token belongs to, annotated tasks, and files that Label Studio keeps.

Two kinds of token exist, told apart by their shape. A legacy token is sent as it is. A personal access token is a
refresh token, which Label Studio does not accept itself: it is exchanged for an access token that lasts five minutes.
A token goes to exactly the configured scheme, host and port, and never along with a redirect.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec

from lsml.errors import FetchError, StudioError
from lsml.media.transfer import IDLE_S, PASSING, REDIRECTS, Received, Wanted, origin, receive, shown_url, too_late

if TYPE_CHECKING:
    import httpx

PAGE = 100  # tasks in one answer: what `annotated_tasks` holds in memory
TRIES = 3  # of a GET that finds nobody or a broken server
OVERLAP = timedelta(minutes=1)  # a change can become visible later than its time says, by as long as its transaction
ACCESS_S = 300.0  # how long an access token lasts where it does not say so itself
_FILES = re.compile(r"/(data/upload|data/local-files|storage-data/uploaded|(tasks|projects)/\d+/(resolve|presign))/")

TokenKind = Literal["legacy token", "personal access token"]


class StudioTask(msgspec.Struct, frozen=True):
    """A task with its annotations, as a webhook would send them. `data` holds raw values: `s3://...` stays `s3://...`.

    `updated_at` is ISO 8601 by Label Studio's clock. Of each annotation at least `id`, `result`, `was_cancelled`,
    `ground_truth`, `updated_at` and `completed_by` (a user's id) are there.
    """

    id: int
    data: dict[str, Any]
    updated_at: str
    annotations: tuple[dict[str, Any], ...]


class _Page(msgspec.Struct):
    total: int
    tasks: list[StudioTask]


class _Access(msgspec.Struct, frozen=True):
    token: str
    stale_at_s: float  # on the monotonic clock


class _Refused(FetchError):
    """Label Studio, or the storage that it names, answered a status that brings no file."""

    def __init__(self, message: str, status: int, passing: bool) -> None:
        self.answered = status
        super().__init__(message, passing=passing)


class Studio:
    """One Label Studio, with one user's token. Threads may share it; `close` gives its connections back.

    Every method raises StudioError, `fetch` FetchError; their sentence says what to do and never holds the token.
    An empty token is legal: what needs none works, and the rest says that a token is missing. `ca_file`: authorities for its
    certificate beside the usual ones.
    """

    def __init__(self, url: str, token: str, timeout_s: float = 30.0, ca_file: str | None = None) -> None:
        self.url = _checked_url(url)
        self.kind: TokenKind = _kind(token)
        self._token = token
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._client: httpx.Client | None = None
        self._access: _Access | None = None
        self._client_lock = threading.Lock()
        self._access_lock = threading.Lock()

    @property
    def identity(self) -> str:
        """Names this Label Studio and this user without telling the token: what one may read, another may not."""
        return hashlib.sha256(f"{self.url} {self._token}".encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"Studio({self.url!r}, {self.kind if self._token else 'no token'})"

    def close(self) -> None:
        """Close its connections; the next call opens new ones."""
        with self._client_lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> str:
        """Who this token belongs to and what answers, in a sentence."""
        user = self._get("/api/current-user/whoami", what="the user of the token")
        server = self._get("/api/version/", what="the version")
        try:
            return f"{user['email']}, by {self.kind}, at {self.url} (Label Studio {server['release']})"
        except (TypeError, KeyError):
            raise self._foreign("the user and the version") from None

    def created(self, project_id: int) -> int:
        """When a project was made, in whole seconds since the epoch: the second half of its key."""
        project = self._get(f"/api/projects/{project_id}/", what=f"project {project_id}")
        try:
            return int(datetime.fromisoformat(project["created_at"]).timestamp())
        except (TypeError, KeyError, ValueError):
            raise self._foreign(f"project {project_id}") from None

    def annotated_tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        """Tasks that have annotations, skipped ones included, in the order of their ids; holds one page in memory.

        `since`: an ISO 8601 time by Label Studio's clock, such as the latest `updated_at` of an earlier reading. Tasks
        updated before it are left out, but for an overlap of a minute, so a task can come again. Creating, changing
        and deleting an annotation, toggling its ground truth and storing a prediction update the task. A task that
        lost its last annotation is not among them: compare a reading without `since`, or listen to webhooks.
        """
        conditions = [_condition("annotations_ids", "empty", "String", False)]
        if since is not None:
            conditions.append(_condition("updated_at", "greater_or_equal", "Datetime", _since(since)))
        last = 0
        while True:
            # Pages go by the last id seen, not by number: a task that changes meanwhile moves no other task.
            items = [*conditions, _condition("id", "greater", "Number", last)]
            query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
            parameters = {
                "project": project_id,
                "fields": "all",
                "resolve_uri": "false",
                "page_size": PAGE,
                "query": json.dumps(query),
            }
            what = f"project {project_id}"
            answer = self._get("/api/tasks/", what=what, parameters=parameters)
            try:
                page = msgspec.convert(answer, _Page)
            except msgspec.ValidationError as error:
                raise self._foreign(f"the tasks of {what}: {error}") from error
            fresh = [task for task in page.tasks if task.id > last]
            yield from map(_like_a_webhook, fresh)
            # A server that passes over the filter would answer the first page for ever: no new task ends it, too.
            if not fresh or len(page.tasks) >= page.total:
                return
            last = fresh[-1].id

    def fetch(self, url: str, wanted: Wanted) -> Received | None:
        """Bring a file that Label Studio keeps here; None where it is still the known one.

        `url`: `/data/upload/...`, `upload/...`, `/data/local-files/?d=...`, `/tasks/7/resolve/?fileuri=...`, or one of
        them with this Label Studio's scheme, host and port. Nothing else is asked for with the token, for a task can
        name any URL. Raises FetchError with the status and what to do; then there is no file.
        """
        absolute = self._file_url(url)
        try:
            return self._fetch(absolute, url, wanted)
        except _Refused as refused:
            # Where uploads live in a cloud storage, Label Studio gives them under another address alone.
            upload = urlsplit(absolute).path.partition("/data/upload/")[2]
            if not upload or refused.answered not in (404, 500):
                raise
            elsewhere = f"{self.url}/storage-data/uploaded/?filepath={quote(unquote(f'upload/{upload}'), safe='')}"
            try:
                return self._fetch(elsewhere, url, wanted)
            except FetchError:
                raise refused from None

    def _fetch(self, absolute: str, url: str, wanted: Wanted) -> Received | None:
        with self._open_file(absolute, url, wanted) as answer:
            return None if answer.status_code == 304 else receive(answer, wanted, url)

    # Requests

    def _get(self, path: str, what: str, parameters: dict[str, Any] | None = None) -> Any:
        """The JSON behind `path`; `what` names it in an error's sentence."""
        answer = self._answer(lambda client, headers: client.get(self.url + path, params=parameters, headers=headers))
        if answer.is_redirect:
            raise StudioError(
                f"{self.url}: redirects the API to {shown_url(answer.headers.get('location', ''))}; the token is not sent "
                "along, so set label_studio.url to the address that Label Studio is really at"
            )
        if answer.status_code == 403:
            raise StudioError(
                f"{self.url}: the user of the {self.kind} may not read {what} (403); use a token of a member "
                "who may, or let an administrator allow it"
            )
        if answer.status_code == 404:
            raise StudioError(
                f"{self.url}: {what} is not there (404); it was deleted, or it belongs to an organisation that the "
                f"user of the {self.kind} is not in, or label_studio.url is not a Label Studio"
            )
        if not answer.is_success:
            raise StudioError(f"{self.url}: answered {answer.status_code} for {what}; Label Studio's own log says why")
        try:
            return msgspec.json.decode(answer.content)
        except msgspec.DecodeError as error:
            raise StudioError(
                f"{self.url}: answered {answer.headers.get('content-type', 'something')} instead of JSON for {what}; "
                "label_studio.url names another program, or a sign-in page stands in front of Label Studio"
            ) from error

    def _answer(self, ask: Callable[[httpx.Client, dict[str, str]], httpx.Response]) -> httpx.Response:
        """The answer of one authorised GET: tried again where nobody answers, and once with a new access token."""
        answer = self._tried(ask, self._headers())
        if answer.status_code == 401 and self._access is not None:
            answer.close()
            answer = self._tried(ask, self._headers(refused=answer.request.headers.get("authorization")))
        if answer.status_code == 401:
            answer.read()
            raise StudioError(self._refusal(_detail(answer)))
        return answer

    def _tried(
        self, ask: Callable[[httpx.Client, dict[str, str]], httpx.Response], headers: dict[str, str]
    ) -> httpx.Response:
        import httpx

        for attempt in range(1, TRIES + 1):
            try:
                answer = ask(self._http(), headers)
            except httpx.TransportError as error:
                if attempt == TRIES:
                    raise self._unreachable(error) from error
            else:
                if answer.status_code < 500 or attempt == TRIES:
                    return answer
                answer.close()
            time.sleep(0.25 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def _http(self) -> httpx.Client:
        import httpx

        with self._client_lock:
            if self._client is None:
                agent = {"User-Agent": "lsml", "Accept-Encoding": "identity"}
                trusted = httpx.create_ssl_context()
                if self._ca_file is not None:
                    trusted.load_verify_locations(self._ca_file)
                self._client = httpx.Client(
                    headers=agent, timeout=self._timeout_s, follow_redirects=False, verify=trusted
                )
            return self._client

    # Tokens

    def _headers(self, refused: str | None = None) -> dict[str, str]:
        """The Authorization header. `refused`: one that just got a 401, so it is not used again."""
        if not self._token:
            return {}
        if self.kind == "legacy token":
            return {"Authorization": f"Token {self._token}"}
        with self._access_lock:
            access = self._access
            # Another thread may have exchanged the token already; then its access token is the one to use.
            if access is None or time.monotonic() >= access.stale_at_s or refused == f"Bearer {access.token}":
                access = self._access = self._exchange()
            return {"Authorization": f"Bearer {access.token}"}

    def _exchange(self) -> _Access:
        """A new access token for the personal access token."""
        answer = self._tried(
            lambda client, _: client.post(f"{self.url}/api/token/refresh/", json={"refresh": self._token}), {}
        )
        if answer.status_code == 404:
            raise StudioError(
                f"{self.url}: cannot exchange a personal access token (404); label_studio.url is not a Label Studio, "
                "or one from before such tokens: then use a legacy token"
            )
        if answer.status_code in (400, 401, 403):
            raise StudioError(self._refusal(_detail(answer), exchanged=False))
        try:
            token = str(msgspec.json.decode(answer.content)["access"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise self._foreign(f"the exchange of the personal access token ({answer.status_code})") from error
        claims = _claims(token) or {}
        lasts_s = ACCESS_S
        # The span between two times of Label Studio's clock; ours may be wrong.
        if isinstance(claims.get("exp"), int) and isinstance(claims.get("iat"), int):
            lasts_s = float(claims["exp"] - claims["iat"])
        return _Access(token, time.monotonic() + lasts_s - min(30.0, lasts_s / 4))

    # Files

    def _file_url(self, url: str) -> str:
        prefix = urlsplit(self.url).path
        absolute = f"/data/{url}" if url.startswith("upload/") else url
        if absolute.startswith("/") and not absolute.startswith("//"):
            # Behind a path prefix, values come with it and without it.
            absolute = self.url + (absolute.removeprefix(prefix) if absolute.startswith(f"{prefix}/") else absolute)
        if origin(absolute) != origin(self.url):
            raise FetchError(
                f"{shown_url(url)}: is not at {self.url}, so it is not asked for with Label Studio's token"
            )
        path = unquote(urlsplit(absolute).path).removeprefix(prefix)
        if not _FILES.match(path) or ".." in path.split("/") or "\\" in path:
            raise FetchError(
                f"{shown_url(url)}: is not where Label Studio keeps files, so it is not asked for with its token; "
                "expected /data/upload/..., /data/local-files/?d=... or /tasks/<id>/resolve/?fileuri=..."
            )
        return absolute

    @contextmanager
    def _open_file(self, absolute: str, url: str, wanted: Wanted) -> Iterator[httpx.Response]:
        import httpx

        def get(target: str, headers: dict[str, str]) -> httpx.Response:
            if time.monotonic() > wanted.deadline:
                raise too_late(url)
            client = self._http()
            timeout = min(self._timeout_s, IDLE_S, wanted.left_s())
            headers = {**headers, **wanted.known.headers()}
            return client.send(client.build_request("GET", target, headers=headers, timeout=timeout), stream=True)

        try:
            answer = self._answer(lambda _, headers: get(absolute, headers))
        except StudioError as error:
            raise FetchError(f"{shown_url(url)}: {error}") from error
        try:
            for _ in range(REDIRECTS):
                if not answer.is_redirect:
                    break
                answer.close()
                target = urljoin(str(answer.url), answer.headers.get("location", ""))
                if urlsplit(target).scheme not in ("http", "https"):
                    raise FetchError(f"{shown_url(url)}: redirects to {shown_url(target)}; expected http or https")
                # A signed address carries its own permission; the token is Label Studio's alone. Where a storage is,
                # at a private address perhaps, is for Label Studio to say.
                answer = get(target, {})
            if answer.is_redirect:
                raise FetchError(f"{shown_url(url)}: {self.url} redirects more than {REDIRECTS} times")
            if answer.status_code != 200 and not (answer.status_code == 304 and wanted.known.headers()):
                status = answer.status_code
                # Label Studio itself was asked several times already.
                passing = status in PASSING and origin(str(answer.url)) != origin(self.url)
                sentence = f"{shown_url(url)}: {self.url} answered {status}; {_remedy(answer, url)}"
                raise _Refused(sentence, status, passing)
            yield answer
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if time.monotonic() > wanted.deadline:
                raise too_late(url) from error
            passing = isinstance(error, httpx.TransportError)
            raise FetchError(f"{shown_url(url)}: {self._unreachable(error)}", passing=passing) from error
        finally:
            answer.close()

    # Sentences

    def _unreachable(self, error: Exception) -> StudioError:
        import httpx

        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why = str(error).rpartition("certificate verify failed: ")[2]
            return StudioError(
                f"{self.url}: its certificate is not trusted ({why}); name the PEM file of the authority "
                "that signed it under label_studio.ca_file"
            )
        if isinstance(error, httpx.TimeoutException):
            found = f"did not answer within {self._timeout_s:g} s"
        else:
            found = f"cannot be reached ({str(error) or type(error).__name__})"
        host = urlsplit(self.url).hostname or ""
        inside = (
            "; inside a container, localhost is the container itself: use host.docker.internal or the service's name"
            if host in ("localhost", "127.0.0.1", "::1")
            else ""
        )
        return StudioError(f"{self.url}: {found}; check that Label Studio runs and label_studio.url is right{inside}")

    def _refusal(self, detail: str, exchanged: bool = True) -> str:
        """Why a 401. `exchanged`: a personal access token could be exchanged, and the access token is refused."""
        if not self._token:
            return (
                f"{self.url}: wants a token (401) and none is set; copy one from Account & Settings in Label Studio "
                "into LABEL_STUDIO_API_KEY or label_studio.api_key"
            )
        if self.kind == "personal access token":
            if exchanged:
                return (
                    f"{self.url}: exchanges the personal access token but refuses what it gives (401); an "
                    "administrator may have switched such tokens off: Organization > API Tokens Settings"
                )
            return (
                f"{self.url}: refuses the personal access token (401); it was revoked, or it belongs to another "
                "Label Studio: create a new one under Account & Settings > Personal Access Token"
            )
        if "legacy" in detail:
            return (
                f"{self.url}: refuses the legacy token (401), for its organisation has such tokens switched off; "
                "create a personal access token under Account & Settings, or switch legacy tokens on: "
                "Organization > API Tokens Settings"
            )
        return (
            f"{self.url}: refuses the legacy token (401); it was reset, or it belongs to another Label Studio: copy it "
            "again from Account & Settings > Legacy Token"
        )

    def _foreign(self, what: str) -> StudioError:
        return StudioError(
            f"{self.url}: answered in a form that lsml does not know for {what}; label_studio.url names another "
            "program, or a version of Label Studio that lsml was not made for"
        )


def _checked_url(url: str) -> str:
    """The URL without a slash at its end. Raises StudioError where it is no place for a token to go."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise StudioError("label_studio.url: expected something like http://localhost:8080")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise StudioError("label_studio.url: expected scheme, host, port and path alone; put the token into api_key")
    return url.strip().rstrip("/")


def _kind(token: str) -> TokenKind:
    """The kind that a token's shape shows. Raises StudioError for one that can never work."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise StudioError("label_studio.api_key: has blanks or unusual characters; expected the token alone")
    if not token.startswith("eyJ") or "." not in token:
        return "legacy token"  # 40 hexadecimal digits, unless whoever started Label Studio chose another
    claims = _claims(token)
    if claims is None:
        raise StudioError(
            "label_studio.api_key: looks like a personal access token that was cut off; Label Studio shows it whole "
            "only once: create a new one under Account & Settings > Personal Access Token"
        )
    if claims.get("token_type") == "access":
        raise StudioError(
            "label_studio.api_key: is an access token, which lasts five minutes; expected the personal access token "
            "that it was made from"
        )
    return "personal access token"


def _claims(token: str) -> dict[str, Any] | None:
    """What a JWT says of itself, unverified; None where it is no JWT."""
    pieces = token.split(".")
    if len(pieces) != 3 or not all(pieces):
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _since(since: str) -> str:
    """A time as the Data Manager's filters read it, with the overlap taken off."""
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise StudioError(f"since: expected an ISO 8601 time such as 2026-01-31T12:00:00Z, got {since!r}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return (moment - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _like_a_webhook(task: StudioTask) -> StudioTask:
    """The task with `completed_by` as an id, which some versions write as a user."""
    annotations = tuple(
        {**annotation, "completed_by": author.get("id")}
        if isinstance(author := annotation.get("completed_by"), dict)
        else annotation
        for annotation in task.annotations
    )
    return msgspec.structs.replace(task, annotations=annotations)


def _detail(answer: httpx.Response) -> str:
    """Label Studio's own word on an error."""
    try:
        body = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return ""
    return str(body.get("detail", "")) if isinstance(body, dict) else ""


def _remedy(answer: httpx.Response, url: str) -> str:
    local = "/data/local-files/" in url
    if answer.status_code == 403 and local:
        return "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"
    if answer.status_code == 404 and local:
        return "add a Local Files storage to the project that covers its folder"
    if answer.status_code in (401, 403):
        return "use a token of a member who may see the project"
    if answer.status_code == 404:
        return "check that the file is still there and that a storage of the project covers it"
    if answer.status_code == 500 and "upload/" in url:
        return "most likely the uploaded file is gone from Label Studio's media folder; upload it again"
    return "Label Studio's own log says why"
