"""ner: spans by a transformer, pretrained or learnt."""

import json
import logging
import random
import shutil

import numpy as np
import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts import fine_tuning
from lsml.adapters.text.ner import Ner, TokenLabels, words
from lsml.errors import AdapterError, Cancelled, VersionError
from lsml.metrics.calibration import calibration
from lsml.values import Span
from tests.support.sentences import sentences
from tests.support.transformer_models import tiny_head, tiny_transformer, token_classifier

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
    assert "is an encoder without entities of its own; it predicts once it is trained" in Ner.lacks(
        adapter.options, adapter.target
    )
    assert said(learnt, "yesterday Anna lives in Paris .") == [("Anna", "PER"), ("Paris", "LOC")]
    assert not learnt.own_names


def test_each_word_has_the_probability_of_its_label_also_where_nothing_was_found(learnt):
    known, strange, empty = learnt.predict(["Anna lives in Paris .", "nobody came .", ""])
    assert len(known.decisions) == 5 and [span.score for span in known] == [known.decisions[0], known.decisions[3]]
    assert strange == [] and len(strange.decisions) == 3 and list(empty.decisions) == []


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


def test_labels_of_one_place_are_all_learnt_answered_and_saved(encoder, tmp_path):
    both = [
        Example(example.data, (*example.values, *(Span(s.start, s.end, "ORG") for s in example.values if s.label == "LOC")))
        for example in sentences(40)
    ]  # fmt: skip
    adapter = new(encoder, ("LOC", "ORG", "PER"))
    adapter.fit(both, 7)
    answer = [("Anna", "PER"), ("Paris", "LOC"), ("Paris", "ORG")]
    assert said(adapter, "yesterday Anna lives in Paris .") == answer
    adapter.save(tmp_path)
    again = new(encoder, ("LOC", "ORG", "PER"))
    again.load(tmp_path)
    assert said(again, "yesterday Anna lives in Paris .") == answer


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


@pytest.mark.parametrize("accelerate", ["onnx", "bfloat16"])
def test_what_is_faster_answers_as_torch_does(rampart, caplog, accelerate):
    texts = ["My name is Maria Keller; mail me at maria.keller@example.org.", "Call 312-555-0188.", ""]
    plain = new(rampart, (), max_length=128).predict(texts)
    with caplog.at_level(logging.WARNING):
        fast = new(rampart, (), max_length=128, accelerate=accelerate).predict(texts)
    assert not caplog.records
    assert [[(s.start, s.end, s.label) for s in spans] for spans in fast] == [
        [(s.start, s.end, s.label) for s in spans] for spans in plain
    ]
    assert fast != plain  # the scores tell that something else computed them


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
        AdapterError,
        match="no/where is not a folder with a model of transformers, and not the name of a downloaded one",
    ):
        new("no/where").fit(sentences(6), 7)
    with pytest.raises(VersionError, match=r"holds no model\.safetensors; restore it, or train again"):
        new(encoder).load(tmp_path)


SCHEMES = {
    "IOB2": ("B-PER I-PER B-PER O B-ORG I-ORG", [("Ann Lee", "PER"), ("Bob", "PER"), ("Big Co", "ORG")]),
    "IOB1": ("I-PER I-PER B-PER O I-ORG I-ORG", [("Ann Lee", "PER"), ("Bob", "PER"), ("Big Co", "ORG")]),
    "IO": ("I-PER I-PER O O I-ORG I-ORG", [("Ann Lee", "PER"), ("Big Co", "ORG")]),
    "no kinds": ("PER PER O O ORG ORG", [("Ann Lee", "PER"), ("Big Co", "ORG")]),
    "BIOES": ("B-PER E-PER S-PER O B-ORG E-ORG", [("Ann Lee", "PER"), ("Bob", "PER"), ("Big Co", "ORG")]),
    "singles": ("S-PER S-PER S-PER O S-ORG S-PER",
                [("Ann", "PER"), ("Lee", "PER"), ("Bob", "PER"), ("Big", "ORG"), ("Co", "PER")]),
    "BILOU": ("U-PER B-PER L-PER O B-ORG L-ORG", [("Ann", "PER"), ("Lee Bob", "PER"), ("Big Co", "ORG")]),
    "another label inside": ("B-PER I-ORG O O O O", [("Ann", "PER"), ("Lee", "ORG")]),
}  # fmt: skip


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """A model with the labels of every scheme."""
    labels = ["O", *sorted({tag for tags, _ in SCHEMES.values() for tag in tags.split()} - {"O"})]
    folder = tmp_path_factory.mktemp("tagged")
    return TokenLabels.of(tiny_head(folder, ["Ann Lee Bob met Big Co"], "TokenClassification", labels), Ner.Options())


