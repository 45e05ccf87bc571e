"""Examples as a folder that ultralytics trains on: images, and beside each a text file of numbers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsml.adapters.base import Example
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.training_objects import TrainingGoal, check_objects, held_out_of, lines_of

_FORMATS: Final = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tiff"}


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk, as ultralytics' trainers read it (`data`); `held_out`: the indices of the examples by which epochs
    are judged.
    """

    data: dict[str, object]
    images: int
    held_out: tuple[int, ...]

    @property
    def judged(self) -> bool:
        """True if some examples are kept to judge epochs by."""
        return bool(self.held_out)


def write_dataset(
    examples: Sequence[Example],
    goal: TrainingGoal,
    directory: Path,
    *,
    judge: bool,
    videos: Sequence[int] | None = None,
) -> Dataset:
    """Write examples into a folder. `judge`: keep a tenth of them for judging, where there are enough.

    An example without values is a negative example, which is learnt, too. `videos`: the video of each example, where they
    are frames; those of one video are all kept, or all learnt. Raises NotEnoughData.
    """
    lines = [lines_of(example.values, goal) for example in examples]
    kept = [index for index, found in enumerate(lines) if found is not None]
    check_objects(goal, [lines[index] or [] for index in kept])
    held_out = held_out_of(kept, judge=judge, videos=videos)
    for at, index in enumerate(kept):
        part = "val" if index in held_out else "train"
        found = lines[index] or []
        if goal.task == "classify":
            folder = directory / part / _folder(int(found[0][0]))
            _add_image(examples[index].data, folder / f"{at:06d}")
        else:
            _add_image(examples[index].data, directory / "images" / part / f"{at:06d}")
            text = "".join(" ".join(f"{number:.6g}" for number in line) + "\n" for line in found)
            target = directory / "labels" / part / f"{at:06d}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    parts = {"train": "train", "val": "val" if held_out else "train"}
    if goal.task == "classify":
        for part in set(parts.values()):
            for number in range(len(goal.labels)):  # a folder for each, so that their numbers do not change
                (directory / part / _folder(number)).mkdir(parents=True, exist_ok=True)
    root = directory if goal.task == "classify" else directory / "images"
    data: dict[str, object] = {name: str(root / part) for name, part in parts.items()}
    data |= {
        "path": str(directory),
        "nc": len(goal.labels),
        "names": {number: label or "object" for number, label in enumerate(goal.labels)},
        "channels": 3,
    }
    if goal.task == "pose":
        data |= {"kpt_shape": [len(goal.points), 3], "flip_idx": _mirrored(goal.points)}
    return Dataset(data, len(kept), held_out)


def _folder(number: int) -> str:
    return f"class-{number:06d}"


def _mirrored(points: Sequence[str]) -> list[int]:
    """Return for each point the number of its mirror image: labels with left and right swapped."""
    indices = {label.casefold(): index for index, label in enumerate(points)}
    mirrored = []
    for index, label in enumerate(points):
        name = label.casefold()
        other = name.replace("left", "\0").replace("right", "left").replace("\0", "right")
        mirrored.append(indices.get(other, index))
    return mirrored


def _add_image(source: Path, target: Path) -> None:
    """Copy an image file to a name whose suffix fits its content; it is linked where that is safe."""
    target.parent.mkdir(parents=True, exist_ok=True)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source) as image:
            suffix = _FORMATS.get(image.format or "")
            plain = suffix is not None and image.mode in ("RGB", "L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        plain = False
    if not plain:
        import cv2

        cv2.imencode(".png", read_image(source))[1].tofile(target.with_suffix(".png"))
        return
    final = target.with_suffix(suffix or "")
    try:
        # ultralytics repairs truncated JPEG files in place, so it gets a copy of them.
        if suffix == ".jpg" and not _is_complete(source):
            raise OSError
        os.link(source.resolve(), final)
    except OSError:
        shutil.copyfile(source, final)


def _is_complete(jpeg: Path) -> bool:
    with jpeg.open("rb") as file:
        file.seek(-2, os.SEEK_END)
        return file.read() == b"\xff\xd9"
