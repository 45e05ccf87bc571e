"""A real browser, without a window, signed in to a real Label Studio: what its editor draws, and what a person selects.

It takes Chromium and its driver, as Debian's `chromium` and `chromium-driver` install them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.backend import until
from tests.support.label_studio import PASSWORD, USERNAME, RealLabelStudio

# What the editor holds of the selected annotation, and what it drew: the text in each region's spans.
_REGIONS = """
const annotation = window.Htx.annotationStore.selected;
return annotation.regions.map(region => ({
  text: region.text,
  drawn: (region._spans || []).map(span => span.textContent).join(""),
  boxes: (region._spans || []).length,
  global: region.globalOffsets ? [region.globalOffsets.start, region.globalOffsets.end] : null,
}));
"""
_READY = """
const store = window.Htx && window.Htx.annotationStore;
const annotation = store && store.selected;
if (!annotation || !annotation.names) return false;
const tag = annotation.names.get(arguments[0]);
return Boolean(tag && {paragraphs: tag._value, image: tag.imageIsLoaded}[tag.type] || tag && tag.type !== "image" && tag.isReady);
"""
# Selects the first place of a text in an element or a frame, as a drag of the mouse does, and lets go of the button.
_SELECT = """
const [selector, text] = arguments;
const tag = window.Htx.annotationStore.selected.names.get(selector);
const element = tag ? tag.mountNodeRef.current : document.querySelector(selector);
const root = element.contentDocument ? element.contentDocument.body : element;
const view = element.contentWindow || window;
const walker = root.ownerDocument.createTreeWalker(root, NodeFilter.SHOW_TEXT);
const nodes = [];
while (walker.nextNode()) nodes.push(walker.currentNode);
const from = nodes.map(node => node.data).join("").indexOf(text), to = from + text.length;
if (from < 0) return "";
const range = root.ownerDocument.createRange();
let seen = 0, last = null;
for (const node of nodes) {
  const next = seen + node.length;
  if (from >= seen && from < next) range.setStart(node, from - seen);
  if (to > seen && to <= next) { range.setEnd(node, to - seen); last = node.parentElement; }
  seen = next;
}
const selection = view.getSelection();
selection.removeAllRanges();
selection.addRange(range);
const selected = selection.toString();
for (const kind of ["mousedown", "mouseup"])
  last.dispatchEvent(new view.MouseEvent(kind, {bubbles: true, cancelable: true, view: view}));
return selected;
"""
_CHOOSE = """
const annotation = window.Htx.annotationStore.selected;
annotation.unselectAll();
for (const tag of annotation.names.values()) {
  if (tag.isLabeling) tag.unselectAll();
  for (const child of tag.children || [])
    if (child.value === arguments[0] && !child.selected) child.toggleSelected();
}
"""
# The label of one tag alone, and its tool among those that ask a model, which come last; without a name, the label's own.
_TAKE = """
const annotation = window.Htx.annotationStore.selected;
annotation.unselectAll();
for (const tag of annotation.names.values()) if (tag.isLabeling) tag.unselectAll();
annotation.names.get(arguments[0]).children[0].toggleSelected();
if (!arguments[1]) return;
const buttons = document.querySelectorAll(`button[aria-label=${arguments[1]}]`);
buttons[buttons.length - 1].click();
"""
_TAKEN = """
const tools = window.ToolManager.allInstances().flatMap(manager => manager.allTools());
return tools.find(tool => tool.selected)?.fullName ?? "";
"""

# Where the image is seen in the window, and how large, turned and enlarged as it is: x, y, width, height.
_PLACE = """
const annotation = window.Htx.annotationStore.selected;
const tag = [...annotation.names.values()].find(tag => tag.type === "image");
const place = tag.stageRef.container().getBoundingClientRect();
const sides = [tag.stageWidth * tag.zoomScale, tag.stageHeight * tag.zoomScale];
const [width, height] = tag.rotation % 180 ? sides.reverse() : sides;
return [place.x + tag.zoomingPositionX, place.y + tag.zoomingPositionY, width, height];
"""
# Where the shown frame of a video is seen in the window, in the middle of its canvas: x, y, width, height.
_FRAME = """
const canvas = document.querySelector(".konvajs-content").getBoundingClientRect();
const annotation = window.Htx.annotationStore.selected;
const video = [...annotation.names.values()].find(tag => tag.type === "video").ref.current;
const [width, height] = ["width", "height"].map(side => video.videoDimensions[side] * video.zoom);
return [canvas.x + (canvas.width - width) / 2, canvas.y + (canvas.height - height) / 2, width, height];
"""
# Keeps the regions that the editor sends when it asks a model.
_RECORD = """
const ask = window.fetch;
window.sentPrompts = [];
window.fetch = (address, options) => {
  if (String(address.url || address).includes("interactive-annotating"))
    new Request(address, options).clone().json().then(body => window.sentPrompts.push(body.context.result));
  return ask(address, options);
};
"""
_TURN = """
const annotation = window.Htx.annotationStore.selected;
[...annotation.names.values()].find(tag => tag.type === "image").rotate(arguments[0]);
"""


def require_browser() -> None:
    """Skip, with a sentence, where there is no browser; fail where LSML_TEST_BROWSER says that there must be one."""
    if find_browser() is None:
        sentence = "there is no Chromium here with its driver (apt-get install chromium chromium-driver)"
        assert not os.environ.get("LSML_TEST_BROWSER"), sentence
        pytest.skip(sentence)


def find_browser() -> tuple[str, str] | None:
    """The programs of the browser and of its driver, or None."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def open_browser() -> Any:
    """A headless browser that reaches this machine and nothing else."""
    from selenium import webdriver

    programs = find_browser()
    assert programs is not None
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1400,1000",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))


