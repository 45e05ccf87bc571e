"""Boxes for labels in words. No package ships such weights: random ones show that words and boxes go the right way, and never
that what is found is what was asked for."""

from __future__ import annotations

import pytest

from lsml.adapters.base import Question, Target
from lsml.adapters.image.open_vocabulary import OpenVocabulary
from lsml.adapters.image.open_vocabulary.model import PhraseModel, load
from lsml.errors import AdapterError
from lsml.values import Box, Text
from tests.support import worlds
from tests.support.transformer_models import tiny_grounding_dino, tiny_owl, tiny_transformer

pytestmark = pytest.mark.models
LABELS = ("Car", "Person")
IMAGE = worlds.shape_examples("box", 1)[0].data


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_owl(tmp_path_factory.mktemp("owl") / "tiny")


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    return tiny_grounding_dino(tmp_path_factory.mktemp("dino") / "tiny", ["a red car person tall thing ."])


@pytest.fixture
def asked(monkeypatch):
    """The (label, words) of each call of the model, which then runs."""
    calls = []
    run = PhraseModel.boxes
    monkeypatch.setattr(
        PhraseModel,
        "boxes",
        lambda self, image, phrases, *rest: calls.append(phrases) or run(self, image, phrases, *rest),
    )
    return calls


def finder(weights, labels=LABELS, descriptions=None, **options):
    question = Question("box", "box", labels, multiple=True, descriptions=descriptions or {})
    target = Target(labels, multiple=True, kinds={"box": labels}, questions=(question,))
    return OpenVocabulary(OpenVocabulary.Options(weights=str(weights), device="cpu", **options), target)


def test_boxes_are_those_of_the_library(weights):
    import torch
    import transformers
    from PIL import Image

    processor = transformers.AutoProcessor.from_pretrained(weights)
    picture = Image.open(IMAGE).convert("RGB")
    text = [["a photo of Car", "a photo of Person"]]
    inputs = processor(
        text=text, images=picture, return_tensors="pt", padding="max_length", truncation=True, max_length=32
    )
    with torch.inference_mode():
        said = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(weights).eval()(**inputs)
    [theirs] = processor.post_process_grounded_object_detection(said, threshold=0.05, target_sizes=[picture.size[::-1]])
    ours = finder(weights, iou=1.0).predict([IMAGE])[0]
    assert ours and {box.label for box in ours} <= set(LABELS)
    best = theirs["scores"].max().item()
    assert ours[0].score == pytest.approx(best, abs=1e-3)
    assert [box.score for box in ours] == sorted((box.score for box in ours), reverse=True)


def test_boxes_of_grounding_dino_are_those_of_the_library(dino):
    import torch
    import transformers
    from PIL import Image

    processor = transformers.AutoProcessor.from_pretrained(dino)
    picture = Image.open(IMAGE).convert("RGB")
    inputs = processor(text=[["Car", "Tall person"]], images=picture, return_tensors="pt")
    with torch.inference_mode():
        said = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(dino).eval()(**inputs)
    # [CLS] car . tall person . [SEP]
    tokens = said.logits[0].sigmoid()
    phrases = torch.stack([tokens[:, 1], tokens[:, 3:5].amax(1)], 1)
    scores, numbers = phrases.max(1)
    ours = finder(dino, ("Car", "Person"), {"Person": "Tall person"}, confidence=0.0001, iou=1.0).predict([IMAGE])[0]
    assert len(ours) == 20
    order = scores.argsort(descending=True)
    assert [box.score for box in ours] == pytest.approx(scores[order].tolist(), abs=1e-3)
    assert [box.label for box in ours] == [("Car", "Person")[int(number)] for number in numbers[order]]
    x, y, wide, high = said.pred_boxes[0, order[0]].tolist()
    best = max(0, x - wide / 2), max(0, y - high / 2), min(1, x + wide / 2), min(1, y + high / 2)
    found = ours[0].x, ours[0].y, ours[0].x + ours[0].width, ours[0].y + ours[0].height
    assert found == pytest.approx(best, abs=1e-3)


