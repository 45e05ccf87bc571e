"""The pictures of the documentation: `python -m tests.support.pictures [NAME...]` makes them anew, with a browser and a Label Studio.

Nothing compares them with what is there, for a screen never comes out the same twice: look at them before you keep them.
"""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe
from tests.conftest import PROJECT, PROJECT_KEY, REPOSITORY, TOPICS, choice, event, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor, open_browser
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio
from tests.support.scenes import SCENES, predicted
from tests.support.sounds import scene as sound_scene
from tests.support.sounds import write_sound

FOLDER = REPOSITORY / "docs" / "pictures"
_COLOURS = 128  # enough for a page, and a third of the bytes
_HIGHEST = 1400  # of the editor, before it is cut to what it shows
_BELOW_TASK = 382  # pixels: its buttons, and the panel with its regions
_SELECT_FIRST = """
const annotation = window.Htx.annotationStore.selected;
annotation.selectArea(annotation.regions[0]);
"""
_END_OF_TASK = "return document.querySelector('.lsf-main-view__annotation').getBoundingClientRect().bottom"
# The editor from its tabs to the last region; without regions, to its buttons.
_EDITOR = """
const box = selector => document.querySelector(selector).getBoundingClientRect();
const rows = [...document.querySelectorAll('.lsf-tree .lsf-tree-treenode, .lsf-tree-treenode')].map(row => row.getBoundingClientRect().bottom);
const bar = box('.lsf-bottombar').bottom, editor = box('.lsf-editor');
const bottom = rows.length ? Math.min(editor.bottom, Math.max(...rows) + 12) : bar;
return [editor.left, editor.top, editor.right, bottom];
"""
REVIEWS = ("What a wonderful little lamp, I love it", "It broke after a week", "The parcel weighs two kilos")


def keep(driver: Any, name: str, part: tuple[float, ...] | None = None) -> None:
    """A screenshot of what the browser shows, or of a part of it (left, top, right, bottom), small enough for a repository."""
    with Image.open(io.BytesIO(driver.get_screenshot_as_png())) as image:
        image.crop(part).convert("RGB").quantize(_COLOURS).save(FOLDER / f"{name}.png", optimize=True)


