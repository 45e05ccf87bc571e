"""What several verbs say in the same words."""

import pytest

from lsml.cli.common import caution, metric_text
from lsml.metrics import JUDGES, judge


@pytest.mark.parametrize("pairs", [[], [((), ())]])
@pytest.mark.parametrize("value_type", JUDGES)
def test_every_metric_is_said_also_where_there_was_nothing_to_judge_by(value_type, pairs):
    judged = judge(value_type, pairs)
    said = metric_text(judged)
    assert said == f"{judged['metric']} not evaluated" if judged["value"] is None else f"{judged['metric']} 1.0000"


@pytest.mark.parametrize(
    ("value", "examples", "said"),
    [(1.0, 9, ", too few to rely on"), (1.0, 10, ""), (0.0, 1, ", too few to rely on"), (None, 0, "")],
)
def test_a_metric_of_few_answers_comes_with_a_caution(value, examples, said):
    assert caution({"metric": "macro_f1", "value": value, "examples": examples}) == said
