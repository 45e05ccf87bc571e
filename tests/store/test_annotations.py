"""The last state of each annotation stands, whatever order its events come in and however often."""

import itertools
import json
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsml.errors import StoreError
from lsml.labeling.tasks import read_annotation
from lsml.recipe import LearnFrom
from lsml.store import AnnotationSeen, Store
from lsml.store.annotations import time_key

PROJECT = "1.1795424614"


def seen(id="1", task="1", label="A", at=1, **more):
    region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return AnnotationSeen(
        id=id, task_id=task, result=[region], updated_at=f"2026-11-23T09:00:{at:02d}.5Z",
        task_data={"text": f"text {task}"}, task_updated_at=f"2026-11-23T09:00:{at:02d}.5Z", **more,
    )  # fmt: skip


@pytest.fixture
def store(opened):
    store = opened()
    store.projects.touch(PROJECT)
    return store


def state(store):
    return {
        task.id: [(a.id, a.result[0]["value"]["choices"][0], a.ground_truth) for a in task.annotations]
        for task in store.annotations.tasks(PROJECT)
    }


def test_a_replayed_annotation_changes_nothing(store):
    assert store.annotations.apply(PROJECT, [seen()]) == 1
    assert store.annotations.apply(PROJECT, [seen()]) == 0
    assert store.annotations.counts(PROJECT) == (1, 1)


def test_an_older_state_that_comes_later_changes_nothing(store):
    store.annotations.apply(PROJECT, [seen(label="B", at=5)])
    assert store.annotations.apply(PROJECT, [seen(label="A", at=4)]) == 0
    assert state(store) == {"1": [("1", "B", False)]}


def test_times_compare_as_moments_whatever_their_zone():
    assert time_key("2026-11-23T10:00:00+02:00") < time_key("2026-11-23T09:00:00Z")
    assert time_key("2026-11-23T09:00:00Z") < time_key("2026-11-23T09:00:00.000001Z")
    assert time_key("not a time") == ""


def test_a_skipped_annotation_teaches_nothing_and_counts_as_a_change(store):
    store.annotations.apply(PROJECT, [seen(cancelled=True)])
    assert state(store) == {}
    assert store.annotations.counts(PROJECT) == (0, 1)


def test_a_deletion_that_comes_first_is_not_revived(store):
    store.annotations.delete(PROJECT, ["1"])
    assert store.annotations.apply(PROJECT, [seen()]) == 0
    assert state(store) == {}


def test_deleting_a_task_deletes_its_annotations_and_those_that_come_later(store):
    store.annotations.apply(PROJECT, [seen(id="1"), seen(id="2", task="2")])
    assert store.annotations.delete_tasks(PROJECT, ["1"]) == 1
    store.annotations.apply(PROJECT, [seen(id="3", task="1", at=9)])
    assert state(store) == {"2": [("2", "A", False)]}
    assert store.annotations.counts(PROJECT)[0] == 1


def test_annotations_that_label_studio_no_longer_has_are_deleted(store):
    store.annotations.apply(PROJECT, [seen(id="1"), seen(id="2")])
    store.annotations.replace_task(PROJECT, "1", [seen(id="2")])
    assert state(store) == {"1": [("2", "A", False)]}


def test_an_annotation_made_after_label_studio_was_read_stays(store):
    store.annotations.apply(PROJECT, [seen(id="1", at=1), seen(id="2", at=7)])
    store.annotations.replace_task(PROJECT, "1", [seen(id="3", at=3)])
    assert state(store) == {"1": [("3", "A", False), ("2", "A", False)]}


def test_a_whole_reading_buries_what_it_did_not_show_but_not_what_came_meanwhile(store):
    store.annotations.apply(PROJECT, [seen(id="1", task="1"), seen(id="2", task="2")])
    began = store.projects.get(PROJECT).change
    store.annotations.apply(PROJECT, [seen(id="3", task="3")])
    assert store.annotations.delete_unseen(PROJECT, {"2"}, began) == 1
    assert sorted(state(store)) == ["2", "3"]


EVENTS = [
    ("save", seen(id="1", label="A", at=1)),
    ("save", seen(id="1", label="B", at=2)),
    ("save", seen(id="1", label="C", at=2)),  # the same moment, another content
    ("save", seen(id="2", label="A", at=3, ground_truth=True)),
    ("save", seen(id="3", task="2", label="A", at=3)),
    ("delete", "3"),
    ("save", seen(id="4", task="3", label="B", at=1)),
    ("save", seen(id="4", task="3", label="B", at=4, cancelled=True)),
    ("save", seen(id="5", task="4", label="B", at=1)),
    ("delete task", "4"),
]


def play(store, events):
    for kind, what in events:
        if kind == "save":
            store.annotations.apply(PROJECT, [what])
        elif kind == "delete":
            store.annotations.delete(PROJECT, [what])
        else:
            store.annotations.delete_tasks(PROJECT, [what])
    return state(store), store.annotations.counts(PROJECT)[0]


