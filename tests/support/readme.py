"""The generated parts of the documentation: `python -m tests.support.readme` writes the recipe reference from the JSON Schema,
and with `catalogue` the pages on adapters and the gallery."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsml.adapters import builtin_adapters
from lsml.cli.adapters import answered_tags
from lsml.recipe import recipe_schema
from tests.support import catalogue

REFERENCE = Path(__file__).parents[2] / "docs" / "recipe.md"
BEGIN = "<!-- recipe reference: written by `python -m tests.support.readme`, checked by the tests -->"
END = "<!-- end of the recipe reference -->"

Schema = Mapping[str, Any]
_BELOW = "below"

# What the types of the schema say less well than a word.
_VALUES = {
    "tags": "map from selector to model",
    "labeling_config": "XML, or a path",
    "tags.SELECTOR.adapter": "a name",
    "tags.SELECTOR.threshold": "0 to 1, or a map from label to that",
    "tags.SELECTOR.labels": "map from label to a name, a list of names, or below",
    "tags.SELECTOR.list.models": "list of models",
    "tags.SELECTOR.labels.LABEL.classes": "a name, or a list of names",
    "tags.SELECTOR.labels.LABEL.was": "a name, or a list of names",
    "training.every": "number from 1, or a share such as 10%",
    "training.quiet": "duration",
    "training.timeout": "duration from 1s",
    "server.limits.time": "duration from 1s",
    "server.gather": "duration",
    "server.cache": "size, or 0",
    "server.limits.body": "size",
    "server.limits.free_disk": "size",
    "media.cache": "size",
    "media.file": "size",
    "media.fresh": "duration",
    "tags.SELECTOR.models": "list of names or maps",
    "media.timeout": "duration from 1s",
    "server.secret_path": "text of letters, digits, `- _ . ~ /`",
    "name": "at most 64 letters, digits, `. _ -`",
}


def recipe_reference() -> str:
    """The reference as Markdown: one table for each section of a recipe, one for each built-in adapter's options."""
    adapters = builtin_adapters()
    schema = recipe_schema(adapters)
    parts = [_section("Top level", "", schema, schema)]
    parts.append(
        _section(
            "Each model under `tags`", "tags.SELECTOR", schema["$defs"]["ModelEntry"], schema,
            "A selector's value is an adapter's name, a map of these keys, or a list of either.",
        )
    )  # fmt: skip
    parts.append(
        _section(
            "Several models under `tags`", "tags.SELECTOR.list", schema["$defs"]["ModelList"], schema,
            "In place of a list, a map of these keys says what its models do together.",
        )
    )  # fmt: skip
    parts.append(
        _section("Each label under `labels`", "tags.SELECTOR.labels.LABEL", schema["$defs"]["LongLabel"], schema)
    )
    for key, lead in (
        ("training", "`training: false` never learns; the same keys under one model override the recipe's."),
        ("publish", "`publish: false` never posts a prediction that nobody asked for."),
        ("submit", ""),
        ("notify", ""),
        ("label_studio", ""),
        ("server", ""),
        ("storage", ""),
        ("media", ""),
    ):
        struct = _resolve(schema["properties"][key], schema)
        parts.append(_section(f"`{key}`", key, struct, schema, lead))
    parts.append(_section("`score`", "score", schema["$defs"]["Score"], schema))
    parts.append(_section("`training.holdout`", "training.holdout", schema["$defs"]["Holdout"], schema))
    parts.append(_section("`training.promote`", "training.promote", schema["$defs"]["Promote"], schema))
    parts.append(_section("`training.learn_from`", "training.learn_from", schema["$defs"]["LearnFrom"], schema))
    parts.append(_section("Each user under `server.users`", "server.users.NAME", schema["$defs"]["User"], schema))
    parts.append(_section("`server.limits`", "server.limits", schema["$defs"]["Limits"], schema))
    parts.append(_section("`storage.queues`", "storage.queues", schema["$defs"]["Queues"], schema))
    for name, adapter in adapters.items():
        entry = next(
            one
            for one in schema["$defs"]["AutoCandidate"]["allOf"]
            if one["if"]["properties"]["adapter"]["const"] == name
        )
        struct = _resolve(entry["then"]["properties"]["options"], schema)
        answers = ", ".join(f"`{tag}`" for tag in answered_tags(adapter))
        reads = ", ".join(f"`{tag}`" for tag in sorted(adapter.consumes))
        title = f"{adapter.title[0].upper()}{adapter.title[1:].rstrip('.')}"
        lead = f"{title}. Answers {answers}; reads {reads}."
        parts.append(_section(f"`options` of `{name}`", name, struct, schema, lead))
    return "\n\n".join(parts)


