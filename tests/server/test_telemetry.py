"""/metrics counts what happened and shows what is stored."""

import sqlite3

import pytest

from tests.conftest import PROJECT_KEY, TOPICS, tickets


def numbers(server):
    lines = server.client.get("/metrics").text.splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_requests_tasks_and_what_was_left_out_are_counted(backend):
    server = backend()
    server.post("/predict", {"tasks": [{"data": {"text": "a"}}, {"data": {}}]})
    server.post("/predict", {"tasks": "no list"})
    found = numbers(server)
    assert found['lsml_requests_total{endpoint="POST /predict",status="200"}'] == 1
    assert found['lsml_requests_total{endpoint="POST /predict",status="400"}'] == 1
    assert found['lsml_tasks_total{outcome="not predicted"}'] == 2
    assert found['lsml_dropped_total{reason="untrained"}'] == 2


def test_what_is_stored_is_shown_by_project(backend):
    server = backend()
    server.annotate(tickets(60))
    server.train()
    server.predict("refund", project=PROJECT_KEY, label_config=TOPICS)
    found = numbers(server)
    assert found[f'lsml_annotations{{project="{PROJECT_KEY}"}}'] == 60
    assert found[f'lsml_promoted_version{{project="{PROJECT_KEY}"}}'] == 1
    assert found[f'lsml_versions{{project="{PROJECT_KEY}"}}'] == 1
    assert found[f'lsml_held_out_metric{{control="topic",metric="macro_f1",project="{PROJECT_KEY}"}}'] > 0.5
    assert (found['lsml_runs{state="done"}'], found['lsml_runs{state="running"}']) == (1, 0)
    assert found["lsml_regions_total"] == 1
    predicted = {name: value for name, value in found.items() if name.startswith("lsml_predicted_labels_total")}
    assert predicted == {
        f'lsml_predicted_labels_total{{control="topic",label="Billing",project="{PROJECT_KEY}"}}': 1
    }, "their shares show whether tasks change"


def test_how_long_runs_wait_and_who_could_do_them_is_shown(backend):
    server = backend("storage: {queues: {training: gpu}}\n")
    server.store.runs.request(PROJECT_KEY, "start training")
    server.store.runs._run("UPDATE run SET due_at = due_at - 60")
    server.store.workers.beat("gpu")
    found = numbers(server)
    assert 60 <= found['lsml_queue_age_seconds{kind="training"}'] < 3600
    assert found['lsml_queue_age_seconds{kind="publishing"}'] == 0
    assert (found['lsml_worker_alive{queue="gpu"}'], found['lsml_worker_alive{queue=""}']) == (1, 0)


def test_workers_are_needed_for_runs_of_their_queue_that_are_due_or_being_done(backend):
    server = backend("storage: {queues: {training: gpu}}\n")

    def needed():
        found = numbers(server)
        return found['lsml_open_runs{queue="gpu"}'], found['lsml_open_runs{queue=""}']

    run = server.store.runs.request(PROJECT_KEY, "start training")
    for kind in ("publishing", "review"):
        server.store.runs.request(PROJECT_KEY, kind, kind=kind)
    assert needed() == (1, 2)
    server.store.claims.claim(run.id)
    assert needed() == (1, 2)
    server.store.claims.finish(run.id, 1, "done", "v1")
    later = server.store.runs.request(PROJECT_KEY, "start training")
    server.store.runs._run("UPDATE run SET due_at = due_at + 3600 WHERE id = ?", later.id)
    assert needed() == (0, 2), "a training at night needs nobody in the day"


def test_what_a_promotion_changed_is_shown_by_model(backend):
    server = backend()
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    compared = {"new": 0.9, "promoted": 0.8, "tasks": 40, "with": "v1", "changed": 0.15}
    decisions = {"topic:text-classifier": {"taken": True, "why": "better", "compared": compared}}
    drift = {"against": "v1", "index": 0.4, "limit": 0.25, "learnt": 40, "recent": 40, "labels": {"Bug": [0.1, 0.6]}}
    card = {"recipe": "triage", "models": {}, "metrics": {}, "verdict": "promoted: better", "decisions": decisions,
            "drift": {"topic:text-classifier": drift}}  # fmt: skip
    server.store.versions.add(PROJECT_KEY, "p/1", card, promote=True, run=None)
    found = numbers(server)
    labels = f'{{model="topic:text-classifier",project="{PROJECT_KEY}"}}'
    assert found[f"lsml_changed_answers{labels}"] == 0.15
    assert found[f"lsml_label_drift{labels}"] == 0.4


def test_what_was_published_and_how_the_last_publishing_fares_is_shown(backend):
    server = backend()
    server.annotate(tickets(1))
    run = server.store.runs.request(PROJECT_KEY, "publishing", kind="publishing")
    run = server.store.claims.claim(run.id)
    waiting = server.store.runs.request(PROJECT_KEY, "publishing", kind="publishing")
    server.store.runs.cancel(waiting.id)  # younger, and not what a person looks for
    server.store.projects.add_published(PROJECT_KEY, "triage-v1-00000000", 1500)
    server.store.projects.add_published(PROJECT_KEY, "triage-v2-00000000", 500)
    server.store.claims.report(run.id, run.attempt, 0.25, "publishing 500 of 2,000")

    found = numbers(server)
    assert found[f'lsml_published_total{{project="{PROJECT_KEY}"}}'] == 2000
    states = {name: value for name, value in found.items() if name.startswith("lsml_last_publishing{")}
    assert states.pop(f'lsml_last_publishing{{project="{PROJECT_KEY}",state="running"}}') == 1
    assert set(states.values()) == {0}

    project = server.client.get(f"/api/projects/{PROJECT_KEY}").json
    assert project["published"] == {"predictions": 2000, "model_version": "triage-v2-00000000"}
    publishing = project["publishing"]
    assert (publishing["job_status"], publishing["progress"]) == ("started", 0.25)
    assert publishing["message"] == "publishing 500 of 2,000"

    page = server.client.get(f"/projects/{PROJECT_KEY}").text
    assert "Publishing: started 25%; publishing 500 of 2,000." in page
    assert "2,000 predictions posted so far, the last by <code>triage-v2-00000000</code>." in page
    assert 'http-equiv="refresh"' in page, "it shows how it goes on"


