"""Label Studio's own API: against small servers that behave as it does, and against a real one."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import lsml.studio.api
import lsml.studio.project
import lsml.studio.tasks
import lsml.studio.tokens
from lsml.errors import FetchError, StudioAway, StudioError
from lsml.media.transfer import Download
from lsml.recipe import load_recipe
from lsml.studio.client import Studio
from lsml.studio.connection import studio_of
from tests.conftest import write_recipe
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio, free_port
from tests.support.web import Answer, Asked, Web, self_signed

LEGACY = "89abcdef0123456789abcdef0123456789abcdef"
CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="topic" toName="text"><Choice value="Billing"/><Choice value="Bug"/></Choices>
</View>
"""


def jwt(**claims: Any) -> str:
    def piece(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{piece({'alg': 'HS256', 'typ': 'JWT'})}.{piece(claims)}.signature"


PERSONAL = jwt(token_type="refresh", jti="1")


class LabelStudioLike:
    """Answers as Label Studio 1.23.2 does to tokens, whoami, tasks and files. Its fields steer it."""

    def __init__(self, tasks: int = 0) -> None:
        self.exchanged = 0
        self.access: set[str] = set()
        self.lasts_s = 300
        self.legacy_allowed = True
        self.personal_allowed = True
        self.revoked = False
        self.broken = 0  # answers of 502 before it works
        self.filters = True
        self.tasks = [
            {
                "id": number,
                "data": {"text": f"text {number}"},
                "updated_at": "2026-01-31T12:00:00.000000Z",
                "annotations": [{"id": number, "result": [], "completed_by": {"id": 7, "email": "a@example.com"}}],
            }
            for number in range(1, tasks + 1)
        ]
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        with self._lock:
            if self.broken > 0:
                self.broken -= 1
                return Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
            if asked.path == "/api/token/refresh/":
                return self._exchange(asked)
            refusal = self._refusal(asked.headers.get("authorization", ""))
            if refusal:
                return self._json({"status_code": 401, "detail": refusal}, 401)
            return self._content(asked)

    def _exchange(self, asked: Asked) -> Answer:
        if self.revoked or json.loads(asked.body)["refresh"] != PERSONAL:
            return self._json({"status_code": 401, "detail": "Token is invalid"}, 401)
        self.exchanged += 1
        now = 1_000_000  # a clock that is decades behind ours
        access = jwt(token_type="access", iat=now, exp=now + self.lasts_s, jti=str(self.exchanged))
        self.access.add(access)
        return self._json({"access": access})

    def _refusal(self, authorization: str) -> str | None:
        if authorization == f"Token {LEGACY}":
            return None if self.legacy_allowed else "legacy token authentication has been disabled"
        if authorization.startswith("Token "):
            return "Invalid token."
        if self.personal_allowed and authorization.removeprefix("Bearer ") in self.access:
            return None
        return "Authentication credentials were not provided."

    def _content(self, asked: Asked) -> Answer:
        if asked.path == "/api/current-user/whoami":
            return self._json({"id": 7, "email": "a@example.com"})
        if asked.path == "/api/version/":
            return self._json({"release": "1.23.2"})
        if asked.path == "/api/tasks/" and asked.query["project"] == "1":
            conditions = json.loads(asked.query["query"])["filters"]["items"]
            after = conditions[-1]["value"] if self.filters else 0
            left = [task for task in self.tasks if task["id"] > after]
            page = left[: int(asked.query["page_size"])]
            return self._json({"tasks": page, "total": len(left), "total_annotations": 0})
        if asked.path == "/api/projects/1/":
            created = "2026-11-23T09:03:34.474647Z"
            return self._json(
                {"id": 1, "title": "Tickets", "label_config": CONFIG, "created_at": created, "task_number": 3}
            )
        if asked.path == "/api/projects/2/":
            return self._json({"id": 2, "title": "Tickets"})
        if asked.path == "/data/upload/1/note.txt":
            return Answer(200, "grüße".encode(), {"Content-Type": "text/plain"})
        return self._json({"status_code": 404, "detail": "No Project matches the given query."}, 404)

    @staticmethod
    def _json(content: Any, status: int = 200) -> Answer:
        return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsml.studio.api.time, "sleep", lambda _: None)


