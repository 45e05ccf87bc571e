"""Versions on disk: a card and one folder for each model, written aside, hashed, synced, renamed; checked on load."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding import Binding, BoundModel, LeftOut
from lsml.errors import StoreError, VersionError
from lsml.files.disk import make_folder, sync
from lsml.store import RunRow, Store, VersionRow

CARD = "card.json"
FORMAT = 1
_MARK_BYTES = 8
_OURS = re.compile(
    r"(\d{8}-\d{6}-)?([0-9a-f]{32}\.\d+\.)?[a-z0-9_]{8}(-adopted)?"
)  # what `publish` and `adopt` name a folder
_ABANDONED_S = 24 * 3600  # an unfinished folder this old belongs to nobody


class ModelCard(msgspec.Struct):
    """What a version knows of one model.

    `labels` it can answer with, `examples` it learnt from, `classes` by count, hashes of the `options` and of the
    `snapshot` it was made with. `learnt`: the file of marks (see `mark`) of the data it learnt. `carried_from`: the number of
    the version that learnt it, None where it is this one. `moved`: held-out tasks that training needed.
    """

    adapter: str
    folder: str
    fingerprint: str
    labels: list[str] = []
    examples: int = 0
    classes: dict[str, int] = {}
    options: str = ""
    snapshot: str = ""
    learnt: str = ""
    moved: list[str] = []
    carried_from: int | None = None


class Card(msgspec.Struct):
    """Everything to know of a version; written beside its models and kept in the store.

    `metrics`: by control, on the held-out tasks. `compared`: by model key, the new and the promoted version's metric on
    the same tasks. `promoted`: whether it was when it was made, and `verdict`: why, for people. `left_out`: what of the
    annotations could not be understood. `files`: SHA-256 of every file, by path.
    """

    recipe: str
    models: dict[str, ModelCard]
    metrics: dict[str, dict[str, Any]] = {}
    compared: dict[str, dict[str, Any]] = {}
    verdict: str = ""
    promoted: bool = False
    tasks: int = 0
    held_out: int = 0
    snapshot: str = ""
    seed: int = 0
    notes: list[str] = []
    left_out: list[LeftOut] = []
    created_at: float = 0.0
    lsml: str = ""
    format: int = FORMAT
    files: dict[str, str] = {}

    def known_labels(self) -> dict[str, list[str]]:
        """The labels that each model can answer with, by model key."""
        return {key: model.labels for key, model in self.models.items()}


@dataclass(frozen=True)
class Loaded:
    """A version in memory, or the starting point: an adapter for each of the binding's models, by key."""

    number: int
    card: Card | None
    adapters: Mapping[str, Adapter]
    warnings: tuple[str, ...] = field(default=())


def model_version(binding: Binding, number: int, card: Card | None) -> str:
    """`<recipe name>-v<number>-<hash of what else decides a prediction>`. Number 0: nothing was learnt."""
    known = card.known_labels() if card is not None else {}
    facts = msgspec.json.encode(binding.facts(known), order="sorted")
    return f"{binding.recipe.name}-v{number}-{hashlib.sha256(facts).hexdigest()[:8]}"


def card_of(row: VersionRow) -> Card:
    """The card of a stored version. Raises VersionError where another format wrote it."""
    try:
        card = msgspec.convert(_upgraded(row.card), Card)
    except msgspec.ValidationError as error:
        raise VersionError(
            f"version v{row.number} of project {row.project}: its card cannot be read: {error}"
        ) from error
    if card.format != FORMAT:
        raise VersionError(
            f"version v{row.number} of project {row.project} has format {card.format}, and this lsml reads {FORMAT}; "
            "use the lsml that wrote it, or train anew"
        )
    return card


def _upgraded(card: dict[str, Any]) -> dict[str, Any]:
    """A card as it is written today. Older ones told in sentences what are fields now: `promoted`, and `carried_from`."""
    if "promoted" in card or not isinstance(card.get("models"), dict):
        return card
    models = {}
    for key, model in card["models"].items():
        carried = (
            re.fullmatch(r"carried over from v(\d+)", str(model.get("source"))) if isinstance(model, dict) else None
        )
        models[key] = {**model, "carried_from": int(carried[1])} if carried else model
    return {**card, "models": models, "promoted": str(card.get("verdict", "")).startswith("promoted")}


