"""Learning curves and confusion matrices as text."""

from lsml.cli.figures import confusion_lines, curve_line
from lsml.versions.outlook import VersionPoint


def test_a_confusion_matrix_is_a_table_with_a_column_for_each_label():
    confusion = {"Bug": {"Bug": 7, "Question": 2}, "Praise": {"Praise": 4}, "Question": {"Bug": 1, "": 1}}
    assert confusion_lines(confusion) == [
        "               Bug  Question    Praise   nothing  <- predicted",
        "Bug              7         2         0         0",
        "Question         1         0         0         1",
        "Praise           0         0         4         0",
    ]


def test_where_nothing_is_confused_there_is_no_table():
    assert confusion_lines({"Bug": {"Bug": 7}, "Question": {"Question": 1}}) == []
    assert confusion_lines({}) == []


def test_of_many_labels_the_most_confused_are_shown_and_the_others_named():
    names = [f"label {number:02}, whose name is long" for number in range(12)]
    confusion = {name: {name: 5, names[0]: number} for number, name in enumerate(names)}
    lines = confusion_lines(confusion)
    assert len(lines) == 10
    assert lines[1].split()[-1] == "11"
    assert lines[-1] == f"and {names[0]}, {names[1]}, {names[2]} and 1 more, confused less often"


def test_a_curve_is_a_line_of_its_last_points():
    points = [VersionPoint(number, 10 * number, number / 100, 30) for number in range(1, 20)]
    assert curve_line(points).startswith("metric by annotated tasks: 80: 0.080, 90: 0.090")
    assert curve_line(points).endswith("190: 0.190")
    assert curve_line([]) == ""