def wanted(directory: Path, name: str = "file") -> Download:
    return Download(directory / name, 100, time.monotonic() + 30)


def refusal(studio: Studio) -> str:
    with pytest.raises(StudioError) as raised:
        studio.check()
    return str(raised.value)


def authorizations(web: Web) -> list[str | None]:
    return [asked.headers.get("authorization") for asked in web.asked]


# Tokens


def test_a_legacy_token_is_sent_as_it_is() -> None:
    with Web(LabelStudioLike()) as web, Studio(web.url + "/", LEGACY) as studio:
        assert studio.check() == f"a@example.com, by legacy token, at {web.url} (Label Studio 1.23.2)"
    assert authorizations(web) == [f"Token {LEGACY}"] * 2


def test_a_personal_access_token_is_exchanged_once_and_never_sent_as_a_header() -> None:
    like = LabelStudioLike()
    with Web(like) as web, Studio(web.url, PERSONAL) as studio:
        assert studio.check() == f"a@example.com, by personal access token, at {web.url} (Label Studio 1.23.2)"
        studio.check()
    assert like.exchanged == 1
    assert authorizations(web) == [None] + [f"Bearer {next(iter(like.access))}"] * 4
    assert [asked.path for asked in web.asked if PERSONAL.encode() in asked.body] == ["/api/token/refresh/"]


def test_an_access_token_is_renewed_before_it_ends_whatever_the_clocks_say(monkeypatch: pytest.MonkeyPatch) -> None:
    like = LabelStudioLike()
    now_s = 0.0
    monkeypatch.setattr(lsml.studio.tokens.time, "monotonic", lambda: now_s)
    with Web(like) as web, Studio(web.url, PERSONAL) as studio:
        studio.check()
        now_s = 269.0
        studio.check()
        assert like.exchanged == 1
        now_s = 270.0
        studio.check()
        assert like.exchanged == 2


def test_an_access_token_that_ends_in_the_middle_is_renewed_and_the_call_succeeds() -> None:
    like = LabelStudioLike(tasks=250)
    with Web(like) as web, Studio(web.url, PERSONAL) as studio:
        seen = []
        for task in studio.annotated_tasks(1):
            seen.append(task.id)
            if task.id == 100:
                like.access.clear()  # as when its five minutes are over
    assert seen == list(range(1, 251))
    assert like.exchanged == 2


def test_threads_share_one_exchange() -> None:
    like = LabelStudioLike()
    with Web(like) as web, Studio(web.url, PERSONAL) as studio, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: studio.check(), range(16)))) == 1
        assert like.exchanged == 1
        like.access.clear()
        assert len(set(pool.map(lambda _: studio.check(), range(16)))) == 1
        assert like.exchanged == 2


def test_no_token_says_where_to_get_one() -> None:
    with Web(LabelStudioLike()) as web, Studio(web.url, "") as studio:
        assert refusal(studio) == (
            f"{web.url}: needs a token (401) and none is set; copy one from Account & Settings in Label Studio "
            "into LABEL_STUDIO_API_KEY or label_studio.api_key"
        )
    assert authorizations(web) == [None]


def test_legacy_tokens_that_are_switched_off_are_said_to_be() -> None:
    like = LabelStudioLike()
    like.legacy_allowed = False
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        assert refusal(studio) == (
            f"{web.url}: rejects the legacy token (401), because its organisation has switched such tokens off; "
            "create a personal access token under Account & Settings, or switch legacy tokens on: Organization > API "
            "Tokens Settings"
        )


def test_a_wrong_legacy_token_says_that_it_was_reset_or_is_of_another_server() -> None:
    with Web(LabelStudioLike()) as web, Studio(web.url, "0" * 40) as studio:
        assert refusal(studio) == (
            f"{web.url}: rejects the legacy token (401); it was reset, or it belongs to another Label Studio: copy "
            "it again from Account & Settings > Legacy Token"
        )


def test_a_revoked_personal_access_token_is_said_to_be_even_after_it_worked() -> None:
    like = LabelStudioLike()
    with Web(like) as web, Studio(web.url, PERSONAL) as studio:
        studio.check()
        like.revoked = True
        like.access.clear()
        assert refusal(studio) == (
            f"{web.url}: rejects the personal access token (401); it was revoked, or it belongs to another Label "
            "Studio: create a new one under Account & Settings > Personal Access Token"
        )


