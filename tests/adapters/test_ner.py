"""ner: spans by a transformer, pretrained or learnt."""

import logging

import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.ner import Ner
from lsml.errors import AdapterError, Cancelled, VersionError
from lsml.values import Span
from tests.sentences import sentences
from tests.transformer_models import tiny_transformer, token_classifier

pytestmark = pytest.mark.models
OPTIONS = {"learning_rate": 3e-3, "epochs": 14, "max_length": 32}
LABELS = ("LOC", "PER")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_transformer(tmp_path_factory.mktemp("tiny"), [example.data for example in sentences(60)])


@pytest.fixture(scope="module")
def rampart(tmp_path_factory):
    return token_classifier(tmp_path_factory.mktemp("rampart"))


def new(weights, labels=LABELS, **options):
    return Ner(Ner.Options(weights=str(weights), **{**OPTIONS, **options}), Target(labels))


def said(adapter, text):
    return [(text[span.start : span.end], span.label) for span in adapter.predict([text])[0]]


@pytest.fixture(scope="module")
def learnt(encoder):
    adapter = new(encoder)
    adapter.fit(sentences(40), 7)
    return adapter


def test_a_plain_encoder_abstains_until_it_learnt(encoder, learnt):
    adapter = new(encoder)
    assert not adapter.ready and adapter.predict(["Anna lives in Paris ."]) == [[]]
    assert "is an encoder without entities of its own; it answers once it learnt" in Ner.lacks(
        adapter.options, adapter.target
    )
    assert said(learnt, "yesterday Anna lives in Paris .") == [("Anna", "PER"), ("Paris", "LOC")]
    assert not learnt.own_names


def test_a_text_longer_than_a_window_is_read_to_its_end(learnt):
    text = "nobody came to the party . " * 60 + "Anna moved to Oslo with a dog ."
    assert said(learnt, text)[-2:] == [("Anna", "PER"), ("Oslo", "LOC")]
    assert learnt.predict([text])[0][-1].end == len(text) - len(" with a dog .")


def test_names_beside_each_other_stay_two(encoder):
    people = ("Anna", "Bob", "Clara", "Dario")
    examples = [
        Example(f"{a} {b} came", (Span(0, len(a), "PER"), Span(len(a) + 1, len(a) + 1 + len(b), "PER")))
        for a in people
        for b in people
    ]
    adapter = new(encoder, ("PER",))
    adapter.fit(examples, 7)
    assert said(adapter, "Anna Clara came") == [("Anna", "PER"), ("Clara", "PER")]


def test_no_word_is_split_and_offsets_are_code_points(learnt):
    text = "🤖 yesterday Anna lives in Paris ."
    assert ("Anna", "PER") in said(learnt, text)
    for span in learnt.predict([text])[0]:
        assert " " not in text[span.start : span.end]


def test_a_real_model_finds_what_it_was_made_for(rampart):
    adapter = new(rampart, (), max_length=128)
    assert adapter.ready and adapter.own_names
    names = Ner.class_names(adapter.options, adapter.target)["span"]
    assert "EMAIL" in names
    text = "My name is Maria Keller; mail me at maria.keller@example.org please."
    found = said(adapter, text)
    assert ("maria.keller@example.org", "EMAIL") in found
    assert any(part in "Maria Keller" for part, _ in found)


def test_a_head_keeps_what_it_knew_of_a_label_and_learns_a_new_one(rampart):
    """After next to no training a kind of the old head is still found, and the new one is among the labels."""
    examples = [
        Example("write to anna@example.org today", (Span(9, 25, "EMAIL"),)),
        Example("the code is X7", (Span(12, 14, "CODE"),)),
    ]
    adapter = new(rampart, ("EMAIL", "CODE"), epochs=1, learning_rate=1e-7)
    adapter.fit(examples, 7)
    text = "please mail me at otto.meier@example.com soon"
    assert ("otto.meier@example.com", "EMAIL") in said(adapter, text)
    assert {span.label for span in adapter.predict([text])[0]} <= {"EMAIL", "CODE"}


def test_onnx_answers_as_torch_does(rampart, caplog):
    texts = ["My name is Maria Keller; mail me at maria.keller@example.org.", "Call 312-555-0188.", ""]
    plain = new(rampart, (), max_length=128).predict(texts)
    with caplog.at_level(logging.WARNING):
        fast = new(rampart, (), max_length=128, accelerate="onnx").predict(texts)
    assert not caplog.records
    assert [[(s.start, s.end, s.label) for s in spans] for spans in fast] == [
        [(s.start, s.end, s.label) for s in spans] for spans in plain
    ]


def test_a_training_can_be_cancelled_in_the_middle(encoder):
    def cancel(share, _message):
        if share > 0.3:
            raise Cancelled("cancelled")

    adapter = new(encoder)
    with pytest.raises(Cancelled):
        adapter.fit(sentences(24), 7, cancel)
    assert not adapter.ready


def test_training_stops_early_where_nothing_gets_better(encoder):
    heard = []
    adapter = new(encoder, epochs=200, patience=2)
    adapter.fit(sentences(40), 7, lambda share, _message: heard.append(share))
    assert max(heard[:-1]) < 0.9
    assert said(adapter, "yesterday Bob lives in Oslo .") == [("Bob", "PER"), ("Oslo", "LOC")]


def test_what_is_missing_is_one_sentence(encoder, tmp_path):
    with pytest.raises(NotEnoughData, match="0 of 2 texts have a marked span"):
        new(encoder).fit([Example("a", ()), Example("b", ())], 7)
    assert "the weights no/where are not on this machine" in Ner.lacks(Ner.Options(weights="no/where"), Target())
    with pytest.raises(
        AdapterError, match="no/where is no folder with a model of transformers, nor one that was fetched"
    ):
        new("no/where").fit(sentences(6), 7)
    with pytest.raises(VersionError, match=r"holds no model\.safetensors; restore it, or train anew"):
        new(encoder).load(tmp_path)
