"""Time series: what is read of CSV, JSON and columns in the task, how times are written, and what is refused."""

import json
import math
import resource
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.labeling import parse_labeling_config
from lsml.labeling import series as module
from lsml.labeling.clock import Clock
from lsml.labeling.objects import Unreadable, read_object
from lsml.labeling.series import Series, UnreadableSeries
from tests.support.fetching import Fetching, no_fetch

CONFIG = '<View><TimeSeries name="ts" value="$csv" {}><Channel column="x"/><MultiChannel><Channel column="Y"/></MultiChannel></TimeSeries></View>'


def tag_of(attributes):
    return parse_labeling_config(CONFIG.format(attributes)).objects["ts"]


def read(content, tmp_path, attributes='timecolumn="time"'):
    path = tmp_path / "series"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    fetch = Fetching(file=lambda url, task: path)
    [view] = read_object(tag_of(attributes), {"data": {"csv": "https://example.com/series.csv"}}, fetch)
    return view.data.points()


@pytest.mark.parametrize(
    ("content", "attributes"),
    [
        ("time,x,y\n0,1,2\n1,3,\n2.5,5,6\n", 'timeColumn="time"'),
        ("\ufefftime, X ,Y\r\n0,1,2\r\n1,3,none\r\n\r\n2.5,5,6", 'timeColumn="TIME"'),
        ("time\tx\ty\n0\t1\t2\n1\t3\n2.5\t5\t6\n", 'timeColumn="time" sep="tab"'),
        ("time;x;y\n0;1;2\n1;3;\n2.5;5;6\n", 'timeColumn="time" sep="auto"'),
        ("z,y,time,x\n9,2,0,1\n9,nan,1,3\n9,6,2.5,5\n", 'timeColumn="time"'),
        ('{"time": [0, 1, 2.5], "x": [1, "3", 5], "y": [2, null, 6]}', 'timeColumn="time"'),
    ],
)
def test_columns_are_found_by_name_in_csv_and_json_and_gaps_are_nan(content, attributes, tmp_path):
    points = read(content, tmp_path, attributes)
    assert points.times.tolist() == [0, 1, 2.5]
    np.testing.assert_array_equal(points.values, [[1, 2], [3, math.nan], [5, 6]])


def test_a_channel_whose_numbers_have_commas_or_units_is_refused_and_one_without_values_is_not(tmp_path):
    said = (
        r"^the channel Y of the time series holds no number, but `{}`; write numbers with a decimal point and no unit$"
    )
    for written in ("0,5", "7 kg"):
        with pytest.raises(UnreadableSeries, match=said.format(written)):
            read(f"time;x;y\n0;1;none\n1;3;{written}\n", tmp_path, 'timeColumn="time" sep=";"')
    assert np.isnan(read("time;x;y\n0;1;none\n1;3;\n", tmp_path, 'timeColumn="time" sep=";"').values[:, 1]).all()