def test_personal_access_tokens_that_are_switched_off_are_said_to_be() -> None:
    like = LabelStudioLike()
    like.personal_allowed = False
    with Web(like) as web, Studio(web.url, PERSONAL) as studio:
        assert refusal(studio) == (
            f"{web.url}: exchanges the personal access token but rejects the access token (401); an administrator "
            "may have switched such tokens off: Organization > API Tokens Settings"
        )
    assert like.exchanged == 2


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("Token abc", "contains spaces or unusual characters; expected only the token"),
        ("abc\r\nX: 1", "contains spaces or unusual characters; expected only the token"),
        ("tökén", "contains spaces or unusual characters; expected only the token"),
        (
            PERSONAL.rsplit(".", 1)[0],
            "looks like a truncated personal access token; Label Studio shows it only once, so "
            "create a new one under Account & Settings > Personal Access Token",
        ),
        (
            jwt(token_type="access", exp=1),
            "is an access token, which is valid for five minutes; expected the personal access token that it was made "
            "from",
        ),
    ],
)
def test_a_token_that_can_never_work_is_refused_without_being_shown(token: str, sentence: str) -> None:
    with pytest.raises(StudioError) as raised:
        Studio("http://localhost:8080", token)
    assert str(raised.value) == f"label_studio.api_key: {sentence}"
    assert token not in str(raised.value)


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host", "http://", "http://host:port"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StudioError) as raised:
        Studio(url, LEGACY)
    assert str(raised.value) == "label_studio.url: expected something like http://localhost:8080"


@pytest.mark.parametrize("token", [LEGACY, PERSONAL])
def test_the_token_is_in_no_representation(token: str) -> None:
    studio = Studio("http://localhost:8080", token)
    assert repr(studio) == f"Studio('http://localhost:8080', {studio.kind})"
    assert token not in str(studio)


def test_a_redirect_of_the_api_is_not_followed() -> None:
    with Web(LabelStudioLike()) as other:
        moved = Answer(301, b"", {"Location": f"{other.url}/api/current-user/whoami?x=1"})
        with Web(lambda _: moved) as web, Studio(web.url, LEGACY) as studio:
            assert refusal(studio) == (
                f"{web.url}: redirects the API to {other.url}/api/current-user/whoami; the token is not sent along, "
                "so set label_studio.url to Label Studio's final address"
            )
    assert other.asked == []


# Servers that are broken, absent, or something else


def test_a_server_that_is_broken_for_a_moment_is_asked_again() -> None:
    like = LabelStudioLike()
    like.broken = 2
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        assert studio.check().startswith("a@example.com")


def test_a_server_that_stays_broken_is_asked_three_times() -> None:
    like = LabelStudioLike()
    like.broken = 99
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        assert refusal(studio) == (
            f"{web.url}: answered 502 for the user of the token; Label Studio's own log says why"
        )
    assert len(web.asked) == 3


def test_nobody_there_is_a_sentence_that_thinks_of_containers() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = refusal(Studio(url, LEGACY))
    assert found.startswith(f"{url}: cannot be reached (")
    assert found.endswith(
        "); check that Label Studio runs and label_studio.url is right; inside a container, localhost is the container "
        "itself: use host.docker.internal or the service's name"
    )


def test_a_certificate_of_ones_own_authority_is_trusted_once_it_is_named(tmp_path: Path) -> None:
    tls, _ = self_signed(tmp_path, "IP:127.0.0.1")
    with Web(LabelStudioLike(), tls) as web:
        found = refusal(Studio(web.url, LEGACY))
        assert re.sub(r" \(_ssl.c:\d+\)", "", found) == (
            f"{web.url}: its certificate is not trusted (self-signed certificate); set label_studio.ca_file to the "
            "PEM file of the authority that signed it"
        )
        recipe = write_recipe(
            tmp_path, f"label_studio: {{url: '{web.url}', api_key: {LEGACY}, ca_file: certificate.pem}}\n"
        )
        studio = studio_of(load_recipe(recipe), None)
        assert studio is not None
        assert studio.check()


def test_a_server_that_never_answers_is_given_up() -> None:
    held = threading.Event()

    def hold(_: Asked) -> Answer:
        held.wait(20)
        return Answer()

    with Web(hold) as web, Studio(web.url, LEGACY, timeout_s=0.1) as studio:
        found = refusal(studio)
        held.set()
    assert found.startswith(f"{web.url}: did not answer within 0.1 s; check that Label Studio runs")


