"""The pages: what each shows of a project with a history, its links, and what its buttons ask for."""

from __future__ import annotations

import re

import pytest

from lsml.server.pages import _accepted, _expected
from tests.conftest import PROJECT, PROJECT_KEY, event, tickets

LEARNING = "training: {every: 1000, quiet: 0s, promote: always}\n"
AT = f"/projects/{PROJECT_KEY}"


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A backend whose project learnt twice."""
    from tests.conftest import Backend, write_recipe

    directory = tmp_path_factory.mktemp("pages")
    made = Backend(write_recipe(directory, LEARNING), directory / "data")
    wrong = [(text, "Bug") for text, label in tickets(20, seed=7) if label == "Billing"]
    made.annotate(tickets(60))
    made.train()
    made.annotate([*tickets(60, seed=3), *wrong], first_id=61)
    made.train()
    yield made
    made.store.close()


def shown(learnt, path: str) -> str:
    """A page's text, without its tags and with single spaces."""
    answer = learnt.client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html"), answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_the_overview_says_what_is_served_since_when_and_how_far_the_next_training_is(learnt):
    page = shown(learnt, "/")
    assert re.search(r"Serving triage-v2-[0-9a-f]{8}-p1 since \d{4}-\d\d-\d\d \d\d:\d\d ?; bound:", page)
    assert re.search(r"topic: macro_f1 0\.\d{3} on \d+ examples", page)
    assert "127 annotations to train on, 0 changed since the last run, 1,000 needed for the next." in page
    html = learnt.client.get("/").text
    assert '<progress max="1000" value="0"' in html
    assert 'aria-label="Metric by version: v1 ' in html


def test_a_project_s_page_shows_versions_labels_confusion_the_curve_and_runs(learnt):
    page = shown(learnt, AT)
    for heading in (
        "Versions",
        "topic: each label",
        "topic: confusion matrix",
        "Training runs",
        "topic by training",
    ):
        assert heading in page
    assert "v2 (served)" in page
    html = learnt.client.get(AT).text
    assert html.count("Roll back</button>") == 1
    assert len(re.findall(r'<circle cx="[\d.]+" cy="[\d.]+" r="4"><title>v\d: macro_f1', html)) == 2
    card = learnt.client.get(f"/api{AT}").json["versions"][0]["metrics"]["topic"]
    for label, row in card["per_label"].items():
        assert re.search(
            rf"{label} {row['precision']:.3f} {row['recall']:.3f} {row['f1']:.3f} {row['examples']} ", page
        )


@pytest.mark.parametrize("path", ["/", AT, f"{AT}/try", f"{AT}/compare", f"{AT}/people", f"{AT}/doctor"])
def test_every_link_and_button_leads_somewhere(learnt, path):
    from urllib.parse import urljoin

    html = learnt.client.get(path).text
    links = re.findall(r'(?:href|src)="([^"#]+)"', html)
    assert any("lsml.css" in link for link in links)
    for link in [link for link in links if link != "data:,"]:
        assert learnt.client.get(urljoin(f"http://localhost{path}", link)).status_code == 200, link
    rules = {(rule.rule, method) for rule in learnt.app.url_map.iter_rules() for method in rule.methods}
    for link in re.findall(r'data-p(?:ost|redict)="([^"]+)"', html):
        target = re.sub(r"/projects/[^/]+", "/projects/<project>", urljoin(path, link))
        assert (re.sub(r"/runs/[^/]+", "/runs/<run>", target), "POST") in rules


def test_the_comparison_counts_what_each_version_has_right(learnt):
    page = shown(learnt, f"{AT}/compare")
    found = re.search(
        r"On (\d+) held-out tasks: v2 predicts (\d+) better than v1 and (\d+) worse. Both are right on (\d+) and equally "
        r"wrong on (\d+)",
        page,
    )
    assert found
    tasks, *counts = map(int, found.groups())
    assert tasks == sum(counts)
    told = learnt.client.get(f"/api{AT}/compare", query_string={"new": "v2", "old": 1}).json
    assert [told["counts"][name] for name in ("won", "lost", "right", "wrong")] == counts
    assert {row["outcome"] for row in told["rows"]} <= {"won", "lost", "wrong"}
    mirrored = learnt.client.get(f"/api{AT}/compare", query_string={"new": 1, "old": 2}).json["counts"]
    assert (mirrored["won"], mirrored["lost"]) == (told["counts"]["lost"], told["counts"]["won"])


