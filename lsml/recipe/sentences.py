"""A violation of the JSON Schema as a sentence: expected, found, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

from lsml.recipe.scalars import Path
from lsml.recipe.structs import AUTO
from lsml.wording import YAML

_KINDS: Final = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "settings (keys and values)",
    "array": "a list",
    "null": "null",
}


# Where keys belong that people write elsewhere.
_ELSEWHERE: Final = {
    "combine": "it belongs to a list, `{models: [...], combine: ...}`",
}

# True if the value at a path must not be shown.
Hidden = Callable[[Path], bool]
# Values that belong to another key.
_MEANT: Final = {AUTO: f"write `{{adapter: {AUTO}, models: [...]}}`"}
# The purpose of a missing key, where "needs it" is not enough.
_MISSING: Final = {
    "models": "missing; `auto` chooses one of them, such as [text-embedding-classifier, text-classifier]",
}


def sentences(error: ValidationError, hidden: Hidden) -> Iterator[tuple[Path, str]]:
    """Yield (path, sentence) of a violation. `hidden(path)` is True for a value that must not be shown: a secret, or one
    from the environment.
    """
    path: Path = tuple(error.absolute_path)
    expected: Any = error.validator_value
    if error.validator == "anyOf":
        yield from _any_of(error, path, hidden)
    elif error.validator == "additionalProperties":
        schema: Any = error.schema
        instance: Any = error.instance
        known = list(schema.get("properties", {}))
        noun = "option" if path and path[-1] == "options" else "key"
        for key in instance:
            if key not in known and not any(re.search(p, key) for p in schema.get("patternProperties", {})):
                advice = (
                    _ELSEWHERE.get(key) or did_you_mean(key, known) or f"{noun}s here are {', '.join(known) or 'none'}"
                )
                yield (*path, key), f"unknown {noun}; {advice}"
    elif error.validator == "required":
        key = next(name for name in expected if f"'{name}' is" in error.message)
        yield (*path, key), _MISSING.get(key) or f"missing; every {_needing(path)} needs it"
    else:
        yield path, _plain(error, hide=hidden(path))


def _needing(path: tuple[str | int, ...]) -> str:
    """Return the name of the object that lacks a required key."""
    if not path:
        return "recipe"
    if path[:2] == ("server", "users"):
        return "user"
    return "model" if path[0] == "tags" else str(path[-1])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean `x`?`, or "" where no known word is similar."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word[:100].lower(), names, n=1, cutoff=0.6)
    return f"did you mean `{names[near[0]]}`?" if near else ""


def _any_of(error: ValidationError, path: Path, hidden: Hidden) -> Iterator[tuple[Path, str]]:
    """Yield the violations of the branch that fits the value's type; where none does, report the value."""
    schema: Any = error.schema
    by_branch = [list(found) for _, found in groupby(error.context or (), key=lambda e: e.relative_schema_path[0])]
    fitting = [
        branch
        for branch in by_branch
        if not any(e.absolute_path == error.absolute_path and _other_kind(e) for e in branch)
    ]
    if fitting and ("errorMessage" not in schema or isinstance(error.instance, dict)):
        for inner in fitting[0]:
            yield from sentences(inner, hidden)
    else:
        kinds = [kind for branch in by_branch for e in branch if e.validator == "type" for kind in _kinds(e)]
        expected = schema.get("errorMessage") or f"expected {_either(kinds)}"
        got = YAML.kind(error.instance) if hidden(path) or not fitting else YAML.shown(error.instance)
        sentence = _got(expected, got)
        # A value of the right type has another error, which quotes do not fix.
        yield path, sentence if fitting else _with_advice(sentence, kinds, error.instance)


def _other_kind(error: ValidationError) -> bool:
    """Return True if a value has another type than a branch takes. Settings are never one of some names."""
    return error.validator == "type" or (error.validator == "enum" and isinstance(error.instance, dict))


def _plain(error: ValidationError, *, hide: bool) -> str:
    value: Any = error.instance
    limit: Any = error.validator_value
    schema: Any = error.schema
    rule, own = str(error.validator), schema.get("errorMessage")
    got = YAML.kind(value) if hide or rule == "type" else YAML.shown(value)
    if rule == "type":
        return _with_advice(_got(own or f"expected {_either(_kinds(error))}", got), _kinds(error), value)
    if own:
        return _got(own, got)
    if rule == "enum":
        names = [str(name) for name in limit]
        if not names:
            return "no adapter is installed; reinstall lsml"
        advice = "" if hide or not isinstance(value, str) else _MEANT.get(value) or did_you_mean(value, names)
        if value in names and value not in limit:
            advice = "write it without quotes"
        expected = "expected " + ("one of " if len(limit) > 1 else "") + ", ".join(names)
        return f"{_got(expected, got)}; {advice}" if advice else _got(expected, got)
    if rule == "const":
        return _got(f"expected {YAML.shown(limit)}", got)
    if rule in _BOUNDS:
        return _got(f"expected {_BOUNDS[rule].format(f'{limit:.12g}')}", got)
    if rule in ("minItems", "maxItems"):
        bound = "least" if rule == "minItems" else "most"
        return f"expected at {bound} {limit} in the list, got {len(value)}"
    if rule == "uniqueItems":
        twice = next(one for index, one in enumerate(value) if one in value[:index])
        return f"{YAML.shown(twice)} is in the list twice; keep one of the two"
    if rule == "minProperties":
        return "empty; name at least one tag and its adapter"
    if rule == "minLength":
        return f"expected at least {limit} characters, got {len(value)}"
    if rule == "pattern":
        return _got(f"expected a text of the form {limit}", got)
    return f"not allowed by the schema's `{rule}`"


_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "maxLength": "at most {} characters",
}


def _kinds(error: ValidationError) -> list[str]:
    kinds: Any = error.validator_value
    return list(kinds) if isinstance(kinds, list) else [kinds]


def _either(kinds: Iterable[str]) -> str:
    names = list(dict.fromkeys(_KINDS.get(kind, kind) for kind in kinds if kind != "null"))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "null"


def _with_advice(sentence: str, kinds: Iterable[str], value: object) -> str:
    """Return a sentence with the correction of a wrong type: quotes make a text of a number, a space makes a key of a text."""
    if isinstance(value, str) and "object" in kinds and re.match(r"[A-Za-z_][\w#-]*:[^\s/]", value):
        return f"{sentence}; write a space after the colon"
    only_text = set(kinds) <= {"string", "null", "array"} and "string" in kinds
    return f"{sentence}; put it in quotes" if only_text and isinstance(value, bool | int | float) else sentence


def _got(expected: str, got: str) -> str:
    head, separator, advice = expected.partition("; ")
    return f"{head}, got {got}{separator}{advice}"