def test_more_phrases_than_grounding_dino_reads_at_once_are_read_in_several_texts(dino):
    model = load(dino, "cpu", half=False)
    texts = list(model._texts(["a red car"] * 9 + ["tall.", "日本"]))
    assert [(text.first, len(text.places)) for text in texts] == [(0, 7), (7, 4)]
    assert all(len(text.ids) <= 32 for text in texts)
    assert [text.ids[place] for text in texts for place in text.places][:1] == [
        model._processor.tokenizer.encode("a red car", add_special_tokens=False)
    ]
    labels = tuple(f"car {number}" for number in range(12))
    assert {box.label for box in finder(dino, labels, confidence=0.0001, iou=1.0).predict([IMAGE])[0]} <= set(labels)


def test_grounding_dino_gets_words_without_a_sentence_around_them(dino, asked):
    finder(dino).predict([IMAGE])
    finder(dino, template="one {}").predict([IMAGE])
    assert asked == [[("Car", "Car"), ("Person", "Person")], [("Car", "one Car"), ("Person", "one Person")]]


def test_a_model_of_another_kind_is_an_error(tmp_path):
    with pytest.raises(AdapterError, match="is a model of the type bert; expected owlv2, owlvit, grounding-dino"):
        load(tiny_transformer(tmp_path / "text", ["a b"]), "cpu", half=False)


def test_an_image_that_does_not_fit_into_the_memory_is_an_error(weights, monkeypatch):
    def too_much(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("lsml.adapters.image.open_vocabulary.model.Owl._found", too_much)
    with pytest.raises(AdapterError, match="open-vocabulary: the device has too little memory for one image; choose"):
        finder(weights).predict([IMAGE])


def test_a_label_is_asked_for_by_its_description_else_by_its_name(weights, asked):
    finder(weights, descriptions={"Car": "a red car"}).predict([IMAGE])
    assert asked == [[("Car", "a photo of a red car"), ("Person", "a photo of Person")]]


def test_descriptions_decide_the_version(weights):
    plain, told = finder(weights), finder(weights, descriptions={"Car": "a red car"})
    facts = [OpenVocabulary.facts(one.options, one.target) for one in (plain, told)]
    assert facts == [[[]], [[("Car", "a red car")]]]


def test_typed_words_are_searched_under_the_label_that_they_name(weights, asked):
    answered = finder(weights, template="{}").respond(IMAGE, [Text("person, red thing; Person: tall one.")])
    assert asked == [[("Person", "person"), ("Car", "red thing"), ("Person", "tall one")]]
    assert answered and all(isinstance(box, Box) and box.label in LABELS for box in answered)


def test_a_tool_without_labels_takes_any_words(weights, asked):
    model = finder(weights, labels=(), template="{}")
    assert model.predict([IMAGE]) == [[]]
    assert {box.label for box in model.respond(IMAGE, [Text("wheel")])} == {""}
    assert asked == [[("", "wheel")]]


def test_an_empty_prompt_asks_for_nothing(weights, asked):
    assert finder(weights).respond(IMAGE, [Text(" , ")]) == [] == finder(weights).respond(IMAGE, [])
    assert asked == []


def test_boxes_of_one_label_do_not_overlap_more_than_the_option_says(weights):
    every, few = (finder(weights, iou=iou).predict([IMAGE])[0] for iou in (1.0, 0.0))
    assert len(few) < len(every) and few[0] == every[0]


def test_what_is_missing_is_said(tmp_path, monkeypatch, weights):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    absent = OpenVocabulary.lacks(OpenVocabulary.Options(), Target())
    assert absent is not None and absent.startswith(
        "the weights google/owlv2-base-patch16-ensemble are not on this machine; "
    )
    text = tiny_transformer(tmp_path / "text", ["a b"])
    other = finder(text)
    assert other.predict([IMAGE]) == [[]] and other.respond(IMAGE, [Text("car")]) == []
    assert "is a model of the type bert; name one of OWLv2, OWL-ViT, Grounding DINO" in OpenVocabulary.lacks(
        other.options, Target()
    )
