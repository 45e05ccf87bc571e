"""The pictures of the documentation: `python -m tests.support.pictures [NAME...]` makes them anew, with a browser and a Label Studio.

Nothing compares them with what is there, for a screen never comes out the same twice: look at them before you keep them.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe
from tests.conftest import PROJECT, PROJECT_KEY, REPOSITORY, TOPICS, event, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor, open_browser
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

FOLDER = REPOSITORY / "docs" / "pictures"
_COLOURS = 128  # enough for a page, and a third of the bytes


def keep(driver: Any, name: str) -> None:
    """A screenshot of what the browser shows, small enough for a repository."""
    path = FOLDER / f"{name}.png"
    driver.save_screenshot(str(path))
    with Image.open(path) as image:
        image.convert("RGB").quantize(_COLOURS).save(path, optimize=True)


def page(directory: Path) -> None:
    """The page of a project that learnt six times, of texts that say what they are about with one word of many."""
    draw = random.Random(3)
    recipe = write_recipe(directory, "training: {every: 100, quiet: 10m, holdout: 0.4}\n")
    made_up = ["".join(draw.choices("abcdefghijklmnoprstuvwz", k=5)) for _ in range(260)]
    about = {"Billing": made_up[:70], "Bug": made_up[70:140], "Question": made_up[140:210]}
    others = made_up[210:]
    with RunningBackend(recipe, directory / "data") as backend:
        known = 0
        for count in (40, 80, 150, 250, 400, 600):
            for id in range(known + 1, count + 1):
                label = draw.choice(list(about))
                words = [draw.choice(about[label]), *draw.choices(others, k=5)]
                told = event(id, " ".join(words), label, completed_by=1 + id % 3)
                backend.post("/webhook", {**told, "project": {**PROJECT, "label_config": TOPICS}})
            known = count
            backend.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})
            backend.settled(PROJECT_KEY)
        driver = open_browser()
        try:
            driver.set_window_size(1000, 1000)
            driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            driver.get(f"{backend.address}/projects/{PROJECT_KEY}")
            keep(driver, "page")
        finally:
            driver.quit()


def scene(path: Path) -> Path:
    """A drawn picture: two fruits on a table."""
    image = Image.new("RGB", (640, 420), (222, 214, 200))
    pen = ImageDraw.Draw(image)
    pen.ellipse((90, 120, 300, 330), fill=(105, 160, 70))
    pen.ellipse((360, 180, 560, 340), fill=(230, 190, 60))
    pen.line((195, 125, 215, 80), fill=(90, 60, 30), width=10)
    image.save(path)
    return path


class Studio:
    """A Label Studio, its editor, and a recipe of the gallery that a project asks."""

    def __init__(self, studio: RealLabelStudio, editor: Editor, directory: Path) -> None:
        self.studio, self.editor, self.directory = studio, editor, directory

    def learnt(self, name: str, annotated: list[dict[str, Any]], shown: list[dict[str, Any]], tag: str) -> None:
        """Keep what the recipe says of the first of `shown` after it learnt."""
        with self._running(name) as lsml:
            project, backend = self._project(name, lsml)
            if annotated:
                self.studio.import_tasks(
                    project, [{key: one[key] for key in ("data", "annotations")} for one in annotated]
                )
            tasks = self.studio.import_tasks(project, shown)
            if annotated:
                self.studio.start_training(backend)
                lsml.settled(project)
            self.studio.retrieve_predictions(project, tasks)
            self.editor.open(project, tasks[0], tag)
            keep(self.editor.driver, f"gallery-{name}")

    def smart(self, name: str) -> None:
        """Keep what comes back for a box that a person draws with the smart tool."""
        with self._running(name) as lsml:
            project, _ = self._project(name, lsml, is_interactive=True)
            [task] = self.studio.upload(project, "fruit.png", scene(self.directory / "fruit.png").read_bytes())
            self.editor.open(project, task["id"], "image")
            self.editor.switch_on_auto_annotation()
            self.editor.take("box", "rectangle-tool")
            self.editor.draw((0.11, 0.22), (0.5, 0.84))
            until("a mask is there", self._has_mask, 30)
            time.sleep(1)  # the editor draws it in a later tick
            keep(self.editor.driver, f"gallery-{name}")

    def _has_mask(self) -> bool:
        return any(region["type"] == "brushlabels" for region in self.editor.serialized())

    def _running(self, name: str) -> RunningBackend:
        access = {"LABEL_STUDIO_URL": self.studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
        return RunningBackend(find_recipe(name), self.directory / name, environment=access)

    def _project(self, name: str, lsml: RunningBackend, **fields: Any) -> tuple[int, int]:
        config = load_recipe(find_recipe(name)).labeling_config
        assert config is not None
        project = self.studio.create_project(name, config)
        return project, self.studio.add_backend(project, lsml.address, **fields)


def examples(name: str) -> list[dict[str, Any]]:
    """The annotated tasks that the repository has for a recipe."""
    path = REPOSITORY / "recipes" / "examples" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def studio(directory: Path) -> None:
    """What recipes of the gallery look like in a Label Studio."""
    reviews = ("What a wonderful little lamp, I love it", "It broke after a week", "The parcel weighs two kilos")
    news = ("Mara Okafor of Norvik Steel spoke in Lisbon on Friday.", "Jonas Lindholm left Ghent for Milan.")
    code = ("Written in Python and C++ since 2024-01-05; the Rust port came on 3 March 2025.",)
    with RealLabelStudio() as running, Editor(running) as editor:
        editor.driver.set_window_size(1200, 800)
        shown = Studio(running, editor, directory)
        shown.smart("smart-segmentation")
        shown.learnt("sentiment", examples("sentiment"), [{"data": {"text": text}} for text in reviews], "text")
        shown.learnt("entities", examples("entities"), [{"data": {"text": text}} for text in news], "text")
        shown.learnt("keywords", [], [{"data": {"text": text}} for text in code], "text")


PICTURES: dict[str, Callable[[Path], None]] = {"page": page, "studio": studio}


def main(names: list[str]) -> None:
    """Makes the pictures of these names; without names, all."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as directory:
            PICTURES[name](Path(directory))


if __name__ == "__main__":
    main(sys.argv[1:])
