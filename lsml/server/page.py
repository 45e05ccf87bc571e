"""The page at `/` for people: each recipe, its projects, what each serves and how it learns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Response, render_template_string

from lsml import __version__
from lsml.learning.decide import LEAST_JUDGED
from lsml.recipe import Recipe

_TEMPLATE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
_OPEN_RUNS = ("queued", "started")


@dataclass(frozen=True)
class Section:
    """One recipe on the page. `projects`: as `/api/projects` has them; `path`: where it is served, "" where it is alone."""

    recipe: Recipe
    projects: list[dict[str, Any]]
    path: str = ""


def page(sections: Sequence[Section]) -> Response:
    """The page of one recipe or of several. It loads itself again while something runs."""
    projects = [project for section in sections for project in section.projects]
    runs = [run for project in projects for run in (*project["runs"], *project["publishings"])]
    html = render_template_string(
        _TEMPLATE,
        sections=sections,
        version=__version__,
        active=any(run["job_status"] in _OPEN_RUNS for run in runs),
        least=LEAST_JUDGED,
        when=_when,
    )
    return Response(
        html, mimetype="text/html", headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    )


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
