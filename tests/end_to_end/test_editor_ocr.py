"""What `ocr` reads, in Label Studio's own editor and a real browser: pages that were read, and rectangles that a person draws."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor
from tests.support.label_studio import LEGACY_TOKEN
from tests.support.pages import INVOICE, SIZE, Written, page_file

pytest.importorskip("rapidocr", reason='it takes pip install "lsml[ocr]"')
pytestmark = [pytest.mark.studio, pytest.mark.models, pytest.mark.usefixtures("browser"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def reading(studio, tmp_path_factory) -> Iterator[tuple[RunningBackend, int]]:
    """lsml with the gallery's recipe, and a project that asks it."""
    folder = tmp_path_factory.mktemp("ocr")
    access = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    with RunningBackend(find_recipe("ocr"), folder / "data", environment=access) as lsml:
        project = studio.create_project("Reading", load_recipe(find_recipe("ocr")).labeling_config)
        studio.add_backend(project, lsml.address, is_interactive=True)
        yield lsml, project


def opened(studio, editor: Editor, project: int, folder: Path) -> None:
    """Open a page in the editor that was just uploaded, and read."""
    before = {task["id"] for task in studio.tasks(project)}
    studio.upload(project, "invoice.png", page_file(folder / "invoice.png").read_bytes())
    [task] = {task["id"] for task in studio.tasks(project)} - before
    until("the page is read", lambda: studio.predictions(task), 60)
    editor.open(project, task, "image")


def keep(editor: Editor, name: str) -> None:
    """A screenshot to look at, where LSML_TEST_SCREENSHOTS names a folder."""
    if folder := os.environ.get("LSML_TEST_SCREENSHOTS"):
        editor.picture(Path(folder) / f"{name}.png")


def draw_around(editor: Editor, line: Written, wide: int) -> None:
    editor.take("label", "rectangle-tool")
    editor.draw(
        (line.x / SIZE[0] - 0.01, line.y / SIZE[1] - 0.02), ((line.x + wide) / SIZE[0], (line.y + 40) / SIZE[1])
    )


def texts(editor: Editor) -> list[tuple[str, str]]:
    """(id of its region, text) of every text that the editor holds."""
    return [(one["id"], *one["value"]["text"]) for one in editor.serialized() if one["type"] == "textarea"]


def test_lines_that_were_read_are_there_and_a_rectangle_that_a_person_draws_gets_the_text_in_it(
    studio, editor, reading, tmp_path
):
    lsml, project = reading
    opened(studio, editor, project, tmp_path)
    before = texts(editor)
    assert [text for _, text in before] == [line.text for line in INVOICE]
    editor.switch_on_auto_annotation()
    for count, (line, wide) in enumerate(zip(INVOICE[:2], (300, 270), strict=True), 4):
        draw_around(editor, line, wide)
        until("the text", lambda count=count: len(texts(editor)) == count, 30)
    keep(editor, "ocr-drawn")
    after = texts(editor)
    assert after[:3] == before  # what was read before is as it was
    assert [text for _, text in after[3:]] == [line.text for line in INVOICE[:2]]
    drawn = [region["id"] for region in editor.serialized() if region["type"] == "rectangle"]
    assert drawn == [id for id, _ in after] and len(set(drawn)) == 5
    assert "Traceback" not in lsml.output
