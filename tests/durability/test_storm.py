"""Three servers and three workers, whose machines and engines fail all the time: nothing is lost, doubled or half served."""

import pytest

from tests.support.storm import storm


@pytest.mark.parametrize(
    ("projects", "webhooks", "every", "for_s"),
    [
        pytest.param(6, 600, 25, 60, marks=[pytest.mark.slow, pytest.mark.timeout(1800)], id="a minute"),
        pytest.param(20, 20_000, 100, 600, marks=[pytest.mark.long, pytest.mark.timeout(3600)], id="ten minutes"),
    ],
)
def test_a_storm_loses_no_annotation_and_no_run_and_all_agree_after_it(tmp_path, projects, webhooks, every, for_s):
    with storm(tmp_path, projects, every) as weather:
        try:
            weather.rage(webhooks, for_s)
            weather.settle(for_s + 180)
            weather.check()
        finally:
            print(weather.told())
