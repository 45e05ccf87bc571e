"""What a release is made of: the workflow, the check of its tag, the wheel and the sdist, and the files for those who write to us."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
import yaml

from tests.conftest import REPOSITORY

VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
WORKFLOW = (REPOSITORY / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
JOBS = yaml.safe_load(WORKFLOW)["jobs"]


def check(root, tag):
    return subprocess.run([sys.executable, root / ".ci" / "check-release", tag], capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path):
    """The files that the check reads."""
    (tmp_path / ".ci").mkdir()
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", ".ci/check-release"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_a_tag_is_released_whose_version_stands_everywhere(repository):
    changelog = repository / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text(encoding="utf-8").replace("## Unreleased", f"## {VERSION}", 1), encoding="utf-8"
    )
    released = check(repository, f"v{VERSION}")
    assert (released.returncode, released.stdout) == (0, f"v{VERSION} can be released\n")


def test_every_reason_against_a_tag_is_said_at_once(repository):
    (repository / "CITATION.cff").write_text("version: 0.0.1\n", encoding="utf-8")
    (repository / "CHANGELOG.md").write_text("## Unreleased\n", encoding="utf-8")
    refused = check(repository, "v9.9.9")
    assert (refused.returncode, refused.stdout.splitlines()) == (1, [
        f"the tag is v9.9.9, and pyproject.toml says {VERSION}: tag v{VERSION}, or change the version",
        f"CITATION.cff: the version is another one than {VERSION}; write it there",
        f"CHANGELOG.md: no section for {VERSION}; rename `Unreleased`, and begin a new one",
    ])  # fmt: skip


def test_the_workflow_runs_the_readme_s_own_test_command():
    second = re.search(
        r"<!-- second command -->\n```sh\n(.+)\n```", (REPOSITORY / "README.md").read_text(encoding="utf-8")
    )
    assert second
    assert second[1] in [step.get("run") for step in JOBS["build"]["steps"]]


def test_nothing_is_published_that_was_not_built_and_tested_and_no_job_may_more_than_it_needs():
    assert yaml.safe_load(WORKFLOW)["permissions"] == {"contents": "read"}
    for name in ("package", "image"):
        assert JOBS[name]["needs"] == "build"
        assert JOBS[name]["environment"] == "release"
        used = [step.get("uses", "").partition("@")[0] for step in JOBS[name]["steps"]]
        assert "actions/attest-build-provenance" in used
    assert "permissions" not in JOBS["build"]
    assert set(re.findall(r"secrets\.(\w+)", WORKFLOW)) == {"GITHUB_TOKEN"}


def test_a_release_has_a_bill_of_materials_and_no_known_vulnerability():
    (step,) = [one["run"] for one in JOBS["build"]["steps"] if "pip-audit" in one.get("run", "")]
    # Without --strict, packages that could not be looked up would pass.
    assert "pip-audit --strict --disable-pip --require-hashes -r locked.txt" in step
    assert "uv export --frozen" in step and "--output-file locked.txt" in step
    made = re.findall(r"cyclonedx-py environment .* -o (\S+)", step)
    bills = [one["with"]["sbom-path"] for one in JOBS["package"]["steps"] if "attest-sbom" in one.get("uses", "")]
    assert made == bills == ["lsml.cdx.json"]


def test_wheel_and_sdist_are_built_as_the_workflow_does_and_hold_what_they_should(tmp_path):
    command = ".venv/bin/python -m hatchling build"
    assert command in [step.get("run") for step in JOBS["build"]["steps"]]
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", tmp_path], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {"lsml/cli/__init__.py", "lsml/recipes/sentiment.yaml", "lsml/schemas/recipe.schema.json"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "README.md",
        "SECURITY.md",
        "mkdocs.yml",
        "docs/hooks.py",
        "docs/pictures/loop.svg",
        "tests/test_release.py",
    } <= files


def test_the_citation_and_the_issue_forms_are_well_formed():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == VERSION
    assert {"message", "title", "authors"} <= set(citation)
    for path in (REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            ids = [part["id"] for part in form["body"]]
            assert len(ids) == len(set(ids))
            assert all(part["attributes"]["label"] for part in form["body"])
