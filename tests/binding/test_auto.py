"""`adapter: auto`: which adapter is chosen, why, and what becomes of it when the recipe changes."""

from __future__ import annotations

import json

import pytest

from lsml.adapters.text.classifier import TextClassifier
from lsml.binding import bind, fits, settled
from lsml.binding.auto import Auto
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.labeling import parse_labeling_config
from lsml.learning.fit import fit, resumed
from lsml.recipe import load_recipe
from lsml.values import Choice
from tests.conftest import TOPICS, tickets, write_recipe

WORDS = "{adapter: text-classifier, options: {C: 10, class_weight: none, characters: null}}"
# Of shuffled words, three in a row tell little.
BLIND = "{adapter: text-classifier, options: {C: 10, class_weight: none, ngrams: [3, 3], characters: null}}"
NO_ENCODER = "{adapter: text-embedding-classifier, options: {encoder: nowhere}}"


def bound(tmp_path, *models, more=""):
    tags = f"tags: {{Choices: {{adapter: auto, models: [{', '.join(models)}]{more}}}}}\n"
    recipe = load_recipe(write_recipe(tmp_path, tags))
    [model] = bind(recipe, parse_labeling_config(TOPICS)).models
    return model


def examples(count):
    from lsml.adapters.base import Example

    # Some more words in each, so that three in a row find something.
    return [Example(f"{text} and then some more words", (Choice(label),)) for text, label in tickets(count)]


def chosen(model, count=20):
    adapter = fit(model, examples(count))
    assert isinstance(adapter, Auto) and adapter.selection is not None
    return adapter


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A model whose second adapter is the better one, and what it learnt."""
    model = bound(tmp_path_factory.mktemp("auto"), BLIND, WORDS)
    return model, chosen(model)


def test_what_answers_best_is_chosen_wherever_it_stands(learnt):
    _, adapter = learnt
    selection = adapter.selection
    assert (selection.chosen, selection.metric, selection.examples) == ("text-classifier:2", "macro_f1", 20)
    assert list(selection.figures) == ["text-classifier", "text-classifier:2"]
    bad, good = selection.figures.values()
    assert bad < good
    assert selection.sentence == (
        f"selected text-classifier:2: macro_f1 {good:.3f}, text-classifier {bad:.3f} (cross-validation of 20 examples)"
    )
    assert adapter.notes[0] == selection.sentence


def test_of_those_that_are_as_good_the_first_is_chosen_always_the_same(tmp_path):
    model = bound(tmp_path, WORDS, WORDS)
    first, second = chosen(model, 12), chosen(model, 12)
    assert first.selection == second.selection
    assert first.selection.chosen == "text-classifier"
    assert len(set(first.selection.figures.values())) == 1
    asked = [example.data for example in examples(6)]
    assert first.predict(asked) == second.predict(asked)


def test_an_adapter_that_was_not_chosen_before_begins_anew(learnt, tmp_path, monkeypatch):
    """Also where those that go on from a saved version are candidates."""
    monkeypatch.setattr(TextClassifier, "resumes", True)
    model, before = learnt
    before.save(tmp_path)
    adapter = resumed(model, tmp_path)
    assert adapter.resumes
    fit(model, examples(6), begun=adapter)
    assert (before.selection.chosen, adapter.selection.chosen) == ("text-classifier:2", "text-classifier")
    assert not adapter.resumes


def test_of_too_few_examples_the_first_that_can_learn_is_taken(tmp_path):
    selection = chosen(bound(tmp_path, NO_ENCODER, WORDS), 6).selection
    assert selection.chosen == "text-classifier"
    assert selection.sentence == (
        "selected text-classifier, the first that can be trained: 6 examples are too few for a comparison"
    )


def test_what_cannot_learn_here_is_passed_over_and_said(tmp_path):
    adapter = chosen(bound(tmp_path, NO_ENCODER, WORDS), 20)
    assert adapter.selection.chosen == "text-classifier"
    assert "text-embedding-classifier could not be trained (cross" in adapter.selection.sentence
    # Where its library is installed, the weights are nowhere.
    (why,) = (note for note in adapter.notes if note.startswith("text-embedding-classifier: "))
    assert "nowhere" in why or "its library is not installed" in why


def test_where_none_can_learn_each_says_why(tmp_path):
    model = bound(tmp_path, NO_ENCODER, NO_ENCODER)
    with pytest.raises(AdapterError, match="text-embedding-classifier: .*; text-embedding-classifier:2: "):
        fit(model, examples(20))
    with pytest.raises(NotEnoughData, match="text-classifier: all 1 examples have the label"):
        fit(bound(tmp_path, WORDS, BLIND), examples(1))


def test_before_it_learnt_it_says_nothing_and_has_features(tmp_path):
    adapter = bound(tmp_path, NO_ENCODER, WORDS).new_adapter()
    assert not adapter.ready
    assert adapter.features(["some words", "other words"]).shape[0] == 2


def test_a_saved_one_answers_alike_and_knows_why(tmp_path, learnt):
    model, adapter = learnt
    folder = tmp_path / "saved"
    folder.mkdir()
    adapter.save(folder)
    again = model.new_adapter()
    again.load(folder)
    asked = [example.data for example in examples(9)]
    assert (again.selection, again.predict(asked)) == (adapter.selection, adapter.predict(asked))
    # One more candidate in front changes nothing; without the one that was chosen there is nothing to load.
    more = bound(tmp_path, NO_ENCODER, WORDS)
    assert fits(more, settled(model, adapter).fingerprint)
    other = bound(tmp_path, NO_ENCODER, NO_ENCODER)
    assert not fits(other, settled(model, adapter).fingerprint)
    with pytest.raises(VersionError, match="trained with text-classifier:2, which is no longer in the recipe"):
        other.new_adapter().load(folder)
    (folder / "chosen.json").write_text(json.dumps({"chosen": 7}))
    with pytest.raises(VersionError, match="auto cannot read it"):
        model.new_adapter().load(folder)


def test_an_option_of_any_candidate_decides_what_the_next_training_learns(tmp_path):
    digests = {bound(tmp_path, one, WORDS).options_digest for one in (WORDS, BLIND, NO_ENCODER)}
    assert len(digests) == 3
    facts = [json.dumps(bound(tmp_path, one, WORDS).facts(None)) for one in (WORDS, NO_ENCODER)]
    assert facts[0] != facts[1]
