"""The pages for people: an overview, and for each project its versions, a page to try it, a comparison and the doctor."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from flask import Response, redirect, render_template, request

from lsml import __version__
from lsml.learning.decide import LEAST_JUDGED
from lsml.learning.side_by_side import Cell
from lsml.metrics import Metrics
from lsml.recipe import Recipe
from lsml.server.api import ApiViews
from lsml.server.held_out import HeldOutViews, asked_cell, asked_version
from lsml.server.looking import Looking
from lsml.server.messages import SomeVersions
from lsml.server.routes import PAGE, Media, Route
from lsml.versions.outlook import MORE
from lsml.wording import about

_FOLDER = Path(__file__).parent
TEMPLATES = str(_FOLDER / "templates")
_ASSETS = {"lsml.css": "text/css", "lsml.js": "text/javascript"}
_OPEN_RUNS = ("queued", "started")
_HERE = "."
_SPARKS = 40  # the most versions of a sparkline
_MOST_LABELS = 30  # the most labels of a confusion matrix
# No content from elsewhere, no inline script, and no frames around it.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; media-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Sparkline:
    """A small line without axes. `points`: as SVG has them; `last`: the last of them; `width` and `height` in pixels."""

    points: str
    last: tuple[str, str]
    label: str
    width: int
    height: int


@dataclass(frozen=True)
class Expected:
    """The end of a learning curve that more annotations should reach. `low`, `value`, `high`: the metric, in [0, 1]."""

    examples: float
    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Section:
    """One recipe on the overview. `projects`: as in `/api/projects`; `path`: the beginning of its links."""

    recipe: Recipe
    projects: list[dict[str, object]]
    path: str


def asset(name: str) -> Response:
    """Return a style sheet or script of the pages."""
    return Response((_FOLDER / "assets" / name).read_bytes(), mimetype=_ASSETS[name])


def asset_routes() -> list[Route]:
    """Return (path, methods, view) of each asset."""
    return [Route("GET", f"/assets/{name}", partial(asset, name), Media(media)) for name, media in _ASSETS.items()]


def overview(sections: Sequence[Section], base: str = _HERE) -> Response:
    """Return the overview page of one recipe or of several. `base`: the relative path to the assets."""
    projects = [project for section in sections for project in section.projects]
    return _page("overview.html", base, projects, sections=sections, sparkline=sparkline)


class Pages:
    """The views of one recipe's pages. `prefix`: its secret path, if it has one."""

    def __init__(self, recipe: Recipe, api: ApiViews, looking: Looking, held_out: HeldOutViews, prefix: str) -> None:
        self._recipe = recipe
        self._api = api
        self._looking = looking
        self._held_out = held_out
        self._prefix = prefix

    def routes(self) -> list[Route]:
        """Return (path, methods, view) of each page."""
        return [
            Route("GET", "/", self.overview, PAGE),
            Route("GET", "/projects/<project>", self.project, PAGE),
            Route("GET", "/projects/<project>/try", self.try_it, PAGE),
            Route("GET", "/projects/<project>/compare", self.compare, PAGE, SomeVersions),
            Route("GET", "/projects/<project>/mistakes", self.mistakes, PAGE, Cell),
            Route("GET", "/projects/<project>/queue", self.queue, PAGE),
            Route("GET", "/projects/<project>/people", self.people, PAGE),
            Route("GET", "/projects/<project>/doctor", self.doctor, PAGE),
            *asset_routes(),
        ]

    def overview(self) -> Response:
        """Return the overview. Its links are relative, so that no page holds the secret path; its own URL must end with a
        slash.
        """
        if not request.path.endswith("/"):
            return redirect(f"{request.script_root}{request.path}/", Response=Response)  # type: ignore[return-value]  # werkzeug tells its own Response
        return overview([self.section(_HERE)])

    @property
    def _base(self) -> str:
        """The relative path from a page below the overview to the overview."""
        return "/".join([".."] * (request.path.removeprefix(self._prefix).count("/") - 1))

    def section(self, path: str) -> Section:
        """Return this recipe's section of the overview; it is served below `path`."""
        return Section(self._recipe, self._api.all_in_short(), path)

    def project(self, project: str) -> Response:
        """Return the page of one project: versions, labels, runs, and actions."""
        found = self._api.found(project)
        served = _served(found) or {}
        metrics = {name: _tables(judged) for name, judged in (served.get("metrics") or {}).items()}
        curve = {name: points for name, points in _learnt(found).items() if len(points) > 1}
        actions = self._looking.latest_actions(project)
        lines = self._api.lines(found["runs"][0].job) if found["runs"] else []
        return self._of_project(
            "project.html",
            found,
            metrics=metrics,
            curve=curve,
            expected=_expected(found, *curve.values()) if len(curve) == 1 else None,
            actions=actions,
            ceilings=served.get("ceilings") or {},
            lines=lines,
        )

    def try_it(self, project: str) -> Response:
        """Return the page to try predictions for a pasted text or a chosen image."""
        return self._of_project("try.html", self._api.found_in_short(project), fields=self._api.fields(project))

    def compare(self, project: str) -> Response:
        """Return the comparison of two versions on held-out tasks; by default the promoted one and the newest other."""
        found, numbers = self._api.found_in_short(project), self._api.version_numbers(project)
        others = [number for number in numbers if number != found["promoted"]]
        new, old = asked_version("new"), asked_version("old")
        if new is None and old is None and others and found["promoted"] is not None:
            new, old = sorted((max(others), found["promoted"]), reverse=True)
        compared = None
        if new is not None and old is not None and new != old:
            compared = self._held_out.compared(project, new, old)
        drawn = msgspec.to_builtins
        return self._of_project(
            "compare.html", found, numbers=numbers, new=new, old=old, compared=compared, drawn=drawn
        )

    def mistakes(self, project: str) -> Response:
        """Return the page of the held-out tasks in one cell of the confusion matrix."""
        found, cell = self._api.found_in_short(project), asked_cell()
        return self._of_project("mistakes.html", found, cell=cell, mistakes=self._held_out.mistaken(project, cell))

    def queue(self, project: str) -> Response:
        """Return the page of the tasks to look at."""
        return self._of_project(
            "queue.html", self._api.found_in_short(project), queue=self._looking.to_look_at(project)
        )

    def people(self, project: str) -> Response:
        """Return the page of annotators, their agreement and their corrections of predictions."""
        found = self._api.found_in_short(project)
        metrics = (_served(found) or {}).get("metrics") or {}
        people, corrections = self._api.agreement(project), self._api.corrections(project)
        return self._of_project("people.html", found, people=people, corrections=corrections, metrics=metrics)

    def doctor(self, project: str) -> Response:
        """Return the page of the current findings of `lsml doctor`."""
        return self._of_project("doctor.html", self._api.found_in_short(project), findings=self._api.findings(project))

    def _of_project(self, template: str, project: dict[str, Any], **more: Any) -> Response:
        here = f"{self._base}/projects/{quote(project['project'])}"
        return _page(template, self._base, [project], recipe=self._recipe, p=project, here=here, **more)


