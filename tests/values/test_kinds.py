"""Scored: a sequence of choices that are made when they are looked at."""

import numpy as np
import pytest

from lsml.controls import CONTROLS
from lsml.controls.base import ModelValues
from lsml.labeling import parse_labeling_config
from lsml.values import Choice, Scored

LABELS = ("Billing", "Bug", "Question")


def scored(*scores):
    return Scored(LABELS, frozenset(LABELS), list(scores))


def test_it_is_the_choices_that_it_stands_for():
    values = scored(0.2, 0.7, 0.1)
    plain = [Choice("Billing", 0.2), Choice("Bug", 0.7), Choice("Question", 0.1)]
    assert list(values) == plain
    assert (len(values), values[1], values[-1], values[:2]) == (3, plain[1], plain[-1], plain[:2])
    assert values == plain
    assert values == scored(0.2, 0.7, 0.1)
    assert values != scored(0.2, 0.6, 0.2)
    assert plain[1] in values
    assert repr(values) == repr(plain)


@pytest.mark.parametrize("scores", [(0.1, float("nan"), 0.2), (float("nan"), 0.1, 0.2), (1.5, 0, 0), (0, -0.1, 0)])
def test_nonsense_is_refused(scores):
    with pytest.raises(ValueError, match="a score must be between 0 and 1, got "):
        scored(*scores)
    with pytest.raises(ValueError, match="a score must be between 0 and 1, got "):
        Scored.of_rows(LABELS, frozenset(LABELS), np.array([(0.0, 0.5, 0.5), scores]))


def test_rows_of_an_array_are_what_each_row_is():
    rows = [(0.2, 0.7, 0.1), (0.4, 0.2, 0.4), (0.0, 0.0, 1.0)]
    made = Scored.of_rows(LABELS, frozenset(LABELS), np.array(rows))
    assert made == [scored(*row) for row in rows]
    assert [values.best for values in made] == [scored(*row).best for row in rows] == [1, 0, 2]
    assert Scored.of_rows(LABELS, frozenset(LABELS), np.empty((0, 3))) == []


THREE = '<Choice value="Billing"/><Choice value="Bug"/><Choice value="Question"/>'
CONFIGS = {
    "choices": f'<Choices name="c" toName="t"{{}}>{THREE}</Choices>',
    "fewer": '<Choices name="c" toName="t"{}><Choice value="Billing"/><Choice value="Question"/></Choices>',
    "open": '<Choices name="c" toName="t" value="$options"{}/>',
    "taxonomy": f'<Taxonomy name="c" toName="t"{{}}>{THREE}</Taxonomy>',
}


@pytest.mark.parametrize("kind", ["confidence", "margin", "entropy"])
@pytest.mark.parametrize("multiple", ["", ' choice="multiple"'])
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(
    "scores", [(0.2, 0.7, 0.1), (0.6, 0.3, 0.1), (0.4, 0.4, 0.2), (0.9, 0.8, 0.7), (0.0, 0.0, 0.0)]
)
def test_a_control_makes_of_it_what_it_makes_of_the_list(config, multiple, scores, kind):
    xml = f'<View><Text name="t" value="$text"/>{CONFIGS[config].format(multiple)}</View>'
    (tag,) = parse_labeling_config(xml).controls
    control = CONTROLS[tag.tag](tag)
    data = {"text": "a", "options": [{"value": "Bug"}, {"value": "Question"}]}
    for threshold in (0.0, 0.5):
        made = [
            control.combine([ModelValues(values, lambda _label, least=threshold: least)], data, kind)
            for values in (scored(*scores), list(scored(*scores)))
        ]
        assert made[0] == made[1]
        shown, _ = made[0]
        regions = control.encode(shown, "t")
        assert control.write(shown, "t", None, data) == [(region, control.problem(region, data)) for region in regions]
