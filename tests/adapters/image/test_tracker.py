"""tracker follows what a person marked in a video, and says where it ends."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from lsml.adapters.base import Target
from lsml.adapters.image.tracker import Tracker
from lsml.errors import AdapterError
from lsml.values import Track
from lsml.values.coverage import boxes_at
from tests.support.films import HEIGHT, RATE, WIDTH, along, film, marked

TARGET = Target(("Ball",), kinds={"track": ("Ball",)})


def tracker(**options):
    return Tracker(Tracker.Options(**options), TARGET)


def drawn(path, number=0, **fields):
    return Track("Ball", keyframes=(marked(path, number),), aspect=WIDTH / HEIGHT, **fields)


def overlap(track: Track, path, number: int) -> float:
    """Intersection over union with the truth in a frame; 0 where the track does not show it."""
    [(x, y, wide, high, _)] = boxes_at(track, np.array([number / RATE]))
    left, top, width, height = path(number)
    if np.isnan(x):
        return 0.0
    x, y, wide, high = x * WIDTH, y * HEIGHT, wide * WIDTH, high * HEIGHT
    across = max(0.0, min(x + wide, left + width) - max(x, left))
    down = max(0.0, min(y + high, top + height) - max(y, top))
    return across * down / (wide * high + width * height - across * down)


def test_what_moves_evenly_is_followed_with_few_keyframes(tmp_path):
    path = along(10, 20, 2.5, 1.0)
    [track] = tracker(track_error=0.01).respond(film(tmp_path / "film.avi", 40, path), [drawn(path, group="x")])
    assert min(overlap(track, path, n) for n in range(40)) > 0.75
    assert track.keyframes[0] == drawn(path).keyframes[0], "it begins as it was drawn"
    assert (track.label, track.group, track.score) == ("Ball", "x", None)
    assert len(track.keyframes) < 12 and not track.keyframes[-1].enabled
    assert track.keyframes[-1].time_s == pytest.approx(39 / RATE)


def test_what_grows_is_followed_at_its_size(tmp_path):
    path = along(20, 15, 1.0, 0.8, growth=0.6)
    [track] = tracker().respond(film(tmp_path / "film.avi", 50, path), [drawn(path)])
    assert min(overlap(track, path, n) for n in range(50)) > 0.6


def test_a_mark_in_the_middle_is_followed_from_there(tmp_path):
    path = along(120, 60, -2.0, 0.3)
    [track] = tracker().respond(film(tmp_path / "film.avi", 40, path), [drawn(path, 15)])
    assert track.keyframes[0].time_s == 1.5
    assert min(overlap(track, path, n) for n in range(15, 40)) > 0.7


def test_a_track_with_several_keyframes_goes_on_from_its_last(tmp_path):
    path = along(10, 20, 2.0, 1.0)
    frames = (marked(path, 0), marked(path, 10))
    [track] = tracker().respond(film(tmp_path / "film.avi", 30, path), [Track("Ball", keyframes=frames)])
    assert track.keyframes[:2] == frames
    assert min(overlap(track, path, n) for n in range(30)) > 0.7


def test_what_is_hidden_for_a_while_has_a_gap_and_is_found_again(tmp_path):
    whole = along(10, 20, 2.0, 1.0)

    def path(number):
        return None if 15 <= number < 22 else whole(number)

    [track] = tracker().respond(film(tmp_path / "film.avi", 40, path), [drawn(whole)])
    assert all(overlap(track, whole, n) == 0 for n in range(16, 22))
    assert min(overlap(track, whole, n) for n in [*range(15), *range(23, 40)]) > 0.6


def test_what_leaves_the_picture_ends(tmp_path):
    path = along(100, 40, 4.0, 0.0)
    video = film(tmp_path / "film.avi", 60, lambda n: path(n) if path(n)[0] < WIDTH - 2 else None)
    [track] = tracker(lost=0.5).respond(video, [drawn(path)])
    assert track.keyframes[-1].time_s < 1.7 and not track.keyframes[-1].enabled


def test_two_things_are_followed_in_one_pass_each_on_its_way(tmp_path):
    one, other = along(10, 10, 2.0, 0.5), along(130, 80, -2.5, -0.5)
    video = film(tmp_path / "film.avi", 30, one, other)
    tracks = tracker().respond(video, [drawn(one, group="a"), drawn(other, 5, group="b")])
    assert [track.group for track in tracks] == ["a", "b"]
    assert min(overlap(tracks[0], one, n) for n in range(30)) > 0.7
    assert min(overlap(tracks[1], other, n) for n in range(5, 30)) > 0.7


def test_a_track_with_an_end_is_left_as_it_is(tmp_path):
    path = along(10, 20, 2.0, 1.0)
    frames = (marked(path, 0), marked(path, 10, enabled=False))
    assert tracker().respond(film(tmp_path / "film.avi", 20, path), [Track("Ball", keyframes=frames)]) == []


def test_the_longest_wait_bounds_what_is_tracked(tmp_path):
    path = along(10, 20, 1.0, 0.5)
    [track] = tracker(seconds=1.0).respond(film(tmp_path / "film.avi", 40, path), [drawn(path)])
    assert track.keyframes[-1].time_s == pytest.approx(1.0, abs=0.11)


def test_a_rotation_stays_as_it_was_drawn(tmp_path):
    path = along(20, 20, 2.0, 1.0)
    turned = msgspec.structs.replace(marked(path, 0), rotation=10.0)
    [track] = tracker().respond(film(tmp_path / "film.avi", 10, path), [Track("Ball", keyframes=(turned,))])
    assert {frame.rotation for frame in track.keyframes} == {10.0}


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "page.mp4").write_text("<html>")
    with pytest.raises(AdapterError, match=r"^page\.mp4: cannot be read as a video"):
        tracker().respond(Path(tmp_path / "page.mp4"), [drawn(along(10, 20, 2.0, 1.0))])
