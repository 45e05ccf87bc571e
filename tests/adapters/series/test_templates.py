"""Labeling configs of the kinds that Label Studio has templates for: `lsml new` writes a recipe that serves them."""

import pytest

from tests.support.commands import lsml, said

SHOWN = (
    '<TimeSeries name="ts" value="$csv" valueType="url" sep="," timeColumn="time" timeFormat="%Y-%m-%d %H:%M:%S.%f">'
    '<Channel column="speed" units="m/s" displayFormat=",.1f"/></TimeSeries>'
)
ONE = '<TimeSeriesLabels name="label" toName="ts"><Label value="Region" background="red"/></TimeSeriesLabels>'
TWO = '<TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>'
KIND = '<Choices name="kind" toName="ts"{}><Choice value="Up"/><Choice value="Down"/></Choices>'
EACH = KIND.format(' perRegion="true"')
ALL = "warning: TimeSeriesLabels#label: time-series gives every part of a series a label; with `options: {gaps: nothing}`, "
TEMPLATES = {
    "activity recognition": (TWO, "TimeSeriesLabels#label -> time-series", [f"{ALL}unmarked parts have none"]),
    "change points": (ONE, "TimeSeriesLabels#label -> time-series", []),
    "outliers and anomalies": (
        ONE + EACH, "TimeSeriesLabels#label -> time-series, Choices#kind -> time-series", [],
    ),
    "signal quality": (
        f'<View visibleWhen="no-region-selected">{ONE}</View><View visibleWhen="region-selected">'
        f'<Rating name="rating" toName="ts" maxRating="10" perRegion="true"/>{EACH}</View>',
        "TimeSeriesLabels#label -> time-series, Rating#rating -> time-series, Choices#kind -> time-series", [],
    ),
    "forecasting": (
        ONE + KIND.format(""), "TimeSeriesLabels#label -> time-series, Choices#kind -> time-series", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_new_proposes_time_series_for_each_kind_of_template(name, tmp_path):
    controls, bound, unbound = TEMPLATES[name]
    (tmp_path / "config.xml").write_text(f"<View>{controls}{SHOWN}</View>")
    done = lsml("new", "--labeling-config", "config.xml", cwd=tmp_path)
    assert said(done).splitlines()[0] == f"bound: {bound}"
    assert done.stderr.splitlines() == unbound
    assert said(lsml("validate", "config.yaml", cwd=tmp_path)).splitlines()[-1] == f"config.yaml: valid; bound: {bound}"
