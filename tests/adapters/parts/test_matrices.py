"""Linear layers by oneDNN: the same results, with the same weights, only where a processor computes without gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN"),
]

from lsml.adapters.parts import matrices  # noqa: E402 - it needs torch


def model():
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 3, bias=False)).eval()


@pytest.fixture
def used(monkeypatch):
    """The number of rows that oneDNN multiplied, each time; it counts as faster."""
    rows, by_onednn = [], matrices._by_onednn
    monkeypatch.setattr(matrices, "_onednn_is_faster", lambda: True)
    monkeypatch.setattr(matrices, "_by_onednn", lambda x, *rest: (rows.append(len(x)), by_onednn(x, *rest))[1])
    return rows


def test_it_predicts_the_same_with_the_same_weights(used):
    slow = model()
    quick = matrices.fast(slow)
    given = torch.randn(5, 4, 8)
    with torch.inference_mode():
        assert torch.allclose(quick(given), slow(given), atol=1e-5) and used == [5, 5]
        slow[0].weight += 1.0
        assert torch.allclose(quick(given), slow(given), atol=1e-5)
    assert {id(one) for one in quick.parameters()} == {id(one) for one in slow.parameters()}
    assert type(slow[0]) is torch.nn.Linear


def test_gradients_and_few_rows_are_torchs_own(used):
    quick = matrices.fast(model())
    quick(torch.randn(9, 8)).sum().backward()
    assert quick[0].weight.grad is not None
    with torch.inference_mode():
        quick(torch.randn(2, 8))
    assert not used


@pytest.mark.parametrize("library", [lambda x, w, b: x @ w.T, lambda *_: torch.ops.mkldnn.no_such_function()])
def test_a_library_that_errs_or_is_missing_is_left_out(monkeypatch, library):
    monkeypatch.setattr(matrices, "_by_onednn", library)
    matrices._onednn_is_faster.cache_clear()
    try:
        slow = model()
        assert matrices.fast(slow) is slow
    finally:
        matrices._onednn_is_faster.cache_clear()


@pytest.mark.parametrize(("times", "faster"), [((2.0, 1.0), True), ((1.1, 1.0), False)])
def test_the_measurement_decides(monkeypatch, times, faster):
    measured = dict(zip((matrices._by_torch, matrices._by_onednn), times, strict=True))
    monkeypatch.setattr(matrices, "_seconds", lambda compute, *_: measured[compute])
    matrices._onednn_is_faster.cache_clear()
    try:
        assert matrices._onednn_is_faster() is faster
    finally:
        matrices._onednn_is_faster.cache_clear()