def test_a_page_instead_of_json_is_said_to_be_one() -> None:
    page = Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
    with Web(lambda _: page) as web, Studio(web.url, LEGACY) as studio:
        assert refusal(studio) == (
            f"{web.url}: answered text/html instead of JSON for the user of the token; label_studio.url is the "
            "address of another program, or a sign-in page is in front of Label Studio"
        )


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            403,
            "the user of the legacy token may not read project 9 (403); use a token of a member who may, or let an "
            "administrator allow it",
        ),
        (
            404,
            "project 9 does not exist (404); it was deleted, it belongs to an organisation without the user of the "
            "legacy token, or label_studio.url is not a Label Studio",
        ),
    ],
)
def test_a_project_that_cannot_be_read_is_named(status: int, sentence: str) -> None:
    with Web(lambda _: Answer(status, b"{}")) as web, Studio(web.url, LEGACY) as studio:
        with pytest.raises(StudioError) as raised:
            list(studio.annotated_tasks(9))
        assert str(raised.value) == f"{web.url}: {sentence}"


def test_json_of_another_form_is_refused() -> None:
    answer = Answer(200, b'{"tasks": [{"id": "one"}], "total": 1}')
    with Web(lambda _: answer) as web, Studio(web.url, LEGACY) as studio, pytest.raises(StudioError) as raised:
        list(studio.annotated_tasks(1))
    assert str(raised.value) == (
        f"{web.url}: sent an unexpected answer for the tasks of project 1: Expected `int`, got `str` - at "
        "`$.tasks[0].id`; label_studio.url is another program, or a version of Label Studio that lsml does not "
        "support"
    )


# Projects


def test_a_project_tells_its_title_its_labeling_config_when_it_was_made_and_how_many_tasks_it_has() -> None:
    with Web(LabelStudioLike()) as web, Studio(web.url, LEGACY) as studio:
        assert studio.project(1) == ("Tickets", CONFIG, 1795424614, 3)
        with pytest.raises(StudioError, match="sent an unexpected answer for project 2; "):
            studio.project(2)
        with pytest.raises(StudioError, match=r"project 3 does not exist \(404\); "):
            studio.project(3)


# Tasks


def test_tasks_come_page_by_page_each_once() -> None:
    like = LabelStudioLike(tasks=250)
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        tasks = studio.annotated_tasks(1)
        first = next(tasks)
        assert len(web.asked) == 1  # one page is read, and no more than that
        assert [first.id, *(task.id for task in tasks)] == list(range(1, 251))
        assert len(web.asked) == 3
    assert first.annotations == ({"id": 1, "result": [], "completed_by": 7},)
    assert {asked.query["resolve_uri"] for asked in web.asked} == {"false"}


def test_a_server_that_passes_over_the_filter_is_not_asked_for_ever() -> None:
    like = LabelStudioLike(tasks=150)
    like.filters = False
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        assert [task.id for task in studio.annotated_tasks(1)] == list(range(1, 101))


def test_the_data_of_every_task_comes_each_once_whatever_a_page_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsml.studio.project, "_MANY", 100)
    like = LabelStudioLike(tasks=250)
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        assert list(studio.settings(1).data()) == [{"text": f"text {number}"} for number in range(1, 251)]
        assert [asked.query["fields"] for asked in web.asked] == ["task_only"] * 3
        like.filters = False
        assert len(list(studio.settings(1).data())) == 100


def test_tasks_that_lack_a_prediction_are_a_page_and_the_number_of_all() -> None:
    with Web(LabelStudioLike(tasks=250)) as web, Studio(web.url, LEGACY) as studio:
        tasks, total = studio.predictions(1).lacking("triage-v1", 100, 20)
    assert ([task.id for task in tasks], total, len(web.asked)) == (list(range(101, 121)), 150, 1)


def test_pages_are_tried_again_but_for_predictions_whose_readers_have_more_patience() -> None:
    like = LabelStudioLike(tasks=1)
    like.broken = 1
    with Web(like) as web, Studio(web.url, LEGACY) as studio:
        with pytest.raises(StudioAway, match="answered 502 for project 1; "):
            studio.predictions(1).lacking(None, 0, 1)
        assert len(web.asked) == 1
        like.broken = 2
        assert len(list(studio.annotated_tasks(1))) == 1
        assert len(web.asked) == 4


