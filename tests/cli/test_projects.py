"""Offline commands with what a project of Label Studio learnt: named by key, number or title, or the only one that learnt."""

from __future__ import annotations

import json

import pytest

from tests.conftest import PROJECT, PROJECT_KEY, tickets
from tests.support.commands import lsml


@pytest.fixture
def learnt(backend, tmp_path):
    """A backend whose project learnt online, and a file of annotated tasks."""
    made = backend()
    made.annotate(tickets(40))
    assert made.train()["job_status"] == "finished"
    export = tmp_path / "export.csv"
    export.write_text("text,topic\n" + "\n".join(f"{text},{label}" for text, label in tickets(20, seed=9)))
    return made, export


def run(made, verb: str, *arguments: object):
    return lsml(verb, made.recipe_path, *arguments, "--data-dir", made.store.directory, cwd=made.recipe_path.parent)


@pytest.mark.parametrize("named", [(), ("--project", "1"), ("--project", PROJECT_KEY), ("--project", PROJECT["title"])])
def test_what_was_learnt_online_judges_and_predicts_offline(learnt, tmp_path, named):
    made, export = learnt
    judged = run(made, "evaluate", export, "--json", *named)
    assert judged.returncode == 0, judged.stderr
    answer = json.loads(judged.stdout)
    assert answer["model_version"].startswith("triage-v1-")
    assert answer["tags"]["topic"]["value"] > 0.6
    predicted = run(made, "predict", export, "-o", tmp_path / "out.json", *named)
    assert predicted.returncode == 0, predicted.stderr
    assert "20 of 20 tasks predicted by triage-v1-" in predicted.stdout
    if not named:
        assert f"with the version of project {PROJECT_KEY} (triage)" in judged.stderr


def test_several_projects_that_learnt_are_to_be_told_apart(learnt):
    made, export = learnt
    other = {**PROJECT, "id": 2, "title": "other"}
    assert made.post("/webhook", {"action": "PROJECT_UPDATED", "project": other}).status_code == 200
    made.store.versions.add("2.1795424614", "nowhere", {}, promote=False, run=None)
    refused = run(made, "evaluate", export)
    assert refused.returncode == 2
    assert f"name the project with --project: {PROJECT_KEY} (triage), 2.1795424614 (other)" in refused.stderr


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_where_nothing_was_learnt_a_sentence_says_so_and_no_table_of_zeros(backend, learnt, tmp_path, verb):
    _, export = learnt
    empty = backend()
    more = ("-o", tmp_path / "out.json") if verb == "predict" else ()
    refused = run(empty, verb, export, *more)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "project local: no model is trained yet; train on a file with `lsml train" in refused.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_project_that_nobody_knows_is_refused_with_those_that_there_are(learnt):
    made, export = learnt
    refused = run(made, "evaluate", export, "--project", "nobody")
    assert refused.returncode == 2
    assert f"no project nobody; there are {PROJECT_KEY} (triage)" in refused.stderr


def test_a_whole_name_promotes_a_version_of_the_project_that_it_names(learnt):
    made, _ = learnt
    made.store.versions.add("2.1795424614", "nowhere", {}, promote=False, run=None)
    name = made.client.get("/versions", query_string={"project": PROJECT_KEY}).json["versions"][0]
    assert name.endswith("-p1")
    promoted = run(made, "promote", name)
    assert promoted.stdout == f"project {PROJECT_KEY} serves v1\n"
    other = {**PROJECT, "id": 2, "title": "other"}
    assert made.post("/webhook", {"action": "PROJECT_UPDATED", "project": other}).status_code == 200
    refused = run(made, "promote", name, "--project", "other")
    assert refused.returncode == 2
    assert f"{name} belongs to another project than 2.1795424614 (other)" in refused.stderr
