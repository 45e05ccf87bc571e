"""`lsml new` on everything that Label Studio offers: its own templates, and a project of a real one."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lsml.cli import main
from lsml.recipe import load_recipe
from tests.support.commands import lsml, refused, said
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio
from tests.support.studio_venv import studio_venv

pytestmark = pytest.mark.studio

# Which templates of Label Studio 1.23.2 are served whole, and which in part; people answer the others alone.
WHOLE = {
    *("chatbot-assessment", "content-based-image-search", "conversational-analysis", "document-retrieval"),
    *("coreference-resolution-and-entity-linking", "html-entity-recognition", "image-classification"),
    *("html-ner-tagging-person-and-organization", "intent-classification-and-slot-filling", "inventory-tracking"),
    *("keypoints", "medical-image-classification-with-bboxes", "multipage-documents", "named-entity-recognition"),
    *("ner-tagging-invoices-bio-format", "object-detection-with-bounding-boxes", "question-answering"),
    *("ocr-invoices-pre-ner-bio-format", "optical-character-recognition", "tabular-data"),
    *("relation-extraction", "response-grading", "response-selection", "semantic-segmentation-with-masks"),
    *("semantic-segmentation-with-polygons", "serp-ranking", "taxonomy", "text-classification", "text-to-image"),
    *("activity-recognition", "change-point-detection", "time-series-forecasting"),
    *(
        "chat_llm_eval",
        "content-moderation",
        "freeform-metadata",
        "machine-translation",
        "response-generation",
        "supervised-llm",
    ),
    *(
        "human-feedback-collection",
        "llm-ranker",
        "pairwise-classification",
        "pairwise-regression",
        "visual-ranker",
        "text-summarization",
        "visual-question-answering",
    ),
    *("asr-hypotheses", "automatic-speech-recognition", "signal-quality-detection"),
    *("sound-event-detection", "speaker-segmentation", "video-timeline-segmentation"),
    *("two-level-sentiment-analysis-of-x-twitter-posts", "video-object-tracking", "visual-genome"),
    *("video-classification", "video-frame-classification", "image-captioning"),
    "breast-cancer-mammogram-classification",
    # Stretches of which each is asked something.
    *("automatic-speech-recognition-using-segments", "intent-classification", "outliers-anomaly-detection"),
    *("pdf-classification", "signal-quality", "speech-transcription"),
    # Messages of chats, of which each is asked something.
    *("chat_red_team", "chat_rlhf", "chatbot"),
}
PART: set[str] = set()
NOT = {
    "chat_eval": "Chat#chat: no adapter supports Chat yet, so only people annotate it",
    # Its labels are mistakes that people find in the lines. A model that knows none of them would call every line a typo.
    "pdf_ocr": "OcrLabels#ocr: none of the labels is known to be that of a line of text; set one as options.label",
}
# Of several labels a stretch that nobody marked may be any: what to do about it stands in the warning.
WARNED = {"activity-recognition"}


def templates() -> dict[str, str]:
    """The labeling configs of the templates by name."""
    (folder,) = studio_venv().glob("**/site-packages/label_studio/annotation_templates")
    found: dict[str, Any] = {
        path.parent.name: yaml.safe_load(path.read_text("utf-8")) for path in folder.rglob("*.yml")
    }
    return {name: template["config"] for name, template in sorted(found.items())}


def here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """lsml in this process and folder: two hundred commands would start an interpreter each."""
    result = CliRunner().invoke(main, arguments)
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


def test_every_template_of_label_studio_becomes_a_recipe_or_says_why_none_can_serve_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    served = {}
    for name, config in templates().items():
        xml = tmp_path / f"{name}.xml"
        xml.write_text(config, encoding="utf-8")
        done = here("new", "--labeling-config", xml.name, "-o", f"{name}.yaml")
        unbound = [line for line in done.stderr.splitlines() if line.startswith("unbound: ")]
        if done.returncode:
            assert unbound == [f"unbound: {NOT[name]}"]
            assert refused(done, code=1).endswith("so no recipe can be written")
            served[name] = "not"
            continue
        served[name] = "in part" if unbound else "whole"
        valid = said(here("validate", f"{name}.yaml"))
        assert f"{name}.yaml: valid; {said(done).splitlines()[0]}" in valid
        explained = said(here("explain", f"{name}.yaml")).splitlines()
        assert [line for line in explained if line.startswith("unbound: ")] == unbound
        assert (name in WARNED) == any(line.startswith("warning: ") for line in explained)
    assert {name for name, how in served.items() if how == "whole"} == WHOLE
    assert {name for name, how in served.items() if how == "in part"} == PART
    assert Counter(served.values()) == {"whole": 67, "not": len(NOT)}


def test_a_real_project_becomes_a_recipe_by_either_kind_of_token(tmp_path: Path) -> None:
    with RealLabelStudio() as studio:
        config = templates()["text-classification"]
        project = studio.create_project("Tickets, all", config)
        for token in (LEGACY_TOKEN, studio.personal_access_token()):
            options = ("--url", studio.url, "--api-key", token, "--force")
            done = lsml("new", "--from-project", project, *options, cwd=tmp_path)
            assert said(done).splitlines() == [
                "bound: Choices#sentiment -> text-classifier",
                "wrote tickets-all.yaml; edit it, then: lsml run tickets-all.yaml",
            ]
            assert token not in (tmp_path / "tickets-all.yaml").read_text(encoding="utf-8")
        recipe = load_recipe(tmp_path / "tickets-all.yaml")
        assert recipe.label_studio.url == studio.url and "Choices" in (recipe.labeling_config or "")
        empty = studio.create_project("Nothing in it", "<View></View>")
        nothing = lsml("new", "--from-project", empty, *options, cwd=tmp_path)
        assert "it has no control tag, so no recipe can be written" in refused(nothing, code=1)
