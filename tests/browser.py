"""A real browser, without a window, signed in to a real Label Studio: what its editor draws, and what a person selects.

`find_browser()` says whether there is one: Chromium and its driver, as Debian's `chromium` and `chromium-driver` install them.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.label_studio import PASSWORD, USERNAME, RealLabelStudio

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
return Boolean(tag && (tag.type === "paragraphs" ? tag._value : tag.isReady));
"""
# Selects code units [from, to) of the text nodes of an element, as a drag of the mouse does, and lets go of the button.
_SELECT = """
const [selector, from, to] = arguments;
const frame = document.querySelector(selector);
const root = frame.contentDocument ? frame.contentDocument.body : frame;
const view = frame.contentWindow || window;
const walker = root.ownerDocument.createTreeWalker(root, NodeFilter.SHOW_TEXT);
const range = root.ownerDocument.createRange();
let seen = 0, target = null, node;
while ((node = walker.nextNode())) {
  const next = seen + node.length;
  if (from >= seen && from < next) range.setStart(node, from - seen);
  if (to > seen && to <= next) { range.setEnd(node, to - seen); target = node.parentElement; break; }
  seen = next;
}
const selection = view.getSelection();
selection.removeAllRanges();
selection.addRange(range);
const text = selection.toString();
for (const kind of ["mousedown", "mouseup"])
  target.dispatchEvent(new view.MouseEvent(kind, {bubbles: true, cancelable: true, view: view}));
return text;
"""


def find_browser() -> tuple[str, str] | None:
    """The programs of the browser and of its driver, or None."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Editor:
    """`with Editor(studio) as editor:` opens tasks of a running Label Studio and looks at them."""

    def __init__(self, studio: RealLabelStudio) -> None:
        from selenium import webdriver

        programs = find_browser()
        assert programs is not None, "there is no Chromium here; apt-get install chromium chromium-driver"
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
        self._studio = studio
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))

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

    def serialized(self) -> list[dict[str, Any]]:
        """The regions as the editor would submit them."""
        return list(
            json.loads(
                self.driver.execute_script(
                    "return JSON.stringify(window.Htx.annotationStore.selected.serializeAnnotation())"
                )
            )
        )

    def select(self, label: str, selector: str, start: int, end: int) -> str:
        """Choose a label, and select UTF-16 code units `start` to `end` of what stands in `selector`, as a person does; what the
        browser says is selected."""
        self.driver.execute_script(
            """
            const annotation = window.Htx.annotationStore.selected;
            annotation.unselectAll();
            for (const tag of annotation.names.values())
              for (const child of tag.children || [])
                if (child.value === arguments[0] && !child.selected) child.toggleSelected();
            """,
            label,
        )
        selected = str(self.driver.execute_script(_SELECT, selector, start, end))
        time.sleep(0.5)
        return selected

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
