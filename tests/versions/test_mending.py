"""A version whose files the artifact store lost is given back by a machine that has a sound copy."""

import json

import pytest

from lsml.versions import card_of, check_files
from lsml.versions.mending import mend
from tests.conftest import PROJECT_KEY, Backend, tickets, write_recipe


@pytest.fixture
def made(tmp_path):
    """An lsml with one version, whose files are in a folder that other machines see."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    storage = json.dumps({"artifacts": f"file://{tmp_path}/kept"})
    backend = Backend(write_recipe(tmp_path, f"storage: {storage}\n"), tmp_path / "data")
    backend.annotate(tickets(40))
    backend.train()
    yield backend
    backend.store.close()


def test_lost_files_are_given_back_unless_the_copy_is_damaged(made, tmp_path, caplog):
    row = made.store.versions.served(PROJECT_KEY)
    folder = tmp_path / "kept" / "triage" / row.folder
    assert mend(made.store) == []
    (weights,) = folder.rglob("*.skops")
    weights.unlink()
    assert mend(made.store) == [row.folder]
    assert f"v1 of project {PROJECT_KEY}: gave the artifact store the files that it had lost" in caplog.text
    check_files(folder, card_of(row))

    weights.unlink()
    (copy,) = made.store.artifacts.open(row.folder).rglob("*.skops")
    copy.chmod(0o600)
    copy.write_bytes(b"damaged")
    assert mend(made.store) == []
    assert "the artifact store lost files of it" in caplog.text
    assert not weights.exists()


def test_a_folder_that_cannot_be_given_back_does_not_keep_others_from_it(made, tmp_path, caplog):
    made.annotate(tickets(40), 41)
    made.train()
    first, second = (tmp_path / "kept" / "triage" / folder for folder in sorted(made.store.versions.folders()))
    for folder in (first, second):
        next(folder.rglob("*.skops")).unlink()
    # An older lsml kept this.
    (made.store.artifacts.open(str(first.relative_to(tmp_path / "kept" / "triage"))) / "old.pkl").write_bytes(b"")
    assert mend(made.store) == [str(second.relative_to(tmp_path / "kept" / "triage"))]
    assert "old.pkl is a pickle" in caplog.text


def test_what_no_version_names_is_not_given_back(made, tmp_path):
    row = made.store.versions.served(PROJECT_KEY)
    made.store.versions._run("DELETE FROM version")
    made.store.artifacts._files.rm_file(made.store.artifacts._at(row.folder) + ".json")
    assert mend(made.store) == []
