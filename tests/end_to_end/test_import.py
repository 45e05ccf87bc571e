"""What `lsml predict` writes is what a real Label Studio imports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsml.labeling import parse_labeling_config
from lsml.labeling.importing import import_refusal
from tests.conftest import TOPICS, export, tickets, write_recipe
from tests.labeling.test_importing import CASES, CONFIG
from tests.support.commands import lsml, said
from tests.support.label_studio import RealLabelStudio, StudioFailed

pytestmark = pytest.mark.studio


def test_label_studio_refuses_the_tasks_that_lsml_leaves_out_and_no_other(studio: RealLabelStudio) -> None:
    project = studio.create_project("Refusals", CONFIG)
    for data, _ in CASES:
        try:
            studio.call("POST", f"/api/projects/{project}/import", json=[{"data": data, "predictions": []}])
            refused = False
        except StudioFailed:
            refused = True
        assert refused == (import_refusal(data, parse_labeling_config(CONFIG)) is not None), data


def test_a_file_with_tasks_that_cannot_be_shown_is_imported_with_all_others(
    studio: RealLabelStudio, tmp_path: Path
) -> None:
    write_recipe(tmp_path)
    (tmp_path / "train.json").write_text(json.dumps(export(tickets(60))))
    said(lsml("train", "triage.yaml", "train.json", cwd=tmp_path))
    tasks = [{"text": text} for text, _ in tickets(20)] + [{"other": "x"}, {"text": None}]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    said(lsml("predict", "triage.yaml", "tasks.json", "-o", "out.json", cwd=tmp_path))
    project = studio.create_project("Predictions", TOPICS)
    studio.call("POST", f"/api/projects/{project}/import", json=json.loads((tmp_path / "out.json").read_text()))
    assert [len(task["predictions"]) for task in studio.tasks(project)] == [1] * 20
