"""A file for people who help: the findings, the recipe, versions, runs and their log. It holds no secret and no task."""

from __future__ import annotations

import json
import os
import platform
import re
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from msgspec import to_builtins

from lsml.doctor.data import open_if_there
from lsml.doctor.findings import Finding
from lsml.logs import MASK, keep_secret, mask
from lsml.recipe import Recipe
from lsml.store import Store
from lsml.store.runs import KINDS

_PROJECTS, _RUNS, _LINES = 100, 20, 200  # shown: projects; runs of each kind, and log lines of a run, of a project
_PREFIXES: Final = (
    "LSML_",
    "LABEL_STUDIO_",
    "AWS_",
    "HF_",
    "CUDA_",
    "HTTP_",
    "HTTPS_",
    "NO_PROXY",
    "PYTHON",
    "OMP_",
    "TMPDIR",
)
# Keys of a recipe whose values are secrets, also where they are too short to be masked everywhere.
_SECRET_KEY: Final = re.compile(
    r"((?:password|authorization|api_key|token|secret\w*|\w+_key)['\"]?\s*:\s*)(?!\s*[\"']?\$\{)"
    r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'|[^\s,}#][^,}\n]*)""",
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(r"(://[^\s\"'/@:]*):(?!\$\{)[^\s\"'/@]*@")


def write_bundle(recipe: Recipe, directory: Path, findings: Sequence[Finding], target: Path) -> None:
    """Write the file, which only its owner can read. Everything in it is masked as log lines are. Raises OSError."""
    store = open_if_there(recipe, directory)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in _parts(recipe, store, findings):
                archive.writestr(name, mask(text))
    if store is not None:
        store.close()


def _parts(recipe: Recipe, store: Store | None, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each part."""
    projects = store.projects.all() if store is not None else []
    keep_secret(project.token for project in projects if project.token)
    yield "findings.json", json.dumps(to_builtins(list(findings)), indent=1)
    # Known secrets first: a key's value may seem to end within one.
    text = mask(recipe.path.read_text(encoding="utf-8"))
    yield "recipe.yaml", _LOGIN.sub(rf"\1:{MASK}@", _SECRET_KEY.sub(rf"\1{MASK}", text))
    yield "machine.json", json.dumps(_machine(), indent=1)
    if store is None:
        return
    shown = []
    for project in projects[:_PROJECTS]:
        told = {
            name: getattr(project, name)
            for name in ("key", "change", "covered", "usable", "promoted", "published", "sync_error")
        }
        runs = [run for kind in KINDS for run in store.runs.of_project(project.key, _RUNS, kind=kind)]
        versions = [row.number for row in store.versions.newest(project.key)]
        shown.append({**told, "versions": versions, "runs": [to_builtins(run) for run in runs]})
        lines = [line for run in runs[:3] for line in store.run_lines.of_run(run.id, _LINES)]
        if lines:
            text = "\n".join(f"{line.at:.3f} {line.level} {line.text}" for line in lines)
            yield f"log-of-{re.sub(r'[^A-Za-z0-9.]', '-', project.key)}.txt", text
    yield "projects.json", json.dumps(shown, indent=1)


def _machine() -> dict[str, object]:
    """Return versions, and the names of environment variables; their values may be secrets."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "environment": sorted(name for name in os.environ if name.startswith(_PREFIXES)),
        "packages": dict(sorted((one.name, one.version) for one in distributions())),
    }