@pytest.mark.parametrize(
    ("since", "sent"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T11:59:00.000000Z"),
        ("2026-01-31T12:00:00.123456+02:00", "2026-01-31T09:59:00.123456Z"),
        ("2026-01-31T12:00:00", "2026-01-31T11:59:00.000000Z"),
    ],
)
def test_since_is_sent_in_utc_a_minute_earlier(since: str, sent: str) -> None:
    with Web(LabelStudioLike(tasks=1)) as web, Studio(web.url, LEGACY) as studio:
        list(studio.annotated_tasks(1, since=since))
    conditions = json.loads(web.asked[0].query["query"])["filters"]["items"]
    assert {
        "filter": "filter:tasks:updated_at",
        "operator": "greater_or_equal",
        "type": "Datetime",
        "value": sent,
    } in conditions


def test_a_since_that_is_no_time_is_refused() -> None:
    with pytest.raises(StudioError) as raised:
        list(Studio("http://localhost:8080", LEGACY).annotated_tasks(1, since="yesterday"))
    assert str(raised.value) == "since: expected an ISO 8601 time such as 2026-01-31T12:00:00Z, got 'yesterday'"


# Files


@pytest.mark.parametrize("form", ["/data/upload/1/note.txt", "upload/1/note.txt", "{url}/data/upload/1/note.txt"])
def test_a_file_of_label_studio_comes_with_the_token(form: str, tmp_path: Path) -> None:
    with Web(LabelStudioLike()) as web, Studio(web.url, LEGACY) as studio:
        received = studio.fetch(form.format(url=web.url), wanted(tmp_path))
    assert received is not None and received.content_type == "text/plain"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "grüße"
    assert authorizations(web) == [f"Token {LEGACY}"]


@pytest.mark.parametrize(
    "url",
    [
        "/data/upload/1/note.txt",
        "/studio/data/upload/1/note.txt",
        "{origin}/studio/data/upload/1/note.txt",
    ],
)
def test_label_studio_may_live_under_a_path(url: str, tmp_path: Path) -> None:
    with Web(lambda _: Answer(200, b"text")) as web, Studio(f"{web.url}/studio/", LEGACY) as studio:
        studio.fetch(url.format(origin=web.url), wanted(tmp_path))
    assert [asked.path for asked in web.asked] == ["/studio/data/upload/1/note.txt"]


@pytest.mark.parametrize(
    "url",
    [
        "/api/token/",
        "/data/upload/../../api/current-user/token",
        "/data/upload/%2e%2e/%2e%2e/api/current-user/token",
        "/data/upload/..\\..\\api",
        "/tasks/1/",
        "{url}/api/users/",
    ],
)
def test_nothing_but_files_is_asked_for_with_the_token(url: str, tmp_path: Path) -> None:
    with Web(LabelStudioLike()) as web, Studio(web.url, LEGACY) as studio:
        with pytest.raises(FetchError) as raised:
            studio.fetch(url.format(url=web.url), wanted(tmp_path))
        assert str(raised.value) == (
            f"{url.format(url=web.url)}: is not a path of Label Studio's files, so it is not requested with its token; "
            "expected /data/upload/..., /data/local-files/?d=... or /tasks/<id>/resolve/?fileuri=..."
        )
    assert web.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/data/upload/1/note.txt",
        "http://localhost:{port}/data/upload/1/note.txt",
        "http://127.0.0.1:1/data/upload/1/note.txt",
        "http://127.0.0.1:{port}@example.com/data/upload/1/note.txt",
        "//example.com/data/upload/1/note.txt",
        "http://127.0.0.1:99999999/data/upload/1/note.txt",
    ],
)
def test_the_token_goes_to_the_same_scheme_host_and_port_alone(url: str, tmp_path: Path) -> None:
    with (
        Web(LabelStudioLike()) as web,
        Studio(web.url, LEGACY) as studio,
        pytest.raises(FetchError, match="so it is not requested with Label Studio's token"),
    ):
        studio.fetch(url.format(port=web.port), wanted(tmp_path))
    assert web.asked == []


