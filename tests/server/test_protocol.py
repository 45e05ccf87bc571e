"""The ML backend protocol as Label Studio speaks it."""

import base64
import json
import threading

import msgspec
import pytest

from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, choice, event, tickets
from tests.support.fetching import no_fetch

FOUR_LINES = {"tasks": [{"data": {"text": "some text"}}]}


def test_health_answers_json(backend):
    answer = backend().client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (200, "UP")


def test_an_untrained_server_answers_an_empty_list_for_each_task(backend):
    answer = backend().post("/predict", FOUR_LINES).json
    assert answer["results"] == [[]]
    (why,) = answer["why_not"]
    assert why.startswith("untrained, 1 time in 1 task; ")


def test_the_scores_of_all_labels_are_told_to_whoever_asks_for_them(backend):
    server = backend()
    server.annotate(tickets(60))
    server.train()
    body = {"project": PROJECT_KEY, "tasks": [{"data": {"text": "refund my invoice"}}, {"data": {}}]}
    assert "label_scores" not in server.post("/predict", body).json
    answer = server.post("/predict", body | {"params": {"label_scores": True}}).json
    (told, nothing), (region,) = answer["label_scores"], answer["results"][0]["result"]
    scores = told["topic"]
    assert nothing == {}
    assert sorted(scores) == ["Billing", "Bug", "Question"]
    assert sum(scores.values()) == pytest.approx(1)
    assert next(iter(scores)) == region["value"]["choices"][0] == "Billing"
    assert scores["Billing"] == pytest.approx(region["score"]) == max(scores.values())


def test_a_prediction_adds_no_project_and_says_whose_models_may_have_been_meant(backend):
    server = backend()
    server.annotate(tickets(60))
    server.train()
    for project, told in (
        (None, []),
        ("77.1", ["project 77.1 is not connected, so the model of project local predicts; "]),
    ):
        answer = server.post("/predict", {**FOUR_LINES, **({"project": project} if project else {})}).json
        assert answer["results"] == [[]]
        untrained, *more, choose = answer["why_not"]
        assert untrained.startswith("untrained, ")
        assert [sentence.partition("connect it")[0] for sentence in more] == told
        assert choose == f'`project` of the request selects the project whose models predict: "{PROJECT_KEY}" (triage)'
    assert [row.key for row in server.store.projects.all()] == [PROJECT_KEY]
    assert "why_not" not in server.post("/predict", {**FOUR_LINES, "project": PROJECT_KEY}).json


def test_a_project_that_nobody_told_of_is_answered_with_what_was_trained_offline(backend):
    server = backend()
    server.store.projects.touch("local")
    run_local(server)
    (prediction,) = server.predict("refund of the invoice", project="77.1", label_config=TOPICS)
    assert prediction["model_version"].startswith("triage-v1-")
    assert [row.key for row in server.store.projects.all()] == ["local"]


def test_a_request_may_choose_one_of_a_projects_versions_and_no_other(backend):
    server = backend()
    server.annotate(tickets(60))
    server.train()
    server.train()
    named = server.client.get(f"/versions?project={PROJECT_KEY}").json["versions"]
    served, other = named
    assert {name.split("-")[1] for name in named} == {"v1", "v2"}
    for name in (other, served, other):
        (prediction,) = server.predict("refund of the invoice", project=PROJECT_KEY, model_version=name)
        assert prediction["model_version"] == name
    assert server.client.get("/ready").json["why_not"][1:] == []
    (prediction,) = server.predict("refund of the invoice", project=PROJECT_KEY)
    assert prediction["model_version"] == served
    refused = server.post("/predict", {**FOUR_LINES, "project": PROJECT_KEY, "model_version": "triage-v9-00000000"})
    assert refused.status_code == 404
    assert refused.json["error"].startswith(
        f"model_version: project {PROJECT_KEY} has no version 'triage-v9-00000000'; expected one of {served}, "
    )
    assert server.post("/predict", {**FOUR_LINES, "model_version": 7}).status_code == 400


