"""What docs/security.md promises of the server beyond what other tests show."""

import os

import pytest

from lsml.errors import RecipeError
from lsml.recipe import load_recipe
from lsml.server import guard
from tests.conftest import TOPICS, choice, tickets, write_recipe


def everything_under(directory):
    return sorted(path for path in directory.rglob("*"))


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_every_file_and_folder_of_a_data_directory_is_for_its_owner_alone(backend):
    server = backend()
    before = os.umask(0)
    try:
        server.annotate(tickets(40))
        server.train()
    finally:
        os.umask(before)
    found = everything_under(server.store.artifacts.root)
    assert found
    wrong = [
        str(path)
        for path in [server.store.directory, *everything_under(server.store.directory)]
        if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)
    ]
    assert wrong == []


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "..", "a/../../b", "~root", "C:\\x"])
def test_a_project_named_like_a_path_stays_in_the_data_directory(backend, key):
    server = backend()
    outside = everything_under(server.recipe_path.parent.parent)
    project = {"id": key, "label_config": TOPICS}
    for id, (text, label) in enumerate(tickets(40), 1):
        body = {
            "action": "ANNOTATION_CREATED", "project": project, "task": {"id": id, "data": {"text": text}},
            "annotation": {"id": id, "task": id, "result": choice(label)},
        }  # fmt: skip
        assert server.post("/webhook", body).status_code == 200
    assert server.train(project)["job_status"] == "finished"
    data = server.store.directory
    new = set(everything_under(server.recipe_path.parent.parent)) - set(outside)
    assert new
    assert [path for path in new if not path.resolve().is_relative_to(data.resolve())] == []
    (folder,) = [path for path in server.store.artifacts.root.iterdir() if not path.name.startswith(".")]
    assert folder.name.replace("-", "").isalnum()


LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
BOMBS = {
    "entities": f'<!DOCTYPE a [<!ENTITY a0 "ha">{LAUGHS}]><View>&a9;</View>',
    "an external entity": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><View>&b;</View>',
    "depth": "<View>" * 100_000 + "</View>" * 100_000,
    "size": "<View>" + " " * (5 * 1024 * 1024) + "</View>",
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize(("path", "key"), [("/setup", "schema"), ("/predict", "label_config"), ("/validate", "config")])
def test_an_xml_bomb_is_refused_and_not_stored(backend, path, key, bomb):
    server = backend()
    answer = server.post(path, {"project": "1", key: BOMBS[bomb], "tasks": []})
    assert answer.status_code == 400
    assert answer.json["error"].startswith("labeling config:")
    assert "root:" not in answer.text
    assert server.store.projects.all() == []


def test_a_yaml_bomb_is_refused(tmp_path):
    anchors = "".join(f"x-a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    with pytest.raises(RecipeError):
        load_recipe(write_recipe(tmp_path, f"x-a0: &a0 [ha]\n{anchors}"))


def test_a_recipe_cannot_name_a_python_object(tmp_path):
    with pytest.raises(RecipeError):
        load_recipe(write_recipe(tmp_path, "description: !!python/object/apply:os.system [true]\n"))


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"1" * 1_000_000, b'{"tasks": [NaN]}'])
@pytest.mark.parametrize("path", ["/predict", "/setup", "/webhook", "/train", "/job_status", "/validate", "/delete"])
def test_a_json_bomb_is_refused(backend, path, body):
    answer = backend().client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json) == ["error"]


def test_passwords_and_the_secret_path_are_compared_in_constant_time(backend, monkeypatch):
    compared = []

    class Spy:
        @staticmethod
        def compare_digest(given, expected):
            compared.append((given, expected))
            return given == expected

    server = backend("server: {username: ann, password: secret, secret_path: hidden}\n")
    monkeypatch.setattr(guard, "hmac", Spy)
    assert server.client.get("/hiddes/versions").status_code == 404
    assert server.client.get("/hidden/versions", auth=("ann", "secres")).status_code == 401
    assert compared == [(b"/hiddes", b"/hidden"), (b"/hidden", b"/hidden"), (b"ann:secres", b"ann:secret")]


def test_labels_like_html_cannot_act_on_the_page(backend):
    server = backend()
    server.post("/webhook", {"action": "PROJECT_UPDATED", "project": {"id": 1, "title": "<script>alert(1)</script>"}})
    answer = server.client.get("/")
    assert "<script>" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    assert "unsafe" not in policy


def test_no_secret_is_on_a_page_in_a_metric_or_in_an_answer(backend):
    server = backend(
        "server: {username: ann, password: sesame1, secret_path: sesame2}\n"
        "label_studio: {url: 'http://ls:8080', api_key: sesame3}\n"
    )
    ann = ("ann", "sesame1")
    told = {"project": "1.1", "schema": TOPICS, "hostname": "http://ls:8080", "access_token": "sesame4"}
    answers = [server.client.post("/sesame2/setup", json=told, auth=ann)]
    answers.append(server.client.post("/sesame2/webhook", json={"action": "START_TRAINING", "project": {"id": 1}}))
    for path in (
        "/",
        "/projects/1.1",
        "/projects/1.1/try",
        "/projects/1.1/compare",
        "/projects/1.1/doctor",
        "/metrics",
        "/ready",
        "/versions",
        "/api/projects",
        "/api/projects/1.1",
        "/openapi.json",
        "/no",
        "/health",
    ):
        answers.append(server.client.get(f"/sesame2{path}", auth=ann))
        answers.append(server.client.get(f"/sesame2{path}", auth=("ann", "sesame1x")))
        answers.append(server.client.get(f"/sesame2x{path}", auth=ann))
    assert {200, 401, 404} <= {answer.status_code for answer in answers}
    assert [answer.request.path for answer in answers if "sesame" in answer.text] == []
    assert [answer.request.path for answer in answers if "sesame" in str(answer.headers)] == []