def says(model, text, tags):
    """The spans of a model that gives a text's tokens these tags."""
    [encoding] = model._windows.encode([text])
    assert len(encoding.ids) == len(tags)
    names = [model.model.config.id2label[number] for number in range(len(model._tags))]
    rows = np.full((len(tags), len(names)), 0.01)
    for row, tag in zip(rows, tags, strict=True):
        row[names.index(tag)] = 0.9
    return [(text[span.start : span.end], span.label) for span in model._of_text(text, encoding, rows)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_of_tags_is_understood(tagged, scheme):
    tags, expected = SCHEMES[scheme]
    assert says(tagged, "Ann Lee Bob met Big Co", tags.split()) == expected


def test_a_word_in_pieces_begins_as_its_first_piece_says(tagged):
    """Else two names side by side would be one, where a model calls the later pieces of a word an inside."""
    text = "Ann Ball"
    [encoding] = tagged._windows.encode([text])
    tags = ["B-PER", "B-PER", *["I-PER"] * (len(encoding.ids) - 2)]
    assert len(tags) > 3
    assert says(tagged, text, tags) == [("Ann", "PER"), ("Ball", "PER")]


def test_words_end_at_signs_and_between_characters_that_need_no_spaces():
    """Tokenizers such as XLM-R's part words at spaces alone."""
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace

    text = "Zoé met O'Neil, (Bob) in 東京都 e\u0301t"
    pieces = dict.fromkeys(["<unk>", "▁", "▁met", "▁in", "Neil", "Zo", *text.replace(" ", "")])
    tokenizer = Tokenizer(Unigram([(piece, -float(place)) for place, piece in enumerate(pieces)], unk_id=0))
    tokenizer.pre_tokenizer = Metaspace()
    found = [text[word.start : word.end] for word in words(tokenizer.encode(text), text)]
    assert found == ["Zoé", "met", "O", "'", "Neil", ",", "(", "Bob", ")", "in", "東", "京", "都", "e\u0301t"]


def test_a_word_ends_after_its_last_accent_though_the_tokenizer_drops_it(tagged):
    text = "Anne\u0301\u0302 e\u0301. Bob\u0301"
    [encoding] = tagged._windows.encode([text])
    assert [text[word.start : word.end] for word in words(encoding, text)] == [
        "Anne\u0301\u0302", "e\u0301", ".", "Bob\u0301"
    ]  # fmt: skip


def test_half_a_character_costs_nothing(learnt):
    assert said(learnt, "\ud83d Anna lives in Paris .")[-1] == ("Paris", "LOC")


def test_pickled_weights_are_not_loaded(encoder, tmp_path):
    folder = shutil.copytree(encoder, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(AdapterError, match="has no weights as safetensors; pickles are not loaded"):
        new(folder).fit(sentences(6), 7)


def test_a_head_that_is_only_claimed_is_refused(encoder, tmp_path):
    folder = shutil.copytree(encoder, tmp_path / "claimed")
    facts = json.loads((folder / "config.json").read_text())
    facts |= {
        "architectures": ["BertForTokenClassification"],
        "id2label": {"0": "O", "1": "PER"},
        "label2id": {"O": 0, "PER": 1},
    }
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(AdapterError, match=r"lacks classifier\.bias, classifier\.weight; give a complete model"):
        new(folder).predict(["Anna"])


def test_weights_of_half_precision_are_computed_with_in_full(encoder, tmp_path):
    from transformers import AutoModel

    folder = shutil.copytree(encoder, tmp_path / "half")
    AutoModel.from_pretrained(folder).half().save_pretrained(folder)
    adapter = new(folder, epochs=1)
    adapter.fit(sentences(6), 7)
    assert {str(tensor.dtype) for tensor in adapter._model.model.parameters()} == {"torch.float32"}


def test_its_labels_may_be_placeholders_and_then_it_abstains(tmp_path):
    folder = tiny_head(tmp_path, ["Anna"], "TokenClassification", ["LABEL_0", "LABEL_1"])
    assert new(folder).predict(["Anna"]) == [[]]


def test_the_hyperparameters_are_applied(encoder):
    def learnt_with(**options):
        heard = []
        adapter = new(encoder, **{"epochs": 1, "train_batch": 4, "warmup": 0.0, **options})
        adapter.fit(sentences(24), 7, lambda _share, message: heard.append(message))
        weights = adapter._model.model.bert.encoder.layer[0].output.dense.weight
        return heard, weights.detach().clone()

    heard, weights = learnt_with()
    assert heard[:-1] == [f"epoch 1 of 1, step {step} of 6" for step in range(1, 7)]
    assert len(learnt_with(epochs=3)[0]) == 19
    assert len(learnt_with(train_batch=12)[0]) == 3
    assert len(learnt_with(epochs="auto")[0]) == 241  # 40 times 6 steps, for 300 would take more than 40 epochs
    assert bool((learnt_with(learning_rate=3e-5)[1] - weights).abs().max() > 1e-4)
    assert bool((learnt_with(warmup=1.0)[1] - weights).abs().max() > 1e-4)
    assert float(learnt_with(weight_decay=1.0)[1].norm()) < float(weights.norm())


def test_probabilities_are_nearer_to_how_often_words_are_right_and_stay_so_in_a_version(encoder, tmp_path, monkeypatch):
    """Whether a name is a person or a place is drawn, so that nobody can be sure."""
    monkeypatch.setattr(fine_tuning, "_LEAST_CALIBRATED", 100)
    monkeypatch.setattr(fine_tuning, "_LEAST_HELD_OUT", 12)
    draw = random.Random(3)
    drawn = [
        Example(one.data, tuple(Span(span.start, span.end, draw.choice(LABELS)) for span in one.values))
        for one in sentences(200)
    ]
    adapter, others = new(encoder), drawn[120:]
    adapter.fit(drawn[:120], 7)

    def error(model):
        answers = model.predict([example.data for example in others])
        return calibration(
            [
                (
                    span.score,
                    (span.start, span.end, span.label) in {(one.start, one.end, one.label) for one in true},
                )
                for true, spans in zip((example.values for example in others), answers, strict=True)
                for span in spans
            ]
        )["calibration_error"]

    now = error(adapter)
    adapter.save(tmp_path)
    loaded = new(encoder)
    loaded.load(tmp_path)
    assert error(loaded) == pytest.approx(now, abs=1e-6)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["lsml_temperature"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded.load(tmp_path)
    assert now < error(loaded), "a version without one has the scores that it had"
