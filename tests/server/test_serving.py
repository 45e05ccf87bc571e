"""Versions are loaded beside each other and swapped: nothing waits that need not, no request is dropped or mixed."""

import threading
import time
import weakref

import pytest

from lsml.errors import Unreachable
from lsml.server import serving
from lsml.server.serving import Serving
from lsml.versions import adopt
from tests.conftest import PROJECT_KEY, TOPICS, tickets
from tests.support.backend import until

ASK = {"tasks": [{"data": {"text": "refund my invoice"}}] * 3, "project": PROJECT_KEY, "label_config": TOPICS}
SETUP = {"project": PROJECT_KEY, "schema": TOPICS}


@pytest.fixture
def trained(backend):
    server = backend("training: {promote: always}\n")
    server.annotate(tickets(40))
    server.train()
    return server


def in_thread(function):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    return thread, answers


def test_health_and_setup_answer_while_a_model_loads(trained, monkeypatch):
    loading, go_on = threading.Event(), threading.Event()
    load = serving.load_version

    def slow(*arguments):
        loading.set()
        assert go_on.wait(30)
        return load(*arguments)

    monkeypatch.setattr(serving, "load_version", slow)
    thread, answers = in_thread(lambda: trained.app.test_client().post("/predict", json=ASK).json["results"])
    assert loading.wait(10)
    assert trained.client.get("/health").status_code == 200
    said = trained.post("/setup", SETUP).json["model_version"]
    assert not answers
    go_on.set()
    thread.join(30)
    assert {prediction["model_version"] for prediction in answers[0]} == {said}


def test_a_version_that_takes_too_long_to_load_is_served_under_the_old_one_meanwhile(trained, monkeypatch):
    (first, *_) = trained.post("/predict", ASK).json["results"]
    trained.train()
    go_on = threading.Event()
    load = serving.load_version
    monkeypatch.setattr(serving, "load_version", lambda *arguments: go_on.wait(30) and load(*arguments))
    monkeypatch.setattr("lsml.server.predicting._WAIT_S", 0.05)
    (meanwhile, *_) = trained.post("/predict", ASK).json["results"]
    assert meanwhile["model_version"] == first["model_version"]
    go_on.set()
    monkeypatch.setattr("lsml.server.predicting._WAIT_S", 30)
    (later, *_) = trained.post("/predict", ASK).json["results"]
    assert "-v2-" in later["model_version"]


def test_while_versions_swap_no_request_is_dropped_and_no_answer_mixes_two(trained):
    stop = threading.Event()
    seen, wrong = set(), []

    def ask():
        client = trained.app.test_client()
        while not stop.is_set():
            answer = client.post("/predict", json=ASK)
            if answer.status_code != 200:
                wrong.append(answer.text)
                continue
            versions = {prediction["model_version"] if prediction else None for prediction in answer.json["results"]}
            if len(versions) != 1:
                wrong.append(versions)
            seen.update(versions)
        trained.store.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        trained.train()
        number = trained.store.versions.promoted(PROJECT_KEY)
        deadline = time.monotonic() + 20
        while not any(f"-v{number}-" in version for version in seen) and time.monotonic() < deadline:
            time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert {version.split("-")[1] for version in seen} == {"v1", "v2", "v3", "v4", "v5"}


def test_it_predicts_while_the_database_takes_no_writes(trained, monkeypatch, caplog):
    def refused(*_arguments, **_more):
        raise Unreachable("it takes no writes")

    monkeypatch.setattr(trained.store.projects, "touch", refused)
    for _ in range(2):
        answer = trained.app.test_client().post("/predict", json=ASK)
        assert answer.status_code == 200
        assert answer.json["results"][0]["result"]
    assert f"project {PROJECT_KEY}: its labeling config is not stored: it takes no writes" in caplog.text


