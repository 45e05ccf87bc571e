"""Several tags and several models over one task: one prediction, each learns on its own, and one that fails costs only itself."""

import json

import pytest

from lsml.adapters.base import Example
from lsml.adapters.text.classifier import TextClassifier
from lsml.adapters.text.matcher import TextMatcher
from lsml.adapters.text.ner_crf import NerCrf
from lsml.values import Span
from tests.conftest import REPOSITORY, Backend
from tests.support.sentences import sentences

CONFIG = """<View>
  <Labels name="entity" toName="text" smart="true"><Label value="PER"/><Label value="LOC"/><Label value="DATE"/></Labels>
  <Text name="text" value="$text"/>
  <Choices name="topic" toName="text"><Choice value="Travel"/><Choice value="Home"/></Choices>
  <Rating name="stars" toName="text"/>
</View>"""
TAGS = """tags:
  Labels:
    - adapter: text-matcher
      options: {patterns: {DATE: ['\\d{4}-\\d\\d-\\d\\d']}, keywords: {LOC: [Atlantis]}}
    - {adapter: ner-crf, threshold: 0.3}
  Choices: text-classifier
  Rating: text-regressor
"""
PROJECT = {"id": 3, "created_at": "2026-11-23T09:03:34.474647Z", "title": "several", "label_config": CONFIG}
TEXT = "we met Ines near Atlantis on 2024-05-01 again ."


def regions(example, topic, stars):
    """What an annotator answered for a sentence; None where a tag was left out."""
    made = [
        {"id": f"e{place}", "from_name": "entity", "to_name": "text", "type": "labels",
         "value": {"start": span.start, "end": span.end, "text": example.data[span.start : span.end], "labels": [span.label]}}
        for place, span in enumerate(example.values)
    ]  # fmt: skip
    if topic is not None:
        made.append({"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [topic]}})
    if stars is not None:
        made.append({"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": stars}})
    return made


class Several:
    """A backend with several tags, and a project that connected."""

    def __init__(self, backend):
        self.backend = backend
        self._id = 0

    def annotate(self, count, seed=7, topic=True):
        for example in sentences(count, seed=seed):
            self._id += 1
            stamp = f"2026-11-23T10:{self._id // 60:02d}:{self._id % 60:02d}.000000Z"
            about = "Travel" if any(span.label == "LOC" for span in example.values) else "Home"
            result = regions(example, about if topic else None, 5 if about == "Travel" else 1)
            answer = self.backend.post("/webhook", {
                "action": "ANNOTATION_CREATED", "project": PROJECT,
                "task": {"id": self._id, "data": {"text": example.data}, "updated_at": stamp},
                "annotation": {"id": self._id, "task": self._id, "updated_at": stamp, "result": result},
            })  # fmt: skip
            assert answer.status_code == 200, answer.text

    def train(self):
        return self.backend.train(PROJECT)

    def versions(self):
        """The cards of all versions, oldest first."""
        found = self.backend.client.get("/api/projects/3.1795424614").json["versions"]
        return sorted(found, key=lambda version: version["version"])

    def predict(self, *texts, context=None):
        asked = {"tasks": [{"id": place, "data": {"text": text}} for place, text in enumerate(texts)],
                 "project": "3.1795424614", "label_config": CONFIG, "params": {"context": context}}  # fmt: skip
        return self.backend.post("/predict", asked).json["results"]


@pytest.fixture
def several(backend):
    return Several(backend(TAGS, config=CONFIG))


def said(prediction, name="entity"):
    return sorted(
        (region["value"].get("text"), *region["value"].get("labels", ())) if name == "entity" else region["value"]
        for region in prediction["result"]
        if region["from_name"] == name
    )


ENTITIES = [("2024-05-01", "DATE"), ("Atlantis", "LOC"), ("Ines", "PER")]


def test_one_prediction_has_the_regions_of_every_tag_and_every_model(several):
    several.annotate(48)
    assert several.train()["job_status"] == "finished"
    [prediction] = several.predict(TEXT)
    assert said(prediction) == ENTITIES
    assert said(prediction, "topic") == [{"choices": ["Travel"]}]
    assert said(prediction, "stars")[0]["rating"] >= 4
    ids = [region["id"] for region in prediction["result"]]
    assert len(set(ids)) == len(ids) == 5
    assert 0 <= prediction["score"] <= 1


def test_before_anything_was_learnt_keywords_are_marked_and_nothing_else(several):
    [prediction] = several.predict(TEXT)
    assert said(prediction) == [("2024-05-01", "DATE"), ("Atlantis", "LOC")]
    assert len(prediction["result"]) == 2


def test_each_model_learns_from_the_annotations_that_answer_its_tag(several):
    several.annotate(30)
    several.annotate(30, seed=8, topic=False)
    several.train()
    [prediction] = several.predict(TEXT)
    assert said(prediction) == ENTITIES
    [version] = several.versions()
    learnt = {key: model["examples"] for key, model in version["models"].items()}
    assert learnt.keys() == {"entity:text-matcher", "entity:ner-crf:2", "topic:text-classifier", "stars:text-regressor"}
    assert learnt["topic:text-classifier"] < learnt["entity:ner-crf:2"] == learnt["stars:text-regressor"]


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        (NerCrf, [("2024-05-01", "DATE"), ("Atlantis", "LOC")]),
        (TextMatcher, [("Ines", "PER")]),
        (TextClassifier, ENTITIES),
    ],
)
def test_a_model_that_fails_costs_only_its_own_regions(several, monkeypatch, broken, left):
    several.annotate(48)
    several.train()

    def fail(self, batch):
        raise RuntimeError("the model broke")

    monkeypatch.setattr(broken, "predict", fail)
    [prediction] = several.predict(TEXT)
    assert set(left) <= set(said(prediction))
    assert said(prediction, "stars")
    assert bool(said(prediction, "topic")) == (broken is not TextClassifier)


