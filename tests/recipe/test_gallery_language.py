"""The recipes on transformers, each on a small real model that a package ships: served, trained, and right."""

from __future__ import annotations

import pytest

from lsml.adapters.base import Example, Target
from lsml.adapters.text.transformers_classifier import TransformersClassifier
from lsml.recipe.gallery import find_recipe
from lsml.values import Choice
from tests.conftest import Backend
from tests.support.sentences import sentences
from tests.support.transformer_models import (
    sentence_encoder,
    tiny_gliner,
    tiny_seq2seq,
    tiny_transformer,
    token_classifier,
)

pytestmark = pytest.mark.models
KEY = "7.1795424614"
TOPICS = {
    "Food": ["the soup was cold", "a delicious dessert", "we loved the pasta", "fresh bread every morning"],
    "Travel": ["the flight was late", "our hotel by the sea", "a long train ride", "we visited three countries"],
    "Money": ["the invoice is due", "interest rates went up", "my bank account", "they raised the price"],
}


def annotate(backend, tasks):
    """Annotations by webhook, a training, and the version that is served then."""
    project = {"id": 7, "created_at": "2026-11-23T09:03:34.474647Z", "title": "p",
               "label_config": backend.recipe.labeling_config}  # fmt: skip
    for id, (text, result) in enumerate(tasks, 1):
        stamp = f"2026-11-23T10:{id // 60:02d}:{id % 60:02d}.000000Z"
        answer = backend.post("/webhook", {
            "action": "ANNOTATION_CREATED", "project": project,
            "task": {"id": id, "data": {"text": text}, "updated_at": stamp},
            "annotation": {"id": id, "task": id, "updated_at": stamp, "result": result},
        })  # fmt: skip
        assert answer.status_code == 200, answer.text
    assert backend.train(project)["job_status"] == "finished"


def predict(backend, texts):
    tasks = [{"id": id, "data": {"text": text}} for id, text in enumerate(texts, 1)]
    asked = {"tasks": tasks, "project": KEY, "label_config": backend.recipe.labeling_config}
    return backend.post("/predict", asked).json["results"]


@pytest.fixture
def serve(tmp_path, monkeypatch):
    made = []

    def start(name, **environment):
        for variable, value in environment.items():
            monkeypatch.setenv(variable, str(value))
        monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
        recipe = tmp_path / f"{name}.yaml"
        recipe.write_text(find_recipe(name).read_text(encoding="utf-8").replace("# epochs: 5", "epochs: 5"))  # quicker
        made.append(Backend(recipe, tmp_path / "data"))
        return made[-1]

    yield start
    for backend in made:
        backend.store.close()


def test_few_shot_topics_learns_from_four_texts_of_each(serve):
    backend = serve("few-shot-topics", LSML_ENCODER=sentence_encoder())
    annotate(backend, [
        (text, [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [label]}}])
        for label, texts in TOPICS.items() for text in texts
    ])  # fmt: skip
    found = predict(backend, ["the cook burnt my steak", "the airport lost our suitcases", "I paid taxes on my salary"])
    assert [one["result"][0]["value"]["choices"] for one in found] == [["Food"], ["Travel"], ["Money"]]
    assert all(one["model_version"].startswith("few-shot-topics-v1-") for one in found)


def test_cold_start_answers_by_meaning_until_it_learnt_what_people_mean(serve):
    backend = serve("cold-start", LSML_ENCODER=sentence_encoder())
    asked = ["the cook burnt my steak", "the airport lost our suitcases", "zq"]
    food, travel, unclear = predict(backend, asked)
    assert [one["result"][0]["value"]["choices"] for one in (food, travel)] == [["Food"], ["Travel"]]
    assert unclear["result"] == []  # it is not sure enough of any
    assert food["model_version"].startswith("cold-start-v0-")
    # People mean something else by the labels, so that one can see who answers.
    taught = {"Food": "Money", "Travel": "Food", "Money": "Travel"}
    annotate(backend, [
        (text, [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [taught[label]]}}])
        for label, texts in TOPICS.items() for text in texts
    ])  # fmt: skip
    found = predict(backend, [TOPICS["Food"][0], TOPICS["Travel"][0]])
    assert [one["result"][0]["value"]["choices"] for one in found] == [["Money"], ["Food"]]
    assert all(one["model_version"].startswith("cold-start-v1-") for one in found)


def test_intents_takes_the_encoder_where_it_is_the_better_one(serve):
    backend = serve("intents", LSML_ENCODER=sentence_encoder())
    wants = {"Order": "Food", "Complaint": "Money", "Question": "Travel"}
    annotate(backend, [
        (text, [{"from_name": "intent", "to_name": "text", "type": "choices", "value": {"choices": [intent]}}])
        for intent, topic in wants.items() for text in TOPICS[topic]
    ])  # fmt: skip
    [found] = predict(backend, ["the cook burnt my steak"])
    assert found["result"][0]["value"]["choices"] == ["Order"]
    [version] = backend.store.versions.of_project(KEY)
    selection = version.card["models"]["intent:auto"]["selection"]
    figures = selection["figures"]
    assert selection["chosen"] == "text-embedding-classifier"
    assert figures["text-embedding-classifier"] > figures["text-classifier"]


