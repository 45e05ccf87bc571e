"""Checks of the data directory and the processes on it: the disk, the store, the worker, the runs."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lsml.doctor.findings import Finding, failed, passed, skipped, warned
from lsml.errors import LsmlError
from lsml.files.disk import command_to_write
from lsml.recipe import Recipe, shown_address
from lsml.store import Store
from lsml.store.queue import open_queue

_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs")
_LATE_S = 60.0  # seconds; a run that is overdue for longer has no worker
_START_S = 10.0  # seconds that the worker may start later than the server under `lsml run`


def examine_directory(recipe: Recipe, directory: Path) -> Iterator[Finding]:
    """Check that the data directory can be written and is on a local disk with free space."""
    there = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    try:
        if directory.exists() and not directory.is_dir():
            raise NotADirectoryError(20, "Not a directory")
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        command = command_to_write(directory)
        advice = f"run `{command}` as root" if command else "make it writable for this user"
        yield failed(
            "data directory", f"{directory} cannot be written: {error.strerror}",
            f"{advice}, or name another with --data-dir",
        )  # fmt: skip
        return
    kind = file_system(there)
    if kind in _NETWORK:
        yield warned(
            "data directory", f"{directory} is on a network ({kind}), where SQLite's locks are unreliable",
            "keep it on a local disk: --data-dir, or storage.directory of the recipe",
        )  # fmt: skip
    else:
        made = "" if directory.exists() else ", which the first run creates"
        yield passed("data directory", f"{directory.absolute()} can be written{made}")
    free, wanted = shutil.disk_usage(there).free, recipe.server.limits.free_disk_bytes
    if free < wanted:
        yield failed(
            "disk", f"{free / 1e6:,.0f} MB are free; with less than {wanted / 1e6:,.0f} MB "
                    "(server.limits.free_disk), annotations are refused",
            "make room, or move the data directory to another disk with --data-dir",
        )  # fmt: skip
    else:
        yield passed("disk", f"{free / 1e9:,.1f} GB are free")


def file_system(path: Path) -> str:
    """Return the type of the file system that a path is on, "" where this system does not tell."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in mounts:
        folder, kind = line.split()[1:3]
        folder = folder.replace("\\040", " ")
        if len(folder) >= len(best[0]) and path.absolute().is_relative_to(folder):
            best = (folder, kind)
    return best[1]


def _lives(store: Store, queue: str | None, patience_s: float) -> bool:
    """Return True as soon as a worker of a queue is alive; False if none is after `patience_s` seconds."""
    until = time.monotonic() + patience_s
    while not store.workers.alive(queue):
        if time.monotonic() >= until:
            return False
        time.sleep(0.2)
    return True


def _worker(store: Store, queue: str | None, *, serving: bool) -> Finding:
    """Return the finding about the workers of a queue."""
    check = "worker" if queue is None else f"worker {queue}"
    if _lives(store, queue, _START_S if serving else 0.0):
        return passed(check, "alive")
    if serving and queue is None:
        return failed(
            check, "a server answers, but no worker is alive, so nothing is trained or published",
            "start `lsml work` on the same data directory, or use `lsml run`, which runs both",
        )  # fmt: skip
    if serving:
        return failed(
            check, "a server answers, but no worker of this queue is alive", f"start `lsml work --queue {queue}`"
        )
    return warned(check, "none lives", "start `lsml run`")


def examine_worker(recipe: Recipe, store: Store | None, *, serving: bool) -> Iterator[Finding]:
    """Check that a worker of each queue is alive, that no run is overdue, and that the last runs succeeded.

    `serving`: a server of lsml answers.
    """
    if store is None:
        yield skipped("worker", "there is no data yet; start `lsml run`")
        return
    for queue in recipe.storage.queues.named:
        yield _worker(store, queue, serving=serving)
    for project in store.projects.all():
        name = f"project {project.title or project.key}"
        runs = store.runs.of_project(project.key, 1)
        publishings = store.runs.of_project(project.key, 1, kind="publishing")
        for run in (*runs, *publishings):
            if run.state == "failed":
                yield warned(name, f"its last {run.kind} failed: {run.message}", "correct this, then try again")
            elif run.state == "waiting" and time.time() - run.due_at > _LATE_S:
                yield warned(
                    name, f"a {run.kind} is overdue for {(time.time() - run.due_at) / 60:.0f} min",
                    "check that a worker is alive and uses this data directory",
                )  # fmt: skip
        if project.sync_error:
            yield warned(name, project.sync_error, "see the message; lsml reads again at the next training")


def open_if_there(recipe: Recipe, directory: Path) -> Store | None:
    """Return the store of a recipe; None where there is none yet or it cannot be opened."""
    try:
        there = recipe.storage.database is not None or (directory / "lsml.db").is_file()
        return Store(directory, recipe.storage, recipe.name) if there else None
    except LsmlError:
        return None


def examine_engines(recipe: Recipe, directory: Path) -> Iterator[Finding]:
    """Check that the engines which `storage` names, if any, can be opened."""
    storage = recipe.storage
    named = [url for url in (storage.database, storage.queue, storage.artifacts) if url is not None]
    if not named:
        return
    try:
        store = Store(directory, storage, recipe.name)
        store.artifacts.check()
        store.close()
        open_queue(directory, storage.queue, recipe.name)
    except LsmlError as error:
        what, _, advice = str(error).rpartition("; ")
        yield failed("storage", what, advice)
    except OSError as error:
        yield failed(
            "storage", f"{storage.artifacts} cannot be written: {error.strerror}",
            "check storage.artifacts of the recipe, and the credentials in the environment",
        )  # fmt: skip
    else:
        yield passed("storage", f"{', '.join(map(shown_address, named))} can be used")
