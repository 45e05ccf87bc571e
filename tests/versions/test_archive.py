"""A data directory goes into one file and comes back as it was; what was changed on the way is refused and leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from lsml.errors import StoreError
from lsml.store import Store
from lsml.versions import card_of
from lsml.versions.archive import export_to, import_from
from lsml.versions.loading import check_files
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


def newer_database(members) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lsml.db")
        file.write_bytes(members["lsml.db"])
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
        members["lsml.db"] = file.read_bytes()
    manifest = json.loads(members["manifest.json"])
    manifest["files"]["lsml.db"] = hashlib.sha256(members["lsml.db"]).hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()


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
        (newer_database, "changed.zip: lsml.db: has format 99, and this lsml reads"),
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
    assert "is damaged or truncated" in refused(bring(learnt, tmp_path / "cut.zip", tmp_path / "data"))
    with zipfile.ZipFile(learnt / "out.zip") as archive:
        start = archive.getinfo("lsml.db").header_offset + 60
    for name, change in (("bits", bytes(byte ^ 255 for byte in whole[start : start + 50])), ("zeros", bytes(50))):
        (tmp_path / f"{name}.zip").write_bytes(whole[:start] + change + whole[start + 50 :])
        told = refused(bring(learnt, tmp_path / f"{name}.zip", tmp_path / "data"))
        assert "is damaged or truncated" in told
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("manifest.json", "{}")
    assert "is not a file of `lsml export`" in refused(bring(learnt, tmp_path / "other.zip", tmp_path / "data"))
    assert "cannot be read: No such file" in refused(bring(learnt, tmp_path / "none.zip", tmp_path / "data"))


def test_a_directory_that_holds_data_is_left_alone(learnt):
    before = (learnt / "data" / "lsml.db").read_bytes()
    assert "already holds data" in refused(bring(learnt, learnt / "out.zip", learnt / "data"))
    assert (learnt / "data" / "lsml.db").read_bytes() == before


@pytest.mark.parametrize("left", ["lsml.db-wal", "versions"])
def test_the_rest_of_a_lost_database_is_data_too(learnt, tmp_path, left):
    (tmp_path / "data" / left).mkdir(parents=True)
    assert "already holds data" in refused(bring(learnt, learnt / "out.zip", tmp_path / "data"))
    assert [path.name for path in (tmp_path / "data").iterdir()] == [left]


def force(folder: Path, data: Path):
    return lsml("import", "triage.yaml", folder / "out.zip", "--data-dir", data, "--force", cwd=folder)


def test_force_moves_the_data_aside_whole(learnt, tmp_path):
    shutil.copytree(learnt / "data", tmp_path / "data")
    store = Store(tmp_path / "data")
    store.projects.touch("of-the-old", title="old")
    # Somebody has it open: what they store would be lost.
    assert "another program has it open" in refused(force(learnt, tmp_path / "data"), code=1)
    assert store.projects.get("of-the-old") is not None
    store.close()
    told = said(force(learnt, tmp_path / "data"))
    (aside,) = (tmp_path / "data").glob("replaced-*")
    assert f"moved the data that was there to {aside}\n" in told
    for directory, projects in ((tmp_path / "data", 1), (aside, 2)):
        store = Store(directory)
        assert len(store.projects.all()) == projects
        (version,) = store.versions.of_project(PROJECT_KEY)
        check_files(store.artifacts.open(version.folder), card_of(version))
        store.close()
    # A damaged database is a reason to restore.
    (tmp_path / "data" / "lsml.db").write_bytes(b"damaged" * 1000)
    shutil.rmtree(aside)
    said(force(learnt, tmp_path / "data"))


def test_force_changes_nothing_for_a_file_that_is_refused(learnt, tmp_path):
    shutil.copytree(learnt / "data", tmp_path / "data")
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    file = changed(learnt / "out.zip", tmp_path / "changed.zip", flip)
    refused(lsml("import", "triage.yaml", file, "--data-dir", tmp_path / "data", "--force", cwd=learnt))
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before


def test_a_version_with_damaged_files_is_left_out_and_named(learnt, tmp_path):
    shutil.copytree(learnt / "data", tmp_path / "data")
    (card,) = (tmp_path / "data" / "versions").rglob("card.json")
    lost = next(path for path in sorted(card.parent.rglob("*")) if path.is_file() and path != card)
    lost.write_bytes(b"damaged")
    done = lsml("export", "triage.yaml", "-o", tmp_path / "out.zip", "--data-dir", tmp_path / "data", cwd=learnt)
    assert done.returncode == 1
    assert f"v1 of project {PROJECT_KEY}: {lost}: was changed after it was saved;" in done.stderr
    assert done.stderr.endswith("its files were left out\n")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == ["lsml.db", "manifest.json"]
    assert "1 project, 1 version;" in said(bring(learnt, tmp_path / "out.zip", tmp_path / "copy"))


def test_a_version_that_is_deleted_meanwhile_is_in_no_part(learnt, tmp_path, monkeypatch):
    shutil.copytree(learnt / "data", tmp_path / "data")
    store = Store(tmp_path / "data")
    copy, tries = store.copy_database, []

    def copied(target: Path):
        versions = copy(target)
        tries.append(len(versions))
        if len(tries) == 1:
            with sqlite3.connect(tmp_path / "data" / "lsml.db") as database:
                database.execute("DELETE FROM version")
            database.close()
            store.artifacts.delete(versions[0].folder)
        return versions

    monkeypatch.setattr(store, "copy_database", copied)
    manifest, broken = export_to(store, "triage", tmp_path / "out.zip")
    store.close()
    assert tries == [1, 0]
    assert (list(manifest.files), broken) == (["lsml.db"], [])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_can_read_the_file(learnt, tmp_path, monkeypatch):
    assert (learnt / "out.zip").stat().st_mode & 0o777 == 0o600
    modes = []
    write = zipfile.ZipFile.write

    def noted(archive: zipfile.ZipFile, *arguments) -> None:
        modes.append(Path(archive.filename).stat().st_mode & 0o777)
        write(archive, *arguments)

    monkeypatch.setattr(zipfile.ZipFile, "write", noted)
    store = Store(learnt / "data")
    export_to(store, "triage", tmp_path / "out.zip")
    store.close()
    assert set(modes) == {0o600}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_a_killed_export_left_is_gone_after_the_next(learnt, tmp_path):
    data = shutil.copytree(learnt / "data", tmp_path / "data")
    script = (
        "import os, signal, sys, zipfile\n"
        "from pathlib import Path\n"
        "from lsml.store import Store\n"
        "from lsml.versions.archive import export_to\n"
        "zipfile.ZipFile.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "export_to(Store(Path(sys.argv[1])), 'triage', Path(sys.argv[2]))\n"
    )
    out = tmp_path / "out.zip"
    killed = subprocess.run([sys.executable, "-c", script, data, out], timeout=120, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(leftovers(tmp_path)) == 2
    (tmp_path / ".out.zip.mine").write_bytes(b"")
    store = Store(data)
    export_to(store, "triage", out)
    store.close()
    assert out.exists()
    assert leftovers(tmp_path) == [".out.zip.mine"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_a_killed_import_left_is_gone_after_the_next(learnt, tmp_path):
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lsml.versions import archive\n"
        "archive._check_database = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "archive.import_from(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    export, data = learnt / "out.zip", tmp_path / "data"
    killed = subprocess.run([sys.executable, "-c", script, export, data], timeout=120, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(leftovers(tmp_path)) == 1
    import_from(export, data)
    assert sorted(path.name for path in data.iterdir()) == ["lsml.db", "versions"]


def test_two_imports_into_one_directory_are_not_at_work_at_once(learnt, tmp_path):
    (tmp_path / "data").mkdir()
    with (
        FileLock(tmp_path / "data" / "import.lock"),
        pytest.raises(StoreError, match="data: another `lsml import` is at work; wait until it has ended"),
    ):
        import_from(learnt / "out.zip", tmp_path / "data")


def leftovers(folder: Path) -> list[str]:
    """The names of what begins with a point, in a folder and in its `data`."""
    return sorted(path.name for path in (*folder.iterdir(), *(folder / "data").iterdir()) if path.name.startswith("."))


def test_two_exports_of_one_directory_are_not_at_work_at_once(learnt, tmp_path):
    store = Store(learnt / "data")
    with (
        FileLock(learnt / "data" / "export.lock"),
        pytest.raises(StoreError, match="data: another `lsml export` is at work; wait until it has ended"),
    ):
        export_to(store, "triage", tmp_path / "out.zip")
    store.close()


def test_there_must_be_data_to_export(learnt, tmp_path):
    told = refused(lsml("export", "triage.yaml", "-o", tmp_path / "x.zip", "--data-dir", tmp_path / "none", cwd=learnt))
    assert "holds no data yet" in told
    assert list(tmp_path.iterdir()) == []
