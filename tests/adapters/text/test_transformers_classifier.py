"""transformers-classifier: labels of texts, pretrained or learnt."""

import json
import logging
import random

import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts import fine_tuning
from lsml.adapters.text.transformers_classifier import TransformersClassifier
from lsml.errors import AdapterError, Cancelled, VersionError
from lsml.metrics.calibration import calibration
from lsml.values import Choice
from tests.conftest import tickets
from tests.support.transformer_models import tiny_head, tiny_transformer

pytestmark = pytest.mark.models
LABELS = ("Billing", "Bug", "Question")
OPTIONS = {"learning_rate": 3e-3, "epochs": 8, "max_length": 32}
EXAMPLES = [Example(text, (Choice(label),)) for text, label in tickets(48)]
BOTH = [
    Example(f"{one} {other}", tuple(Choice(label) for label in sorted({first, second})))
    for (one, first), (other, second) in zip(tickets(48), tickets(48, seed=5)[::-1], strict=True)
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_transformer(tmp_path_factory.mktemp("tiny"), [example.data for example in EXAMPLES])


def new(weights, multiple=False, labels=LABELS, **options):
    chosen = TransformersClassifier.Options(weights=str(weights), **{**OPTIONS, **options})
    return TransformersClassifier(chosen, Target(labels, multiple=multiple))


def best(values):
    return max(values, key=lambda value: value.score).label


@pytest.fixture(scope="module")
def learnt(encoder):
    adapter = new(encoder)
    adapter.fit(EXAMPLES, 7)
    return adapter


def test_a_head_that_nobody_trained_abstains(encoder):
    adapter = new(encoder)
    assert not adapter.ready and adapter.predict(["refund the invoice"]) == [[]]
    assert TransformersClassifier.lacks(adapter.options, adapter.target) == (
        f"{encoder} has no labels of its own, for its head was never trained; it predicts once it is trained"
    )


def test_it_learns_one_label_for_a_text(learnt):
    unseen = tickets(30, seed=3)
    answered = learnt.predict([text for text, _ in unseen])
    assert sum(best(values) == label for values, (_, label) in zip(answered, unseen, strict=True)) >= 25
    for values in answered:
        assert sum(value.score for value in values) == pytest.approx(1)
    assert not learnt.own_names


def test_it_learns_several_labels_for_a_text(encoder):
    adapter = new(encoder, multiple=True, epochs=20)
    adapter.fit(BOTH, 7)
    right = sum(
        {value.label for value in values if value.score >= 0.5} == {value.label for value in example.values}
        for values, example in zip(adapter.predict([example.data for example in BOTH]), BOTH, strict=True)
    )
    assert right >= 40
    assert max(sum(value.score for value in values) for values in adapter.predict([e.data for e in BOTH])) > 1.5


def test_whether_labels_exclude_each_other_is_saved(encoder, tmp_path):
    adapter = new(encoder, multiple=True, epochs=2)
    adapter.fit(BOTH, 7)
    adapter.save(tmp_path)
    loaded = new(encoder, multiple=True)
    loaded.load(tmp_path)
    [ours], [theirs] = loaded.predict([BOTH[0].data]), adapter.predict([BOTH[0].data])
    assert [value.score for value in ours] == pytest.approx([value.score for value in theirs])
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".txt"}


def test_a_pretrained_model_answers_in_its_own_words(tmp_path):
    names = ("POSITIVE", "NEGATIVE")
    exclusive = new(tiny_head(tmp_path / "one", ["good"], "SequenceClassification", names))
    assert exclusive.ready and exclusive.own_names
    assert TransformersClassifier.class_names(exclusive.options, exclusive.target) == {"choice": names}
    [values] = exclusive.predict(["good"])
    assert [value.label for value in values] == list(names)
    assert sum(value.score for value in values) == pytest.approx(1)
    facts = {"problem_type": "multi_label_classification"}
    each = new(tiny_head(tmp_path / "each", ["good"], "SequenceClassification", (*names, "NEUTRAL"), **facts))
    [values] = each.predict(["good"])
    assert all(0.3 < value.score < 0.7 for value in values) and sum(value.score for value in values) > 1.2