def _section(title: str, path: str, struct: Schema, schema: Schema, lead: str = "") -> str:
    """A heading, a sentence, a table."""
    rows = ["| key | values | default | what it does |", "|---|---|---|---|"]
    for key, field in struct["properties"].items():
        values = _VALUES.get(f"{path}.{key}".lstrip(".")) or _values(field, schema)
        if field.get("default", "") is None:
            values = values.removesuffix(" or `null`")  # leaving the key out says the same
        default = "required" if key in struct["required"] else _default(field, schema)
        rows.append(f"| `{key}` | {_cell(values)} | {default} | {_cell(field['description'])} |")
    heading = f"## {title}"
    return "\n\n".join([heading, *([lead] if lead else []), "\n".join(rows)])


def _resolve(field: Schema, schema: Schema) -> Schema:
    """The definition behind a `$ref`, first of an `anyOf`."""
    options = field.get("anyOf", [field])
    reference = next(one["$ref"] for one in options if "$ref" in one)
    found: Schema = schema["$defs"][reference.removeprefix("#/$defs/")]
    return found


def _values(field: Schema, schema: Schema) -> str:
    """What a key may hold, in a few words."""
    return " or ".join(dict.fromkeys(_each(field, schema)))


def _each(field: Schema, schema: Schema) -> Iterator[str]:
    if "anyOf" in field:
        for one in field["anyOf"]:
            yield from _each(one, schema)
    elif "enum" in field:
        yield ", ".join(f"`{value}`" for value in field["enum"])
    elif "const" in field:
        yield f"`{json.dumps(field['const'])}`"
    elif "$ref" in field:
        definition = schema["$defs"][field["$ref"].removeprefix("#/$defs/")]
        if definition.get("type") == "object":
            yield _BELOW
        else:
            yield from _each(definition, schema)
    elif field.get("type") == "array" and "prefixItems" in field:
        yield "[" + ", ".join(_values(one, schema) for one in field["prefixItems"]) + "]"
    elif field.get("type") == "array":
        yield f"list of {_values(field['items'], schema)}"
    elif field.get("type") == "object":
        inner = field.get("additionalProperties")
        yield f"map to {_values(inner, schema)}" if isinstance(inner, Mapping) else "map"
    elif field.get("type") in ("integer", "number"):
        yield _number(field)
    else:
        yield {"boolean": "`true`, `false`", "string": "text", "null": "`null`"}[field["type"]]


def _number(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    name = "whole number" if field["type"] == "integer" else "number"
    if "exclusiveMinimum" in field:
        name, low = f"{name} above {_plain(field['exclusiveMinimum'])}", None
    if low is not None and high is not None:
        return f"{_plain(low)} to {_plain(high)}"
    ends = [f" from {_plain(low)}" if low is not None else "", f" up to {_plain(high)}" if high is not None else ""]
    return name + "".join(ends)


def _plain(number: float) -> str:
    """5000000 as people read it."""
    return f"{int(number):,}".replace(",", " ") if number == int(number) else f"{number:g}"


def _default(field: Schema, schema: Schema) -> str:
    default = field.get("default")
    if isinstance(default, Mapping) and _values(field, schema).startswith(_BELOW):
        return _BELOW
    return "" if default in (None, "", {}) else f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _cell(text: str) -> str:
    """Text that cannot end its cell, nor pass for an HTML tag."""
    return text.replace("|", r"\|").replace("<it>", "`<it>`").replace("`<it>`/<name>", "`<it>/<name>`")


def with_reference(page: str) -> str:
    """The page's text with the recipe reference of now between its markers."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{recipe_reference()}\n\n{END}{after}"


if __name__ == "__main__":
    REFERENCE.write_text(with_reference(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    catalogue.write()