def test_a_request_without_project_and_config_is_served_by_what_was_trained_offline(backend):
    server = backend()
    server.store.projects.touch("local")
    run_local(server)
    (prediction,) = server.predict("my card was charged twice, I want a refund of the invoice")
    assert prediction["result"] == [
        {
            "id": "topic-0", "from_name": "topic", "to_name": "text", "type": "choices",
            "value": {"choices": ["Billing"]}, "score": pytest.approx(prediction["result"][0]["score"]),
        }
    ]  # fmt: skip
    assert 0 < prediction["score"] <= 1
    assert prediction["model_version"].startswith("triage-v1-")


def run_local(server):
    """Train the project `local` as `lsml train` does."""
    import json
    import subprocess
    import sys

    from tests.conftest import export

    path = server.recipe_path.parent / "export.json"
    path.write_text(json.dumps(export(tickets(60))))
    command = [sys.executable, "-m", "lsml", "train", str(server.recipe_path), str(path)]
    subprocess.run([*command, "--data-dir", str(server.store.directory)], check=True)


@pytest.mark.parametrize("extra_params", [None, '{"a": 1}', {"a": 1}, [1], "not json", "", 7])
def test_setup_takes_any_extra_params(backend, extra_params):
    body = {"project": PROJECT_KEY, "schema": TOPICS, "hostname": "http://localhost:8080", "access_token": "0" * 40}
    answer = backend().post("/setup", {**body, "extra_params": extra_params})
    assert answer.status_code == 200
    assert answer.json["model_version"].startswith("triage-v0-")


def test_setup_is_idempotent_and_says_what_predictions_carry(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    said = {server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS}).json["model_version"] for _ in range(3)}
    (prediction,) = server.predict("refund my invoice", project=PROJECT_KEY, label_config=TOPICS)
    assert said == {prediction["model_version"]}
    assert prediction["model_version"].startswith("triage-v1-")


def test_a_version_changes_what_setup_says(backend):
    server = backend()
    before = server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS}).json["model_version"]
    server.annotate(tickets(40))
    server.train()
    assert server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS}).json["model_version"] != before


def test_a_cosmetic_edit_of_the_config_changes_no_version(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    cosmetic = TOPICS.replace("<View>", '<View><Header value="Pick one"/>').replace('"Bug"', '"Bug" background="red"')
    versions = {
        server.post("/setup", {"project": PROJECT_KEY, "schema": config}).json["model_version"]
        for config in (TOPICS, cosmetic)
    }
    assert len(versions) == 1


def test_results_are_one_for_each_task_in_order_and_a_bad_task_costs_only_itself(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    good = {"id": 1, "data": {"text": "refund the invoice"}}
    bad = [
        {"id": 2, "data": {}},
        {"id": 3},
        "no task",
        None,
        {"id": 4, "data": {"text": None}},
        {"id": 5, "data": {"text": [1]}},
    ]
    answer = server.post("/predict", {"tasks": [good, *bad, good], "project": PROJECT_KEY, "label_config": TOPICS})
    results = answer.json["results"]
    assert results[1:-1] == [[]] * len(bad)
    assert results[0] == results[-1]
    assert results[0]["result"][0]["value"] == {"choices": ["Billing"]}


def test_why_a_task_was_left_out_is_logged_and_counted(backend, caplog):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    caplog.set_level("INFO")
    server.post(
        "/predict", {"tasks": [{"id": 7, "data": {"body": "x"}}] * 3, "project": PROJECT_KEY, "label_config": TOPICS}
    )
    assert (
        f"project {PROJECT_KEY}: no data, 3 times in 3 tasks; task 7: Text#text shows $text, and the task's data has no "
        "'text'; it has body" in caplog.messages
    )


@pytest.mark.parametrize("context", [{"result": []}, {"result": [{"id": "x", "value": {}}]}, {}])
def test_an_interactive_call_gets_an_object_even_untrained(backend, context):
    body = {**FOUR_LINES, "project": PROJECT_KEY, "label_config": TOPICS, "params": {"context": context}}
    (result,) = backend().post("/predict", body).json["results"]
    assert result["result"] == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is empty; expected JSON"),
        (b"{", "the body is not valid JSON: Input data was truncated"),
        (b"[]", "expected a JSON object"),
        (b"{}", 'tasks: expected a list such as [{"data": {"text": "some text"}}]'),
        (b'{"tasks": 3}', 'tasks: expected a list such as [{"data": {"text": "some text"}}]'),
        (b'{"tasks": [], "params": 3}', "params: expected an object"),
        (b'{"tasks": [], "project": {}}', "project.id: missing; expected the project's number"),
        (b'{"tasks": [], "label_config": 3}', "label_config: expected a text"),
    ],
)
def test_a_malformed_predict_request_gets_a_sentence(backend, body, sentence):
    answer = backend().client.post("/predict", data=body, content_type="application/json")
    assert (answer.status_code, answer.json) == (400, {"error": sentence})