def _page(template: str, base: str, projects: Sequence[Mapping[str, Any]], **more: Any) -> Response:
    """Return a page; it reloads itself soon while a run is active."""
    runs = [run for project in projects for run in (*project["runs"], *project["publishings"], *project["reviews"])]
    html = render_template(
        template,
        base=base,
        version=__version__,
        active=any(run.job_status in _OPEN_RUNS for run in runs),
        least=LEAST_JUDGED,
        when=_when,
        about=about,
        **more,
    )
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": _POLICY})


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _served(project: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the served version of a project; or None."""
    return next((one for one in project["versions"] if one["version"] == project["promoted"]), None)


def sparkline(curve: Sequence[Mapping[str, Any]]) -> Sparkline | None:
    """Return the metric of the newest versions as a line; None for fewer than two."""
    shown = curve[-_SPARKS:]
    if len(shown) < 2:
        return None
    width, height, edge = 160, 36, 3
    step = (width - 2 * edge) / (len(shown) - 1)
    drawn = [
        (f"{edge + at * step:.1f}", f"{edge + (1 - min(1.0, max(0.0, point['value']))) * (height - 2 * edge):.1f}")
        for at, point in enumerate(shown)
    ]
    label = "Metric by version: " + ", ".join(f"v{point['version']} {point['value']:.3f}" for point in shown)
    return Sparkline(" ".join(map(",".join, drawn)), drawn[-1], label, width, height)


def _learnt(project: Mapping[str, Any]) -> dict[str, list[tuple[int, float, str]]]:
    """Return (training examples, metric, sentence) of every evaluated version, by control, the fewest examples first."""
    points: dict[str, list[tuple[int, float, str]]] = {}
    for version in sorted(project["versions"], key=lambda one: one["version"]):
        examples = sum(model["examples"] for model in (version["models"] or {}).values())
        for name, judged in (version["metrics"] or {}).items():
            if judged.get("value") is not None:
                text = f"v{version['version']}: {judged['metric']} {judged['value']:.3f} with {examples:,} examples"
                points.setdefault(name, []).append((examples, min(1.0, max(0.0, judged["value"])), text))
    return {name: sorted(found) for name, found in points.items()}


def _expected(project: Mapping[str, Any], points: Sequence[tuple[int, float, str]]) -> Expected | None:
    """Return the metric after the next annotations, as the outlook estimates it; None without an estimate."""
    outlook, newest = project["outlook"], max(project["versions"], key=lambda one: one["version"])
    if outlook["gain"] is None or not newest["tasks"]:
        return None
    examples, value, _ = points[-1]
    share = min(1.0, examples / newest["tasks"])  # the others are held out
    low, high = outlook["interval"]
    ends = (min(1.0, max(0.0, value + gain)) for gain in (low, outlook["gain"], high))
    return Expected(examples + MORE * share, *ends)


def _accepted(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return groups of answers by their score. `share`: of all answers, those with that score or a higher one, which a
    threshold there would keep; `right_above`: how many of these are right.
    """
    whole = sum(one["count"] for one in groups)
    rows: list[dict[str, Any]] = []
    count, right = 0, 0.0
    for one in sorted(groups, key=lambda one: one["score"], reverse=True):
        count, right = count + one["count"], right + one["count"] * one["right"]
        rows.append({**one, "share": count / whole, "right_above": right / count})
    return rows[::-1]


def _tables(judged: Metrics) -> dict[str, object]:
    """Return a control's metrics as tables: the figures of each label, and the confusion of the most frequent labels."""
    per_label = judged.get("per_label") or {}
    columns = list(dict.fromkeys(column for row in per_label.values() for column in row))
    confusion = judged.get("confusion") or {}
    often = sorted(confusion, key=lambda label: -sum(confusion[label].values()))[:_MOST_LABELS]
    shown = {label: confusion[label] for label in confusion if label in often}
    said = list(dict.fromkeys([*shown, *sorted({name for row in shown.values() for name in row} - shown.keys())]))
    return {
        "calibration": _accepted(judged.get("calibration") or []),
        "calibration_error": judged.get("calibration_error"),
        "per_label": per_label,
        "columns": columns,
        "confusion": shown if len(shown) > 1 else {},
        "said": said,
    }
