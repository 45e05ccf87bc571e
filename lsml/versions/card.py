"""The card of a version, which holds everything known of it, and the name `model_version` that its predictions carry."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from lsml.binding import Binding, LeftOut, Selection
from lsml.errors import VersionError
from lsml.metrics import Metrics
from lsml.store import LOCAL, VersionRow
from lsml.versions.decisions import Decision, upgraded_decisions
from lsml.versions.drift import Alert, Drift
from lsml.versions.outlook import Outlook, VersionPoint

FORMAT = 1


class ModelCard(msgspec.Struct):
    """A version's record of one model.

    `labels` are those it can predict, `examples` the number it learnt, `classes` their labels by count. `options` and
    `snapshot` are hashes. `learnt`: the file of hashes (see `data_hash`) of the data it learnt. `carried_from`: the number of
    the version that learnt it, None where it is this one. `moved`: held-out tasks that training needed. `selection`: the
    adapter that `auto` chose, with the figures.
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
    selection: Selection | None = None


class Ceiling(msgspec.Struct):
    """The metric of people against each other: one as the truth, on `tasks` tasks with answers of two or more."""

    value: float
    tasks: int


class Card(msgspec.Struct):
    """The record of a version; written beside its models and kept in the store.

    `metrics`: by control, on the held-out tasks. `ceilings`: by control, with which to read a metric. `decisions`: by
    model key, the reason why the new model was taken or not, with the figures. `promoted`: True if the version was
    promoted when it was made; `verdict` gives the reason to people. `left_out`: annotations that could not be used.
    `history`: the earlier versions on the learning curve, and `outlook`: the expected gain of more annotations.
    `drift`: by model key, how labels differ now from those that the served version learnt. `alerts`: messages about
    what began with this version. `files`: SHA-256 of every file, by path.
    """

    recipe: str
    models: dict[str, ModelCard]
    metrics: dict[str, Metrics] = {}
    ceilings: dict[str, Ceiling] = {}
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
    drift: dict[str, Drift] = {}
    alerts: list[Alert] = []
    created_at: float = 0.0
    lsml: str = ""
    format: int = FORMAT
    files: dict[str, str] = {}

    def known_labels(self) -> dict[str, list[str]]:
        """Return the labels that each model can predict, by model key."""
        return {key: model.labels for key, model in self.models.items()}


def model_version(binding: Binding, number: int, card: Card | None, project: str) -> str:
    """Return `<recipe name>-v<number>-<hash>`, with `-p7` at its end where Label Studio's project 7 learnt the version.

    The hash covers everything else that decides a prediction. Number 0 is the starting point. It and a version learnt
    offline belong to no project of Label Studio.
    """
    known = card.known_labels() if card is not None else {}
    facts = msgspec.json.encode(binding.facts(known), order="sorted")
    whose = f"-p{short_key(project)}" if number and project != LOCAL else ""
    return f"{binding.recipe.name}-v{number}-{hashlib.sha256(facts).hexdigest()[:8]}{whose}"


def short_key(project: str) -> str:
    """Return a project's key for a name: for `7.1795424700` its number in Label Studio, `7`."""
    return re.sub(r"[^A-Za-z0-9]", "_", project.partition(".")[0])[:24]


def names_of(recipe: str) -> re.Pattern[str]:
    """Return a pattern for every `model_version` of a recipe, and of no other.

    Groups: the number, and `short_key` of the project, where one learnt it.
    """
    return re.compile(rf"{re.escape(recipe)}-v(\d{{1,9}})-[0-9a-f]{{8}}(?:-p([A-Za-z0-9_]{{1,24}}))?", re.ASCII)


def card_of(row: VersionRow) -> Card:
    """Return the card of a stored version. Raises VersionError where another format wrote it."""
    try:
        card = msgspec.convert(_upgraded(row.card), Card)
    except msgspec.ValidationError as error:
        raise VersionError(
            f"version v{row.number} of project {row.project}: its card cannot be read: {error}"
        ) from error
    if card.format != FORMAT:
        raise VersionError(
            f"version v{row.number} of project {row.project} has format {card.format}, and this lsml reads {FORMAT}; "
            "use the lsml that wrote it, or train again"
        )
    return card


def _upgraded(card: dict[str, Any]) -> dict[str, Any]:
    """Return an older card in today's form.

    Older cards had sentences where `promoted` and `carried_from` are now, and figures where `decisions` are.
    """
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
