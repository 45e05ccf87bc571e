"""One rule reads annotations, whether they come in a file, by webhook or through Label Studio's API."""

from __future__ import annotations

import pytest

from lsml.errors import RequestError
from lsml.labeling import AnnotatedTask
from lsml.labeling.annotated import AnnotatedTasks
from lsml.labeling.tasks import read_annotation, time_key
from lsml.recipe import load_recipe
from lsml.server.events import read_event
from lsml.store import Store
from lsml.studio import connection
from lsml.studio.client import StudioProject
from lsml.studio.tasks import StudioTask
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, choice, write_recipe

DATA = {"text": "refund"}


def given(id: object, label: str = "Bug", **more) -> dict:
    return {"id": id, "result": choice(label), "updated_at": "2026-11-23T10:00:00Z", **more}


WAYS = {
    "plain": [given(1), given(2, "Billing")],
    "times decide, not the order": [given(2, updated_at="2026-11-23T12:00:00+02:00"), given(1, "Billing")],
    "ids of one moment count as people do": [given(10), given(9, "Billing"), given(100, "Question")],
    "only created": [{"id": 3, "result": choice("Bug"), "created_at": "2026-11-23T10:00:00.5Z"}, given(4)],
    "an update that is not a time": [given(5, updated_at="soon", created_at="2026-11-23T11:00:00Z"), given(6)],
    "skipped": [given(1, was_cancelled=True), given(2)],
    "skipped, as a number": [given(1, was_cancelled=1), given(2, was_cancelled=0)],
    "skipped, as old exports say it": [given(1, skipped=True), given(2)],
    "skipped without a result": [given(1, was_cancelled=True, result=None), given(2)],
    "ground truth": [given(1, ground_truth=True), given(2, ground_truth=False), given(3, ground_truth=1)],
    "ids as texts": [given("a"), given("b", "Billing")],
    "no list of regions": [given(1, result="none"), given(2)],
    "an empty answer": [given(1, result=[]), given(2, result=[])],
    "regions that are written otherwise": [
        given(
            1,
            result=[
                {
                    "from_name": "b",
                    "type": "rectanglelabels",
                    "value": {"x": "16", "y": 96, "width": 52.0, "height": -60, "rectanglelabels": ["A", "b"]},
                },
                {"type": None},
            ],
        ),
        given(
            2,
            result=[
                {
                    "from_name": "l",
                    "type": "labels",
                    "value": {"start": "0", "end": 4.0, "text": "\U0001f916", "labels": "A"},
                }
            ],
        ),
    ],
    "all skipped": [given(1, was_cancelled=True), given(2, was_cancelled=True)],
}


def by_file(annotations: list) -> list[AnnotatedTask]:
    return list(AnnotatedTasks([{"id": 7, "data": DATA, "annotations": annotations}]))


def by_webhook(store: Store, annotations: list) -> list[AnnotatedTask]:
    store.projects.touch(PROJECT_KEY)
    payload = {
        "action": "ANNOTATIONS_CREATED",
        "project": PROJECT,
        "task": {"id": 7, "data": DATA},
        "annotations": [{**one, "task": 7} for one in annotations],
    }
    store.annotations.apply(PROJECT_KEY, read_event(payload).saved)
    return list(store.annotations.tasks(PROJECT_KEY))


class FakeStudio:
    url = "http://studio.example"

    def __init__(self, annotations: list) -> None:
        self.task = StudioTask(7, DATA, "2026-11-23T12:00:00Z", tuple(annotations))

    def project(self, _project: int) -> StudioProject:
        return StudioProject("triage", TOPICS, int(PROJECT_KEY.partition(".")[2]), 1)

    def annotated_tasks(self, _project: int, since: str | None = None):
        yield self.task


def by_api(monkeypatch, recipe, store: Store, annotations: list) -> list[AnnotatedTask]:
    monkeypatch.setattr(connection, "studio_of", lambda *_: FakeStudio(annotations))
    store.projects.touch(PROJECT_KEY, studio_id=1)
    connection.read_annotations(store, recipe, store.projects.find(PROJECT_KEY))
    return list(store.annotations.tasks(PROJECT_KEY))


@pytest.mark.parametrize("which", WAYS)
def test_the_same_annotations_are_the_same_by_file_by_webhook_and_through_the_api(monkeypatch, tmp_path, which):
    recipe = load_recipe(write_recipe(tmp_path))
    in_file = by_file(WAYS[which])
    stores = [Store(tmp_path / name) for name in ("webhook", "api")]
    try:
        assert by_webhook(stores[0], WAYS[which]) == in_file
        assert by_api(monkeypatch, recipe, stores[1], WAYS[which]) == in_file
    finally:
        for store in stores:
            store.close()
    assert bool(in_file) == (which != "all skipped")


@pytest.mark.parametrize("id", [None, "", True, 1.5, {"odd": 1}, "x" * 101])
def test_what_can_name_nothing_is_no_id(id):
    assert read_annotation({"id": id, "result": []}).id is None


@pytest.mark.parametrize("what", [None, 7, "text", [], {"id": 1}, {"id": 1, "result": {"value": 1}}])
def test_what_is_no_annotation_is_refused_in_a_sentence(what):
    with pytest.raises(RequestError, match=r"expected (an object with an id and a result|a list of regions)$"):
        read_annotation(what)


def test_old_exports_count_seconds_and_sort_with_the_others():
    assert time_key(1_600_000_000) == "2020-09-13T12:26:40.000000Z"
    assert time_key(1e20) == time_key(True) == time_key(None) == time_key([]) == ""
