"""train, predict, evaluate, versions and promote: a recipe, files, and no Label Studio."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from lsml.store import Store
from tests.conftest import choice
from tests.support.commands import export, lsml, refused, said, tickets, write_recipe

MINIMAL = "lsml: 1\nname: minimal\ntags:\n  Choices: text-classifier\n"
VERSION = re.compile(r"triage-v(\d+)-[0-9a-f]{8}")


class World(NamedTuple):
    """A folder with triage.yaml, train.json, and the two versions that were learnt from it."""

    folder: Path
    first: str
    second: str


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_recipe(folder)
    (folder / "train.json").write_text(json.dumps(export(tickets(90))))
    (folder / "test.json").write_text(json.dumps(export(tickets(30, seed=1), first_id=500)))
    versions = []
    for _ in range(2):
        text = said(lsml("train", "triage.yaml", "train.json", cwd=folder))
        versions.append(VERSION.match(text)[0])
        assert re.fullmatch(r"triage-v\d-[0-9a-f]{8}: .+\n  topic: macro_f1 \d\.\d{4} on \d+ held-out examples\n", text)
    return World(folder, *versions)


def tasks_in(world: World, tasks: object, name: str = "tasks.json") -> str:
    (world.folder / name).write_text(json.dumps(tasks))
    return name


# train


def test_train_says_the_first_version_and_why_it_is_promoted(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "train.json").write_text(json.dumps(export(tickets(60))))
    done = lsml("train", "triage.yaml", "train.json", "--data-dir", "elsewhere", cwd=tmp_path)
    assert re.match(r"triage-v1-[0-9a-f]{8}: promoted: the first version\n  topic: macro_f1 ", said(done))
    assert all(line.startswith("train: ") for line in done.stderr.splitlines())
    assert (tmp_path / "elsewhere").is_dir() and not (tmp_path / ".lsml").exists()


def test_a_second_version_that_is_not_better_is_not_promoted(world):
    rows = json.loads(said(lsml("versions", "triage.yaml", "--json", cwd=world.folder)))
    assert {row["version"]: row["promoted"] for row in rows} == {1: True, 2: False}


# What follows `is not JSON:` are the words of the library that reads it.
NO_EXPORT = {
    "a file that is not there": (None, r"{}: cannot be read: No such file or directory"),
    "prose": (
        b"Dear all,\nplease find enclosed, as asked, the labels.\n",
        r"{}: is not JSON: [^;\n]+; export the project as JSON in Label Studio",
    ),
    "an image": (
        b"\x89PNG\r\n\x1a\n\xff",
        r"{}: is not UTF-8; export the project as JSON in Label Studio, or save a table as UTF-8",
    ),
    "an empty file": (b"", r"{}: is not JSON: [^;\n]+; export the project as JSON in Label Studio"),
    "a number": (b"3", r'{}: expected a list of tasks such as \[\{{"data": \{{"text": "some text"\}}\}}\]'),
    "a list of numbers": (b"[3]", r'{}: task 1 is not an object; expected \{{"data": \{{\.\.\.\}}\}}'),
}


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("what", NO_EXPORT)
def test_what_is_no_export_is_refused_in_one_sentence(world, verb, what):
    content, sentence = NO_EXPORT[what]
    name = f"{what.replace(' ', '-')}-{verb}.json"
    if content is not None:
        (world.folder / name).write_bytes(content)
    more = ["-o", f"{name}.out"] if verb == "predict" else []
    told = refused(lsml(verb, "triage.yaml", name, *more, cwd=world.folder))
    assert re.fullmatch(sentence.format(re.escape(name)), told), told
    assert not (world.folder / f"{name}.out").exists()


def test_an_export_without_annotations_teaches_nothing_and_judges_nothing(world):
    name = tasks_in(world, [{"id": 1, "data": {"text": "refund"}}, {"id": 2, "data": {"text": "b"}, "annotations": []}])
    for verb in ("train", "evaluate"):
        assert refused(lsml(verb, "triage.yaml", name, cwd=world.folder), 1) == (
            "tasks.json: none of its 2 tasks has an annotation for Choices#topic: they are not annotated"
        )


def test_predictions_are_learnt_and_judged_only_on_purpose(tmp_path):
    write_recipe(tmp_path)
    tasks = export(tickets(60))
    for task in tasks:
        task["predictions"] = task.pop("annotations")
    (tmp_path / "guesses.json").write_text(json.dumps(tasks))
    for verb in ("train", "evaluate"):
        told = refused(lsml(verb, "triage.yaml", "guesses.json", cwd=tmp_path), 1)
        assert told.endswith(
            "60 tasks have only predictions of a model; to use them as annotations, add --from-predictions"
        )
    said(lsml("train", "triage.yaml", "guesses.json", "--from-predictions", cwd=tmp_path))
    judged = json.loads(
        said(lsml("evaluate", "triage.yaml", "guesses.json", "--from-predictions", "--json", cwd=tmp_path))
    )
    assert judged["tasks"] == 60


def test_a_table_is_learnt_judged_and_predicted(tmp_path):
    write_recipe(tmp_path)
    lines = [f"{text};{label}" for text, label in tickets(60)]
    (tmp_path / "table.csv").write_text("\n".join(["text;topic", *lines]))
    done = lsml("train", "triage.yaml", "table.csv", cwd=tmp_path)
    assert said(done).startswith("triage-v1-")
    assert done.stderr.splitlines()[0] == (
        "table.csv: read as CSV with semicolons: column `text` is used for Text#text; column `topic` answers "
        "Choices#topic"
    )
    judged = json.loads(said(lsml("evaluate", "triage.yaml", "table.csv", "--json", cwd=tmp_path)))
    assert judged["tasks"] == 60
    said(lsml("predict", "triage.yaml", "table.csv", "-o", "out.json", cwd=tmp_path))
    assert all(task["predictions"] for task in json.loads((tmp_path / "out.json").read_text()))


def test_labels_without_examples_have_no_figures(world):
    relabelled = [(text, "Billing" if label == "Bug" else label) for text, label in tickets(30)]
    name = tasks_in(world, export(relabelled))
    lines = said(lsml("evaluate", "triage.yaml", name, cwd=world.folder)).splitlines()
    assert "    Bug: no examples" in lines
    judged = json.loads(said(lsml("evaluate", "triage.yaml", name, "--json", cwd=world.folder)))
    assert judged["tags"]["topic"]["per_label"]["Bug"] == {
        "precision": None, "recall": None, "f1": None, "examples": 0
    }  # fmt: skip


def test_what_cannot_be_understood_is_said_at_the_end_of_train_and_evaluate(tmp_path):
    write_recipe(tmp_path)
    tasks = export(tickets(60))
    odd = export([("who knows", "Mixed"), ("a small one", "bug")], first_id=900)
    (tmp_path / "train.json").write_text(json.dumps([*tasks, *odd]))
    sentences = [
        "Choices#topic: 1 of 62 answers left out: labelled `Mixed`, which is not in the labeling config; add it to "
        "the config or change the label; first: task 900",
        "Choices#topic: 1 of 62 answers understood: `bug` is read as `Bug`; it is the only label that differs in "
        "upper and lower case; first: task 901",
    ]
    train = lsml("train", "triage.yaml", "train.json", cwd=tmp_path)
    assert [line.strip() for line in said(train).splitlines()][1:3] == sentences
    assert f"WARNING lsml.learning.train: {sentences[0]}" in train.stderr
    evaluated = said(lsml("evaluate", "triage.yaml", "train.json", cwd=tmp_path))
    assert evaluated.splitlines()[0].endswith("on 61 annotated tasks") and evaluated.splitlines()[-2:] == sentences
    as_json = json.loads(said(lsml("evaluate", "triage.yaml", "train.json", "--json", cwd=tmp_path)))
    assert [(one["reason"], one["count"], one["task"]) for one in as_json["left_out"]] == [
        ("unknown label", 1, "900"),
        ("other capitals", 1, "901"),
    ]


def test_nothing_that_can_be_understood_is_said_with_every_reason(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "train.json").write_text(json.dumps(export([("who knows", "Mixed")] * 3)))
    sentence = refused(lsml("train", "triage.yaml", "train.json", cwd=tmp_path), code=1)
    assert "Choices#topic: 3 of 3 answers left out: labelled `Mixed`, which is not in the labeling config" in sentence


def test_too_few_examples_are_said_and_leave_no_version(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "one.json").write_text(json.dumps(export(tickets(1))))
    done = lsml("train", "triage.yaml", "one.json", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.strip()
    assert json.loads(said(lsml("versions", "triage.yaml", "--json", cwd=tmp_path))) == []


def test_annotations_of_any_shape_cost_only_themselves(world, tmp_path):
    write_recipe(tmp_path)
    odd = [
        {"id": 900, "data": {"text": "a"}, "annotations": "none"},
        {"id": 901, "data": {"text": "b"}, "annotations": [None, 3, {"result": None}, {"result": [None, 7, "x"]}]},
        {"id": 902, "data": {"text": None}, "annotations": [{"id": 1, "result": choice("Bug")}]},
        {"id": 903, "data": {}, "annotations": [{"id": 1, "result": choice("Bug")}]},
        {"id": {"odd": 1}, "data": {"text": "c"}, "annotations": [{"id": 1, "result": choice("Not a label")}]},
        {"id": 905, "data": {"text": "d"}, "annotations": [{"id": 1, "result": choice("Bug"), "was_cancelled": True}]},
    ]
    (tmp_path / "odd.json").write_text(json.dumps(odd + export(tickets(60))))
    done = lsml("train", "triage.yaml", "odd.json", cwd=tmp_path)
    assert said(done).startswith("triage-v1-")
    assert (
        "odd.json: 4 entries are not an annotation and left out; the first: task 900: `annotations` is not a list of "
        "objects"
    ) in done.stderr.splitlines()
    assert json.loads(said(lsml("evaluate", "triage.yaml", "odd.json", "--json", cwd=tmp_path)))["tasks"] >= 60
    said(lsml("predict", "triage.yaml", "odd.json", "-o", "out.json", cwd=tmp_path))
    assert len(json.loads((tmp_path / "out.json").read_text())) == 64  # of two, the data has no text


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_a_recipe_without_labeling_config_says_how_to_name_one(world, tmp_path, verb):
    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    export_path = world.folder / "train.json"
    assert refused(lsml(verb, "minimal.yaml", export_path, cwd=tmp_path)) == (
        "minimal.yaml: has no labeling config; add `labeling_config:` to it, or name a file with --labeling-config"
    )


def test_a_labeling_config_named_once_is_remembered(world, tmp_path):
    from tests.conftest import TOPICS

    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    (tmp_path / "topics.xml").write_text(TOPICS)
    train, test = world.folder / "train.json", world.folder / "test.json"
    said(lsml("train", "minimal.yaml", train, "--labeling-config", "topics.xml", cwd=tmp_path))
    judged = json.loads(said(lsml("evaluate", "minimal.yaml", test, "--json", cwd=tmp_path)))
    assert judged["tags"]["topic"]["value"] > 0.9


def test_predict_without_labeling_config_predicts_nothing_and_says_why(tmp_path):
    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    (tmp_path / "tasks.json").write_text('[{"data": {"text": "refund"}}]')
    done = lsml("predict", "minimal.yaml", "tasks.json", "-o", "out.json", cwd=tmp_path)
    assert re.fullmatch(r"wrote out.json: 0 of 1 tasks predicted by minimal-v0-[0-9a-f]{8}\n", said(done))
    assert done.stderr.endswith(
        "  unbound, 1 time: there is no labeling config yet; connect Label Studio, or add one to the recipe\n"
    )
    assert json.loads((tmp_path / "out.json").read_text()) == [{"data": {"text": "refund"}, "predictions": []}]


# predict


def test_predictions_keep_the_order_and_the_ids_of_the_tasks_and_invent_none(world):
    tasks = [
        {"id": 31, "data": {"text": "refund my payment, charged twice"}},
        {"data": {"text": "the screen freezes, error"}},
        {"id": "seven", "data": {"other": "no text here"}},
        {"id": 2, "data": {"text": "how can I help, tutorial"}, "meta": {"left": "out"}},
    ]
    done = lsml("predict", "triage.yaml", tasks_in(world, tasks, "four.json"), "-o", "out.json", cwd=world.folder)
    assert said(done) == f"wrote out.json: 3 of 4 tasks predicted by {world.first}\n"
    assert done.stderr.splitlines() == [
        "predict: 4 of 4 tasks",
        "  no data, 1 time: task seven: Text#text shows $text, and the task's data has no 'text'; it has other",
        "  1 task is left out, or Label Studio would refuse the whole file; the first: task seven: its data has no text, "
        "which Text#text shows",
    ]
    written = json.loads((world.folder / "out.json").read_text())
    assert [{key: task[key] for key in task if key != "predictions"} for task in written] == [
        {key: task[key] for key in task if key != "meta"} for task in tasks if task.get("id") != "seven"
    ]
    assert [len(task["predictions"]) for task in written] == [1, 1, 1]
    labels = [task["predictions"][0]["result"][0]["value"]["choices"] for task in written if task["predictions"]]
    assert labels == [["Billing"], ["Bug"], ["Question"]]
    for task in written:
        for prediction in task["predictions"]:
            assert set(prediction) == {"model_version", "score", "result"}
            assert prediction["model_version"] == world.first and 0 <= prediction["score"] <= 1


def test_bare_data_and_a_single_task_are_tasks_as_well(world):
    said(lsml("predict", "triage.yaml", tasks_in(world, [{"text": "refund"}]), "-o", "bare.json", cwd=world.folder))
    [task] = json.loads((world.folder / "bare.json").read_text())
    assert set(task) == {"data", "predictions"} and task["data"] == {"text": "refund"} and task["predictions"]


def test_json_lines_are_tasks_as_well(world):
    lines = ['{"data": {"text": "refund\u2028now"}}', "", '{"text": "crash"}']
    (world.folder / "tasks.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lsml("predict", "triage.yaml", "tasks.jsonl", "-o", "lines.json", cwd=world.folder)
    assert [task["data"] for task in json.loads((world.folder / "lines.json").read_text())] == [
        {"text": "refund\u2028now"},
        {"text": "crash"},
    ]
    (world.folder / "tasks.jsonl").write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    sentence = refused(lsml("predict", "triage.yaml", "tasks.jsonl", "-o", "lines.json", cwd=world.folder))
    assert sentence.startswith("tasks.jsonl: is not JSON: line 2, column 10: Expecting value")


def test_a_missing_file_of_tasks_is_one_sentence_though_the_output_is_there(world):
    (world.folder / "there.json").write_text("[]")
    done = lsml("predict", "triage.yaml", "nowhere.json", "-o", "there.json", cwd=world.folder)
    assert refused(done) == "nowhere.json: cannot be read: No such file or directory"


def test_no_tasks_give_an_empty_list(world):
    done = lsml("predict", "triage.yaml", tasks_in(world, []), "-o", "none.json", cwd=world.folder)
    assert said(done) == f"wrote none.json: 0 of 0 tasks predicted by {world.first}\n"
    assert json.loads((world.folder / "none.json").read_text()) == []


def test_an_untrained_model_writes_no_file_and_says_how_to_train_it(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "tasks.json").write_text(json.dumps(export(tickets(3))))
    done = lsml("predict", "triage.yaml", "tasks.json", "-o", "out.json", cwd=tmp_path)
    assert refused(done, 1) == (
        "project local: no model is trained yet; train on a file with `lsml train triage.yaml EXPORT`, or annotate in "
        "Label Studio while `lsml run` is connected, and give the project with --project"
    )
    assert not (tmp_path / "out.json").exists()


def test_an_output_that_cannot_be_written_is_said_before_the_work(world):
    assert refused(lsml("predict", "triage.yaml", "test.json", "-o", "no/out.json", cwd=world.folder)) == (
        "no/out.json: cannot be written: there is no folder no"
    )
    assert refused(lsml("predict", "triage.yaml", "test.json", "-o", ".", cwd=world.folder)) == (
        ".: cannot be written: it is a folder"
    )
    assert refused(lsml("predict", "triage.yaml", "test.json", cwd=world.folder)).startswith(
        "expected TASKS with -o PREDICTIONS.json; or, without either, --project ID"
    )


def test_characters_of_any_script_survive(world):
    text = "ошибка 错误 \U0001f600 refund"
    tasks = tasks_in(world, [{"data": {"text": text}}, {"data": {"text": "half of a character: \ud800"}}])
    done = lsml("predict", "triage.yaml", tasks, "-o", "any.json", cwd=world.folder)
    [task] = json.loads((world.folder / "any.json").read_text())
    assert task["data"]["text"] == text and task["predictions"]
    assert "1 task is left out: a text holds half of a surrogate pair" in done.stderr
    assert "; the first: task 2.data.text" in done.stderr


# evaluate


def test_evaluate_as_json_is_pure_json_of_a_fixed_form(world):
    judged = json.loads(said(lsml("evaluate", "triage.yaml", "test.json", "--json", cwd=world.folder)))
    assert set(judged) == {"model_version", "tasks", "tags", "left_out"}
    assert (judged["model_version"], judged["tasks"]) == (world.first, 30)
    assert set(judged["tags"]) == {"topic"}
    topic = judged["tags"]["topic"]
    assert {"metric", "value", "examples", "per_label"} <= set(topic)
    assert topic["metric"] == "macro_f1" and topic["examples"] == 30 and 0.9 < topic["value"] <= 1
    assert set(topic["per_label"]) == {"Billing", "Bug", "Question"}
    for row in topic["per_label"].values():
        assert set(row) == {"precision", "recall", "f1", "examples"}


def test_evaluate_says_the_same_for_people(world):
    first, second, *labels = said(lsml("evaluate", "triage.yaml", "test.json", cwd=world.folder)).splitlines()
    assert first == f"{world.first} on 30 annotated tasks"
    assert re.fullmatch(
        r"topic: macro_f1 \d\.\d{4}, accuracy \d\.\d{4}, calibration error \d\.\d{4}, 30 examples", second
    )
    assert [line.split(":")[0].strip() for line in labels] == ["Billing", "Bug", "Question"]


# versions and promote


def test_versions_lists_each_with_its_metric_and_marks_the_promoted_one(world):
    rows = said(lsml("versions", "triage.yaml", cwd=world.folder)).splitlines()
    assert re.fullmatch(r"local  v2  \d{4}-\d\d-\d\d \d\d:\d\d  \d+ examples  topic macro_f1 \d\.\d{3}", rows[0])
    assert re.fullmatch(r"local  v1  .+ topic macro_f1 \d\.\d{3}  promoted", rows[2])
    assert rows[3] == "    promoted: the first version"
    listed = json.loads(said(lsml("versions", "triage.yaml", "--json", cwd=world.folder)))
    assert [set(row) for row in listed] == [{"project", "title", "version", "promoted", "card"}] * 2


def test_no_versions_yet_is_no_error(tmp_path):
    write_recipe(tmp_path)
    assert said(lsml("versions", "triage.yaml", cwd=tmp_path)) == (
        "no versions yet: annotate in Label Studio, or train on an export with `lsml train`\n"
    )
    assert json.loads(said(lsml("versions", "triage.yaml", "--json", cwd=tmp_path))) == []
    assert refused(lsml("promote", "triage.yaml", "1", cwd=tmp_path)) == "no project has versions yet"


def test_a_version_is_promoted_by_its_number_or_its_whole_name_and_back(world):
    for name, number in (("2", 2), ("v1", 1), (world.second, 2), (world.first, 1)):
        assert said(lsml("promote", "triage.yaml", name, cwd=world.folder)) == f"project local serves v{number}\n"
        rows = json.loads(said(lsml("versions", "triage.yaml", "--json", cwd=world.folder)))
        assert [row["version"] for row in rows if row["promoted"]] == [number]
    with closing(Store(world.folder / ".lsml" / "triage")) as store:
        done = store.actions.latest("local")
    assert [(one.source, one.what, one.detail) for one in done[:2]] == [
        ("command line", "promote", "v1"), ("command line", "promote", "v2"),
    ]  # fmt: skip


def test_a_version_that_is_not_there_is_refused_in_one_sentence(world):
    def promote(version):
        return refused(lsml("promote", "triage.yaml", version, cwd=world.folder))

    expected = "expected a version such as 3, v3 or triage-v3-0123abcd; `lsml versions` lists them"
    assert promote("9") == promote("v9") == promote("triage-v9-00000000")
    assert promote("9").startswith("project local has no version 9; it has ")
    assert promote("best") == f"best: {expected}"
    assert promote("other-v1-00000000") == f"other-v1-00000000: {expected}"
    assert promote("٣") == f"٣: {expected}"
    assert promote("9" * 40) == f"{'9' * 40}: {expected}"


def test_an_unknown_project_names_those_there_are(world):
    for verb in (["versions", "triage.yaml"], ["promote", "triage.yaml", "1"]):
        assert refused(lsml(*verb, "--project", "77", cwd=world.folder)) == "no project 77; there are local"


def test_a_changed_model_file_is_not_promoted(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "train.json").write_text(json.dumps(export(tickets(60))))
    said(lsml("train", "triage.yaml", "train.json", cwd=tmp_path))
    [model] = (tmp_path / ".lsml").rglob("model.skops")
    model.chmod(0o600)
    model.write_bytes(model.read_bytes() + b"!")
    text = refused(lsml("promote", "triage.yaml", "1", cwd=tmp_path), 1)
    assert "model.skops" in text and "\n" not in text


def test_a_data_directory_that_is_a_file_is_refused_in_one_sentence(world, tmp_path):
    (tmp_path / "file").write_text("")
    text = refused(lsml("versions", "triage.yaml", "--data-dir", tmp_path / "file", cwd=world.folder), 1)
    assert text == f"{tmp_path / 'file'}: cannot make the data directory: File exists; name another with --data-dir"


# columns that people name, and tables that they get


def test_a_table_with_names_of_its_own_is_learnt_judged_and_predicted_into_a_table(world, tmp_path):
    rows = "\n".join(f"{text},{label}" for text, label in tickets(60))
    (tmp_path / "own.csv").write_text(f"complaint,verdict\n{rows}\n")
    (tmp_path / "new.txt").write_text("refund my invoice\n")
    write_recipe(tmp_path)
    named = ("--text-column", "complaint", "--label-column", "verdict")
    done = lsml("train", "triage.yaml", "own.csv", *named, cwd=tmp_path)
    assert "column `complaint` is used for Text#text; column `verdict` answers Choices#topic" in done.stderr
    assert re.search(
        r"topic: macro_f1 1\.0000, accuracy", said(lsml("evaluate", "triage.yaml", "own.csv", *named, cwd=tmp_path))
    )
    said(lsml("predict", "triage.yaml", "new.txt", "-o", "out.csv", cwd=tmp_path))
    heading, row = (tmp_path / "out.csv").read_text().splitlines()
    assert heading == "text,topic,score,model_version"
    assert row.startswith("refund my invoice,Billing,")
