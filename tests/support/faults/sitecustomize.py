"""Makes an lsml process kill itself, or its disk fail, at a named step. Python imports this when it is on PYTHONPATH.

LSML_TEST_FAULTS names a folder. An empty file in it, `<step>@before@<n>` or `<step>@after@<n>`, arms a fault: the first
process that passes that step for the n-th time since then takes the file away and dies by SIGKILL, so a fault happens once.
`<step>@full@<n>` raises ENOSPC in place of the step instead. LSML_TEST_LEASE_S shortens a run's lease, so that a
killed worker is missed sooner. A file `clock` in the folder holds the seconds by which time.time() is wrong.
Nothing in lsml knows of this module.
"""

import errno
import functools
import importlib.abc
import importlib.machinery
import os
import shutil
import signal
import sys
import time
from pathlib import Path

# step -> (module, attribute); several steps of one run, in the order in which they come
STEPS = {
    "annotation-stored": ("lsml.store.annotations", "Annotations.apply"),
    "annotations-deleted": ("lsml.store.annotations", "Annotations.delete"),
    "webhook-stored": ("lsml.server.protocol", "_Protocol.webhook"),
    "run-requested": ("lsml.store.runs", "Runs.request"),
    "wake-up-sent": ("lsml.store.queue", "Queue.wake"),
    "run-claimed": ("lsml.store.claims", "Claims.claim"),
    "heartbeat": ("lsml.store.claims", "Claims.beat"),
    "run-lost": ("lsml.store.claims", "Claims.lose"),
    "run-handed-back": ("lsml.store.claims", "Claims.hand_back"),
    "snapshot-taken": ("lsml.learning.snapshot", "take_snapshot"),
    "trained": ("lsml.learning.train", "train"),
    "model-saved": ("lsml.adapters.text.classifier", "TextClassifier.save"),
    "sealed": ("lsml.versions.folders", "_seal"),
    "file-synced": ("lsml.files.disk", "sync"),
    "published": ("lsml.store", "Store.add_version"),
    "version-added": ("lsml.store.version_rows", "VersionRows.add"),
    "pointer-moved": ("lsml.store.version_rows", "VersionRows.promote"),
    "run-ended": ("lsml.store.claims", "Claims.finish"),
    "version-forgotten": ("lsml.store.version_rows", "VersionRows.prune"),
}
_FOLDER = os.environ.get("LSML_TEST_FAULTS")
_passages: dict[str, int] = {}  # of this process through the steps of armed faults, by fault


def _strike(step: str, when: str) -> bool:
    """Count a passage; whether an armed fault has its n-th, and this process is the one to take it."""
    try:
        armed = [path.name for path in Path(_FOLDER).iterdir() if path.name.startswith(f"{step}@{when}@")]
    except OSError:
        return False
    for name in [name for name in _passages if name.startswith(f"{step}@{when}@") and name not in armed]:
        del _passages[name]
    for name in armed:
        _passages[name] = _passages.get(name, 0) + 1
        if _passages[name] != int(name.rpartition("@")[2]):
            continue
        try:
            Path(_FOLDER, name).unlink()
        except OSError:
            continue  # another process took it
        with Path(_FOLDER, "struck").open("a") as file:
            file.write(f"{name}\n")
        return True
    return False


def _faulty(step, function):
    @functools.wraps(function)
    def passed(*args, **kwargs):
        if _strike(step, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        if _strike(step, "full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        result = function(*args, **kwargs)
        if _strike(step, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return passed


def _patch(module) -> None:
    for step, (name, attribute) in STEPS.items():
        if name == module.__name__:
            *path, last = attribute.split(".")
            owner = functools.reduce(getattr, path, module)
            setattr(owner, last, _faulty(step, getattr(owner, last)))
    if module.__name__ == "lsml.store.claims" and "LSML_TEST_LEASE_S" in os.environ:
        module.LEASE_S = float(os.environ["LSML_TEST_LEASE_S"])
        module.HEARTBEAT_S = module.LEASE_S / 4


class _Finder(importlib.abc.MetaPathFinder):
    """Finds lsml's modules as Python does, and patches each as soon as it was executed."""

    def find_spec(self, name, path, target=None):
        if name not in {module for module, _ in STEPS.values()}:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_patch(module):
                execute(module)
                _patch(module)

            spec.loader.exec_module = execute_and_patch
        return spec


def _wrong_time(offset_file: Path, real=time.time):
    def wrong() -> float:
        try:
            return real() + float(offset_file.read_text())
        except (OSError, ValueError):
            return real()

    return wrong


if _FOLDER:
    sys.meta_path.insert(0, _Finder())
    Path.rename = _faulty("folder-renamed", Path.rename)
    shutil.rmtree = _faulty("folder-removed", shutil.rmtree)
    time.time = _wrong_time(Path(_FOLDER, "clock"))
