"""The agreement of predicted with annotated shapes: mean average precision at an overlap of 0.5, computed as COCO does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsml.metrics.calibration import calibration
from lsml.metrics.rates import Metrics
from lsml.metrics.region_texts import character_error_rate
from lsml.values import Box, KeyPoint, Shape, Value
from lsml.values.coverage import overlaps, similarity
from lsml.values.matching import Overlaps, average_precision, matched

if TYPE_CHECKING:
    from lsml.arrays import Array

LEAST_THICKNESS = 0.25  # of an object, as a share of its length
LEAST_OBJECT = 0.02  # the least size of an object whose points nearly coincide, as a share of the image
FILLED = 0.53  # the part of its box that an object fills: COCO knows its outline, and ultralytics assumes this part
SHOWN = 0.25  # score from which detectors show a shape; precision and recall are those at this score


def judge_shapes(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]], overlaps: Overlaps = overlaps) -> Metrics:
    """Return mean average precision over the labels that were annotated.

    Highest score first, each prediction takes the annotated shape of its label, task and page that it overlaps most, if
    the overlap is at least 0.5 and no other prediction took it before. `per_label` adds precision, recall and F1 at
    a score of `SHOWN`, as an annotator would see them, and the calibration of scores is that from there on.
    `character_error_rate` is there where people transcribed the text of shapes.
    """
    found, annotated = found_shapes(pairs, overlaps)
    per_label = {label: _row(found[label], annotated[label]) for label in sorted(found)}
    precisions = [row["ap"] for label, row in per_label.items() if annotated[label]]
    read_wrong = character_error_rate(pairs, overlaps)
    return {
        "metric": "map50",
        "value": round(sum(precisions) / len(precisions), 6) if precisions else None,
        "examples": len(pairs),
        "per_label": per_label,
        **calibration(_scored(pairs, found)),
        **({} if read_wrong is None else {"character_error_rate": read_wrong}),
    }


def _scored(
    pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]], found: Mapping[str, Sequence[tuple[Array, Array]]]
) -> list[tuple[float, bool]]:
    """Return (score, right) of each shape that an annotator would see; nothing where shapes have no scores."""
    if any(isinstance(value, Shape) and value.score is None for _, guess in pairs for value in guess):
        return []
    return [
        (score, hit)
        for pages in found.values()
        for scores, right in pages
        for score, hit in zip(scores.tolist(), right.tolist(), strict=True)
        if score >= SHOWN
    ]


def found_shapes(
    pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]], overlaps: Overlaps = overlaps
) -> tuple[dict[str, list[tuple[Array, Array]]], dict[str, int]]:
    """Return (found, annotated): for each label the arrays of each page, and the number of annotated shapes.

    The arrays of a page are the scores of its predictions, highest first, and whether each one matched.
    """
    found: dict[str, list[tuple[Array, Array]]] = defaultdict(list)
    annotated: dict[str, int] = defaultdict(int)
    for truth, guess in pairs:
        theirs, ours = _by_label(truth), _by_label(guess)
        for key in dict.fromkeys((*theirs, *ours)):
            label = key[0]
            true, said = theirs.get(key, []), ours.get(key, [])
            annotated[label] += len(true)
            found[label].append(matched(true, said, overlaps))
    return found, annotated


def _by_label(values: Sequence[Value]) -> dict[tuple[str, int], list[Shape]]:
    """Return shapes by label and page."""
    found: dict[tuple[str, int], list[Shape]] = {}
    for value in values:
        if isinstance(value, Shape):
            found.setdefault((value.label, value.item), []).append(value)
    return found


def _row(pages: Sequence[tuple[Array, Array]], annotated: int) -> dict[str, float]:
    import numpy as np

    scores = np.concatenate([scores for scores, _ in pages])
    right = np.concatenate([right for _, right in pages])
    seen = scores >= SHOWN
    hits, predicted = int(right[seen].sum()), int(seen.sum())
    precision = hits / predicted if predicted else 0.0
    recall = hits / annotated if annotated else 0.0
    return {
        "precision": round(precision, 6),
        "recall": round(recall, 6),
        "f1": round(2 * hits / (predicted + annotated), 6) if hits else 0.0,
        "examples": annotated,
        "ap": round(average_precision(scores, right, annotated), 6),
    }


def judge_points(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return mAP@0.5 of points.

    Where people grouped points into objects, objects are compared by COCO's similarity of all their points; else each
    point alone. Annotated boxes say how large the objects of their groups are.
    """
    (own,), compared = objects_of_points([pairs])
    return judge_shapes(own, compared)


