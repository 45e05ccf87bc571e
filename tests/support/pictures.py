"""The pictures of the documentation: `python -m tests.support.pictures [NAME...]` makes them anew, with a browser and a Label Studio.

Nothing compares them with what is there, for a screen never comes out the same twice: look at them before you keep them.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.conftest import PROJECT, PROJECT_KEY, REPOSITORY, TOPICS, event, write_recipe
from tests.support.backend import RunningBackend
from tests.support.browser import open_browser

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


PICTURES: dict[str, Callable[[Path], None]] = {"page": page}


def main(names: list[str]) -> None:
    """Makes the pictures of these names; without names, all."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as directory:
            PICTURES[name](Path(directory))


if __name__ == "__main__":
    main(sys.argv[1:])
