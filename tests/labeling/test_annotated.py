"""Why no task of a file teaches anything, cause by cause."""

from __future__ import annotations

import pytest

from lsml.labeling import parse_labeling_config
from lsml.labeling.annotated import AnnotatedTasks, task_id
from tests.conftest import TOPICS, choice

CONFIG = parse_labeling_config(TOPICS)
BOXES = parse_labeling_config(
    '<View><Repeater on="$pages" indexFlag="{{i}}"><Image name="p_{{i}}" value="$pages[{{i}}]"/>'
    '<RectangleLabels name="b_{{i}}" toName="p_{{i}}"><Label value="car"/></RectangleLabels></Repeater></View>'
)
BOX = {"from_name": "b_3", "type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["lorry"]}}


def task(annotations: object = None, **more) -> dict:
    return {"id": 1, "data": {"text": "a"}, "annotations": annotations} | more


def said(*tasks: dict, config=CONFIG, **more) -> str:
    return AnnotatedTasks(tasks).why_none(config.controls, **more)


CAUSES = {
    "bare": (task(), "they are not annotated"),
    "another name": (
        task([{"result": choice("Bug", "sujet")}]),
        "its annotations are for `sujet`, which the labeling config",
    ),
    "skipped": (task([{"result": [], "was_cancelled": True}]), "1 annotation is skipped"),
    "drafts": (task([], drafts=[{"result": choice("Bug")}]), "1 task has only drafts; submit them in Label Studio"),
    "predictions": (
        task([], predictions=[{"result": choice("Bug")}]),
        "1 task has only predictions of a model",
    ),
    "no data": (task([{"result": choice("Bug")}], data=[]), "1 annotated task has no data"),
    "a name for a terminal": (task([{"result": choice("Bug", "\x1b[2J" + "x" * 90)}]), f"`{' [2J' + 'x' * 53}...`"),
    "empty": (task([{"result": []}]), "1 annotation is empty"),
    "no list": (task("Bug"), "task 1: `annotations` is not a list of objects"),
    "ids of annotations": (
        task([4, 5]),
        "task 1: an annotation is a number; expected an object with an id and a result",
    ),
    "no regions": (task([{"id": 3, "result": None}]), "task 1: annotation 3: result: expected a list of regions"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_its_own_sentence(cause):
    one, sentence = CAUSES[cause]
    text = said(one)
    assert text.startswith("none of its 1 task has an annotation for Choices#topic: ")
    assert sentence in text


def test_several_causes_are_named_together_and_counted():
    text = said(*[CAUSES["drafts"][0]] * 3, CAUSES["skipped"][0], CAUSES["skipped"][0], task(), task())
    assert (
        "none of its 7 tasks has an annotation for Choices#topic: 2 annotations are skipped; 3 tasks have only drafts"
        in text
    )


def test_what_could_not_be_understood_is_a_cause_too():
    right = task([{"result": choice("Bug")}])
    assert said(right, left_out=["1 label is unknown"]).endswith("for Choices#topic: 1 label is unknown")
    assert said(right).endswith("their annotations are for other controls")
    assert said() == "it has no tasks"


def test_copies_that_a_repeater_makes_have_the_name_of_their_control():
    assert "b_3" not in said(task([{"result": [BOX]}]), config=BOXES)
    assert "`b_x`" in said(task([{"result": [{**BOX, "from_name": "b_x"}]}]), config=BOXES)


def test_what_is_no_annotation_is_told_and_costs_only_itself():
    annotated = AnnotatedTasks([task([None, {"id": 2, "result": choice("Bug")}]), {"id": 2, "data": None}])
    [one] = annotated
    assert [annotation.id for annotation in one.annotations] == ["2"]
    assert annotated.malformed == ["task 1: an annotation is nothing; expected an object with an id and a result"]
    assert len(list(annotated)) == 1 and len(annotated.malformed) == 1


def test_predictions_stand_in_only_where_nobody_annotated_or_skipped():
    guess = [{"id": 9, "result": choice("Bug")}]
    tasks = [
        task(None, predictions=guess),
        task([{"id": 1, "result": choice("Billing")}], predictions=guess),
        task([{"id": 1, "result": [], "was_cancelled": True}], predictions=guess),
    ]
    assert len(list(AnnotatedTasks(tasks))) == 1
    learnt = [one.annotations[0].result for one in AnnotatedTasks(tasks, from_predictions=True)]
    assert learnt == [choice("Bug"), choice("Billing")]


@pytest.mark.parametrize("id", [None, "", {"odd": 1}, True])
def test_tasks_without_an_id_are_told_apart_by_their_data(id):
    ids = {task_id({"id": id, "data": {"text": text}}) for text in "abca"}
    assert len(ids) == 3 and all(one.startswith("data-") for one in ids)
    assert task_id({"id": 0, "data": {}}) == "0"


def test_work_that_is_left_out_beside_work_that_counts_is_named():
    tasks = [task([{"id": 1, "result": choice("Bug") + choice("Bug", "sujet")}, "x"]), task([{"result": [BOX]}])]
    annotated = AnnotatedTasks(tasks)
    assert len(list(annotated)) == 2
    assert annotated.unused(CONFIG.controls) == [
        "1 entry is not an annotation and left out; the first: task 1: an annotation is text; expected an object with "
        "an id and a result",
        "2 regions of `sujet`, `b_3` are left out: the labeling config has no such control; give the config of these "
        "annotations with --labeling-config",
    ]
    right = AnnotatedTasks([task([{"id": 1, "result": choice("Bug")}])])
    assert len(list(right)) == 1 and right.unused(CONFIG.controls) == []
