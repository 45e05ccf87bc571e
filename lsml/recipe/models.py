"""The entries under `tags` -> models. Each selector is claimed once, and each adapter produces values that its tags take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from lsml.adapters import adapter_names, get_adapter
from lsml.adapters.base import Adapter, NoOptions, TrainableAdapter, option_facts
from lsml.controls import CONTROLS, controls_of
from lsml.controls.regions import RegionControl
from lsml.errors import AdapterError
from lsml.labeling import KNOWN_CONTROL_TAGS
from lsml.recipe.check import candidates_of, entry_models, is_auto
from lsml.recipe.draft import Draft, secret_options
from lsml.recipe.labels import read_labels
from lsml.recipe.needs import check_needs
from lsml.recipe.scalars import Path as KeyPath
from lsml.recipe.schema import MODEL_KEYS
from lsml.recipe.selector import Selector
from lsml.recipe.settings import check_training, training_of
from lsml.recipe.structs import AUTO, Model, Use

_SELECTOR: Final = re.compile(r"(?P<tag>[A-Za-z]+)(?:#(?P<name>\S(?:.*\S)?))?\Z")


def read_models(draft: Draft) -> list[Model]:
    """Return the models in the order of the file. Models with a problem are left out, and the problem is noted."""
    tags = draft.data.value.get("tags")
    if not isinstance(tags, dict):
        return []
    models: list[Model] = []
    served: list[str] = []
    claims: dict[str, tuple[int, int]] = {}
    classes: list[type[Adapter] | None] = []
    for key, entry in tags.items():
        selectors = _selectors(draft, key, claims)
        for rank, (path, given) in enumerate(entry_models(key, entry)):
            model = given if isinstance(given, dict) else {"adapter": given}
            found = _named(draft, path, given)
            named = [one for one in found if one is not None]
            classes += [one and one.adapter for one in found]
            if len(named) < max(1, len(found)) or draft.wrong(path):
                continue
            if len(path) > 2 and draft.wrong(path[:2]) and not selectors:
                continue
            for one in named:
                _check_fit(draft, one.at, one.adapter, selectors)
            if is_auto(given):
                _check_choice(draft, named)
            served += [selector.tag for selector in selectors]
            built = _model(draft, path, model, named, selectors, rank)
            if built is not None:
                models.append(built)
    check_needs(draft, models)
    check_training(draft, ("training",), served)
    given = draft.data.value.get("training")
    if isinstance(given, dict) and classes and None not in classes and not _any_learns(classes):
        names = ", ".join(sorted({adapter.name for adapter in classes if adapter}))
        draft.add(("training",), f"no adapter of this recipe can be trained ({names}); remove the key")
    return models


class _AdapterEntry(NamedTuple):
    """An entry that names an adapter: its path, the path of the name itself, the settings, and the adapter."""

    path: KeyPath
    at: KeyPath
    options: dict[str, object]
    adapter: type[Adapter]


def _named(draft: Draft, path: KeyPath, model: object) -> list[_AdapterEntry | None]:
    """Return the entries that name a model's adapters: itself, or each candidate of `auto`; None for an unknown adapter."""
    found: list[_AdapterEntry | None] = []
    for where, one in candidates_of(path, model) if is_auto(model) else [(path, model)]:
        whole: dict[str, object] = one if isinstance(one, dict) else {"adapter": one}
        name = whole.get("adapter")
        adapter = draft.adapters.get(name) if isinstance(name, str) else None
        at = (*where, "adapter") if isinstance(one, dict) else where
        options = whole.get("options", {})
        if adapter is not None and isinstance(options, dict):
            found.append(_AdapterEntry(where, at, options, adapter.variant(options)))
        else:
            found.append(None)
    return found


def _check_choice(draft: Draft, named: Sequence[_AdapterEntry]) -> None:
    """Note candidates that cannot be compared: adapters that cannot be trained, or with another input."""
    first = named[0].adapter
    for one in named:
        if not issubclass(one.adapter, TrainableAdapter):
            draft.add(one.at, f"{one.adapter.name} cannot be trained, so `auto` cannot compare it; remove it")
        elif not one.adapter.consumes & first.consumes:
            both = [f"{each.name} reads {', '.join(sorted(each.consumes))}" for each in (first, one.adapter)]
            draft.add(one.at, f"{both[0]}, and {both[1]}; `auto` needs adapters with the same input")


