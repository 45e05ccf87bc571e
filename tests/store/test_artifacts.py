"""The contract of artifacts, for every implementation: whole, never changed, and swept of what nobody names."""

import io
import itertools
import pickle
import time
import zipfile
from pathlib import Path

import pytest

from lsml.errors import StoreError, VersionError
from lsml.store.artifacts import CARD, Artifacts, LocalArtifacts, open_artifacts

SHARED = ["file", pytest.param("s3", marks=pytest.mark.slow)]
FILES = {CARD: b"{}", "model/weights": b"0123", "model/deep/er": b""}


def opener(request, tmp_path):
    if request.param == "folders":
        return lambda: LocalArtifacts(tmp_path / "versions")
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    url = f"file://{tmp_path}/kept" if request.param == "file" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    machines = itertools.count()
    return lambda: open_artifacts(tmp_path / f"machine-{next(machines)}", url, "triage")


@pytest.fixture(params=["folders", *SHARED])
def opened(request, tmp_path):
    """Opens the same artifacts, as each process does for itself; shared ones as each machine does."""
    return opener(request, tmp_path)


@pytest.fixture(params=SHARED)
def shared(request, tmp_path):
    """Opens artifacts that machines share."""
    return opener(request, tmp_path)


@pytest.fixture
def artifacts(opened) -> Artifacts:
    return opened()


def made(artifacts: Artifacts, owner: str = "") -> Path:
    making = artifacts.new_folder(owner)
    for name, content in FILES.items():
        (making / name).parent.mkdir(parents=True, exist_ok=True)
        (making / name).write_bytes(content)
    return making


