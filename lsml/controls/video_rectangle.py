"""`<VideoRectangle>` beside a `<Labels>`: an object through a video, as keyframes between which Label Studio interpolates.

`{"framesCount", "duration", "sequence": [{"frame", "time", "x", "y", "width", "height", "rotation", "enabled"}], "labels"}`:
frames are numbered from 1 at the frame rate of the `<Video>` tag, places are percent.
https://labelstud.io/tags/videorectangle
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from lsml.controls.base import Decoded, Region
from lsml.controls.regions import RegionControl
from lsml.controls.shapes import Geometry, ShapeControl, fractions, number, numbers, percent, range_problem, rotation_of
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import Film, View
from lsml.values import Keyframe, Shape, Track, Value
from lsml.wording import JSON

_Sides = tuple[float, float, float, float]  # x, y, width, height
_SIDES = ("x", "y", "width", "height")
_FRAME_RATE = 24.0  # Label Studio's default


class VideoRectangle(ShapeControl):
    """Tracks of boxes. The label of each is one of the companion's, and is in the region itself."""

    tag: ClassVar[str] = "VideoRectangle"
    value_type: ClassVar[type] = Track
    carries_text: ClassVar[bool] = False
    companion_tag: ClassVar[str | None] = "Labels"
    objects: ClassVar[frozenset[str] | None] = frozenset({"Video"})
    per_item: ClassVar[bool] = False
    suspected: ClassVar[float] = 1.0  # boxes with a low score would change the tracks

    def _geometry(self, value: Track, on: View) -> Geometry | None:
        film = on.film or Film(_FRAME_RATE, value.keyframes[-1].time_s)
        aspect = on.aspect if on.size else value.aspect
        sequence: dict[int, Geometry] = {}
        for keyframe in value.keyframes:
            kept = _clipped((keyframe.x, keyframe.y, keyframe.width, keyframe.height), keyframe.rotation, aspect)
            place = {key: percent(side) for key, side in zip(_SIDES, kept, strict=True)} if kept else {}
            if not (place and place["width"] and place["height"]):
                # The object left the image, so nothing is drawn until it comes back.
                for last in list(sequence.values())[-1:]:
                    last["enabled"] = False
                continue
            frame = min(film.frames, round(keyframe.time_s * film.frame_rate) + 1)
            sequence[frame] = {
                "frame": frame,
                "time": round(frame / film.frame_rate, 6),  # as the editor does, though frames count from 1
                **place,
                "rotation": round(keyframe.rotation, 6) % 360.0 or 0,
                "enabled": keyframe.enabled,
            }
        if not sequence:
            return None
        frames = [sequence[frame] for frame in sorted(sequence)]
        frames[-1]["enabled"] = False  # else Label Studio continues it to the end of the video
        return {"framesCount": film.frames, "duration": round(film.duration_s, 6), "sequence": frames}

    def _written(
        self, value: Shape, labels: list[str], place: Geometry, to_name: str, on: View, number: int
    ) -> list[Region]:
        return [self._region(place | {"labels": labels}, to_name, value.score) | self._grouped(value)]

    def _grouped(self, value: Shape) -> Region:
        """Return the group as the region's id: a track that goes on from a person's replaces it."""
        return {} if value.group is None else {"id": value.group}

    def _group(self, region: Region) -> str | None:
        id = region.get("id")
        return id if isinstance(id, str) and id else None

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the tracks of a person's regions. No track at all is an example: there is nothing to follow."""
        # Its companion's regions only repeat what its own hold.
        own = [region for region in regions if not isinstance(region, Mapping) or region.get("type") != self.label_key]
        return RegionControl.decode(self, own, on)

    def _found(self, region: Region, value: Geometry, fields: dict[str, Any]) -> Iterator[Value]:
        from lsml.values.geometry import forward_box

        rate = _rate(value)
        given = value.get("sequence")
        keyframes: dict[float, Keyframe] = {}
        for entry in given if isinstance(given, list) else []:
            x, y, width, height = fractions(entry, *_SIDES)
            box = forward_box((x, y, width, height, rotation_of(entry) % 360.0), fields["aspect"])
            kept, rotation = _clipped(box[:4], box[4], fields["aspect"]), box[4]
            frame = number(entry.get("frame"))
            if frame >= 1 and kept is not None:
                time_s = (frame - 1) / rate
                keyframes[time_s] = Keyframe(time_s, *kept, rotation, entry.get("enabled") is not False)
        if not given or not isinstance(given, list):
            raise Misread(Reason.NO_AREA)
        if not keyframes:
            raise Misread(Reason.OUTSIDE_IMAGE)
        yield Track(**fields, keyframes=tuple(keyframes[time_s] for time_s in sorted(keyframes)))

    def _shapes(self, region: Region, value: Geometry, label: str, on: View | None) -> list[Value]:
        found = super()._shapes(region, value, label, on)
        if on is None or on.film is None:
            return found
        # The tag's frame rate counts, whatever length of the video the region holds.
        share = _rate(value) / on.film.frame_rate
        return [
            msgspec.structs.replace(
                track,
                keyframes=tuple(msgspec.structs.replace(k, time_s=k.time_s * share) for k in track.keyframes),
            )
            for track in found
            if isinstance(track, Track)
        ]

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None. Label Studio itself does not check the labels."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        problem = self._label_problem(value) if self.companion is not None else None
        wrong = self._geometry_problem(region, value)
        return problem or (None if wrong is None else f"{self.control_tag.selector}: {wrong}")

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        for key in ("framesCount", "duration"):
            try:
                if number(value.get(key)) < 0:
                    raise ValueError
            except ValueError:
                return f"value.{key} is {JSON.shown(value.get(key))}; expected a number"
        sequence = value.get("sequence")
        if not isinstance(sequence, list) or not sequence:
            return f"value.sequence is {JSON.shown(sequence)}; expected a list of keyframes"
        before = 0
        for entry in sequence:
            if not isinstance(entry, dict) or type(entry.get("frame")) is not int or entry["frame"] <= before:
                return "value.sequence holds an invalid keyframe; expected frames from 1 on, in order"
            before = entry["frame"]
            wrong = next((wrong for key in _SIDES if (wrong := range_problem(entry, key)) is not None), None)
            if wrong is not None:
                return f"in frame {before}, {wrong}"
        return None

    @property
    def label_key(self) -> str:
        """The key of a region's value that holds its labels."""
        return "labels"


def _clipped(sides: _Sides, rotation: float, aspect: float) -> _Sides | None:
    """Return the part of a keyframe that is in the image.

    A rotated one keeps its corner and rotation, as boxes between two keyframes are interpolated from them.
    """
    from lsml.values.geometry import fit_box

    box = fit_box((*sides, rotation), aspect)
    if box is None or box[4] == 0.0:
        return None if box is None else box[:4]
    x, y, width, height = (min(1.0, max(0.0, side)) for side in sides)
    return x, y, width, height


def _rate(value: Geometry) -> float:
    """Return a region's frames per second."""
    try:
        frames, duration = numbers(value, "framesCount", "duration")
    except Misread:
        return _FRAME_RATE
    rate = frames / duration if duration > 0 else 0.0
    return rate if rate > 0 and math.isfinite(rate) else _FRAME_RATE
