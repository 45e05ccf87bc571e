"""`lsml simulate`: learning curves on a finished project."""

import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from lsml.cli import main
from lsml.learning.simulate import Point, Simulated
from tests.conftest import export, tickets, write_recipe


def simulate(tmp_path, *options, count=120, recipe=""):
    (tmp_path / "done.json").write_text(json.dumps(export(tickets(count))))
    path = write_recipe(
        tmp_path, recipe or "tags: {Choices: {adapter: text-classifier, options: {C: 10, class_weight: none}}}\n"
    )
    return CliRunner().invoke(main, ["simulate", str(path), str(tmp_path / "done.json"), *options])


def test_each_order_has_a_curve_and_says_what_it_needs(tmp_path):
    result = simulate(tmp_path, "--seeds", "2", "--target", "0.9", "--json", "-o", str(tmp_path / "curves.svg"))
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["metric"], told["tasks"], told["judged"], told["seeds"]) == ("macro_f1", 90, 30, 2)
    assert list(told["curves"]) == ["random", "uncertain", "diverse"]
    for curve in told["curves"].values():
        assert [point["annotations"] for point in curve] == [10, 20, 40, 80, 90]
        assert all(point["low"] <= point["mean"] <= point["high"] for point in curve)
    # All of the pool is the same whatever the order.
    assert len({curve[-1]["mean"] for curve in told["curves"].values()}) == 1
    # Both begin with the same random tasks.
    assert told["curves"]["random"][0] == told["curves"]["uncertain"][0]
    assert all(10 <= need <= 90 for need in told["needs"].values())
    assert ": 0.90 after " in told["sentence"] and " of 90; " in told["sentence"]
    root = ElementTree.parse(tmp_path / "curves.svg").getroot()
    assert root.tag.endswith("svg")
    assert len([one for one in root if one.tag.endswith("polyline")]) == 3


def test_the_table_has_a_row_for_each_number_of_annotations(tmp_path):
    result = simulate(tmp_path, "--seeds", "1", "--orders", "random, diverse")
    lines = result.stdout.splitlines()
    assert lines[0] == "macro_f1 on 30 other tasks, mean of 1 seeds (95% interval)"
    assert lines[1].split() == ["annotations", "random", "diverse"]
    assert [line.split()[0] for line in lines[2:7]] == ["10", "20", "40", "80", "90"]
    assert not (tmp_path / ".lsml" / "triage" / "versions").exists()


def test_the_sizes_may_be_given(tmp_path):
    result = simulate(tmp_path, "--seeds", "1", "--orders", "random", "--sizes", "50, 20,500")
    assert [line.split()[0] for line in result.stdout.splitlines()[2:5]] == ["20", "50", "90"]


def test_what_cannot_be_simulated_is_refused_with_a_sentence(tmp_path):
    few = simulate(tmp_path, count=20)
    assert few.exit_code != 0
    assert "20 annotated tasks are too few for a learning curve; it needs at least 40" in few.stderr
    wrong = simulate(tmp_path, "--orders", "random,best")
    assert "expected some of random, uncertain, diverse with commas between them, got 'best'" in wrong.stderr
    none = simulate(tmp_path, "--sizes", "0,20")
    assert "expected numbers of annotations such as 20,50,100, got '0,20'" in none.stderr
    frozen = simulate(tmp_path, recipe="tags: {Choices: zero-shot}\n")
    assert frozen.exit_code != 0


@pytest.mark.parametrize(
    ("needs", "sentence"),
    [
        ({"random": 910, "uncertain": 480}, "uncertain: 0.90 after 480 of 2,000; random needs 910"),
        ({"random": None, "uncertain": 480}, "uncertain: 0.90 after 480 of 2,000; random never reaches it"),
        ({"random": None}, "no order reaches 0.90"),
    ],
)
def test_the_sentence_names_the_order_that_needs_least(needs, sentence):
    curves = {order: [Point(10, 0.5, 0.4, 0.6)] for order in needs}
    assert Simulated("macro_f1", 2000, 500, 5, 0.9, curves, needs).sentence == sentence
