"""Regions of a video's timeline are frames, and their values are seconds."""

from lsml.binding import control_of
from lsml.labeling import parse_labeling_config
from lsml.labeling.view import Film, View
from lsml.values import Interval

CONFIG = parse_labeling_config(
    '<View><TimelineLabels name="c" toName="v"><Label value="Run"/></TimelineLabels><Video name="v" value="$v"/></View>'
)
CONTROL = control_of(CONFIG.controls[0], CONFIG)


def on(rate: float, duration_s: float) -> View:
    return View(None, film=Film(rate, duration_s))


def test_a_region_of_several_ranges_is_as_many_intervals():
    ranges = [{"start": 1, "end": 5}, {"start": 51, "end": 100}]
    region = {"from_name": "c", "type": "timelinelabels", "value": {"ranges": ranges, "timelinelabels": ["Run"]}}
    assert CONTROL.decode([region], on(25, 4)).values == (Interval(0.0, 0.2, "Run"), Interval(2.0, 4.0, "Run"))


def test_an_interval_shorter_than_a_frame_is_one_frame_and_none_is_beyond_the_end():
    values = [Interval(1.0, 1.001, "Run"), Interval(3.88, 9.0, "Run"), Interval(7.0, 9.0, "Run")]
    regions = CONTROL.encode(values, "v", on(25, 4))
    assert [region["value"]["ranges"] for region in regions] == [
        [{"start": 26, "end": 26}], [{"start": 98, "end": 100}], [{"start": 100, "end": 100}],
    ]  # fmt: skip


def test_the_frames_are_those_of_the_tag_and_not_of_the_file():
    [region] = CONTROL.encode([Interval(1.0, 2.0, "Run")], "v", on(50, 4))
    assert region["value"]["ranges"] == [{"start": 51, "end": 100}]


def test_nothing_is_written_where_the_frame_rate_is_unknown():
    assert CONTROL.encode([Interval(1.0, 2.0, "Run")], "v", View(None)) == []
