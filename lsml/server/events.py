"""A webhook's JSON as a typed event, and the project that a request names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lsml.errors import RequestError
from lsml.files.strict_json import NotUnicode
from lsml.labeling.tasks import is_id, read_annotation
from lsml.store import AnnotationSeen, Store

START_TRAINING = "START_TRAINING"
_SAVED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_UPDATED"})
_DELETED = frozenset({"ANNOTATION_DELETED", "ANNOTATIONS_DELETED"})
_TASKS_DELETED = frozenset({"TASK_DELETED", "TASKS_DELETED"})
_TASKS_CREATED = frozenset({"TASK_CREATED", "TASKS_CREATED"})
_NOTED = _TASKS_CREATED | {"PROJECT_UPDATED", "PROJECT_CREATED", START_TRAINING}


@dataclass(frozen=True)
class Event:
    """One webhook. `known`: lsml acts on this action; others are acknowledged and ignored."""

    action: str
    project: str
    studio_id: int | None
    title: str | None = None
    labeling_config: str | None = None
    config_at: float | None = None  # the project's last change in Label Studio, in seconds
    saved: tuple[AnnotationSeen, ...] = ()
    deleted: tuple[str, ...] = ()
    deleted_tasks: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def known(self) -> bool:
        """True if lsml acts on the action."""
        return self.action in _SAVED | _DELETED | _TASKS_DELETED | _NOTED

    @property
    def brings_tasks(self) -> bool:
        """True if the project has new tasks."""
        return self.action in _TASKS_CREATED


def read_event(payload: object) -> Event:
    """Return the event of a webhook's JSON. Raises RequestError, with a sentence, where it does not have Label Studio's
    form.

    Single invalid annotations are left out, with a note.
    """
    if not isinstance(payload, Mapping):
        raise RequestError('expected a JSON object such as {"action": "ANNOTATION_CREATED", "project": {"id": 1}, ...}')
    action = payload.get("action")
    if not isinstance(action, str) or not action:
        raise RequestError("action: missing; expected the name of a Label Studio webhook, such as ANNOTATION_CREATED")
    project = payload.get("project")
    key, studio_id = project_key(project)
    details = project if isinstance(project, Mapping) else {}
    saved: tuple[AnnotationSeen, ...] = ()
    notes: tuple[str, ...] = ()
    if action in _SAVED:
        saved, notes = _saved(payload)
    return Event(
        action=action,
        project=key,
        studio_id=studio_id,
        title=_text(details.get("title")),
        labeling_config=_text(details.get("label_config")),
        config_at=_seconds(details.get("updated_at")),
        saved=saved,
        deleted=_ids(payload, "annotations", "annotation") if action in _DELETED else (),
        deleted_tasks=_ids(payload, "tasks", "task") if action in _TASKS_DELETED else (),
        notes=notes,
    )


def project_key(project: object) -> tuple[str, int | None]:
    """Return (Label Studio's own key `"<id>.<unix time of creation>"`, the number before the dot) of a project.

    A string is the key itself, as in /setup and /predict; webhooks send an object with `id` and `created_at`.
    Raises RequestError for anything else.
    """
    if isinstance(project, Mapping):
        number = project.get("id")
        if isinstance(number, bool) or not isinstance(number, (int, str)) or not str(number).strip():
            raise RequestError("project.id: missing; expected the project's number")
        created = _seconds(project.get("created_at"))
        key = str(number) if created is None or "." in str(number) else f"{number}.{int(created)}"
    elif isinstance(project, (int, str)) and not isinstance(project, bool) and str(project).strip():
        key = str(project)
    else:
        raise RequestError('project: missing; expected its key in Label Studio, such as "1.1795424614"')
    if len(key) > 200 or not key.isprintable():
        raise RequestError("project: expected at most 200 printable characters")
    head = key.split(".")[0]
    return key, int(head) if head.isascii() and head.isdigit() and len(head) < 18 else None


def known_project(store: Store, project: object) -> tuple[str, int | None]:
    """Return `project_key`'s result, with the key under which the project is stored. Raises RequestError."""
    key, studio_id = project_key(project)
    return known_key(store, key), studio_id


def known_key(store: Store, key: str) -> str:
    """Return the key under which a project is stored, as some programs send only its number."""
    found = None if "." in key else store.projects.find(key)
    return found.key if found else key


def _saved(payload: Mapping[str, object]) -> tuple[tuple[AnnotationSeen, ...], tuple[str, ...]]:
    tasks = {
        str(task["id"]): task
        for task in _listed(payload, "task", "tasks")
        if isinstance(task, Mapping) and "id" in task
    }
    saved: list[AnnotationSeen] = []
    notes: list[str] = []
    annotations = _listed(payload, "annotation", "annotations")
    if not annotations:
        raise RequestError("annotation: missing; expected an annotation, or a list of them")
    for annotation in annotations:
        if isinstance(annotation, NotUnicode):
            if len(annotations) == 1:
                raise RequestError(str(annotation))
            notes.append(str(annotation))
            continue
        if not isinstance(annotation, Mapping) or not is_id(annotation.get("id")):
            raise RequestError("annotation: expected an object with an id")
        task_id = annotation.get("task")
        if not is_id(task_id) and len(tasks) == 1:
            task_id = next(iter(tasks))
        try:
            read = read_annotation(annotation)
        except RequestError as error:
            if len(annotations) == 1:
                raise
            notes.append(str(error))
            continue
        if not is_id(task_id):
            notes.append(f"annotation {annotation['id']} has no task, so it cannot be used for training")
            continue
        task = tasks.get(str(task_id), {})
        data = task.get("data")
        saved.append(
            AnnotationSeen.of(
                read, str(task_id), data if isinstance(data, Mapping) else None, str(task.get("updated_at") or "")
            )
        )
    return tuple(saved), tuple(notes)


def _ids(payload: Mapping[str, object], *names: str) -> tuple[str, ...]:
    """Return the ids under `names`, from objects with an id or from bare ids."""
    ids = [entry.get("id") if isinstance(entry, Mapping) else entry for entry in _listed(payload, *names)]
    if not ids:
        raise RequestError(f'{names[0]}: missing; expected a list of {{"id": ...}}')
    if not all(is_id(id) for id in ids):
        raise RequestError(f'{names[0]}: expected a list of {{"id": ...}}')
    return tuple(str(id) for id in ids)


def _listed(payload: Mapping[str, object], *names: str) -> list[object]:
    """Return the value under the first of `names` that is there, as a list: Label Studio sends one or many."""
    for name in names:
        found = payload.get(name)
        if isinstance(found, list):
            return found
        if found is not None:
            return [found]
    return []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _seconds(value: object) -> float | None:
    """Return an ISO time as seconds since the epoch."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
