"""The pages in a real browser: each button, what changes by itself, and no violation that axe-core finds."""

from __future__ import annotations

import base64
import io
import os
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, Backend, event, tickets, write_recipe
from tests.learning.test_judge import CARS, HELD_OUT, LEARNT, boxes, picture
from tests.learning.test_side_by_side import annotate
from tests.support.backend import RunningBackend, until
from tests.support.browser import open_browser, require_browser, visit
from tests.support.plugins import SeenBoxes, register

pytestmark = pytest.mark.slow
ALWAYS_BOXES = "tags: {RectangleLabels: seen-boxes}\ntraining: {every: 1000, quiet: 0s, promote: always}\n"
LEARNING = "training: {every: 1000, quiet: 0s, promote: always}\n"
TITLE = f"Tickets {'W' * 120}"  # nothing in it can be broken
PAGES = {"overview": "/", "project": f"/projects/{PROJECT_KEY}", "try": f"/projects/{PROJECT_KEY}/try",
         "compare": f"/projects/{PROJECT_KEY}/compare", "people": f"/projects/{PROJECT_KEY}/people",
         "mistakes": f"/projects/{PROJECT_KEY}/mistakes?control=topic&people=Bug&model=Bug", "queue": f"/projects/{PROJECT_KEY}/queue",
          "doctor": f"/projects/{PROJECT_KEY}/doctor"}  # fmt: skip

