"""A data directory goes into one file and comes back as it was; what was changed on the way is refused and leaves nothing."""

from __future__ import annotations

import json
import threading
import zipfile
from pathlib import Path

import pytest

from lsml.store import Store
from tests.conftest import PROJECT, PROJECT_KEY, Backend, event, tickets, write_recipe
from tests.support.commands import lsml, refused, said

SECRET = "0123456789abcdef-told-by-setup"


@pytest.fixture(scope="module")
def learnt(tmp_path_factory) -> Path:
    """A folder with a recipe, `data` that learnt one version online, and `out.zip` of it."""
    folder = tmp_path_factory.mktemp("learnt")
    backend = Backend(write_recipe(folder), folder / "data")
    setup = {
        "project": PROJECT_KEY,
        "schema": PROJECT["label_config"],
        "hostname": "http://studio",
        "access_token": SECRET,
    }
    assert backend.post("/setup", setup).status_code == 200
    backend.annotate(tickets(40))
    assert backend.train()["version"] == 1
    backend.store.claims.claim(backend.store.runs.request(PROJECT_KEY, "start training").id)
    backend.store.close()
    told = said(lsml("export", "triage.yaml", "-o", "out.zip", "--data-dir", "data", cwd=folder))
    assert told.startswith("wrote out.zip: 1 project, ")
    assert told.endswith("it contains no token\n")
    return folder


def bring(folder: Path, file: Path, data: Path):
    return lsml("import", "triage.yaml", file, "--data-dir", data, cwd=folder)


def test_everything_comes_back_and_serves_the_same(learnt, tmp_path):
    assert "1 project, 1 version;" in said(bring(learnt, learnt / "out.zip", tmp_path / "data"))
    before, after = (Backend(learnt / "triage.yaml", data) for data in (learnt / "data", tmp_path / "data"))
    texts = [text for text, _ in tickets(20, seed=7)]
    assert after.predict(*texts, project=PROJECT_KEY) == before.predict(*texts, project=PROJECT_KEY)
    tasks = [list(one.store.annotations.tasks(PROJECT_KEY)) for one in (before, after)]
    assert tasks[0] == tasks[1]
    (row,) = after.store.projects.all()
    assert (row.token, row.title, row.promoted) == (None, "triage", 1)
    # What ran there waits here.
    assert [run.state for run in after.store.runs.of_project(PROJECT_KEY)] == ["waiting", "done"]
    for one in (before, after):
        one.store.close()


def test_no_token_is_in_the_file(learnt):
    with zipfile.ZipFile(learnt / "out.zip") as archive:
        assert all(SECRET.encode() not in archive.read(name) for name in archive.namelist())
    assert SECRET.encode() in (learnt / "data" / "lsml.db").read_bytes() + _wal(learnt / "data")


def _wal(data: Path) -> bytes:
    wal = data / "lsml.db-wal"
    return wal.read_bytes() if wal.exists() else b""


def test_it_is_of_one_moment_while_annotations_arrive(learnt, tmp_path):
    backend = Backend(learnt / "triage.yaml", tmp_path / "data")
    backend.annotate(tickets(5))
    stop = threading.Event()

    def annotate() -> None:
        number = 100
        while not stop.is_set():
            backend.post("/webhook", event(number, f"text {number}", "Bug"))
            number += 1

    writer = threading.Thread(target=annotate)
    writer.start()
    try:
        for number in range(3):
            said(
                lsml(
                    "export",
                    "triage.yaml",
                    "-o",
                    tmp_path / f"{number}.zip",
                    "--data-dir",
                    tmp_path / "data",
                    cwd=learnt,
                )
            )
    finally:
        stop.set()
        writer.join()
        backend.store.close()
    said(bring(learnt, tmp_path / "2.zip", tmp_path / "copy"))
    store = Store(tmp_path / "copy")
    usable, _ = store.annotations.counts(PROJECT_KEY)
    assert usable == sum(1 for _ in store.annotations.tasks(PROJECT_KEY)) >= 5
    store.close()


def changed(source: Path, target: Path, change) -> Path:
    """A copy of a zip whose members, name -> bytes, went through `change`."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def flip(members) -> None:
    name = next(name for name in members if name.startswith("versions/"))
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


def escape(members) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["files"]["versions/../../evil.txt"] = "0" * 64
    members["manifest.json"] = json.dumps(manifest).encode()
    members["versions/../../evil.txt"] = b"evil"


def add(members) -> None:
    members["versions/a/b"] = b"more"


def drop(members) -> None:
    del members["lsml.db"]


def newer(members) -> None:
    members["manifest.json"] = members["manifest.json"].replace(b'"format": 1', b'"format": 9')


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (flip, "was changed or damaged; export again"),
        (escape, "has other files than its manifest"),
        (add, "has other files than its manifest"),
        (drop, "has other files than its manifest"),
        (newer, "has format 9, and this lsml reads 1"),
        (lambda members: members.pop("manifest.json"), "is not a file of `lsml export`"),
    ],
)
def test_what_was_changed_is_refused_and_leaves_nothing(learnt, tmp_path, change, sentence):
    file = changed(learnt / "out.zip", tmp_path / "changed.zip", change)
    assert sentence in refused(bring(learnt, file, tmp_path / "data"))
    assert list((tmp_path / "data").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_files_that_are_none_of_these_are_refused_in_a_sentence(learnt, tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    assert "is not a file of `lsml export`" in refused(bring(learnt, tmp_path / "text.zip", tmp_path / "data"))
    whole = (learnt / "out.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert "is truncated" in refused(bring(learnt, tmp_path / "cut.zip", tmp_path / "data"))
    assert "cannot be read: No such file" in refused(bring(learnt, tmp_path / "none.zip", tmp_path / "data"))


def test_a_directory_that_holds_data_is_left_alone(learnt):
    before = (learnt / "data" / "lsml.db").read_bytes()
    assert "already holds data" in refused(bring(learnt, learnt / "out.zip", learnt / "data"))
    assert (learnt / "data" / "lsml.db").read_bytes() == before


def test_there_must_be_data_to_export(learnt, tmp_path):
    told = refused(lsml("export", "triage.yaml", "-o", tmp_path / "x.zip", "--data-dir", tmp_path / "none", cwd=learnt))
    assert "holds no data yet" in told
    assert list(tmp_path.iterdir()) == []