def test_a_database_that_is_away_at_the_start_is_a_sentence(trained, monkeypatch, caplog):
    def away():
        raise Unreachable("it does not answer")

    monkeypatch.setattr(trained.store.projects, "all", away)
    Serving(trained.recipe, trained.store).warm_up()
    until("it is said", lambda: "loaded ahead" in caplog.text, 60)
    assert caplog.messages[-1].endswith("the first request of each project waits: it does not answer")


def test_setup_loads_no_model(trained, monkeypatch):
    """It starts the load and leaves."""
    go_on = threading.Event()
    load = serving.load_version
    monkeypatch.setattr(serving, "load_version", lambda *arguments: go_on.wait(30) and load(*arguments))
    thread, answers = in_thread(lambda: trained.app.test_client().post("/setup", json=SETUP).json)
    thread.join(20)
    assert answers
    assert "-v1-" in answers[0]["model_version"]
    go_on.set()


def test_a_project_that_one_process_taught_is_served_by_another(trained):
    from tests.conftest import Backend

    other = Backend(trained.recipe_path, trained.store.directory)
    try:
        (prediction,) = other.predict("refund my invoice", project=PROJECT_KEY, label_config=TOPICS)
        assert "-v1-" in prediction["model_version"]
        trained.train()
        (prediction,) = other.predict("refund my invoice", project=PROJECT_KEY, label_config=TOPICS)
        assert "-v2-" in prediction["model_version"]
    finally:
        other.store.close()


def test_projects_that_serve_the_same_share_one_model_until_they_serve_something_else(trained):
    serving = trained.app.extensions["lsml"].serving
    (taught,) = trained.store.versions.of_project(PROJECT_KEY)
    keys = [f"{number}.{PROJECT_KEY.partition('.')[2]}" for number in (7, 8)]

    def model(key, config=TOPICS):
        (adapter,) = serving.served(key, serving.bindings.of(key, config), 30).loaded.adapters.values()
        return adapter

    for key in keys:
        trained.post("/setup", {"project": key, "schema": TOPICS})
    assert model(keys[0]) is model(keys[1]), "both know nothing yet"
    for key in keys:
        adopt(trained.store, key, taught)
    assert model(PROJECT_KEY).ready
    assert model(keys[0]) is model(keys[1]) is model(PROJECT_KEY)
    assert model(keys[0], TOPICS.replace('<Choice value="Bug"/>', "")) is not model(keys[0])
    alone = weakref.ref(model(PROJECT_KEY))
    trained.train()
    assert model(PROJECT_KEY) is not alone(), "it learnt"
    assert model(keys[0]) is alone(), "the others serve on what they had"
    for path in trained.store.artifacts.root.glob("*/*-adopted/*/model.skops"):
        content = path.read_bytes()
        path.unlink()  # all are links to one file
        path.write_bytes(content + b" ")
    fresh = Serving(trained.recipe, trained.store)
    assert fresh.served(PROJECT_KEY, fresh.bindings.of(PROJECT_KEY, TOPICS), 30).loaded.number == 2
    assert fresh.served(keys[0], fresh.bindings.of(keys[0], TOPICS), 30).loaded.number == 0, "its own files are damaged"


def test_a_new_version_does_not_answer_from_the_cache_of_the_old_one(trained):
    text = {**ASK, "tasks": ASK["tasks"][:1]}
    (before,) = trained.post("/predict", text).json["results"]
    (again,) = trained.post("/predict", text).json["results"]
    assert again == before
    trained.annotate([("refund my invoice", "Bug")] * 60, first_id=1000)
    trained.train()
    (after,) = trained.post("/predict", text).json["results"]
    assert "-v2-" in after["model_version"]
    assert [one["result"][0]["value"]["choices"] for one in (before, after)] == [["Billing"], ["Bug"]]
    asked = [line for line in trained.client.get("/metrics").text.splitlines() if line.startswith("lsml_cache_total")]
    assert asked == ['lsml_cache_total{found="miss"} 2.0', 'lsml_cache_total{found="hit"} 1.0']
