"""Each limit of the recipe is enforced, with a sentence, and costs nobody else anything."""

import shutil
import time

import pytest

from lsml.adapters.text.classifier import TextClassifier
from lsml.errors import RecipeError, StoreError
from lsml.prediction import LATE, Outcome
from lsml.recipe import load_recipe
from lsml.server import predicting
from lsml.server.arrivals import BUSY
from lsml.studio.client import StudioProject
from lsml.studio.connection import read_annotations
from lsml.studio.tasks import StudioTask
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, choice, event, tickets, write_recipe
from tests.support.backend import RunningBackend

JSON = {"Content-Type": "application/json"}


def limits(text):
    return f"server: {{limits: {{{text}}}}}\n"


def test_the_defaults_are_sane(backend):
    found = backend().recipe.server.limits
    assert (found.body_bytes, found.tasks, found.time_s, found.text) == (100_000_000, 10_000, 60, 1_000_000)
    assert (found.labels, found.annotations, found.free_disk_bytes) == (20_000, 1_000_000, 100_000_000)
    assert found.waiting == 64
    assert backend().recipe.server.cache_bytes == 64_000_000


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0.0), ("250ms", 0.25), ("2", 2.0)])
def test_the_longest_wait_for_others_is_a_duration(backend, text, seconds):
    assert backend(f"server: {{gather: {text}}}\n").recipe.server.gather_s == seconds


def test_the_cache_can_be_off(backend):
    server = backend("server: {cache: 0}\n")
    server.annotate(tickets(40))
    server.train()
    asked = {"project": PROJECT_KEY, "label_config": TOPICS}
    assert server.predict("refund my invoice", **asked) == server.predict("refund my invoice", **asked)
    assert "lsml_cache_total{" not in server.client.get("/metrics").text


@pytest.mark.parametrize(("text", "size"), [("5000", 5000), ("500kB", 500_000), ("2GB", 2_000_000_000)])
def test_a_size_is_a_number_of_bytes_or_a_text(backend, text, size):
    assert backend(limits(f"body: {text}")).recipe.server.limits.body_bytes == size


@pytest.mark.parametrize("text", ["body: 100", "body: 0MB", "body: 1TB", "free_disk: -1", "body: many"])
def test_a_size_that_is_none_is_refused(tmp_path, text):
    with pytest.raises(RecipeError) as raised:
        load_recipe(write_recipe(tmp_path, limits(text)))
    assert "expected a size such as 500kB, 100MB or 2GB, or a number of bytes" in str(raised.value)


def test_a_larger_body_is_refused(backend):
    server = backend(limits("body: 1kB"))
    answer = server.post("/predict", {"tasks": [{"data": {"text": "a" * 1000}}]})
    assert answer.status_code == 413
    assert answer.json == {
        "error": "the request is larger than 1,000 bytes (server.limits.body of the recipe); select fewer tasks"
    }


def test_the_server_itself_reads_no_more_than_the_largest_body(tmp_path):
    with RunningBackend(write_recipe(tmp_path, limits("body: 1kB")), tmp_path / "data") as running:
        answers = [
            running.client.post("/predict", content=b"{" + b" " * (size - 2) + b"}", headers=JSON).status_code
            for size in (1000, 1001)
        ]
    assert answers == [400, 413]  # the first was read, and has no tasks


def test_more_tasks_are_refused(backend):
    server = backend(limits("tasks: 2"))
    answer = server.post("/predict", {"tasks": [{"data": {"text": "a"}}] * 3})
    assert (answer.status_code, answer.json["error"]) == (
        413, "tasks: expected at most 2, got 3; select fewer tasks",
    )  # fmt: skip
    assert len(server.predict("a", "b")) == 2