class Shared:
    """Adapters in memory by what they are made of: projects that serve the same, as all do that start from one version or
    from the same weights, share them. One that nobody serves any more is let go."""

    def __init__(self) -> None:
        self._adapters: WeakValueDictionary[bytes, Adapter] = WeakValueDictionary()

    def adapter(self, model: BoundModel, saved: Path | None = None, hashes: Collection[str] = ()) -> Adapter:
        """The starting point of a model, or what was saved of it, in files with these hashes. Raises VersionError."""
        made_of = (model.spec.adapter, model.spec.options, model.target, sorted(hashes))
        key = hashlib.sha256(msgspec.json.encode(made_of, order="sorted")).digest()
        adapter = self._adapters.get(key)
        if adapter is None:
            adapter = model.new_adapter()
            if saved is not None:
                adapter.load(saved)
            adapter = self._adapters.setdefault(key, adapter)
        return adapter


def start(binding: Binding, shared: Shared | None = None) -> Loaded:
    """The starting point: every model pretrained or untrained."""
    shared = shared or Shared()
    return Loaded(0, None, {model.key: shared.adapter(model) for model in binding.models})


def load_version(binding: Binding, row: VersionRow, root: Path, shared: Shared | None = None) -> Loaded:
    """A stored version, with its files' hashes checked, for a binding.

    A model whose control was renamed, whose object changed or that the version does not hold starts untrained, and
    `warnings` says so. Raises VersionError where files are missing or changed.
    """
    card = card_of(row)
    folder = root / row.folder
    check_files(folder, card)
    shared = shared or Shared()
    adapters: dict[str, Adapter] = {}
    for model in binding.models:
        saved = card.models.get(model.key)
        if saved is None or saved.fingerprint != model.fingerprint:
            adapters[model.key] = shared.adapter(model)
            continue
        hashes = [f"{name} {hash}" for name, hash in card.files.items() if name.startswith(f"{saved.folder}/")]
        adapters[model.key] = shared.adapter(model, folder / saved.folder, hashes)
    return Loaded(row.number, card, adapters, misfits(binding, row.number, card))


def misfits(binding: Binding, number: int, card: Card) -> tuple[str, ...]:
    """A sentence for each model of a binding that v<number> does not fit, or not wholly."""
    sentences = []
    for model in binding.models:
        saved = card.models.get(model.key)
        if saved is None and model.learns:
            sentences.append(f"{model.key}: v{number} does not hold it, so it starts untrained")
        elif saved is not None and saved.fingerprint != model.fingerprint:
            sentences.append(f"{model.key}: its control or object changed after v{number}, so it starts untrained")
        elif (
            saved is not None
            and not model.target.open
            and (gone := sorted(set(saved.labels) - set(model.target.labels)))
        ):
            new = sorted(set(model.target.labels) - set(saved.labels))
            learnt = f"; it has not learnt {', '.join(new)} yet" if new else ""
            sentences.append(
                f"{model.key}: v{number} learnt {', '.join(gone)}, which the labeling config no longer has{learnt}"
            )
    return tuple(sentences)


def load_promoted(store: Store, project: str, binding: Binding) -> Loaded:
    """The version that a project serves, else the starting point. Raises VersionError."""
    row = store.versions.served(project)
    return start(binding) if row is None else load_version(binding, row, store.versions_directory)


def mark(data: Mapping[str, Any]) -> bytes:
    """Eight bytes that stand for a task's data, whatever its id: what a version learnt must not judge it later."""
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).digest()[:_MARK_BYTES]


def learnt_marks(folder: Path, model: ModelCard) -> set[bytes]:
    """The marks of all data that a saved model learnt."""
    if not model.learnt:
        return set()
    content = (folder / model.learnt).read_bytes()
    return {content[start : start + _MARK_BYTES] for start in range(0, len(content), _MARK_BYTES)}


def check_files(folder: Path, card: Card) -> None:
    """Raise VersionError, naming the file, unless every file is there with the hash that the card holds."""
    for name, expected in card.files.items():
        path = folder / name
        try:
            found = _hash(path)
        except OSError as error:
            raise VersionError(
                f"{path}: cannot be read: {error.strerror}; restore it, or promote another version"
            ) from error
        if found != expected:
            raise VersionError(f"{path}: was changed after it was saved; restore it, or promote another version")


