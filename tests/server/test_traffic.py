"""Every request that Label Studio 1.23.2 was recorded to send gets a useful answer."""

import json
from pathlib import Path

import pytest

RECORDED = sorted((Path(__file__).parent.parent / "traffic").glob("*.json"))


def recorded(name):
    return json.loads(next(path for path in RECORDED if path.name.startswith(name)).read_text())


def send(server, request, **more):
    """The answer to a recorded request; `more` headers with it. The recordings tell no Content-Type: Label Studio sends JSON
    through requests, which says application/json, as Flask's client does."""
    headers = {"User-Agent": request["user_agent"] or "", **more}
    if request["authorization"]:
        headers["Authorization"] = request["authorization"]
    body = {"json": request["body"]} if request["body"] is not None else {}
    return server.client.open(request["path"], method=request["method"], headers=headers, **body)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_request_gets_json_and_200(backend, path):
    answer = send(backend(), json.loads(path.read_text()))
    assert answer.status_code == 200
    assert isinstance(answer.json, dict)


@pytest.mark.parametrize("path", [p for p in RECORDED if "_predict_" in p.name], ids=lambda path: path.stem)
def test_predict_answers_one_result_for_each_task(backend, path):
    request = json.loads(path.read_text())
    results = send(backend(), request).json["results"]
    assert len(results) == len(request["body"]["tasks"])
    if request["body"]["params"]["context"] is not None:
        assert isinstance(results[0], dict)


@pytest.mark.parametrize("path", [p for p in RECORDED if "_setup_" in p.name], ids=lambda path: path.stem)
def test_setup_answers_a_version_and_knows_the_project(backend, path):
    server = backend()
    request = json.loads(path.read_text())
    assert send(server, request).json["model_version"]
    assert server.store.projects.get(request["body"]["project"]).labeling_config == request["body"]["schema"]


def test_the_projects_of_setup_and_of_webhooks_are_the_same(backend):
    server = backend()
    send(server, recorded("02_"))
    send(server, recorded("36_"))
    assert [row.key for row in server.store.projects.all()] == ["2.1795424700"]


def test_annotations_of_every_form_are_stored(backend):
    server = backend()
    for name in ("31_", "32_", "33_", "34_", "36_", "44_"):
        assert send(server, recorded(name)).json["changed"] >= 1
    counted = {row.key: row.usable for row in server.store.projects.all()}
    assert counted["2.1795424700"] >= 2


def test_deletions_reach_the_store(backend):
    server = backend()
    created = recorded("36_")
    assert send(server, created).json["changed"] == 2
    deleted = recorded("35_")
    deleted["body"]["project"] = created["body"]["project"]
    deleted["body"]["annotations"] = [{"id": annotation["id"]} for annotation in created["body"]["annotation"]]
    assert send(server, deleted).json["changed"] == 2
    assert server.store.projects.get("2.1795424700").usable == 0


@pytest.mark.parametrize("name", ["37_", "38_", "43_"])
def test_start_training_answers_a_job(backend, name):
    server = backend()
    job = send(server, recorded(name)).json["job"]
    assert server.post("/job_status", {"job": job}).json["job_status"] == "queued"


def test_a_changed_labeling_config_arrives_with_its_webhook(backend):
    server = backend()
    request = recorded("39_")
    send(server, request)
    (row,) = server.store.projects.all()
    assert row.labeling_config == request["body"]["project"]["label_config"]
    assert row.title == request["body"]["project"]["title"]


def test_a_token_that_a_request_told_is_nowhere_in_the_log(backend, caplog):
    caplog.set_level("DEBUG")
    for path in RECORDED:
        send(backend(), json.loads(path.read_text()))
    assert "0123456789abcdef0123456789abcdef01234567" not in caplog.text
    assert "REDACTED-PROJECT-TOKEN" not in caplog.text