def on_the_page(driver: Any, name: str, opened: Callable[[], None] = lambda: None) -> None:
    """Keep what the browser shows in both themes and two widths. `opened` brings the page to where it is to be seen."""
    for theme in ("light", "dark"):
        scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        for width, high, suffix in ((1000, 900, ""), (400, 800, "-narrow")):
            size = {"width": width, "height": high, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            opened()
            keep(driver, f"page-{name}{suffix}{'-dark' if theme == 'dark' else ''}")


def topics(directory: Path) -> None:
    """The overview and a project that learnt six times, of texts that say what they are about with one word of many."""
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
        with browsing() as driver:
            driver.get(backend.address)
            on_the_page(driver, "overview")
            driver.get(f"{backend.address}/projects/{PROJECT_KEY}")
            on_the_page(driver, "project")


def names(directory: Path) -> None:
    """Two versions of names in texts beside each other, the first of which never saw a name in small letters."""
    recipe = write_recipe(
        directory,
        "tags: {Labels: ner-crf}\ntraining: {every: 1000, quiet: 10m, promote: always, holdout: 0.3}\n",
        config=load_recipe(find_recipe("entities")).labeling_config,
    )
    config = load_recipe(recipe).labeling_config
    known = examples("entities")
    with RunningBackend(recipe, directory / "data") as backend:
        for count in (18, len(known)):
            project = {**PROJECT, "title": "entities", "label_config": config}
            for one in known[:count]:
                told = event(one["id"], "", "Bug")
                told["task"]["data"] = one["data"]
                told["annotation"]["result"] = one["annotations"][0]["result"]
                backend.post("/webhook", {**told, "project": project})
            backend.post("/webhook", {"action": "START_TRAINING", "project": project})
            backend.settled(PROJECT_KEY)
        with browsing() as driver:
            driver.get(f"{backend.address}/projects/{PROJECT_KEY}/compare")
            open_all = "for (const at of document.querySelectorAll('details')) at.open = true"
            on_the_page(driver, "compare", lambda: driver.execute_script(open_all))


def sounds(directory: Path) -> None:
    """A recording that was tried, with its regions on a line."""
    recipe = find_recipe("sound-events")
    recordings = directory / "recordings.json"
    recordings.write_text(json.dumps([annotated_sound(directory, seed) for seed in range(12)]))
    train = [sys.executable, "-m", "lsml", "train", recipe, recordings, "--data-dir", directory / "data"]
    subprocess.run(train, check=True)
    with RunningBackend(recipe, directory / "data") as backend, browsing() as driver:
        driver.get(f"{backend.address}/projects/local/try")
        tried = write_sound(directory / "tried.wav", sound_scene(91)[0])
        driver.find_element("css selector", "input[type=file]").send_keys(str(tried))
        driver.find_element("css selector", "#try button").click()
        bars = "return document.querySelectorAll('.timeline button').length"
        until("its regions are there", lambda: driver.execute_script(bars))
        on_the_page(driver, "try", lambda: driver.execute_script("window.scrollTo(0, 0)"))


def annotated_sound(directory: Path, seed: int) -> dict[str, Any]:
    """A task of Label Studio: a drawn recording with its sounds marked."""
    called = {"Hum": "Engine", "Noise": "Door", "Whistle": "Bark"}
    samples, marked = sound_scene(seed)
    regions = [
        {"id": f"{seed}-{number}", "from_name": "event", "to_name": "audio", "type": "labels",
         "value": {"start": one.start, "end": one.end, "labels": [called[one.label]]}}
        for number, one in enumerate(marked)
    ]  # fmt: skip
    path = write_sound(directory / f"recording-{seed}.wav", samples)
    return {"id": seed + 1, "data": {"audio": str(path)}, "annotations": [{"id": seed + 1, "result": regions}]}


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser whose pictures have no scroll bars."""
    driver = open_browser()
    try:
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        yield driver
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
        self._access = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}

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

    def queue(self) -> None:
        """Keep the page of what to look at, where four of the annotations have a wrong label."""
        known = tickets(124)
        wrong = [(text, "Bug" if label != "Bug" else "Question") for text, label in known[:4]]
        recipe = write_recipe(self.directory, "training: {every: 1000}\n")
        with RunningBackend(recipe, self.directory / "queue", environment=self._access) as lsml, browsing() as driver:
            project = self.studio.create_project("tickets", TOPICS)
            backend = self.studio.add_backend(project, lsml.address)
            annotated = [
                {"data": {"text": text}, "annotations": [{"result": choice(label), "ground_truth": False}]}
                for text, label in wrong + known[4:]
            ]
            self.studio.import_tasks(project, annotated)
            waiting = self.studio.import_tasks(project, [{"text": text} for text, _ in tickets(12, seed=5)])
            self.studio.start_training(backend)
            key = lsml.settled(project)["project"]
            until("it is published", lambda: lsml.project(key)["published"]["predictions"] >= len(waiting))
            lsml.post(f"/api/projects/{key}/review", {})
            until("it is searched", lambda: lsml.get(f"/api/projects/{key}/queue")["reviewed_at"])
            driver.get(f"{lsml.address}/projects/{key}/queue")
            on_the_page(driver, "queue")

    def _has_mask(self) -> bool:
        return any(region["type"] == "brushlabels" for region in self.editor.serialized())

    def _running(self, name: str) -> RunningBackend:
        return RunningBackend(find_recipe(name), self.directory / name, environment=self._access)

    def _project(self, name: str, lsml: RunningBackend, **fields: Any) -> tuple[int, int]:
        config = load_recipe(find_recipe(name)).labeling_config
        assert config is not None
        project = self.studio.create_project(name, config)
        return project, self.studio.add_backend(project, lsml.address, **fields)


def gallery(directory: Path, names: Iterable[str] = SCENES) -> None:
    """What recipes of the gallery look like with a prediction; of those that the tutorials show `studio` takes care."""
    with RealLabelStudio() as running, Editor(running) as editor:
        for name in names:
            in_gallery(running, editor, name)


def in_gallery(running: RealLabelStudio, editor: Editor, name: str) -> None:
    """Keep what one recipe looks like."""
    folder = running.files / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    config = load_recipe(find_recipe(name)).labeling_config
    assert config is not None
    project = running.create_project(name, config)
    running.serve_folder(project, folder)
    data, regions = predicted(name, folder, lambda file: f"/data/local-files/?d=gallery/{file}")
    prediction = {"model_version": f"{name}-v1", "result": regions}
    [task] = running.import_tasks(project, [{"data": data, "predictions": [prediction]}])
    resize(editor.driver, _HIGHEST)
    editor.open(project, task, next(iter(parse_labeling_config(config).objects)))
    editor_alone(editor.driver, f"gallery-{name}", SCENES[name].selected)


def resize(driver: Any, height: int) -> None:
    """Make the browser's page as high, and as wide that the editor has its list of regions below the task."""
    size = {"width": 1200, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    time.sleep(1)  # the editor lays itself out anew


def editor_alone(driver: Any, name: str, selected: bool) -> None:
    """Keep the editor without the empty space under the task and under the regions; with a region `selected`, its first."""
    if selected:
        driver.execute_script(_SELECT_FIRST)
    time.sleep(2)  # sounds and videos are drawn late
    resize(driver, round(driver.execute_script(_END_OF_TASK)) + _BELOW_TASK)
    keep(driver, name, driver.execute_script(_EDITOR))


def examples(name: str) -> list[dict[str, Any]]:
    """The annotated tasks that the repository has for a recipe."""
    path = REPOSITORY / "recipes" / "examples" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def studio(directory: Path) -> None:
    """What recipes of the gallery look like in a Label Studio."""
    news = ("Mara Okafor of Norvik Steel spoke in Lisbon on Friday.", "Jonas Lindholm left Ghent for Milan.")
    code = ("Written in Python and C++ since 2024-01-05; the Rust port came on 3 March 2025.",)
    with RealLabelStudio() as running, Editor(running) as editor:
        editor.driver.set_window_size(1200, 800)
        shown = Studio(running, editor, directory)
        shown.queue()
        shown.smart("smart-segmentation")
        shown.learnt("sentiment", examples("sentiment"), [{"data": {"text": text}} for text in REVIEWS], "text")
        shown.learnt("entities", examples("entities"), [{"data": {"text": text}} for text in news], "text")
        shown.learnt("keywords", [], [{"data": {"text": text}} for text in code], "text")


PICTURES: dict[str, Callable[[Path], None]] = {"topics": topics, "names": names, "sounds": sounds, "studio": studio,
                                               "gallery": gallery}  # fmt: skip


def main(names: list[str]) -> None:
    """Makes the pictures of these names, and `gallery-NAME` of one recipe; without names, all."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as directory:
            if name in PICTURES:
                PICTURES[name](Path(directory))
            else:
                gallery(Path(directory), [name.removeprefix("gallery-")])


if __name__ == "__main__":
    main(sys.argv[1:])
