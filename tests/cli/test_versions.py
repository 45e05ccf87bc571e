"""What is told of versions, also of one whose card another program wrote."""

import json

import msgspec
import pytest
from click.testing import CliRunner

from lsml.cli import main
from lsml.store import Store
from lsml.versions import Card
from tests.conftest import write_recipe

BROKEN = "version v1 of project local: its card cannot be read: Object missing required field `recipe`"


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose newest version of two can be read, and whose first one, which is served, cannot."""
    path = write_recipe(tmp_path)
    store = Store(tmp_path / ".lsml" / "triage")
    store.projects.touch("local")
    for card in ({}, msgspec.to_builtins(Card("triage", {}, verdict="not promoted: as good"))):
        store.versions.add("local", f"folder-{len(card)}", card, promote=not card, run=None)
    store.close()
    return str(path)


def said(*arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_card_that_cannot_be_read_costs_only_its_own_version(recipe):
    rows = said("versions", recipe).splitlines()
    assert [rows[0].split()[1], rows[1].strip()] == ["v2", "not promoted: as good"]
    assert rows[2].split()[1] == "v1" and rows[2].endswith("  promoted") and rows[3].strip() == BROKEN
    readable, unreadable = json.loads(said("versions", recipe, "--json"))
    assert readable["card"]["recipe"] == "triage" and "error" not in readable
    assert unreadable["card"] is None and unreadable["error"] == BROKEN


def test_the_status_of_a_project_whose_card_cannot_be_read_says_so(recipe):
    assert f"  {BROKEN}" in said("status", recipe).splitlines()
