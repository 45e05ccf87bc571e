"""Precision by device, and batches that shrink where the memory ends. No GPU is needed: the errors are made here."""

from __future__ import annotations

import logging

import pytest

from lsml.adapters.parts.devices import FittingBatch, computing_with, precision_of
from lsml.errors import AdapterError

pytestmark = pytest.mark.models


def small(most, sizes):
    """A device that computes at most so many items at once, and keeps the sizes that it was asked for."""

    def compute(some):
        sizes.append(len(some))
        if len(some) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [2 * one for one in some]

    return compute


def test_a_batch_is_halved_until_it_fits_and_stays_so(caplog):
    fitting, sizes = FittingBatch("yolo"), []
    with caplog.at_level(logging.WARNING):
        assert fitting.results(range(16), small(5, sizes)) == [2 * one for one in range(16)]
        assert sizes == [16, 8, 4, 4, 4, 4]
        sizes.clear()
        assert fitting.results(range(6), small(5, sizes)) == [0, 2, 4, 6, 8, 10]
    assert sizes == [4, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "yolo: the device has too little memory for a batch of 16; from now on a batch has at most 8; set `batch: 8` to begin "
        "with it",
        "yolo: the device has too little memory for a batch of 8; from now on a batch has at most 4; set `batch: 4` to begin "
        "with it",
    ]


def test_one_item_that_does_not_fit_is_an_error():
    with pytest.raises(AdapterError) as raised:
        FittingBatch("yolo").results(range(2), small(0, []))
    assert str(raised.value) == (
        "yolo: the device has too little memory for one image; choose a smaller model or image size, or `device: cpu`"
    )


def test_errors_of_another_kind_are_not_touched():
    def broken(_):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        FittingBatch("yolo").results(range(2), broken)


def test_torchs_own_error_counts():
    import torch

    sizes = []

    def compute(some):
        sizes.append(len(some))
        if len(some) > 1:
            raise torch.cuda.OutOfMemoryError("full")
        return some

    assert FittingBatch("yolo").results([1, 2], compute) == [1, 2]
    assert sizes == [2, 1, 1]


@pytest.mark.parametrize(
    ("device", "half", "name"),
    [("cuda:1", True, "float16"), ("cuda", False, None), ("cpu", True, None), ("mps", True, None)],
)
def test_half_precision_is_for_gpus(device, half, name):
    import torch

    assert precision_of(torch.device(device), half=half) == (None if name is None else getattr(torch, name))


def test_a_model_computes_with_a_precision():
    import torch

    layer, given = torch.nn.Linear(4, 2), torch.ones(1, 4)
    with torch.inference_mode(), computing_with(torch.device("cpu"), torch.bfloat16):
        assert layer(given).dtype == torch.bfloat16
    with torch.inference_mode(), computing_with(torch.device("cpu"), None):
        assert layer(given).dtype == torch.float32


def test_a_training_step_that_does_not_fit_is_computed_in_parts():
    import torch

    from lsml.adapters.parts.fine_tuning import Descent, descend

    def trained(most):
        torch.manual_seed(1)
        model = torch.nn.Linear(3, 1)

        def loss(some):
            if len(some) > most:
                raise RuntimeError("CUDA out of memory.")
            return (model(torch.stack(list(some))) - 1).square().mean()

        settings = Descent(3, 0.01, 0.0, 0.1, 4, 0)
        draw = torch.Generator().manual_seed(1)
        descend(model, list(torch.arange(24.0).reshape(8, 3) / 24), loss, settings, draw, lambda *_: None, None)
        return model.weight

    whole, parts = trained(4), trained(1)
    assert torch.allclose(whole, parts, atol=1e-5) and whole.grad is not None
