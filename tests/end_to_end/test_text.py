"""A real Label Studio and a real `lsml run`: connect, annotate, learn, predict; with every kind of token and of guard."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx
import pytest

from lsml.store import Store
from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.timeout(240)]

EAGER = "training: {every: 10, quiet: 1s}\n"
ON_DEMAND = "training: {every: 1000, quiet: 1s}\n"  # only Start Training trains
TEXTS = 60


@dataclass(frozen=True)
class World:
    """A project of tickets in Label Studio, and the lsml that it is to be connected to."""

    studio: RealLabelStudio
    lsml: RunningBackend
    project: int
    tasks: tuple[int, ...]
    truth: dict[int, str]  # task -> label

    def connect(self, url: str | None = None, **fields: Any) -> int:
        """Paste lsml's address into Label Studio; the backend's id."""
        return self.studio.add_backend(self.project, url or self.lsml.address, **fields)

    def annotate(self, tasks: Sequence[int], control: str = "topic") -> list[int]:
        """Give tasks their right labels; the annotations' ids."""
        return [self.studio.annotate(task, choice(self.truth[task], control)) for task in tasks]

    def delete_all_annotations(self) -> None:
        """The Data Manager's action Delete Annotations, on all tasks: one webhook for all."""
        everything = {"project": self.project, "selectedItems": {"all": True, "excluded": []}}
        action = {"project": self.project, "id": "delete_tasks_annotations"}
        self.studio.call("POST", "/api/dm/actions/", params=action, json=everything)

    def status(self) -> dict[str, Any]:
        """What lsml says of the project."""
        return self.lsml.project(self.project)

    def learnt(self, annotations: int) -> dict[str, Any]:
        """`status` once lsml knows of so many annotations, all of them went into runs, and no run is open."""

        def probe() -> dict[str, Any] | None:
            status = self.status()
            open_runs = [run for run in status["runs"] if run["job_status"] in ("queued", "started")]
            known = status["annotations"] == annotations and status["runs"]
            return status if known and not open_runs and status["changes_since_last_run"] < 10 else None

        return until(f"{annotations} annotations are learnt", probe) or {}

    def predictions(self) -> dict[int, list[dict[str, Any]]]:
        """Retrieve Predictions on all tasks, and what is stored then, by task."""
        self.studio.retrieve_predictions(self.project)
        found = {task["id"]: task["predictions"] for task in self.studio.tasks(self.project)}
        for prediction in itertools.chain.from_iterable(found.values()):
            prediction.pop("created_ago", None)  # in minutes, so it changes by itself
        return found

    def settled_predictions(self) -> dict[int, list[dict[str, Any]]]:
        """`predictions` once each task has one, of what is served, and nothing is being published.

        What is retrieved while it is published stands there twice, until the publishing takes the one away.
        """

        def once() -> dict[int, list[dict[str, Any]]] | None:
            status = self.status()
            if (status["publishing"] or {}).get("job_status") != "finished":
                return None
            found = self.predictions()
            versions = [[one["model_version"] for one in predictions] for predictions in found.values()]
            return found if all(each == [status["model_version"]] for each in versions) else None

        return until("each task has one prediction", once) or {}

    def share_right(self, predictions: dict[int, list[dict[str, Any]]], tasks: Sequence[int]) -> float:
        labels = [predictions[task][-1]["result"][0]["value"]["choices"] for task in tasks]
        right = [label == [self.truth[task]] for label, task in zip(labels, tasks, strict=True)]
        return float(sum(right) / len(right))

    def stored(self) -> dict[str, tuple[str, bool]]:
        """What lsml would learn from: annotation -> (label, whether it is ground truth)."""
        store = Store(self.lsml.data)
        try:
            key = self.status()["project"]
            return {
                annotation.id: (annotation.result[0]["value"]["choices"][0], annotation.ground_truth)
                for task in store.annotations.tasks(key)
                for annotation in task.annotations
            }
        finally:
            store.close()

    def is_quiet(self) -> bool:
        """Whether lsml logged no failure: every answer that is a 5xx is an ERROR in its log."""
        return " ERROR " not in self.lsml.output and "Traceback" not in self.lsml.output


