"""The models behind one face: an encoder, which takes an image, and a decoder, which takes its features and prompts.

Images are scaled and normalised as the models' authors do. SAM and MobileSAM keep the sides' ratio and pad, SAM 2 does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from lsml.adapters.image.yolo.library import ultralytics
from lsml.adapters.parts.transformers_models import config_of, load_model
from lsml.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor, device
    from transformers import PreTrainedModel

    from lsml.arrays import Array

# The classes of transformers by the `model_type` of a `config.json`; SAM 2's own files name the model for videos.
CLASSES: Final = {"sam": "SamModel", "sam2": "Sam2Model", "sam2_video": "Sam2Model"}
_MEAN: Final = (123.675, 116.28, 103.53)  # red, green, blue, of 255: all models were trained with these
_SPREAD: Final = (58.395, 57.12, 57.375)


class Marks(NamedTuple):
    """The marks of one object in pixels of the model's input: points with 1 (on it) or 0 (beside it), and a box, if any."""

    points: Sequence[tuple[float, float]]
    signs: Sequence[int]
    box: tuple[float, float, float, float] | None

    @property
    def ambiguous(self) -> bool:
        """True for a lone point, which may mean a part or the whole: then the best of several masks is taken."""
        return self.box is None and len(self.points) == 1

    def tensors(self, on: device) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return points (1, points, 2), signs (1, points) and box (1, 4); None for what it has not."""
        import torch

        points = torch.tensor([self.points], dtype=torch.float32, device=on) if self.points else None
        signs = torch.tensor([self.signs], dtype=torch.int32, device=on) if self.points else None
        return points, signs, None if self.box is None else torch.tensor([self.box], dtype=torch.float32, device=on)


class MaskModel(Protocol):
    """One of the models. `side`: pixels of its square input. `squashes`: images fill the square whatever their ratio."""

    side: int
    squashes: bool
    device: device

    def encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the features of an input (1, 3, side, side)."""

    def decode(self, features: Sequence[Tensor], prompt: Marks) -> tuple[Tensor, Tensor]:
        """Return masks (masks, rows, columns) over the square input, above 0 where the object is, and scores (masks,)."""


class OfTransformers:
    """SAM or SAM 2 from a folder of transformers."""

    def __init__(self, folder: Path, on: device) -> None:
        kind = config_of(str(folder)).get("model_type")
        if kind not in CLASSES:
            known = ", ".join(sorted(CLASSES))
            raise AdapterError(f"{folder}: is a model of the type {kind}; expected {known}")
        self.squashes = CLASSES[kind] == "Sam2Model"
        self._model: PreTrainedModel = load_model(CLASSES[kind], folder).to(on)
        self.device = on
        self.side = int(self._model.config.prompt_encoder_config.image_size)

    def encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the features of an input (1, 3, side, side), coarsest last."""
        features = self._model.get_image_embeddings(pixels.to(self.device))
        return tuple(features) if self.squashes else (features,)

    def decode(self, features: Sequence[Tensor], prompt: Marks) -> tuple[Tensor, Tensor]:
        """Return masks (masks, rows, columns) and scores (masks,)."""
        points, signs, box = (None if one is None else one[None] for one in prompt.tensors(self.device))
        found = self._model(
            image_embeddings=list(features) if self.squashes else features[0],
            input_points=points,
            input_labels=signs,
            input_boxes=box,
            multimask_output=prompt.ambiguous,
        )
        return found.pred_masks[0, 0], found.iou_scores[0, 0]


class MobileSam:
    """MobileSAM from the file of its authors, as ultralytics builds it. Its tensors are read, and no pickled object."""

    side = 1024
    squashes = False

    def __init__(self, file: Path, on: device) -> None:
        ultralytics()
        import torch
        from ultralytics.models.sam.build import build_mobile_sam

        model = build_mobile_sam()
        try:
            model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError, UnpicklingError) as error:
            raise AdapterError(
                f"{file.name} cannot be read as MobileSAM; give the mobile_sam.pt of its authors"
            ) from error
        self._model = model.float().eval().to(on)
        self.device = on

    def encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the features of an input (1, 3, side, side)."""
        return (self._model.image_encoder(pixels.to(self.device)),)

    def decode(self, features: Sequence[Tensor], marks: Marks) -> tuple[Tensor, Tensor]:
        """Return masks (masks, rows, columns) and scores (masks,)."""
        points, signs, box = marks.tensors(self.device)
        given = None if points is None else (points, signs)
        sparse, dense = self._model.prompt_encoder(points=given, boxes=box, masks=None)
        masks, scores = self._model.mask_decoder(
            image_embeddings=features[0],
            image_pe=self._model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=marks.ambiguous,
        )
        return masks[0], scores[0]


def input_of(image: Array, model: MaskModel) -> Tensor:
    """Return a model's input (1, 3, side, side) of an image (rows, columns, 3) in the order BGR."""
    import torch
    from torch.nn.functional import interpolate, pad

    columns, rows = fitted(model, (image.shape[1], image.shape[0]))
    pixels = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)[None]
    pixels = interpolate(pixels, (rows, columns), mode="bilinear", antialias=True).float()
    mean, spread = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (_MEAN, _SPREAD))
    return pad((pixels - mean) / spread, (0, model.side - columns, 0, model.side - rows))


def fitted(model: MaskModel, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (columns, rows) that an image of a size fills in the model's input."""
    if model.squashes:
        return model.side, model.side
    scale = model.side / max(size)
    return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)


def pixels_of(mask: Tensor, model: MaskModel, size: tuple[int, int]) -> Array:
    """Return a mask over the model's input, (rows, columns), as booleans (rows, columns) of an image of a size."""
    from torch.nn.functional import interpolate

    mask = mask[None, None].float()
    if not model.squashes:
        columns, rows = fitted(model, size)
        mask = interpolate(mask, (model.side, model.side), mode="bilinear", align_corners=False)[..., :rows, :columns]
    mask = interpolate(mask, (size[1], size[0]), mode="bilinear", align_corners=False)
    pixels: Array = (mask[0, 0] > 0).cpu().numpy()
    return pixels