def _selectors(draft: Draft, key: str, claims: dict[str, tuple[int, int]]) -> tuple[Selector, ...]:
    from lsml.recipe.sentences import did_you_mean

    path: KeyPath = ("tags", key)
    selectors = []
    for part in key.split(","):
        match = _SELECTOR.match(part.strip())
        if match is None:
            draft.add(path, "not a selector; expected `Tag` or `Tag#name`, several with commas between them", also=True)
            return ()
        selector = Selector(match["tag"], match["name"])
        if selector.tag not in CONTROLS:
            has = ", ".join(sorted(CONTROLS))
            if selector.tag in KNOWN_CONTROL_TAGS:
                draft.add(path, f"lsml does not support {selector.tag} yet; it supports {has}", also=True)
            else:
                advice = did_you_mean(selector.tag, KNOWN_CONTROL_TAGS) or f"lsml has {has}"
                if selector.tag in MODEL_KEYS:
                    advice = "indent it, so that it is under its tag"
                draft.add(path, f"not a control tag; {advice}", also=True)
            return ()
        claimed = claims.setdefault(str(selector), draft.position(path))
        if selector in selectors or claimed != draft.position(path):
            draft.add(path, f"`{selector}` is already on line {claimed[0]}; keep one of the two", also=True)
        selectors.append(selector)
    return tuple(selectors)


def _check_fit(draft: Draft, path: KeyPath, adapter: type[Adapter], selectors: tuple[Selector, ...]) -> None:
    for selector in selectors:
        taken = [control.value_type for control in controls_of(selector.tag)]
        if not adapter.produces.intersection(taken):
            wanted = taken[0]
            gives = ", ".join(sorted(_title(value_type) for value_type in adapter.produces))
            fitting = " or ".join(_adapters_that_give(wanted))
            advice = f"use {fitting}" if fitting else "no installed adapter produces this"
            draft.add(path, f"{adapter.name} gives {gives}, and {selector.tag} takes {_title(wanted)}; {advice}")
            return


def _learns_unasked(adapter: type[Adapter]) -> bool:
    return not issubclass(adapter, TrainableAdapter) or adapter.learns_unasked


def _model(
    draft: Draft,
    path: KeyPath,
    model: dict[str, Any],
    named: Sequence[_AdapterEntry],
    selectors: tuple[Selector, ...],
    rank: int,
) -> Model | None:
    uses = [use for one in named if (use := _use(draft, one)) is not None]
    if len(uses) < len(named):
        return None
    adapters = [one.adapter for one in named]
    if model.get("inputs") and not all(_can_join(draft, (*path, "inputs"), one, selectors) for one in adapters):
        return None
    if "$" in model.get("inputs", ()):
        draft.add((*path, "inputs"), "`$` names no field of the task; write one such as `$text`")
        return None
    needs = _needed(draft, (*path, "needs"), model.get("needs"))
    if needs is None or not _reads_one_thing(draft, path, model):
        return None
    learns = all(issubclass(adapter, TrainableAdapter) for adapter in adapters)
    own = model.get("training", {})
    if "training" in model and isinstance(own, dict) and not learns:
        draft.add((*path, "training"), f"{adapters[0].name} cannot be trained; remove the key")
    check_training(draft, (*path, "training"), [selector.tag for selector in selectors])
    common = draft.data.value.get("training", {})
    if draft.wrong(("training",)):
        return None
    if "training" in model:
        training = None if own is False else training_of({**(common or {}), **own})
    elif "training" in draft.data.value or all(map(_learns_unasked, adapters)):
        training = training_of(common)
    else:
        training = None
    labels = read_labels(draft, path, model)
    line, column = draft.position(path)
    chosen = model.get("adapter") == AUTO
    return Model(
        selectors=selectors,
        adapter=AUTO if chosen else uses[0].adapter,
        options=NoOptions() if chosen else uses[0].options,
        candidates=tuple(uses) if chosen else (),
        rank=rank,
        inputs=tuple(model.get("inputs", ())),
        needs=needs,
        around=model.get("around", 0),
        threshold=labels.threshold,
        labels=labels.classes,
        was=labels.was,
        descriptions=labels.descriptions,
        show=model.get("show", True),
        combine=entry.get("combine", "first") if isinstance(entry := draft.at(path[:2]), dict) else "first",
        training=training if learns else None,
        secret_options=() if chosen else uses[0].secret_options,
        path=path,
        line=line,
        column=column,
    )