@pytest.fixture
def world(studio: RealLabelStudio, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """A function that makes a World; its lsml is stopped at the end."""
    with contextlib.ExitStack() as stack:

        def make(recipe: str = EAGER, sampling: str = "Sequential sampling", **backend: Any) -> World:
            path = write_recipe(tmp_path, recipe, config=None)
            lsml = stack.enter_context(RunningBackend(path, tmp_path / "data", **backend))
            project = studio.create_project("Tickets", TOPICS, sampling=sampling)
            pairs = tickets(TEXTS, seed=7)
            tasks = studio.import_tasks(project, [{"text": text} for text, _ in pairs])
            truth = {task: label for task, (_, label) in zip(tasks, pairs, strict=True)}
            return World(studio, lsml, project, tuple(tasks), truth)

        yield make


@contextlib.contextmanager
def without_legacy_tokens(studio: RealLabelStudio) -> Iterator[str]:
    """Legacy tokens are refused, and the test's own calls carry a personal access token, which this gives."""
    personal = studio.personal_access_token()
    access = httpx.post(f"{studio.url}/api/token/refresh/", json={"refresh": personal}, trust_env=False).json()[
        "access"
    ]
    studio.allow_tokens(legacy=False, personal=True)
    studio.client.headers["Authorization"] = f"Bearer {access}"
    try:
        assert studio.call("GET", "/api/current-user/whoami")
        yield personal
    finally:
        studio.allow_tokens(legacy=True, personal=True)
        studio.client.headers["Authorization"] = f"Token {LEGACY_TOKEN}"


def test_a_project_is_labelled_learnt_and_predicted_through_a_restart(world: Callable[..., World]) -> None:
    here = world()
    backend = here.connect()
    before = here.studio.get_backend(backend)
    assert (before["state"], before["error_message"]) == ("CO", None)
    assert before["model_version"].startswith("triage-v0-")
    assert not any(here.predictions().values())  # untrained: nothing is stored, nothing is an error

    here.annotate(here.tasks[:24])
    status = here.learnt(24)
    assert status["promoted"] == status["versions"][0]["version"] >= 1
    assert {run["cause"] for run in status["runs"]} == {"annotations"}
    served = here.studio.get_backend(backend)["model_version"]
    assert served == status["model_version"]
    assert served.startswith(f"triage-v{status['promoted']}-")

    stored = here.settled_predictions()
    status = here.status()
    assert {predictions[0]["model_version"] for predictions in stored.values()} == {served}
    assert all(0 < predictions[0]["score"] < 1 for predictions in stored.values())
    assert here.share_right(stored, here.tasks[24:]) >= 0.9
    assert here.predictions() == stored  # asked again: no duplicates, nothing changed

    held_back = {"tasks": [{"id": task["id"], "data": task["data"]} for task in here.studio.tasks(here.project)[24:]]}
    request = {**held_back, "project": status["project"], "label_config": TOPICS}
    answered = here.lsml.post("/predict", request)
    assert here.lsml.restart(SIGTERM) == 0
    assert here.studio.get_backend(backend)["model_version"] == served
    assert here.lsml.post("/predict", request) == answered
    assert here.predictions() == stored
    # The same runs and versions: nothing was trained again. It looks whether there is something to publish.
    publishing = {"publishing": None, "publishings": []}
    assert here.status() | publishing == status | publishing

    # It goes on learning where it was.
    here.annotate(here.tasks[24:44])
    after = here.learnt(44)
    assert len(after["versions"]) > len(status["versions"])
    assert here.is_quiet()


def test_start_training_makes_a_version_or_says_why_it_is_not_served(world: Callable[..., World]) -> None:
    here = world(ON_DEMAND)
    backend = here.connect()
    here.annotate(here.tasks[:1])
    here.studio.start_training(backend)
    refused = here.lsml.settled(here.project)["runs"][0]
    assert refused["job_status"] == "failed"
    assert refused["error"].startswith("not enough data: ")
    assert here.studio.get_backend(backend)["state"] == "CO"

    here.annotate(here.tasks[1:20])
    assert here.status()["runs"] == [refused]  # nothing trains by itself
    here.studio.start_training(backend)
    job = here.status()["runs"][0]["job"]
    until("the run is over", lambda: here.lsml.post("/job_status", {"job": job})["job_status"] == "finished")
    run = here.lsml.post("/job_status", {"job": job})
    assert (run["cause"], run["version"], run["progress"]) == ("start training", 1, 1.0)
    assert run["message"] == "v1: promoted: the first version"
    assert here.studio.get_backend(backend)["model_version"].startswith("triage-v1-")

    here.annotate(here.tasks[20:])
    here.studio.start_training(backend)
    status = here.learnt(TEXTS)
    newest = status["versions"][0]
    assert newest["version"] == 2
    if status["promoted"] == 2:
        assert newest["verdict"].startswith(("promoted: better than v1 on ", "promoted: not evaluated: "))
    else:
        assert newest["verdict"].startswith(
            ("not promoted: not better than v1 on ", "not promoted: not certainly better than v1 on ")
        )
    assert here.studio.get_backend(backend)["model_version"].startswith(f"triage-v{status['promoted']}-")
    assert here.is_quiet()


def test_webhooks_alone_suffice_where_no_token_works(world: Callable[..., World]) -> None:
    here = world()
    with without_legacy_tokens(here.studio):
        here.annotate(here.tasks[:5])
        backend = here.connect()  # /setup brings a legacy token, which Label Studio refuses
        until("the reading was refused", lambda: here.status()["reading_error"])
        assert "401" in here.status()["reading_error"]
        here.annotate(here.tasks[5:20])
        status = here.learnt(15)
        assert here.studio.get_backend(backend)["model_version"] == status["model_version"]
        assert here.share_right(here.predictions(), here.tasks[20:]) >= 0.8
    assert status["promoted"] is not None
    assert LEGACY_TOKEN not in here.lsml.output
    assert here.is_quiet()


def test_annotations_from_before_are_read_with_the_legacy_token_of_setup(world: Callable[..., World]) -> None:
    here = world()
    ids = here.annotate(here.tasks[:20])
    backend = here.connect()
    status = here.learnt(20)
    assert status["reading_error"] is None
    assert sorted(here.stored()) == sorted(map(str, ids))
    assert here.studio.get_backend(backend)["model_version"] == status["model_version"]
    assert here.share_right(here.predictions(), here.tasks[20:]) >= 0.8
    assert LEGACY_TOKEN not in here.lsml.output
    assert here.is_quiet()


def test_annotations_from_before_are_read_with_a_personal_access_token(
    world: Callable[..., World], studio: RealLabelStudio
) -> None:
    with without_legacy_tokens(studio) as token:
        here = world(environment={"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": token})
        here.annotate(here.tasks[:20])
        backend = here.connect()
        status = here.learnt(20)
        assert status["reading_error"] is None
        assert here.studio.get_backend(backend)["model_version"] == status["model_version"]
        assert here.share_right(here.predictions(), here.tasks[20:]) >= 0.8
    assert token not in here.lsml.output
    assert here.is_quiet()


def test_what_happens_to_an_annotation_in_label_studio_happens_in_lsml(world: Callable[..., World]) -> None:
    here = world(ON_DEMAND)
    backend = here.connect()
    ids = here.annotate(here.tasks[:12])
    here.studio.start_training(backend)
    status = here.learnt(12)
    assert (status["annotations"], status["changes_since_last_run"]) == (12, 0)
    expected = {str(id): (here.truth[task], False) for id, task in zip(ids, here.tasks, strict=False)}
    assert here.stored() == expected

    def become(what: str, annotations: int, changes: int) -> None:
        def probe() -> bool:
            status = here.status()
            counted = (status["annotations"], status["changes_since_last_run"]) == (annotations, changes)
            return counted and here.stored() == expected

        until(what, probe, 20)

    other = next(label for label in ("Billing", "Bug") if label != here.truth[here.tasks[0]])
    here.studio.update_annotation(ids[0], result=choice(other))
    expected[str(ids[0])] = (other, False)
    become("the update", 12, 1)
    here.studio.update_annotation(ids[1], ground_truth=True)
    expected[str(ids[1])] = (here.truth[here.tasks[1]], True)
    become("the ground truth", 12, 2)
    here.studio.annotate(here.tasks[30], [], was_cancelled=True)
    become("the skipped task", 12, 3)
    here.studio.delete_annotation(ids[2])
    del expected[str(ids[2])]
    become("the deletion", 11, 4)
    here.studio.delete_tasks(here.project, [here.tasks[3], here.tasks[4]])
    del expected[str(ids[3])], expected[str(ids[4])]
    become("the deletion of two tasks", 9, 6)

    # lsml was away, and Label Studio sends nothing twice: the next training reads what webhooks did not tell.
    here.lsml.stop()
    late = here.studio.annotate(here.tasks[20], choice(here.truth[here.tasks[20]]))
    here.lsml.start()
    here.studio.start_training(backend)
    expected[str(late)] = (here.truth[here.tasks[20]], False)
    until("the annotation that came meanwhile", lambda: here.stored() == expected)
    here.learnt(10)
    assert here.is_quiet()


GUARDS = {
    "a secret path": ("server: {secret_path: h7Zk2q}\n", "/h7Zk2q", None, {}),
    "a username and a password in the URL": (
        "server: {username: ann, password: w0rd-Kx}\n",
        "",
        ("ann", "w0rd-Kx"),
        {},
    ),
    "a secret path, and a username and a password in Label Studio's form": (
        "server: {username: ann, password: w0rd-Kx, secret_path: h7Zk2q}\n",
        "/h7Zk2q",
        ("ann", "w0rd-Kx"),
        {"basic_auth_user": "ann", "basic_auth_pass": "w0rd-Kx"},
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_no_webhook_is_lost_behind(guard: str, world: Callable[..., World]) -> None:
    server, prefix, auth, form = GUARDS[guard]
    here = world(ON_DEMAND + server, prefix=prefix, auth=auth)
    userinfo = f"{auth[0]}:{auth[1]}@" if auth and not form else ""
    backend = here.connect(f"http://{userinfo}127.0.0.1:{here.lsml.port}{prefix}", **form)
    assert here.studio.get_backend(backend)["state"] == "CO"
    with httpx.Client(base_url=here.lsml.address, trust_env=False) as stranger:
        assert stranger.get("/health").status_code == 200
        assert stranger.get("/api/projects").status_code == (404 if prefix else 401)
        assert stranger.post("/webhook", json={}).status_code == (404 if prefix else 401)
    # Without a token that works, so that only webhooks can have brought the annotations.
    with without_legacy_tokens(here.studio):
        here.annotate(here.tasks[:10])
        until("all webhooks came through", lambda: here.status()["annotations"] == 10)
        here.studio.start_training(backend)
        status = here.learnt(10)
        assert [(run["cause"], run["version"]) for run in status["runs"]] == [("start training", 1)]
        assert any(here.predictions().values())
    assert here.studio.get_backend(backend)["model_version"] == status["model_version"]
    for secret in ("h7Zk2q", "w0rd-Kx"):
        assert secret not in here.lsml.output
    assert here.is_quiet()


def test_a_labeling_config_that_changes_is_a_clear_state(world: Callable[..., World]) -> None:
    here = world(ON_DEMAND)
    backend = here.connect()
    here.annotate(here.tasks[:12])
    here.studio.start_training(backend)
    first = here.learnt(12)
    served = first["model_version"]
    stored = here.settled_predictions()

    # A label is added: the version serves on, and its predictions are not stale.
    praise = TOPICS.replace('<Choice value="Bug"/>', '<Choice value="Bug"/><Choice value="Praise"/>')
    here.studio.patch_project(here.project, label_config=praise)
    assert here.studio.get_backend(backend)["model_version"] == served
    assert here.predictions() == stored
    status = here.status()
    assert (status["state"], status["warnings"]) == ("bound: Choices#topic -> text-classifier", [])

    # The control is renamed, which Label Studio allows once no annotation answers it.
    here.delete_all_annotations()
    until("all deletions are known", lambda: here.status()["annotations"] == 0)
    renamed = praise.replace('name="topic"', 'name="subject"')
    here.studio.patch_project(here.project, label_config=renamed)
    again = here.studio.get_backend(backend)
    assert again["state"] == "CO"
    assert again["model_version"] == here.status()["model_version"] != served
    assert here.predictions() == stored  # the renamed control is untrained: nothing is added
    status = here.status()
    assert status["state"] == "bound: Choices#subject -> text-classifier"
    assert status["warnings"] == ["subject:text-classifier: it is not in v1, so it starts untrained"]

    # It learns anew under its new name.
    here.annotate(here.tasks[:12], "subject")
    here.studio.start_training(backend)
    after = here.learnt(12)
    assert (first["promoted"], after["promoted"]) == (1, 2)
    assert here.status()["warnings"] == []
    predicted = here.settled_predictions()  # those of the first version are gone
    assert {predictions[-1]["result"][0]["from_name"] for predictions in predicted.values()} == {"subject"}
    assert {predictions[-1]["model_version"] for predictions in predicted.values()} == {after["model_version"]}

    # Nothing that the recipe binds is left: still connected, and the reason is there to read.
    other = '<View><Text name="text" value="$text"/><TextArea name="note" toName="text"/></View>'
    here.delete_all_annotations()
    here.studio.patch_project(here.project, label_config=other)
    assert here.studio.get_backend(backend)["state"] == "CO"
    assert here.predictions() == predicted
    assert here.status()["state"] == (
        "nothing is bound: `Choices` matches nothing in the labeling config, which has TextArea#note; TextArea#note: "
        "no key under `tags` matches it"
    )
    assert here.is_quiet()


def test_label_studio_serves_the_least_sure_tasks_first(world: Callable[..., World]) -> None:
    here = world(ON_DEMAND + "publish: false\n", sampling="Uncertainty sampling")
    backend = here.connect(title="lsml")
    here.annotate(here.tasks[:15])
    here.studio.start_training(backend)
    version = here.learnt(15)["model_version"]
    stored = here.predictions()
    shown = {task["id"]: task["predictions_score"] for task in here.studio.tasks(here.project)}
    assert set(shown.values()) == {None}  # the project's model version is the backend's title

    title = {"title": version, "url": here.lsml.address, "project": here.project}
    here.studio.call("PATCH", f"/api/ml/{backend}", json=title)
    assert here.studio.project(here.project)["model_version"] == version
    scores = {task: predictions[0]["score"] for task, predictions in stored.items()}
    shown = {task["id"]: task["predictions_score"] for task in here.studio.tasks(here.project)}
    assert shown == pytest.approx(scores)

    expected = sorted(scores[task] for task in here.tasks[15:])
    served = []
    for _ in range(4):
        task = here.studio.next_task(here.project)["id"]
        served.append(scores[task])
        here.annotate([task])
    assert served == expected[:4]
    assert here.is_quiet()