def test_a_broken_labeling_config_is_a_400_with_a_sentence_and_is_not_remembered(backend):
    server = backend()
    answer = server.post("/setup", {"project": PROJECT_KEY, "schema": "<View><Text"})
    assert answer.status_code == 400
    assert "labeling config" in answer.json["error"]
    assert server.store.projects.get(PROJECT_KEY) is None


def test_a_config_that_the_recipe_does_not_fit_still_connects_and_says_why(backend):
    server = backend()
    images = '<View><Image name="img" value="$img"/><RectangleLabels name="box" toName="img"><Label value="Car"/></RectangleLabels></View>'
    assert server.post("/setup", {"project": "9.1", "schema": images}).status_code == 200
    answer = server.post("/predict", {"tasks": [{"data": {"img": "x"}}], "project": "9.1", "label_config": images})
    assert answer.json["results"] == [[]]
    assert answer.json["why_not"][0].startswith("unbound, 1 time in 1 task; nothing is bound: ")
    (project,) = server.client.get("/api/projects").json["projects"]
    assert project["state"] == (
        "nothing is bound: `Choices` matches nothing in the labeling config, which has RectangleLabels#box; "
        "RectangleLabels#box: no key under `tags` matches it"
    )


def test_learns_from_webhooks_alone(backend):
    server = backend()
    server.annotate(tickets(40))
    assert server.train()["job_status"] == "finished"
    texts = tickets(30, seed=9)
    results = server.predict(*(text for text, _ in texts), project=PROJECT_KEY, label_config=TOPICS)
    right = [r["result"][0]["value"]["choices"] == [label] for r, (_, label) in zip(results, texts, strict=True)]
    assert sum(right) >= 27


def test_enough_annotations_ask_for_a_run_and_fewer_do_not(backend):
    server = backend("training: {every: 10, quiet: 0s}\n")
    for id, (text, label) in enumerate(tickets(9), 1):
        assert "job" not in server.post("/webhook", event(id, text, label)).json
    assert "job" in server.post("/webhook", event(10, *tickets(10)[9])).json


def test_label_studio_may_send_lists_or_single_annotations(backend):
    server = backend()
    single = event(1, "refund", "Billing")
    many = {**single, "action": "ANNOTATIONS_CREATED", "annotation": [{**single["annotation"], "id": 2, "task": 2}],
            "task": [{"id": 2, "data": {"text": "crash"}}]}  # fmt: skip
    assert server.post("/webhook", single).json["changed"] == 1
    assert server.post("/webhook", many).json["changed"] == 1
    assert server.post("/webhook", many).json["changed"] == 0
    deleted = {"action": "ANNOTATIONS_DELETED", "project": PROJECT, "annotations": [{"id": 1}, {"id": 2}]}
    assert server.post("/webhook", deleted).json["changed"] == 2
    assert server.store.annotations.counts(PROJECT_KEY)[0] == 0


def test_deleted_tasks_take_their_annotations_along(backend):
    server = backend()
    server.annotate(tickets(3))
    server.post("/webhook", {"action": "TASKS_DELETED", "project": PROJECT, "tasks": [{"id": 1}]})
    assert server.store.annotations.counts(PROJECT_KEY)[0] == 2


