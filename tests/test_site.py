"""The documentation builds as a site without a warning, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("mkdocs", reason="mkdocs-material, of the extra dev, builds the site")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=root, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as MkDocs builds it."""
    folder = tmp_path_factory.mktemp("site")
    built = build(REPOSITORY, folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_built(site):
    written = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")}
    pages = {path.relative_to(REPOSITORY / "docs").as_posix() for path in (REPOSITORY / "docs").rglob("*.md")}
    assert {"index.md", "contributing.md", "changelog.md"} <= written
    # MkDocs writes a folder's README as its index.
    assert {page.replace("README.md", "index.md") for page in pages} <= written


def test_every_link_and_picture_is_there_and_every_anchor(site):
    """Built in HTML, also those of links that a hook moved."""
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html") if path.name != "404.html"}
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    missing = []
    for path, text in texts.items():
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', text):
            target, anchor = urldefrag(unquote(link))
            if re.match(r"[a-z]+:", target):
                continue
            found = (path.parent / target).resolve() if target else path
            found = found / "index.html" if found.is_dir() else found
            if not found.exists() or (anchor and found in anchors and anchor not in anchors[found]):
                missing.append((path.relative_to(site).as_posix(), link))
    assert missing == []


def test_a_reader_s_browser_asks_nothing_but_the_site(site):
    for path in site.rglob("*.html"):
        asked = re.findall(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]+)"', path.read_text())
        assert asked == [], path


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        (tmp_path / name).write_text("# A page\n")
    shutil.copy(REPOSITORY / "docs" / "hooks.py", tmp_path / "docs")
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    config = (tmp_path / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(config.partition("nav:\n  - Home")[0], encoding="utf-8")
    assert build(tmp_path, tmp_path / "site").returncode == 0
    (tmp_path / "README.md").write_text("# A page\n\n[Where](docs/nowhere.md)\n")
    refused = build(tmp_path, tmp_path / "site")
    assert refused.returncode == 1
    assert "nowhere.md" in refused.stdout + refused.stderr
