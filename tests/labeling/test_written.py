"""Predicted tasks as a table, which says what the JSON says, and is read again as what was predicted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from lsml.labeling import parse_labeling_config
from lsml.labeling.exports import read_export
from lsml.labeling.written import predictions_text
from tests.conftest import TOPICS, choice

CSV = Path("out.csv")
TASKS = [
    {"id": 7, "data": {"text": "refund, \"now\""},
     "predictions": [{"result": choice("Billing"), "score": 0.9, "model_version": "triage-v1"}]},
    {"data": {"text": "two\nlines"}, "predictions": []},
]  # fmt: skip


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_table_has_the_data_the_answer_the_score_and_the_version():
    assert rows(predictions_text(TASKS, CSV)) == [
        {"id": "7", "text": 'refund, "now"', "topic": "Billing", "score": "0.9", "model_version": "triage-v1"},
        {"id": "", "text": "two\nlines", "topic": "", "score": "", "model_version": ""},
    ]


def test_json_lines_have_a_task_each_and_any_other_name_is_json():
    lines = predictions_text(TASKS, Path("out.JSONL")).splitlines()
    assert [json.loads(line) for line in lines] == TASKS == json.loads(predictions_text(TASKS, Path("out.json")))


def test_what_a_table_says_is_read_again(tmp_path):
    """As annotations, which a person who corrected the table then has."""
    config = parse_labeling_config(
        """<View><Image name="image" value="$image"/><Rating name="stars" toName="image"/>
        <RectangleLabels name="box" toName="image"><Label value="car"/></RectangleLabels></View>"""
    )
    box = {"x": 1.5, "y": 2, "width": 3, "height": 4, "rotation": 0, "rectanglelabels": ["car"]}
    size = {"original_width": 100, "original_height": 50, "image_rotation": 0}
    result = [
        {"from_name": "stars", "to_name": "image", "type": "rating", "value": {"rating": 3}},
        {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": box, **size},
        {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": box | {"x": 50}, **size},
    ]
    task = {"data": {"image": "a.png"}, "predictions": [{"result": result, "score": 1.0, "model_version": "v"}]}
    path = tmp_path / "out.csv"
    path.write_text(predictions_text([task], path), encoding="utf-8")
    [read] = read_export(path, config).tasks
    assert read["annotations"][0]["result"] == result


def test_a_column_of_the_data_that_is_called_like_a_control_keeps_its_name():
    task = {**TASKS[0], "data": {"text": "refund", "topic": "theirs"}}
    [row] = rows(predictions_text([task], CSV))
    assert (row["topic"], row["topic_predicted"]) == ("theirs", "Billing")


def test_several_labels_and_data_that_is_no_text_are_json():
    region = {**choice("Billing")[0], "value": {"choices": ["Billing", "Bug"]}}
    task = {"data": {"text": ["a", "b"]}, "predictions": [{"result": [region]}]}
    [row] = rows(predictions_text([task], CSV))
    assert json.loads(row["text"]) == ["a", "b"]
    assert json.loads(row["topic"]) == [{"choices": ["Billing", "Bug"]}]
    assert parse_labeling_config(TOPICS).controls[0].name == "topic"
