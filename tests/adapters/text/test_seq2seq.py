"""Texts from texts. No package ships a trained encoder-decoder, so that one with random weights shows all but quality."""

import random

import pytest

from lsml.adapters.base import Example, Target
from lsml.errors import AdapterError, NotEnoughData
from lsml.values import Text
from tests.conftest import tickets

pytestmark = pytest.mark.models
ANSWERS = {"Billing": "about money", "Bug": "it is broken", "Question": "needs help"}


def answered(count, seed):
    return [Example(text, (Text(ANSWERS[label]),)) for text, label in tickets(count, seed=seed)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from tests.support.transformer_models import tiny_seq2seq

    texts = [text for text, _ in tickets(80)]
    return tiny_seq2seq(tmp_path_factory.mktemp("seq2seq"), [*texts, *ANSWERS.values()])


def adapter_of(weights, **options):
    from lsml.adapters.text.seq2seq import Seq2Seq

    given = {"learning_rate": 5e-3, "epochs": 20, "device": "cpu", "max_answer": 8, **options}
    return Seq2Seq(Seq2Seq.Options(weights=str(weights), **given), Target())


@pytest.fixture(scope="module")
def learnt(weights):
    adapter = adapter_of(weights)
    adapter.fit(answered(60, 7), 1)
    return adapter


def test_peoples_texts_are_learnt(learnt):
    tests = answered(30, 5)
    said = learnt.predict([example.data for example in tests])
    right = sum(one.text == e.values[0].text for e, [one] in zip(tests, said, strict=True))
    assert right >= 25
    assert all(0 < one.score <= 1 for [one] in said)


def test_beams_and_long_and_blank_texts_are_answered(learnt, tmp_path):
    learnt.save(tmp_path)
    long = " ".join(random.Random(1).choices([text for text, _ in tickets(9)], k=80))
    for beams in (1, 3):
        none, [one] = adapter_of(tmp_path, beams=beams, max_length=16).predict([" ", long])
        assert none == [] and one.text in ANSWERS.values() and 0 < one.score <= 1


def test_answers_of_a_multilingual_model_begin_with_their_language_when_they_are_learnt(tmp_path, monkeypatch):
    from transformers import AutoTokenizer, M2M100ForConditionalGeneration

    from tests.support.transformer_models import tiny_nllb

    pairs = [("a bad day", "abend"), ("a bed", "band")]
    folder = tiny_nllb(tmp_path, [text for pair in pairs for text in pair])
    seen = []
    forward = M2M100ForConditionalGeneration.forward

    def seeing(self, *args, labels=None, input_ids=None, **more):
        if labels is not None:
            for row, answer in zip(input_ids.tolist(), labels.tolist(), strict=True):
                seen.append(([id for id in row if id != 1], [id for id in answer if id != -100]))  # without padding
        return forward(self, *args, labels=labels, input_ids=input_ids, **more)

    monkeypatch.setattr(M2M100ForConditionalGeneration, "forward", seeing)
    adapter = adapter_of(folder, first_token="deu_Latn", epochs=1)
    adapter.fit([Example(text, (Text(answer),)) for text, answer in pairs], 1)
    library = AutoTokenizer.from_pretrained(folder, src_lang="eng_Latn", tgt_lang="deu_Latn")
    told = [library(text, text_target=answer) for text, answer in pairs]
    assert sorted(seen) == sorted((one["input_ids"], one["labels"]) for one in told)


def test_what_is_missing_is_named(weights, tmp_path):
    from lsml.adapters.text.seq2seq import Seq2Seq

    absent = adapter_of(tmp_path / "absent")
    assert not absent.ready and absent.predict(["a text"]) == [[]]
    with pytest.raises(AdapterError, match="seq2seq: the weights .*absent are not on this machine; correct the path"):
        absent.fit(answered(4, 1), 1)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "is no encoder-decoder" in Seq2Seq.lacks(Seq2Seq.Options(weights=str(tmp_path)), Target())
    assert Seq2Seq.downloads(Seq2Seq.Options(), Target())[0].repository == "google/flan-t5-small"
    with pytest.raises(AdapterError, match="its tokenizer has no token deu_Latn; correct first_token"):
        adapter_of(weights, first_token="deu_Latn").predict(["a text"])
    with pytest.raises(NotEnoughData, match="1 texts have an answer; annotate at least two"):
        adapter_of(weights).fit([*answered(1, 1), Example("a text", ())], 1)