def test_labels_that_exclude_each_other_answer_a_tag_of_several_with_the_likeliest_alone(tmp_path):
    names = ("POSITIVE", "NEGATIVE")
    weights = tiny_head(tmp_path / "one", ["good"], "SequenceClassification", names)
    [[value]] = new(weights, multiple=True).predict(["good"])
    assert value == max(new(weights).predict(["good"])[0], key=lambda one: one.score)
    adapter = new(weights, multiple=True)
    assert adapter.limits(adapter.options, adapter.target, ()) == (
        f"predicts one label of a text until it is trained, because the labels of {weights} are mutually exclusive"
    )
    assert adapter.limits(adapter.options, Target(LABELS), ()) is None
    facts = {"problem_type": "multi_label_classification"}
    each = new(
        tiny_head(tmp_path / "each", ["good"], "SequenceClassification", (*names, "NEUTRAL"), **facts), multiple=True
    )
    assert len(each.predict(["good"])[0]) == 3 and each.limits(each.options, each.target, ()) is None


def test_a_head_that_answers_with_a_number_has_no_labels(tmp_path):
    adapter = new(tiny_head(tmp_path, ["good"], "SequenceClassification", ("LABEL_0",)))
    assert not adapter.ready and adapter.predict(["good"]) == [[]]


def test_what_a_head_knew_of_a_label_it_still_knows(encoder, learnt, tmp_path):
    learnt.save(tmp_path)
    grown = new(tmp_path, labels=("bug", "Other", "Question"), epochs=1, learning_rate=1e-7)
    grown.fit([Example("something else", (Choice("Other"),)), Example("it fails", (Choice("bug"),)),
               Example("how can I", (Choice("Question"),))], 7)  # fmt: skip
    for text, label in tickets(12, seed=9):
        if label != "Billing":
            scores = {value.label: value.score for value in grown.predict([text])[0]}
            assert scores[{"Bug": "bug"}.get(label, label)] > scores[{"Bug": "Question"}.get(label, "bug")]


def test_what_a_head_of_the_same_size_knew_of_other_labels_is_forgotten(learnt, tmp_path):
    learnt.save(tmp_path)
    texts = [text for text, _ in tickets(12, seed=9)]
    other = new(tmp_path, labels=("Spam", "Ham", "Eggs"), epochs=1, learning_rate=1e-9)
    other.fit(
        [Example(text, (Choice(label),)) for text, label in zip(texts, ["Spam", "Ham", "Eggs"] * 4, strict=True)], 7
    )
    sure = max(value.score for values in learnt.predict(texts) for value in values)
    guessed = max(value.score for values in other.predict(texts) for value in values)
    assert sure > 0.75 and guessed < 0.6, (sure, guessed)


@pytest.mark.parametrize("weights", ["./my-model", "/models/bert", "~/bert", "models/of/ours"])
def test_a_path_is_not_looked_for_on_a_hub(weights):
    lacks = TransformersClassifier.lacks(TransformersClassifier.Options(weights=weights), Target())
    assert lacks.endswith("; correct the path of their folder, which is relative to the recipe's folder")


def test_parts_of_a_long_text_count_together_as_far_as_it_is_read(learnt, encoder, tmp_path):
    learnt.save(tmp_path)
    billing, bug = "invoice refund payment card price", "crash error freezes broken screen"
    text = f"{billing} " * 12 + f"{bug} " * 20

    def share(**options):
        adapter = new(encoder, **options)
        adapter.load(tmp_path)
        return {value.label: value.score for value in adapter.predict([text])[0]}

    first, all_of_it = share(windows=1), share(windows=100)
    assert max(first, key=first.get) == "Billing" and max(all_of_it, key=all_of_it.get) == "Bug"
    assert share(windows=3)["Bug"] > share(windows=2)["Bug"]
    assert sum(all_of_it.values()) == pytest.approx(1)


def test_onnx_answers_as_torch_does(learnt, encoder, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "saved").mkdir()
    learnt.save(tmp_path / "saved")
    texts = ["crash", "", "refund the invoice twice , please , since yesterday"]
    fast = new(encoder, accelerate="onnx")
    fast.load(tmp_path / "saved")
    with caplog.at_level(logging.WARNING):
        answered = [fast.predict([text])[0] for text in texts] + fast.predict(texts)
    assert not caplog.records and len(list((tmp_path / "cache" / "onnx").iterdir())) == 1
    for ours, theirs in zip(answered, learnt.predict(texts) * 2, strict=True):
        assert [value.score for value in ours] == pytest.approx([value.score for value in theirs], abs=1e-4)


