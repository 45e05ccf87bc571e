"""Files that become tasks of a small Label Studio: each kind, each task once, and why a file cannot be imported."""

from __future__ import annotations

import json

import pytest

from lsml.errors import RequestError, StudioAway
from lsml.labeling import parse_labeling_config
from lsml.studio.changes import ChangeLog
from lsml.studio.client import Studio
from lsml.studio.importing import import_tasks, read_tasks
from tests.conftest import TOPICS, export, tickets
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Answer, Web

IMAGES = """<View><Image name="image" value="$image"/><Choices name="c" toName="image"><Choice value="A"/></Choices></View>"""
TWO = """<View><Text name="a" value="$a"/><Text name="b" value="$b"/>
<Choices name="c" toName="a"><Choice value="A"/></Choices></View>"""
KINDS = {
    "tasks.json": json.dumps([{"data": {"text": "one"}}, {"text": "two"}]),
    "tasks.jsonl": '{"text": "one"}\n{"text": "two"}\n',
    "tasks.csv": "text\none\ntwo\n",
    "tasks.tsv": "text\tsource\none\tmail\ntwo\tmail\n",
    "tasks.txt": "\ufeffone\r\n\r\n  two  \n",
}


def imported(studio: SmallStudio, path, config: str = TOPICS) -> ChangeLog:
    changes = ChangeLog(lambda _said: None)
    with Web(studio) as web, Studio(web.url, TOKEN) as client:
        import_tasks(changes, client.settings(7), read_tasks(path, parse_labeling_config(config)))
    return changes


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_file_becomes_tasks_each_once(tmp_path, name):
    path = tmp_path / name
    path.write_text(KINDS[name], encoding="utf-8", newline="")
    studio = SmallStudio()
    changes = imported(studio, path)
    assert [data["text"] for data in studio.tasks.values()] == ["one", "two"]
    assert changes.made == [f"imported 2 tasks of {path}"]
    again = imported(studio, path)
    assert (again.made, again.notes[-1]) == ([], f"{path}: 2 of 2 are in the project already")
    assert len(studio.tasks) == 2


def test_answers_in_a_file_are_left_out(tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export(tickets(3))))
    studio = SmallStudio()
    imported(studio, path)
    assert list(studio.tasks.values()) == [{"text": text} for text, _ in tickets(3)]


def test_many_tasks_go_in_several_requests(tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"text {number}" for number in range(1201)))
    studio = SmallStudio()
    imported(studio, path)
    assert studio.log == ["import 500", "import 500", "import 201"]


def test_a_folder_of_images_is_uploaded_each_name_once(tmp_path):
    for name in ("a.png", "b c.JPG", "deep/a.png", ".hidden/z.png", "notes.txt"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"image")
    studio = SmallStudio()
    changes = imported(studio, tmp_path / "images", IMAGES)
    assert changes.made == [f"uploaded 3 images of {tmp_path / 'images'}"]
    names = [data["image"].rpartition("-")[2] for data in studio.tasks.values()]
    assert names == ["a.png", "b c.JPG", "a.png"]
    studio.tasks[2]["image"] = studio.tasks[2]["image"].replace(" ", "_")  # as a real one stores it
    assert imported(studio, tmp_path / "images", IMAGES).made == []
    (tmp_path / "images" / "new.webp").write_bytes(b"image")
    assert imported(studio, tmp_path / "images", IMAGES).made == [f"uploaded 1 image of {tmp_path / 'images'}"]


def test_tasks_that_label_studio_would_refuse_are_left_out_and_named(tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"data": {"text": "one"}}, {"data": {"other": "two"}}]))
    studio = SmallStudio()
    assert imported(studio, path).notes[-1] == (
        f"{path}: 1 task left out, which Label Studio would refuse; the first: its data has no text, which Text#text shows"
    )
    assert list(studio.tasks.values()) == [{"text": "one"}]
    path.write_text(json.dumps([{"data": {"other": "two"}}]))
    with pytest.raises(RequestError, match="has no task to import: its data has no text"):
        imported(studio, path)


@pytest.mark.parametrize("name", ["lines.txt", "one.png"])
def test_what_fits_one_field_alone_is_refused_where_the_config_shows_two(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"one\n")
    with pytest.raises(RequestError) as raised:
        read_tasks(path, parse_labeling_config(TWO))
    assert str(raised.value) == (
        f"{path}: the labeling config shows several fields of a task (a, b), so it is unclear which field the lines "
        "hold; use a table or JSON with a column or key for each"
    )


@pytest.mark.parametrize(("name", "content", "said"), [
    ("empty.txt", b"\n\n", "has no task to import"),
    ("latin.txt", "grüße".encode("latin-1"), "is not UTF-8"),
    ("gone.txt", None, "cannot be read: No such file or directory"),
])  # fmt: skip
def test_a_file_that_holds_nothing_to_import_says_why(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError, match=said):
        read_tasks(path, parse_labeling_config(TOPICS))


def test_an_import_that_breaks_off_says_that_connecting_again_goes_on(tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("\n".join(f"text {number}" for number in range(1201)))
    broken = [True]

    def before(asked):
        if asked.path.endswith("/import") and len(studio.tasks) == 500 and broken:
            broken.clear()
            return Answer(502)
        return None

    studio = SmallStudio(before=before)
    with pytest.raises(StudioAway, match="then connect again: existing tasks are not added twice"):
        imported(studio, path)
    assert imported(studio, path).made == [f"imported 701 tasks of {path}"]
    assert len(studio.tasks) == 1201
