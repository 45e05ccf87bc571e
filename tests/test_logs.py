"""Logs for people and for machines: no secret in them, and no line that a stranger could forge."""

import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.logs import _JsonFormatter, _Text, _told, keep_secret, keep_told_secret, project_id, request_id, run_id
from tests.conftest import PROJECT_KEY, TOPICS, event, write_recipe
from tests.support.backend import RunningBackend


def lines(formatter, message, *arguments, error=None):
    """A record as it stands in the log."""
    at_fault = (type(error), error, None) if error else None
    return formatter.format(logging.LogRecord("lsml.x", logging.WARNING, "", 0, message, arguments, at_fault))


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_a_stranger_sends_stays_on_its_line(text):
    line = lines(_Text(), "project %s", text)
    assert line.isprintable()
    line.encode()
    assert json.loads(lines(_JsonFormatter(), "project %s", text))["message"] == f"project {text}"
    assert lines(_JsonFormatter(), "project %s", text).isascii()
    assert "\n" not in lines(_JsonFormatter(), "project %s", text)


def test_control_characters_are_shown_as_escapes():
    line = lines(_Text(), "%s", "a\r\n10:00:00 ERROR lsml: forged\x1b[2J\u2028\ud800")
    assert line.endswith(" WARNING lsml.x: a\\r\\n10:00:00 ERROR lsml: forged\\x1b[2J\\u2028\\ud800")


def test_the_text_of_an_error_cannot_begin_a_line():
    shown = lines(_Text(), "failed", error=ValueError("no\n10:00:00 ERROR lsml: forged\r\x1b[2J"))
    assert shown.splitlines()[1:] == [
        "    ValueError: no", "    10:00:00 ERROR lsml: forged", "    \\x1b[2J"
    ]  # fmt: skip


@pytest.mark.parametrize("formatter", [_Text(), _JsonFormatter()])
def test_no_secret_is_shown_in_a_message_or_a_traceback(formatter):
    keep_secret(["hush-hush/1"])
    shown = lines(formatter, "%s", "http://a/hush-hush%2F1/hush-hush/1", error=ValueError("hush-hush/1"))
    assert "hush" not in shown
    assert shown.count("[secret]") == 3


def test_tokens_that_requests_told_are_hidden_and_cannot_pile_up():
    keep_secret(["the recipe's own"])
    for number in range(3000):
        keep_told_secret(f"token-{number}")
    keep_told_secret("odd \ud800 token")
    shown = lines(_Text(), "%s %s", "the recipe's own", "token-2999")
    assert "own" not in shown
    assert "2999" not in shown
    assert len(_told) <= 256


def test_lines_say_which_request_and_which_run_they_belong_to():
    asked, ran = request_id.set("5f0c"), run_id.set("r1")
    try:
        assert lines(_Text(), "m").endswith(" WARNING lsml.x [request 5f0c] [run r1]: m")
        fields = json.loads(lines(_JsonFormatter(), "m"))
    finally:
        request_id.reset(asked)
        run_id.reset(ran)
    assert fields.pop("time").endswith("Z")
    assert fields == {"level": "warning", "logger": "lsml.x", "message": "m", "request": "5f0c", "run": "r1"}


def test_lines_for_machines_say_which_project_they_are_about(backend, caplog):
    about = project_id.set("1.2")
    assert json.loads(lines(_JsonFormatter(), "done"))["project"] == "1.2"
    assert "1.2" not in lines(_Text(), "done")
    project_id.reset(about)
    assert "project" not in json.loads(lines(_JsonFormatter(), "done"))

    server, seen = backend(), []
    ask = {"project": PROJECT_KEY, "label_config": TOPICS, "tasks": [{"data": {}}]}
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    watcher = logging.Handler(logging.INFO)
    watcher.emit = lambda record: seen.append(project_id.get())
    logging.getLogger("lsml.server").addHandler(watcher)
    caplog.set_level(logging.INFO, "lsml")
    try:
        server.post("/predict", ask)
    finally:
        logging.getLogger("lsml.server").removeHandler(watcher)
    assert set(seen) == {PROJECT_KEY}
    assert project_id.get() is None


def test_a_request_keeps_the_id_that_it_brings(backend):
    answer = backend().client.get("/health", headers={"X-Request-Id": "from-a-proxy.1"})
    assert answer.headers["X-Request-Id"] == "from-a-proxy.1"


@pytest.mark.parametrize("sent", ["", "a b", "a\r\nSet-Cookie: b=c", "a\n", "<script>", "é", "a" * 65])
def test_an_id_that_could_be_an_injection_is_replaced(backend, sent):
    answer = backend().client.get("/health", environ_base={"HTTP_X_REQUEST_ID": sent})
    assert len(answer.headers["X-Request-Id"]) == 8
    assert "Set-Cookie" not in answer.headers


def test_requests_have_different_ids_and_an_error_has_one_too(backend):
    server = backend()
    given = {server.client.get(path).headers["X-Request-Id"] for path in ("/health", "/health", "/nowhere")}
    assert len(given) == 3


@pytest.mark.parametrize("by", ["option", "environment"])
def test_every_line_of_a_running_server_and_its_children_can_be_json(tmp_path, by):
    how = {"arguments": ["--log-format", "json"]} if by == "option" else {"environment": {"LSML_LOG_FORMAT": "json"}}
    recipe = write_recipe(tmp_path, "training: {quiet: 0s, min_annotations: 1}\n")
    with RunningBackend(recipe, tmp_path / "data", **how) as running:
        running.client.post("/predict", json={"tasks": 1}, headers={"X-Request-Id": "asked-1"})
        running.client.post("/webhook", json=event(1, "refund", "Bug"))
        running.client.post("/setup", json={"project": "1"})
        job = running.client.post("/train", json={"project": "1"}).json()["job"]
        running.settled("1.1795424614")
    records = [json.loads(line) for line in running.output.splitlines() if line.startswith("{")]
    assert {record["logger"] for record in records} >= {"lsml.server", "lsml.server.app", "lsml.worker"}
    (refused,) = [record for record in records if record.get("request") == "asked-1"]
    assert refused["message"].startswith("POST /predict: tasks: expected a list")
    assert [record for record in records if record.get("run") == job]


def test_a_format_that_there_is_not_is_refused(tmp_path):
    command = [sys.executable, "-m", "lsml", "serve", str(write_recipe(tmp_path)), "--log-format", "xml"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "'xml' is not one of 'auto', 'text', 'json'" in ended.stderr