def objects_of_points(
    tasks: Sequence[Sequence[tuple[Sequence[Value], Sequence[Value]]]],
) -> tuple[list[list[tuple[Sequence[Value], Sequence[Value]]]], Overlaps]:
    """Return (pairs, overlaps): the pairs of each task as shapes that can be compared, and the function that compares them."""
    grouped = any(isinstance(one, KeyPoint) and one.group for pairs in tasks for truth, _ in pairs for one in truth)
    if not grouped:
        own: list[list[tuple[Sequence[Value], Sequence[Value]]]] = [
            [([one for one in truth if isinstance(one, KeyPoint)], guess) for truth, guess in pairs] for pairs in tasks
        ]
        return own, overlaps
    return [[(_poses(truth), _poses(guess)) for truth, guess in pairs] for pairs in tasks], _pose_overlaps


class _Pose(Shape, frozen=True, kw_only=True):
    """The points of one object, by label, and the area of its box in squared heights of the image, where there is one."""

    points: dict[str, KeyPoint]
    area: float | None = None


def _poses(values: Sequence[Value]) -> list[Any]:
    groups: dict[tuple[str | None, int], list[KeyPoint]] = {}
    for number, value in enumerate(values):
        if isinstance(value, KeyPoint):
            groups.setdefault((value.group or f"alone {number}", value.item), []).append(value)
    areas: dict[tuple[str | None, int], float] = {
        (value.group, value.item): value.width * value.aspect * value.height
        for value in values
        if isinstance(value, Box) and value.group
    }
    poses = []
    for (group, item), points in groups.items():
        scores = [point.score for point in points if point.score is not None]
        score = sum(scores) / len(scores) if scores else None
        by_label = {point.label: point for point in points}
        area = areas.get((group, item))
        poses.append(_Pose(label="object", score=score, item=item, aspect=points[0].aspect, points=by_label, area=area))
    return poses


def _pose_overlaps(true: Sequence[Any], said: Sequence[Any]) -> Array:
    """Return COCO's similarity of objects, (n, m): the mean over the annotated points. A missing point counts 0.

    A distance counts in proportion to the size of the object, the root of its area. COCO takes the area inside the
    object's outline. Only the box is known here, of which an object fills about half (`FILLED`, as in ultralytics).
    Without a box it is the box around the points, no thinner than a quarter of its length, for points in a line enclose
    no area. https://cocodataset.org/#keypoints-eval
    """
    import numpy as np

    labels = list(dict.fromkeys(label for pose in true for label in pose.points))
    theirs, ours = _places(true, labels), _places(said, labels)
    spans = np.sort(np.nanmax(theirs, axis=1) - np.nanmin(theirs, axis=1), axis=1)
    areas = spans[:, 1] * np.maximum(spans[:, 0], LEAST_THICKNESS * spans[:, 1])
    areas = np.array(
        [area if pose.area is None else FILLED * pose.area for pose, area in zip(true, areas, strict=True)]
    )
    sizes = np.maximum(LEAST_OBJECT, np.sqrt(areas))
    squared = ((theirs[:, None] - ours[None]) ** 2).sum(axis=3)
    near = np.nan_to_num(similarity(squared, sizes[:, None, None]), nan=0.0)
    return np.asarray(near.sum(axis=2) / np.isfinite(theirs[:, :, 0]).sum(axis=1)[:, None])


def _places(poses: Sequence[_Pose], labels: Sequence[str]) -> Array:
    """Return the places of poses' points in heights of the image: (poses, labels, 2), NaN where a point is missing."""
    import numpy as np

    nowhere = (np.nan, np.nan)
    return np.array(
        [
            [(point.x * point.aspect, point.y) if (point := pose.points.get(label)) else nowhere for label in labels]
            for pose in poses
        ]
    )
