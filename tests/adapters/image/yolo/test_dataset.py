"""What people annotated becomes what ultralytics learns from; and boxes of frames become as few keyframes as will do."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lsml.adapters.base import Example
from lsml.adapters.image.yolo.dataset import write_dataset
from lsml.adapters.parts.keyframes import Seen, keyframes_of
from lsml.adapters.parts.pictures import Frames, read_image
from lsml.adapters.parts.training_objects import TrainingGoal
from lsml.errors import AdapterError, NotEnoughData
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon
from lsml.values.geometry import outlines_of_pixels

BOX = Box("cat", x=0.1, y=0.2, width=0.3, height=0.4)
LABELS = ("cat", "dog")


def picture(folder: Path, name: str = "photo.png", mode: str = "RGB") -> Path:
    path = folder / name
    Image.new(mode, (40, 20), 90 if mode in ("L", "P") else (200, 30, 30, 255)[: len(mode)]).save(path)
    return path


def lines_of(tmp_path, task, *answers, points=()):
    """The lines of each image, as numbers, and the dataset."""
    path = picture(tmp_path)
    examples = [Example(path, tuple(values)) for values in answers]
    dataset = write_dataset(examples, TrainingGoal(task, LABELS, points), tmp_path / "data", judge=False)
    files = sorted((tmp_path / "data" / "labels" / "train").iterdir())
    return [[[float(n) for n in line.split()] for line in file.read_text().splitlines()] for file in files], dataset


def test_a_box_is_its_class_its_centre_and_its_size(tmp_path):
    other = Box("dog", x=0.5, y=0.5, width=0.5, height=0.5)
    found, dataset = lines_of(tmp_path, "detect", [BOX, other], [BOX])
    assert found[0] == [pytest.approx([0, 0.25, 0.4, 0.3, 0.4]), pytest.approx([1, 0.75, 0.75, 0.5, 0.5])]
    assert (dataset.images, dataset.judged) == (2, False)
    assert dataset.data["names"] == {0: "cat", 1: "dog"}


def test_a_picture_of_nothing_is_learnt_too(tmp_path):
    found, dataset = lines_of(tmp_path, "detect", [BOX], [], [BOX])
    assert [len(lines) for lines in found] == [1, 0, 1]
    assert dataset.images == 3


def test_what_the_config_no_longer_has_is_left_out(tmp_path):
    found, _ = lines_of(tmp_path, "detect", [BOX, Box("gone", x=0, y=0, width=1, height=1)], [BOX])
    assert [len(lines) for lines in found] == [1, 1]


def test_a_rotated_box_is_for_detection_what_holds_it(tmp_path):
    # A square of a picture that is twice as wide as high, turned by 45 degrees about its top-left corner.
    box = Box("cat", x=0.5, y=0.2, width=0.1, height=0.2, rotation=45, aspect=2)
    found, _ = lines_of(tmp_path, "detect", [box], [box])
    half = 0.2 / math.sqrt(2)  # of the height
    assert found[0] == [pytest.approx([0, 0.5, 0.2 + half, half, 2 * half], abs=1e-5)]


def test_a_rotated_box_is_four_corners_clockwise_for_oriented_detection(tmp_path):
    box = Box("dog", x=0.5, y=0.2, width=0.1, height=0.2, rotation=90, aspect=2)
    found, _ = lines_of(tmp_path, "obb", [box], [box])
    assert found[0] == [pytest.approx([1, 0.5, 0.2, 0.5, 0.4, 0.4, 0.4, 0.4, 0.2], abs=1e-5)]


def test_an_outline_is_its_corners_and_a_mask_is_outlined(tmp_path):
    outline = Polygon(label="cat", points=((0.1, 0.1), (0.9, 0.1), (0.5, 1.2)))
    pixels = np.zeros((40, 80), bool)
    pixels[10:30, 20:60] = True
    found, _ = lines_of(tmp_path, "segment", [outline], [Mask.from_pixels(pixels, "dog")])
    assert found[0] == [pytest.approx([0, 0.1, 0.1, 0.9, 0.1, 0.5, 1.0])]
    (line,) = found[1]
    xs, ys = line[1::2], line[2::2]
    assert line[0] == 1 and [min(xs), max(xs), min(ys), max(ys)] == pytest.approx([0.25, 0.75, 0.25, 0.75], abs=0.01)


def test_a_mask_of_two_parts_is_one_outline_through_both(tmp_path):
    pixels = np.zeros((50, 50), np.uint8)
    pixels[5:20, 5:20] = pixels[30:45, 30:45] = 1
    mask = Mask.from_pixels(pixels, "cat")
    found, _ = lines_of(tmp_path, "segment", [mask], [mask])
    (line,) = found[0]
    corners = np.array([[round(x * 50), round(y * 50)] for x, y in zip(line[1::2], line[2::2], strict=True)])
    drawn = cv2.fillPoly(np.zeros((50, 50), np.uint8), [corners], 1)
    both = np.logical_and(drawn, pixels).sum() / np.logical_or(drawn, pixels).sum()
    assert both > 0.85


def test_specks_of_a_mask_are_left_out_and_parts_are_kept():
    pixels = np.zeros((100, 100), np.uint8)
    pixels[10:50, 10:50] = pixels[60:90, 60:90] = 1
    pixels[2:4, 2:4] = 1
    found = outlines_of_pixels(pixels)
    assert [len(outline) for outline in found] == [4, 4]
    assert outlines_of_pixels(np.zeros((5, 5), np.uint8)) == []


def test_points_belong_to_the_box_of_their_group_or_to_the_smallest_around_them(tmp_path):
    large = Box("cat", x=0, y=0, width=1, height=1, group="a")
    small = Box("dog", x=0.1, y=0.1, width=0.2, height=0.2, group="b")
    values = [
        large, small,
        KeyPoint("nose", group="a", x=0.15, y=0.15),  # lies in both, and says whose it is
        KeyPoint("tail", x=0.2, y=0.2),  # lies in both, and is of the smaller one
    ]  # fmt: skip
    found, dataset = lines_of(tmp_path, "pose", values, values, points=("nose", "tail"))
    assert found[0] == [
        pytest.approx([0, 0.5, 0.5, 1, 1, 0.15, 0.15, 2, 0, 0, 0]),
        pytest.approx([1, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0.2, 0.2, 2]),
    ]
    assert dataset.data["kpt_shape"] == [2, 3]


def test_points_without_a_box_get_one_for_each_group(tmp_path):
    values = [
        KeyPoint("nose", group="a", x=0.2, y=0.2), KeyPoint("tail", group="a", x=0.4, y=0.4),
        KeyPoint("nose", group="b", x=0.6, y=0.6), KeyPoint("tail", group="b", x=0.8, y=0.8),
    ]  # fmt: skip
    found, _ = lines_of(tmp_path, "pose", values, values, points=("nose", "tail"))
    assert [line[:5] for line in found[0]] == [
        pytest.approx([0, 0.3, 0.3, 0.24, 0.24]), pytest.approx([0, 0.7, 0.7, 0.24, 0.24])
    ]  # fmt: skip


def test_left_and_right_change_places_in_a_mirror(tmp_path):
    points = ("nose", "left eye", "right eye", "Right_Ear")
    _, dataset = lines_of(tmp_path, "pose", *[[BOX, KeyPoint("nose", x=0.2, y=0.3)]] * 2, points=points)
    assert dataset.data["flip_idx"] == [0, 2, 1, 3]


def test_labels_of_images_are_folders_in_the_order_of_the_config(tmp_path):
    path = picture(tmp_path)
    answers = [[Choice("dog")], [Choice("cat")], [], [Choice("cat"), Choice("dog")]]
    examples = [Example(path, tuple(values)) for values in answers]
    dataset = write_dataset(examples, TrainingGoal("classify", ("bird", *LABELS)), tmp_path / "data", judge=False)
    folders = sorted((tmp_path / "data" / "train").iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [0, 1, 1]
    assert dataset.images == 2  # without a label, or with two, it is no example


def test_a_tenth_is_kept_for_judging_where_there_are_enough(tmp_path):
    path = picture(tmp_path)
    for count, judged in ((39, 0), (40, 4)):
        folder = tmp_path / str(count)
        dataset = write_dataset([Example(path, (BOX,))] * count, TrainingGoal("detect", LABELS), folder, judge=True)
        assert (dataset.judged, Path(dataset.data["val"]).name) == (bool(judged), "val" if judged else "train")
        assert len(list((folder / "images" / "train").iterdir())) == count - judged


@pytest.mark.parametrize(
    ("task", "values", "sentence"),
    [
        ("detect", [], "0 of 3 examples have a box; annotate at least 2 with some"),
        ("segment", [BOX], "0 of 3 examples have an outline; annotate at least 2 with some"),
        (
            "classify",
            [Choice("cat")],
            "all 3 examples have the label 'cat'; annotate at least two images with different labels",
        ),
    ],
)
def test_too_little_to_learn_from_is_said(tmp_path, task, values, sentence):
    examples = [Example(picture(tmp_path), tuple(values))] * 3
    with pytest.raises(NotEnoughData) as caught:
        write_dataset(examples, TrainingGoal(task, LABELS), tmp_path / "data", judge=False)
    assert str(caught.value) == sentence


def test_files_are_linked_where_that_is_safe_and_have_the_ending_of_what_they_are(tmp_path):
    jpeg = picture(tmp_path, "photo.jpg")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(jpeg.read_bytes()[:-2])
    bare = tmp_path / "without-an-ending"
    bare.write_bytes(jpeg.read_bytes())
    clear = picture(tmp_path, "clear.png", "RGBA")
    paths = [jpeg, cut, bare, clear]
    write_dataset(
        [Example(path, (BOX,)) for path in paths], TrainingGoal("detect", LABELS), tmp_path / "data", judge=False
    )
    written = sorted((tmp_path / "data" / "images" / "train").iterdir())
    assert [path.suffix for path in written] == [".jpg", ".jpg", ".jpg", ".png"]
    assert [path.samefile(copy) for path, copy in zip(paths, written, strict=True)] == [
        True,
        False,
        True,
        False,
    ]


def test_any_picture_is_read_upright_with_three_colours(tmp_path):
    for mode in ("RGB", "L", "RGBA", "P", "CMYK"):
        name = f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        assert read_image(picture(tmp_path, name, mode)).shape == (20, 40, 3)
    Image.new("RGB", (40, 20)).save(tmp_path / "still.gif")
    assert read_image(tmp_path / "still.gif").shape == (20, 40, 3)
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(AdapterError, match=r"page.html cannot be read as an image"):
        read_image(tmp_path / "page.html")


def seen(*places, first=0, rate=25.0):
    """A box of a tenth of the frame that is at these places, one a frame."""
    return [Seen(first + n, (first + n) / rate, x, 0.2, x + 0.1, 0.3) for n, x in enumerate(places)]


def test_a_box_that_goes_straight_needs_two_keyframes():
    frames = keyframes_of(seen(*np.linspace(0, 0.8, 50)), 0.001)
    assert [(f.time_s, round(f.x, 3), f.enabled) for f in frames] == [(0.0, 0.0, True), (49 / 25, 0.8, False)]


def test_a_box_that_turns_back_has_a_keyframe_where_it_turns():
    frames = keyframes_of(seen(*np.linspace(0, 0.5, 26), *np.linspace(0.48, 0, 25)), 0.005)
    assert [round(f.x, 2) for f in frames] == [0.0, 0.5, 0.0]


def test_a_gap_closes_the_keyframe_before_it():
    frames = keyframes_of([*seen(0.1, 0.1, 0.1), *seen(0.5, 0.5, first=10)], 0.01)
    assert [(round(f.time_s * 25), f.enabled) for f in frames] == [(0, True), (2, False), (10, True), (11, False)]


def test_a_box_that_is_seen_once_is_one_closed_keyframe():
    (frame,) = keyframes_of(seen(0.3), 0.01)
    assert not frame.enabled


@given(
    places=st.lists(st.floats(0, 0.9), min_size=2, max_size=40),
    error=st.sampled_from([0.0, 0.002, 0.02, 0.2]),
)
def test_between_keyframes_no_edge_is_farther_off_than_was_said(places, error):
    track = seen(*places)
    frames = keyframes_of(track, error)
    times = [frame.time_s for frame in frames]
    for one in track:
        left = np.interp(one.time_s, times, [frame.x for frame in frames])
        assert abs(left - one.left) <= error + 1e-9


def write_video(path: Path, count: int, rate: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (32, 24))
    for number in range(count):
        writer.write(np.full((24, 32, 3), number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("rate", [24.0, 25.0, 30000 / 1001, 12.5])
def test_frames_have_the_times_of_their_file(tmp_path, rate):
    path = write_video(tmp_path / "film.avi", 30, rate)
    times = [time_s for time_s, _ in Frames(path).every(1)]
    assert times == pytest.approx([n / rate for n in range(30)], abs=0.002)
    assert len(list(Frames(path).every(4))) == 8


def test_what_is_no_video_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"no film")
    with pytest.raises(AdapterError, match=r"film.mp4: cannot be read as a video; convert it to MP4"):
        list(Frames(tmp_path / "film.mp4").every(1))
