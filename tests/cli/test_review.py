"""`lsml review`: what it prints, the file that it writes, and whose annotations it takes."""

from __future__ import annotations

import json

import pytest

from tests.conftest import PROJECT, event, tickets
from tests.support.commands import export, lsml, refused, said, write_recipe


@pytest.fixture
def annotated(backend):
    """A backend whose project has 60 annotated tickets, of which task 30 is wrong."""
    made = backend("label_studio: {url: 'http://127.0.0.1:1', api_key: token-of-nobody}\n")
    for id, (text, label) in enumerate(tickets(60), 1):
        made.post("/webhook", event(id, text, label if id != 30 else "Billing" if label != "Billing" else "Bug"))
    return made


def run(made, *arguments: object):
    return lsml("review", made.recipe_path, *arguments, "--data-dir", made.store.directory, cwd=made.recipe_path.parent)


def test_suspects_are_listed_with_their_address_and_written_as_tasks(annotated, tmp_path):
    right = tickets(60)[29]
    file = tmp_path / "tasks.json"
    printed = said(run(annotated, "-o", file)).splitlines()
    assert printed[0].startswith("http://127.0.0.1:1/projects/1/data?task=30  topic: ")
    assert f"; the others suggest {right[1]} (" in printed[0]
    assert printed[1] == f"    {right[0]}"
    assert printed[-1] == f"1 answer is suspect in 60 annotated tasks; wrote {file}"
    (task,) = json.loads(file.read_text())
    assert task["data"] == {"text": right[0]}
    assert {"task": "30", "suggested": right[1]}.items() <= task["meta"]["lsml"].items()
    told = json.loads(said(run(annotated, "--json", "--project", PROJECT["title"])))
    assert (told["tasks"], [one["task"] for one in told["suspects"]]) == (60, ["30"])


def test_a_file_is_reviewed_and_one_without_a_fault_has_none(tmp_path):
    recipe = write_recipe(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps(export(tickets(40))))
    done = lsml("review", recipe.name, "export.json", cwd=tmp_path)
    assert said(done) == "nothing is suspect in 40 annotated tasks\n"


def test_whose_annotations_it_needs_to_know(annotated, tmp_path):
    recipe = write_recipe(tmp_path).name
    assert refused(lsml("review", recipe, cwd=tmp_path)) == (
        "no project has annotations yet; name a file of annotated tasks: `lsml review RECIPE EXPORT`"
    )
    other = {**event(1, "refund", "Billing"), "project": {**PROJECT, "id": 2, "title": "other"}}
    annotated.post("/webhook", other)
    assert "name the project with --project: 1." in refused(run(annotated))
    assert refused(run(annotated, "export.json", "--project", 1)).startswith("expected either EXPORT or --project")
    assert "there is no folder" in refused(run(annotated, "-o", "nowhere/tasks.json"))
