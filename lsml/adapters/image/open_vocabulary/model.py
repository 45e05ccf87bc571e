"""OWLv2 or OWL-ViT on a device: images and phrases in, boxes out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.parts.found_objects import boxes_of
from lsml.adapters.parts.pooled import Pool
from lsml.adapters.parts.transformers_models import config_of, device_of, load_model
from lsml.errors import AdapterError
from lsml.values import Box
from lsml.values.coverage import overlaps

if TYPE_CHECKING:
    from lsml.arrays import Array

FAMILIES: Final = {"owlv2": "OWLv2", "owlvit": "OWL-ViT"}  # by `model_type`
_HEAD: Final = "AutoModelForZeroShotObjectDetection"


class PhraseModel:
    """A model that computes one image at a time for all threads."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoProcessor

        kind = config_of(str(folder)).get("model_type")
        if kind not in FAMILIES:
            raise AdapterError(f"{folder}: is a model of the type {kind}; expected {', '.join(FAMILIES)}")
        self._module = load_model(_HEAD, folder).to(device_of(device))
        try:
            self._processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise AdapterError(f"{folder}: its processor cannot be read: {error}; give a complete model") from error
        self._longest = int(self._module.config.text_config.max_position_embeddings)
        self._lock = threading.Lock()

    def boxes(self, image: Array, phrases: Sequence[tuple[str, str]], floor: float, iou: float) -> list[Box]:
        """Return the boxes of phrases, (label, words) each, on an image (rows, columns, 3), BGR, surest first.

        `floor`: the least score. Of two boxes of one label that overlap more than `iou`, the surer one is kept.
        """
        import numpy as np
        import torch

        with self._lock, torch.inference_mode():
            inputs = self._processor(
                text=[[words for _, words in phrases]], images=np.ascontiguousarray(image[:, :, ::-1]),
                return_tensors="pt", padding="max_length", truncation=True, max_length=self._longest,
            ).to(self._module.device)  # fmt: skip
            said = self._module(**inputs)
            [found] = self._processor.image_processor.post_process_object_detection(
                said, threshold=floor, target_sizes=[image.shape[:2]]
            )
            scores, numbers, rows = (found[name].cpu().tolist() for name in ("scores", "labels", "boxes"))
        boxes = [
            box
            for score, number, row in sorted(zip(scores, numbers, rows, strict=True), key=lambda one: -one[0])
            for box in boxes_of(row, image.shape, phrases[number][0], min(1.0, score))
        ]
        return _distinct(boxes, iou)


def _distinct(boxes: Sequence[Box], iou: float) -> list[Box]:
    """Return boxes, surest first, without those that a surer one of their label overlaps more than `iou`."""
    kept: list[Box] = []
    for box in boxes:
        alike = [one for one in kept if one.label == box.label]
        if not alike or float(overlaps([box], alike).max()) <= iou:
            kept.append(box)
    return kept


# Models by content of the weights and device.
POOL: Final[Pool[PhraseModel]] = Pool()
