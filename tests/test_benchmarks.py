"""The benchmark of language adapters reads its command line, and measures a row."""

import pytest

from benchmarks.language_rows import ROWS, Measured, measured, parsed, shown


def test_rows_are_named_on_the_command_line(capsys):
    assert parsed(["--quick", "pairwise", "dates"]).rows == ["pairwise", "dates"] and not parsed([]).quick
    with pytest.raises(SystemExit):
        parsed(["parwise"])
    assert "no such row: parwise" in capsys.readouterr().err


def test_a_row_is_measured_on_both_sides():
    row = ROWS["relations"]
    ours, bare = (measured(row, mine, 4, 1) for mine in (True, False))
    assert isinstance(ours, Measured) and isinstance(bare, Measured)
    assert ours.quality > 0.8 and bare.quality > 0.5
    assert shown("relations", row, 4, ours, bare).count("|") == 11


def test_what_a_row_lacks_is_said():
    def lacking(*_):
        raise ImportError("no such library")

    missing = measured(ROWS["pairwise"]._replace(make=lacking), True, 1, 1)
    assert (
        shown("pairwise", ROWS["pairwise"], 1, missing, missing) == "pairwise: left out; ImportError: no such library"
    )