def zipped(name: str) -> bytes:
    """A zip with one empty file."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(name, b"")
    return written.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kept(artifacts: Artifacts, name: str) -> dict[str, bytes]:
    """The files of a folder; none where it is not there."""
    try:
        return files(artifacts.open(name))
    except VersionError:
        return {}


def test_what_was_put_is_opened_whole_by_every_process(opened):
    making = made(opened())
    name = opened().put(making, "local")
    assert files(opened().open(name)) == FILES
    assert not making.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.PKL", b""),
        ("model.bin", pickle.dumps({"weights": [1]})),
        ("model.pt", zipped("archive/data.pkl")),
    ],
)
def test_no_pickle_is_shared(tmp_path, name, content):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    artifacts = open_artifacts(tmp_path / "copies", f"file://{tmp_path}/kept", "triage")
    making = made(artifacts)
    (making / "model" / name).write_bytes(content)
    with pytest.raises(OSError, match=f"model/{name} is a pickle, which can run code on the machines that load it"):
        artifacts.put(making, "local")
    kept_here = LocalArtifacts(tmp_path / "copies").put(making, "local")
    with pytest.raises(OSError, match=f"model/{name} is a pickle"):
        artifacts.share(kept_here)
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # The length of its header, 128 or 640 bytes, begins as a pickle does.
        ("model.safetensors", (128).to_bytes(8, "little") + b"{}".ljust(128)),
        ("head.safetensors", (640).to_bytes(8, "little") + b"{}".ljust(640)),
        # Weights may have the bytes at their end by which a zip is known.
        ("weights", b"0123" + b"PK\5\6" + b"\1" * 16 + b"\0\0"),
    ],
)
def test_data_that_looks_like_a_pickle_is_shared(tmp_path, name, content):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    artifacts = open_artifacts(tmp_path / "copies", f"file://{tmp_path}/kept", "triage")
    making = made(artifacts)
    (making / "model" / name).write_bytes(content)
    assert kept(artifacts, artifacts.put(making, "local"))[f"model/{name}"] == content


def test_a_new_folder_is_empty_and_for_its_owner_alone(artifacts):
    first, second = artifacts.new_folder(), artifacts.new_folder()
    assert first != second
    assert list(first.iterdir()) == []
    assert first.stat().st_mode & 0o077 == 0


def test_what_was_put_is_for_its_owner_alone(artifacts):
    making = made(artifacts)
    (making / "model").chmod(0o777)
    (making / "model/weights").chmod(0o666)
    folder = artifacts.open(artifacts.put(making, "local"))
    assert [path for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("project", ["1.1795424614", "local", "../../etc", "a/b", "a b", "..", "", "é" * 300])
def test_any_project_key_has_a_place_of_its_own(artifacts, project):
    name = artifacts.put(made(artifacts), project)
    other = artifacts.put(made(artifacts), f"{project}-")
    place, _, folder = name.partition("/")
    assert place not in ("", ".", "..", other.partition("/")[0])
    assert "/" not in folder
    assert files(artifacts.open(name)) == FILES


def test_a_project_puts_many_folders_at_once(artifacts):
    assert len({artifacts.put(made(artifacts), "local") for _ in range(3)}) == 3


def test_a_copy_stays_when_the_first_is_deleted(artifacts):
    name = artifacts.put(made(artifacts), "local")
    copy = artifacts.copy(name, "1.1795424614")
    artifacts.delete(name)
    assert files(artifacts.open(copy)) == FILES
    assert kept(artifacts, name) == {}


def test_what_is_not_there_cannot_be_copied_and_leaves_nothing(artifacts):
    with pytest.raises(OSError, match="no-such-folder"):
        artifacts.copy("local/no-such-folder", "local")


def test_a_check_leaves_nothing(artifacts, tmp_path):
    artifacts.check()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_deleting_twice_is_deleting_once(artifacts):
    name = artifacts.put(made(artifacts), "local")
    artifacts.delete(name)
    artifacts.delete(name)
    assert kept(artifacts, name) == {}


def test_a_sweep_leaves_what_is_named_or_young(artifacts, monkeypatch):
    named, nameless = (artifacts.put(made(artifacts), "local") for _ in range(2))
    making = made(artifacts)
    artifacts.sweep({named})
    assert making.exists()
    assert kept(artifacts, named) == kept(artifacts, nameless) == FILES

    in_two_days = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: in_two_days)
    artifacts.sweep({named})
    assert files(artifacts.open(named)) == FILES
    assert not making.exists()
    assert kept(artifacts, nameless) == {}


def test_a_sweep_leaves_what_a_person_keeps_there(tmp_path, monkeypatch):
    artifacts = LocalArtifacts(tmp_path)
    artifacts.sweep(set())
    theirs = [tmp_path / "photos/holidays/1.jpg", tmp_path / "photos/20260101-000000-abcdefgh/1.jpg", tmp_path / "a/b"]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
    in_two_days = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: in_two_days)
    artifacts.sweep(set())
    assert all(path.exists() for path in theirs)


def test_what_an_owner_left_is_swept_at_once_and_nothing_else(artifacts):
    mine, theirs = f"{'a' * 32}.1.", f"{'a' * 32}.10."
    making, put = made(artifacts, mine), artifacts.put(made(artifacts, mine), "local")
    named = artifacts.put(made(artifacts, mine), "local")
    stays = [made(artifacts, theirs), made(artifacts), artifacts.open(named),
             artifacts.open(artifacts.put(made(artifacts, theirs), "local"))]  # fmt: skip
    artifacts.sweep_owner(mine, {named})
    assert not making.exists()
    assert kept(artifacts, put) == {}
    assert all(path.exists() for path in stays)


def test_a_machine_brings_each_folder_once_and_again_where_its_copy_is_damaged(shared):
    name = shared().put(made(shared()), "local")
    other = shared()
    folder = other.open(name)
    assert folder.stat().st_mode & 0o077 == 0
    (folder / "model/weights").write_bytes(b"9999")
    assert (other.open(name) / "model/weights").read_bytes() == b"9999", "a copy is not brought twice"
    assert other.bring_again(name)
    assert files(other.open(name)) == FILES


def test_a_machine_keeps_few_copies_and_brings_the_others_again(shared):
    maker, other = shared(), shared()
    names = [maker.put(made(maker), "local") for _ in range(12)]
    for name in names:
        assert files(other.open(name)) == FILES
    for machine in (maker, other):
        assert len(list((machine.copies.root / "local").iterdir())) == 10
        assert files(machine.open(names[0])) == FILES


def test_what_the_service_lost_is_known_to_a_machine_that_has_a_copy_and_given_back(shared):
    maker, other = shared(), shared()
    name, whole = (maker.put(made(maker), "1.2") for _ in range(2))
    other.open(name)
    assert maker.lost({name, whole, "1.2/elsewhere"}) == []
    for lost in (other._at(name, "model/weights"), other._at(name) + ".json"):
        other._files.rm_file(lost)
        assert maker.lost({name, whole}) == [name]
        assert shared().lost({name, whole}) == []
        maker.share(name)
        assert maker.lost({name, whole}) == []
        assert kept(shared(), name) == FILES


def test_a_folder_that_was_changed_or_is_not_complete_is_never_opened(shared):
    machine, other = shared(), shared()
    name = machine.put(made(machine), "local")
    machine._files.pipe_file(machine._at(name, "model/weights"), b"9999")
    with pytest.raises(VersionError, match="was changed after it was saved; lsml tries again"):
        other.open(name)
    machine._files.rm_file(f"{machine._at(name)}.json")
    with pytest.raises(
        VersionError, match="is not there, or not complete; a machine that has a copy gives it back, else restore it"
    ):
        other.open(name)
    assert list(other.copies.root.iterdir()) == [], "nothing is left of either try"
    assert files(machine.open(name)) == FILES, "the machine that made it has it"


def test_what_the_service_refuses_is_an_error_and_leaves_nothing(shared, monkeypatch):
    artifacts, tries = shared(), []

    def refuse(*arguments):
        tries.append(arguments)
        raise RuntimeError("SlowDown")

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda _seconds: None)
        patch.setattr(artifacts._files, "pipe_file", refuse)
        with pytest.raises(OSError, match="RuntimeError: SlowDown"):
            artifacts.put(made(artifacts), "local")
    assert len(tries) == 4, "a service may refuse for a moment"
    assert artifacts._kept() == {}


def test_a_service_that_is_not_known_is_a_sentence(tmp_path):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    with pytest.raises(StoreError, match=r"abfs://.*; see storage.artifacts of the recipe"):
        open_artifacts(tmp_path, "abfs://container/prefix", "triage")
