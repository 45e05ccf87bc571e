"""What the options of a training become for ultralytics."""

from __future__ import annotations

import pytest

from lsml.adapters.image.yolo.dataset import Dataset
from lsml.adapters.image.yolo.fitting import _arguments
from lsml.adapters.image.yolo.options import YoloOptions

DATASET = Dataset({}, 20, ())


def arguments(tmp_path, **options):
    return _arguments("detect", DATASET, YoloOptions(**options), 96, 1, tmp_path)


def test_images_are_mirrored_unless_that_would_change_their_meaning(tmp_path):
    assert arguments(tmp_path)["fliplr"] == 0.5
    assert arguments(tmp_path, mirror=False)["fliplr"] == 0.0


def test_light_augmentation_makes_no_mosaics_and_none_changes_nothing(tmp_path):
    assert "mosaic" not in arguments(tmp_path)
    assert arguments(tmp_path, augmentation="light")["mosaic"] == 0.0
    none = arguments(tmp_path, augmentation="none", mirror=False)
    assert {none[name] for name in ("mosaic", "hsv_h", "scale", "translate", "erasing", "fliplr")} == {0.0}


def test_a_short_training_warms_up_for_an_eighth_of_its_epochs(tmp_path):
    assert [arguments(tmp_path, epochs=epochs)["warmup_epochs"] for epochs in (8, 24, 50)] == [1.0, 3.0, 3.0]
    assert (arguments(tmp_path)["batch"], arguments(tmp_path)["nbs"]) == (8, 8)


def test_layers_are_frozen_and_rare_labels_weighted_as_the_recipe_says(tmp_path):
    assert (arguments(tmp_path)["freeze"], "cls_pw" in arguments(tmp_path)) == (None, False)
    chosen = arguments(tmp_path, freeze=10, class_balance=0.5)
    assert (chosen["freeze"], chosen["cls_pw"]) == (10, 0.5)


@pytest.mark.models
@pytest.mark.parametrize("augmentation", ["usual", "light", "none"])
def test_ultralytics_knows_every_argument(tmp_path, augmentation):
    from ultralytics.cfg import get_cfg

    given = arguments(tmp_path, augmentation=augmentation, class_balance=1.0, learning_rate=0.01)
    known = get_cfg(overrides=given)
    assert (known.cls_pw, known.lr0) == (1.0, 0.01)


@pytest.mark.models
def test_a_batch_of_training_that_does_not_fit_into_the_memory_is_halved(monkeypatch, caplog):
    from ultralytics.nn.tasks import BaseModel

    from lsml.adapters.base import Target
    from lsml.adapters.image.yolo import Yolo
    from tests.support import worlds
    from tests.support.cases import FIBRILS

    loss, sizes = BaseModel.loss, []

    def small(self, batch, preds=None):
        sizes.append(len(batch["img"]))
        if sizes[-1] > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return loss(self, batch, preds)

    monkeypatch.setattr(BaseModel, "loss", small)
    labels = ("blue", "red")
    options = YoloOptions(weights=str(FIBRILS), task="detect", imgsz=96, epochs=1, train_batch=4, device="cpu")
    model = Yolo(options, Target(labels, multiple=True, kinds={"box": labels}))
    model.fit(worlds.shape_examples("box", 4), 1)
    assert (sizes[0], max(sizes[1:])) == (4, 2) and not model.own_names
    assert (
        "yolo: the device has too little memory for a batch of 4; it was trained with 2; set `train_batch: 2` to begin with it"
        in caplog.text
    )
