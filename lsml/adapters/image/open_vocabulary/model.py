"""Models on a device that find boxes for phrases: OWLv2, OWL-ViT and Grounding DINO."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from lsml.adapters.parts.devices import FittingBatch, computing_with, precision_of
from lsml.adapters.parts.found_objects import boxes_of
from lsml.adapters.parts.pooled import Pool
from lsml.adapters.parts.transformers_models import config_of, device_of, load_model
from lsml.errors import AdapterError
from lsml.values import Box
from lsml.values.coverage import overlaps

if TYPE_CHECKING:
    from lsml.arrays import Array

_HEAD: Final = "AutoModelForZeroShotObjectDetection"
_ENDS: Final = str.maketrans(".?", "  ")  # what ends a phrase for Grounding DINO


class PhraseBox(NamedTuple):
    """A box that a model found: its score, the number of its phrase, and its corners in pixels (left, top, right, bottom)."""

    score: float
    phrase: int
    corners: Sequence[float]


class PhraseModel(ABC):
    """A model that computes one image at a time for all threads."""

    template: ClassVar[str]  # the usual words around a phrase, which stands for {}

    def __init__(self, folder: Path, device: str, *, half: bool = False) -> None:
        from transformers import AutoProcessor

        self._module = load_model(_HEAD, folder).to(device_of(device))
        try:
            self._processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise AdapterError(f"{folder}: its processor cannot be read: {error}; give a complete model") from error
        self._precision = precision_of(self._module.device, half=half)
        self._fitting = FittingBatch("open-vocabulary", option=None)
        self._lock = threading.Lock()

    def boxes(self, image: Array, phrases: Sequence[tuple[str, str]], floor: float, iou: float) -> list[Box]:
        """Return the boxes of phrases, (label, words) each, on an image (rows, columns, 3), BGR, surest first.

        `floor`: the least score. Of two boxes of one label that overlap more than `iou`, the surer one is kept. Raises
        AdapterError where the image does not fit into the device's memory.
        """
        import numpy as np
        import torch

        colours = np.ascontiguousarray(image[:, :, ::-1])
        words = [words for _, words in phrases]
        with self._lock, torch.inference_mode(), computing_with(self._module.device, self._precision):
            found = self._fitting.results([colours], lambda some: list(self._found(some[0], words, floor)))
        boxes = [
            box
            for one in sorted(found, key=lambda one: -one.score)
            for box in boxes_of(one.corners, image.shape, phrases[one.phrase][0], min(1.0, one.score))
        ]
        return _distinct(boxes, iou)

    @abstractmethod
    def _found(self, image: Array, words: Sequence[str], floor: float) -> Iterator[PhraseBox]:
        """Yield the boxes on an image (rows, columns, 3), RGB, with scores of at least `floor`, each for its best phrase."""


class Owl(PhraseModel):
    """OWLv2 or OWL-ViT, which compares each phrase with each place."""

    template = "a photo of {}"

    def _found(self, image: Array, words: Sequence[str], floor: float) -> Iterator[PhraseBox]:
        longest = int(self._module.config.text_config.max_position_embeddings)
        inputs = self._processor(
            text=[list(words)], images=image, return_tensors="pt", padding="max_length", truncation=True, max_length=longest
        ).to(self._module.device)  # fmt: skip
        said = self._module(**inputs)
        [found] = self._processor.image_processor.post_process_object_detection(
            said, threshold=floor, target_sizes=[image.shape[:2]]
        )
        rows = (found[name].float().cpu().tolist() for name in ("scores", "labels", "boxes"))
        for score, number, corners in zip(*rows, strict=True):
            yield PhraseBox(score, int(number), corners)


class GroundingDino(PhraseModel):
    """Grounding DINO, which reads all phrases as one text, `red car. person.`, and scores each of its tokens."""

    template = "{}"

    def _found(self, image: Array, words: Sequence[str], floor: float) -> Iterator[PhraseBox]:
        import torch

        pixels = self._processor.image_processor(images=image, return_tensors="pt").to(self._module.device)
        height, width = image.shape[:2]
        best: list[PhraseBox] = []  # of each place
        for text in self._texts(words):
            ids = torch.tensor([text.ids], device=self._module.device)
            said = self._module(
                **pixels, input_ids=ids, token_type_ids=torch.zeros_like(ids), attention_mask=torch.ones_like(ids)
            )
            tokens = said.logits[0].float().sigmoid()  # (places, tokens)
            scores, phrases = torch.stack([tokens[:, place].amax(1) for place in text.places], 1).max(1)
            rows = (one.float().cpu().tolist() for one in (scores, phrases, said.pred_boxes[0]))
            for score, phrase, (x, y, wide, high) in zip(*rows, strict=True):
                corners = (
                    (x - wide / 2) * width,
                    (y - high / 2) * height,
                    (x + wide / 2) * width,
                    (y + high / 2) * height,
                )
                best.append(PhraseBox(score, text.first + int(phrase), corners))
        yield from (one for one in best if one.score >= floor)

    def _texts(self, words: Sequence[str]) -> Iterator[_Phrases]:
        """Yield texts of as many phrases as the model reads at once."""
        tokenizer, longest = self._processor.tokenizer, int(self._module.config.max_text_len)
        end = tokenizer.convert_tokens_to_ids(".")
        text = _Phrases(0, [tokenizer.cls_token_id], [])
        for number, phrase in enumerate(words):
            # A phrase of no known token would have no score.
            plain = phrase.lower().translate(_ENDS)
            tokens = tokenizer.encode(plain, add_special_tokens=False)[: longest - 3] or [tokenizer.unk_token_id]
            if text.places and len(text.ids) + len(tokens) + 2 > longest:
                yield text.ended(tokenizer.sep_token_id)
                text = _Phrases(number, [tokenizer.cls_token_id], [])
            text.places.append(slice(len(text.ids), len(text.ids) + len(tokens)))
            text.ids.extend([*tokens, end])
        yield text.ended(tokenizer.sep_token_id)


class _Phrases(NamedTuple):
    """A text of phrases: the number of the first one, the tokens, and the places of each phrase's own tokens."""

    first: int
    ids: list[int]
    places: list[slice]

    def ended(self, token: int) -> _Phrases:
        """Return it with a last token."""
        return self._replace(ids=[*self.ids, token])