def test_a_file_without_a_heading_has_columns_by_number(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("5,1,2\n6,3,4\n")
    points = Series(str(path), time="0", channels=("2", "1")).points()
    assert points.times.tolist() == [5, 6] and points.values.tolist() == [[2, 1], [4, 3]]


def test_without_a_time_column_rows_are_counted_and_without_channels_all_columns_are_shown():
    points = Series(columns={"a": [7, 8], "b": [1, 2]}).points()
    assert points.times.tolist() == [0, 1] and points.values.tolist() == [[7, 1], [8, 2]]


@pytest.mark.parametrize(
    "value", [{"time": [1, 2], "x": [1, 2], "y": [3, 4]}, '{"time": [1, 2], "x": [1, 2], "y": [3, 4]}']
)
def test_columns_may_stand_in_the_task(value):
    [view] = read_object(tag_of('timeColumn="time" valueType="json"'), {"data": {"csv": value}}, no_fetch)
    assert view.data.points().values.tolist() == [[1, 3], [2, 4]] and view.clock == Clock()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"x": [1], "y": [2]}, "TimeSeries#ts shows $csv: the time series has no column time; it has x, y; check `timeColumn`, "
         "the Channels and `sep` of the tag"),
        ({"time": 1}, 'TimeSeries#ts shows $csv, which is not an object of columns in this task; expected {"time": '
                      '[...], "channel": [...]}, or a URL of CSV or JSON'),
        ('{"time": [1', "TimeSeries#ts: the text in this task is not JSON"),
        (5, "TimeSeries#ts shows $csv, which is a number in this task; expected a URL or a path"),
    ],
)  # fmt: skip
def test_what_is_no_series_is_told_before_anything_is_asked_of_it(value, said):
    with pytest.raises(Unreadable) as caught:
        read_object(tag_of('timeColumn="time"'), {"data": {"csv": value}}, no_fetch)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "time,x,y\n1,2,3\n0,1,1\n",
            "the times of a time series must be in order, but row 2 is before row 1; sort its rows",
        ),
        ("time,x,y\n", "the time series has no rows"),
        ("time,x,y\nsoon,2,3\n", "the time column time: 'soon' is not a time; set `timeFormat` in the tag"),
        ("time,x,y\n1,2,3\n,1,1\n", "the time column time: '' is not a time; set `timeFormat` in the tag"),
        ('{"time": [1, 2], "x": [1], "y": [1, 2]}', "the columns of the time series differ in length"),
        (b"time,x,y\n1,\xff,3\n", "the time series is not UTF-8; save it as UTF-8"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(content, said, tmp_path):
    with pytest.raises(UnreadableSeries) as caught:
        read(content, tmp_path)
    assert str(caught.value) == said


def test_a_series_has_a_bounded_number_of_rows(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    assert len(Series(columns={"x": [1, 2, 3]}).points().times) == 3
    with pytest.raises(UnreadableSeries, match="has more than 3 rows; split it into several tasks"):
        Series(columns={"x": [1, 2, 3, 4]}).points()


@pytest.mark.slow
def test_a_million_rows_are_read_in_bounded_memory(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write("time,x,y,z\n")
        file.writelines(f"{row},{row % 7},{row % 11},0.25\n" for row in range(1_000_000))
    code = (
        "import resource, numpy\n"
        "from lsml.labeling.series import Series\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"points = Series({str(path)!r}, time='time', channels=('x', 'y', 'z')).points()\n"
        "assert points.values.shape == (1_000_000, 3)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 200 * 1024 * 1024 and resource  # the points themselves are 32 MB


MOMENT = datetime(2026, 1, 31, 21, 5, 9, 250_000, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y-%m-%d %H:%M:%S.%f", "2026-01-31 21:05:09.250000"), ("%Y-%m-%dT%H:%M:%S.%LZ", "2026-01-31T21:05:09.250Z"),
        ("%m/%d/%Y %I:%M:%S.%L %p", "01/31/2026 09:05:09.250 PM"), ("%d %b %y %H:%M:%S.%L", "31 Jan 26 21:05:09.250"),
        ("%A, %e %B %Y %-H:%M:%S.%L %Z", "Saturday, 31 January 2026 21:05:09.250 +0000"), ("%Q", "1769893509250"),
        ("%s.%L", "1769893509.250"), ("%Y %j %H%M%S.%f", "2026 031 210509.250000"), ("%Y%% %m %_d %H:%M:%S.%L", "2026% 01 31 21:05:09.250"),
    ],
)  # fmt: skip
def test_times_are_read_and_written_in_the_formats_of_d3(form, text):
    clock = Clock(form)
    assert clock.read(text) == pytest.approx(MOMENT, abs=1e-6)
    assert clock.write(MOMENT) == text
    assert clock.read_all([text, text]).tolist() == pytest.approx([MOMENT, MOMENT], abs=1e-6)


def test_a_zone_counts_and_a_fraction_may_be_short():
    assert Clock("%Y-%m-%d %H:%M %Z").read("2026-01-31 22:00 +01:30") == Clock("%Y-%m-%d %H:%M").read(
        "2026-01-31 20:30"
    )
    assert Clock("%S.%L").read("1.5") - Clock("%S").read("1") == 0.5


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("%Y-%m-%d", "2026-02-30", "'2026-02-30' is not a time in the format %Y-%m-%d"),
        ("%Y-%m-%d", "31.1.2026", "'31.1.2026' is not a time in the format %Y-%m-%d"),
        ("%U", "5", "timeFormat %U has %U, which lsml does not read"),
        ("", "soon", "'soon' is not a time"),
        ("", 10**400, f"{10**400!r} is not a time"),
    ],
)
def test_what_is_no_time_is_told(form, text, said):
    with pytest.raises(ValueError) as caught:
        Clock(form).read(text)
    assert str(caught.value) == said
    with pytest.raises(ValueError):
        Clock(form).read_all([text])


@given(st.floats(0, 4e9), st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%d %b %Y %I:%M:%S %p .%f", "%s.%f"]))
def test_a_time_that_was_written_is_read_as_the_same(time, form):
    clock = Clock(form)
    assert clock.read(clock.write(time)) == pytest.approx(time, abs=2e-6)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_as_it_is(time):
    assert json.loads(json.dumps(Clock().write(time))) == time
