"""The check of a recipe against its schema: the adapters that it names, and every violation in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeGuard, cast

from lsml.adapters import adapter_names, get_adapter
from lsml.errors import AdapterError
from lsml.recipe.draft import Draft
from lsml.recipe.scalars import Path as KeyPath
from lsml.recipe.schema import schema_for
from lsml.recipe.structs import AUTO

if TYPE_CHECKING:
    from jsonschema import ValidationError


def entry_models(selector: str, entry: object) -> list[tuple[KeyPath, object]]:
    """Return the models of one entry under `tags`, each with its path."""
    if isinstance(entry, dict) and "models" in entry and "adapter" not in entry:
        models = entry["models"] if isinstance(entry["models"], list) else []
        return [(("tags", selector, "models", index), model) for index, model in enumerate(models)]
    if isinstance(entry, list):
        return [(("tags", selector, index), model) for index, model in enumerate(entry)]
    return [(("tags", selector), entry)]


def named_adapters(tags: object) -> list[tuple[KeyPath, object]]:
    """Return what names an adapter under `tags`, each with its path: every model, and the candidates of `auto`."""
    found: list[tuple[KeyPath, object]] = []
    for selector, entry in tags.items() if isinstance(tags, dict) else ():
        for path, model in entry_models(selector, entry):
            found += candidates_of(path, model) if is_auto(model) else [(path, model)]
    return found


def is_auto(model: object) -> TypeGuard[dict[str, object]]:
    """Return True if cross-validation chooses a model."""
    return isinstance(model, dict) and model.get("adapter") == AUTO


def candidates_of(path: KeyPath, model: dict[str, object]) -> list[tuple[KeyPath, object]]:
    """Return the candidates of `auto`, each with its path."""
    given = model.get("models")
    return [((*path, "models", index), one) for index, one in enumerate(given if isinstance(given, list) else ())]


def find_adapters(draft: Draft) -> None:
    """Import the adapters that the recipe names, and no others."""
    known = set(adapter_names())
    for path, model in named_adapters(draft.data.value.get("tags")):
        name = model.get("adapter") if isinstance(model, dict) else model
        if isinstance(name, str) and name in known and name not in draft.adapters:
            try:
                draft.adapters[name] = get_adapter(name)
            except AdapterError as error:
                draft.add((*path, "adapter") if isinstance(model, dict) else path, str(error))


def check_schema(draft: Draft) -> None:
    """Note every violation of the schema for the adapters that were found."""
    from jsonschema.validators import Draft202012Validator, extend

    from lsml.recipe.sentences import sentences

    # JSON Schema counts 1e308 as a whole number; the struct that it is read into does not.
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    validator = extend(Draft202012Validator, type_checker=whole)(  # type: ignore[no-untyped-call]  # of jsonschema
        schema_for(draft.adapters, adapter_names())
    )
    errors = list(validator.iter_errors(draft.data.value))
    if errors and _keep_texts(draft, errors):
        errors = list(validator.iter_errors(draft.data.value))
    for error in errors:
        for path, sentence in sentences(error, draft.hidden):
            draft.add(path, sentence)


def _keep_texts(draft: Draft, errors: Iterable[ValidationError]) -> bool:
    """Turn values from the environment back into texts where a text belongs: a password may be all digits.

    Return True if one was changed.
    """
    changed = False
    leaves = list(errors)
    while leaves:
        error = leaves.pop()
        leaves += error.context or ()
        path = tuple(error.absolute_path)
        location = draft.data.locations.get(path)
        if (
            error.validator == "type"
            and "string" in cast("str | list[str]", error.validator_value)
            and location
            and location.from_environment
        ):
            draft.at(path[:-1])[path[-1]] = location.text
            changed = True
    return changed
