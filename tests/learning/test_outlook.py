"""What more annotations bring, from the curve of real versions."""

import numpy as np
import pytest

from lsml.learning.outlook import estimate
from lsml.store import LOCAL
from lsml.versions import card_of
from lsml.versions.outlook import Outlook, Prospect, VersionPoint
from tests.conftest import tickets
from tests.learning.test_decide import with_wrong
from tests.learning.test_train import annotated, project  # noqa: F401 (a fixture)


def points(sizes, value, judged=100, noise=0.0, seed=0):
    draw = np.random.default_rng(seed)
    return [
        VersionPoint(number, size, float(value(size) + draw.normal(0, noise)), judged)
        for number, size in enumerate(sizes, 1)
    ]


SIZES = (40, 60, 90, 130, 200, 300)


def rising(size):
    return 0.95 - 2.0 * size**-0.5


@pytest.mark.slow
def test_the_interval_holds_what_the_next_annotations_bring():
    true = rising(400) - rising(300)
    held = 0
    for seed in range(10):
        outlook = estimate(points(SIZES, rising, judged=200, noise=0.01, seed=seed))
        low, high = outlook.interval
        assert 0 <= low <= high
        held += low <= true <= high
    assert held >= 7
    exact = estimate(points(SIZES, rising, judged=5000))
    assert exact.gain == pytest.approx(true, abs=0.002)
    assert (exact.prospect, exact.versions, exact.confidence) == (Prospect.RISES, 6, 0.8)
    assert exact.sentence.startswith("the next 100 annotations bring +0.01")


def test_on_a_flat_curve_more_annotations_hardly_help_and_it_says_why():
    outlook = estimate(points((100, 200, 400, 800, 1600), lambda size: 0.93, judged=2000))
    assert outlook.prospect is Prospect.FLAT
    assert outlook.sentence.startswith(
        "more annotations will hardly help: the next 100 annotations bring +0.000 (+0.000 to "
    )
    assert outlook.sentence.endswith(" at most")
    assert outlook.doubled < 0.01


@pytest.mark.slow
def test_with_fewer_judged_answers_it_is_less_sure():
    few, many = (estimate(points(SIZES, rising, judged=judged)) for judged in (30, 3000))
    assert few.interval[1] - few.interval[0] > many.interval[1] - many.interval[0]


def test_what_is_too_little_for_an_estimate_is_said():
    assert estimate([]) == Outlook(Prospect.FEW_VERSIONS, 0)
    assert estimate(points((40, 40, 60), rising)).sentence == (
        "no estimate yet of the gain from more annotations: it needs 4 versions of different sizes, and there are 2"
    )
    assert estimate(points(SIZES, rising, judged=12)).sentence == (
        "no estimate yet of the gain from more annotations: it needs 4 versions of different sizes with 30 held-out "
        "examples or more, and there are 0"
    )


@pytest.mark.slow
def test_the_curve_remembers_versions_that_are_no_longer_kept(project):  # noqa: F811
    here = project("training: {promote: always, holdout: {share: 0.5}}\n")
    pairs = with_wrong(tickets(260, seed=3), 0.1)
    for size in (80, 120, 180, 260):
        card = here.train(annotated(pairs[:size]))
        here.store.versions.prune(LOCAL, 1)
    assert [row.number for row in here.store.versions.of_project(LOCAL)] == [4]
    stored = card_of(here.store.versions.get(LOCAL, 4))
    assert [(point.version, point.annotations) for point in stored.history] == [(1, 80), (2, 120), (3, 180)]
    assert stored.outlook == card.outlook
    assert stored.outlook.versions == 4 and stored.outlook.interval is not None