def test_a_skipped_annotation_is_no_example_and_a_ground_truth_wins(backend):
    server = backend()
    server.post("/webhook", event(1, "crash", "Bug", was_cancelled=True))
    server.post("/webhook", event(2, "refund", "Billing", ground_truth=True))
    other = event(2, "refund", "Bug", at=90)
    other["annotation"]["id"] = 99
    server.post("/webhook", other)
    binding = server.app.extensions["lsml"].serving.bindings.of(PROJECT_KEY, TOPICS)
    answers_of = {
        task.id: binding.learn(task, no_fetch).answers for task in server.store.annotations.tasks(PROJECT_KEY)
    }
    assert {task: answers["topic"][0][0].label for task, answers in answers_of.items()} == {"2": "Billing"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "expected a JSON object"),
        ({"project": PROJECT}, "action: missing; expected the name of a Label Studio webhook, such as ANNOTATION_CREATED"),
        ({"action": "ANNOTATION_CREATED"}, 'project: missing; expected its key in Label Studio, such as "1.1795424614"'),
        ({"action": "ANNOTATION_CREATED", "project": PROJECT}, "annotation: missing; expected an annotation, or a list of them"),
        ({"action": "ANNOTATION_CREATED", "project": PROJECT, "annotation": {"id": 1}}, "annotation 1: result: expected a list of regions"),
        ({"action": "TASKS_DELETED", "project": PROJECT}, 'tasks: missing; expected a list of {"id": ...}'),
    ],
)  # fmt: skip
def test_a_malformed_webhook_gets_a_sentence_and_stores_nothing(backend, body, sentence):
    server = backend()
    answer = server.post("/webhook", body)
    assert (answer.status_code, answer.json) == (400, {"error": sentence})
    assert list(server.store.annotations.tasks(PROJECT_KEY)) == []


def test_an_unknown_action_is_acknowledged_and_ignored(backend):
    answer = backend().post("/webhook", {"action": "LABEL_LINK_CREATED", "project": PROJECT})
    assert (answer.status_code, answer.json) == (200, {"status": "ignored", "action": "LABEL_LINK_CREATED"})


def test_start_training_without_training_says_why_and_is_a_2xx(backend):
    answer = backend("training: false\n").post("/webhook", {"action": "START_TRAINING", "project": PROJECT})
    assert answer.status_code == 200
    assert answer.json["status"].startswith("training is off")


def test_start_training_with_too_few_examples_ends_as_failed_with_the_reason(backend):
    server = backend()
    server.annotate([("refund", "Billing")])
    ended = server.train()
    assert ended["job_status"] == "failed"
    assert ended["error"].startswith("not enough data: topic:text-classifier: ")


def test_train_starts_training_and_job_status_follows_it(backend):
    server = backend()
    server.annotate(tickets(20))
    job = server.post("/train", {"project": PROJECT}).json["job"]
    assert server.post("/job_status", {"job": job}).json["job_status"] == "queued"
    assert server.post("/job_status", {"job": "unknown"}).status_code == 404


@pytest.mark.parametrize("project", ["²", "٣", "9" * 30, 10**30, -1])
def test_numbers_that_are_no_project_s_are_projects_of_their_own(backend, project):
    server = backend()
    server.post("/setup", {"project": project})
    assert server.post("/train", {"project": project}).status_code == 200
    assert server.client.get("/versions", query_string={"project": f"{project}0"}).status_code == 404


def test_a_project_named_by_its_number_alone_is_the_one_that_setup_told(backend):
    server = backend()
    body = {"project": PROJECT_KEY, "schema": TOPICS}
    before = server.post("/setup", body).json["model_version"]
    for number, (text, label) in enumerate(tickets(30), 1):
        server.post("/webhook", {**event(number, text, label), "project": {"id": 1}})
    assert server.store.annotations.counts(PROJECT_KEY)[0] == 30
    server.train()
    after = server.post("/setup", {**body, "project": 1}).json["model_version"]
    assert after != before
    (prediction,) = server.predict("refund invoice", project=1)
    assert prediction["model_version"] == after
    assert [row.key for row in server.store.projects.all()] == [PROJECT_KEY]


