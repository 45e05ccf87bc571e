"""The text adapters: accuracy of the defaults, probabilities to sort by, the same numbers as scikit-learn."""

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.regressions import candidates
from lsml.adapters.parts.text_features import Block, TextFeatures
from lsml.adapters.text.classifier import TextClassifier
from lsml.adapters.text.regressor import TextRegressor
from lsml.errors import VersionError
from lsml.values import Choice, Number
from tests.conftest import tickets
from tests.support.cases import STARS

_PRIZES = ["prize", "cash", "holiday", "iPhone", "voucher", "reward", "ringtone"]
_ACTIONS = ["call", "text", "reply to", "claim now at", "click", "send STOP to"]
_PEOPLE = ["mum", "Tom", "Anna", "the boss", "grandma", "Lee"]
_PLANS = ["dinner", "the film", "work", "the gym", "lunch", "class", "the match"]


def message(draw):
    """(text, label) of a world like a phone's inbox: one message in seven is spam, and some of each look like the other."""
    if draw.random() < 0.13:
        number = f"0{draw.randint(800, 899)}{draw.randint(100000, 999999)}"
        text = draw.choice(
            [
                f"WINNER!! You have won a {draw.choice(_PRIZES)} worth {draw.randint(2, 90)}0 pounds, {draw.choice(_ACTIONS)} {number}",
                f"FREE {draw.choice(_PRIZES)}! {draw.choice(_ACTIONS)} {number} to get yours. Ts&Cs apply",
                f"Urgent: your account got a {draw.choice(_PRIZES)}. {draw.choice(_ACTIONS).title()} {number} today only",
                f"Hot singles near you, {draw.choice(_ACTIONS)} {number} 150p/min",
            ]
        )
        return text, "spam"
    text = draw.choice(
        [
            f"hey {draw.choice(_PEOPLE)} are we still on for {draw.choice(_PLANS)} at {draw.randint(1, 11)}?",
            f"sorry {draw.choice(_PEOPLE)}, running late for {draw.choice(_PLANS)}, call you in {draw.randint(5, 50)} min",
            f"ok lol see you after {draw.choice(_PLANS)} x",
            f"did you win at {draw.choice(_PLANS)}? {draw.choice(_PEOPLE)} wants to know, text me",
            f"can you pick up {draw.choice(['milk', 'bread', 'the kids'])} before {draw.choice(_PLANS)}, thanks",
            f"I'm free after {draw.choice(_PLANS)}, shall I call {draw.choice(_PEOPLE)}?",
        ]
    )
    return text, "ham"


def learnt(pairs, labels=(), **options):
    adapter = TextClassifier(
        TextClassifier.Options(**options), Target(tuple(labels) or tuple(sorted({p[1] for p in pairs})))
    )
    adapter.fit([Example(text, (Choice(label),)) for text, label in pairs], seed=1)
    return adapter


def best(values):
    return max(values, key=lambda value: value.score)


@pytest.mark.parametrize("seed", range(5))
def test_the_defaults_tell_spam_in_an_unbalanced_inbox_from_a_few_hundred_texts(seed):
    draw = random.Random(seed)
    train, test = [message(draw) for _ in range(320)], [message(draw) for _ in range(400)]
    answered = learnt(train).predict([text for text, _ in test])
    right = sum(best(values).label == label for values, (_, label) in zip(answered, test, strict=True))
    assert right / len(test) >= 0.96


@pytest.mark.parametrize("seed", range(5))
def test_wrong_labels_among_the_examples_of_an_unbalanced_inbox_are_held_at_bay(seed):
    """One label in twenty is wrong, so that every third example of spam is none."""
    draw = random.Random(seed)
    train, test = [message(draw) for _ in range(320)], [message(draw) for _ in range(400)]
    other = {"spam": "ham", "ham": "spam"}
    noisy = [(text, other[label] if draw.random() < 0.05 else label) for text, label in train]

    def accuracy(**options):
        answered = learnt(noisy, **options).predict([text for text, _ in test])
        return sum(best(values).label == label for values, (_, label) in zip(answered, test, strict=True)) / len(test)

    assert accuracy() >= 0.96
    assert accuracy() >= accuracy(C=10, class_weight="balanced")


