"""What a recipe can say about a YOLO model."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

_PREDICTIONS: Final = {"decides": "predictions"}
_TRAINING: Final = {"decides": "training"}
_MACHINE: Final = {"decides": "machine"}


_Share = Annotated[float, Meta(ge=0, le=1)]


def _tracker(description: str) -> Any:
    return Meta(description=f"{description} null for the tracker's own.", extra=_PREDICTIONS)


class YoloOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `yolo`."""

    weights: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A .pt or .onnx file or an OpenVINO folder, from the recipe's folder; a name that ultralytics "
            "publishes, such as yolo11s.pt; or an architecture, such as yolo11n.yaml, to learn from scratch. null: "
            "yolo11n for what the tag takes.",
            extra={**_PREDICTIONS, "file": True},
        ),
    ] = None
    sha256: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$(?!\n)")] | None,
        Meta(
            description="The SHA-256 that the file of the weights must have; others are not loaded.",
            extra=_MACHINE,
            extra_json_schema={"errorMessage": "expected 64 hexadecimal digits"},
        ),
    ] = None
    download: Annotated[
        bool, Meta(description="Whether published weights that are not here may be fetched.", extra=_MACHINE)
    ] = False
    task: Annotated[
        Literal["auto", "detect", "obb", "segment", "pose", "classify"],
        Meta(
            description="What the model is to do. auto: what the weights do. Another one: learn it from annotations, "
            "starting from these weights as far as they fit.",
            extra=_PREDICTIONS,
        ),
    ] = "auto"
    confidence: Annotated[
        float,
        Meta(
            ge=0.0001, le=1,
            description="The least score that the model itself looks at; which results are shown is the recipe's `threshold`.",
            extra=_PREDICTIONS,
        ),
    ] = 0.001  # fmt: skip
    iou: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Of two results that overlap more than this, the surer one stays.",
            extra=_PREDICTIONS,
        ),
    ] = 0.7
    imgsz: Annotated[
        Annotated[int, Meta(ge=32, le=8192)] | None,
        Meta(
            description="The longer side, in pixels, to which images are scaled, for learning too. null: that of the "
            "weights, else 640, or 224 for classification.",
            extra=_PREDICTIONS,
        ),
    ] = None
    max_det: Annotated[
        int, Meta(ge=1, le=10_000, description="The most results for one image.", extra=_PREDICTIONS)
    ] = 300
    classes: Annotated[
        list[str] | None,
        Meta(description="Only these classes of the weights, by name; null for all.", extra=_PREDICTIONS),
    ] = None
    device: Annotated[
        str, Meta(min_length=1, description="auto, cpu, mps, or the number of a GPU: 0.", extra=_MACHINE)
    ] = "auto"
    half: Annotated[bool, Meta(description="Whether to compute with half precision, on a GPU.", extra=_MACHINE)] = False
    batch: Annotated[int, Meta(ge=1, le=1024, description="Images that are looked at together.", extra=_MACHINE)] = 16
    accelerate: Annotated[
        Literal["onnx", "openvino"] | None,
        Meta(
            description="Export the model once and serve that, if it answers as torch does: "
            'pip install "lsml[onnx]" or "lsml[openvino]". null for torch.',
            extra=_MACHINE,
        ),
    ] = None
    tracker: Annotated[
        Literal["botsort", "bytetrack"],
        Meta(
            description="How boxes are followed through a video; botsort also follows the camera.", extra=_PREDICTIONS
        ),
    ] = "botsort"
    track_high_thresh: Annotated[_Share | None, _tracker("Boxes at or above it are matched first.")] = None
    track_low_thresh: Annotated[_Share | None, _tracker("Boxes below it are left out.")] = None
    new_track_thresh: Annotated[_Share | None, _tracker("A new track needs a box that scores so much.")] = None
    match_thresh: Annotated[_Share | None, _tracker("How far a box may be from where its track is expected.")] = None
    track_buffer: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(description="How many frames an object may be unseen; null for the tracker's own.", extra=_PREDICTIONS),
    ] = None
    track_error: Annotated[
        float,
        Meta(
            ge=0, le=0.2,
            description="Keyframes are left out as long as no edge of a box moves by more than this share of the frame.",
            extra=_PREDICTIONS,
        ),
    ] = 0.005  # fmt: skip
    frame_step: Annotated[
        int, Meta(ge=1, le=1000, description="Look at every n-th frame of a video only.", extra=_PREDICTIONS)
    ] = 1
    epochs: Annotated[int, Meta(ge=1, le=10_000, description="Most passes over the examples.", extra=_TRAINING)] = 50
    train_batch: Annotated[int, Meta(ge=1, le=1024, description="Images of one step of learning.", extra=_TRAINING)] = (
        16
    )
    patience: Annotated[
        int,
        Meta(
            ge=0, le=10_000,
            description="Stop after so many epochs without getting better on a tenth of the examples, which is kept from "
            "learning where there are at least 40; 0 always runs all epochs, on all examples.",
            extra=_TRAINING,
        ),
    ] = 20  # fmt: skip
    freeze: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="How many of the first layers stay as they are; 10 is the backbone.",
            extra=_TRAINING,
        ),
    ] = 0
    learning_rate: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | Literal["auto"],
        Meta(
            description="How far one step goes; auto: ultralytics' choice of optimizer and rate.",
            extra=_TRAINING,
            extra_json_schema={"errorMessage": "expected a number above 0 up to 1, or auto"},
        ),
    ] = "auto"
