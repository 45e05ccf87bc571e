"""The adapter: which weights a recipe means, and whether they are there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, NamedWeights, Target
from lsml.adapters.image.segment_anything.engine import POOL, MaskEngine
from lsml.adapters.image.segment_anything.models import CLASSES, MobileSam, OfTransformers
from lsml.adapters.parts.cut_out import Cut, CutOut, CutOutOptions
from lsml.adapters.parts.devices import Half, precision_of
from lsml.adapters.parts.drawn import Drawn
from lsml.adapters.parts.transformers_models import config_of, device_of, find, remedy
from lsml.adapters.parts.weight_files import file_downloads, find_weights, shown_weights
from lsml.files.digests import content_digest

_MIB: Final = 2**20


class SegmentAnythingOptions(CutOutOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `segment-anything`."""

    weights: Annotated[
        str,
        Meta(
            min_length=1,
            description="SAM or SAM 2: a folder of transformers, relative to the recipe's, or the name of one that was "
            "downloaded before, such as facebook/sam-vit-base. MobileSAM: its file mobile_sam.pt, which needs ultralytics "
            "(AGPL-3.0). Nothing is downloaded.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = "facebook/sam2.1-hiera-tiny"
    cache: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description="MiB of memory for what the model has read of images; of an image that is still there, another "
            "region costs less than a tenth. SAM takes 4 MiB for an image, SAM 2 takes 16.",
            extra=MACHINE,
        ),
    ] = 512
    device: Annotated[str, Meta(description="auto, cpu, cuda, cuda:1, mps.", extra=MACHINE)] = "auto"
    half: Half = False


class SegmentAnything(CutOut[SegmentAnythingOptions]):
    """The mask, outline, ellipse or box of an object, from boxes or from positive and negative points."""

    name: ClassVar[str] = "segment-anything"
    licence: ClassVar[str | None] = (
        "Apache-2.0 (transformers, OpenCV, the weights of SAM and SAM 2), BSD-3-Clause (torch); "
        "MobileSAM needs ultralytics: AGPL-3.0"
    )
    title: ClassVar[str] = "segments objects that a person marks with a box or points, by SAM, SAM 2 or MobileSAM"
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors", "cv2", "PIL")
    extra: ClassVar[str | None] = "segment-anything"
    Options: ClassVar[type[msgspec.Struct]] = SegmentAnythingOptions

    def __init__(self, options: SegmentAnythingOptions, target: Target) -> None:
        super().__init__(options, target)
        self._engine: MaskEngine | None = None
        self._loading = threading.Lock()

    @classmethod
    def lacks(cls, options: SegmentAnythingOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing, or are of another model; or None."""
        if _is_file(options.weights):
            return _lacks_file(options.weights)
        config = config_of(options.weights)
        if not config:
            return f"the weights {shown_weights(options.weights)} are not on this machine; {remedy(options.weights)}"
        if config.get("model_type") not in CLASSES:
            return (
                f"{options.weights} is a model of the type {config.get('model_type')}; name one of SAM or SAM 2, such as "
                "facebook/sam2.1-hiera-tiny"
            )
        return None

    @classmethod
    def downloads(cls, options: SegmentAnythingOptions, target: Target) -> tuple[NamedWeights, ...]:
        """Return the weights that are not on this machine's paths."""
        return file_downloads(options.weights) if _is_file(options.weights) else super().downloads(options, target)

    @property
    def ready(self) -> bool:
        """True if its weights are there."""
        return self.lacks(self.options, self.target) is None

    def cut(self, path: Path, objects: Sequence[Drawn]) -> list[Cut]:
        """Return the pixels of each object in an image. Raises AdapterError."""
        return self._loaded().cut(path, objects)

    def _loaded(self) -> MaskEngine:
        with self._loading:
            if self._engine is None:
                options = self.options
                on = device_of(options.device)
                file = _is_file(options.weights)
                path = _path_of(options.weights) if file else find(self.name, options.weights, "a model")
                kind = MobileSam if file else OfTransformers
                key = (content_digest(path), str(on), options.cache, options.half)
                precision = precision_of(on, half=options.half)
                self._engine = POOL.get(key, lambda: MaskEngine(kind(path, on), options.cache * _MIB, precision))
            return self._engine


def _is_file(weights: str) -> bool:
    return weights.endswith(".pt")


def _lacks_file(weights: str) -> str | None:
    """Return what is missing for MobileSAM, in a sentence; or None."""
    if find_spec("ultralytics") is None:
        return f'MobileSAM ({Path(weights).name}) needs ultralytics, which is AGPL-3.0: pip install "lsml[yolo]"'
    if find_weights(weights) is None:
        return f"the weights {Path(weights).name} are not on this machine; download them once: lsml fetch RECIPE"
    return None


def _path_of(weights: str) -> Path:
    found = find_weights(weights)
    assert found is not None, "a model without weights is not ready"
    return found