def test_what_the_recipe_says_of_c_and_class_weights_is_not_searched():
    def settings(**options):
        return candidates(TextClassifier.Options(**options))

    assert settings(C=2.0, class_weight="balanced") == ((2.0, 1),)
    assert settings(C=2.0, class_weight="none") == ((2.0, 0),)
    assert settings(C=2.0) == ((2.0, 1), (2.0, 0.5), (2.0, 0))
    assert settings()[0] == (10, 1)


def test_probabilities_sort_right_answers_before_wrong_ones():
    """Of noisy texts, the surer half must be right clearly more often."""
    draw = random.Random(3)
    pairs = []
    for text, label in tickets(600, seed=3):
        words = text.split()
        pairs.append((" ".join(words[: draw.randint(1, 4)]), label))
    answered = learnt(pairs[:300]).predict([text for text, _ in pairs[300:]])
    judged = [
        (best(values).score, best(values).label == label)
        for values, (_, label) in zip(answered, pairs[300:], strict=True)
    ]
    judged.sort(reverse=True)
    sure = [right for _, right in judged[:150]]
    unsure = [right for _, right in judged[150:]]
    assert sum(sure) > sum(unsure) + 15
    # And they mean what they say: on average they promise what is kept, within a tenth.
    assert abs(np.mean([score for score, _ in judged]) - np.mean([right for _, right in judged])) < 0.1


def test_probabilities_of_one_label_sum_to_one_and_of_several_do_not_have_to():
    (values,) = learnt(tickets(30)).predict(["refund"])
    assert sum(value.score for value in values) == pytest.approx(1)


@pytest.mark.parametrize("count", [2, 3, 4, 6, 10])
def test_very_few_texts_suffice_to_begin(count):
    adapter = learnt(tickets(count))
    assert best(adapter.predict([tickets(count)[0][0]])[0]).label == tickets(count)[0][1]


def test_languages_without_spaces_and_right_to_left_are_learnt():
    pairs = [
        ("退款 请尽快", "Billing"),
        ("程序崩溃了", "Bug"),
        ("أريد استرداد أموالي", "Billing"),
        ("التطبيق يتعطل", "Bug"),
    ] * 3
    adapter = learnt(pairs)
    assert [best(values).label for values in adapter.predict(["请退款", "التطبيق يتعطل دائما"])] == ["Billing", "Bug"]


def test_labels_that_are_not_of_the_config_are_not_learnt_unless_the_target_is_open():
    examples = [Example(text, (Choice(label),)) for text, label in tickets(30)]
    closed = TextClassifier(TextClassifier.Options(), Target(("Bug", "Billing")))
    closed.fit(examples, 1)
    assert {value.label for value in closed.predict(["x"])[0]} == {"Bug", "Billing"}
    opened = TextClassifier(TextClassifier.Options(), Target((), open=True))
    opened.fit(examples, 1)
    assert {value.label for value in opened.predict(["x"])[0]} == {"Bug", "Billing", "Question"}


def test_several_labels_are_learnt_each_on_its_own():
    draw = random.Random(1)
    examples = []
    for _ in range(150):
        some = draw.sample(["Billing", "Bug", "Question"], draw.randint(0, 2))
        texts = [next(t for t, label in tickets(30, seed=draw.randint(0, 99)) if label == one) for one in some]
        examples.append(Example(" ".join([*texts, "hello there"]), tuple(Choice(one) for one in some)))
    adapter = TextClassifier(TextClassifier.Options(), Target(("Billing", "Bug", "Question"), multiple=True))
    adapter.fit(examples[:120], 1)
    right = sum(
        {v.label for v in values if v.score >= 0.5} == {v.label for v in example.values}
        for values, example in zip(adapter.predict([e.data for e in examples[120:]]), examples[120:], strict=True)
    )
    assert right >= 24


