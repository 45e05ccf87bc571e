"""The choice of the fastest way to compute logits, by measurement: only among those that agree with torch."""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.models

from lsml.adapters.parts import logits  # noqa: E402 - it needs torch
from lsml.adapters.parts.logits import Logits  # noqa: E402


class Tiny(torch.nn.Module):
    """Two labels for each text, after a pause."""

    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor([[1.0, -1.0]]))

    def forward(self, input_ids, attention_mask):
        time.sleep(0.02)
        return SimpleNamespace(logits=input_ids.float().mean(dim=1, keepdim=True) @ self.weights)


INPUTS = {"input_ids": torch.tensor([[1, 2], [-3, 1]]), "attention_mask": torch.ones(2, 2, dtype=torch.long)}
TRUTH = torch.tensor([[1.5, -1.5], [-1.0, 1.0]])


def quick(offset):
    """A maker of a function that is wrong by `offset`."""
    return lambda _model, _padded: lambda inputs: exact(inputs) + offset


def exact(inputs):
    mean = inputs["input_ids"].float().mean(dim=1, keepdim=True)
    return mean @ torch.tensor([[1.0, -1.0]])


def slow(_model, _padded):
    def compute(inputs):
        time.sleep(0.05)
        return exact(inputs)

    return compute


def broken(_model, _padded):
    raise ImportError("no such runtime")


@pytest.mark.parametrize(
    ("bfloat16", "onnx", "chosen"),
    [
        (quick(0), slow, "bfloat16"),
        (slow, quick(0), "onnx"),
        (slow, slow, "torch"),
        (broken, quick(0), "onnx"),
        (broken, broken, "torch"),
        (quick(torch.tensor([[-3.0, 3.0], [3.0, -3.0]])), slow, "torch"),
    ],
)
def test_the_fastest_that_agrees_serves(monkeypatch, caplog, bfloat16, onnx, chosen):
    monkeypatch.setattr(logits, "_MAKERS", {"bfloat16": bfloat16, "onnx": onnx})
    with caplog.at_level(logging.INFO):
        found = Logits("x", Tiny(), "cpu", "auto").of(INPUTS)
    assert found.tolist() == TRUTH.tolist() and f"x: accelerate: {chosen} is the fastest here" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_one_whose_probabilities_agree_but_whose_labels_do_not_is_left_out(monkeypatch, caplog):
    near = {"input_ids": torch.tensor([[0, 0]]), "attention_mask": torch.ones(1, 2, dtype=torch.long)}
    monkeypatch.setattr(logits, "_MAKERS", {"bfloat16": quick(torch.tensor([[0.0, 0.05]])), "onnx": broken})
    with caplog.at_level(logging.INFO):
        assert Logits("x", Tiny(), "cpu", "auto").of(near).tolist() == [[0.0, 0.0]]
    assert "torch is the fastest here" in caplog.text
