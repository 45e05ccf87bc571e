"""The dashboard and the alert rules ask for metrics and labels that /metrics has."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT_KEY, TOPICS, tickets

MONITORING = Path(__file__).parent.parent / "deploy" / "monitoring"
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
RULES = [
    rule for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
QUERIES = [
    (f"panel {panel['title']}", target["expr"], target["legendFormat"])
    for panel in PANELS
    for target in panel["targets"]
]
QUERIES += [(rule["alert"], rule["expr"], " ".join(rule["annotations"].values())) for rule in RULES]


@pytest.fixture
def metrics(backend) -> dict[str, set[str]]:
    """The labels of every metric, by the name that queries use."""
    server = backend()
    server.annotate(tickets(60))
    server.train()
    server.predict("refund", project=PROJECT_KEY, label_config=TOPICS)
    server.predict("refund")
    decisions = {"topic:text-classifier": {"taken": True, "why": "better", "compared": {
        "new": 0.9, "promoted": 0.8, "tasks": 40, "with": "v1", "changed": 0.15}}}  # fmt: skip
    drift = {"against": "v1", "index": 0.4, "limit": 0.25, "learnt": 40, "recent": 40, "labels": {"Bug": [0.1, 0.6]}}
    judged = {"topic": {"metric": "macro_f1", "value": 0.9, "examples": 40, "per_label": {}}}
    card = {"recipe": "triage", "models": {}, "metrics": judged, "verdict": "promoted: better", "decisions": decisions,
            "drift": {"topic:text-classifier": drift}}  # fmt: skip
    server.store.versions.add(PROJECT_KEY, "p/1", card, promote=True, run=None)
    publishing = server.store.runs.request(PROJECT_KEY, "publishing", kind="publishing")
    server.store.claims.claim(publishing.id)
    found: dict[str, set[str]] = {}
    for line in server.client.get("/metrics").text.splitlines():
        sample = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line)
        if sample and not line.startswith("#"):
            found.setdefault(sample[1], set()).update(re.findall(r'(\w+)="', sample[2] or ""))
    return found


def test_every_query_asks_for_metrics_and_labels_that_are_there(metrics):
    assert len(QUERIES) > 20
    for name, query, words in QUERIES:
        asked = set(re.findall(r"lsml_[a-z_]+", query))
        assert asked, name
        assert asked <= metrics.keys(), f"{name}: {asked - metrics.keys()}"
        labels = set().union(*(metrics[one] for one in asked))
        used = set(re.findall(r"(\w+)=~?\"", query)) | set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", words))
        used |= {one.strip() for group in re.findall(r"(?:by|on) \(([^)]*)\)", query) for one in group.split(",")}
        assert used <= labels, f"{name}: {used - labels}"
        assert [query.count(one) for one in "({["] == [query.count(one) for one in ")}]"], name


def test_alerts_say_what_happened_and_what_to_do():
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["for"]


def test_panels_have_descriptions_and_do_not_overlap():
    assert all(panel["description"] for panel in PANELS)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len(set(places)) == len(places)