@pytest.mark.parametrize(
    ("query", "code", "sentence"),
    [
        ({}, 400, "new and old: expected the numbers of two versions"),
        ({"new": "x", "old": "1"}, 400, "new and old: expected the numbers of two versions"),
        ({"new": "9", "old": "1"}, 404, f"project {PROJECT_KEY} has no version 9"),
    ],
)
def test_versions_that_are_not_there_are_not_compared(learnt, query, code, sentence):
    answer = learnt.client.get(f"/api{AT}/compare", query_string=query)
    assert answer.status_code == code
    assert sentence in answer.json["error"]


def test_what_people_try_is_asked_field_by_field(learnt):
    html = learnt.client.get(f"{AT}/try").text
    assert 'data-field="text"' in html
    assert f'data-project="{PROJECT_KEY}"' in html


def test_a_recording_is_chosen_as_a_file(backend):
    sounds = '<View><Audio name="audio" value="$clip"/><Choices name="kind" toName="audio"><Choice value="Dog"/></Choices></View>'
    server = backend("tags: {Choices: audio-classifier}\n", config=sounds)
    server.post("/setup", {"project": PROJECT_KEY, "schema": sounds})
    html = server.client.get(f"{AT}/try").text
    assert '<input type="file" accept="audio/*" id="field-1" data-field="clip">' in html


def test_the_doctor_s_page_shows_each_finding(learnt):
    findings = learnt.client.get(f"/api{AT}/doctor").json["findings"]
    page = shown(learnt, f"{AT}/doctor")
    assert {"recipe", "disk", "label studio"} <= {one["check"] for one in findings}
    assert all(one["check"] in page for one in findings)


def test_publishing_is_asked_for_where_it_can_be(learnt, backend):
    refused = learnt.client.post(f"/api{AT}/publish", json={})
    assert refused.status_code == 400
    assert "Label Studio's address and token are not known" in refused.json["error"]
    server = backend("label_studio: {url: 'http://127.0.0.1:1', api_key: token}\n")
    server.annotate([("refund", "Billing")])
    server.store.runs.request(PROJECT_KEY, "publishing", kind="publishing")  # what a new project wants is asked for
    assert not server.store.projects.get(PROJECT_KEY).publish_wanted
    assert server.client.post(f"/api{AT}/publish", json={}).json == {"status": "ok"}
    assert server.store.projects.get(PROJECT_KEY).publish_wanted


def test_a_project_that_nobody_knows_has_no_page(learnt):
    for path in (
        "/projects/none",
        "/projects/none/try",
        "/projects/none/compare",
        "/projects/none/people",
        "/projects/none/doctor",
    ):
        assert learnt.client.get(path).status_code == 404


def test_under_a_secret_path_no_page_holds_it_and_links_work(backend):
    server = backend("server: {secret_path: hush-hush}\n" + LEARNING)
    for id, (text, label) in enumerate(tickets(5), 1):
        server.post("/hush-hush/webhook", event(id, text, label))
    moved = server.client.get("/hush-hush")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/hush-hush/")
    for path in ("/", AT, f"{AT}/try"):
        answer = server.client.get(f"/hush-hush{path}")
        assert answer.status_code == 200
        assert "hush-hush" not in answer.text
    assert 'href="../.."' not in answer.text
    assert server.client.get("/hush-hush/assets/lsml.js").mimetype == "text/javascript"
    assert server.client.get("/assets/lsml.js").status_code == 404


def test_before_anything_is_connected_the_page_says_how(backend):
    page = backend().client.get("/").text
    assert "No project is connected yet" in page
    assert "<article" not in page