def test_versions_lists_what_each_project_serves(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    served = server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS}).json["model_version"]
    of_project = {"project": PROJECT_KEY, "title": "triage", "model_version": served, "versions": [served]}
    assert server.client.get("/versions").json == {"versions": [served], "projects": [of_project]}


def test_versions_says_whose_each_version_is(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    server.post("/setup", {"project": "2.1", "schema": TOPICS})
    answer = server.client.get("/versions").json
    mine, other = answer["projects"]
    assert (mine["project"], other["project"]) == (PROJECT_KEY, "2.1")
    assert "-v1-" in mine["model_version"] and "-v0-" in other["model_version"]
    assert answer["versions"] == [*mine["versions"], *other["versions"]]
    assert server.client.get("/versions?project=2").json["projects"] == [other]


def test_validate_says_what_binds(backend):
    server = backend()
    assert server.post("/validate", {"config": TOPICS}).json["bound"] == {"Choices#topic": "text-classifier"}
    assert server.post("/validate", {"config": "<View/>"}).json["valid"] is False
    assert server.post("/validate", {"config": "<View"}).status_code == 400


def test_delete_keeps_what_was_learnt(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    assert server.post("/delete", {"project": PROJECT_KEY}).status_code == 200
    assert server.store.annotations.counts(PROJECT_KEY)[0] == 40
    assert server.store.versions.promoted(PROJECT_KEY) == 1


def test_projects_keep_their_data_and_versions_apart(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    other = {"project": "2.1795424700", "schema": TOPICS}
    assert "-v0-" in server.post("/setup", other).json["model_version"]
    assert server.predict("refund", project="2.1795424700", label_config=TOPICS) == [[]]


def test_a_new_project_starts_from_what_was_trained_offline(backend):
    server = backend()
    run_local(server)
    assert "-v1-" in server.post("/setup", {"project": "3.1795424700", "schema": TOPICS}).json["model_version"]
    (prediction,) = server.predict("refund the invoice", project="3.1795424700", label_config=TOPICS)
    assert prediction["result"][0]["value"] == {"choices": ["Billing"]}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            TOPICS.replace("$text", "$body"),
            "that version was trained on Choices#topic of $text, and here is Choices#topic of $body",
        ),
        (
            TOPICS.replace('name="topic"', 'name="subject"'),
            "that version was trained on Choices#topic of $text, and here is Choices#subject of $text",
        ),
        (
            TOPICS.replace('<Choice value="Bug"/>', ""),
            "topic:text-classifier: v1 was trained on Bug, which the labeling config no longer has",
        ),
    ],
)
def test_a_new_project_that_differs_says_why_it_does_not_start_from_what_was_trained_offline(
    backend, caplog, config, why
):
    server = backend()
    run_local(server)
    with caplog.at_level("INFO"):
        answer = server.post("/setup", {"project": "3.1795424700", "schema": config})
    assert "-v0-" in answer.json["model_version"]
    sentence = f"does not start from v1 of project local: {why}"
    assert f"project 3.1795424700: {sentence}" in caplog.messages
    state = server.client.get("/api/projects/3.1795424700").json
    assert sentence in state["warnings"]
    assert sentence.replace("'", "&#39;") in server.client.get("/").text


def test_a_label_that_was_removed_is_never_predicted_and_one_added_keeps_the_version(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    served = server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS}).json["model_version"]
    more = TOPICS.replace('<Choice value="Bug"/>', '<Choice value="Bug"/><Choice value="Praise"/>')
    assert server.post("/setup", {"project": PROJECT_KEY, "schema": more}).json["model_version"] == served
    fewer = TOPICS.replace('<Choice value="Billing"/>', "")
    assert server.post("/setup", {"project": PROJECT_KEY, "schema": fewer}).json["model_version"] != served
    (prediction,) = server.predict("refund my invoice", project=PROJECT_KEY, label_config=fewer)
    assert prediction["result"] == []  # the next best would be a wrong label
    (prediction,) = server.predict("the app crashes with an error", project=PROJECT_KEY, label_config=fewer)
    assert prediction["result"][0]["value"]["choices"] == ["Bug"]
    assert server.post("/setup", {"project": PROJECT_KEY, "schema": fewer}).status_code == 200
    (state,) = server.client.get("/api/projects").json["projects"]
    assert state["warnings"] == [
        ("topic:text-classifier: v1 was trained on Billing, which the labeling config no longer has")
    ]


