"""The time of day that trainings wait for."""

from datetime import datetime

import pytest

from lsml.recipe import Training
from lsml.recipe.time_of_day import next_moment


@pytest.mark.parametrize(
    ("at", "after", "expected"),
    [
        ("02:00 UTC", "2026-11-23T01:59:59+00:00", "2026-11-23T02:00:00+00:00"),
        ("02:00 UTC", "2026-11-23T02:00:00+00:00", "2026-11-24T02:00:00+00:00"),
        ("02:00 Europe/Berlin", "2026-11-23T00:30:00+00:00", "2026-11-23T02:00:00+01:00"),
        ("23:30 America/New_York", "2026-11-23T23:00:00-05:00", "2026-11-23T23:30:00-05:00"),
        # the night in which the clocks go back, and the one in which 02:30 is left out
        ("02:30 Europe/Berlin", "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("02:30 Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-29T02:30:00+01:00"),
    ],
)
def test_it_comes_once_a_day_in_its_zone(at, after, expected):
    moment = next_moment(at, datetime.fromisoformat(after).timestamp())
    assert datetime.fromtimestamp(moment).astimezone() == datetime.fromisoformat(expected)


def test_without_a_zone_it_is_the_machines_and_without_a_time_it_is_now():
    noon = datetime(2026, 11, 23, 12).timestamp()
    assert next_moment("13:00", noon) == datetime(2026, 11, 23, 13).timestamp()
    assert (Training().earliest(noon), Training(at="13:00").earliest(noon)) == (noon, noon + 3600)