def test_a_number_of_the_confusion_leads_to_its_tasks(learnt):
    html = learnt.client.get(AT).text
    rows = learnt.client.get(f"/api{AT}").json["versions"][0]["metrics"]["topic"]["confusion"]
    people, said = next((people, row) for people, row in rows.items() if any(label != people for label in row))
    model, count = next((label, count) for label, count in said.items() if label != people)
    query = {"control": "topic", "people": people, "model": model}
    told = learnt.client.get(f"/api{AT}/mistakes", query_string=query).json
    assert len(told["rows"]) == count
    assert {(row["people"], row["model"]) for row in told["rows"]} == {(people, model)}
    assert f"mistakes?control=topic&amp;people={people}&amp;model={model}" in html
    page = learnt.client.get(f"{AT}/mistakes", query_string=query).text
    assert all(row["holds"] in page and f">{row['task']}<" in page for row in told["rows"])


def test_where_no_held_out_task_is_stored_the_pages_say_why(backend):
    made = backend(LEARNING)
    for first in (1, 41):
        made.annotate(tickets(40, seed=first), first_id=first)
        made.train()
    made.post("/webhook", {"action": "TASKS_DELETED", "project": PROJECT, "tasks": [{"id": id} for id in range(1, 81)]})
    for path in (f"{AT}/compare", f"{AT}/mistakes?control=topic&people=Bug&model=Billing"):
        page = shown(made, path)
        assert "No annotated task of the validation set is stored here." in page
        assert "held-out task" not in page


@pytest.mark.parametrize("query", [{}, {"control": "no such"}])
def test_mistakes_of_a_control_that_is_not_there_are_not_found(learnt, query):
    answer = learnt.client.get(f"/api{AT}/mistakes", query_string=query)
    assert answer.status_code == 404
    assert "control: no model of the recipe serves a control named" in answer.json["error"]


def test_a_text_without_places_has_no_drawing_and_no_picture(learnt):
    told = learnt.client.get(f"/api{AT}/compare", query_string={"new": 2, "old": 1}).json
    assert told["rows"]
    assert all(row["drawing"] is None for row in told["rows"])
    for query in ({"task": "1", "object": "text"}, {"task": "1", "object": "nothing"}, {}):
        answer = learnt.client.get(f"/api{AT}/picture", query_string=query)
        assert (answer.status_code, answer.json["error"]) == (
            404,
            "the project has no annotated task with this image",
        )
    assert learnt.client.get(f"/api{AT}/picture", query_string={"page": "-1"}).status_code == 400


def test_a_run_says_how_far_it_is_and_how_long_the_rest_takes(backend):
    server = backend(LEARNING)
    server.annotate(tickets(20))
    job = server.post("/webhook", {"action": "START_TRAINING", "project": PROJECT}).json["job"]
    assert server.post("/job_status", {"job": job}).json["seconds_left"] is None
    run = server.store.claims.claim(job)
    server.store.claims.report(run.id, run.attempt, 0.25, "epoch 1 of 4")
    server.store._database.execute_sql("UPDATE run SET started_at = started_at - 1200", ())
    told = server.post("/job_status", {"job": job}).json
    assert 3600 <= told["seconds_left"] < 3700
    for path in ("/", AT):
        assert "Training: started 25%; epoch 1 of 4. About 60 min left." in shown(server, path)


@pytest.mark.parametrize(
    ("gain", "interval", "ends"),
    [(None, None, None), (0.1, [0.05, 0.2], (0.65, 0.7, 0.8)), (0.1, [-0.9, 0.9], (0.0, 0.7, 1.0))],
)
def test_a_curve_goes_on_to_where_the_next_annotations_should_lead(gain, interval, ends):
    project = {"outlook": {"gain": gain, "interval": interval}, "versions": [{"version": 1, "tasks": 200}]}
    expected = _expected(project, [(40, 0.3, "v0"), (160, 0.6, "v1")])
    if ends is None:
        assert expected is None
        return
    assert expected.examples == 240  # of the next hundred, a fifth is held out
    assert (expected.low, expected.value, expected.high) == pytest.approx(ends)


def test_the_figures_of_scores_say_what_a_threshold_would_keep_and_how_much_of_it_is_right():
    rows = _accepted([{"score": 0.4, "right": 0.25, "count": 4}, {"score": 0.9, "right": 1.0, "count": 6}])
    assert [(one["score"], one["share"], one["right_above"]) for one in rows] == [(0.4, 1.0, 0.7), (0.9, 0.6, 1.0)]
    assert _accepted([]) == []
