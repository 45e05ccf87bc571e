"""The SHA-256 of files."""

import hashlib

import pytest

from lsml.files.digests import content_digest, file_digest, write_digested


def test_a_file_has_one_digest_while_it_is_written_and_after(tmp_path):
    path = tmp_path / "weights"
    with path.open("wb") as file:
        written = write_digested(file, [b"one ", b"", b"two"])
    assert path.read_bytes() == b"one two"
    assert written == file_digest(path) == content_digest(path) == hashlib.sha256(b"one two").hexdigest()


def test_what_the_blocks_raise_is_raised(tmp_path):
    def blocks():
        yield b"one"
        raise KeyError("two")

    with (tmp_path / "weights").open("wb") as file, pytest.raises(KeyError):
        write_digested(file, blocks())


def test_the_digest_of_a_folder_is_that_of_its_files_and_their_names(tmp_path):
    def folder(name, files):
        for file, text in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
        return content_digest(tmp_path / name)

    first = folder("first", {"a": "1", "inner/b": "2"})
    assert folder("same", {"inner/b": "2", "a": "1"}) == first
    assert folder("renamed", {"a": "1", "inner/c": "2"}) != first
    assert folder("first", {"a": "changed"}) != first


def test_a_file_that_is_missing_has_no_digest(tmp_path):
    for digest in (file_digest, content_digest):
        with pytest.raises(FileNotFoundError):
            digest(tmp_path / "missing")