def visit(driver: Any, address: str) -> None:
    """Open a page, and wait until its styles and scripts are there: the driver may return sooner, if it was open before."""
    driver.get(address)
    until("the page is loaded", lambda: driver.execute_script("return document.readyState") == "complete")


class Editor:
    """`with Editor(studio) as editor:` opens tasks of a running Label Studio and looks at them."""

    def __init__(self, studio: RealLabelStudio) -> None:
        self._studio = studio
        self.driver = open_browser()

    def __enter__(self) -> Self:
        from selenium.webdriver.common.by import By

        self.driver.get(f"{self._studio.url}/user/login/")
        self.driver.find_element(By.NAME, "email").send_keys(USERNAME)
        self.driver.find_element(By.NAME, "password").send_keys(PASSWORD)
        self.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
        self._until(lambda: "/user/login" not in self.driver.current_url, "the login")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()

    def open(self, project: int, task: int, name: str) -> None:
        """Open a task, and wait until the object tag `name` is drawn."""
        self.driver.get(f"{self._studio.url}/projects/{project}/data?task={task}")
        self._until(lambda: self.driver.execute_script(_READY, name), f"the editor with {name}")
        time.sleep(1)  # the editor draws regions in a later tick

    def regions(self) -> list[dict[str, Any]]:
        """Of each region that is shown: its `text`, and the text that is `drawn` as its."""
        return list(self.driver.execute_script(_REGIONS))

    def selected_choices(self, name: str) -> list[Any]:
        """What is selected in a Choices tag: names, or paths of names where choices are nested."""
        script = "return JSON.stringify(window.Htx.annotationStore.selected.names.get(arguments[0]).selectedValues())"
        return list(json.loads(self.driver.execute_script(script, name)))

    def switch_on_auto_annotation(self) -> None:
        """As the switch under the task does, and let the suggestions stand without being asked for each."""
        self.driver.execute_script("window.Htx.setAutoAnnotation(true); window.Htx.setAutoAcceptSuggestions(true);")

    def serialized(self) -> list[dict[str, Any]]:
        """The regions as the editor would submit them."""
        return list(
            json.loads(
                self.driver.execute_script(
                    "return JSON.stringify(window.Htx.annotationStore.selected.serializeAnnotation())"
                )
            )
        )

    def select(self, label: str, selector: str, text: str) -> None:
        """Choose a label, and select a text in an object tag, or in what a CSS selector finds, as a person does."""
        time.sleep(0.5)  # sooner, the editor takes it for a double click, which repeats the label from before
        before = len(self.regions())
        self.driver.execute_script(_CHOOSE, label)
        selected = self.driver.execute_script(_SELECT, selector, text)
        assert selected, f"{text!r} does not stand in {selector}"
        self._until(lambda: len(self.regions()) > before, f"a region over {text!r}", 10)

    def take(self, tag: str, tool: str | None = None) -> None:
        """Choose the first label of a control tag, which takes up the tag's own tool, or the smart tool of a name:
        rectangle-tool, key-point-tool."""
        self.driver.execute_script(_TAKE, tag, tool)
        # The editor takes the tool up in a later tick.
        time.sleep(0.3)
        if tool is not None:
            name = tool.replace("-", "")
            until(f"{tool} is taken up", lambda: self.taken().removesuffix("-dynamic").lower() == name)

    def taken(self) -> str:
        """What the editor calls the tool that is taken up: RectangleTool, or RectangleTool-dynamic for the smart one."""
        return str(self.driver.execute_script(_TAKEN))

    def draw(self, start: tuple[float, float], end: tuple[float, float] | None = None, *, beside: bool = False) -> None:
        """Drag the mouse over the image, or click on it; places are fractions of it as it is seen.

        `beside`: with the Alt key held, by which a click says that the place is not of the object.
        """
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.keys import Keys

        left, top, width, height = self.driver.execute_script(_PLACE)
        places = [(round(left + x * width), round(top + y * height)) for x, y in (start, end or start)]
        if beside:
            ActionChains(self.driver).key_down(Keys.ALT).perform()
        hand = ActionBuilder(self.driver)
        hand.pointer_action.move_to_location(*places[0]).pointer_down()
        if end is not None:
            hand.pointer_action.move_to_location(places[0][0] + 9, places[0][1] + 9).move_to_location(*places[1])
        hand.pointer_action.pointer_up()
        hand.perform()
        if beside:
            ActionChains(self.driver).key_up(Keys.ALT).perform()

    def draw_on_video(self, start: tuple[float, float], end: tuple[float, float] | None = None) -> None:
        """Drag the mouse over the shown frame of a video, or click on it; places are fractions of it."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        left, top, width, height = self.driver.execute_script(_FRAME)
        begin, finish = ((round(left + x * width), round(top + y * height)) for x, y in (start, end or start))
        hand = ActionBuilder(self.driver)
        hand.pointer_action.move_to_location(*begin).pointer_down()
        if end is not None:
            hand.pointer_action.move_to_location(begin[0] + 9, begin[1] + 9).move_to_location(*finish)
        hand.pointer_action.pointer_up()
        hand.perform()

    def click_label(self, name: str) -> None:
        """Click on a label, as a person does: it is given to the selected region."""
        from selenium.webdriver.common.by import By

        label = self.driver.find_element(By.XPATH, f"//*[contains(@class, 'lsf-label__text')][text()='{name}']")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", label)
        label.click()

    def turn(self, degrees: int) -> None:
        """Turn the view of the image clockwise, as its tool does."""
        self.driver.execute_script(_TURN, degrees)
        time.sleep(1)  # the editor lays it out anew

    def record_prompts(self) -> None:
        """From now on, keep what the editor sends to a model: `prompts`."""
        self.driver.execute_script(_RECORD)

    def prompts(self) -> list[list[dict[str, Any]]]:
        """The regions of each request that the editor sent to a model since `record_prompts`."""
        return list(self.driver.execute_script("return window.sentPrompts"))

    def submit(self) -> None:
        """Press Submit, and wait until the annotation is stored."""
        from selenium.webdriver.common.by import By

        self.driver.find_element(
            By.CSS_SELECTOR, "button[aria-label='submit'], button[aria-label='Submit current annotation']"
        ).click()

    def image(self) -> bytes:
        """A screenshot of an image tag with all that is drawn on it, as PNG."""
        from selenium.webdriver.common.by import By

        return bytes(self.driver.find_element(By.CSS_SELECTOR, ".konvajs-content").screenshot_as_png)

    def picture(self, path: Path) -> None:
        """A screenshot."""
        self.driver.save_screenshot(str(path))

    def _until(self, done: Any, what: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if done():
                return
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come for {timeout_s:g} s: {self.driver.current_url}")
