"""Versions whose files are in an object store: no file is loaded that the database does not know."""

import msgspec
import pytest

from lsml.binding import bind
from lsml.errors import VersionError
from lsml.files.digests import file_digest
from lsml.recipe import Storage, load_recipe
from lsml.store import Store
from lsml.versions import Card, load_version, new_folder, save_version
from tests.conftest import write_recipe


@pytest.fixture
def machines(tmp_path):
    """Stores of three machines that share a disk; the first one makes a version."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    storage = Storage(artifacts=f"file://{tmp_path}/kept")
    stores = [Store(tmp_path / f"machine-{number}", storage, "triage") for number in range(3)]
    stores[0].projects.touch("local")
    return stores


def test_a_file_that_was_changed_with_its_manifest_is_refused_and_a_damaged_copy_is_brought_again(machines, tmp_path):
    maker, reader, other = machines
    binding = bind(load_recipe(write_recipe(tmp_path, config=None)), None)
    making = new_folder(maker)
    (making / "weights").write_bytes(b"0123")
    save_version(maker, "local", making, Card("triage", {}), promote=True, keep=2)
    row = maker.versions.served("local")
    copy = reader.artifacts.open(row.folder) / "weights"
    copy.write_bytes(b"damaged")
    assert load_version(binding, row, reader.artifacts).number == 1
    assert copy.read_bytes() == b"0123"

    kept = tmp_path / "kept" / "triage" / row.folder
    (kept / "weights").write_bytes(b"9999")
    manifest = kept.with_name(f"{kept.name}.json")
    hashes = msgspec.json.decode(manifest.read_bytes())
    manifest.write_bytes(msgspec.json.encode({**hashes, "weights": file_digest(kept / "weights")}))
    with pytest.raises(VersionError, match="weights: was changed after it was saved; restore it, or promote another"):
        load_version(binding, row, other.artifacts)
    assert load_version(binding, row, reader.artifacts).number == 1, "a copy that is sound needs no other"
