"""What Label Studio's editor sends when a person marks something in a video, and what it draws of our answer."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from lsml.binding import control_of
from lsml.labeling import parse_labeling_config
from lsml.labeling.view import Film, View
from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe
from lsml.values.coverage import boxes_at
from tests.end_to_end.test_editor_images import keep, uploaded
from tests.support.backend import RunningBackend, until
from tests.support.films import HEIGHT, WIDTH, along, film
from tests.support.label_studio import LEGACY_TOKEN

pytestmark = [pytest.mark.studio, pytest.mark.usefixtures("browser"), pytest.mark.timeout(300)]
RATE, FRAMES = 25.0, 50
WAY = along(20, 20, 1.6, 0.8, side=30)


def test_a_box_in_one_frame_becomes_a_track_once_its_label_is_chosen(studio, editor, tmp_path: Path):
    recipe = find_recipe("smart-tracking")
    access = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    with RunningBackend(recipe, tmp_path / "data", environment=access) as lsml:
        config = parse_labeling_config(load_recipe(recipe).labeling_config or "")
        project = studio.create_project("Tracking", config.xml)
        studio.add_backend(project, lsml.address, is_interactive=True)
        task = uploaded(studio, project, film(tmp_path / "film.webm", FRAMES, WAY, rate=RATE, codec="VP80"))
        editor.open(project, task, "video")
        editor.switch_on_auto_annotation()
        editor.record_prompts()
        x, y, wide, high = WAY(0)
        editor.draw_on_video((x / WIDTH, y / HEIGHT), ((x + wide) / WIDTH, (y + high) / HEIGHT))
        [drawn] = until("the box", editor.serialized)
        time.sleep(1)  # long enough for the editor to ask
        assert editor.prompts() == [], "drawing alone asks nobody"
        editor.draw_on_video(((x + wide / 2) / WIDTH, (y + high / 2) / HEIGHT))  # a click selects it
        editor.click_label("Object")
        [[sent]] = until("the box is sent", editor.prompts)
        assert (sent["type"], sent["id"], len(sent["value"]["sequence"])) == ("videorectangle", drawn["id"], 1)
        until("the track", lambda: len(editor.serialized()[0]["value"]["sequence"]) > 1, 30)
        keep(editor, "smart-tracking")
        [region] = editor.serialized()
        assert (region["id"], region["value"]["labels"]) == (drawn["id"], ["Object"])
        on = View(None, (WIDTH, HEIGHT), film=Film(RATE, FRAMES / RATE))
        box = next(tag for tag in config.controls if tag.name == "box")
        [track] = control_of(box, config).decode([region], on).values
        [found] = boxes_at(track, np.array([(FRAMES - 5) / RATE]))
        x, y, _, _ = WAY(FRAMES - 5)
        assert (found[0] * WIDTH, found[1] * HEIGHT) == pytest.approx((x, y), abs=4)
        assert "Traceback" not in lsml.output