def _use(draft: Draft, named: _AdapterEntry) -> Use | None:
    """Return an adapter with its settings; None if they have a problem."""
    adapter, path = named.adapter, (*named.path, "options")
    files = [(*path, name) for name, meta in option_facts(adapter.Options).items() if meta.get("file")]
    if not all(draft.possible(file) for file in files):
        return None
    try:
        options = msgspec.convert(_beside(draft.path, named.options, adapter), adapter.Options)
    except msgspec.ValidationError as error:
        # A struct itself checks for options that exclude each other.
        secret = bool(secret_options(adapter)) or any(
            location.from_environment for at, location in draft.data.locations.items() if at[: len(path)] == path
        )
        draft.add(path, "its values do not fit" if secret else str(error).partition(" - at `")[0])
        return None
    return Use(adapter=adapter.name, options=_pinned(options, draft.pinned), secret_options=secret_options(adapter))


def _pinned(options: msgspec.Struct, folders: Mapping[str, Path]) -> msgspec.Struct:
    """Return options in which the name of a locked model is its folder."""
    fields = {field.encode_name: field.name for field in msgspec.structs.fields(options)}
    named = {
        fields[name]: getattr(options, fields[name])
        for name, meta in option_facts(type(options)).items()
        if meta.get("file")
    }
    locked = {field: str(folders[name]) for field, name in named.items() if name in folders}
    return msgspec.structs.replace(options, **locked) if locked else options


def _needed(draft: Draft, path: KeyPath, given: str | None) -> tuple[Selector, ...] | None:
    """Return the selectors of `needs`; None, and note a problem, for any other value."""
    found = []
    for part in [] if given is None else given.split(","):
        match = _SELECTOR.match(part.strip())
        if match is None:
            draft.add(path, "not a selector; expected `Tag` or `Tag#name`, several with commas between them")
            return None
        found.append(Selector(match["tag"], match["name"]))
    return tuple(found)


def _reads_one_thing(draft: Draft, path: KeyPath, model: Mapping[str, object]) -> bool:
    """Return True if `inputs`, `needs` and `around` go together; else note a problem."""
    if model.get("needs") and model.get("inputs"):
        draft.add((*path, "inputs"), "with `needs`, a model reads only regions; remove one of the two")
        return False
    if model.get("around") and not model.get("needs"):
        draft.add((*path, "around"), "only a model with `needs` can use it; add `needs`, or remove the key")
        return False
    return True


def _can_join(draft: Draft, path: KeyPath, adapter: type[Adapter], selectors: tuple[Selector, ...]) -> bool:
    """Return True if an adapter can read several inputs as one; else note a problem."""
    if not adapter.consumes & {"Text", "Table"}:
        reads = ", ".join(sorted(adapter.consumes))
        draft.add(path, f"{adapter.name} reads {reads}, but `inputs` gives a text or columns; remove the key")
        return False
    pointing = next((one for one in selectors if issubclass(CONTROLS[one.tag], RegionControl)), None)
    if pointing is not None:
        draft.add(
            path, f"{pointing.tag} marks parts of one object, and joined inputs are not one object; remove the key"
        )
    return pointing is None


def _beside(recipe: Path, options: Mapping[str, object], adapter: type[Adapter]) -> dict[str, object]:
    """Return options with the paths of files beside the recipe. Where there is no such file, the value may be a model's
    name.
    """
    found = dict(options)
    for name, meta in option_facts(adapter.Options).items():
        given = options.get(name)
        if (
            meta.get("file")
            and isinstance(given, str)
            and given
            and (recipe.parent / Path(given).expanduser()).exists()
        ):
            found[name] = str((recipe.parent / Path(given).expanduser()).absolute())
    return found


def _any_learns(classes: Iterable[type[Adapter] | None]) -> bool:
    return any(adapter is not None and issubclass(adapter, TrainableAdapter) for adapter in classes)


def _adapters_that_give(value_type: type) -> list[str]:
    found = []
    for name in adapter_names():
        try:
            if value_type in get_adapter(name).produces:
                found.append(name)
        except AdapterError:
            continue  # a broken plug-in is never recommended
    return found


def _title(value_type: type) -> str:
    return str(getattr(value_type, "title", value_type.__name__))
