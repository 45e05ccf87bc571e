"""A DateTime takes the parts that it shows, and refuses what Label Studio could not read back."""

import pytest

from lsml.binding import control_of
from lsml.controls import CONTROLS
from lsml.labeling import parse_labeling_config
from lsml.values import Moment


def config_of(attributes):
    return parse_labeling_config(
        f'<View><Text name="t" value="$t"/><DateTime name="d" toName="t" {attributes}/></View>'
    )


def control(attributes=""):
    config = config_of(attributes)
    return control_of(config.controls[0], config)


@pytest.mark.parametrize(
    ("attributes", "at", "shown"),
    [
        ("", "2026-03-04", "2026-03-04T00:00"),  # as the editor does where no time is entered
        ("", "2026-03-04T09:30", "2026-03-04T09:30"),
        ("", "2026-03", None),
        ("", "09:30", None),
        ('only="date"', "2026-03-04T09:30", "2026-03-04"),
        ('only="date" min="2026-04-01"', "2026-03-04", None),
        ('only="date" max="2026-03-04"', "2026-03-04T09:30", "2026-03-04"),
        ('only="time"', "2026-03-04T09:30", "09:30"),
        ('only="time"', "2026-03-04", None),
        ('only="year"', "2026-03-04T09:30", "2026"),
        ('only="year"', "1999", None),  # the editor's list begins with 2000
        ('only="year" min="1990" max="current"', "1999", "1999"),
        ('only="year"', "2999", None),
        ('only="month,year"', "2026-03-04", "2026-03"),
        ('only="month,year"', "2026", None),
    ],
)
def test_a_moment_is_cut_to_the_parts_of_the_tag(attributes, at, shown):
    assert control(attributes).possible([Moment(at, 0.5)], {}) == ([Moment(shown, 0.5)] if shown else [])


def test_the_surest_moment_that_can_be_shown_is():
    dated = control('only="date"')
    found = [Moment("09:30", 0.9), Moment("2026-03-04", 0.2), Moment("2026-03-05T10:00", 0.3)]
    values = dated.possible(found, {})
    assert dated.select(values, lambda _label: 0.0) == [Moment("2026-03-05", 0.3)]
    assert dated.select(values, lambda _label: 0.5) == []
    assert dated.certainty(values, "confidence") == 0.3


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ('only="month"', 'DateTime#d has only="month", of which Label Studio stores nothing; write only="month,year"'),
        ('format="%Y-%j"', "DateTime#d: lsml does not know %j in its format"),
        (
            'format="%d/%m"',
            "DateTime#d: its format leaves out a part of the date; write all of them, such as %Y-%m-%d",
        ),
        ('only="month,year" format="%m/%Y"', None),
    ],
)
def test_what_could_not_be_read_back_is_refused(attributes, why):
    assert CONTROLS["DateTime"].refusal(config_of(attributes).controls[0]) == why


def test_the_editor_loses_months_and_that_is_said():
    assert "stores just the year of what people enter" in control('only="month,year"').caution
    assert control('only="date"').caution is None


@pytest.mark.parametrize("at", ["2026-02-31", "2026-3-4", "24:00", "0000", "", "2026-03-04T09", "soon"])
def test_a_moment_is_a_real_one(at):
    with pytest.raises(ValueError):
        Moment(at)
