"""`adapter: auto` from a recipe to what people are told of the choice."""

import json

from click.testing import CliRunner

from lsml.cli import main
from tests.conftest import export, tickets, write_recipe

WORDS = "{adapter: text-classifier, options: {C: 10, class_weight: none}}"
NO_ENCODER = "{adapter: text-embedding-classifier, options: {encoder: nowhere}}"


def test_the_choice_is_in_the_card_and_said_by_explain_and_versions(tmp_path):
    recipe = str(write_recipe(tmp_path, f"tags: {{Choices: {{adapter: auto, models: [{NO_ENCODER}, {WORDS}]}}}}\n"))
    (tmp_path / "done.json").write_text(json.dumps(export(tickets(24))))

    def run(*arguments):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    row = "auto (text-embedding-classifier, text-classifier) -> "
    before = run("explain", recipe)
    assert row in before and "selected" not in before
    run("train", recipe, str(tmp_path / "done.json"))
    after = run("explain", recipe)
    assert row in after
    assert "local, v1: topic:auto selected text-classifier: macro_f1 " in after
    assert "topic:auto: selected text-classifier: macro_f1 " in run("versions", recipe)
    card = json.loads(run("versions", recipe, "--json"))[0]["card"]
    assert card["models"]["topic:auto"]["selection"]["chosen"] == "text-classifier"
    assert any(note.startswith("topic:auto: selected text-classifier: macro_f1 ") for note in card["notes"])
    # A second run compares with what was chosen, and finds it the same.
    run("train", recipe, str(tmp_path / "done.json"))
    assert "same" in json.dumps(json.loads(run("versions", recipe, "--json"))[0]["card"]["decisions"])
