"""What a download leaves where it fails, and what it says: nothing is lost, and no secret of a URL is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsml.adapters.base import NamedWeights
from lsml.adapters.image.yolo.weights import missing
from lsml.adapters.parts.weight_files import VARIABLE, file_name, find_weights, shown_weights
from lsml.cli.fetching import fetch
from lsml.errors import AdapterError, FetchError, LsmlError
from lsml.recipe.lock import check_lock, lock_file, lock_text, read_lock
from tests.support.hub import hub

BROKEN = "https://[x/best.onnx"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    monkeypatch.setenv(VARIABLE, str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def served(tmp_path):
    """A hub with a file of weights."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "best.onnx").write_bytes(b"weights")
    with hub() as made:
        made.add(source)
        yield made


def brought(url):
    return fetch(NamedWeights(url, "url"), None, lambda *_: None)


def refusal(url):
    with pytest.raises(FetchError) as error:
        brought(url)
    return str(error.value)


def test_published_weights_stay_until_the_new_ones_are_there(weights, monkeypatch):
    downloads = pytest.importorskip("ultralytics.utils.downloads")
    weights.mkdir()
    mine = weights / "yolo11n.pt"
    mine.write_bytes(b"old")
    named = NamedWeights("yolo11n.pt", "ultralytics")

    def interrupted(file):
        Path(file).write_bytes(b"ne")
        raise ConnectionError("no network")

    monkeypatch.setattr(downloads, "attempt_download_asset", interrupted)
    with pytest.raises(FetchError, match="could not be downloaded"):
        fetch(named, None, lambda *_: None, newest=True)
    assert mine.read_bytes() == b"old" and list(weights.iterdir()) == [mine]

    def complete(file):
        Path(file).write_bytes(b"new")
        return file

    monkeypatch.setattr(downloads, "attempt_download_asset", complete)
    assert list(fetch(named, None, lambda *_: None, newest=True).files) == ["yolo11n.pt"]
    assert mine.read_bytes() == b"new" and list(weights.iterdir()) == [mine]


def test_what_is_no_url_is_missing_where_it_is_looked_up_and_refused_where_it_is_fetched(weights):
    assert find_weights(BROKEN) is None
    assert missing(BROKEN, download=False) == f"{BROKEN} is not on this machine; download it once: lsml fetch RECIPE"
    assert refusal(BROKEN).startswith(f"{BROKEN} could not be downloaded from https://")
    assert refusal("https://host:abc/best.onnx") == "https://host:abc/best.onnx: is not a URL; check its host and port"


def test_a_folder_that_cannot_be_made_is_a_sentence(weights, served):
    weights.write_text("a file")
    said = refusal(f"{served.url}/files/best.onnx")
    assert said == f"{weights}: cannot be written: File exists; name another folder in {VARIABLE}"


def test_a_user_in_a_url_is_refused_and_never_shown(weights):
    said = refusal("https://me:told@example.com/best.onnx")
    assert said == (
        "https://example.com/best.onnx: weights are not fetched with a user or token in their URL; take it out"
    )


def test_a_query_is_shown_nowhere_and_tells_files_apart(weights, served, tmp_path):
    url = f"{served.url}/files/best.onnx?signature=told"
    locked = brought(url)
    assert list(locked.files) == [file_name(url)] and (weights / file_name(url)).read_bytes() == b"weights"
    assert shown_weights(url) == f"{served.url}/files/best.onnx?{file_name(url)[:12]}"
    assert shown_weights(url) != shown_weights(f"{served.url}/files/best.onnx?signature=other")
    assert "told" not in refusal(f"{served.url}/none/best.onnx?signature=told")
    assert "(HTTPStatusError: 404 Not Found)" in refusal(f"{served.url}/none/best.onnx?signature=told")

    recipe = tmp_path / "mine.yaml"
    text = lock_text(recipe, {shown_weights(url): locked})
    assert "told" not in text
    lock_file(recipe).write_text(text)
    assert read_lock(recipe) == {shown_weights(url): locked}
    check_lock(recipe)
    (weights / file_name(url)).write_bytes(b"others")
    with pytest.raises(AdapterError, match="is not the file of "):
        check_lock(recipe)


def test_a_redirect_to_a_place_without_tls_is_refused(weights, served):
    said = refusal(f"{served.url}/moved/best.onnx")
    assert "weights are not fetched without TLS from http://example.com; " in said
    assert list(weights.iterdir()) == []


def test_a_source_that_is_none_is_said_of_the_lock_file(tmp_path):
    recipe = tmp_path / "mine.yaml"
    lock_file(recipe).write_text("lsml: 1\nweights: {one.pt: {source: ftp, files: {}}}\n")
    with pytest.raises(LsmlError, match="cannot be read as a lock file: Invalid enum value 'ftp'"):
        check_lock(recipe)
