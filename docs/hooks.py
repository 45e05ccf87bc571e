"""MkDocs: pages at the root of the repository are pages of the site, and a link to any file of the repository leads there."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[1]
# Of the repository -> of the site. Other files that pages link are copied below `files/`.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """The files under docs/, those pages, and what else of the repository any of them links."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(REPOSITORY / source)))
    linked = {path for file in list(files.documentation_pages()) for path in _linked(file)}
    for path in sorted(linked):
        if path not in PAGES and not path.startswith("docs/") and (REPOSITORY / path).is_file():
            files.append(File.generated(config, _site_path(path), abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The page's text, whose links to files of the repository lead to where the site has them."""
    here = _repository_path(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), match["target"]))
        target = posixpath.relpath(_site_path(path), posixpath.dirname(page.file.src_uri) or ".")
        return f"]({target}{match['anchor'] or ''})"

    return _LINK.sub(moved, markdown)


def _linked(file: File) -> set[str]:
    """The paths in the repository that a page links."""
    folder = posixpath.dirname(_repository_path(file.src_uri))
    return {
        posixpath.normpath(posixpath.join(folder, match["target"])) for match in _LINK.finditer(file.content_string)
    }


def _site_path(path: str) -> str:
    """Where the site has a file of the repository."""
    return PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}")


def _repository_path(path: str) -> str:
    """Of which file of the repository a page of the site is."""
    return next((source for source, target in PAGES.items() if target == path), f"docs/{path}")
