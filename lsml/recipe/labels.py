"""A model's `labels`: in the short form a label's class names, in the long form all settings of a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from lsml.recipe.draft import Draft
from lsml.recipe.scalars import Path as KeyPath

_Names = Annotated[str, Meta(min_length=1)] | list[Annotated[str, Meta(min_length=1)]]


class LongLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label of the labeling config."""

    classes: Annotated[
        _Names, Meta(description="The class names of a pretrained model that stand for this label.")
    ] = []
    threshold: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Values of this label with a lower score are dropped."),
    ] = None
    description: Annotated[
        str,
        Meta(description="Its meaning, for people, for language models and for zero-shot; `lsml explain` shows it."),
    ] = ""
    was: Annotated[
        _Names,
        Meta(
            description="Its former names: annotations with these names count as this label, and versions that were "
            "trained on them predict it. In a tree a name, or a path such as `Animals / Owl`."
        ),
    ] = []


class LabelMap(NamedTuple):
    """The content of a model's `labels`: class names, former names and a description by label, where there are any.

    `threshold` is the model's, with those of single labels.
    """

    classes: dict[str, tuple[str, ...]]
    was: dict[str, tuple[str, ...]]
    descriptions: dict[str, str]
    threshold: float | dict[str, float] | None


def read_labels(draft: Draft, path: KeyPath, model: Mapping[str, Any]) -> LabelMap:
    """Return the content of a model's `labels` and `threshold`; note a problem where they contradict each other."""
    given = model.get("threshold")
    threshold = {name: float(share) for name, share in given.items()} if isinstance(given, dict) else given
    classes: dict[str, tuple[str, ...]] = {}
    was: dict[str, tuple[str, ...]] = {}
    descriptions: dict[str, str] = {}
    shares: dict[str, float] = {}
    for label, entry in model.get("labels", {}).items():
        long = entry if isinstance(entry, dict) else {"classes": entry}
        if names := _names(long.get("classes", [])):
            classes[label] = names
        if names := _names(long.get("was", [])):
            was[label] = names
        if long.get("description"):
            descriptions[label] = long["description"]
        if long.get("threshold") is not None:
            shares[label] = float(long["threshold"])
    _check(draft, (*path, "labels"), was, shares, threshold)
    if shares:
        others = threshold if isinstance(threshold, dict) else {} if threshold is None else {"default": threshold}
        threshold = {**others, **shares}
    return LabelMap(classes, was, descriptions, threshold)


def _check(
    draft: Draft, path: KeyPath, was: Mapping[str, tuple[str, ...]], shares: Mapping[str, float], threshold: object
) -> None:
    """Note a label with two thresholds, and a former name that two labels have."""
    for label in shares:
        if isinstance(threshold, dict) and label in threshold:
            draft.add((*path, label, "threshold"), f"`threshold.{label}` also sets it; keep one of the two")
    taken: dict[str, str] = {}
    for label, names in was.items():
        for name in names:
            if taken.setdefault(name, label) != label:
                draft.add(
                    (*path, label, "was"), f"`{name}` is also a former name of {taken[name]}; keep one of the two"
                )


def _names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