def test_sentiment_transformers_answers_from_the_start_and_learns(serve, tmp_path):
    """On weights that are pretrained here, for no package ships any."""
    said = {"POSITIVE": ("lovely", "wonderful", "superb"), "NEGATIVE": ("awful", "dreadful", "boring")}
    examples = [
        Example(f"what {article} {word} {noun}", (Choice(label),))
        for label, words in said.items()
        for article in ("a", "one")
        for word in words
        for noun in ("day", "film")
    ]
    start = tiny_transformer(tmp_path / "encoder", [example.data for example in examples])
    options = {"weights": str(start), "learning_rate": 3e-3, "epochs": 10}
    pretrained = TransformersClassifier(TransformersClassifier.Options(**options), Target(tuple(said)))
    assert not pretrained.ready and pretrained.predict(["what a lovely day"]) == [[]]
    pretrained.fit(examples, 7)
    (tmp_path / "weights").mkdir()
    pretrained.save(tmp_path / "weights")
    backend = serve("sentiment-transformers", LSML_SENTIMENT=tmp_path / "weights")
    asked = ["what a superb day", "what one boring film", "what a dreadful day " * 100]
    found = predict(backend, asked)
    assert [one["result"][0]["value"]["choices"] for one in found] == [["Positive"], ["Negative"], ["Negative"]]
    assert found[0]["model_version"].startswith("sentiment-transformers-v0-")
    annotate(backend, [
        (example.data, [{"from_name": "sentiment", "to_name": "text", "type": "choices",
                         "value": {"choices": [example.values[0].label.capitalize()]}}])
        for example in examples
    ])  # fmt: skip
    found = predict(backend, asked)
    assert [one["result"][0]["value"]["choices"] for one in found] == [["Positive"], ["Negative"], ["Negative"]]
    assert found[0]["model_version"].startswith("sentiment-transformers-v1-")


def test_entities_transformers_learns_labels_that_its_weights_never_heard_of(serve, tmp_path):
    backend = serve("entities-transformers", LSML_NER=token_classifier(tmp_path / "weights"))
    names = {"PER": "Person", "LOC": "Place"}

    def regions(example):
        return [
            {"from_name": "entity", "to_name": "text", "type": "labels",
             "value": {"start": span.start, "end": span.end, "text": example.data[span.start : span.end],
                       "labels": [names[span.label]]}}
            for span in example.values
        ]  # fmt: skip

    before = predict(backend, ["Anna lives in Paris ."])[0]
    assert not before or not before["result"]  # no class of these weights means a label
    annotate(backend, [(example.data, regions(example)) for example in sentences(60)])
    asked = sentences(30, seed=9)
    found = predict(backend, [example.data for example in asked])
    said = {
        (n, r["value"]["start"], r["value"]["end"], *r["value"]["labels"])
        for n, one in enumerate(found)
        for r in one["result"]
    }
    true = {(n, s.start, s.end, names[s.label]) for n, example in enumerate(asked) for s in example.values}
    assert len(said & true) >= 0.8 * len(true)


def test_entities_in_words_are_those_of_the_labels(serve, tmp_path):
    """On random weights: what it finds means nothing, but has the form of an answer."""
    weights = tiny_gliner(tmp_path / "weights", ["take two pills a day for the pain"])
    backend = serve("entities-in-words", LSML_GLINER=weights)
    [found] = predict(backend, ["take two pills a day for the pain"])
    assert found["model_version"].startswith("entities-in-words-v0-")
    assert all(region["value"]["labels"][0] in ("Medicine", "Dose", "Complaint") for region in found["result"])


def test_summaries_learns_what_people_write(serve, tmp_path):
    """On weights with random numbers, which learn the gist of an easy world."""
    gists = {topic: f"about {topic.lower()}" for topic in TOPICS}
    texts = [text for texts in TOPICS.values() for text in texts]
    weights = tiny_seq2seq(tmp_path / "weights", [*texts, *gists.values(), "summarize :"])
    backend = serve("summaries", LSML_SEQ2SEQ=weights)
    annotate(backend, [
        (text, [{"from_name": "summary", "to_name": "text", "type": "textarea", "value": {"text": [gists[topic]]}}])
        for topic, texts in TOPICS.items() for text in texts * 3
    ])  # fmt: skip
    found = predict(backend, texts[:2])
    assert found[0]["model_version"].startswith("summaries-v1-")
    assert all(set(region["value"]) == {"text"} for one in found for region in one["result"])
