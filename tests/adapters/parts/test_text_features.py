"""TextFeatures and TfidfVectorizer see the same in a text, whatever it is written in."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lsml.adapters.base import Example, Target
from lsml.adapters.parts import text_features
from lsml.adapters.parts.text_features import Block, TextFeatures
from lsml.adapters.parts.vocabulary import cut
from lsml.adapters.text.classifier import TextClassifier
from lsml.values import Choice

LEARNT = [
    "The invoice was charged twice, please refund the invoice",
    "App crashes; app CRASHES when I open the settings",
    "İstanbul'da hava güzel ΟΔΥΣΣΕΥΣ Σ ΑΣ",
    "日本語のテキスト 中文没有空格 한국어",
    "e\u0301te\u0301 cafe\u0301 🤖🤖 👩‍👩‍👧 ok🙂ok",
    "a b c aa bb a aa",
    "tab\tand\x1cseparators\u2028and\u00a0spaces",
    "snake_case 123 1_2 ½ ²",
    "\U0001d49c\U0001d49e \U00010400 \ue000",
    "",
]
BLOCKS = [
    [Block("word", 1, 1)],
    [Block("word", 1, 2)],
    [Block("word", 2, 3)],
    [Block("char_wb", 1, 4)],
    [Block("char_wb", 4, 6)],
    [Block("word", 1, 2), Block("char_wb", 1, 4)],
]
PIECES = [piece for text in LEARNT for piece in (text, *text.split(), *text)]
texts = st.lists(st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map(" ".join), max_size=5)


def fitted(blocks, lowercase=True, most=100_000, learnt=LEARNT):
    features = TextFeatures(blocks, lowercase=lowercase, max_features=most)
    features.fit_transform(lambda: iter(learnt))
    vectorizers = [
        TfidfVectorizer(
            analyzer=block.analyzer, ngram_range=(block.low, block.high), lowercase=lowercase, max_features=most,
            sublinear_tf=True,
        ).fit(learnt)
        for block in blocks
    ]  # fmt: skip
    return features, lambda asked: hstack([one.transform(asked) for one in vectorizers], format="csr")


FITTED = [fitted(blocks, lowercase, most) for blocks in BLOCKS for lowercase, most in ((True, 100_000), (False, 40))]


@pytest.mark.parametrize(("features", "expected"), FITTED)
@given(asked=texts)
@settings(max_examples=60, deadline=None)  # which characters are letters is found out once
def test_any_texts_have_the_numbers_that_scikit_learn_gives_them(features, expected, asked):
    asked = [*asked, "refund the app"]
    rows = features.transform(asked)
    np.testing.assert_allclose(rows.toarray(), expected(asked).toarray(), atol=1e-12)
    assert rows.has_canonical_format


@given(asked=st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_lone_surrogates_are_read_as_characters(asked):
    features, expected = FITTED[-2]
    np.testing.assert_allclose(features.transform(asked).toarray(), expected(asked).toarray(), atol=1e-12)


@pytest.mark.parametrize("character", ["{0}", "{0}{0}", "a{0}b", "_{0}"])
def test_words_are_cut_at_every_character_as_scikit_learn_cuts_them(character):
    text = "\n" + "\n".join(map(character.format, map(chr, range(sys.maxunicode + 1)))) + "\n"
    words, begins = cut(text)
    found = list(re.finditer(TfidfVectorizer().token_pattern, text))
    assert words == [match[0] for match in found]
    assert begins.tolist() == [match.start() for match in found]


def test_no_texts_and_texts_without_words_have_rows():
    features, _ = FITTED[0]
    assert features.transform([]).shape == (0, features.width)
    assert features.transform(["", " ", "?"]).nnz == 0


def test_many_long_texts_are_counted_in_parts_to_the_same_numbers(monkeypatch):
    features, expected = FITTED[-2]
    monkeypatch.setattr(text_features, "_TOGETHER", 60)
    np.testing.assert_allclose(features.transform(LEARNT).toarray(), expected(LEARNT).toarray(), atol=1e-12)


def test_more_words_than_are_remembered_and_words_too_long_for_it_count_alike(monkeypatch):
    features, expected = fitted([Block("char_wb", 1, 4)])
    monkeypatch.setattr(text_features, "_REMEMBERED", 3)
    monkeypatch.setattr(text_features, "_LONGEST", 5)
    for _ in range(3):
        np.testing.assert_allclose(features.transform(LEARNT).toarray(), expected(LEARNT).toarray(), atol=1e-12)


def test_many_n_grams_that_share_buckets_are_told_apart():
    draw = np.random.default_rng(0)
    learnt = ["".join(map(chr, draw.integers(0x4E00, 0x5200, 60))) for _ in range(150)]
    features, expected = fitted([Block("char_wb", 1, 3), Block("word", 1, 2)], learnt=learnt)
    asked = [text[::-1] for text in learnt[:20]] + learnt[:20]
    np.testing.assert_allclose(features.transform(asked).toarray(), expected(asked).toarray(), atol=1e-12)


def test_a_version_of_an_earlier_lsml_is_read():
    """0.1 wrote this: terms joined by line ends in one array, and their idf."""
    state = {
        "lowercase": True,
        "blocks": [
            {"analyzer": "word", "low": 1, "high": 2, "terms": np.frombuffer(b"app\napp crashes\nrefund", np.uint8),
             "idf": np.array([1.0, 2.0, 1.5])},
            {"analyzer": "char_wb", "low": 3, "high": 3, "terms": np.frombuffer(b" ap\napp\npp ", np.uint8),
             "idf": np.ones(3)},
        ],
    }  # fmt: skip
    rows = TextFeatures.restore(state).transform(["APP crashes", "refund", "none"]).toarray()
    words = np.array([1.0, 2.0]) / np.sqrt(5)
    np.testing.assert_allclose(rows, [[*words, 0, *[3**-0.5] * 3], [0, 0, 1, 0, 0, 0], [0] * 6])


@pytest.mark.parametrize("characters", [None, (1, 4)])
def test_a_classifier_says_the_probabilities_of_scikit_learn_s_pipeline_at_its_temperature(characters):
    topics = {"bill": "invoice charge refund paid", "bug": "crash error broken slow"}
    learnt = [(f"the {word} number {n} {word}s", label) for label, said in topics.items() for word in said.split()
              for n in range(3)]  # fmt: skip
    adapter = TextClassifier(
        TextClassifier.Options(C=10.0, class_weight="balanced", characters=characters), Target(tuple(topics))
    )
    adapter.fit([Example(text, (Choice(label),)) for text, label in learnt], 0)
    blocks = [Block("word", 1, 2)] + ([Block("char_wb", *characters)] if characters else [])
    _, transform = fitted(blocks, learnt=[text for text, _ in learnt])
    regression = LogisticRegression(C=10.0, class_weight="balanced", max_iter=300, random_state=0)
    regression.fit(transform([text for text, _ in learnt]), [label for _, label in learnt])
    asked = ["Crashed twice 🤖", "no known word", "Refund the invoice, please", "é"]
    expected = regression.predict_proba(transform(asked)) ** (1 / adapter._head.state()["temperature"])
    expected /= expected.sum(axis=1, keepdims=True)
    told = [[value.score for value in values] for values in adapter.predict(asked)]
    np.testing.assert_allclose(told, expected, atol=1e-6)
