"""What `--debug` shows of a request and its answer."""

from __future__ import annotations

import logging
import time

import pytest

from lsml.server.exchanges import in_short
from tests.conftest import PROJECT_KEY, TOPICS, write_recipe
from tests.support.backend import RunningBackend


def lines(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "lsml.server.exchanges"]


def test_a_debug_line_shows_the_request_and_the_answer_in_short(backend, caplog):
    server = backend()
    with caplog.at_level(logging.DEBUG, "lsml"):
        server.predict("refund", "crash")
        server.client.get("/nowhere/at-all")
    predicted, lost = lines(caplog)
    assert predicted.startswith("POST /predict: 200 in ")
    assert '; asked {"tasks"' in predicted
    assert '; answered {"results":[[],[]],"why_not":["untrained, 2 times in 2 tasks; ' in predicted
    assert lost.startswith("GET .../'at-all' from 127.0.0.1: 404 in ")


def test_no_line_is_made_without_debug(backend, caplog):
    with caplog.at_level(logging.INFO, "lsml"):
        backend().predict("refund")
    assert lines(caplog) == []


def test_a_token_that_a_refused_setup_told_is_not_shown(backend, caplog):
    with caplog.at_level(logging.DEBUG, "lsml"):
        body = {"project": PROJECT_KEY, "schema": "<View", "access_token": "abcdef0123456789", "hostname": "http://x"}
        assert backend().post("/setup", body).status_code == 400
    (line,) = lines(caplog)
    assert "abcdef0123456789" not in line and "[secret]" in line


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"api_key": "a\\"b", "x": 1}', '{"api_key": "[secret]", "x": 1}'),
        (b'{"password": "cut off', '{"password": "[secret]'),
        (b'{"image": "https://s3/a.jpg?X-Amz-Signature=abc"}', '{"image": "https://s3/a.jpg?[secret]"}'),
        (b'{"url": "http://ann:pass@host/a"}', '{"url": "http://[secret]@host/a"}'),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_secrets_of_a_body_are_masked(body, shown):
    assert in_short(body) == shown


def test_a_long_body_is_cut_and_its_size_told():
    assert in_short(b"a" * 5000) == "a" * 300 + "... (5,000 bytes)"


@pytest.mark.slow
def test_a_running_server_at_rest_is_quiet_with_debug(tmp_path):
    with RunningBackend(write_recipe(tmp_path), tmp_path / "data", arguments=["--debug"]) as lsml:
        lsml.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
        time.sleep(2)
        before = lsml.output
        time.sleep(4)
        assert lsml.output == before
    assert "POST /setup: 200 in " in before