# The elements beyond the right edge, where the page scrolls sideways.
TOO_WIDE = """
    if (document.documentElement.scrollWidth <= window.innerWidth) return [];
    return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > window.innerWidth)
        .map(e => e.outerHTML.slice(0, 200)).concat(["a width of " + window.innerWidth]);
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBackend]:
    """`lsml run` whose project learnt twice."""
    require_browser()
    directory = tmp_path_factory.mktemp("pages")
    with RunningBackend(write_recipe(directory, LEARNING), directory / "data") as backend:
        for batch in (40, 80):
            learn(backend, batch)
        yield backend


@pytest.fixture(scope="module")
def browser(running: RunningBackend) -> Iterator[Any]:
    driver = open_browser()
    yield driver
    driver.quit()


def learn(backend: RunningBackend, count: int) -> None:
    for id, (text, label) in enumerate(tickets(count), 1):
        told = event(id, text, label, completed_by=1 + id % 3)
        backend.post("/webhook", {**told, "project": {**PROJECT, "title": TITLE, "label_config": TOPICS}})
    backend.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})
    backend.settled(PROJECT_KEY)


def text_of(browser: Any, selector: str = "main") -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def click(browser: Any, name: str) -> None:
    """Press the button of that name; a question is answered with yes."""
    browser.execute_script(
        "window.confirm = () => true; [...document.querySelectorAll('button')].find(b => b.innerText === arguments[0]).click()",
        name,
    )


@pytest.mark.parametrize("width", [1100, 420])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_what_keeps_people_out(
    running: RunningBackend, browser: Any, name: str, theme: str, width: int
) -> None:
    from axe_core_python.selenium import Axe

    browser.set_window_size(width, 1000)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    visit(browser, running.address + PAGES[name])
    if name == "try":
        ask(browser, "refund my invoice")
    if folder := os.environ.get("LSML_TEST_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / f"page-{name}-{theme}-{width}.png"))
    assert browser.execute_script(TOO_WIDE) == [], "no sideways scroll"
    found = Axe().run(browser)["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert browser.get_log("browser") == []


def ask(browser: Any, text: str) -> None:
    from selenium.webdriver.common.by import By

    browser.find_element(By.CSS_SELECTOR, "[data-field=text]").send_keys(text)
    click(browser, "Predict")
    until("it is shown", lambda: "Score" in text_of(browser, "#shown"))


def test_what_is_tried_is_shown_with_its_score_and_its_json(running: RunningBackend, browser: Any) -> None:
    visit(browser, running.address + PAGES["try"])
    ask(browser, "refund my invoice")
    shown = text_of(browser, "#shown")
    assert "Billing" in shown
    assert "by triage-v2-" in shown
    assert "Score of each label of topic" in shown
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#shown meter')].map((one) => [one.ariaLabel, one.value])"
    )
    assert {label for label, _ in rows} == {"Billing", "Bug", "Question"} and rows[0][0] == "Billing"
    assert sum(score for _, score in rows) == pytest.approx(1, abs=0.01)
    visit(browser, running.address + PAGES["try"])
    browser.execute_script("document.getElementById('task').value = '{\"data\": {}}'")
    click(browser, "Predict")
    until("it says why", lambda: "No prediction" in text_of(browser, "#shown"))


def test_a_recording_is_played_from_the_region_that_is_pressed(running: RunningBackend, browser: Any) -> None:
    visit(browser, running.address + PAGES["try"])
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 4))
    answer = {
        "results": [{
            "model_version": "sounds-v1", "score": 0.5,
            "result": [{"from_name": "label", "type": "labels", "value": {"start": 1, "end": 3.5, "labels": ["Dog"]}, "score": 0.5}],
        }]
    }  # fmt: skip
    source = "data:audio/wav;base64," + base64.b64encode(sound.getvalue()).decode()
    browser.execute_script("show({data: {audio: arguments[0]}}, arguments[1], 1)", source, answer)
    bar = "const bar = document.querySelector('.timeline button'); return bar && "
    until("the region is drawn", lambda: browser.execute_script(bar + "bar.innerText") == "Dog")
    assert browser.execute_script(bar + "[bar.style.left, bar.style.width]") == ["25%", "62.5%"]
    assert "Dog, 1.00 to 3.50 s" in text_of(browser, "#shown table")
    browser.find_element("css selector", ".timeline button").click()
    until("it plays", lambda: browser.execute_script("return document.querySelector('audio').currentTime") >= 1)
    assert browser.get_log("browser") == []


def test_each_label_of_a_text_has_a_colour_of_its_own(running: RunningBackend, browser: Any) -> None:
    from axe_core_python.selenium import Axe

    visit(browser, running.address + PAGES["try"])
    spans = [(0, 4, "PER"), (14, 20, "LOC"), (25, 29, "PER")]
    regions = [
        {"from_name": "who", "type": "labels", "value": {"start": start, "end": end, "text": "", "labels": [label]}}
        for start, end, label in spans
    ]
    answer = {"results": [{"model_version": "v1", "score": 0.5, "result": regions}]}
    browser.execute_script("show({data: {text: 'Mara spoke in Lisbon and Jona'}}, arguments[0], 1)", answer)
    colours = browser.execute_script(
        "return [...document.querySelectorAll('mark')].map((mark) => mark.style.background)"
    )
    assert len(colours) == 3
    assert colours[0] == colours[2] != colours[1]
    for theme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        )
        assert Axe().run(browser)["violations"] == [], "the colours have enough contrast"
    assert browser.get_log("browser") == []


def test_a_version_is_served_and_rolled_back_by_a_button(running: RunningBackend, browser: Any) -> None:
    visit(browser, running.address + PAGES["project"])
    click(browser, "Roll back")
    until("v1 is served", lambda: running.project(PROJECT_KEY)["promoted"] == 1)
    until("the page says so without a click", lambda: "v1 (served)" in text_of(browser))
    click(browser, "Serve")
    until("v2 is served", lambda: running.project(PROJECT_KEY)["promoted"] == 2)


def test_a_training_is_started_by_a_button_and_seen_to_its_end(running: RunningBackend, browser: Any) -> None:
    before = len(running.project(PROJECT_KEY)["runs"])
    visit(browser, running.address + PAGES["project"])
    click(browser, "Train now")
    until("a run is there", lambda: len(running.project(PROJECT_KEY)["runs"]) == before + 1)
    running.settled(PROJECT_KEY)
    until("the page shows it", lambda: text_of(browser).count("finished") > before)
    click(browser, "Publish now")
    until("it says why not", lambda: "Label Studio's address and token are not known" in text_of(browser, "#said"))


def test_new_annotations_are_seen_on_the_overview_by_themselves(running: RunningBackend, browser: Any) -> None:
    visit(browser, running.address + PAGES["overview"])
    running.post("/webhook", {**event(999, "the invoice again", "Billing")})
    until("it is counted", lambda: "1 changed since the last run" in text_of(browser))


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a project whose second version finds a box that its first one does not."""
    from werkzeug.serving import make_server

    register(monkeypatch, SeenBoxes)
    backend = Backend(write_recipe(tmp_path, ALWAYS_BOXES, config=CARS), tmp_path / "data")
    held_out = {id: ({"image": picture(id)}, boxes("Car", "Car")) for id in HELD_OUT}
    annotate(backend, CARS, {id: ({"image": picture(id)}, boxes("Car")) for id in LEARNT} | held_out)
    annotate(backend, CARS, {id: ({"image": picture(id)}, boxes("Car", "Car")) for id in LEARNT}, at=1)
    server = make_server("127.0.0.1", 0, backend.app, threaded=True)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(server.serve_forever)
        yield f"http://127.0.0.1:{server.server_port}/projects/{PROJECT_KEY}"
        server.shutdown()
    backend.store.close()


def test_what_people_and_two_versions_marked_is_drawn_over_the_picture(drawn: str, browser: Any) -> None:
    browser.get_log("browser")  # what other tests were refused
    visit(browser, f"{drawn}/compare")
    browser.execute_script("document.querySelector('details').open = true")
    count = "return document.querySelectorAll('.picture polygon.' + arguments[0]).length"
    until("it is drawn", lambda: browser.execute_script(count, "people") == 2)
    assert [browser.execute_script(count, side) for side in ("new", "old")] == [2, 1]
    loaded = "return document.querySelector('.picture img').naturalWidth"
    until("the picture is there", lambda: browser.execute_script(loaded) == 40)
    assert browser.get_log("browser") == []
