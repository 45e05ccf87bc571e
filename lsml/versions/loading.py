"""Versions in memory: checked, loaded, and shared by projects that serve the same."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding import Binding, BoundModel, bind, fits
from lsml.binding.configs import known_config
from lsml.errors import VersionError
from lsml.files.digests import file_digest
from lsml.labeling import parse_labeling_config
from lsml.recipe import Recipe
from lsml.store import LOCAL, ProjectRow, Store, VersionRow
from lsml.store.artifacts import Artifacts
from lsml.versions.card import Card, card_of


@dataclass(frozen=True)
class Loaded:
    """A version in memory, or the starting point: an adapter for each of the binding's models, by key."""

    number: int
    card: Card | None
    adapters: Mapping[str, Adapter]
    project: str  # the project of the version
    warnings: tuple[str, ...] = field(default=())


class Shared:
    """Adapters in memory, by the hash of their options and files. Projects that serve the same version or weights share
    them.

    An adapter that no project serves any more is freed.
    """

    def __init__(self) -> None:
        self._adapters: WeakValueDictionary[bytes, Adapter] = WeakValueDictionary()

    def adapter(self, model: BoundModel, saved: Path | None = None, hashes: Collection[str] = ()) -> Adapter:
        """Return a new adapter of a model, or the one saved in files with these hashes. Raises VersionError."""
        made_of = ([(use.adapter, use.options) for use in model.spec.uses], model.target, sorted(hashes))
        key = hashlib.sha256(msgspec.json.encode(made_of, order="sorted")).digest()
        adapter = self._adapters.get(key)
        if adapter is None:
            adapter = model.new_adapter()
            if saved is not None:
                adapter.load(saved)
            adapter = self._adapters.setdefault(key, adapter)
        return adapter


def start(binding: Binding, shared: Shared | None = None) -> Loaded:
    """Return the starting point: every model pretrained or untrained."""
    shared = shared or Shared()
    return Loaded(0, None, {model.key: shared.adapter(model) for model in binding.models}, LOCAL)


def load_version(binding: Binding, row: VersionRow, artifacts: Artifacts, shared: Shared | None = None) -> Loaded:
    """Return a stored version for a binding, once its files' hashes are checked.

    A model whose control was renamed, whose object changed or that the version does not hold starts untrained, and
    `warnings` says so. Raises VersionError where files are missing or changed.
    """
    card = card_of(row)
    folder = artifacts.open(row.folder)
    try:
        check_files(folder, card)
    except VersionError:
        if not artifacts.bring_again(row.folder):
            raise
        check_files(folder, card)
    shared = shared or Shared()
    adapters: dict[str, Adapter] = {}
    for model in binding.models:
        saved = card.models.get(model.key)
        if saved is None or not fits(model, saved.fingerprint):
            adapters[model.key] = shared.adapter(model)
            continue
        hashes = [f"{name} {hash}" for name, hash in card.files.items() if name.startswith(f"{saved.folder}/")]
        adapters[model.key] = shared.adapter(model, folder / saved.folder, hashes)
    return Loaded(row.number, card, adapters, row.project, misfits(binding, row.number, card))


def misfits(binding: Binding, number: int, card: Card) -> tuple[str, ...]:
    """Return a sentence for each model of a binding that v<number> does not fit, or only in part."""
    sentences = []
    for model in binding.models:
        saved = card.models.get(model.key)
        if saved is None and model.learns:
            sentences.append(f"{model.key}: it is not in v{number}, so it starts untrained")
        elif saved is not None and not fits(model, saved.fingerprint):
            sentences.append(
                f"{model.key}: its control, object or adapter changed after v{number}, so it starts untrained"
            )
        elif (
            saved is not None
            and not model.target.open
            and (gone := sorted(set(saved.labels) - {*model.target.labels, *model.classes.former}))
        ):
            new = sorted(set(model.target.labels) - {model.classes.former.get(label, label) for label in saved.labels})
            learnt = f"; it is not trained on {', '.join(new)} yet" if new else ""
            sentences.append(
                f"{model.key}: v{number} was trained on {', '.join(gone)}, which the labeling config no longer "
                f"has{learnt}"
            )
    return tuple(sentences)


def unlike(binding: Binding, learnt: Binding, number: int, card: Card) -> str | None:
    """Return the reason why a project cannot start from v<number>, learnt under another binding; None where it fits."""
    why = misfits(binding, number, card)
    if not why:
        return None
    here, there = _answered(binding), _answered(learnt)
    return "; ".join(why) if here == there else f"that version was trained on {there}, and here is {here}"


def _answered(binding: Binding) -> str:
    """Return the controls that models learn, with the fields that they read: `Choices#topic of $text`."""
    found = [f"{control.control_tag.selector} of {model.fields}"
             for model in binding.models if model.learns for control in model.controls]  # fmt: skip
    return ", ".join(found) or "nothing"


def binding_of(recipe: Recipe, project: ProjectRow | None) -> Binding:
    """Return the recipe bound to the labeling config of a project: Label Studio's, else the recipe's own."""
    stored = project.labeling_config if project else None
    xml = known_config(recipe, stored=stored, of_project=project is not None and project.key != LOCAL)
    return bind(recipe, parse_labeling_config(xml) if xml else None)


def load_promoted(store: Store, project: str, binding: Binding) -> Loaded:
    """Return the version that a project serves, else the starting point. Raises VersionError."""
    row = store.versions.served(project)
    return start(binding) if row is None else load_version(binding, row, store.artifacts)


def check_files(folder: Path, card: Card) -> None:
    """Raise VersionError, naming the file, unless every file is there with the hash that the card holds."""
    for name, expected in card.files.items():
        path = folder / name
        try:
            found = file_digest(path)
        except OSError as error:
            raise VersionError(
                f"{path}: cannot be read: {error.strerror}; restore it, or promote another version"
            ) from error
        if found != expected:
            raise VersionError(f"{path}: was changed after it was saved; restore it, or promote another version")
