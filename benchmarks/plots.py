"""Draw the tables of docs/performance.md: `python -m benchmarks.plots`, from the repository's root. It needs matplotlib.

Each plot shows columns of one table, which stands behind it in the page. A figure is measured once and written once: in
the table.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
COLOURS = {"lsml": "#1f6feb", "default": "#79b0f5", "other": "#8b949e", "more": "#c2410c"}


@dataclass(frozen=True)
class Bar:
    """The bars of one column. `column`: its heading in the table; `name`: in the legend; `colour`: one of `COLOURS`."""

    column: str
    name: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """A plot of a table. `file`: in docs/; `columns`: the beginning of the table's header; `rows`: those that it shows,
    by the beginning of their names; all if there are none. `limit`: a line that says how far bars may reach.
    """

    file: str
    columns: str
    title: str
    axis: str
    bars: tuple[Bar, ...]
    rows: tuple[str, ...] = ()
    logarithmic: bool = False
    limit: float | None = None


INCUMBENT = Bar("incumbent", "incumbent", "other")
PLOTS = (
    Plot(
        "performance-small.svg", "| | lsml, requests/s (median ms)", "Small requests: texts to a text classifier",
        "requests a second", (Bar("lsml, requests/s (median ms)", "lsml", "lsml"),
                              Bar("lsml, default", "lsml, default options", "default"), INCUMBENT),
    ),
    Plot(
        "performance-cpu.svg", "| ms of CPU time", "Small requests: processor time", "ms of CPU time for a request",
        (Bar("lsml", "lsml", "lsml"), Bar("lsml, default", "lsml, default options", "default"), INCUMBENT),
    ),
    Plot(
        "performance-predict.svg", "| | bare call | lsml | incumbent", "/predict by the number of tasks", "median ms, logarithmic",
        (Bar("lsml", "lsml", "lsml"), Bar("bare call", "the model without a server", "more"), INCUMBENT),
        rows=("/predict, 1 task, median", "/predict, 16 tasks, median", "/predict, 250 tasks, median"), logarithmic=True,
    ),
    Plot(
        "performance-publish.svg", "| | s | tasks/s", "Predictions for 500 tasks into Label Studio", "tasks a second, logarithmic",
        (Bar("tasks/s", "tasks/s", "lsml"),), logarithmic=True,
    ),
    Plot(
        "performance-images.svg", "| 16 images | images", "Sixteen images, beside the bare call", "time of lsml / time of the bare call",
        (Bar("warm / bare", "files in the cache", "lsml"), Bar("cold / bare", "files fetched first", "default")), limit=1.1,
    ),
    Plot(
        "performance-pages.svg", "| | median, ms", "Pages of 50 projects with 200 versions and 5,000 runs each", "median ms of server time",
        (Bar("median, ms", "median ms", "lsml"),), limit=200,
    ),
)  # fmt: skip


def table(plot: Plot) -> dict[str, list[str]]:
    """Return the figures that a plot shows, by the row's name, as they stand in the table of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(plot.columns))
    heading = _cells(lines[start])
    at = [heading.index(bar.column) for bar in plot.bars]
    keys = at[0] if len(heading) > 2 and not re.search(r"\d", _cells(lines[start + 2])[1]) else 1
    found: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = _cells(line)
        name = ", ".join(cells[: 2 if keys > 1 and not re.search(r"\d", cells[1]) else 1]).replace("`", "")
        if not plot.rows or name.startswith(plot.rows):
            found[name] = [cells[column] for column in at]
    return found


def number(figure: str) -> float:
    """Return the number that a cell begins with: `1,791 (0.53)` is 1791."""
    match = re.match(r"[\d,.]+", figure)
    assert match is not None, figure
    return float(match[0].replace(",", ""))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def draw(plot: Plot) -> None:
    """Write a plot as an SVG file whose texts stay texts."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "lsml", "font.family": "sans-serif", "font.size": 10}
    )
    import matplotlib.pyplot as plt

    rows = table(plot)
    high = 0.8 / len(plot.bars)
    figure, axes = plt.subplots(figsize=(8, 1.1 + 0.3 * len(rows) * max(1.3, 0.75 * len(plot.bars))))
    least, most = (of(number(one) for figures in rows.values() for one in figures) for of in (min, max))
    for place, bar in enumerate(plot.bars):
        at = [row + place * high for row in range(len(rows))]
        figures = [figures[place] for figures in rows.values()]
        drawn = axes.barh(at, [number(one) for one in figures], high * 0.9, label=bar.name, color=COLOURS[bar.colour])
        axes.bar_label(drawn, [f" {one.split(' (')[0]}" for one in figures], fontsize=9)
    axes.set_yticks([row + high * (len(plot.bars) - 1) / 2 for row in range(len(rows))], list(rows))
    axes.invert_yaxis()
    if plot.logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(10 ** math.floor(math.log10(least)), most * 3)
    else:
        axes.set_xlim(right=max(most, plot.limit or 0) * 1.15)
    if plot.limit is not None:
        axes.axvline(plot.limit, color="#15803d", linestyle="--", label=f"at most {plot.limit:g}")
    axes.set_xlabel(plot.axis)
    axes.set_title(plot.title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    if len(plot.bars) > 1 or plot.limit is not None:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(DOCS / plot.file, bbox_inches="tight", metadata={"Date": None, "Title": plot.title})
    plt.close(figure)


if __name__ == "__main__":
    for each in PLOTS:
        draw(each)
