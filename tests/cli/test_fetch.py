"""`lsml fetch` brings what a recipe names, once, and refuses other files later: from a hub on this machine, as nothing else is
reached from here."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import yaml

from tests.support.commands import lsml, refused, said
from tests.support.hub import NAME, digest, hub
from tests.support.pages import page_file
from tests.support.transformer_models import tiny_detector

CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image"><Label value="thing"/>'
    "</RectangleLabels></View>"
)


@pytest.fixture
def machine(tmp_path):
    """A folder with a recipe, the environment of its commands, and a hub."""
    with hub() as made:
        environment = {
            **os.environ, "HF_ENDPOINT": made.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1", "LSML_WEIGHTS_DIR": str(tmp_path / "weights"), "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        environment.pop("HF_HUB_OFFLINE", None)
        yield tmp_path, environment, made


def write(folder, adapter, weights):
    recipe = {
        "lsml": 1, "name": "mine", "labeling_config": CONFIG, "training": False,
        "tags": {"RectangleLabels": {"adapter": adapter, "options": {"weights": weights}}},
    }  # fmt: skip
    (folder / "mine.yaml").write_text(yaml.safe_dump(recipe))


def locked(folder):
    return yaml.safe_load((folder / "mine.lock.yaml").read_text())


@pytest.mark.models
def test_a_model_is_fetched_once_and_then_predicts_and_is_refused_where_it_changed(machine):
    folder, environment, made = machine
    source = tiny_detector(folder / "source")
    (source / "pytorch_model.bin").write_text("a pickle")
    commit = made.add(source)
    write(folder, "detector", NAME)
    before = lsml("explain", "mine.yaml", cwd=folder, environment=environment)
    assert f"the weights {NAME} are not on this machine; " in before.stdout + before.stderr

    done = lsml("fetch", "mine.yaml", cwd=folder, environment=environment)
    assert done.returncode == 0, done
    assert done.stdout == f"{NAME}: 3 files, recorded in mine.lock.yaml\n"
    assert done.stderr == f"{NAME}: downloading from {made.url}\n"
    names = ("config.json", "model.safetensors", "preprocessor_config.json")
    assert locked(folder)["weights"] == {
        NAME: {
            "source": "hub", "files": {name: digest(source / name) for name in names}, "repository": NAME, "revision": commit,
        }
    }  # fmt: skip
    after = lsml("explain", "mine.yaml", cwd=folder, environment=environment)
    assert "not on this machine" not in after.stdout + after.stderr

    made.asked.clear()
    assert said(lsml("fetch", "mine.yaml", cwd=folder, environment=environment)).endswith(
        "recorded in mine.lock.yaml\n"
    )
    assert made.asked == []

    # The hub has another model of that name by now: the recorded one is what is fetched and served.
    newer = shutil.copytree(source, folder / "newer")
    (newer / "config.json").write_text(json.dumps(json.loads((newer / "config.json").read_text()) | {"extra": 1}))
    made.add(newer)
    shutil.rmtree(folder / "hf")
    said_again = lsml("fetch", "mine.yaml", cwd=folder, environment=environment)
    assert said_again.returncode == 0 and locked(folder)["weights"][NAME]["revision"] == commit

    (folder / "tasks.json").write_text("[]")
    here = folder / "hf" / "hub" / f"models--{NAME.replace('/', '--')}" / "snapshots" / commit
    (here / "config.json").resolve().write_text("{}")
    change = refused(lsml("train", "mine.yaml", "tasks.json", cwd=folder, environment=environment), code=1)
    assert change.startswith(f"{here / 'config.json'}: is not the file of {NAME} that mine.lock.yaml records; ")
    assert lsml("fetch", "mine.yaml", cwd=folder, environment=environment).returncode == 0
    assert digest(here / "config.json") == digest(source / "config.json")

    assert lsml("fetch", "mine.yaml", "--update", cwd=folder, environment=environment).returncode == 0
    assert locked(folder)["weights"][NAME]["revision"] == made.main != commit


@pytest.mark.models
def test_the_recorded_revision_is_loaded_whatever_else_is_on_this_machine(machine):
    folder, environment, made = machine
    commit = made.add(tiny_detector(folder / "source", names=("thing", "other")))
    write(folder, "detector", NAME)
    assert lsml("fetch", "mine.yaml", cwd=folder, environment=environment).returncode == 0
    recorded = (folder / "mine.lock.yaml").read_text()

    # Another program took the newest one since.
    made.add(tiny_detector(folder / "newer", names=("cat", "dog")))
    assert lsml("fetch", "mine.yaml", "--update", cwd=folder, environment=environment).returncode == 0
    (folder / "mine.lock.yaml").write_text(recorded)
    model = folder / "hf" / "hub" / f"models--{NAME.replace('/', '--')}"
    assert (model / "refs" / "main").read_text() == made.main != commit

    explained = lsml("explain", "mine.yaml", cwd=folder, environment=environment)
    assert "    no label <- other\n" in explained.stdout and "cat" not in explained.stdout + explained.stderr
    page_file(folder / "page.png")
    (folder / "tasks.json").write_text(json.dumps([{"data": {"image": "page.png"}}]))
    predict = ("predict", "mine.yaml", "tasks.json", "-o", "out.json")
    assert lsml(*predict, cwd=folder, environment=environment).returncode == 0
    assert len(json.loads((folder / "out.json").read_text())[0]["predictions"]) == 1

    shutil.rmtree(model / "snapshots" / commit)
    missing = refused(lsml(*predict, cwd=folder, environment=environment), code=1)
    assert missing == (
        f"{NAME}: the revision that mine.lock.yaml records is not on this machine, but another one is; run `lsml fetch "
        "mine.yaml` to download it, or with --update to accept the newest"
    )


def test_a_url_is_fetched_and_its_file_is_what_is_recorded(machine):
    folder, environment, made = machine
    source = folder / "source"
    source.mkdir()
    (source / "best.onnx").write_bytes(b"\x00weights")
    made.add(source)
    write(folder, "yolo", f"{made.url}/files/best.onnx")
    assert lsml("fetch", "mine.yaml", cwd=folder, environment=environment).returncode == 0
    [(name, entry)] = locked(folder)["weights"].items()
    [(file, sha)] = entry["files"].items()
    assert name == f"{made.url}/files/best.onnx" and file.endswith("-best.onnx") and sha == digest(source / "best.onnx")
    assert (folder / "weights" / file).read_bytes() == b"\x00weights"

    (folder / "weights" / file).unlink()
    (source / "best.onnx").write_bytes(b"others")
    other = lsml("fetch", "mine.yaml", cwd=folder, environment=environment)
    assert other.returncode == 1 and "is not the file that the lock file records; " in other.stderr


def test_without_network_a_sentence_says_what_to_do(machine):
    folder, environment, _ = machine
    write(folder, "yolo", "http://127.0.0.1:9/best.pt")
    done = lsml("fetch", "mine.yaml", cwd=folder, environment=environment)
    assert done.returncode == 1 and done.stdout == ""
    assert "http://127.0.0.1:9/best.pt could not be downloaded from http://127.0.0.1 (ConnectError: " in done.stderr
    assert "name a proxy in HTTPS_PROXY or run `lsml fetch` on a machine with network and copy " in done.stderr
    assert not list((folder / "weights").iterdir()) and not (folder / "mine.lock.yaml").exists()


@pytest.mark.models
def test_a_hub_that_is_not_reached_is_named_with_its_mirror(machine):
    folder, environment, _ = machine
    write(folder, "detector", NAME)
    away = environment | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = lsml("fetch", "mine.yaml", cwd=folder, environment=away)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{NAME} could not be downloaded from http://127.0.0.1:9 (" in done.stderr
    assert (
        "name a proxy in HTTPS_PROXY, or a mirror in HF_ENDPOINT, or run `lsml fetch` on a machine with network"
        in done.stderr
    )


def test_weights_without_tls_are_refused(machine):
    folder, environment, _ = machine
    write(folder, "yolo", "http://example.com/best.pt")
    done = lsml("fetch", "mine.yaml", cwd=folder, environment=environment)
    assert done.returncode == 1 and "give a URL that begins with https://" in done.stderr


def test_a_recipe_without_weights_has_nothing_to_fetch(machine):
    folder, environment, _ = machine
    (folder / "mine.yaml").write_text("lsml: 1\nname: mine\ntags: {Choices: text-classifier}\n")
    assert said(lsml("fetch", "mine.yaml", cwd=folder, environment=environment)) == (
        "mine.yaml: names no weights that are elsewhere\n"
    )


def test_a_database_that_does_not_answer_is_not_asked(machine):
    folder, environment, made = machine
    source = folder / "source"
    source.mkdir()
    (source / "best.onnx").write_bytes(b"weights")
    made.add(source)
    write(folder, "yolo", f"{made.url}/files/best.onnx")
    with (folder / "mine.yaml").open("a") as recipe:
        recipe.write("storage: {database: 'postgresql://lsml@127.0.0.1:9/lsml'}\n")
    for name in ("LSML_WEIGHTS_DIR", "LSML_CACHE_DIR"):
        environment.pop(name, None)
    done = lsml("fetch", "mine.yaml", "--data-dir", "data", cwd=folder, environment=environment)
    assert done.returncode == 0, done
    [file] = (folder / "data" / "cache" / "weights").iterdir()
    assert file.read_bytes() == b"weights" and (folder / "data").stat().st_mode & 0o077 == 0


def test_a_damaged_lock_file_is_an_error_that_says_what_to_do(machine):
    folder, environment, _ = machine
    write(folder, "yolo", "yolo11n.pt")
    (folder / "mine.lock.yaml").write_text("weights: 3")
    done = lsml("fetch", "mine.yaml", cwd=folder, environment=environment)
    assert done.returncode == 1 and "mine.lock.yaml: cannot be read as a lock file: " in done.stderr
