"""uv.lock names what pyproject.toml asks for, with a hash for each file, so that the image can be built from it."""

from __future__ import annotations

import tomllib

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))
ANEW = "run `uv lock`, and commit uv.lock"
LOCKED: dict[str, list[dict]] = {}
for package in LOCK["package"]:
    LOCKED.setdefault(package["name"], []).append(package)
(LSML,) = LOCKED["lsml"]


def asked(requirements: list[str]) -> dict[str, Requirement]:
    """The requirements by name, without the extras of lsml itself."""
    return {one.name.lower().replace("_", "-"): one for one in map(Requirement, requirements) if one.name != "lsml"}


def test_the_lock_knows_every_extra():
    assert set(LSML["metadata"]["provides-extras"]) == set(PYPROJECT["project"]["optional-dependencies"]), ANEW
    assert LOCK["requires-python"] == PYPROJECT["project"]["requires-python"], ANEW


@pytest.mark.parametrize("extra", ["", *PYPROJECT["project"]["optional-dependencies"]])
def test_what_is_asked_for_is_locked(extra):
    project = PYPROJECT["project"]
    wanted = asked(project["optional-dependencies"][extra] if extra else project["dependencies"])
    assert wanted.keys() <= LOCKED.keys(), ANEW
    for name, requirement in wanted.items():
        for found in LOCKED[name]:
            assert requirement.specifier.contains(found["version"], prereleases=True), f"{name}: {ANEW}"


def test_every_file_has_a_hash_and_comes_from_the_package_index():
    for found in LOCK["package"]:
        if found["name"] == "lsml":
            continue
        assert found["source"] == {"registry": "https://pypi.org/simple"}
        files = [*found.get("wheels", ()), *([found["sdist"]] if "sdist" in found else [])]
        assert files and all(file["hash"].startswith("sha256:") for file in files), found["name"]