# By `model_type`.
FAMILIES: Final[dict[str, tuple[str, type[PhraseModel]]]] = {
    "owlv2": ("OWLv2", Owl),
    "owlvit": ("OWL-ViT", Owl),
    "grounding-dino": ("Grounding DINO", GroundingDino),
    "mm-grounding-dino": ("MM Grounding DINO", GroundingDino),
}


def kind_of(weights: str) -> type[PhraseModel] | None:
    """Return the class of model that weights are of; None for another model, or where they are missing."""
    family = FAMILIES.get(str(config_of(weights).get("model_type")))
    return None if family is None else family[1]


def load(folder: Path, device: str, *, half: bool) -> PhraseModel:
    """Return the model of a folder. Raises AdapterError."""
    kind = kind_of(str(folder))
    if kind is None:
        found = config_of(str(folder)).get("model_type")
        raise AdapterError(f"{folder}: is a model of the type {found}; expected {', '.join(FAMILIES)}")
    return kind(folder, device, half=half)


def _distinct(boxes: Sequence[Box], iou: float) -> list[Box]:
    """Return boxes, surest first, without those that a surer one of their label overlaps more than `iou`."""
    kept: list[Box] = []
    for box in boxes:
        alike = [one for one in kept if one.label == box.label]
        if not alike or float(overlaps([box], alike).max()) <= iou:
            kept.append(box)
    return kept


# Models by content of the weights, device and precision.
POOL: Final[Pool[PhraseModel]] = Pool()