def test_an_export_that_fails_is_a_warning_and_torch_answers(learnt, encoder, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "saved").mkdir()
    learnt.save(tmp_path / "saved")
    monkeypatch.setattr("lsml.adapters.parts.logits._export", lambda *_: tmp_path / "nowhere.onnx")
    fast = new(encoder, accelerate="onnx")
    fast.load(tmp_path / "saved")
    assert best(fast.predict(["the app freezes again"])[0]) == "Bug"
    [record] = caplog.records
    assert record.getMessage().startswith(
        "transformers-classifier: accelerate: onnx is not possible, so torch serves: "
    )


def test_a_training_can_be_cancelled_in_the_middle(encoder):
    def cancel(share, _message):
        if share > 0.3:
            raise Cancelled("cancelled")

    adapter = new(encoder)
    with pytest.raises(Cancelled):
        adapter.fit(EXAMPLES, 7, cancel)
    assert not adapter.ready


def test_patience_does_not_run_out_before_the_learning_rate_has_risen(encoder):
    adapter, heard = new(encoder, epochs=60, patience=1), []
    adapter.fit(EXAMPLES, 7, lambda share, _message: heard.append(share))
    answered = adapter.predict([example.data for example in EXAMPLES])
    assert [best(values) for values in answered] == [example.values[0].label for example in EXAMPLES]
    assert max(heard[:-1]) < 0.9


def test_what_is_missing_is_one_sentence(encoder, tmp_path):
    with pytest.raises(NotEnoughData, match="all 2 examples have the label 'Bug'; annotate at least two texts"):
        new(encoder).fit([Example("a", (Choice("Bug"),)), Example("b", (Choice("Bug"),))], 7)
    assert TransformersClassifier.lacks(TransformersClassifier.Options(weights="no/where"), Target()) == (
        "the weights no/where are not on this machine; give the path of their folder, or download them once: lsml "
        "fetch RECIPE"
    )
    with pytest.raises(AdapterError, match="no/where is not a folder with a model of transformers"):
        new("no/where").fit(EXAMPLES, 7)
    with pytest.raises(VersionError, match="holds no model.safetensors; restore it, or train again"):
        new(encoder).load(tmp_path)


@pytest.mark.parametrize("multiple", [False, True])
def test_probabilities_are_nearer_to_how_often_they_are_right_and_stay_so_in_a_version(
    encoder, multiple, tmp_path, monkeypatch
):
    """Labels are drawn, so that nobody can be sure; a tenth of the texts is left out and says so."""
    monkeypatch.setattr(fine_tuning, "_LEAST_CALIBRATED", 100)
    monkeypatch.setattr(fine_tuning, "_LEAST_HELD_OUT", 12)
    draw = random.Random(3)
    drawn = [Example(text, (Choice(draw.choice(LABELS)),)) for text, _ in tickets(200, seed=9)]
    adapter, others = new(encoder, multiple=multiple, epochs=25), drawn[120:]
    adapter.fit(drawn[:120], 7)

    def error(model):
        answers = model.predict([example.data for example in others])
        return calibration(
            [
                (value.score, value.label == example.values[0].label)
                for example, values in zip(others, answers, strict=True)
                for value in (values if multiple else [max(values, key=lambda value: value.score)])
            ]
        )["calibration_error"]

    now = error(adapter)
    adapter.save(tmp_path)
    loaded = new(encoder, multiple=multiple)
    loaded.load(tmp_path)
    assert error(loaded) == pytest.approx(now, abs=1e-6)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["lsml_temperature"] > 1
    (tmp_path / "config.json").write_text(json.dumps({**config, "lsml_temperature": 0}))
    with pytest.raises(VersionError, match="its temperature is 0"):
        loaded.load(tmp_path)
    del config["lsml_temperature"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded.load(tmp_path)
    assert now < error(loaded), "a version without one has the scores that it had"
