"""/openapi.json lists what there is; and whatever a stranger sends, the answer is JSON and no 5xx."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, tickets

SHORT = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
TEXT = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates, too
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
KEYS = st.sampled_from([PROJECT_KEY, "local", "../../etc/passwd", "1\r\nX: y", "<b>", "", "\ud800", "9" * 300])
CONFIG = (
    st.sampled_from([TOPICS, "<View/>", "<View>", "", "\ud800", '<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>'])
    | TEXT
)
TASK = st.fixed_dictionaries({"data": st.fixed_dictionaries({"text": JSON}) | JSON}, optional={"id": JSON}) | JSON


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A trained one, for all the examples of this file."""
    from tests.conftest import Backend, write_recipe

    directory = tmp_path_factory.mktemp("openapi")
    made = Backend(write_recipe(directory), directory / "data")
    made.annotate(tickets(40))
    made.train()
    yield made
    made.store.close()


def send(server, path, body):
    """The answer to a body of any JSON, which Python writes with NaN, infinities and lone surrogates."""
    import json

    answer = server.client.post(path, data=json.dumps(body), content_type="application/json")
    assert answer.status_code < 500, answer.text
    assert answer.mimetype == "application/json"
    said = answer.json
    if answer.status_code != 200:
        assert list(said) == ["error"]
        assert said["error"].isprintable()
        assert "Traceback" not in said["error"]
    return answer.status_code, said


def test_it_lists_exactly_the_routes_of_the_application(backend):
    server = backend()
    listed = {
        (path, method.upper())
        for path, item in server.client.get("/openapi.json").json["paths"].items()
        for method in item
    }
    there = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method)
        for rule in server.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert listed == there


def test_it_never_tells_the_secret_path(backend):
    server = backend("server: {secret_path: a-path-nobody-knows}\n")
    answer = server.client.get("/a-path-nobody-knows/openapi.json")
    assert answer.status_code == 200
    assert "a-path-nobody-knows" not in answer.text


def test_it_says_whether_a_password_is_needed(backend):
    assert backend().client.get("/openapi.json").json["security"] == []
    server = backend("server: {username: ann, password: secret}\n")
    assert server.client.get("/openapi.json").status_code == 401
    assert server.client.get("/openapi.json", auth=("ann", "secret")).json["security"] == [{"basic": []}]


@given(body=JSON | st.fixed_dictionaries(
    {"tasks": st.lists(TASK, max_size=4)}, optional={"project": KEYS | JSON, "label_config": CONFIG | JSON, "params": JSON}
))  # fmt: skip
@SHORT
def test_predict_answers_one_result_for_each_task_or_says_why_not(server, body):
    status, said = send(server, "/predict", body)
    if status == 200:
        assert len(said["results"]) == len(body["tasks"])


@given(body=JSON | st.fixed_dictionaries(
    {}, optional={"project": KEYS | JSON, "schema": CONFIG | JSON, "extra_params": JSON, "hostname": JSON, "access_token": JSON}
))  # fmt: skip
@SHORT
def test_setup_answers_a_version_or_says_why_not(server, body):
    status, said = send(server, "/setup", body)
    if status == 200:
        assert said["model_version"].startswith("triage-v")


ACTION = st.sampled_from(
    [
        "ANNOTATION_CREATED",
        "ANNOTATIONS_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_DELETED",
        "TASKS_DELETED",
        "PROJECT_UPDATED",
    ]
)
ANNOTATION = st.fixed_dictionaries(
    {"id": st.integers() | JSON, "result": st.lists(JSON, max_size=3) | JSON},
    optional={"task": st.integers() | JSON, "updated_at": JSON, "was_cancelled": JSON},
)
WHOSE = st.fixed_dictionaries(
    {"id": st.integers() | KEYS | JSON}, optional={"created_at": JSON, "label_config": CONFIG | JSON, "title": JSON}
)


@given(body=JSON | st.fixed_dictionaries(
    {"action": ACTION | JSON, "project": st.just(PROJECT) | WHOSE | JSON},
    optional={
        "annotation": ANNOTATION | JSON, "annotations": st.lists(ANNOTATION | JSON, max_size=3), "task": TASK,
        "tasks": st.lists(TASK, max_size=3),
    },
))  # fmt: skip
@SHORT
def test_webhook_stores_an_event_or_says_why_not(server, body):
    status, said = send(server, "/webhook", body)
    if status == 200:
        assert said["status"] in ("ok", "ignored")


@pytest.mark.slow
def test_schemathesis_finds_no_answer_that_the_document_does_not_describe(server):
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    described = [content_type_conformance, response_schema_conformance, status_code_conformance]
    document = schemathesis.openapi.from_wsgi("/openapi.json", server.app)
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) == len(server.client.get("/openapi.json").json["paths"])
    for operation in operations:
        # /ready says 503 on purpose.
        checks = described if operation.path == "/ready" else [not_a_server_error, *described]
        _attack(server, operation, checks)


def _attack(server, operation, checks):
    @given(case=operation.as_strategy())
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def attack(case):
        server.store.workers.beat()
        case.call_and_validate(checks=checks)

    attack()


def test_every_endpoint_says_in_a_sentence_what_it_is_for_and_what_it_answers(backend):
    document = backend().client.get("/openapi.json").json
    operations = {f"{method} {path}": one for path, item in document["paths"].items() for method, one in item.items()}
    for name, operation in operations.items():
        assert operation["summary"], f"{name}: its view has no docstring"
        assert operation["responses"]["200"]["content"], name
    assert "requestBody" in operations["post /setup"]
    assert operations["get /health"]["security"] == []


def test_the_answers_of_the_api_are_what_it_says(server):
    document = server.client.get("/openapi.json").json
    schemas = {"components": document["components"]}
    for path in ("/api/projects", "/versions", f"/api/projects/{PROJECT_KEY}", f"/api/projects/{PROJECT_KEY}/people"):
        listed = path.replace(PROJECT_KEY, "{project}")
        content = document["paths"][listed]["get"]["responses"]["200"]["content"]["application/json"]
        Draft202012Validator(schemas | content["schema"]).validate(server.client.get(path).json)
