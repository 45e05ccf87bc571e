"""The logits of a transformer, by torch or, once it has shown that it answers as torch does, by ONNX Runtime."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import warnings
from pathlib import Path
from typing import Any, Final

from lsml.adapters.transformers_models import device_of
from lsml.cache import cache_directory

_log = logging.getLogger(__name__)
_APART: Final = 1e-2  # how far two logits may be for one answer
_OPSET: Final = 17


class Logits:
    """A model that answers one batch at a time, whoever asks."""

    def __init__(self, adapter: str, model: Any, device: str, accelerate: str | None) -> None:
        self.model = model.to(device_of(device))
        self._adapter = adapter
        self._lock = threading.Lock()
        self._session: Any = None
        self._settled = accelerate is None

    def of(self, inputs: dict[str, Any]) -> Any:
        """Logits of a batch, floats on the CPU: (windows, labels), or (windows, tokens, labels)."""
        import torch

        with self._lock:
            if not self._settled:
                self._settled = True
                self._session = self._accelerated(inputs)
            if self._session is None:
                return self._by_torch(inputs)
            answered = self._session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
        return torch.from_numpy(answered).float()

    def _by_torch(self, inputs: dict[str, Any]) -> Any:
        import torch

        with torch.inference_mode():
            return self.learning(inputs).float().cpu()

    def learning(self, inputs: dict[str, Any]) -> Any:
        """Logits where the model is, with what a training needs to know of them."""
        device = next(self.model.parameters()).device
        return self.model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits

    def _accelerated(self, inputs: dict[str, Any]) -> Any:
        """A session that answers the first batch as torch does; None, with a warning, where there is none."""
        try:
            return self._checked(inputs)
        except Exception as error:  # exporters raise whatever they do; torch still answers
            first = (str(error).splitlines() or [""])[0][:300]
            _log.warning(
                "%s: accelerate: onnx is not possible, so torch answers: %s: %s",
                self._adapter, type(error).__name__, first,
            )  # fmt: skip
            return None

    def _checked(self, inputs: dict[str, Any]) -> Any:
        """A session. Raises anything where it is not possible, or answers otherwise."""
        import numpy as np
        import onnxruntime

        padded = _padded(inputs)
        expected = self._by_torch(padded)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        path = _export(self.model, padded, expected.dim())
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for batch, answer in ((padded, expected), (inputs, self._by_torch(inputs))):
            answered = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
            apart = np.abs(answered - answer.numpy())
            if answer.dim() == 3:
                apart = apart[batch["attention_mask"].numpy().astype(bool)]
            far = float(apart.max())
            if not far <= _APART:
                raise RuntimeError(f"the export answers otherwise than torch (by {far:.3g})")
        return session


def _export(model: Any, inputs: dict[str, Any], width: int) -> Path:
    """The file of a model's export, which is kept by what the model holds; `width`: how many dimensions its logits have."""
    import torch

    digest = hashlib.sha256(model.config.to_json_string().encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    path = cache_directory("onnx") / f"{digest.hexdigest()[:32]}.onnx"
    if path.exists():
        return path
    making = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    names = list(inputs)
    axes = {name: {0: "windows", 1: "tokens"} for name in (*names, "logits")}
    if width == 2:
        axes["logits"] = {0: "windows"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it deprecates and traces; what is exported is checked
            torch.onnx.export(
                _plain(model).eval(), tuple(inputs[name] for name in names), str(making), input_names=names,
                output_names=["logits"], dynamic_axes=axes, dynamo=False, opset_version=_OPSET,
            )  # fmt: skip
        making.replace(path)
    finally:
        making.unlink(missing_ok=True)
    return path


def _padded(inputs: dict[str, Any]) -> dict[str, Any]:
    """The first window, whole and with half of it hidden: an exporter that saw no padding might leave it out."""
    import torch

    rows = {name: torch.cat([tensor[:1], tensor[:1]]) for name, tensor in inputs.items()}
    rows["attention_mask"][1, -(-rows["attention_mask"].shape[1] // 2) :] = 0
    return rows


def _plain(model: Any) -> Any:
    """A module whose answer is the logits alone, as an exporter wants it."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).logits

    return Plain()
