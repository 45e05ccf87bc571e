"""Files that become tasks of a project: tables, JSON, lines of text, and folders of images. Existing tasks are not repeated."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lsml.errors import RequestError, StudioAway
from lsml.labeling import LabelingConfig
from lsml.labeling.annotated import many
from lsml.labeling.exports import read_export
from lsml.labeling.importing import import_refusal, only_field
from lsml.studio.changes import ChangeLog
from lsml.studio.project import StudioSettings

_AT_ONCE: Final = 500  # tasks in one request
_FILES_AT_ONCE, _BYTES_AT_ONCE = 50, 32 << 20  # in one upload; Label Studio accepts a hundred files and 250 MB
_IMAGES: Final = frozenset({".bmp", ".gif", ".jpg", ".jpeg", ".png", ".svg", ".webp"})  # accepted by Label Studio
_UPLOADED: Final = re.compile(r"/data/upload/\d+/[0-9a-f]{8}-([^/]+)$")


@dataclass(frozen=True)
class TasksToImport:
    """The tasks of a file or folder for a project: their data, or images to upload. `notes`: sentences on the reading."""

    source: str
    data: tuple[dict[str, object], ...] = ()
    images: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.images:
            return f"{many(len(self.images), 'image')} of {self.source}"
        return f"{many(len(self.data), 'task')} of {self.source}"


def read_tasks(path: Path, config: LabelingConfig) -> TasksToImport:
    """Return the tasks to import: a folder of images; a TXT file, a task a line; else a file of `read_export`, without
    answers.

    Tasks that Label Studio would refuse, and with them all others, are left out and noted. Raises RequestError.
    """
    images = _images(path)
    if images:
        only_field(str(path), config)
        return TasksToImport(str(path), images=images)
    export = read_export(path, config, answers=False)
    data, notes = [task["data"] for task in export.tasks], export.notes
    kept = [(one, import_refusal(one, config)) for one in data]
    refusals = [refusal for _, refusal in kept if refusal is not None]
    if refusals:
        left_out = (
            f"{path}: {many(len(refusals), 'task')} left out, which Label Studio would refuse; the first: {refusals[0]}"
        )
        notes = (*notes, left_out)
    fine = tuple(one for one, refusal in kept if refusal is None)
    if not fine:
        raise RequestError(f"{path}: has no task to import" + (f": {refusals[0]}" if refusals else ""))
    return TasksToImport(str(path), data=fine, notes=notes)


def import_tasks(changes: ChangeLog, settings: StudioSettings, tasks: TasksToImport) -> None:
    """Add the tasks that the project does not hold yet, compared by their data; images by their names. Raises StudioError."""
    for note in tasks.notes:
        changes.note(note)
    held = settings.data()
    if tasks.images:
        images = _new_images(tasks.images, held)
        new, left = replace(tasks, images=images), len(tasks.images) - len(images)
    else:
        known = {_key(data) for data in held}
        data = tuple(one for one in tasks.data if _key(one) not in known)
        new, left = replace(tasks, data=data), len(tasks.data) - len(data)
    if left:
        changes.note(f"{tasks.source}: {left:,} of {len(tasks.data) + len(tasks.images):,} are in the project already")
    if new.data:
        changes.make("import", str(new), lambda: _going_on(_import, settings, new.data))
    if new.images:
        changes.make("upload", str(new), lambda: _going_on(_upload, settings, new.images))


def _going_on(deed: Callable[[StudioSettings, Any], None], settings: StudioSettings, what: object) -> None:
    """Do a deed of many requests. Raises StudioError, which says where it may have happened in part."""
    try:
        deed(settings, what)
    except StudioAway as error:
        raise StudioAway(f"{error}; then connect again: existing tasks are not added twice") from error


def _import(settings: StudioSettings, data: Sequence[dict[str, object]]) -> None:
    for begin in range(0, len(data), _AT_ONCE):
        settings.import_tasks([{"data": one} for one in data[begin : begin + _AT_ONCE]])


def _upload(settings: StudioSettings, images: Sequence[Path]) -> None:
    batch: dict[str, bytes] = {}
    for image in images:
        content = _content(image)
        size = sum(map(len, batch.values())) + len(content)
        if batch and (image.name in batch or len(batch) == _FILES_AT_ONCE or size > _BYTES_AT_ONCE):
            settings.upload(batch)
            batch = {}
        batch[image.name] = content
    settings.upload(batch)


def _new_images(images: Sequence[Path], held: Iterable[dict[str, object]]) -> tuple[Path, ...]:
    """Return the images that the project does not hold yet, by name and count."""
    found = (_UPLOADED.search(value) for data in held for value in data.values() if isinstance(value, str))
    known = Counter(match[1] for match in found if match)
    new = []
    for image in images:
        # Label Studio changes the names of files so.
        name = re.sub(r"[^-\w.]", "", image.name.strip().replace(" ", "_"))
        known[name] -= 1
        if known[name] < 0:
            new.append(image)
    return tuple(new)


def _images(path: Path) -> tuple[Path, ...]:
    """Return the images in a folder, by name, or the single image file; empty where there are none."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple(
        file
        for file in files
        if file.suffix.lower() in _IMAGES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None


def _key(data: dict[str, object]) -> str:
    return json.dumps(data, sort_keys=True)