def test_a_renamed_control_is_untrained_and_says_so(backend, caplog):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    renamed = TOPICS.replace('name="topic"', 'name="subject"')
    assert server.predict("refund my invoice", project=PROJECT_KEY, label_config=renamed) == [[]]
    assert any("it is not in v1, so it starts untrained" in message for message in caplog.messages)


def test_hostname_and_token_are_learnt_only_if_the_recipe_names_none(backend):
    body = {"project": PROJECT_KEY, "schema": TOPICS, "hostname": "http://localhost:8080", "access_token": "0" * 40}
    learning = backend()
    learning.post("/setup", body)
    assert learning.store.projects.get(PROJECT_KEY).token == "0" * 40
    named = backend("label_studio: {url: 'http://studio.example', api_key: '" + "1" * 40 + "'}\n")
    named.post("/setup", body)
    assert named.store.projects.get(PROJECT_KEY).token is None


def test_a_token_of_the_recipe_never_goes_to_a_learnt_hostname(backend):
    from lsml.store import ProjectRow
    from lsml.studio.connection import studio_of

    told = ProjectRow(PROJECT_KEY, 1, hostname="http://elsewhere.example", token="0" * 40)
    assert studio_of(backend("label_studio: {api_key: '" + "1" * 40 + "'}\n").recipe, told) is None
    assert studio_of(backend("label_studio: {url: 'http://studio.example'}\n").recipe, told) is None
    assert studio_of(backend().recipe, told).url == "http://elsewhere.example"


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


AUTH = "server: {username: ann, password: 'pässword'}\n"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic %%%"}, basic("ann", "wrong")]
)
def test_basic_auth_guards_everything_but_health(backend, headers):
    server = backend(AUTH)
    assert server.client.get("/health", headers=headers).status_code == 200
    answer = server.post("/predict", FOUR_LINES, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="lsml"'
    assert server.client.get("/", headers=headers).status_code == 401


def test_the_right_username_and_password_pass(backend):
    assert backend(AUTH).post("/predict", FOUR_LINES, headers=basic("ann", "pässword")).status_code == 200


def test_under_a_secret_path_webhooks_need_no_credentials(backend):
    server = backend("server: {secret_path: s3cret-path, username: ann, password: secret}\n")
    sent = event(1, "refund", "Billing")
    assert server.post("/s3cret-path/webhook", sent).json["changed"] == 1
    assert server.post("/webhook", sent).status_code == 404
    assert server.post("/s3cret-path/predict", FOUR_LINES).status_code == 401
    assert server.post("/s3cret-path/predict", FOUR_LINES, headers=basic("ann", "secret")).status_code == 200
    assert server.client.get("/health").status_code == 200


def test_a_secret_path_alone_guards_everything(backend):
    server = backend("server: {secret_path: s3cret-path}\n")
    assert server.post("/s3cret-path/predict", FOUR_LINES).status_code == 200
    assert server.post("/predict", FOUR_LINES).status_code == 404
    assert server.post("/s3cret-pathology/predict", FOUR_LINES).status_code == 404
    assert "s3cret" not in server.post("/predict", FOUR_LINES).text


def test_no_error_shows_a_traceback(backend, monkeypatch):
    server = backend()
    monkeypatch.setattr(server.app.extensions["lsml"].serving.bindings, "of", lambda *_: 1 / 0)
    answer = server.post("/predict", FOUR_LINES)
    assert (answer.status_code, answer.json) == (
        500,
        {"error": "lsml failed (ZeroDivisionError); its log has the details"},
    )


def test_models_load_once_for_any_number_of_requests_and_threads(backend, monkeypatch):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    from lsml.server import serving

    loads = []
    load = serving.load_version
    monkeypatch.setattr(serving, "load_version", lambda *args: loads.append(1) or load(*args))

    def ask():
        for _ in range(10):
            server.app.test_client().post(
                "/predict", json={**FOUR_LINES, "project": PROJECT_KEY, "label_config": TOPICS}
            )
        server.store.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_a_broken_version_folder_falls_back_to_the_one_before(backend, caplog):
    server = backend("training: {promote: always}\n")
    server.annotate(tickets(40))
    server.train()
    server.train()
    row = server.store.versions.get(PROJECT_KEY, 2)
    folder = server.store.artifacts.root / row.folder
    victim = next(path for path in folder.rglob("*") if path.is_file() and path.name != "card.json")
    victim.write_bytes(b"broken")
    (prediction,) = server.predict("refund the invoice", project=PROJECT_KEY, label_config=TOPICS)
    assert prediction["model_version"].startswith("triage-v1-")
    said = server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS}).json["model_version"]
    assert said == prediction["model_version"]
    assert any("was changed after it was saved; restore it, or promote another version" in m for m in caplog.messages)


