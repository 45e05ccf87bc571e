"""The JSON Schema of a recipe, derived from the structs and from each adapter's Options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lsml.adapters.base import Adapter
from lsml.controls import CONTROLS
from lsml.recipe.holdout import Holdout
from lsml.recipe.labels import LongLabel
from lsml.recipe.learn_from import LearnFrom
from lsml.recipe.promotion import Promote
from lsml.recipe.publishing import Publish, Submit
from lsml.recipe.score import Score, ScoreKind
from lsml.recipe.server import Server
from lsml.recipe.storage import Storage
from lsml.recipe.structs import AUTO, LabelStudio, Media, Notify, Training

_REF: Final = "#/$defs/{name}"
_DURATIONS: Final = (
    ("Training", "quiet", "20s"),
    ("Training", "timeout", "6h"),
    ("Limits", "time", "1m"),
    ("Server", "gather", "100ms"),
    ("Media", "fresh", "1m"),
    ("Media", "timeout", "30s"),
)
_TRAINING: Final = {
    "anyOf": [{"$ref": "#/$defs/Training"}, {"type": "boolean", "const": False}],
    "errorMessage": "expected `false` or settings; remove the key for the defaults",
}
_PUBLISH: Final = {
    "anyOf": [{"$ref": "#/$defs/Publish"}, {"type": "boolean", "const": False}],
    "errorMessage": "expected `false` or settings; remove the key for the defaults",
}
_LABELS: Final = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            {"$ref": "#/$defs/LongLabel"},
        ],
        "errorMessage": "expected class names (numbers in quotes) or settings",
    },
}
_SCORE: Final = {"type": "number", "minimum": 0, "maximum": 1}
_THRESHOLD: Final = {"anyOf": [_SCORE, {"type": "object", "additionalProperties": _SCORE}, {"type": "null"}]}


_ONE: Final = {"anyOf": [{"$ref": "#/$defs/adapter"}, {"$ref": "#/$defs/ModelEntry"}]}


_Options = Annotated[
    dict[str, Any], Meta(description="The adapter's own settings, all with defaults; see `lsml adapters`.")
]


class AutoCandidate(msgspec.Struct, forbid_unknown_fields=True):
    """One of the candidates of `auto`: an adapter and its settings."""

    adapter: Annotated[object, Meta(description="The adapter's name.", extra_json_schema={"$ref": "#/$defs/adapter"})]
    options: _Options = {}


class ModelEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One model: an adapter and how it is used."""

    adapter: Annotated[
        Any,
        Meta(
            description="The adapter's name, or `auto`: each training selects one of `models` by cross-validation.",
        ),
    ]
    options: _Options = {}
    models: Annotated[
        list[str | AutoCandidate] | UnsetType,
        Meta(
            description="The candidates of `auto`: two or more adapters that can be trained, each a name or a map of "
            "`adapter` and `options`. If several are equally good, the first is used.",
            extra_json_schema={
                "minItems": 2,
                "items": {"anyOf": [{"$ref": "#/$defs/adapter"}, {"$ref": "#/$defs/AutoCandidate"}]},
            },
        ),
    ] = UNSET
    inputs: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(
            description="The inputs, instead of the control's own object: names of object tags, and fields of the task "
            "such as `$customer_tier`. Texts are joined with a blank line; `tabular` gets columns.",
            extra_json_schema={"uniqueItems": True},
        ),
    ] = []
    needs: Annotated[
        str | None,
        Meta(
            description="The tags whose regions it reads: a selector, or several with commas, each with a model. It "
            "reads each region instead of the whole task: a span's text, the image in a box, the sound of "
            'a segment. Its own tag needs `perRegion="true"`.',
        ),
    ] = None
    around: Annotated[
        int,
        Meta(
            ge=0,
            le=200,
            description="With `needs`: the margin around a region that it also reads. In a text, words on either "
            "side; in an image, percent of the region's sides; for a segment, percent of its length.",
        ),
    ] = 0
    threshold: Annotated[
        Any,
        Meta(
            description="Values with a lower score are dropped: a number, or a map from label to number with `default`.",
            extra_json_schema=_THRESHOLD,
        ),
    ] = None
    labels: Annotated[
        Any,
        Meta(
            description="A map from a label of the config to a pretrained model's class names for it, or to its settings.",
            extra_json_schema=_LABELS,
        ),
    ] = {}
    show: Annotated[
        bool,
        Meta(
            description="`false` hides its predictions from annotators. They still count for a prediction's score, "
            "and are evaluated if no visible model serves the same control tag."
        ),
    ] = True
    training: Annotated[
        Any | UnsetType,
        Meta(
            description="Settings for this model that differ from the recipe's, or `false` for never.",
            extra_json_schema={**_TRAINING, "default": {}},
        ),
    ] = UNSET


