"""A loaded model: where the memory of its device ends, batches are halved."""

from __future__ import annotations

import pytest

from lsml.adapters.base import Target
from lsml.adapters.image.yolo import Yolo
from lsml.adapters.image.yolo.engine import Engine
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.errors import AdapterError
from tests.support import worlds
from tests.support.cases import FIBRILS

pytestmark = pytest.mark.models
PATHS = [example.data for example in worlds.shape_examples("box", 5)]


def small(most, sizes):
    """A device that computes at most so many images at once; the sizes that it was asked for are kept."""
    run = Engine._computed

    def compute(self, fitted, images):
        sizes.append(len(images))
        if len(images) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return run(self, fitted, images)

    return compute


def model():
    return Yolo(YoloOptions(weights=str(FIBRILS), imgsz=96, device="cpu"), Target(multiple=True, kinds={"box": ()}))


def test_a_batch_that_does_not_fit_into_the_memory_is_halved(monkeypatch, caplog):
    whole, sizes = model().predict(PATHS), []
    monkeypatch.setattr(Engine, "_computed", small(2, sizes))
    again = model()
    # Batches of other sizes round otherwise, which weak boxes feel.
    best = [max(box.score for box in boxes) for boxes in whole]
    assert [max(box.score for box in boxes) for boxes in again.predict(PATHS)] == pytest.approx(best, abs=1e-3)
    assert sizes == [5, 3, 2, 2, 1]
    assert "yolo: the device has too little memory for a batch of 5; from now on a batch has at most 3" in caplog.text
    sizes.clear()
    again.predict(PATHS)
    assert sizes == [2, 2, 1]


def test_an_image_that_does_not_fit_is_an_error(monkeypatch):
    monkeypatch.setattr(Engine, "_computed", small(0, []))
    with pytest.raises(
        AdapterError, match="yolo: the device has too little memory for one image; choose a smaller model"
    ):
        model().predict(PATHS[:1])