def test_a_model_that_cannot_learn_costs_only_itself(several, monkeypatch):
    several.annotate(48)

    def fail(self, examples, seed, progress=None):
        raise RuntimeError("the model broke")

    monkeypatch.setattr(NerCrf, "fit", fail)
    assert several.train()["job_status"] == "finished"
    [prediction] = several.predict(TEXT)
    assert ("2024-05-01", "DATE") in said(prediction)
    assert ("Ines", "PER") not in said(prediction)
    assert said(prediction, "topic") == [{"choices": ["Travel"]}]


def test_where_no_model_can_learn_the_run_fails_and_says_why(several, monkeypatch):
    several.annotate(20)

    def fail(self, examples, seed, progress=None):
        raise RuntimeError("the model broke")

    for name in (
        "ner_crf:NerCrf",
        "matcher:TextMatcher",
        "classifier:TextClassifier",
        "regressor:TextRegressor",
    ):
        module, _, adapter = name.partition(":")
        monkeypatch.setattr(f"lsml.adapters.text.{module}.{adapter}.fit", fail)
    ended = several.train()
    assert ended["job_status"] == "failed"
    assert "its training failed: RuntimeError; the log has the details" in json.dumps(ended)


@pytest.mark.slow
def test_a_promotion_judges_what_all_models_of_a_tag_show_together(several, monkeypatch):
    """A field that got worse is not taken, whatever the others of its tag find; those that got better are."""
    several.annotate(120)
    several.train()
    several.annotate(60, seed=9)
    fit = NerCrf.fit

    def fit_wrongly(self, examples, seed, *progress):
        fit(
            self,
            [Example(one.data, tuple(Span(0, 2, "DATE") for _ in one.values[:1])) for one in examples],
            seed,
            *progress,
        )

    monkeypatch.setattr(NerCrf, "fit", fit_wrongly)
    several.train()
    latest = several.versions()[-1]
    compared = latest["decisions"]["entity:ner-crf:2"]["compared"]
    # Without the field, the matcher still finds names that it remembers.
    assert 0 < compared["new"] < compared["promoted"]
    assert said(several.predict(TEXT)[0]) == ENTITIES


