"""What is known of a version: its card, and the name that says what decides its predictions."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from lsml.binding import Binding, LeftOut
from lsml.errors import VersionError
from lsml.store import LOCAL, VersionRow
from lsml.versions.decisions import Decision, upgraded_decisions
from lsml.versions.outlook import Outlook, VersionPoint

FORMAT = 1


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

    `metrics`: by control, on the held-out tasks. `decisions`: by model key, why what it learnt was taken or not, with the
    figures. `promoted`: whether the version was when it was made, and `verdict`: why, for people. `left_out`: what of the
    annotations could not be understood. `history`: the versions before it on the learning curve, and `outlook`: what more
    annotations bring. `files`: SHA-256 of every file, by path.
    """

    recipe: str
    models: dict[str, ModelCard]
    metrics: dict[str, dict[str, Any]] = {}
    decisions: dict[str, Decision] = {}
    verdict: str = ""
    promoted: bool = False
    tasks: int = 0
    held_out: int = 0
    snapshot: str = ""
    seed: int = 0
    notes: list[str] = []
    left_out: list[LeftOut] = []
    history: list[VersionPoint] = []
    outlook: Outlook | None = None
    created_at: float = 0.0
    lsml: str = ""
    format: int = FORMAT
    files: dict[str, str] = {}

    def known_labels(self) -> dict[str, list[str]]:
        """The labels that each model can answer with, by model key."""
        return {key: model.labels for key, model in self.models.items()}


def model_version(binding: Binding, number: int, card: Card | None, project: str) -> str:
    """`<recipe name>-v<number>-<hash of what else decides a prediction>`, and whose it is where one project learnt it: `-p7` of
    Label Studio's project 7. Number 0: nothing was learnt, and what was learnt offline is nobody's alone."""
    known = card.known_labels() if card is not None else {}
    facts = msgspec.json.encode(binding.facts(known), order="sorted")
    whose = f"-p{short_key(project)}" if number and project != LOCAL else ""
    return f"{binding.recipe.name}-v{number}-{hashlib.sha256(facts).hexdigest()[:8]}{whose}"


def short_key(project: str) -> str:
    """A project's key in a name: of `7.1795424700` Label Studio's number of it."""
    return re.sub(r"[^A-Za-z0-9]", "_", project.partition(".")[0])[:24]


def names_of(recipe: str) -> re.Pattern[str]:
    """What matches every `model_version` of a recipe, by its name, and no other's. Groups: the number, and `short_key` of the
    project, where one learnt it."""
    return re.compile(rf"{re.escape(recipe)}-v(\d{{1,9}})-[0-9a-f]{{8}}(?:-p([A-Za-z0-9_]{{1,24}}))?", re.ASCII)


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
    """A card as it is written today. Older ones told in sentences what are fields now: `promoted`, and `carried_from`; and
    held figures where `decisions` are."""
    if "compared" in card:
        card = {**card, "decisions": upgraded_decisions(card["compared"])}
    if "promoted" in card or not isinstance(card.get("models"), dict):
        return card
    models = {}
    for key, model in card["models"].items():
        carried = (
            re.fullmatch(r"carried over from v(\d+)", str(model.get("source"))) if isinstance(model, dict) else None
        )
        models[key] = {**model, "carried_from": int(carried[1])} if carried else model
    return {**card, "models": models, "promoted": str(card.get("verdict", "")).startswith("promoted")}
