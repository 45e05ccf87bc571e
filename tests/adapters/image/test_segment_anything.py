"""segment-anything cuts out what a person marks. No package ships its weights: random ones show structure alone, that the
right masks of the library come back in the right place, and never that a mask is good."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from lsml.adapters.base import Target
from lsml.adapters.image.segment_anything import SegmentAnything
from lsml.adapters.image.segment_anything.engine import MaskEngine
from lsml.adapters.parts.drawn import drawn_objects
from lsml.errors import AdapterError
from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon
from tests.support.drawings import disc
from tests.support.transformer_models import tiny_sam, tiny_sam2, tiny_transformer

pytestmark = pytest.mark.models
ASPECT = 120 / 90
BOX = Box(label="Cell", x=24 / 120, y=14 / 90, width=52 / 120, height=52 / 90, aspect=ASPECT)
ON = KeyPoint(label="Cell", x=50 / 120, y=40 / 90, aspect=ASPECT)
BESIDE = KeyPoint(label="Cell", x=100 / 120, y=20 / 90, aspect=ASPECT, positive=False)
PROMPTS = {"a click": [ON], "a box": [BOX], "clicks on and beside": [ON, BESIDE], "a box and clicks": [BOX, ON, BESIDE]}


@pytest.fixture(scope="module", params=["sam", "sam2"])
def weights(request, tmp_path_factory):
    return {"sam": tiny_sam, "sam2": tiny_sam2}[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return disc(tmp_path_factory.mktemp("disc") / "disc.png", "Red", (50, 40), 20)


# Equal models are shared, and with them what they have read of images: a test that counts has a budget of its own.
def cutter(weights, kinds=("mask",), labels=("Cell",), **options):
    options = SegmentAnything.Options(weights=str(weights), device="cpu", **options)
    return SegmentAnything(options, Target(labels, kinds=dict.fromkeys(kinds, labels)))


def encoded(adapter):
    """How often its encoder runs from now on: the list grows."""
    runs = []
    adapter._loaded()._model._model.vision_encoder.register_forward_hook(lambda *_: runs.append(1))
    return runs


def by_the_library(weights, image, prompts):
    """What transformers itself says: its processor, its model, its size of the mask."""
    import torch
    import transformers

    two = json.loads((weights / "config.json").read_text())["model_type"] == "sam2"
    if two:
        made = transformers.Sam2ImageProcessor(
            size={"height": 256, "width": 256}, mask_size={"height": 256, "width": 256}
        )
        processor, kind = transformers.Sam2Processor(made), transformers.Sam2Model
    else:
        made = transformers.SamImageProcessor(size={"longest_edge": 256}, pad_size={"height": 256, "width": 256})
        processor, kind = transformers.SamProcessor(made), transformers.SamModel
    points = [one for one in prompts if isinstance(one, KeyPoint)]
    given = {}
    if points:
        given["input_points"] = [[[[one.x * 120, one.y * 90] for one in points]]]
        given["input_labels"] = [[[int(one.positive) for one in points]]]
    if BOX in prompts:
        given["input_boxes"] = [[[24.0, 14.0, 76.0, 66.0]]]
    inputs = processor(images=Image.open(image).convert("RGB"), return_tensors="pt", **given)
    sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes", None)
    alone = len(prompts) == 1 and bool(points)
    with torch.inference_mode():
        found = kind.from_pretrained(weights).eval()(**inputs, multimask_output=alone)
    more = {} if two else {"reshaped_input_sizes": sizes[1], "pad_size": {"height": 256, "width": 256}}
    masks = made.post_process_masks(found.pred_masks, sizes[0], **more)[0][0].numpy()
    scores = found.iou_scores[0, 0].numpy()
    return masks[scores.argmax()], float(scores.max())


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_a_mask_is_the_one_of_the_library(weights, image, prompts):
    [mask] = cutter(weights).respond(image, prompts)
    theirs, score = by_the_library(weights, image, prompts)
    assert mask.label == "Cell" and 0 < theirs.sum() < theirs.size
    assert (mask.pixels() != theirs).mean() < 0.005
    assert mask.score == pytest.approx(min(1, max(0, score)), abs=1e-3)


def test_it_becomes_whichever_shapes_the_controls_take(weights, image):
    values = cutter(weights, ("mask", "polygon", "ellipse", "box")).respond(image, [ON])
    assert [type(value) for value in values] == [Mask, Polygon, Ellipse, Box]
    ys, xs = np.nonzero(values[0].pixels())
    box = values[3]
    assert (box.x * 120, box.y * 90) == pytest.approx((xs.min(), ys.min()))
    assert len({value.score for value in values}) == 1


def test_another_region_of_an_image_costs_the_decoder_alone(weights, image, tmp_path):
    adapter = cutter(weights, cache=101)
    runs = encoded(adapter)
    first = adapter.respond(image, [ON])
    for prompts in PROMPTS.values():
        adapter.respond(image, prompts)
    shutil.copy(image, tmp_path / "same.png")
    assert adapter.respond(tmp_path / "same.png", [ON]) == first  # the content counts, not the name
    assert len(runs) == 1
    adapter.respond(disc(tmp_path / "other.png", "Blue", (60, 50), 20), [ON])
    assert len(runs) == 2


def test_nothing_is_kept_beyond_the_budget(weights, image):
    adapter = cutter(weights, cache=0)
    runs = encoded(adapter)
    assert adapter.respond(image, [ON]) == adapter.respond(image, [ON])
    assert len(runs) == 2


def test_people_who_mark_several_images_at_once_get_the_masks_of_their_own(weights, tmp_path):
    adapter = cutter(weights, cache=102)
    paths = [disc(tmp_path / f"{x}.png", "Red", (x, 40), 20) for x in (30, 50, 70, 90)]
    runs, found = encoded(adapter), {}
    threads = [
        threading.Thread(target=lambda path=path, turn=turn: found.update({(path, turn): adapter.respond(path, [ON])}))
        for turn in range(3)
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == len(paths)
    for path in paths:
        [expected] = cutter(weights, cache=0).respond(path, [ON])
        assert all(found[path, turn] == [expected] for turn in range(3))


def test_each_box_is_an_object_and_controls_share_one_model(weights, image):
    second = Box(label="Dirt", x=0.7, y=0.1, width=0.2, height=0.2, aspect=ASPECT)
    one, other = (cutter(weights, labels=("Cell", "Dirt")) for _ in range(2))
    assert [mask.label for mask in one.respond(image, [BOX, second])] == ["Cell", "Dirt"]
    other.respond(image, [BOX])
    assert one._loaded() is other._loaded()


def test_a_file_of_sam_2_that_names_its_model_for_videos_is_read(tmp_path, image):
    folder = tiny_sam2(tmp_path / "video")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video"}))
    assert cutter(folder).respond(image, [ON]) == cutter(tiny_sam2(tmp_path / "plain")).respond(image, [ON])


def test_mobile_sam_is_read_from_its_file_and_gives_the_masks_of_ultralytics(tmp_path, image):
    import torch
    from ultralytics import SAM
    from ultralytics.models.sam.build import build_mobile_sam

    torch.manual_seed(3)
    file = tmp_path / "mobile_sam.pt"
    state = build_mobile_sam().state_dict()
    state["mask_decoder.iou_prediction_head.layers.2.bias"] += 0.9  # ultralytics leaves out masks of low scores
    torch.save(state, file)
    # In the size of the input, for ultralytics scales and pads images in another way than the authors of SAM.
    large = tmp_path / "large.png"
    Image.open(image).resize((1024, 1024)).save(large)
    box = [BOX.x * 1024, BOX.y * 1024, (BOX.x + BOX.width) * 1024, (BOX.y + BOX.height) * 1024]
    adapter = cutter(file)
    [mask] = adapter.respond(large, [BOX])
    [result] = SAM(str(file)).predict(str(large), bboxes=[box], verbose=False, save=False, device="cpu")
    theirs = result.masks.data[0].cpu().numpy().astype(bool)
    assert (mask.pixels() != theirs).mean() < 0.005
    file.write_bytes(b"no weights")
    with pytest.raises(
        AdapterError, match=r"^mobile_sam\.pt cannot be read as MobileSAM; give the mobile_sam\.pt of its"
    ):
        cutter(file).respond(image, [BOX])
    file.unlink()
    assert SegmentAnything.lacks(adapter.options, adapter.target) == (
        "the weights mobile_sam.pt are not on this machine; download them once: lsml fetch RECIPE"
    )


def test_a_file_that_is_no_image_is_a_sentence(weights, tmp_path):
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(AdapterError, match=r"page\.png cannot be read as an image"):
        cutter(weights).respond(tmp_path / "page.png", [BOX])


def test_weights_that_are_missing_are_a_sentence_that_says_how_to_fetch_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    adapter = cutter("facebook/sam2.1-hiera-tiny")
    assert not adapter.ready
    assert SegmentAnything.lacks(adapter.options, adapter.target) == (
        "the weights facebook/sam2.1-hiera-tiny are not on this machine; give the path of their folder, or download "
        "them once: lsml fetch RECIPE"
    )


def test_weights_of_another_kind_are_named(tmp_path):
    adapter = cutter(tiny_transformer(tmp_path, ["a text"]))
    assert not adapter.ready
    assert SegmentAnything.lacks(adapter.options, adapter.target) == (
        f"{tmp_path} is a model of the type bert; name one of SAM or SAM 2, such as facebook/sam2.1-hiera-tiny"
    )


def test_half_of_what_is_kept_makes_room_where_the_memory_ends(weights, tmp_path, monkeypatch, caplog):
    engine = cutter(weights, cache=333)._loaded()
    images = [disc(tmp_path / f"{number}.png", "Red", (50 + number, 40), 20) for number in range(3)]
    marks = drawn_objects([ON])
    [first] = engine.cut(images[0], marks)
    engine.cut(images[1], marks)
    held, encode, failures = engine._embeddings.bytes, engine._model.encode, [1]

    def full(pixels):
        if failures:
            failures.pop()
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return encode(pixels)

    monkeypatch.setattr(engine._model, "encode", full)
    engine.cut(images[2], marks)
    assert engine._embeddings.bytes <= held // 2
    assert "segment-anything: the device has too little memory; from now on it keeps at most" in caplog.text
    assert (engine.cut(images[0], marks)[0].pixels == first.pixels).all()


def test_an_image_that_does_not_fit_alone_is_an_error(weights, image, monkeypatch):
    engine = cutter(weights, cache=334)._loaded()
    monkeypatch.setattr(engine._model, "encode", lambda _: (_ for _ in ()).throw(RuntimeError("CUDA out of memory.")))
    with pytest.raises(AdapterError, match="segment-anything: the device has too little memory for one image; choose"):
        engine.cut(image, drawn_objects([ON]))


def test_half_precision_cuts_out_nearly_the_same(weights, image):
    import torch

    adapter = cutter(weights, cache=335)
    [full] = adapter.respond(image, [BOX])
    engine = adapter._loaded()
    half = MaskEngine(engine._model, 0, torch.bfloat16)  # float16 is for GPUs
    [cut] = half.cut(image, drawn_objects([BOX]))
    assert (cut.pixels != full.pixels()).mean() < 0.1
