"""One rule says which labeling config counts, on every way in: `known_config`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lsml.binding.configs import known_config
from lsml.cli import main
from lsml.recipe import load_recipe
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, Backend, event, export, tickets, write_recipe

RENAMED = TOPICS.replace('name="topic"', 'name="subject"')


@pytest.mark.parametrize(
    ("in_recipe", "told", "stored", "of_project", "local"),
    [
        ("recipe", "told", "stored", "told", "told"),
        ("recipe", None, "stored", "stored", "recipe"),
        ("recipe", None, None, "recipe", "recipe"),
        (None, None, "stored", "stored", "stored"),
        (None, None, None, None, None),
        ("recipe", "", "stored", "", ""),
    ],
)
def test_what_is_told_counts_first_then_a_projects_own_or_else_the_recipes(
    tmp_path, in_recipe, told, stored, of_project, local
):
    recipe = load_recipe(write_recipe(tmp_path, config=TOPICS if in_recipe else None))
    of = {"recipe": TOPICS}
    for project, expected in ((True, of_project), (False, local)):
        found = known_config(recipe, told=told, stored=stored, of_project=project)
        assert found is None if expected is None else found.strip() == of.get(expected, expected).strip()


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def renamed(tmp_path):
    """(recipe, export, data directory) where `local` learnt `topic`, and the recipe has called it `subject` since."""
    recipe, data = write_recipe(tmp_path), tmp_path / "data"
    (tmp_path / "export.json").write_text(json.dumps(export(tickets(60))))
    run("train", recipe, tmp_path / "export.json", "--data-dir", data)
    write_recipe(tmp_path, config=RENAMED)
    return recipe, tmp_path / "export.json", data


def test_requests_without_a_project_and_offline_commands_serve_a_renamed_control_alike(renamed, tmp_path):
    recipe, tasks, data = renamed
    told = run("predict", recipe, tasks, "-o", tmp_path / "out.json", "--data-dir", data, code=1)
    assert "project local: subject:text-classifier: it is not in v1, so it starts untrained; train on a file" in told
    backend = Backend(recipe, data)
    assert backend.predict("refund my invoice") == [[]]
    # A request that carries a config is answered under that one.
    (prediction,) = backend.predict("refund my invoice", label_config=TOPICS)
    assert prediction["result"][0]["from_name"] == "topic"
    backend.store.close()


def test_train_and_evaluate_ask_the_recipe_before_what_local_knew(renamed):
    recipe, tasks, data = renamed
    answers = [{**task, "annotations": [{"id": 1, "result": [{**task["annotations"][0]["result"][0], "from_name": "subject"}]}]}
               for task in json.loads(tasks.read_text())]  # fmt: skip
    tasks.write_text(json.dumps(answers))
    told = run("evaluate", recipe, tasks, "--data-dir", data, code=1)
    assert "subject:text-classifier: it is not in v1" in told
    assert "\n  subject: macro_f1 " in run("train", recipe, tasks, "--data-dir", data)


def test_a_project_keeps_its_own_config_whatever_becomes_of_the_recipes(tmp_path):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    backend.annotate(tickets(60))
    backend.train()
    backend.store.close()
    again = Backend(write_recipe(tmp_path, config=RENAMED), tmp_path / "data")
    (prediction,) = again.predict("refund my invoice", project=PROJECT_KEY)
    assert prediction["result"][0]["from_name"] == "topic"
    assert again.post("/webhook", event(61, "refund", "Billing")).status_code == 200
    assert again.train(PROJECT)["job_status"] == "finished"
    models = again.client.get(f"/api/projects/{PROJECT_KEY}").json["versions"][0]["models"]
    assert set(models) == {"topic:text-classifier"}
    again.store.close()