def new_folder(root: Path, run: RunRow | None = None) -> Path:
    """An empty folder for a version in the making, beside the finished ones so that a rename suffices.

    Its name, and that of the finished folder, tells the run and the attempt that made it.

    Raises StoreError where it cannot be made."""
    try:
        make_folder(root)
        return Path(tempfile.mkdtemp(prefix=f".making-{_owner(run)}", dir=root))
    except OSError as error:
        raise StoreError(f"{root}: cannot make a folder for a version: {error.strerror}") from error


def publish(
    store: Store, project: str, making: Path, card: Card, *, promote: bool, keep: int, run: RunRow | None = None
) -> int:
    """Turn a folder in the making into the project's next version, and end its run; the version's number.

    Files are hashed and synced, then the folder is renamed, then one transaction adds the version, moves the pointer
    and ends the run. Raises Superseded, leaving nothing, where the run's claim is gone.
    """
    from lsml import __version__

    card.created_at = time.time()
    card.lsml = __version__
    card.files = {}
    try:
        _seal(making, card)
        folder = (
            f"{slug(project)}/{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{making.name.removeprefix('.making-')}"
        )
        final = store.versions_directory / folder
        _put(making, final)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise StoreError(f"{making}: cannot save the version: {error.strerror}; the one before stays") from error
    try:
        number, forgotten = store.publish(
            project, folder, msgspec.to_builtins(card), promote=promote, keep=keep, run=run,
            message=card.verdict,
        )  # fmt: skip
    except BaseException:
        shutil.rmtree(final, ignore_errors=True)
        raise
    for old in forgotten:
        shutil.rmtree(store.versions_directory / old.folder, ignore_errors=True)
    return number


def adopt(store: Store, project: str, row: VersionRow) -> None:
    """Give a project a copy of another project's version, promoted, with the same number."""
    source = store.versions_directory / row.folder
    making = new_folder(store.versions_directory)
    folder = f"{slug(project)}/{making.name.removeprefix('.making-')}-adopted"
    final = store.versions_directory / folder
    try:
        shutil.copytree(source, making, dirs_exist_ok=True, copy_function=_link_or_copy)
        for path in [making, *making.rglob("*")]:
            sync(path)
        _put(making, final)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise StoreError(f"{source}: cannot be copied for project {project}: {error.strerror}") from error
    store.versions.add(project, folder, row.card, promote=True, run=None, number=row.number)


def sweep_attempt(store: Store, run: RunRow) -> None:
    """Remove what one attempt of a run left when its process was killed: a folder in the making, or one that no version
    names. Only its worker may call this, once the process is gone."""
    root = store.versions_directory
    named = store.versions.folders()
    for path in [*root.glob(f".making-{_owner(run)}*"), *root.glob(f"*/*-{_owner(run)}*")]:
        if path.relative_to(root).as_posix() not in named:
            shutil.rmtree(path, ignore_errors=True)


def _owner(run: RunRow | None) -> str:
    return f"{run.id}.{run.attempt}." if run is not None else ""


def sweep_folders(store: Store) -> None:
    """Remove what crashed processes left: folders in the making, and finished ones that no version names, once old."""
    root = store.versions_directory
    if not root.is_dir():
        return
    named = store.versions.folders()
    found = [path for path in root.iterdir() if path.name.startswith(".making-")]
    for project in root.iterdir():
        if project.name.startswith(".") or not project.is_dir():
            continue
        for path in project.iterdir():
            # Whoever points --data-dir at a folder of theirs keeps what is in it.
            ours = _OURS.fullmatch(path.name) and (path / CARD).is_file()
            if ours and f"{project.name}/{path.name}" not in named:
                found.append(path)
    for path in found:
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def slug(project: str) -> str:
    """A project key as one safe folder name; keys that look alike stay apart."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.]{0,63}", project):
        return project
    return (
        re.sub(r"[^A-Za-z0-9]+", "-", project).strip("-")[:40] + "-" + hashlib.sha256(project.encode()).hexdigest()[:12]
    )


def _seal(folder: Path, card: Card) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o600)
            card.files[path.relative_to(folder).as_posix()] = _hash(path)
            sync(path)
        else:
            path.chmod(0o700)
            sync(path)
    target = folder / CARD
    target.write_text(json.dumps(msgspec.to_builtins(card), indent=1), encoding="utf-8")
    target.chmod(0o600)
    sync(target)
    sync(folder)


def _put(making: Path, final: Path) -> None:
    """Rename a folder, whose content is synced, to its place, and sync the names on the way there. Raises OSError."""
    make_folder(final.parent)
    making.rename(final)
    sync(final.parent)
    sync(making.parent)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
