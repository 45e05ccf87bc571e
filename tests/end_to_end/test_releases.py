"""The whole loop with older releases of Label Studio: connected, learnt, published twice, examined, and taken back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.commands import lsml, said
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio
from tests.support.studio_venv import OLDER

pytestmark = [pytest.mark.studio, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("release", OLDER)
def test_an_older_release_is_connected_learnt_and_published(release: str, tmp_path: Path) -> None:
    """As 1.23.2: no difference was found in what lsml uses of these releases."""
    recipe = write_recipe(tmp_path, "training: {every: 10, quiet: 1s, promote: always}\n")
    with RealLabelStudio(release=release) as studio:
        assert studio.call("GET", "/api/version/")["release"] == release
        known = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
        with RunningBackend(recipe, tmp_path / "data", environment=known) as backend:

            def run(verb: str, *arguments: object) -> str:
                where = ("--data-dir", backend.data) if verb != "connect" else ()
                return said(lsml(verb, recipe, *arguments, *where, cwd=tmp_path, environment=known))

            project = studio.create_project("Tickets", TOPICS)
            truth = tickets(60)
            tasks = studio.import_tasks(project, [{"text": text} for text, _ in truth])
            run("connect", "--project", project, "--backend-url", backend.address)
            run("connect", "--project", project, "--backend-url", backend.address)
            assert (
                len(studio.webhooks(project)) == len(studio.call("GET", "/api/ml/", params={"project": project})) == 1
            )

            for version, (first, last) in enumerate([(0, 12), (12, 24)], 1):
                for task, (_, label) in zip(tasks[first:last], truth[first:last], strict=True):
                    studio.annotate(task, choice(label))
                until(
                    f"v{version} is on every open task", lambda v=version, n=last: _held(studio, project) == {v: 60 - n}
                )
            served = studio.tasks(project)[-1]["predictions"][0]["model_version"]
            until("the project shows that version", lambda: studio.project(project)["model_version"] == served)
            assert "0 failed" in run("doctor", "--project", project, "--port", backend.port)
            assert "36 predictions" in run("clear", "--project", project, "--yes")
            assert _held(studio, project) == {}


def _held(studio: RealLabelStudio, project: int) -> dict[int, int]:
    """How many open tasks hold exactly one prediction, by the number of its version; others make it differ."""
    held: Counter[int] = Counter()
    for task in studio.tasks(project):
        if task["is_labeled"]:
            continue
        versions = [int(one["model_version"].split("-v")[1].split("-")[0]) for one in task["predictions"]]
        held[versions[0] if len(versions) == 1 else -len(versions)] += 1
    held.pop(0, None)
    return dict(held)