def test_a_redirect_of_a_file_is_followed_without_the_token(tmp_path: Path) -> None:
    with Web(lambda _: Answer(200, b"from the storage")) as storage:
        signed = Answer(303, b"", {"Location": f"{storage.url}/key?X-Amz-Signature=abc"})
        with Web(lambda _: signed) as web, Studio(web.url, LEGACY) as studio:
            studio.fetch("/tasks/7/resolve/?fileuri=czM6Ly9iL2s=", wanted(tmp_path))
    assert (tmp_path / "file").read_bytes() == b"from the storage"
    assert authorizations(web) == [f"Token {LEGACY}"]
    assert authorizations(storage) == [None]
    assert storage.asked[0].target == "/key?X-Amz-Signature=abc"


def test_a_file_that_is_too_large_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        Web(lambda _: Answer(200, b"x" * 101)) as web,
        Studio(web.url, LEGACY) as studio,
        pytest.raises(FetchError) as raised,
    ):
        studio.fetch("/data/upload/1/note.txt", wanted(tmp_path))
    assert str(raised.value) == "/data/upload/1/note.txt: is larger than 100 bytes, the limit"
    assert not (tmp_path / "file").exists()


def test_a_file_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    short = Answer(200, b"half", {"Content-Length": "8", "Connection": "close"})
    with (
        Web(lambda _: short) as web,
        Studio(web.url, LEGACY, timeout_s=0.5) as studio,
        pytest.raises(FetchError, match=r"^/data/upload/1/note\.txt: http://127\.0\.0\.1:\d+: "),
    ):
        studio.fetch("/data/upload/1/note.txt", wanted(tmp_path))
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("url", "status", "fix"),
    [
        (
            "/data/upload/1/a.txt",
            500,
            "the uploaded file is probably missing in Label Studio's media folder; upload it again",
        ),
        ("/data/local-files/?d=a.txt", 403, "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"),
        ("/data/local-files/?d=a.txt", 404, "add a Local Files storage for its folder to the project"),
        ("/data/upload/1/a.txt", 403, "use a token of a member who may see the project"),
    ],
)
def test_a_file_that_is_refused_says_what_to_do(url: str, status: int, fix: str, tmp_path: Path) -> None:
    with (
        Web(lambda _: Answer(status)) as web,
        Studio(web.url, LEGACY) as studio,
        pytest.raises(FetchError) as raised,
    ):
        studio.fetch(url, wanted(tmp_path))
    assert str(raised.value) == f"{url}: {web.url} answered {status}; {fix}"


# A real Label Studio


@pytest.fixture(scope="module")
def real() -> Iterator[RealLabelStudio]:
    with RealLabelStudio() as studio:
        yield studio


def choice(label: str) -> list[dict[str, Any]]:
    return [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]


@pytest.mark.studio
def test_real_label_studio_knows_both_kinds_of_token(real: RealLabelStudio) -> None:
    for token, kind in ((LEGACY_TOKEN, "legacy token"), (real.personal_access_token(), "personal access token")):
        with Studio(real.url, token) as studio:
            assert studio.check() == f"annotator@example.com, by {kind}, at {real.url} (Label Studio 1.23.2)"


@pytest.mark.studio
def test_real_label_studio_refuses_in_the_words_that_lsml_explains(real: RealLabelStudio) -> None:
    assert "needs a token (401) and none is set" in refusal(Studio(real.url, ""))
    assert "it was reset, or it belongs to another" in refusal(Studio(real.url, "0" * 40))
    assert "it was revoked, or it belongs to another" in refusal(Studio(real.url, jwt(token_type="refresh")))
    personal = Studio(real.url, real.personal_access_token())
    try:
        real.allow_tokens(legacy=False)
        assert "has switched such tokens off" in refusal(Studio(real.url, LEGACY_TOKEN))
        assert personal.check().startswith("annotator@example.com")
        real.allow_tokens(personal=False)
        assert "administrator may have switched such tokens off" in refusal(personal)
    finally:
        real.allow_tokens()
    with pytest.raises(StudioError, match=r"project 999999 does not exist \(404\)"):
        next(Studio(real.url, LEGACY_TOKEN).annotated_tasks(999999))


