"""Files as people have them give the tasks that Label Studio's own JSON export gives."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from lsml.binding import Tally, bind
from lsml.errors import RequestError
from lsml.labeling import parse_labeling_config
from lsml.labeling.annotated import AnnotatedTasks
from lsml.labeling.exports import read_export
from lsml.labeling.rows import Named
from lsml.recipe import load_recipe
from tests.conftest import TOPICS, choice, write_recipe
from tests.support.fetching import no_fetch

CONFIG = parse_labeling_config(TOPICS)
PAIRS = [("refund now", "Billing"), ("it crashes, again", "Bug"), ('how "so"?', "Question")]
MANY = parse_labeling_config(
    """<View><Image name="image" value="$image"/>
    <RectangleLabels name="box" toName="image"><Label value="car"/></RectangleLabels>
    <Choices name="light" toName="image" choice="multiple"><Choice value="day"/><Choice value="fog"/></Choices>
    <Taxonomy name="kind" toName="image"><Choice value="road"><Choice value="lane"/></Choice></Taxonomy>
    <Rating name="stars" toName="image"/><Number name="cars" toName="image"/>
    <TextArea name="note" toName="image"/><DateTime name="when" toName="image"/></View>"""
)


def written(folder: Path, content: object, name: str = "export.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def table(rows: list, delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


def learnt(path: Path, config=CONFIG) -> list[tuple]:
    """(data, the regions of the latest annotation) of each task that is annotated."""
    return [(one.data, one.annotations[-1].result) for one in AnnotatedTasks(read_export(path, config).tasks)]


RIGHT = [({"text": text}, choice(label)) for text, label in PAIRS]
MIN = [
    {"id": i, "text": text, "topic": label, "annotator": 1, "annotation_id": i, "lead_time": 1.5}
    for i, (text, label) in enumerate(PAIRS, 1)
]
STORED = [
    {"id": i, "result": choice(label), "was_cancelled": False, "task": {"id": i, "data": {"text": text}, "meta": {}}}
    for i, (text, label) in enumerate(PAIRS, 1)
]
SHAPES = {
    "completions": [
        {"id": i, "data": {"text": text}, "completions": [{"id": i, "result": choice(label), "created_at": 1_600_000_000}]}
        for i, (text, label) in enumerate(PAIRS)
    ],
    "JSON-MIN": MIN,
    "JSON-MIN as lines": "\n".join(map(json.dumps, MIN)),
    "rows as JSON lines": "\n".join(json.dumps({"text": text, "topic": label}) for text, label in PAIRS),
    "rows with capitals": [{"text": text, "Topic": label} for text, label in PAIRS],
    "a target storage's annotations": STORED,
    "CSV": table([("text", "topic"), *PAIRS]),
    "CSV with a byte order mark": "\ufeff" + table([("text", "topic"), *PAIRS]),
    "CSV with semicolons": table([("topic", "text"), *(pair[::-1] for pair in PAIRS)], ";"),
    "TSV": table([("text", "topic"), *PAIRS], "\t"),
    "Label Studio's CSV": table([("annotation_id", "annotator", "id", "text", "topic"), *((i, 1, i, *p) for i, p in enumerate(PAIRS))]),
    "a table with other names": table([("review", "sort"), *PAIRS]),
    "a table that pandas wrote": table([("", "text", "topic"), *((i, *pair) for i, pair in enumerate(PAIRS))]),
    "a heading that ends in a comma": table([("text", "topic", ""), *((*pair, "") for pair in PAIRS)]),
    "a table with ids": table([("id", "text", "topic"), *((i, *pair) for i, pair in enumerate(PAIRS))]),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_teaches_what_the_plain_export_teaches(tmp_path, shape):
    expected = RIGHT
    if shape == "a table with other names":
        expected = [({"review": data["text"], **data}, result) for data, result in RIGHT]
    assert learnt(written(tmp_path, SHAPES[shape])) == expected


def test_a_folder_of_a_target_storage_is_read_file_by_file(tmp_path):
    folder = tmp_path / "storage" / "deep"
    folder.mkdir(parents=True)
    for one in STORED:
        written(folder, one, str(one["id"]))
    later = {**STORED[0], "id": 30, "result": choice("Bug"), "updated_at": "2030-01-01T00:00:00Z"}
    written(folder, later, "30")
    written(folder, "no JSON at all", ".hidden")
    found = learnt(tmp_path / "storage")
    assert sorted(found, key=str) == sorted([(RIGHT[0][0], choice("Bug")), *RIGHT[1:]], key=str)
    (tmp_path / "none").mkdir()
    with pytest.raises(RequestError, match="is a folder without tasks"):
        read_export(tmp_path / "none", CONFIG)


def test_what_was_understood_is_said(tmp_path):
    path = written(tmp_path, table([("review", "sort"), *PAIRS]), "t.csv")
    [note] = read_export(path, CONFIG).notes
    assert note == (
        f"{path}: read as CSV: column `review` is used for Text#text, guessed from what is left; column `sort` "
        "answers Choices#topic, guessed from its labels"
    )
    assert read_export(written(tmp_path, SHAPES["completions"]), CONFIG).notes == ()


def test_rows_of_one_task_are_annotations_of_it_and_an_annotation_without_regions_is_one(tmp_path):
    rows = [
        {"id": 1, "image": "a.png", "annotation_id": 5, "light": {"choices": ["day", "fog"]}, "updated_at": "2026-01-02T00:00:00Z"},
        {"id": 1, "image": "a.png", "annotation_id": 6, "light": "day", "updated_at": "2026-01-01T00:00:00Z"},
        {"id": 2, "image": "b.png", "annotation_id": 7},
    ]  # fmt: skip
    one, two = AnnotatedTasks(read_export(written(tmp_path, rows), MANY).tasks)
    assert [a.id for a in one.annotations] == ["6", "5"] and one.data == {"image": "a.png"}
    assert one.annotations[1].result[0]["value"] == {"choices": ["day", "fog"]}
    assert [a.result for a in two.annotations] == [[]]


CELLS = {
    "box": ([{"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["car"], "original_width": 9}],
            {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["car"]}),
    "light": ({"choices": ["day", "fog"]}, {"choices": ["day", "fog"]}),
    "kind": ([{"taxonomy": [["road", "lane"]]}], {"taxonomy": [["road", "lane"]]}),
    "stars": ([{"rating": 4}], {"rating": 4}),
    "cars": (3, {"number": 3}),
    "note": ("dark", {"text": ["dark"]}),
    "when": ("2026-01-01", {"datetime": "2026-01-01"}),
}  # fmt: skip


@pytest.mark.parametrize("control", CELLS)
@pytest.mark.parametrize("as_table", [False, True])
def test_a_cell_of_any_control_becomes_its_region(tmp_path, control, as_table):
    cell, value = CELLS[control]
    if as_table:
        text = cell if isinstance(cell, str) else json.dumps(cell)
        path = written(tmp_path, table([("id", "image", "annotation_id", control), (1, "a.png", 2, text)]), "t.csv")
    else:
        path = written(tmp_path, [{"id": 1, "image": "a.png", "annotation_id": 2, control: cell}])
    [(data, [region])] = learnt(path, MANY)
    assert data == {"image": "a.png"}
    assert (region["from_name"], region["to_name"], region["value"]) == (control, "image", value)
    assert region["type"] == next(tag for tag in MANY.controls if tag.name == control).tag.lower()
    assert region.get("original_width") == (9 if control == "box" else None)


def test_a_cell_with_several_choices_is_split_where_several_may_hold(tmp_path):
    [(_, [region])] = learnt(written(tmp_path, table([("image", "light"), ("a.png", "day, fog")]), "t.csv"), MANY)
    assert region["value"] == {"choices": ["day", "fog"]}


def test_cells_that_are_no_answer_are_counted_and_an_empty_one_is_none(tmp_path):
    rows = [("image", "cars"), ("a.png", "3"), ("b.png", "many"), ("c.png", "")]
    export = read_export(written(tmp_path, table(rows), "t.csv"), MANY)
    assert len(list(AnnotatedTasks(export.tasks))) == 1 and len(export.tasks) == 3
    assert export.notes[1].endswith(
        "1 cells of column `cars` cannot be read and are treated as empty; column `cars`, row 2: not an answer of "
        "Number#cars"
    )  # fmt: skip


REFUSED = {
    "no column answers": (
        table([("text", "mood"), ("a", "x"), ("b", "y")]),
        "no column has the labels of Choices#topic; it has text, mood; give a column the control's name",
    ),
    "JSON-MIN of another config": (
        [{"id": 1, "text": "a", "sujet": "x", "annotation_id": 3}],
        "no column has the labels of Choices#topic; it has id, text, sujet, annotation_id",
    ),
    "nothing to show": (
        table([("a", "b", "topic"), ("x", "y", "Bug")]),
        "no column is `text`, which the labeling config",
    ),
    "no heading": (
        table(PAIRS),
        "the first line seems to be a task; add a header with the column names",
    ),
    "cells under no name": (
        table([("text", "topic", ""), ("a", "Bug", "x")]),
        "give each column a different name",
    ),
    "one name twice": (table([("text", "text"), ("a", "b")]), "give each column a different name"),
    "an unquoted comma": ("text,topic\nwell, yes,Bug\n", "a line has more cells than the header"),
    "no data": ([{"id": 1, "annotations": []}], "task 1 has `annotations` and no `data`"),
    "a key that occurs twice": (
        '[{"id": 1, "data": {"text": "a"}, "data": {"text": "b"}}]',
        "the key 'data' occurs twice in one object, which is ambiguous",
    ),
    "a line that is no JSON": ('{"text": "a"}\n\n{"text": "b"}\n{"text"', "line 4, column 8: Expecting ':' delimiter"),
    "an object that is cut off": ('{\n "tasks": [\n', "is not JSON: Expecting value"),
    "an annotation without its task": (
        [{"id": 1, "task": 4, "result": []}],
        "entry 1 is an annotation without its task's data",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_told_is_refused_with_what_to_do(tmp_path, what):
    content, sentence = REFUSED[what]
    path = written(tmp_path, content, "t.csv")
    with pytest.raises(RequestError) as refusal:
        read_export(path, CONFIG)
    assert str(refusal.value).startswith(f"{path}: ") and sentence in str(refusal.value)


def test_a_task_costs_only_itself_where_its_data_is_no_object_or_a_text_no_unicode(tmp_path):
    def task(id: int, data: object, label: str = "Bug") -> dict:
        return {"id": id, "data": data, "annotations": [{"id": id, "result": choice(label)}]}

    path = written(
        tmp_path,
        [
            task(1, "some text"),
            task(2, None),
            task(3, {"text": "a \ud83d", "size": 2**80}),
            task(4, {"text": "b"}, "\udc00"),
            task(5, {"text": "🐞", "size": 2**80}),
        ],
    )
    export = read_export(path, CONFIG)
    annotated = AnnotatedTasks(export.tasks)
    assert [one.id for one in annotated] == ["5"]
    assert export.notes == (
        f"{path}: 2 tasks are left out: a text holds half of a surrogate pair (\\ud800 to \\udfff), which is not a "
        "character; correct it in the file; the first: task 3.data.text",
    )
    assert annotated.unused(CONFIG.controls) == [
        "2 annotated tasks are left out: the data is no object with the task's fields; the first: task 1"
    ]


def test_a_task_that_repeats_counts_once_the_later_wins_and_it_is_said(tmp_path):
    def task(label: str, **id) -> dict:
        return {**id, "data": {"text": "a"}, "annotations": [{"id": 1, "result": choice(label)}]}

    path = written(
        tmp_path, [task("Bug", id=1), task("Billing", id=2), task("Question", id=1), task("Bug"), task("Bug", id=None)]
    )
    export = read_export(path, CONFIG)
    assert [one.annotations[0].result for one in AnnotatedTasks(export.tasks)] == [
        choice("Question"), choice("Billing"), choice("Bug")
    ]  # fmt: skip
    assert export.notes == (f"{path}: 2 of its 5 tasks are duplicates, first task 1; of each, the last one counts",)
    assert len(read_export(path, CONFIG, answers=False).tasks) == 5


def test_what_cannot_be_understood_of_a_copy_that_a_later_one_replaces_is_counted(tmp_path):
    def task(label: str) -> dict:
        return {"id": 7, "data": {"text": "a"}, "annotations": [{"id": 1, "result": choice(label)}]}

    read = AnnotatedTasks(read_export(written(tmp_path, [task("Mixed"), task("Odd"), task("Bug")]), CONFIG).tasks)
    binding = bind(load_recipe(write_recipe(tmp_path, "tags: {Choices: text-classifier}\n", config=None)), CONFIG)
    tally = Tally()
    for one in read:
        taught = binding.learn(one, no_fetch)
        tally.add(one.id, taught)
        assert [value.label for value in taught.answers["topic"][0]] == ["Bug"]
    assert [(one.subject, one.count, one.total, one.task) for one in tally.report()] == [
        ("Mixed", 1, 3, "7"), ("Odd", 1, 3, "7")
    ]  # fmt: skip


def test_where_no_answers_are_wanted_a_table_keeps_its_columns(tmp_path):
    path = written(tmp_path, table([("text", "topic"), *PAIRS]), "t.csv")
    assert read_export(path, CONFIG, answers=False).tasks[0]["data"] == {"text": "refund now", "topic": "Billing"}
    assert read_export(path, None, answers=False).tasks[0] == {"data": {"text": "refund now", "topic": "Billing"}}
    only = written(tmp_path, "text\nrefund\n", "one.csv")
    assert read_export(only, CONFIG, answers=False).tasks[0]["data"] == {"text": "refund"}


def test_quotation_marks_between_tabs_are_of_the_text(tmp_path):
    path = written(tmp_path, 'text\ttopic\n"so\tBug\nwhat\tBilling\n', "t.tsv")
    assert [data["text"] for data, _ in learnt(path)] == ['"so', "what"]


def test_a_table_saved_as_unicode_text_and_a_long_cell_are_read(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(table([("text", "topic"), ("x" * 200_000, "Bug")], "\t").encode("utf-16"))
    [(data, _)] = learnt(path)
    assert len(data["text"]) == 200_000


NAMED = table([["complaint", "note", "verdict"], *[[text, "x", label] for text, label in PAIRS]])


def test_columns_that_are_named_are_taken_and_said(tmp_path):
    export = read_export(written(tmp_path, NAMED, "t.csv"), CONFIG, columns=Named("complaint", "verdict"))
    assert [task["data"]["text"] for task in export.tasks] == [text for text, _ in PAIRS]
    assert [task["annotations"][0]["result"] for task in export.tasks] == [choice(label) for _, label in PAIRS]
    assert "column `complaint` is used for Text#text; column `verdict` answers Choices#topic" in export.notes[0]


def test_a_named_column_goes_before_what_would_be_guessed(tmp_path):
    content = table([["text", "label", "mine"], ["a", "Bug", "Billing"], ["b", "Bug", "Question"]])
    export = read_export(written(tmp_path, content, "t.csv"), CONFIG, columns=Named(label="mine"))
    assert [task["annotations"][0]["result"] for task in export.tasks] == [choice("Billing"), choice("Question")]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (Named(text="body"), "has no column `body`, given with --text-column; it has complaint, note, verdict"),
        (Named(label="answer"), "has no column `answer`, given with --label-column; it has complaint, note, verdict"),
    ],
)
def test_a_named_column_that_is_not_there_is_refused_with_those_that_are(tmp_path, columns, sentence):
    path = written(tmp_path, NAMED, "t.csv")
    with pytest.raises(RequestError) as refusal:
        read_export(path, CONFIG, columns=columns)
    assert str(refusal.value) == f"{path}: {sentence}"


def test_a_named_column_that_could_mean_several_controls_is_refused(tmp_path):
    path = written(tmp_path, table([["image", "verdict"], ["a.png", "day"]]), "t.csv")
    with pytest.raises(
        RequestError, match=r"--label-column could mean box or light or .+; rename the columns to these"
    ):
        read_export(path, MANY, columns=Named(label="verdict"))


def test_columns_of_whole_tasks_are_not_named(tmp_path):
    path = written(tmp_path, [{"data": {"text": "a"}}])
    with pytest.raises(RequestError, match="holds whole tasks; --text-column and --label-column are for tables"):
        read_export(path, CONFIG, columns=Named(text="text"))


def test_a_text_file_has_a_task_in_each_line_where_no_answers_are_wanted(tmp_path):
    path = written(tmp_path, 'refund, now\n\n  how "so"?  \n', "t.txt")
    assert [task["data"] for task in read_export(path, CONFIG, answers=False).tasks] == [
        {"text": "refund, now"},
        {"text": 'how "so"?'},
    ]
    with pytest.raises(RequestError, match="no column has the labels"):
        read_export(path, CONFIG)


@pytest.mark.parametrize("content", ['[{"data": {"text": "a"}}]', "text\tnumber\na\t1\n"])
def test_a_text_file_that_holds_json_or_a_table_of_tabs_is_read_as_that(tmp_path, content):
    [task] = read_export(written(tmp_path, content, "t.txt"), CONFIG, answers=False).tasks
    assert task["data"]["text"] == "a"
