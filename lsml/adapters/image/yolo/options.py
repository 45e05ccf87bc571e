"""The options of a YOLO model in a recipe."""

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
            description="A .pt or .onnx file or an OpenVINO folder, relative to the recipe's; a name that ultralytics "
            "publishes, such as yolo11s.pt, or a URL, both for `lsml fetch`; or an architecture, such as yolo11n.yaml, to "
            "train from scratch. null: yolo11n for the tag's kind.",
            extra={**_PREDICTIONS, "file": True},
        ),
    ] = None
    sha256: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$(?!\n)")] | None,
        Meta(
            description="The SHA-256 of the weights' file; another file is not loaded.",
            extra=_MACHINE,
            extra_json_schema={"errorMessage": "expected 64 hexadecimal digits"},
        ),
    ] = None
    download: Annotated[
        bool,
        Meta(
            description="`true` allows a server to download published weights at the first use; "
            "`lsml fetch` does so beforehand, and records their SHA-256.",
            extra=_MACHINE,
        ),
    ] = False
    task: Annotated[
        Literal["auto", "detect", "obb", "segment", "pose", "classify"],
        Meta(
            description="The model's task. auto: that of the weights. Another task is trained on annotations, "
            "starting from these weights as far as they fit.",
            extra=_PREDICTIONS,
        ),
    ] = "auto"
    confidence: Annotated[
        float,
        Meta(
            ge=0.0001, le=1,
            description="The least score of a result of the model itself; the recipe's `threshold` decides what is shown.",
            extra=_PREDICTIONS,
        ),
    ] = 0.001  # fmt: skip
    iou: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Of two results that overlap more than this, only the one with the higher score is kept.",
            extra=_PREDICTIONS,
        ),
    ] = 0.7
    imgsz: Annotated[
        Annotated[int, Meta(ge=32, le=8192)] | None,
        Meta(
            description="The longer side, in pixels, to which images are scaled, also for training. null: that of the "
            "weights, else 640, or 224 for classification.",
            extra=_PREDICTIONS,
        ),
    ] = None
    max_det: Annotated[
        int, Meta(ge=1, le=10_000, description="The most results for one image.", extra=_PREDICTIONS)
    ] = 300
    tile: Annotated[
        Annotated[int, Meta(ge=64, le=8192)] | None,
        Meta(
            description="For small objects in large images: look also at overlapping tiles of this side, in pixels, and join "
            "their boxes. It is for boxes that are not rotated, and slower by the number of tiles. null: the whole image "
            "alone.",
            extra=_PREDICTIONS,
        ),
    ] = None
    classes: Annotated[
        list[str] | None,
        Meta(description="Only these classes of the weights, by name; null for all.", extra=_PREDICTIONS),
    ] = None
    device: Annotated[
        str, Meta(min_length=1, description="auto, cpu, mps, or the number of a GPU: 0.", extra=_MACHINE)
    ] = "auto"
    half: Annotated[bool, Meta(description="`true` computes with half precision, on a GPU.", extra=_MACHINE)] = False
    batch: Annotated[int, Meta(ge=1, le=1024, description="Images in one batch.", extra=_MACHINE)] = 16
    accelerate: Annotated[
        Literal["onnx", "openvino"] | None,
        Meta(
            description="Export the model once and serve the export, if its results agree with torch's. It needs pip "
            'install "lsml[onnx]" or "lsml[openvino]". null for torch.',
            extra=_MACHINE,
        ),
    ] = None
    tracker: Annotated[
        Literal["botsort", "bytetrack"],
        Meta(description="The tracker for videos; botsort also compensates camera motion.", extra=_PREDICTIONS),
    ] = "botsort"
    track_high_thresh: Annotated[_Share | None, _tracker("Boxes at or above it are matched first.")] = None
    track_low_thresh: Annotated[_Share | None, _tracker("Boxes below it are left out.")] = None
    new_track_thresh: Annotated[_Share | None, _tracker("The least score of a box that starts a track.")] = None
    match_thresh: Annotated[_Share | None, _tracker("The largest distance of a box from its track's prediction.")] = (
        None
    )
    track_buffer: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(description="The most frames that an object may be lost; null for the tracker's own.", extra=_PREDICTIONS),
    ] = None
    track_error: Annotated[
        float,
        Meta(
            ge=0, le=0.2,
            description="The largest error of a box's edge from left-out keyframes, as a share of the frame.",
            extra=_PREDICTIONS,
        ),
    ] = 0.005  # fmt: skip
    frame_step: Annotated[
        int, Meta(ge=1, le=1000, description="Use only every n-th frame of a video.", extra=_PREDICTIONS)
    ] = 1
    train_frames: Annotated[
        int,
        Meta(
            ge=4, le=10_000,
            description="The most frames of each annotated video that it is trained on; a quarter of them are taken where "
            "no object is visible.",
            extra=_TRAINING,
        ),
    ] = 40  # fmt: skip
    resume: Annotated[
        bool,
        Meta(
            description="`true` trains on from the promoted version, where there is one, and not from `weights`. Fewer "
            "`epochs` then suffice, and a smaller `learning_rate`.",
            extra=_TRAINING,
        ),
    ] = False
    epochs: Annotated[int, Meta(ge=1, le=10_000, description="The most epochs.", extra=_TRAINING)] = 50
    train_batch: Annotated[int, Meta(ge=1, le=1024, description="The batch size of training.", extra=_TRAINING)] = 8
    patience: Annotated[
        int,
        Meta(
            ge=0, le=10_000,
            description="Stop after this many epochs without improvement on a tenth of the examples, which is a validation set "
            "if there are at least 40; 0 always runs all epochs, on all examples.",
            extra=_TRAINING,
        ),
    ] = 20  # fmt: skip
    freeze: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="The number of first layers that are frozen; 10 is the backbone.",
            extra=_TRAINING,
        ),
    ] = 0
    class_balance: Annotated[
        _Share,
        Meta(
            description="How much more rare labels count in training. 0: every object counts the same; 1: a label counts "
            "inversely to its frequency.",
            extra=_TRAINING,
        ),
    ] = 0.0
    mirror: Annotated[
        bool,
        Meta(
            description="`false` trains on no mirrored images: for texts, arrows, and labels such as left and right.",
            extra=_TRAINING,
        ),
    ] = True
    augmentation: Annotated[
        Literal["usual", "light", "none"],
        Meta(
            description="The changes of training images. usual: ultralytics' own; light: without mosaics of four images; none: "
            "only `mirror`.",
            extra=_TRAINING,
        ),
    ] = "usual"
    learning_rate: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | Literal["auto"],
        Meta(
            description="The learning rate; auto: ultralytics' choice of optimizer and rate.",
            extra=_TRAINING,
            extra_json_schema={"errorMessage": "expected a number above 0 up to 1, or auto"},
        ),
    ] = "auto"