@pytest.mark.studio
def test_real_label_studio_renews_an_access_token_that_it_no_longer_accepts(real: RealLabelStudio) -> None:
    studio = Studio(real.url, real.personal_access_token())
    studio.check()
    access = studio._api.access
    assert access is not None
    studio._api.access = lsml.studio.tokens.Access(access.token[:-4] + "AAAA", access.stale_at_s)
    assert studio.check().startswith("annotator@example.com")


@pytest.mark.studio
def test_real_annotated_tasks_come_raw_over_several_pages(real: RealLabelStudio) -> None:
    project = real.create_project("Several pages", CONFIG)
    annotated = [{"result": choice("Bug" if number % 2 else "Billing")} for number in range(205)]
    tasks: list[dict[str, Any]] = [
        {"data": {"text": f"s3://bucket/{number}.txt"}, "annotations": [annotation, annotation]}
        for number, annotation in enumerate(annotated)
    ]
    ids = real.import_tasks(project, [*tasks, {"data": {"text": "not annotated"}}])
    with Studio(real.url, LEGACY_TOKEN) as studio:
        found = list(studio.annotated_tasks(project))
    assert [task.id for task in found] == ids[:-1]
    assert [task.data["text"] for task in found] == [f"s3://bucket/{number}.txt" for number in range(205)]
    assert [len(task.annotations) for task in found] == [2] * 205
    one = found[1].annotations[0]
    assert one["result"][0]["value"] == {"choices": ["Bug"]}
    assert (one["was_cancelled"], one["ground_truth"]) == (False, True)  # imported annotations are ground truth
    assert {"id", "updated_at"} <= one.keys()
    assert isinstance(one["completed_by"], int)


@pytest.mark.studio
def test_real_annotated_tasks_since_a_time_are_those_that_changed(
    real: RealLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsml.studio.tasks, "OVERLAP", timedelta(0))
    project = real.create_project("Since", CONFIG)
    tasks = real.import_tasks(project, [{"text": text} for text in ("one", "two", "three", "four", "never")])
    annotations = [real.annotate(task, choice("Bug")) for task in tasks[:4]]
    spare = real.annotate(tasks[2], choice("Billing"))
    with Studio(real.url, LEGACY_TOKEN) as studio:

        def latest() -> str:
            return max(task.updated_at for task in studio.annotated_tasks(project))

        def changed(since: str) -> list[int]:
            return [task.id for task in studio.annotated_tasks(project, since=since)]

        start = latest()
        assert changed(start) == [tasks[2]]  # at that very time counts
        real.update_annotation(annotations[0], result=choice("Billing"))
        assert changed(start) == [tasks[0], tasks[2]]
        start = latest()
        real.update_annotation(annotations[1], ground_truth=True)
        assert changed(start) == [tasks[0], tasks[1]]
        start = latest()
        real.delete_annotation(spare)
        assert changed(start) == [tasks[1], tasks[2]]
        start = latest()
        real.update_annotation(annotations[3], was_cancelled=True)
        skipped = list(studio.annotated_tasks(project, since=start))[-1]
        assert (skipped.id, skipped.annotations[0]["was_cancelled"]) == (tasks[3], True)
        assert changed((datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []


@pytest.mark.studio
def test_real_files_come_with_either_token(real: RealLabelStudio, tmp_path: Path) -> None:
    project = real.create_project("Files", CONFIG)
    folder = real.files / "texts"
    folder.mkdir()
    (folder / "local.txt").write_text("from a folder", encoding="utf-8")
    real.serve_folder(project, folder)
    uploaded = real.upload(project, "file.png", b"uploaded")[0]["data"]["text"]
    assert uploaded.startswith(f"/data/upload/{project}/")
    for token in (LEGACY_TOKEN, real.personal_access_token()):
        place = tmp_path / ("legacy" if token == LEGACY_TOKEN else "personal")
        place.mkdir()
        with Studio(real.url, token) as studio:
            studio.fetch(uploaded, wanted(place, "uploaded"))
            assert (place / "uploaded").read_bytes() == b"uploaded"
            studio.fetch("/data/local-files/?d=texts/local.txt", wanted(place, "local"))
            assert (place / "local").read_bytes() == b"from a folder"
            with pytest.raises(FetchError, match="answered 404; add a Local Files storage"):
                studio.fetch("/data/local-files/?d=elsewhere/local.txt", wanted(place, "no"))
