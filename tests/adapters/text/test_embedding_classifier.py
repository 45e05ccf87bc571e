"""text-embedding-classifier: few labels, a real encoder that a package ships, and a cache of what it read."""

import json

import numpy as np
import pytest

from lsml.adapters.base import Example, Target
from lsml.adapters.parts import sentence_encoder as sentence_encoder_module
from lsml.adapters.text.embedding_classifier import Encoder, TextEmbeddingClassifier
from lsml.adapters.text.zero_shot import ZeroShot
from lsml.errors import AdapterError, VersionError
from lsml.values import Choice
from tests.conftest import tickets
from tests.support.transformer_models import sentence_encoder, tiny_transformer

pytestmark = pytest.mark.models
TOPICS = {
    "Food": ["the soup was cold", "a delicious dessert", "we loved the pasta", "fresh bread every morning"],
    "Travel": ["the flight was late", "our hotel by the sea", "a long train ride", "we visited three countries"],
    "Money": ["the invoice is due", "interest rates went up", "my bank account", "they raised the price"],
}
UNSEEN = {
    "Food": "the cook burnt my steak",
    "Travel": "the airport lost our suitcases",
    "Money": "I paid taxes on my salary",
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))


def learnt(weights=None, **options):
    options.setdefault("encoder", str(weights or sentence_encoder()))
    adapter = TextEmbeddingClassifier(TextEmbeddingClassifier.Options(**options), Target(tuple(TOPICS)))
    adapter.fit([Example(text, (Choice(label),)) for label, texts in TOPICS.items() for text in texts], 7)
    return adapter


def best(values):
    return max(values, key=lambda value: value.score).label


def test_four_examples_of_each_teach_what_texts_mean():
    answered = learnt().predict(list(UNSEEN.values()))
    assert [best(values) for values in answered] == list(UNSEEN)


def test_models_of_one_recipe_share_an_encoder_and_what_it_read(tmp_path, monkeypatch):
    folder = tiny_transformer(tmp_path / "encoder", [text for texts in TOPICS.values() for text in texts])
    loaded, read = [], []
    encoded, load = Encoder._encoded, sentence_encoder_module.load_model
    monkeypatch.setattr(Encoder, "_encoded", lambda self, texts: read.extend(texts) or encoded(self, texts))
    monkeypatch.setattr(sentence_encoder_module, "load_model", lambda *how: loaded.append(how) or load(*how))
    classifier = learnt(folder)
    asked = ZeroShot(ZeroShot.Options(encoder=str(folder)), Target(tuple(TOPICS)))
    texts = list(UNSEEN.values())
    assert all(classifier.predict(texts)) and all(asked.predict(texts))
    assert len(loaded) == 1 and [read.count(text) for text in texts] == [1, 1, 1]


def test_what_was_read_once_is_not_read_again(monkeypatch):
    read = []
    encoded = Encoder._encoded
    monkeypatch.setattr(Encoder, "_encoded", lambda self, texts: read.extend(texts) or encoded(self, texts))
    first = learnt()
    assert len(read) == 12
    again = learnt()
    assert len(read) == 12
    text = "a new text"
    assert first.predict([text]) == again.predict([text]) == first.predict([text])
    assert read[12:] == [text]


def test_a_damaged_cache_is_made_anew(tmp_path, caplog):
    expected = learnt().predict(["the soup"])
    [database] = (tmp_path / "cache" / "embeddings").glob("*.db")
    for path in (tmp_path / "cache" / "embeddings").iterdir():
        path.write_bytes(b"no database at all" * 300)
    assert learnt().predict(["the soup"]) == expected
    assert "embeddings cannot be cached" in caplog.text
    assert database.exists()


def test_all_of_a_long_text_counts():
    adapter = learnt(max_length=16)
    text = "nothing to say about it , really . " * 30 + "the soup and the pasta and the bread and the dessert . " * 30
    assert best(adapter.predict([text])[0]) == "Food"


def test_a_window_longer_than_the_encoder_can_see_is_shortened(tmp_path):
    encoder = tiny_transformer(tmp_path / "tiny", [text for texts in TOPICS.values() for text in texts])
    assert len(learnt(encoder, max_length=5000).predict(["the soup was cold " * 300])[0]) == 3


def test_another_encoder_is_another_model(tmp_path):
    learnt().save(tmp_path)
    other = tiny_transformer(tmp_path / "tiny", [text for text, _ in tickets(20)])
    adapter = TextEmbeddingClassifier(TextEmbeddingClassifier.Options(encoder=str(other)), Target(tuple(TOPICS)))
    with pytest.raises(VersionError, match="was trained with another encoder than .*tiny; train again"):
        adapter.load(tmp_path)


def test_an_encoder_that_is_not_here_is_one_sentence():
    options = TextEmbeddingClassifier.Options(encoder="no/where")
    sentence = TextEmbeddingClassifier.lacks(options, Target())
    assert "the encoder no/where is not on this machine" in sentence
    with pytest.raises(AdapterError, match="no/where is not a folder with an encoder of transformers"):
        learnt(encoder="no/where")


def test_a_version_whose_encoder_is_gone_abstains_and_costs_no_other_model(tmp_path):
    """It says so when it is asked, and is right again when the encoder is back."""
    encoder = tiny_transformer(tmp_path / "tiny", [text for texts in TOPICS.values() for text in texts])
    learnt(encoder).save(tmp_path)
    encoder.rename(tmp_path / "away")
    adapter = TextEmbeddingClassifier(TextEmbeddingClassifier.Options(encoder=str(encoder)), Target(tuple(TOPICS)))
    adapter.load(tmp_path)
    assert not adapter.ready and adapter.predict(["the soup"]) == [[]]
    (tmp_path / "away").rename(encoder)
    assert adapter.ready and len(adapter.predict(["the soup"])[0]) == 3


def test_another_encoder_in_its_place_is_refused(tmp_path):
    encoder = tiny_transformer(tmp_path / "tiny", [text for texts in TOPICS.values() for text in texts])
    learnt(encoder).save(tmp_path)
    encoder.rename(tmp_path / "away")
    adapter = TextEmbeddingClassifier(TextEmbeddingClassifier.Options(encoder=str(encoder)), Target(tuple(TOPICS)))
    adapter.load(tmp_path)
    tiny_transformer(encoder, [text for text, _ in tickets(20)])
    with pytest.raises(AdapterError, match="trained with another encoder than .*tiny; train again"):
        adapter.predict(["the soup"])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({}, "mean"),
    ],
)
def test_tokens_become_a_vector_as_the_encoder_was_made_to(tmp_path, facts, expected):
    folder = tiny_transformer(tmp_path, ["one two three"])
    (folder / "2_Pooling").mkdir()
    (folder / "2_Pooling" / "config.json").write_text(json.dumps(facts))
    (folder / "modules.json").write_text(
        json.dumps([{"type": "sentence_transformers.models.Pooling", "path": "2_Pooling"}])
    )
    encoder = Encoder("x", TextEmbeddingClassifier.Options(encoder=str(folder)))
    [row] = encoder.rows(["one two three"])
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)("one two three", return_tensors="pt")
    hidden = AutoModel.from_pretrained(folder)(**inputs).last_hidden_state[0].detach().numpy()
    vector = {"cls": hidden[0], "max": hidden.max(axis=0), "last": hidden[-1], "mean": hidden.mean(axis=0)}[expected]
    assert row == pytest.approx(vector / np.linalg.norm(vector), abs=1e-5)