class ModelList(msgspec.Struct, forbid_unknown_fields=True):
    """Several models for the same tags, and how their answers are combined."""

    models: Annotated[
        list[Any],
        Meta(
            description="The models, each an adapter's name or a map.", extra_json_schema={"minItems": 1, "items": _ONE}
        ),
    ]
    combine: Annotated[
        Literal["first", "union", "vote"],
        Meta(
            description="How several answers are combined. first: the first model that answers. union: all of them, for each "
            "label the highest probability, all regions, the number with the highest score. vote: the mean probability of each "
            "label, the regions that more than half of the models find, the median number."
        ),
    ] = "first"


# Keys that go with `adapter: auto`, and those that do not.
_CHOSEN: Final = {
    "if": {"properties": {"adapter": {"const": AUTO}}, "required": ["adapter"]},
    "then": {
        "required": ["models"],
        "properties": {
            "options": {"not": {}, "errorMessage": "expected none beside `adapter: auto`; write them under `models`"}
        },
    },
    "else": {
        "properties": {
            "models": {
                "not": {},
                "errorMessage": "expected none beside one adapter; write `adapter: auto` to select one of them, or "
                "remove `adapter` to use them all",
            }
        }
    },
}
MODEL_KEYS: Final = ModelEntry.__struct_fields__


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A recipe of lsml: the adapters that answer the tags of a Label Studio labeling config, and how they learn."""

    lsml: Annotated[Literal[1], Meta(description="The format of this file.")]
    name: Annotated[
        str,
        Meta(
            description="Names the data directory and the model versions.",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)",
            extra_json_schema={
                "errorMessage": "expected at most 64 letters, digits, `.`, `_` and `-`, the first a letter or digit"
            },
        ),
    ]
    tags: Annotated[
        dict[str, Any],
        Meta(
            description="A map from a selector (`Choices`, `Choices#topic`, or several with commas) to an adapter's name, a "
            "model, or a list of those. In a list, the first that answers wins.",
        ),
    ]
    description: Annotated[str, Meta(description="The purpose of the recipe, in a sentence.")] = ""
    labeling_config: Annotated[
        str | None,
        Meta(
            description="The config for requests without a project: XML, or a path to an .xml file from the recipe's folder."
        ),
    ] = None
    score: Annotated[
        ScoreKind | Score,
        Meta(
            description="The score by which Label Studio sorts tasks: low is uncertain. The least certain tag counts; "
            "`{by: margin, of: Choices#topic}` takes one tag."
        ),
    ] = "confidence"
    training: Annotated[
        Any,
        Meta(
            description="How models are trained, if their adapters can be; `false` for never.",
            extra_json_schema={**_TRAINING, "default": {}},
        ),
    ] = UNSET
    publish: Annotated[
        Any,
        Meta(
            description="After a promotion and after an import of tasks, lsml posts predictions for unannotated "
            "tasks. It needs Label Studio's address and a token; `false` for never.",
            extra_json_schema={**_PUBLISH, "default": {}},
        ),
    ] = UNSET
    submit: Annotated[
        Submit | None,
        Meta(
            description="After each publishing, predictions with a high confidence become annotations of the token's "
            "user. By default none do."
        ),
    ] = None
    notify: Annotated[
        Notify | None,
        Meta(
            description="An address that gets a message when a version is promoted or not, a run fails, labels drift, "
            "or more annotations will hardly help. By default there is none."
        ),
    ] = None
    label_studio: Annotated[LabelStudio, Meta(description="Label Studio's own API.")] = LabelStudio()
    server: Annotated[Server, Meta(description="The address of lsml, and who has access.")] = Server()
    storage: Annotated[Storage, Meta(description="The place of annotations and versions.")] = Storage()
    media: Annotated[Media, Meta(description="The files that lsml fetches for tasks.")] = Media()


def recipe_schema(adapters: Mapping[str, type[Adapter]] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a recipe that uses these adapters; by default, every installed one."""
    if adapters is None:
        from lsml.adapters import adapter_names, get_adapter

        adapters = {name: get_adapter(name) for name in adapter_names()}
    return schema_for(adapters, adapters)


