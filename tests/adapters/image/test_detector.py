"""What a detector finds and learns. No package ships its weights: random ones show that the boxes of the library come back,
and that the easy drawn world is learnt from nothing, and never how good real weights are."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from lsml.adapters.base import Example, Target
from lsml.adapters.image.detector import Detector
from lsml.adapters.image.detector.fitting import AnnotatedImage, detection_inputs
from lsml.adapters.image.detector.model import FAMILIES, DetectionModel
from lsml.errors import AdapterError, NotEnoughData
from lsml.labeling import parse_labeling_config
from lsml.values import Box, Mask, Polygon
from tests.support import worlds
from tests.support.cases import DETECTOR
from tests.support.transformer_models import tiny_detector, tiny_rf_detr, tiny_transformer

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]
LABELS = ("blue", "red")
BOXES = Target(LABELS, multiple=True, kinds={"box": LABELS})
WORLD = worlds.shape_examples("box", 24)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_detector(tmp_path_factory.mktemp("weights") / "tiny", names=("red", "stuff"))


def detector(weights, target=BOXES, **options):
    return Detector(msgspec.convert({"weights": str(weights), "device": "cpu", **options}, Detector.Options), target)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "rf_detr"])
def test_boxes_are_those_of_the_library(family, tmp_path):
    import torch
    import transformers
    from PIL import Image

    folder = tiny_detector(tmp_path / family, family)
    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)).save(path)
    processor = transformers.RTDetrImageProcessor(size={"height": 96, "width": 96})
    inputs = processor(images=Image.open(path), return_tensors="pt")
    with torch.inference_mode():
        said = transformers.AutoModelForObjectDetection.from_pretrained(folder).eval()(**inputs)
    [theirs] = processor.post_process_object_detection(said, threshold=0.001, target_sizes=[(90, 160)])
    ours = detector(folder).predict([path])[0]
    corners = theirs["boxes"].clamp(min=0).minimum(torch.tensor([160.0, 90.0, 160.0, 90.0]))
    with_area = [at for at, (x, y, right, low) in enumerate(corners.tolist()) if right > x and low > y]
    assert ours and len(ours) == len(with_area)
    assert [box.score for box in ours] == pytest.approx(theirs["scores"][with_area].tolist(), abs=2e-3)
    found = [(box.x * 160, box.y * 90, (box.x + box.width) * 160, (box.y + box.height) * 90) for box in ours[:3]]
    assert np.array(found) == pytest.approx(corners[with_area][:3].numpy(), abs=0.5)
    assert {box.aspect for box in ours} == {160 / 90} and {box.label for box in ours} <= {"thing", "stuff"}


def test_the_easy_world_is_learnt_from_nothing():
    case = DETECTOR[0]
    model, found, total = case.ready(), 0, 0
    for example, values in zip(case.examples, model.predict_above([e.data for e in case.examples], 0.25), strict=True):
        total += len(example.values)
        found += sum(
            any(box.label == true.label and worlds.overlap(box, true) > 0.5 for box in values)
            for true in example.values
        )
    assert found / total > 0.6
    assert not model.own_names and model.notes == ()


def test_a_saved_version_is_a_folder_of_weights_too(tmp_path):
    case = DETECTOR[0]
    case.ready().save(tmp_path)
    started = detector(tmp_path)
    assert started.own_names and Detector.class_names(started.options, BOXES) == {"box": LABELS}
    assert started.predict(case.batch[:1]) == Detector(started.options, BOXES).predict(case.batch[:1])


@pytest.mark.parametrize("resume", [True, False])
def test_a_training_goes_on_from_a_saved_version_where_the_recipe_says_so(tmp_path, weights, resume):
    case = DETECTOR[0]
    case.ready().save(tmp_path)
    model = detector(weights, resume=resume, epochs=1, learning_rate=1e-9)
    assert model.resumes == resume
    model.load(tmp_path)
    before = {
        name: tensor.clone()
        for name, tensor in model._model.module.state_dict().items()
        if "backbone" in name and name.endswith("convolution.weight")
    }
    model.fit(list(case.examples)[:4], 1)
    after = model._model.module.state_dict()
    unlike = [name for name in before if not np.allclose(after[name], before[name], atol=1e-5)]
    assert before and (unlike == []) == resume


def test_only_wanted_classes_are_found_and_named(weights):
    both, one = detector(weights), detector(weights, classes=["red"])
    assert {box.label for box in both.predict([WORLD[0].data])[0]} == {"red", "stuff"}
    assert {box.label for box in one.predict([WORLD[0].data])[0]} == {"red"}
    assert Detector.class_names(one.options, BOXES) == {"box": ("red",)}


def test_other_classes_do_not_take_the_places_of_wanted_ones(weights):
    both = detector(weights).predict([WORLD[0].data])[0]
    rarer = min(("red", "stuff"), key=lambda name: max(box.score for box in both if box.label == name))
    best = max((box for box in both if box.label == rarer), key=lambda box: box.score)
    assert detector(weights, classes=[rarer], max_det=1).predict([WORLD[0].data]) == [[best]]


def test_images_of_any_size_and_inputs_of_another_are_taken(weights):
    [found] = detector(weights, imgsz=64).predict([WORLD[0].data])
    assert found and found != detector(weights).predict([WORLD[0].data])[0]


def test_classes_that_weights_know_begin_with_their_weights(weights):
    import torch

    before = DetectionModel.of(weights, "cpu", None).module.model.decoder.class_embed[0]
    after = DetectionModel.fresh(weights, ("new", "Red", "other"), "cpu", None, 1).module.model.decoder.class_embed[0]
    assert after.weight.shape[0] == 3
    assert torch.equal(after.weight[1], before.weight[0]) and torch.equal(after.bias[1], before.bias[0])
    assert not torch.equal(after.weight[0], before.weight[0])
    assert after.bias[0].sigmoid().item() == pytest.approx(0.01, rel=1e-3)


def test_an_image_is_mirrored_with_its_boxes(weights):
    import torch

    model = DetectionModel.of(weights, "cpu", None)
    one = AnnotatedImage(WORLD[0].data, [(1.0, 0.2, 0.3, 0.1, 0.2)])
    (plain, [there]), (turned, [here]) = (detection_inputs(model, [one], flip) for flip in (0.0, 1.0))
    assert torch.equal(turned.flip(3), plain)
    assert there["boxes"].tolist() == [pytest.approx([0.2, 0.3, 0.1, 0.2])]
    assert here["boxes"].tolist() == [pytest.approx([0.8, 0.3, 0.1, 0.2])]
    assert here["class_labels"].tolist() == [1]


def test_a_tenth_of_forty_examples_judges_epochs_and_calibrates(weights, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "lsml.adapters.image.detector.fitting.mean_average_precision", lambda pairs: asked.append(len(pairs)) or 0.5
    )
    examples = [example for seed in (1, 2) for example in worlds.shape_examples("box", 24, seed)][:40]
    model = detector(weights, epochs=4, patience=1)
    model.fit(examples, 1)
    # The second epoch is no better than the first, so patience ends it.
    assert asked == [4, 4]
    scores = [box.score for box in model.predict([examples[0].data])[0]]
    assert scores == sorted(scores, reverse=True)
    assert model._model.calibration.slope != 1.0


def test_a_frozen_backbone_stays_as_it_is(tmp_path):
    import torch

    weights = tiny_detector(tmp_path / "tiny", "d_fine")
    model = detector(weights, epochs=1, freeze=True, patience=0)
    model.fit(WORLD[:3], 1)
    before = DetectionModel.of(weights, "cpu", None).module
    same = [
        torch.equal(one, other)
        for (name, one), (_, other) in zip(
            before.named_parameters(), model._model.module.named_parameters(), strict=True
        )
        if ".backbone." in name
    ]
    assert same and all(same)


def test_regions_with_several_labels_are_noted(weights):
    box = WORLD[0].values[0]
    double = Example(WORLD[0].data, (box, msgspec.structs.replace(box, label="blue" if box.label == "red" else "red")))
    model = detector(weights, epochs=1, patience=0)
    model.fit([double, WORLD[1]], 1)
    assert model.notes == ("1 regions have several labels, of which it usually predicts only the likeliest",)


def test_nothing_annotated_is_too_little(weights):
    with pytest.raises(NotEnoughData, match="0 of 2 examples have a box; annotate at least 2 with some"):
        detector(weights).fit([Example(one.data, ()) for one in WORLD[:2]], 1)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    absent = Detector.lacks(Detector.Options(), BOXES)
    assert absent is not None and absent.startswith("the weights PekingU/rtdetr_v2_r18vd are not on this machine; ")
    text = tiny_transformer(tmp_path / "text", ["a b"])
    assert Detector.lacks(Detector.Options(weights=str(text)), BOXES) == (
        f"{text} is a model of the type bert; name one of RT-DETR, RT-DETRv2, D-FINE, RF-DETR, such as PekingU/rtdetr_v2_r18vd"
    )
    assert detector(text).predict([WORLD[0].data]) == [[]]


def test_settings_of_another_image_processor_are_an_error(tmp_path):
    folder = tiny_detector(tmp_path / "tiny")
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": "tall"}}))
    with pytest.raises(AdapterError, match="cannot be read as the settings of an image processor"):
        detector(folder).predict([WORLD[0].data])


def test_colours_are_normalised_where_weights_say_so(tmp_path):
    folder = tiny_detector(tmp_path / "tiny")
    plain = DetectionModel.of(folder, "cpu", None)
    told = {
        "size": {"height": 96, "width": 64},
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    normal = DetectionModel.of(folder, "cpu", None)
    image = np.full((10, 10, 3), 255, np.uint8)
    pixels = normal.scaling.input_of(image)
    assert pixels.shape == (3, 96, 64)
    assert normal.scaling.normalised(pixels[None]).max() == 1.0 == plain.scaling.normalised(pixels[None]).min()
    assert normal.scaling.normalised(0 * pixels[None]).min() == -1.0


def test_a_file_that_is_no_image_is_an_error(weights, tmp_path):
    (tmp_path / "no.png").write_text("no")
    with pytest.raises(AdapterError, match=r"no\.png cannot be read as an image"):
        detector(weights).predict([Path(tmp_path / "no.png")])


def test_what_is_in_the_drawn_region_is_answered():
    model, example = DETECTOR[0].ready(), next(one for one in WORLD if len(one.values) == 2)
    answered = model.respond(example.data, [Box("", x=0.0, y=0.0, width=0.5, height=1.0)])
    assert answered and all(box.x + box.width / 2 < 0.5 for box in answered)
    assert model.respond(example.data, []) == []


def test_a_batch_that_does_not_fit_into_the_memory_is_halved(weights, monkeypatch, caplog):
    paths = [example.data for example in WORLD[:5]]
    whole = detector(weights).predict(paths)
    run, sizes = DetectionModel._found, []

    def small(self, images, *rest):
        sizes.append(len(images))
        if len(images) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return run(self, images, *rest)

    monkeypatch.setattr(DetectionModel, "_found", small)
    parts = detector(weights).predict(paths)
    assert sizes == [5, 3, 2, 2, 1]
    assert [len(boxes) for boxes in parts] == [len(boxes) for boxes in whole]
    assert (
        "detector: the device has too little memory for a batch of 5; from now on a batch has at most 3" in caplog.text
    )


def test_half_precision_finds_the_same_boxes(weights, monkeypatch):
    import torch

    path = WORLD[0].data
    [full] = detector(weights).predict([path])
    # float16 is for GPUs; here a processor computes with the half precision that it has.
    monkeypatch.setattr(
        "lsml.adapters.image.detector.model.precision_of", lambda on, half: torch.bfloat16 if half else None
    )
    [half] = detector(weights, half=True).predict([path])
    assert half != full
    assert [box.score for box in half[:5]] == pytest.approx([box.score for box in full[:5]], abs=0.05)


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    return tiny_rf_detr(tmp_path_factory.mktemp("masks") / "tiny", names=("red", "stuff"))


OUTLINES = Target(LABELS, multiple=True, kinds={"mask": LABELS, "polygon": LABELS})
OUTLINED = worlds.shape_examples("polygon", 8)


def test_masks_are_those_of_the_library(masks, tmp_path):
    import torch
    import transformers
    from PIL import Image

    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)).save(path)
    processor = transformers.RTDetrImageProcessor(size={"height": 96, "width": 96})
    inputs = processor(images=Image.open(path), return_tensors="pt")
    with torch.inference_mode():
        said = transformers.AutoModelForInstanceSegmentation.from_pretrained(masks).eval()(**inputs)
    [theirs] = transformers.RfDetrImageProcessor().post_process_instance_segmentation(
        said, threshold=0.001, target_sizes=[(90, 160)], return_binary_maps=True
    )
    model = detector(masks, Target(LABELS, kinds={"mask": LABELS}))
    ours = model.predict([path])[0]
    assert ours and len(ours) == len(theirs["segmentation"])
    assert [one.score for one in ours] == pytest.approx([one["score"] for one in theirs["segments_info"]], abs=2e-3)
    assert [one.label for one in ours] == [("red", "stuff")[one["label_id"]] for one in theirs["segments_info"]]
    for one, other in zip(ours[:3], theirs["segmentation"].numpy(), strict=False):
        assert isinstance(one, Mask) and (one.pixels() != other.astype(bool)).mean() < 0.01


def test_each_object_has_a_mask_and_its_outlines(masks):
    [first, *outlines] = detector(masks, OUTLINES, max_det=1).predict([OUTLINED[0].data])[0]
    assert isinstance(first, Mask) and {type(one) for one in outlines} == {Polygon}
    assert {one.score for one in outlines} == {first.score}
    assert worlds.overlap(first, max(outlines, key=lambda one: worlds.drawn(one).sum())) > 0.3


def test_weights_of_masks_give_boxes_where_boxes_are_wanted(masks, tmp_path):
    model = detector(masks)
    assert {type(box) for box in model.predict([WORLD[0].data])[0]} == {Box}
    model = detector(masks, epochs=1, patience=0)
    model.fit(WORLD[:3], 1)
    model.save(tmp_path)
    again = detector(masks)
    again.load(tmp_path)
    assert again.predict([WORLD[0].data]) == model.predict([WORLD[0].data]) != [[]]


def test_outlines_and_masks_are_learnt(masks, tmp_path):
    import torch

    from lsml.adapters.image.detector.fitting import _loss
    from lsml.adapters.parts.training_objects import goal_of, lines_of

    examples = [*OUTLINED[:3], *worlds.shape_examples("mask", 8)[-1:]]
    assert examples[-1].values == ()  # a negative example
    goal = goal_of("segment", OUTLINES, examples)
    images = [AnnotatedImage(one.data, lines_of(one.values, goal) or []) for one in examples]

    def wrong(model):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(1)
            return float(_loss(model, images, 0.0))

    before = wrong(DetectionModel.fresh(masks, goal.labels, "cpu", None, 1, masks=True))
    model = detector(masks, OUTLINES, epochs=24, learning_rate=1e-3, patience=0, train_batch=1)
    model.fit(examples, 1)
    assert wrong(model._model) < 0.8 * before  # from random weights, in two dozen epochs
    assert not model.own_names and {type(one) for one in model.predict([examples[0].data])[0]} == {Mask, Polygon}
    model.save(tmp_path)
    again = detector(masks, OUTLINES)
    again.load(tmp_path)
    assert again.predict([examples[0].data]) == model.predict([examples[0].data])


def test_an_outline_is_learnt_as_its_pixels_and_the_box_around_them(masks):
    model = DetectionModel.of(masks, "cpu", None, masks=True)
    one = AnnotatedImage(WORLD[0].data, [(1.0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.75, 0.25, 0.75)])
    (_, [there]), (_, [here]) = (detection_inputs(model, [one], flip) for flip in (0.0, 1.0))
    assert there["boxes"].tolist() == [pytest.approx([0.375, 0.625, 0.25, 0.25])]
    pixels = there["masks"][0]
    assert pixels.shape == (96, 96) and pixels[48:72, 24:48].mean() == 1.0 and pixels.sum() == 24 * 24
    assert here["boxes"].tolist() == [pytest.approx([0.625, 0.625, 0.25, 0.25])]
    assert here["masks"].flip(2).equal(there["masks"])


def test_weights_of_boxes_are_refused_for_masks(weights, masks):
    config = parse_labeling_config(
        '<View><Image name="i" value="$i"/><BrushLabels name="b" toName="i"><Label value="red"/></BrushLabels></View>'
    )
    brush, image = config.controls[0], config.objects["i"]
    assert Detector.refusal(Detector.Options(weights=str(masks)), brush, image) is None
    # Also where they are not on this machine yet.
    assert "the weights PekingU/rtdetr_v2_r18vd give boxes" in (
        Detector.refusal(Detector.Options(), brush, image) or ""
    )
    assert Detector.refusal(Detector.Options(weights="Roboflow/rf-detr-seg-medium"), brush, image) is None
    assert Detector.refusal(Detector.Options(weights=str(weights)), brush, image) == (
        f"BrushLabels#b takes masks or outlines, and the weights {weights} give boxes; use some such as "
        "Roboflow/rf-detr-seg-medium"
    )


def test_an_input_has_a_side_that_the_model_takes(masks):
    assert detector(masks, imgsz=96)._loaded().scaling[:2] == (96, 96)
    narrow = DetectionModel.of(masks, "cpu", 96)
    assert narrow.scaling.in_steps_of(56)[:2] == (112, 112)
