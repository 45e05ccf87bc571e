"""Annotated tracks become annotated images: which frames are taken, what is seen in them, and how videos end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lsml.adapters.base import Example, silent
from lsml.adapters.image.yolo.dataset import write_dataset
from lsml.adapters.parts.pictures import scaled_to
from lsml.adapters.parts.training_objects import TrainingGoal
from lsml.adapters.parts.video_frames import moments, sample_frames
from lsml.values import Keyframe, Track

SIZE = (64, 48)
RATE = 10.0


def film(path: Path, count: int = 40) -> Path:
    """Frames whose brightness tells their number."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE, SIZE)
    for number in range(count):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 5 * number, np.uint8))
    writer.release()
    return path


def track(*frames: tuple[float, float, bool], label: str = "red") -> Track:
    """A track of (time, left edge, enabled)."""
    keyframes = [Keyframe(time_s, x, 0.25, 0.2, 0.4, enabled=enabled) for time_s, x, enabled in frames]
    return Track(label, keyframes=tuple(keyframes), aspect=SIZE[0] / SIZE[1])


MOVING = track((1.0, 0.0, True), (2.0, 0.5, False), (3.0, 0.1, True), (3.5, 0.1, False))


def sampled(examples, folder, most=20, side=640):
    return sample_frames(examples, most, side, folder / "frames", silent)


def number_of(example: Example) -> int:
    return round(float(cv2.imread(str(example.data)).mean()) / 5)


def test_boxes_between_keyframes_are_interpolated_and_frames_without_the_object_are_negatives(tmp_path):
    found = sampled([Example(film(tmp_path / "film.avi"), (MOVING,))], tmp_path)
    boxes = {number_of(example): example.values for example in found.examples}
    assert len(boxes) == 20 and set(found.videos) == {0} and found.notes == ()
    for number, values in boxes.items():
        visible = 10 <= number <= 20 or 30 <= number <= 35
        assert bool(values) == visible, number
    for number in set(boxes) & set(range(10, 21)):
        [box] = boxes[number]
        assert (box.label, box.x, box.width) == ("red", pytest.approx((number - 10) / 20), pytest.approx(0.2))
    assert sum(not values for values in boxes.values()) == 5


def test_a_video_in_which_nothing_was_marked_has_negatives_alone(tmp_path):
    found = sampled([Example(film(tmp_path / "film.avi"), ())], tmp_path)
    assert [example.values for example in found.examples] == [()] * 5


def test_a_track_that_is_visible_to_the_end_needs_no_negatives():
    assert moments([track((0.0, 0.1, True))], 4.0, 8) == pytest.approx([0.25 + 0.5 * n for n in range(8)])


def test_of_two_objects_both_are_seen_in_a_frame(tmp_path):
    both = (track((0.0, 0.1, True)), track((0.0, 0.6, True), label="blue"))
    found = sampled([Example(film(tmp_path / "film.avi"), both)], tmp_path, most=4)
    assert [[box.label for box in example.values] for example in found.examples] == [["red", "blue"]] * 4


def test_a_broken_end_gives_frames_as_far_as_they_go_and_a_note(tmp_path):
    whole = film(tmp_path / "film.avi").read_bytes()
    (tmp_path / "broken.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.avi").write_text("<html>")
    always = (track((0.0, 0.1, True)),)
    names = ("film.avi", "broken.avi", "page.avi")
    found = sampled([Example(tmp_path / name, always) for name in names], tmp_path, most=8)
    assert found.videos.count(0) == 8 and 2 <= found.videos.count(1) <= 5 and 2 not in found.videos
    assert found.notes == (
        "1 videos not used for training: cannot be read as a video; convert it to MP4 (H.264)",
        "1 videos end early, and were used as far as they can be decoded: broken.avi",
    )


def test_frames_that_do_not_come_regularly_have_the_boxes_of_their_times(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=1000, width=SIZE[0], height=SIZE[1], pix_fmt="yuv420p")
        for number, at_ms in enumerate((0, 40, 80, 1000, 1040, 2000, 3000, 3040, 3900)):
            frame = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), 20 * number, np.uint8), "bgr24")
            frame.pts = at_ms
            for packet in stream.encode(frame):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    found = sampled([Example(path, (track((0.0, 0.0, True), (4.0, 0.8, True)),))], tmp_path, most=8)
    seen = {round(number_of(example) / 4): example.values[0].x for example in found.examples}
    times = (0, 40, 80, 1000, 1040, 2000, 3000, 3040, 3900)
    assert {3, 5, 6} <= seen.keys()
    for number, x in seen.items():
        assert x == pytest.approx(0.2 * times[number] / 1000, abs=0.005), number


def test_large_frames_are_scaled_to_the_side_that_is_learnt(tmp_path):
    found = sampled([Example(film(tmp_path / "film.avi"), (MOVING,))], tmp_path, most=4, side=32)
    assert {cv2.imread(str(example.data)).shape for example in found.examples} == {(24, 32, 3)}


def test_frames_of_one_video_are_never_both_learnt_and_judged_by(tmp_path):
    films = [Example(film(tmp_path / f"{number}.avi", 8), (track((0.0, 0.1, True)),)) for number in range(10)]
    found = sampled(films, tmp_path, most=5)
    goal = TrainingGoal("detect", ("red",))
    dataset = write_dataset(found.examples, goal, tmp_path / "data", judge=True, videos=found.videos)
    assert {found.videos[index] for index in dataset.held_out} == {9}
    assert len(dataset.held_out) == found.videos.count(9)


def test_a_frame_is_made_smaller_and_never_larger_and_keeps_a_pixel():
    wide = np.zeros((2, 400, 3), np.uint8)
    assert scaled_to(wide, 100).shape == (1, 100, 3)
    assert scaled_to(wide, 400) is wide