def test_a_longer_text_costs_its_task_alone_and_is_counted(backend, caplog):
    server = backend(limits("text: 200"))
    server.annotate(tickets(40))
    server.train()
    long, good = server.predict("refund " * 30, "refund my invoice", project=PROJECT_KEY, label_config=TOPICS)
    assert long == []
    assert good["result"]
    assert "too long, 1 time in 2 tasks; task 0: its text has more than 200 characters" in caplog.text
    assert 'lsml_dropped_total{reason="too long"} 1.0' in server.client.get("/metrics").text


TOO_MANY_LABELS = (
    "labeling config: 3 labels; expected at most 2 (server.limits.labels of the recipe): "
    'keep long lists of labels in the tasks and write value="$field"'
)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/setup", {"project": PROJECT_KEY, "schema": TOPICS}),
        ("/predict", {"project": PROJECT_KEY, "label_config": TOPICS, "tasks": []}),
        ("/predict", {"label_config": TOPICS, "tasks": []}),
        ("/validate", {"config": TOPICS}),
    ],
)
def test_a_config_with_more_labels_is_refused_and_not_stored(backend, path, body):
    server = backend(limits("labels: 2"), config=None)
    answer = server.post(path, body)
    assert (answer.status_code, answer.json) == (400, {"error": TOO_MANY_LABELS})
    assert server.store.projects.all() == []


def test_a_webhook_whose_config_has_more_labels_still_stores_its_annotation(backend):
    server = backend(limits("labels: 2"), config=None)
    answer = server.post("/webhook", event(1, "refund", "Bug"))
    assert (answer.status_code, answer.json["changed"]) == (200, 1)
    assert server.store.projects.get(PROJECT_KEY).labeling_config is None


def test_annotations_beyond_the_limit_are_refused_while_changes_and_deletions_pass(backend, caplog):
    server = backend(limits("annotations: 2"))
    server.annotate(tickets(2))
    sentence = (
        f"project {PROJECT_KEY}: with this it would have more than 2 annotations (server.limits.annotations of the "
        "recipe), so it is not stored; raise the limit and restart lsml"
    )
    answer = server.post("/webhook", event(3, "refund", "Bug"))
    assert (answer.status_code, answer.json) == (507, {"error": sentence})
    assert sentence in caplog.text
    assert server.store.annotations.counts(PROJECT_KEY) == (2, 2)
    changed = server.post("/webhook", event(1, "refund", "Question", "ANNOTATION_UPDATED", at=9))
    assert (changed.status_code, changed.json["changed"]) == (200, 1)
    deleted = server.post("/webhook", {"action": "ANNOTATIONS_DELETED", "project": PROJECT, "annotations": [{"id": 1}]})
    assert (deleted.status_code, deleted.json["changed"]) == (200, 1)


class LabelStudioWith:
    """A Label Studio that shows these tasks, each with one annotation."""

    url = "http://studio"

    def __init__(self, numbers):
        self.numbers = numbers

    def project(self, _project):
        return StudioProject("triage", TOPICS, int(PROJECT_KEY.partition(".")[2]), len(self.numbers))

    def annotated_tasks(self, _project, since=None):
        stamp = "2026-11-23T11:00:00Z"  # after what the webhooks told
        for number in self.numbers:
            annotation = {"id": number, "result": choice("Bug"), "updated_at": stamp}
            yield StudioTask(number, {"text": f"ticket {number}"}, stamp, (annotation,))


def read(server, monkeypatch, numbers):
    monkeypatch.setattr("lsml.studio.connection.studio_of", lambda _recipe, _project: LabelStudioWith(numbers))
    return read_annotations(server.store, server.recipe, server.store.projects.get(PROJECT_KEY))


def test_annotations_beyond_the_limit_are_not_read_from_label_studio_either(backend, caplog, monkeypatch):
    server = backend(limits("annotations: 3"))
    server.annotate(tickets(2))
    assert read(server, monkeypatch, range(1, 7)) == 2  # 1 is another now, 2 is the same, 3 fits
    stored = [task.id for task in server.store.annotations.tasks(PROJECT_KEY)]
    assert stored == ["1", "2", "3"]
    sentence = (
        "3 tasks of Label Studio are left out, because their annotations exceed the limit of 3 "
        "(server.limits.annotations of the recipe); raise the limit and restart lsml"
    )
    assert server.store.projects.get(PROJECT_KEY).sync_error == sentence
    assert sentence in caplog.text
    assert read(server, monkeypatch, range(1, 4)) == 0
    assert server.store.projects.get(PROJECT_KEY).sync_error is None