def test_an_interactive_selection_is_answered_by_the_matcher_alone(several):
    drawn = {"id": "x", "from_name": "entity", "to_name": "text", "type": "labels", "origin": "manual",
             "value": {"start": 0, "end": 3, "text": "Zoe", "labels": ["PER"]}}  # fmt: skip
    [prediction] = several.predict("Zoe saw Zoe near Atlantis", context={"result": [drawn]})
    assert [(region["value"]["start"], region["value"]["text"]) for region in prediction["result"]] == [(8, "Zoe")]
    several.annotate(48)
    several.train()
    [prediction] = several.predict("Zoe saw Zoe near Atlantis", context={"result": [drawn]})
    assert [region["value"]["start"] for region in prediction["result"]] == [8]


def test_what_label_studio_really_sends_for_a_selection_is_answered(tmp_path):
    recorded = json.loads((REPOSITORY / "tests" / "traffic" / "22_predict_interactive_ui_ner.json").read_text())["body"]
    (tmp_path / "r.yaml").write_text("lsml: 1\nname: r\ntags: {Labels: text-matcher}\n")
    backend = Backend(tmp_path / "r.yaml", tmp_path / "data")
    try:
        recorded["tasks"][0]["data"]["text"] += " 🤖 Ada Lovelace left."
        [answered] = backend.post("/predict", recorded).json["results"]
    finally:
        backend.store.close()
    [region] = answered["result"]
    assert region["value"] == {"start": 33, "end": 45, "text": "Ada Lovelace", "labels": ["PER"]}
    assert (region["from_name"], region["to_name"], region["type"]) == ("label", "text", "labels")


def test_relations_are_kept_as_they_were_drawn_and_what_they_join_is_learnt(backend):
    config = CONFIG.replace("<Rating", '<Relations><Relation value="lives in"/></Relations><Rating')
    project = {**PROJECT, "label_config": config}
    server = backend(TAGS, config=config)
    drawn = {}
    for id, example in enumerate(sentences(30), 1):
        result = regions(example, "Travel" if id % 2 else "Home", 3)
        if len(example.values) > 1:
            result.insert(
                1, {"type": "relation", "from_id": "e0", "to_id": "e1", "direction": "right", "labels": ["lives in"]}
            )
            result.append({"type": "relation", "from_id": "e1", "to_id": "nothing", "direction": "bi"})
        drawn[str(id)] = result
        stamp = f"2026-11-23T10:00:{id:02d}.000000Z"
        answer = server.post("/webhook", {
            "action": "ANNOTATION_CREATED", "project": project,
            "task": {"id": id, "data": {"text": example.data}, "updated_at": stamp},
            "annotation": {"id": id, "task": id, "updated_at": stamp, "result": result},
        })  # fmt: skip
        assert answer.json["changed"] == 1
    (row,) = server.store.projects.all()
    stored = {task.id: task.annotations[-1].result for task in server.store.annotations.tasks(row.key)}
    assert stored == drawn
    assert server.train(project)["job_status"] == "finished"
    (version,) = server.store.versions.of_project(row.key)
    assert not version.card["notes"]
    (prediction,) = server.predict(TEXT, project=row.key, label_config=config)
    assert {"Ines", "Atlantis"} & {region["value"].get("text") for region in prediction["result"]}
    # A person's answer in the editor names relations, too.
    context = {"result": [*drawn["1"], {"type": "relation", "from_id": "e0", "to_id": "e1"}]}
    asked = {"tasks": [{"id": 1, "data": {"text": TEXT}}], "project": row.key, "label_config": config,
             "params": {"context": context}}  # fmt: skip
    assert server.post("/predict", asked).status_code == 200
