"""The adapter of time series: how well it finds segments that are known, what gaps teach, what it refuses and leaves out."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.segments import segments, snapped
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.parts.windows import OF_WINDOW, Signal
from lsml.adapters.series.time_series import TimeSeries
from lsml.errors import AdapterError, VersionError
from lsml.labeling.series import Points, Series
from lsml.metrics import judge
from lsml.values import Choice, Interval, Number
from tests.support.signals import ACTIVITIES, activities, drawn, kinds_of_motion, series_of, speeds_of_motion


def new(labels=ACTIVITIES, kind="interval", multiple=True, **options):
    return TimeSeries(TimeSeries.Options(**options), Target(labels, multiple=multiple, kinds={kind: labels}))


def learnt(examples, *labels, **options):
    adapter = new(labels or ACTIVITIES, **options)
    adapter.fit(examples, seed=1)
    return adapter


def f1(adapter, examples):
    return judge(
        Interval, list(zip([e.values for e in examples], adapter.predict([e.data for e in examples]), strict=True))
    )


@pytest.fixture(scope="module")
def walker():
    return learnt(activities(range(10)))


def test_ten_series_teach_the_segments_of_ten_others(walker):
    judged = f1(walker, activities(range(100, 110)))
    assert judged["segments"] == 90 and judged["value"] >= 0.9


class Noisy:
    """A series that hardly shows what was marked in it."""

    def __init__(self, series, seed):
        points = series.points()
        noise = np.random.default_rng(seed).normal(0, np.nanstd(points.values), points.values.shape)
        self._points = Points(points.times, points.values + noise)

    def points(self):
        return self._points


@pytest.mark.slow
def test_scores_of_segments_are_how_often_those_of_held_out_series_are_right(tmp_path):
    def some(numbers):
        return [Example(Noisy(one.data, seed), one.values) for seed, one in enumerate(activities(numbers))]

    adapter, others = learnt(some(range(6))), some(range(100, 110))
    now = f1(adapter, others)["calibration_error"]
    adapter.save(tmp_path)
    again = new()
    again.load(tmp_path)
    assert again.predict([others[0].data]) == adapter.predict([others[0].data])
    adapter._segmenter = adapter._segmenter._replace(calibration=PlattScaling())
    assert now < f1(adapter, others)["calibration_error"] - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1000, 2000])
def test_marked_stretches_alone_are_found_where_the_rest_is_nothing(seed):
    adapter = learnt(activities(range(seed, seed + 10), marked=("Run", "Walk")), "Run", "Walk", gaps="nothing")
    assert f1(adapter, activities(range(seed + 100, seed + 110), marked=("Run", "Walk")))["value"] >= 0.9


def test_of_one_label_what_is_not_marked_is_nothing():
    adapter = learnt(activities(range(10), marked=("Run",)), "Run")
    assert f1(adapter, activities(range(100, 110), marked=("Run",)))["value"] >= 0.9


@pytest.mark.slow
def test_gaps_are_no_negatives_unless_an_option_says_so():
    examples = activities(range(6), marked=("Run", "Walk"))
    columns, intervals = drawn(200)
    shares = {}
    for gaps in ("auto", "nothing"):
        [values] = learnt(examples, "Run", "Walk", gaps=gaps).predict([series_of(columns)])
        shares[gaps] = sum(value.end - value.start for value in values) / columns["time"][-1]
    rest = sum(value.end - value.start for value in intervals if value.label == "Rest") / columns["time"][-1]
    assert rest > 0.2  # what nobody marked
    assert shares["auto"] > 0.98 and shares["nothing"] == pytest.approx(1 - rest, abs=0.05)


def test_explain_says_that_all_of_a_series_gets_a_label():
    target = Target(("A", "B"), kinds={"interval": ("A", "B")})
    said = TimeSeries.limits(TimeSeries.Options(), target, ())
    assert said == "gives every part of a series a label; with `options: {gaps: nothing}`, unmarked parts have none"
    assert TimeSeries.limits(TimeSeries.Options(gaps="nothing"), target, ()) is None
    assert TimeSeries.limits(TimeSeries.Options(), Target(("A",), kinds={"interval": ("A",)}), ()) is None


def test_ends_snap_to_where_the_series_changes(walker):
    truth = activities(range(100, 104))
    loose = new(snap=False)
    loose._segmenter = walker._segmenter

    def distances(adapter):
        answers = adapter.predict([example.data for example in truth])
        found = [sorted({value.start for value in values}) for values in answers]
        return [
            min(abs(value.start - start) for start in starts)
            for example, starts in zip(truth, found, strict=True)
            for value in example.values
        ]

    assert np.mean(distances(walker)) < np.mean(distances(loose))
    assert np.median(distances(walker)) < 0.05  # the time of one point


@pytest.mark.slow
def test_stretches_of_several_labels_may_overlap():
    def examples(seeds):
        made = []
        for seed in seeds:
            columns, intervals = drawn(seed)
            moves = [Interval(i.start, i.end, "Moves") for i in intervals if i.label != "Rest"]
            segments = [Interval(i.start, i.end, "Runs") for i in intervals if i.label == "Run"]
            # Walks and runs beside each other are one stretch of moving.
            joined = []
            for one in moves:
                if joined and one.start - joined[-1].end < 1:
                    joined[-1] = Interval(joined[-1].start, one.end, "Moves")
                else:
                    joined.append(one)
            made.append(Example(series_of(columns), tuple(joined + segments)))
        return made

    adapter = learnt(examples(range(10)), "Moves", "Runs", gaps="nothing")
    assert f1(adapter, examples(range(100, 110)))["value"] >= 0.9


def test_whole_series_get_the_label_of_what_they_show():
    adapter = new(kind="choice", multiple=False)
    adapter.fit(kinds_of_motion(range(40)), seed=1)
    others = kinds_of_motion(range(500, 530))
    answers = adapter.predict([example.data for example in others])
    right = [max(values, key=lambda v: v.score) for values in answers]
    assert np.mean([one.label == e.values[0].label for one, e in zip(right, others, strict=True)]) > 0.9
    assert all(sum(value.score for value in values) == pytest.approx(1) for values in answers)


def test_one_model_answers_stretches_and_a_label_of_the_whole(tmp_path):
    labels = ("Active", "Lazy")
    adapter = TimeSeries(
        TimeSeries.Options(iterations=10),
        Target((*ACTIVITIES, *labels), multiple=True, kinds={"interval": ACTIVITIES, "choice": labels}),
    )
    examples = [Example(e.data, (*e.values, Choice(labels[place % 2]))) for place, e in enumerate(activities(range(6)))]
    adapter.fit(examples, seed=1)
    [values] = adapter.predict([examples[0].data])
    assert [value.label for value in values if isinstance(value, Choice)] == ["Active", "Lazy"]
    assert sum(isinstance(value, Interval) for value in values) > 4
    adapter.save(tmp_path)
    again = TimeSeries(adapter.options, adapter.target)
    again.load(tmp_path)
    assert again.predict([examples[0].data]) == [values]


@pytest.mark.parametrize(
    ("examples", "why"),
    [
        ([], "0 of 0 series have an annotated segment; annotate at least two series"),
        (activities(range(1)), "1 of 1 series have an annotated segment; annotate at least two series"),
        (activities(range(3), marked=()), "0 of 0 series have an annotated segment; annotate at least two series"),
        (activities(range(3), marked=("Run",)), "all annotated segments have the label 'Run'; annotate other labels, "
                                                "too, or write `gaps: nothing` under `options`, so that unmarked "
                                                "parts have no label"),
        ([Example(e.data, (Interval(-9, -8, "Run"), Interval(-8, -7, "Walk"))) for e in activities(range(2))],
         "no annotated segment is within its series; were the times changed after the annotation?"),
    ],
)  # fmt: skip
def test_too_little_to_learn_from_is_said(examples, why):
    with pytest.raises(NotEnoughData) as caught:
        new().fit(examples, seed=1)
    assert str(caught.value) == why


def test_a_series_that_cannot_be_read_costs_itself_alone():
    broken = Series(columns={"time": [1, 0], "x": [1, 2], "y": [1, 2]}, time="time", channels=("x", "y"))
    lone = Series(columns={"time": [0, 1], "x": [1, 2]}, time="time", channels=("x",))
    marked = (Interval(0, 1, "Run"),)
    adapter = learnt([*activities(range(4)), Example(broken, marked), Example(lone, marked)], iterations=5)
    assert sorted(adapter.notes[1:]) == [
        "1 series not used for training: it has 1 channels, and another series has 2",
        "1 series not used for training: the times of a time series must be in order, but row 2 is before row 1; sort its rows",
    ]
    with pytest.raises(AdapterError, match="the series has 1 channels, but the model was trained with 2"):
        adapter.predict([lone])


@pytest.mark.parametrize(
    "columns",
    [
        {"time": [0.0], "x": [1.0], "y": [1.0]},
        {"time": [0.0, 0.0, 0.0], "x": [1.0, 1.0, 1.0], "y": [None, None, None]},
        {"time": [1e9, 1e9 + 1, 2e9], "x": [1e300, -1e300, 0], "y": [1e-300, 0, None]},
    ],
)
def test_odd_series_are_answered(walker, columns):
    [values] = walker.predict([series_of(columns)])
    assert all(value.start < value.end for value in values)


@pytest.mark.slow
def test_a_million_points_are_answered_in_bounded_memory(tmp_path, walker):
    walker.save(tmp_path)
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write("time,x,y\n")
        file.writelines(f"{row / 20},{row % 7 / 7},{row % 11 / 11}\n" for row in range(1_000_000))
    code = (
        "import resource, pathlib\n"
        "from lsml.adapters.base import Target\n"
        "from lsml.adapters.series.time_series import TimeSeries\n"
        "from lsml.labeling.series import Series\n"
        f"adapter = TimeSeries(TimeSeries.Options(), Target({ACTIVITIES!r}))\n"
        f"adapter.load(pathlib.Path({str(tmp_path)!r}))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"[values] = adapter.predict([Series({str(path)!r}, time='time', channels=('x', 'y'))])\n"
        "assert values[0].start == 0 and values[-1].end == 49999.95, values\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < 400 * 1024 * 1024


@pytest.mark.parametrize("part", ["labels", "windows", "short", "channels", "forests"])
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, part, walker):
    walker.save(tmp_path)
    state = load_state(tmp_path, "time-series")
    wrong = {"labels": [], "windows": [0.0], "short": -1.0, "channels": 0, "forests": []}
    state["segmenter"][part] = wrong[part]
    del state["format"]
    save_state(tmp_path, state)
    with pytest.raises(VersionError, match="time-series cannot read it"):
        new().load(tmp_path)


def test_features_of_windows_are_those_that_numpy_counts():
    draw = np.random.default_rng(4)
    times, values = np.cumsum(draw.exponential(1, 200)), draw.normal(5, 2, (200, 1))
    values[::7] = np.nan
    signal = Signal(Points(times, values))
    places = np.array([50, 120])
    features = signal.features(places, [20.0, 40.0])
    assert features.shape == (2, 2 * OF_WINDOW)
    for row, place in zip(features, places, strict=True):
        inside = values[np.abs(times - times[place]) <= 10, 0]
        steps = np.diff(np.concatenate([[np.nan], values[:, 0]]))[np.abs(times - times[place]) <= 10] / signal.spread[0]
        assert row[1] == pytest.approx(np.nanmean(inside), rel=1e-4)
        assert row[2] == pytest.approx(np.log(np.nanvar(inside / signal.spread[0])), rel=1e-3)
        assert row[3] == pytest.approx(np.log(np.nanmean(steps**2)), rel=1e-3)


def test_short_doubts_do_not_break_a_run_and_long_ones_do():
    sure = np.array([[0.9, 0.1]] * 10 + [[0.3, 0.7]] + [[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 10)
    found = segments(sure, np.full(len(sure), 0.1))
    assert [(run.begin, run.end, run.of) for run in found] == [(0, 21, 0), (21, 31, 1)]
    assert found[1].score == pytest.approx(0.9)


def test_a_border_moves_to_the_change_and_no_further_than_it_may():
    draw = np.random.default_rng(5)
    values = np.concatenate([draw.normal(0, 1, 100), draw.normal(4, 1, 100)])[:, None]
    signal = Signal(Points(np.arange(200.0), values))
    assert abs(snapped(signal, [90], 20.0)[0] - 100) <= 1
    assert snapped(signal, [50], 20.0)[0] <= 70
    assert snapped(signal, [], 20.0) == []


def test_options_are_checked():
    for wrong in ({"windows": []}, {"windows": [0]}, {"gaps": "negative"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, TimeSeries.Options)


def test_a_number_of_whole_series_is_learnt_beside_their_labels():
    numbers, kinds = speeds_of_motion(range(24)), kinds_of_motion(range(24))
    both = [Example(one.data, (*one.values, *other.values)) for one, other in zip(numbers, kinds, strict=True)]
    adapter = TimeSeries(
        TimeSeries.Options(iterations=20), Target(ACTIVITIES, kinds={"choice": ACTIVITIES, "number": ()})
    )
    adapter.fit(both, seed=1)
    others = speeds_of_motion(range(100, 112))
    found = adapter.predict([one.data for one in others])
    assert {type(value) for values in found for value in values} == {Choice, Number}
    told = [tuple(value for value in values if isinstance(value, Number)) for values in found]
    assert all(0 < value.score <= 1 for values in told for value in values)
    assert judge(Number, list(zip([one.values for one in others], told, strict=True)))["value"] > 0.8


def test_a_number_needs_two_series_that_have_one():
    adapter = TimeSeries(TimeSeries.Options(), Target(kinds={"number": ()}))
    with pytest.raises(NotEnoughData, match="1 series have a number; annotate at least two"):
        adapter.fit(speeds_of_motion(range(1)), seed=1)