def test_a_reading_from_the_start_that_is_asked_for_during_a_reading_is_still_to_come(backend, monkeypatch):
    server = backend("")
    projects = server.store.projects

    def numbers():
        yield 1
        projects.want_syncs_from_start([PROJECT_KEY])  # as another worker that starts

    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    assert read(server, monkeypatch, (1,)) == 1
    assert projects.get(PROJECT_KEY).synced_to == "2026-11-23T11:00:00Z"
    monkeypatch.setattr(LabelStudioWith, "project", lambda *_: StudioProject("triage", TOPICS, 1795424614, 1))
    assert read(server, monkeypatch, numbers()) == 0
    row = projects.get(PROJECT_KEY)
    assert (row.sync_wanted, row.synced_to) == (True, None)


def test_a_project_without_tasks_is_read_without_alarm_and_again_when_tasks_come(backend, caplog, monkeypatch):
    server = backend("")
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    assert read(server, monkeypatch, ()) == 0
    row = server.store.projects.get(PROJECT_KEY)
    assert (row.sync_wanted, row.sync_error, row.synced_to) == (False, None, None)
    assert "could not be read" not in caplog.text
    server.post("/webhook", {"action": "TASKS_CREATED", "project": PROJECT, "tasks": [{"id": 1}]})
    assert server.store.projects.get(PROJECT_KEY).sync_wanted
    assert read(server, monkeypatch, (1,)) == 1


def test_a_disk_that_is_nearly_full_takes_nothing_from_label_studio(backend, monkeypatch):
    server = backend()
    server.annotate(tickets(2))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    assert read(server, monkeypatch, range(1, 7)) == 0
    assert "(server.limits.free_disk of the recipe); make room" in server.store.projects.get(PROJECT_KEY).sync_error


