"""The page on licences: `python -m tests.support.licences` writes it from uv.lock and the metadata of what is installed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
BEGIN = "<!-- packages: written by `python -m tests.support.licences`, checked by the tests -->"
END = "<!-- end of the packages -->"
_IMAGE = {
    "python_version": "3.12",
    "python_full_version": "3.12.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "os_name": "posix",
}
# By the text of their licence, as their metadata does not name it.
_BY_TEXT = {"huey": "MIT", "peewee": "MIT", "skops": "MIT"}
_SHORT = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ZPL 2.1": "ZPL-2.1",
    "Zope Public License": "ZPL-2.1",
    "Python Software Foundation License": "PSF-2.0",
    "PSFL": "PSF-2.0",
}


def packages() -> list[str]:
    """The packages of the default image, in alphabetical order."""
    locked = {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]}
    return sorted(_below("lsml", locked, set()))


def _below(name: str, locked: dict[str, Any], known: set[str]) -> set[str]:
    for needed in locked[name].get("dependencies", []):
        here = "marker" not in needed or Marker(needed["marker"]).evaluate(_IMAGE)
        if here and needed["name"] not in known:
            known.add(needed["name"])
            _below(needed["name"], locked, known)
    return known


def licence_of(name: str) -> str:
    """The licence of an installed package, as an expression of SPDX where its metadata has one."""
    said = metadata(name)
    given = said.get("License-Expression") or said.get("License") or ""
    if not given or "\n" in given or len(given) > 60:
        classifiers = [
            one.rpartition(" :: ")[2] for one in said.get_all("Classifier") or [] if one.startswith("License")
        ]
        given = next((one for one in classifiers if one != "OSI Approved"), _BY_TEXT.get(name, ""))
    return _SHORT.get(given, given)


def listed() -> Iterator[tuple[str, str]]:
    """The packages of the page, with their licences."""
    for line in PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].splitlines():
        if line.startswith("| ") and not line.startswith("| package"):
            name, licence = line.strip("| ").split(" | ")
            yield name, licence


def written(text: str) -> str:
    """The page with a table that is current."""
    before, _, rest = text.partition(BEGIN)
    table = "\n".join(["| package | licence |", "|---|---|", *(f"| {one} | {licence_of(one)} |" for one in packages())])
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
