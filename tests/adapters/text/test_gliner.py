"""Entities named in words. No package ships a trained model, so that one with random weights shows all but quality."""

import pytest

from lsml.adapters.base import Example, Question, Target
from lsml.errors import AdapterError, VersionError
from lsml.metrics import judge
from lsml.values import Span
from tests.support.sentences import sentences

pytestmark = pytest.mark.models

LABELS = ("PER", "LOC")
DESCRIBED = {"PER": "A person.", "LOC": "place"}
TARGET = Target(LABELS, multiple=True, questions=(Question("e", "span", LABELS, True, DESCRIBED),))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from tests.support.transformer_models import tiny_gliner

    texts = [example.data for example in sentences(60)]
    return tiny_gliner(tmp_path_factory.mktemp("gliner"), [*texts, "a person place"])


def adapter_of(weights, target=TARGET, **options):
    from lsml.adapters.text.gliner import Gliner

    given = {"learning_rate": 5e-3, "epochs": 25, "train_batch": 4, "device": "cpu", **options}
    return Gliner(Gliner.Options(weights=str(weights), **given), target)


@pytest.fixture(scope="module")
def learnt(weights):
    adapter = adapter_of(weights)
    adapter.fit(sentences(36), 1)
    return adapter


def test_annotations_are_learnt(learnt):
    tests = sentences(24, seed=9)
    said = learnt.predict([example.data for example in tests])
    assert judge(Span, [(example.values, values) for example, values in zip(tests, said, strict=True)])["value"] > 0.9


def test_a_text_longer_than_the_model_reads_is_read_whole(learnt):
    text = "nobody came to the party . " * 12 + "we met Bob near Oslo again ."
    spans = learnt.predict([text])[0]
    assert {text[span.start : span.end] for span in spans} >= {"Bob", "Oslo"}
    assert all(spans[i].end <= spans[i + 1].start for i in range(len(spans) - 1))


def test_the_threshold_of_the_recipe_finds_more_or_less(weights):
    adapter = adapter_of(weights)
    text = "we met Bob near Oslo again ."
    [few], [many] = (adapter.predict_above([text], floor) for floor in (0.9, 0.1))  # random weights are never sure
    assert few == [] and len(many) > 1
    assert adapter.predict([text]) == adapter.predict_above([text], 0.0) == adapter.predict_above([text], 0.5)
    assert len(few.decisions) > 0  # what is not shown still counts for the certainty


def test_it_is_asked_for_the_description_of_a_label_and_a_description_decides_predictions():
    from lsml.adapters.text.gliner import Gliner, _names

    assert _names(TARGET) == {"a person": "PER", "place": "LOC"}
    assert _names(Target(("Job_title", "job title"))) == {
        "job title": "Job_title",
        "job title (job title)": "job title",
    }
    assert Gliner.facts(Gliner.Options(), TARGET) == [("LOC", "place"), ("PER", "A person.")]


def test_spans_that_are_too_wide_are_told(weights):
    adapter = adapter_of(weights, epochs=1)
    adapter.fit([*sentences(4), Example("in the town of New York", (Span(0, 23, "LOC"),))], 1)
    assert adapter.notes == ("1 spans have more than 3 words and were not used for training",)


def test_scores_are_calibrated_by_windows_that_were_not_learnt(weights, tmp_path, monkeypatch):
    from lsml.adapters.parts.entity_prompts import EntityModel

    model, names = EntityModel(weights, adapter_of(weights).options), {"a person": "PER", "place": "LOC"}
    said = [Span(7, 10, "PER", 0.9), Span(16, 20, "LOC", 0.6)]
    monkeypatch.setattr(EntityModel, "_probable", lambda _model, texts, _names, _least: [said] * len(texts))
    words = ["we", "met", "Bob", "near", "Oslo"]
    # Two of three persons are right, and no place, as a longer one was marked.
    held_out = [
        {"tokenized_text": words, "ner": [[2, 2, "a person" if number % 3 else "place"], [3, 4, "place"]]}
        for number in range(60)
    ]
    calibration = model._calibrated(held_out, names)
    assert (calibration.after(0.9), calibration.after(0.6)) == (
        pytest.approx(0.67, abs=0.05),
        pytest.approx(0, abs=0.1),
    )

    model._calibration = calibration
    [shown] = model.spans(["we met Bob near Oslo"], names, 0.5)
    assert [(span.label, span.score) for span in shown] == [("PER", calibration.after(0.9))]
    model.save(tmp_path)
    again = adapter_of(weights)
    again.load(tmp_path)
    assert again.predict(["we met Bob near Oslo"]) == [shown]
    (tmp_path / "lsml_calibration.json").write_text("[0, 0]")
    with pytest.raises(VersionError, match="slope above 0"):
        adapter_of(weights).load(tmp_path)


def test_missing_weights_and_pickles_are_named_with_what_to_do(tmp_path, weights):
    from lsml.adapters.text.gliner import Gliner

    absent = adapter_of(tmp_path / "absent")
    assert not absent.ready and absent.predict(["Bob"]) == [[]]
    with pytest.raises(AdapterError, match="absent are not on this machine; correct the path of their folder"):
        absent.fit(sentences(6), 1)
    (tmp_path / "gliner_config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    lacking = Gliner.lacks(Gliner.Options(weights=str(tmp_path)), TARGET)
    assert "has no safetensors, and pickles are not loaded, because they can run code; write them once with" in lacking
    assert Gliner.downloads(Gliner.Options(), TARGET)[0].repository == Gliner.Options().weights
    with pytest.raises(VersionError, match="restore it, or train again"):
        adapter_of(weights).load(tmp_path)