def test_promoting_an_older_version_rolls_back(backend):
    server = backend("training: {promote: always}\n")
    server.annotate(tickets(40))
    server.train()
    server.train()
    assert "-v2-" in server.predict("x", project=PROJECT_KEY, label_config=TOPICS)[0]["model_version"]
    answer = server.post(f"/api/projects/{PROJECT_KEY}/promote", {"version": 1})
    assert answer.json["promoted"] == 1
    assert "-v1-" in server.predict("x", project=PROJECT_KEY, label_config=TOPICS)[0]["model_version"]
    missing = server.post(f"/api/projects/{PROJECT_KEY}/promote", {"version": 9})
    assert (missing.status_code, missing.json["error"]) == (
        404,
        f"project {PROJECT_KEY} has no version 9; it has v2, v1",
    )


def test_the_page_shows_projects_versions_and_runs_and_escapes_what_strangers_wrote(backend):
    server = backend()
    hostile = {**PROJECT, "title": "<script>alert(1)</script>"}
    server.post("/webhook", {**event(99, "x", "Bug"), "project": hostile})
    server.annotate(tickets(40))
    server.train()
    for path in ("/", f"/projects/{PROJECT_KEY}"):
        page = server.client.get(path).text
        assert "<script>" not in page
        assert "bound: Choices#topic -&gt; text-classifier" in page
    assert "v1 (served)" in page


def test_answers_are_valid_json_whatever_the_labels_are(backend):
    config = TOPICS.replace("Billing", "../&lt;b&gt; &quot;quoted&quot; 🤖").replace("Bug", "No")
    server = backend(config=config)
    strange = '../<b> "quoted" 🤖'
    pairs = [(text, {"Billing": strange, "Bug": "No"}.get(label, label)) for text, label in tickets(40)]
    for id, (text, label) in enumerate(pairs, 1):
        server.post("/webhook", {**event(id, text, label), "project": {**PROJECT, "label_config": config}})
    server.train({**PROJECT, "label_config": config})
    body = {"tasks": [{"data": {"text": "refund invoice"}}], "project": PROJECT_KEY, "label_config": config}
    answer = server.post("/predict", body)
    assert msgspec.json.decode(answer.data)["results"][0]["result"] == [
        {**choice(strange)[0], "id": "topic-0", "score": pytest.approx(0.5, abs=0.5)}
    ]


def test_a_body_with_a_byte_order_mark_is_read_and_a_packed_one_gets_a_sentence(backend):
    server = backend()
    content = b'\xef\xbb\xbf{"tasks": []}'
    assert server.client.post("/predict", data=content, content_type="application/json").json == {"results": []}
    packed = server.client.post("/predict", data=b"x", headers={"Content-Encoding": "gzip"})
    assert (packed.status_code, packed.json) == (
        400,
        {"error": "Content-Encoding 'gzip' is not supported; send the body uncompressed"},
    )


def test_one_malformed_annotation_of_many_costs_only_itself(backend):
    server = backend()
    good = event(1, "refund", "Billing")
    many = {
        **good,
        "action": "ANNOTATIONS_CREATED",
        "annotation": [{"id": 2, "task": 2, "result": "x"}, good["annotation"]],
        "task": [good["task"]],
    }
    assert server.post("/webhook", many).json["changed"] == 1


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "yesterday", 7])
def test_an_odd_time_of_an_annotation_is_no_error(backend, stamp):
    assert backend().post("/webhook", event(1, "a", "Bug", updated_at=stamp)).status_code == 200


