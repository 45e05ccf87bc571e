"""The harness around a real Label Studio does what tests ask of it, and shows what Label Studio says to a backend."""

from __future__ import annotations

import json
from datetime import datetime

import psutil
import pytest

from tests.support.label_studio import RealLabelStudio, StudioFailed
from tests.support.web import Answer, Asked, Web

pytestmark = pytest.mark.studio

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="topic" toName="text"><Choice value="Billing"/><Choice value="Bug"/></Choices>
</View>
"""
BILLING = [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": ["Billing"]}}]


def backend(asked: Asked) -> Answer:
    """A backend that answers Billing to everything."""
    said: object = {}
    if asked.path == "/setup":
        said = {"model_version": "one"}
    elif asked.path == "/predict":
        tasks = json.loads(asked.body)["tasks"]
        said = {"results": [{"result": BILLING, "score": 0.5, "model_version": "one"} for _ in tasks]}
    return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})


def bodies(web: Web, path: str) -> list[dict[str, object]]:
    return [json.loads(asked.body) for asked in web.asked if asked.path == path]


def test_a_backend_is_connected_asked_and_told(studio: RealLabelStudio) -> None:
    project = studio.create_project("Tickets", CONFIG)
    tasks = studio.import_tasks(project, [{"text": "one"}, {"data": {"text": "two"}}, {"text": "three"}])
    with Web(backend) as web:
        connected = studio.add_backend(
            project,
            web.url,
            extra_params={"a": 1},
            basic_auth_user="lsml",
            basic_auth_pass="word",
            is_interactive=True,
        )
        assert studio.get_backend(connected)["state"] == "CO"
        assert studio.webhooks(project)[0]["url"] == f"{web.url}/webhook"
        setup = bodies(web, "/setup")[0]
        created = datetime.fromisoformat(studio.project(project)["created_at"])
        assert setup["project"] == f"{project}.{int(created.timestamp())}"  # cut off, not rounded
        assert setup["extra_params"] == {"a": 1}
        assert (
            next(asked for asked in web.asked if asked.path == "/setup").headers["authorization"].startswith("Basic ")
        )

        studio.retrieve_predictions(project, tasks[:2])
        assert [len(studio.predictions(task)) for task in tasks] == [1, 1, 0]
        studio.retrieve_predictions(project)
        assert [studio.predictions(task)[0]["model_version"] for task in tasks] == ["one"] * 3
        assert studio.interactive(connected, tasks[0], {"result": []})["data"]["result"] == BILLING

        studio.start_training(connected)
        annotation = studio.annotate(tasks[0], BILLING)
        studio.annotate(tasks[1], [], was_cancelled=True)
        studio.update_annotation(annotation, ground_truth=True)
        assert studio.annotation(annotation)["ground_truth"] is True
        assert studio.next_task(project)["id"] == tasks[2]
        studio.delete_annotation(annotation)
        studio.patch_project(project, title="Tickets again")
        studio.delete_tasks(project, [tasks[2]])
        actions = [body["action"] for body in bodies(web, "/webhook")]
    assert actions == [
        "START_TRAINING",
        "ANNOTATION_CREATED",
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_DELETED",
        "PROJECT_UPDATED",
        "TASKS_DELETED",
    ]
    assert [task["id"] for task in studio.export(project)] == tasks[:2]
    assert studio.task(tasks[0])["data"] == {"text": "one"}


def test_a_refused_call_carries_label_studios_own_words(studio: RealLabelStudio) -> None:
    with pytest.raises(StudioFailed, match=r"^POST /api/projects/: 400 .*at least 3 characters"):
        studio.create_project("T", CONFIG)


def test_it_starts_again_on_its_data_and_leaves_no_process() -> None:
    with RealLabelStudio() as running:
        project = running.create_project("Kept", CONFIG)
        running.stop()
        running.start()
        assert running.project(project)["title"] == "Kept"
        assert running._process is not None
        leader = psutil.Process(running._process.pid)
        family = [leader, *leader.children(recursive=True)]
    assert not any(process.is_running() for process in family)
    assert not running.home.exists()