def test_what_the_served_version_could_not_learn_is_counted_by_reason(backend):
    server = backend()
    server.annotate(tickets(60))
    server.annotate([("who knows", "Mixed"), ("who else", "Mixed"), ("small", "bug")], first_id=100)
    server.train()
    found = numbers(server)
    name = f'lsml_left_out{{control="Choices#topic",project="{PROJECT_KEY}",reason="unknown label"}}'
    assert {key: value for key, value in found.items() if key.startswith("lsml_left_out")} == {name: 2}
    (version,) = server.client.get(f"/api/projects/{PROJECT_KEY}").json["versions"]
    assert version["version"] == 1


@pytest.mark.parametrize("path", ["/metrics", "/"])
def test_it_is_guarded_like_everything_else(backend, path):
    server = backend("server: {username: ann, password: secret}\n")
    assert server.client.get(path).status_code == 401


BROKEN = {
    "of another format": {"format": 99, "recipe": "triage", "models": {}},
    "without what it must have": {},
    "of other types": {"recipe": 1, "models": []},
}


@pytest.mark.parametrize("card", [*BROKEN.values(), None], ids=[*BROKEN, "no JSON"])
def test_a_card_that_cannot_be_read_is_counted_and_costs_no_other_number(backend, card):
    server = backend()
    server.annotate(tickets(60))
    server.train()
    folder = server.store.versions.of_project(PROJECT_KEY)[0].folder
    server.post("/setup", {"project": "2.1795424614", "schema": TOPICS})
    number = server.store.versions.add("2.1795424614", f"{folder}x", card or {}, promote=True, run=None)
    if card is None:
        with sqlite3.connect(server.store.directory / "lsml.db") as database:
            database.execute("UPDATE version SET card = 'no JSON' WHERE project = '2.1795424614'")
    found = numbers(server)
    assert found[f'lsml_unreadable_cards{{project="{PROJECT_KEY}"}}'] == 0
    assert found['lsml_unreadable_cards{project="2.1795424614"}'] == 1
    assert found['lsml_promoted_version{project="2.1795424614"}'] == number
    assert found[f'lsml_held_out_metric{{control="topic",metric="macro_f1",project="{PROJECT_KEY}"}}'] > 0.5
    for path in ("/", "/api/projects", "/versions"):
        assert server.client.get(path).status_code == 200, path


@pytest.mark.parametrize("judged", [{"metric": "map50", "value": None, "examples": 0}, {"metric": "map50"}, {}])
def test_a_metric_may_be_absent_wherever_it_is_shown(backend, judged):
    server = backend()
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    card = {"recipe": "triage", "models": {}, "metrics": {"topic": judged}, "verdict": "promoted: the first"}
    server.store.versions.add(PROJECT_KEY, "p/1", card, promote=True, run=None)
    assert not [name for name in numbers(server) if name.startswith("lsml_held_out_metric")]
    assert "not evaluated" in server.client.get("/").text
    assert server.client.get("/api/projects").json["projects"][0]["versions"][0]["metrics"] == {"topic": judged}


def test_the_page_says_how_many_changes_make_the_next_training_due(backend):
    server = backend("training: {every: 10, min_annotations: 12}\n")
    server.annotate(tickets(8))
    assert (
        "8 annotations to train on, 8 changed since the last run, 12 needed for the next."
        in server.client.get("/").text
    )
    server.annotate(tickets(30))
    server.train()
    assert (
        "30 annotations to train on, 0 changed since the last run, 10 needed for the next."
        in server.client.get("/").text
    )
    assert server.client.get(f"/api/projects/{PROJECT_KEY}").json["changes_needed"] == 10


def test_where_nothing_learns_by_itself_no_changes_are_needed(backend):
    server = backend("training: false\n")
    server.annotate(tickets(8))
    assert "8 changed since the last run." in server.client.get("/").text
    assert server.client.get(f"/api/projects/{PROJECT_KEY}").json["changes_needed"] is None


@pytest.mark.parametrize(
    ("examples", "said"), [(1, "<b>0.900</b> on 1 example, too few to rely on"), (10, "<b>0.900</b> on 10 examples ")]
)
def test_a_metric_of_few_answers_comes_with_a_caution(backend, examples, said):
    server = backend()
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    judged = {"metric": "macro_f1", "value": 0.9, "examples": examples}
    card = {"recipe": "triage", "models": {}, "metrics": {"topic": judged}, "verdict": "promoted: the first"}
    server.store.versions.add(PROJECT_KEY, "p/1", card, promote=True, run=None)
    assert said in server.client.get("/").text