@pytest.fixture
def full_disk(monkeypatch):
    """A disk with a megabyte left: the only thing here that is not real."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))


def test_a_disk_that_is_nearly_full_takes_no_annotation(backend, full_disk):
    server = backend()
    answer = server.post("/webhook", event(1, "refund", "Bug"))
    assert (answer.status_code, answer.json["error"]) == (
        507,
        f"{server.store.directory}: 1 MB are free on its disk; expected at least 100 MB (server.limits.free_disk of "
        "the recipe); make room",
    )
    assert server.store.projects.all() == []
    assert server.predict("refund") == [[]]


def test_a_disk_that_is_nearly_full_fails_a_training_with_a_sentence(backend, full_disk, monkeypatch):
    server = backend()
    with monkeypatch.context() as real:
        real.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 0, 10**9))
        server.annotate(tickets(40))
    ended = server.train()
    assert ended["job_status"] == "failed"
    assert ended["error"].endswith("(server.limits.free_disk of the recipe); make room")
    assert server.store.versions.of_project(PROJECT_KEY) == []


def test_a_request_that_takes_too_long_answers_the_tasks_that_had_their_turn(backend, monkeypatch):
    """Label Studio gives up on a whole request, and would lose every prediction of it."""
    server = backend(limits("time: 1s"))
    server.annotate(tickets(40))
    server.train()
    server.predict("refund", project=PROJECT_KEY, label_config=TOPICS)
    server.store.projects.touch(PROJECT_KEY, hostname="http://127.0.0.1:9", token="0123")
    server.store.runs.request(PROJECT_KEY, "publishing", kind="publishing")  # which meets earlier wishes
    predict, turns = TextClassifier.predict, []

    def slowly(self, batch):
        turns.append(len(batch))
        time.sleep(0.01 * len(batch))
        return predict(self, batch)

    monkeypatch.setattr(TextClassifier, "predict", slowly)
    asked = {"tasks": [{"id": number, "data": {"text": f"refund my invoice {number}"}} for number in range(400)]}
    answer = server.post("/predict", {**asked, "project": PROJECT_KEY, "label_config": TOPICS}).json
    results = answer["results"]
    predicted = sum(bool(result) for result in results)
    assert len(results) == 400
    assert 64 <= turns[0] <= predicted < 400
    assert all(results[:predicted]) and not any(results[predicted:])
    metrics = server.client.get("/metrics").text
    assert f'lsml_dropped_total{{reason="out of time"}} {400 - predicted}.0' in metrics
    assert answer["why_not"][1:] == [LATER]
    assert server.store.projects.get(PROJECT_KEY).publish_wanted


LATER = "the worker predicts the tasks that there was no time for, and publishes them to Label Studio"


@pytest.mark.parametrize("without", ["a token", "publishing", "a project"])
def test_what_there_was_no_time_for_is_only_promised_where_it_can_be_published(backend, monkeypatch, without):
    server = backend("publish: false\n" if without == "publishing" else "")
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    if without != "a token":
        server.store.projects.touch(PROJECT_KEY, hostname="http://127.0.0.1:9", token="0123")
    server.store.runs.request(PROJECT_KEY, "publishing", kind="publishing")
    monkeypatch.setattr(predicting, "predict_in_time", lambda *_, **__: [Outcome(dropped=[(LATE, "late")])])
    asked = {"tasks": [{"data": {"text": "a"}}]}
    if without != "a project":
        asked["project"] = PROJECT_KEY
    assert LATER not in server.post("/predict", asked).json["why_not"]
    assert not server.store.projects.get(PROJECT_KEY).publish_wanted


def test_what_there_was_no_time_for_costs_no_prediction_while_the_database_takes_no_writes(
    backend, monkeypatch, caplog
):
    server = backend()
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    server.store.projects.touch(PROJECT_KEY, hostname="http://127.0.0.1:9", token="0123")
    done = Outcome(prediction={"result": [], "model_version": "v"})
    monkeypatch.setattr(predicting, "predict_in_time", lambda *_, **__: [done, Outcome(dropped=[(LATE, "late")])])

    def refused(_project):
        raise StoreError("the disk is full")

    monkeypatch.setattr(server.store.projects, "want_publishing", refused)
    answer = server.post("/predict", {"tasks": [{"data": {"text": "a"}}] * 2, "project": PROJECT_KEY})
    assert answer.status_code == 200 and answer.json["results"][0]["model_version"] == "v"
    assert LATER not in answer.json["why_not"]
    assert "no time for are not published: the disk is full" in caplog.text


def test_a_prediction_that_comes_while_too_many_wait_is_refused_for_a_moment(backend):
    server = backend(limits("waiting: 3"))
    answer = server.client.post("/predict", json={"tasks": []}, environ_overrides={BUSY: True})
    assert (answer.status_code, answer.headers["Retry-After"], answer.json["error"]) == (
        503, "5", "3 requests wait (server.limits.waiting of the recipe); try again in a moment",
    )  # fmt: skip
    assert server.app.config["MAX_WAITING"] == 3


def test_only_a_request_to_a_version_of_unknown_speed_begins_with_few_tasks(backend, monkeypatch):
    server = backend("server: {cache: 0, limits: {time: 100000s}}\n")
    server.annotate(tickets(40))
    server.train()
    predict, turns = TextClassifier.predict, []

    def counted(self, batch):
        turns.append(len(batch))
        return predict(self, batch)

    monkeypatch.setattr(TextClassifier, "predict", counted)
    texts = [f"refund my invoice {number}" for number in range(100)]
    first, second = (server.predict(*texts, project=PROJECT_KEY, label_config=TOPICS) for _ in range(2))
    assert turns == [64, 36, 100]
    assert first == second
