"""The options of a detector in a recipe."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, TRAINING
from lsml.adapters.parts.devices import Half
from lsml.adapters.parts.fine_tuning import PretrainedOptions

DEFAULT: Final = "PekingU/rtdetr_v2_r18vd"  # weights of boxes


class DetectorOptions(PretrainedOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `detector`."""

    weights: Annotated[
        str,
        Meta(
            min_length=1,
            description="RT-DETR, RT-DETRv2, D-FINE or RF-DETR: a folder of transformers, relative to the recipe, or the "
            "name of one that `lsml fetch` downloaded, such as ustc-community/dfine-small-coco. Masks and outlines need "
            "Roboflow/rf-detr-seg-medium or the like.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = DEFAULT
    confidence: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The least score of a result of the model itself; the recipe's `threshold` decides what is shown.",
            extra=PREDICTIONS,
        ),
    ] = 0.001
    imgsz: Annotated[
        Annotated[int, Meta(ge=32, le=4096, multiple_of=32)] | None,
        Meta(
            description="The side, in pixels, of the square to which images are scaled, also for training; a multiple of 32. "
            "RF-DETR takes the nearest side that it can. null: that of the weights, usually 640.",
            extra=PREDICTIONS,
            extra_json_schema={"errorMessage": "expected a multiple of 32 from 32 to 4096, or null"},
        ),
    ] = None
    max_det: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="The most results for one image; a model has its own limit, too.",
            extra=PREDICTIONS,
        ),
    ] = 300
    classes: Annotated[
        list[str] | None,
        Meta(description="Only these classes of the weights, by name; null for all.", extra=PREDICTIONS),
    ] = None
    batch: Annotated[int, Meta(ge=1, le=1024, description="Images in one batch.", extra=MACHINE)] = 16
    half: Half = False
    resume: Annotated[
        bool,
        Meta(
            description="`true` trains on from the promoted version, where there is one, and not from `weights`. Fewer "
            "`epochs` then suffice, and a smaller `learning_rate`.",
            extra=TRAINING,
        ),
    ] = False
    epochs: Annotated[int, Meta(ge=1, le=10_000, description="The most epochs.", extra=TRAINING)] = 50
    train_batch: Annotated[int, Meta(ge=1, le=1024, description="The batch size of training.", extra=TRAINING)] = 8
    patience: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Stop after this many epochs without improvement on a tenth of the examples, which is a validation set "
            "if there are at least 40; 0 always runs all epochs, on all examples.",
            extra=TRAINING,
        ),
    ] = 20
    freeze: Annotated[
        bool, Meta(description="`true` leaves the backbone as it is, which is faster.", extra=TRAINING)
    ] = False
    flip: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The share of images that are mirrored in an epoch; 0 where left and right differ.",
            extra=TRAINING,
        ),
    ] = 0.5
    learning_rate: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | Literal["auto"],
        Meta(
            description="The learning rate; auto: 1e-4.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number above 0 up to 1, or auto"},
        ),
    ] = "auto"