def test_a_label_that_is_on_every_text_is_all_but_certain():
    examples = [Example(text, (Choice("Always"), Choice(label))) for text, label in tickets(30)]
    adapter = TextClassifier(TextClassifier.Options(), Target(("Always", "Billing", "Bug", "Question"), multiple=True))
    adapter.fit(examples, 1)
    always = next(value for value in adapter.predict(["something else"])[0] if value.label == "Always")
    assert always.score > 0.9


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        ([], "0 examples have a label; annotate at least two texts with different answers"),
        (
            [Example("a", (Choice("Bug"),))] * 3,
            "all 3 examples have the label 'Bug'; annotate at least two texts with different answers",
        ),
        ([Example("", (Choice("Bug"),)), Example(" ", (Choice("Billing"),))], "the texts have no words to train on"),
    ],
)
def test_what_cannot_be_learnt_from_says_so(examples, sentence):
    adapter = TextClassifier(TextClassifier.Options(), Target(("Bug", "Billing")))
    with pytest.raises(NotEnoughData) as error:
        adapter.fit(examples, 1)
    assert str(error.value) == sentence
    assert not adapter.ready


def test_features_are_the_same_numbers_as_scikit_learn_s():
    texts = [text for text, _ in tickets(50)] + ["", "ÄÖÜ ß 日本語 🤖", "a a a a b", "Word. word, WORD!"]
    blocks = [Block("word", 1, 2), Block("char_wb", 2, 4)]
    features = TextFeatures(blocks, lowercase=True, max_features=100_000)
    fitted = features.fit_transform(lambda: iter(texts))
    expected = [
        TfidfVectorizer(analyzer=b.analyzer, ngram_range=(b.low, b.high), sublinear_tf=True)
        .fit_transform(texts)
        .toarray()
        for b in blocks
    ]
    np.testing.assert_allclose(fitted.toarray(), np.hstack(expected))
    np.testing.assert_allclose(features.transform(texts).toarray(), np.hstack(expected), atol=1e-12)
    restored = TextFeatures.restore(features.state())
    np.testing.assert_array_equal(restored.transform(texts).toarray(), features.transform(texts).toarray())


def test_a_number_is_surer_where_its_models_agree():
    examples = [Example(text, (Number(STARS[label]),)) for text, label in tickets(90)]
    adapter = TextRegressor(TextRegressor.Options(), Target())
    adapter.fit(examples, 1)
    (clear,), (mixed,) = adapter.predict([tickets(3)[0][0], "crash refund tutorial"])
    assert abs(clear.value - STARS[tickets(3)[0][1]]) < 0.5
    assert clear.score > mixed.score


def test_alike_numbers_are_learnt_as_that_number():
    adapter = TextRegressor(TextRegressor.Options(), Target())
    adapter.fit([Example(text, (Number(3.0),)) for text, _ in tickets(12)], 1)
    ((value,),) = adapter.predict(["whatever"])
    assert (value.value, value.score) == (pytest.approx(3.0), pytest.approx(1.0))


@pytest.mark.parametrize("adapter_class", [TextClassifier, TextRegressor])
@pytest.mark.parametrize("damage", ["missing", "truncated", "prose", "empty"])
def test_a_damaged_file_raises_a_version_error_that_names_it(tmp_path, adapter_class, damage):
    values = (
        {"A": Choice("Bug"), "B": Choice("Billing")}
        if adapter_class is TextClassifier
        else {"A": Number(1), "B": Number(2)}
    )
    adapter = adapter_class(adapter_class.Options(), Target(("Bug", "Billing")))
    adapter.fit([Example("a crash", (values["A"],)), Example("a refund", (values["B"],))], 1)
    adapter.save(tmp_path)
    path = tmp_path / "model.skops"
    if damage == "missing":
        path.unlink()
    else:
        content = {"truncated": path.read_bytes()[:200], "prose": b"no model at all", "empty": b""}[damage]
        path.write_bytes(content)
    with pytest.raises(VersionError, match="model.skops: "):
        adapter_class(adapter_class.Options(), Target()).load(tmp_path)


def test_a_file_with_anything_but_data_is_refused(tmp_path):
    """A saved model is arrays and text: a file that names a function or class of its own is never built."""
    import skops.io

    class Trap:
        def __reduce__(self):
            return (print, ("this must not run",))

    skops.io.dump({"format": 1, "labels": ["a"], "weights": Trap()}, tmp_path / "model.skops")
    with pytest.raises(VersionError, match="UntrustedTypesFoundException"):
        TextClassifier(TextClassifier.Options(), Target()).load(tmp_path)