def schema_for(adapters: Mapping[str, type[Adapter]], names: Iterable[str]) -> dict[str, Any]:
    """Return the schema as `recipe_schema` does. `names` may hold more than the adapters whose options matter."""
    types: list[Any] = [File, AutoCandidate, ModelEntry, ModelList, LongLabel, Training, Publish]
    _, definitions = msgspec.json.schema_components(types, ref_template=_REF)
    file = definitions.pop("File")
    model = definitions["ModelEntry"]
    for of, key, default in _DURATIONS:
        # msgspec derives the type of what is kept, which is seconds.
        definitions[of]["properties"][key] |= {"type": ["number", "string"], "default": default}
    _order_enums(file, File)
    _order_enums(definitions["Training"], Training)
    _order_enums(definitions["LearnFrom"], LearnFrom)
    _order_enums(definitions["Publish"], Publish)
    _order_enums(definitions["Promote"], Promote)
    _order_enums(definitions["Score"], Score)
    _order_enums(definitions["Holdout"], Holdout)
    definitions["adapter"] = {"type": "string", "enum": sorted(names)}
    _order_enums(definitions["ModelList"], ModelList)
    definitions["entry"] = {
        "description": "An adapter's name, a model, or a list of those, also with what they do together.",
        "if": {"type": "object", "required": ["models"], "not": {"required": ["adapter"]}},
        "then": {"$ref": "#/$defs/ModelList"},
        "else": {"anyOf": [*_ONE["anyOf"], {"type": "array", "minItems": 1, "items": _ONE}]},
    }
    model["properties"]["adapter"] |= {"type": "string", "enum": [*sorted(names), AUTO]}
    model["allOf"] = [_CHOSEN]
    for name in sorted(adapters):
        (options,), found = msgspec.json.schema_components(
            [adapters[name].Options], ref_template=f"#/$defs/{name}.{{name}}"
        )
        definitions.update({f"{name}.{key}": definition for key, definition in found.items()})
        _order_enums(found.get(adapters[name].Options.__name__, {}), adapters[name].Options)
        own = {
            "if": {"properties": {"adapter": {"const": name}}, "required": ["adapter"]},
            "then": {"properties": {"options": options}},
        }
        model["allOf"].append(own)
        definitions["AutoCandidate"].setdefault("allOf", []).append(own)
    file["properties"]["tags"] |= {
        "minProperties": 1,
        # Names that an editor offers; `Choices#topic` matches the last pattern.
        "properties": {tag: {"$ref": "#/$defs/entry"} for tag in sorted(CONTROLS)},
        "additionalProperties": {"$ref": "#/$defs/entry"},
    }
    file["patternProperties"] = {"^x-": {"description": "Ignored: for anchors and notes of your own."}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **file,
        "title": "lsml recipe, format 1",
        "$defs": definitions,
    }


def _order_enums(definition: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Put names into the order of their source, as msgspec sorts them."""
    names = dict(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))
    for field, hint in get_type_hints(struct).items():
        key = names.get(field, field)
        schema = definition.get("properties", {}).get(key, {})
        kinds = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal]
        for one in (schema, *schema.get("anyOf", ())):
            if kinds and "enum" in one:
                one["enum"] = list(get_args(kinds[0]))