_examples = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(EVENTS), replays=st.lists(st.sampled_from(EVENTS), max_size=6))
def test_any_order_with_any_replays_ends_in_the_same_state(opened, order, replays):
    example = next(_examples)
    expected_store = opened(f"in-order-{example}")
    expected_store.projects.touch(PROJECT)
    shuffled_store = opened(f"shuffled-{example}")
    shuffled_store.projects.touch(PROJECT)
    try:
        assert play(shuffled_store, [*order, *replays]) == play(expected_store, EVENTS)
    finally:
        expected_store.close()
        shuffled_store.close()


def test_what_was_stored_is_there_after_a_restart(opened):
    store = opened()
    store.projects.touch(PROJECT, labeling_config="<View/>", title="triage")
    store.annotations.apply(PROJECT, [seen()])
    store.close()
    again = opened()
    assert state(again) == {"1": [("1", "A", False)]}
    assert again.projects.get(PROJECT).labeling_config == "<View/>"


def test_an_older_labeling_config_does_not_replace_a_newer_one(store):
    store.projects.touch(PROJECT, labeling_config="<View>new</View>", config_at=20.0)
    store.projects.touch(PROJECT, labeling_config="<View>old</View>", config_at=10.0)
    assert store.projects.get(PROJECT).labeling_config == "<View>new</View>"


def test_a_token_shows_in_no_repr(store):
    store.projects.touch(PROJECT, hostname="http://localhost:8080", token="0123456789abcdef")
    assert "0123456789abcdef" not in repr(store.projects.get(PROJECT))


def test_a_data_directory_of_another_format_is_refused_with_a_sentence(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "lsml.db") as database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(StoreError) as error:
        Store(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'lsml.db'}: has format 99, and this lsml reads format 9; use the lsml that wrote it, "
        "or name another data directory with --data-dir"
    )


def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "lsml.db").write_text("this is not a database, it is prose, and long enough to be looked at" * 20)
    with pytest.raises(StoreError, match="the file is damaged: restore it from a backup, or move it away"):
        Store(tmp_path)


def test_the_files_of_the_store_are_for_their_owner_alone(tmp_path):
    Store(tmp_path / "data").close()
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data" / "lsml.db").stat().st_mode & 0o077 == 0


def test_results_are_stored_whole(store):
    result = [{"any": ["json", {"deep": None}], "emoji": "🤖", "lone": "\ud800"}]
    store.annotations.apply(PROJECT, [AnnotationSeen("9", "9", result, "", task_data={"text": "\ud800"})])
    (task,) = store.annotations.tasks(PROJECT)
    assert task.annotations[0].result == result
    assert json.dumps(task.data) == '{"text": "\\ud800"}'


def test_what_a_reading_did_not_show_comes_back_when_it_is_shown_again_but_what_was_deleted_does_not(store):
    store.annotations.apply(PROJECT, [seen(id="1", task="1"), seen(id="2", task="2")])
    store.annotations.delete_unseen(PROJECT, set(), store.projects.get(PROJECT).change)
    assert state(store) == {}
    store.annotations.delete(PROJECT, ["2"])
    assert store.annotations.apply(PROJECT, [seen(id="1", task="1"), seen(id="2", task="2")]) == 1
    assert sorted(state(store)) == ["1"]
    assert store.annotations.counts(PROJECT)[0] == 1


def test_a_state_that_comes_back_counts_from_its_last_time(store):
    for at in (1, 3, 2):
        store.annotations.apply(PROJECT, [seen(label="B" if at == 2 else "A", at=at)])
    assert state(store) == {"1": [("1", "A", False)]}


def test_annotators_are_kept_counted_and_told_later_where_nobody_told_them_before(store):
    store.annotations.apply(
        PROJECT, [seen("1", annotator="7 ann@example.com"), seen("2", "2"), seen("3", "3", annotator="8")]
    )
    assert store.annotations.apply(PROJECT, [seen("2", "2", annotator="7")]) == 0  # the same answer: no change
    told = {a.id: a.annotator for task in store.annotations.tasks(PROJECT) for a in task.annotations}
    assert told == {"1": "7 ann@example.com", "2": "7", "3": "8"}
    store.annotations.apply(PROJECT, [seen("4", "4", annotator="9", ground_truth=True, cancelled=True)])
    for learn_from, counts in (
        (LearnFrom(annotators=[7]), (2, 2)),
        (LearnFrom(annotators=["ann@example.com"]), (1, 1)),
        (LearnFrom(except_annotators=[7]), (1, 2)),
        (LearnFrom(ground_truth="only"), (0, 1)),
        (LearnFrom(), (3, 4)),
    ):
        assert store.annotations.counts(PROJECT, learn_from) == counts


def test_an_annotator_is_stored_by_number_without_the_address_that_comes_along():
    read = read_annotation({"id": 1, "result": [], "completed_by": {"id": 7, "email": "ann@example.com"}})
    assert AnnotationSeen.of(read, "1", {}, "").annotator == "7"
