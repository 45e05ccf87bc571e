"""The example plug-in, installed like any package: lsml finds it, offers its options, and it keeps the contract."""

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, export, tickets

PACKAGE = REPOSITORY / "examples" / "lsml-keyword-classifier"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment in which the plug-in is on the path."""
    target = tmp_path_factory.mktemp("plug-in")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(PACKAGE)], check=True)
    return {**os.environ, "PYTHONPATH": str(target)}


def lsml(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "lsml", *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_it_keeps_the_contract(installed, tmp_path):
    test = PACKAGE / "test_keyword_classifier.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(test)]
    done = subprocess.run(command, env=installed, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_lsml_lists_it_with_its_options(installed):
    shown = lsml(installed, "adapters", "keyword-classifier").stdout
    assert "keyword-classifier: labels by the words that speak for them" in shown
    assert "shortest (default 3): Letters of a word that counts." in shown


def test_the_schema_knows_it(installed):
    assert '"keyword-classifier"' in lsml(installed, "schema").stdout
    assert '"keyword-classifier"' not in lsml(installed, "schema", "--builtin").stdout


def test_a_recipe_that_names_it_trains_and_predicts(installed, tmp_path):
    import json

    from tests.conftest import write_recipe

    recipe = write_recipe(tmp_path, "tags: {Choices: {adapter: keyword-classifier, options: {shortest: 2}}}\n")
    (tmp_path / "export.json").write_text(json.dumps(export(tickets(60))))
    trained = lsml(installed, "train", str(recipe), str(tmp_path / "export.json"))
    assert trained.returncode == 0, trained.stderr
    judged = lsml(installed, "evaluate", str(recipe), str(tmp_path / "export.json"), "--json")
    assert json.loads(judged.stdout)["tags"]["topic"]["value"] > 0.9


def test_an_option_out_of_bounds_is_an_error_at_its_line(installed, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "lsml: 1\nname: r\ntags:\n  Choices:\n    adapter: keyword-classifier\n    options: {shortest: 99}\n"
    )
    done = lsml(installed, "validate", str(recipe))
    assert done.returncode == 2
    assert done.stderr == f"{recipe}:6:15: tags.Choices.options.shortest: expected at most 20, got 99\n"
