"""Labels without training data, by what they mean: on a small real encoder, and on a tiny model of inference that nobody
trained, which shows only how its answers are used."""

import numpy as np
import pytest

from lsml.adapters.base import Question, Target
from lsml.adapters.parts.entailment import Entailment, entailed_by
from lsml.adapters.text.zero_shot import ZeroShot, ZeroShotOptions
from lsml.labeling import join_path
from tests.support.transformer_models import sentence_encoder, tiny_head

models = pytest.mark.models
TEXTS = ["my card was charged twice", "the app crashes when I open it", "our hotel by the sea was lovely"]


def zero_shot(target, **options):
    return ZeroShot(ZeroShotOptions(encoder=str(sentence_encoder()), **options), target)


def best(values):
    return max(values, key=lambda value: value.score).label


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "zero-shot"))


@models
def test_the_name_of_a_label_is_enough():
    answers = zero_shot(Target(("Billing", "Software bug", "Travel"))).predict(TEXTS)
    assert [best(values) for values in answers] == ["Billing", "Software bug", "Travel"]
    assert all(0.9 < sum(value.score for value in values) < 1 for values in answers)


@models
def test_a_text_that_no_label_fits_leaves_the_probability_to_none():
    [values] = zero_shot(Target(("Billing", "Software bug", "Travel"))).predict(["zq"])
    assert sum(value.score for value in values) < 0.8


@models
def test_a_description_says_what_a_name_does_not():
    labels = ("A1", "B2", "C3")
    said = dict(zip(labels, ("payments", "software problems", "holidays."), strict=True))
    question = Question("topic", "choice", labels, descriptions=said)
    adapter = zero_shot(Target(labels, questions=(question,)))
    assert [best(values) for values in adapter.predict(TEXTS)] == list(labels)
    assert ZeroShot.facts(adapter.options, adapter.target) == [sorted(said.items())]


@models
def test_a_tree_is_decided_level_by_level_and_gives_its_lowest_labels():
    paths = [
        ("Money",),
        ("Money", "Card payment"),
        ("Money", "Loan"),
        ("Holiday",),
        ("Holiday", "Hotel"),
        ("Holiday", "Flight"),
    ]
    labels = tuple(map(join_path, paths))
    [card, _, hotel] = zero_shot(Target(labels)).predict(TEXTS)
    assert {value.label for value in card} == {join_path(path) for path in paths if len(path) == 2}
    assert best(card) == "Money / Card payment" and best(hotel) == "Holiday / Hotel"
    first = zero_shot(Target(("Money", "Holiday"))).predict(TEXTS)[0]
    money = next(value.score for value in first if value.label == "Money")
    assert sum(value.score for value in card if value.label.startswith("Money")) == pytest.approx(money)


@models
def test_of_several_labels_each_holds_or_not():
    labels = ("Hotel", "Sea", "Banking")
    [values] = zero_shot(Target(labels, multiple=True)).predict(TEXTS[2:])
    held = {value.label: value.score for value in values}
    assert held["Hotel"] > 0.5 > held["Banking"]


@models
def test_two_controls_are_answered_apart():
    topic, tone = Question("topic", "choice", ("Hotel", "Bank")), Question("tone", "choice", ("praise", "complaint"))
    adapter = zero_shot(Target(topic.labels + tone.labels, multiple=True, questions=(topic, tone)))
    scores = {value.label: value.score for value in adapter.predict(TEXTS[2:])[0]}
    assert 0.9 < scores["Hotel"] + scores["Bank"] < 1 and 0 < scores["praise"] + scores["complaint"] < 1


@models
def test_a_blank_text_has_no_label():
    assert zero_shot(Target(("A", "B"))).predict(["", " \n"]) == [[], []]


@models
def test_a_model_of_inference_says_which_sentences_follow(tmp_path):
    folder = tiny_head(tmp_path, TEXTS, "SequenceClassification", ("entailment", "neutral", "contradiction"))
    model = Entailment("zero-shot", str(folder), "cpu", 2)
    long = "crashes " * 2000
    holds, logits = model.judged([*TEXTS, long], ["This text is about money.", "This text is about a hotel."])
    assert holds.shape == logits.shape == (4, 2) and ((holds > 0) & (holds < 1)).all()
    alone, _ = model.judged(TEXTS[1:2], ["This text is about a hotel."])
    assert alone[0, 0] == pytest.approx(holds[1, 1], abs=1e-5)
    adapter = ZeroShot(ZeroShotOptions(entailment=str(folder)), Target(("money", "a hotel")))
    shares = np.exp(logits[0] - logits[0].max())
    expected = shares / shares.sum()
    template = ["This text is about money.", "This text is about a hotel."]
    assert [value.score for value in adapter.predict(TEXTS[:1])[0]] == pytest.approx(expected, abs=1e-5), template


@models
def test_a_model_that_infers_nothing_is_refused(tmp_path):
    folder = tiny_head(tmp_path, TEXTS, "SequenceClassification", ("POSITIVE", "NEGATIVE"))
    lacks = ZeroShot.lacks(ZeroShotOptions(entailment=str(folder)), Target(("A", "B")))
    assert lacks == f"zero-shot: {folder} has no class `entailment`; name a model of natural-language inference"
    assert not ZeroShot(ZeroShotOptions(entailment=str(folder)), Target(("A", "B"))).ready


def test_classes_of_inference_are_found_by_their_names():
    heads = {"architectures": ["BertForSequenceClassification"]}
    assert entailed_by({**heads, "id2label": {"0": "CONTRADICTION", "1": "NEUTRAL", "2": "ENTAILMENT"}}) == (2, 0)
    assert entailed_by({**heads, "id2label": {"0": "entailment", "1": "not_entailment"}}) == (0, 1)
    assert entailed_by({**heads, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}) is None
    assert entailed_by({}) is None


def test_missing_weights_say_what_to_do():
    options = ZeroShotOptions(encoder="nobody/nothing")
    assert ZeroShot.lacks(options, Target(("A", "B"))) == (
        "zero-shot: the encoder nobody/nothing is not on this machine; give the path of their folder, or download "
        "them once: lsml fetch RECIPE"
    )
    assert ZeroShot(options, Target(("A", "B"))).predict(["text"]) == [[]]


def test_labels_that_come_with_each_task_are_not_known():
    said = ZeroShot.limits(ZeroShotOptions(), Target(open=True), ())
    assert said == "knows only the labels of the labeling config, not those of each task"


@pytest.mark.parametrize("template", ["", "about", "{} or {}"])
def test_a_template_has_one_place_for_the_label(template):
    with pytest.raises(ValueError, match=r"^template: expected a sentence with \{\} once, where the label stands$"):
        ZeroShotOptions(template=template)
