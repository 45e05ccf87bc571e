"""Boxes for learning.py: a folder of photos or a drawn world, and how lsml's `yolo` and YOLO's own defaults learn from it."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from studies import Learner, Study, study_of

from lsml.adapters.base import Example, Target
from lsml.adapters.image.yolo.adapter import Yolo
from lsml.adapters.image.yolo.dataset import write_dataset
from lsml.adapters.parts.training_objects import goal_of
from lsml.values import Box, Value

SHAPES = ("circle", "square", "triangle")


def detection(folder: Path | None, weights: Path, epochs: int, imgsz: int, drawn_in: Path) -> Study:
    """Return the study of a folder of photos, or of pictures that are drawn into another one."""
    parts = drawn(drawn_in) if folder is None else photos(folder)
    compared = {"yolo": ("YOLO's own defaults",)}
    return study_of(parts["train"], parts["val"], Box, learners(weights, epochs, imgsz), compared)


def photos(folder: Path) -> dict[str, list[Example]]:
    """Return the examples of each part of a folder: train/annotations.json and val/annotations.json are lists of objects
    with image, width, height and boxes (label, x1, y1, x2, y2 in pixels).
    """
    parts = {}
    for part in ("train", "val"):
        rows = json.loads((folder / part / "annotations.json").read_text(encoding="utf-8"))
        parts[part] = [Example(folder / part / row["image"], tuple(_boxes(row))) for row in rows]
    return parts


def _boxes(row: dict[str, Any]) -> list[Box]:
    wide, high = row["width"], row["height"]
    return [
        Box(label=one["label"], x=one["x1"] / wide, y=one["y1"] / high, width=(one["x2"] - one["x1"]) / wide,
            height=(one["y2"] - one["y1"]) / high, aspect=wide / high)
        for one in row["boxes"]
    ]  # fmt: skip


def drawn(folder: Path, train: int = 100, val: int = 60, *, scarce: bool = False) -> dict[str, list[Example]]:
    """Return examples of drawn pictures, which are written into a folder: up to four shapes of any colour on noise.

    `scarce`: more than half of them show lines alone, and one shape in twelve is a triangle.
    """
    draw, made = random.Random(3), []
    for number in range(train + val):
        path = folder / f"{number}.png"
        made.append(Example(path, tuple(_drawn(path, draw, scarce=scarce))))
    return {"train": made[:train], "val": made[train:]}


def _drawn(path: Path, draw: random.Random, side: int = 128, *, scarce: bool) -> list[Box]:
    import cv2

    noise = np.random.default_rng(draw.randrange(1 << 30))
    picture = cv2.GaussianBlur(noise.integers(0, 255, (side, side, 3), dtype=np.uint8), (0, 0), 2)
    boxes = []
    count = draw.randint(1, 4) if not scarce or draw.random() > 0.55 else 0
    lines = draw.randint(0, 2) if scarce else 0
    for number, column in enumerate(draw.sample(range(4), max(count, lines))):
        x, y = column % 2 * side // 2 + side // 4, column // 2 * side // 2 + side // 4
        size, shape = draw.randint(12, 26), draw.choices(SHAPES, (6, 5, 1) if scarce else None)[0]
        colour = tuple(draw.randrange(256) for _ in range(3))
        if number >= count:
            cv2.line(picture, (x - size, y - size), (x + size, y + draw.randint(-size, size)), colour, 4)
            continue
        if shape == "circle":
            cv2.circle(picture, (x, y), size, colour, -1)
        elif shape == "square":
            cv2.rectangle(picture, (x - size, y - size), (x + size, y + size), colour, -1)
        else:
            corners = np.array([(x, y - size), (x - size, y + size), (x + size, y + size)], dtype=np.int32)
            cv2.fillPoly(picture, [corners], colour)
        left, top, whole = (x - size) / side, (y - size) / side, 2 * size / side
        boxes.append(Box(label=shape, x=left, y=top, width=whole, height=whole))
    cv2.imwrite(str(path), picture)
    return boxes


def learners(weights: Path, epochs: int, imgsz: int) -> dict[str, Learner]:
    """Return lsml's default and YOLO's own. Both start from the same weights, and learn as many epochs of pictures of one
    size.
    """
    options = Yolo.Options(weights=str(weights), epochs=epochs, imgsz=imgsz)

    def adapter(train: Sequence[Example], test: Sequence[Example], seed: int) -> list[Sequence[Value]]:
        model = Yolo(options, _target(train))
        model.fit(train, seed)
        return list(model.predict([example.data for example in test]))

    def own(train: Sequence[Example], test: Sequence[Example], seed: int) -> list[Sequence[Value]]:
        from ultralytics import YOLO

        target = _target(train)
        goal = goal_of("detect", target, train)
        with tempfile.TemporaryDirectory() as folder:
            write_dataset(train, goal, Path(folder), judge=False)
            names = "".join(f"\n  {number}: {label}" for number, label in enumerate(goal.labels))
            data = Path(folder) / "data.yaml"
            # It judges epochs by what it learns from, as there is nothing else; the last one is kept either way.
            data.write_text(f"path: {folder}\ntrain: images/train\nval: images/train\nnames:{names}\n")
            model = YOLO(str(weights))
            model.train(data=str(data), epochs=epochs, imgsz=imgsz, seed=seed, device="cpu", workers=0, val=False,
                        plots=False, verbose=False, project=folder, name="run", exist_ok=True)  # fmt: skip
            told = YOLO(f"{folder}/run/weights/last.pt")
            found = told.predict([str(example.data) for example in test], conf=0.001, imgsz=imgsz, verbose=False)
        return [_of_result(result) for result in found]

    return {"yolo": adapter, "YOLO's own defaults": own}


def _target(train: Sequence[Example]) -> Target:
    labels = tuple(sorted({value.label for example in train for value in example.values}))
    return Target(labels, multiple=True, kinds={"box": labels})


def _of_result(result: Any) -> list[Value]:
    high, wide = result.orig_shape
    return [
        Box(label=result.names[int(number)], score=min(1.0, score), x=x1 / wide, y=y1 / high, width=(x2 - x1) / wide,
            height=(y2 - y1) / high, aspect=wide / high)
        for x1, y1, x2, y2, score, number in result.boxes.data.tolist() if x2 > x1 and y2 > y1
    ]  # fmt: skip