def test_an_absurd_version_number_is_refused_with_a_sentence(backend):
    server = backend()
    server.annotate(tickets(3))
    assert server.post(f"/api/projects/{PROJECT_KEY}/promote", {"version": 10**30}).status_code == 400


@pytest.mark.parametrize("path", ["/predict", "/setup", "/webhook", "/train", "/job_status", "/validate", "/delete"])
def test_json_with_a_key_twice_is_refused_as_ambiguous_and_nothing_is_stored(backend, path):
    server = backend()
    body = b'{"project": "1", "tasks": [], "job": "a", "config": "<View/>", "tasks": [{"data": {"text": "a"}}]}'
    answer = server.client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"].endswith("the key 'tasks' occurs twice in one object, which is ambiguous")
    assert server.store.projects.all() == []


def test_a_task_with_half_of_a_character_costs_itself_alone_and_is_counted(backend, caplog):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    body = {
        "tasks": [{"data": {"text": text}} for text in ("refund my invoice", "refund \ud83e", "crash \U0001f916")],
        "project": PROJECT_KEY, "label_config": TOPICS,
    }  # fmt: skip
    # Python writes halves and pairs as Label Studio does: as escapes.
    answer = server.client.post("/predict", data=json.dumps(body), content_type="application/json")
    first, broken, last = answer.json["results"]
    assert broken == []
    assert first["result"] and last["result"]
    assert "not Unicode, 1 time in 3 tasks; tasks[1].data.text: holds half of a surrogate pair" in caplog.text
    assert 'lsml_dropped_total{reason="not Unicode"} 1.0' in server.client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"tasks": [], "label_config": "<View>\ud800</View>"}),
        ("/setup", {"project": "1.\ud800"}),
        ("/setup", {"project": "1", "extra_params": {"a": ["\udfff"]}}),
        ("/webhook", {**event(1, "refund \ud83e", "Billing")}),
        ("/validate", {"config": "\ud800"}),
    ],
)
def test_half_of_a_character_elsewhere_is_refused_and_nothing_is_stored(backend, path, body):
    server = backend()
    answer = server.client.post(path, data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
    assert "holds half of a surrogate pair" in answer.json["error"]
    assert server.store.projects.all() == []


def test_of_several_annotations_one_with_half_of_a_character_is_left_out_alone(backend, caplog):
    server = backend()
    one = event(1, "refund", "Billing", action="ANNOTATIONS_CREATED")
    good, broken = one["annotation"], {**one["annotation"], "id": 2, "result": choice("\ud800")}
    several = {**one, "annotation": [good, broken], "task": [one["task"]]}
    answer = server.client.post("/webhook", data=json.dumps(several), content_type="application/json")
    assert answer.json["changed"] == 1
    assert "annotation[1].result[0].value.choices[0]: holds half of a surrogate pair" in caplog.text
    alone = {**one, "annotation": [broken]}
    assert server.client.post("/webhook", data=json.dumps(alone), content_type="application/json").status_code == 400
    assert server.store.projects.get(PROJECT_KEY).usable == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/train", {"project": "9.1795424614"}),
        ("/train", {"project": 9}),
        ("/train", {}),
        ("/webhook", {"action": "START_TRAINING", "project": {"id": 9}}),
        ("/webhook", {"action": "START_TRAINING", "project": {"id": 9, "title": "t", "label_config": ""}}),
    ],
)
def test_start_training_for_a_project_that_nobody_told_of_makes_no_run(backend, path, body):
    server = backend()
    server.annotate([("refund", "Billing")])
    before = server.store.projects.all()
    answer = server.post(path, body)
    assert answer.status_code == 404
    assert answer.json["error"].endswith(
        "connect lsml under Settings > Model, annotate, and press Start Training again"
    )
    assert server.store.projects.all() == before
    assert sum(server.store.runs.counts().values()) == 0
