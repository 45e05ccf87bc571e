"""Annotated tasks, in one form for every source; and the one rule for reading annotations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from lsml.errors import RequestError
from lsml.wording import JSON

_AT_ONCE_S = 1.0  # the most between an annotation's creation and its storing; a person's change comes later


class SeenPrediction(msgspec.Struct, frozen=True):
    """A prediction that somebody began an annotation from: Label Studio's number of it, the version that made it, its regions.

    `result` is None where only the number is told.
    """

    id: str
    version: str = ""
    result: list[Any] | None = None


class Annotation(msgspec.Struct, frozen=True):
    """A person's regions for a task. Skipped annotations are left out before.

    `accepted`: a model made the regions, and no person changed them or spent time on them. `submitted`: lsml itself
    made them. `annotator`: the annotator's number and e-mail address, as far as they are known, with a space between
    them. `lead_time_s`: how long the annotator took. `seen`: the prediction that the annotator began from.
    """

    id: str
    result: list[object]
    updated_at: str = ""
    ground_truth: bool = False
    accepted: bool = False
    submitted: bool = False
    annotator: str = ""
    lead_time_s: float | None = None
    seen: SeenPrediction | None = None

    @property
    def number(self) -> str:
        """The annotator's number, by which cards and messages name people; the e-mail address where that alone is known."""
        return number_of(self.annotator)


class AnnotatedTask(msgspec.Struct, frozen=True):
    """A task's data and its annotations, oldest first.

    `replaced`: annotations of earlier copies in the same file. They teach nothing, but unusable regions in them are
    counted.
    """

    id: str
    data: dict[str, object]
    annotations: tuple[Annotation, ...]
    replaced: tuple[Annotation, ...] = ()


class ReadAnnotation(msgspec.Struct, frozen=True):
    """One annotation from Label Studio's JSON, whatever the source of that JSON.

    `id` is None where there is none. `updated_at` is a time that sorts, see `time_key`. `untouched`: nobody spent time
    on it or changed it since; `accepted`: it is untouched, and was made from a prediction. `unique_id`: the id that its
    maker gave it. `annotator`, `lead_time_s` and `seen`: see `Annotation`.
    """

    id: str | None
    result: list[object]
    updated_at: str
    skipped: bool
    ground_truth: bool
    accepted: bool = False
    untouched: bool = False
    unique_id: str | None = None
    annotator: str = ""
    lead_time_s: float | None = None
    seen: SeenPrediction | None = None


def read_annotation(given: object, predictions: object = ()) -> ReadAnnotation:
    """Return an annotation of a file, a webhook or Label Studio's API: all three are read by this rule.

    `predictions`: those of its task, where they are told. The annotation itself holds the one that it began from only where
    that has the model version which the project names.

    A skipped one needs no result. Raises RequestError, with a sentence, where it is not an annotation.
    """
    if not isinstance(given, Mapping):
        raise RequestError(f"an annotation is {JSON.kind(given)}; expected an object with an id and a result")
    id = str(given["id"]) if is_id(given.get("id")) else None
    skipped = _is_set(given.get("was_cancelled")) or _is_set(given.get("skipped"))  # the second in old exports
    result = given.get("result")
    if not isinstance(result, list):
        if not skipped:
            which = "an annotation" if id is None else f"annotation {id}"
            raise RequestError(f"{which}: result: expected a list of regions")
        result = []
    made, changed = time_key(given.get("created_at")), time_key(given.get("updated_at"))
    untouched = _is_untouched(given, made, changed)
    return ReadAnnotation(
        id=id,
        result=result,
        updated_at=changed or made,
        skipped=skipped,
        ground_truth=_is_set(given.get("ground_truth")),
        accepted=given.get("parent_prediction") is not None and untouched,
        untouched=untouched,
        unique_id=str(given["unique_id"]) if given.get("unique_id") else None,
        annotator=_annotator(given.get("completed_by")),
        lead_time_s=_lead_time(given.get("lead_time")),
        seen=_seen_prediction(given, predictions),
    )


def _seen_prediction(given: Mapping[str, object], predictions: object) -> SeenPrediction | None:
    """Return the prediction that an annotation was made from; None where it was begun anew."""
    id = given.get("parent_prediction")
    if not is_id(id):
        return None
    for one in (given.get("prediction"), *(predictions if isinstance(predictions, (list, tuple)) else ())):
        if isinstance(one, Mapping) and str(one.get("id")) == str(id) and isinstance(one.get("result"), list):
            return SeenPrediction(str(id), str(one.get("model_version") or ""), one["result"])
    return SeenPrediction(str(id))


def _lead_time(given: object) -> float | None:
    """Return the seconds that an annotation took, where Label Studio tells a time that is one."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < math.inf:
        return None
    return float(given)


def number_of(annotator: str) -> str:
    """Return the number of an annotator, who is given with an e-mail address; that address where it alone is known."""
    return annotator.partition(" ")[0]


def _annotator(given: object) -> str:
    """Return the name of an annotation's author, who is given as a number, or as a user with an id and an e-mail address."""
    names = [given.get("id"), given.get("email")] if isinstance(given, Mapping) else [given]
    return " ".join("".join(str(name).split()) for name in names if is_id(name))


def _is_untouched(given: Mapping[str, object], made: str, changed: str) -> bool:
    """Return True if no person spent time on an annotation, changed it, or marked it as ground truth.

    "Create annotations from predictions" makes such annotations. One that a person submitted in the editor took time,
    even where the prediction was right.
    """
    if given.get("lead_time") or _is_set(given.get("ground_truth")):
        return False
    return not (made and changed) or _seconds_between(made, changed) < _AT_ONCE_S


def _seconds_between(first: str, second: str) -> float:
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


def is_id(value: object) -> bool:
    """Return True if a value can name a task or an annotation: a whole number, or a text of 1 to 100 characters."""
    return isinstance(value, (int, str)) and not isinstance(value, bool) and 0 < len(str(value)) <= 100


def id_order(id: str) -> tuple[int, str]:
    """Return a key that sorts ids by number: 9 before 10."""
    return len(id), id


def time_key(moment: Any) -> str:
    """Return a time as UTC text that sorts, from ISO 8601 text or, as in old exports, seconds since 1970; else ""."""
    try:
        if isinstance(moment, (int, float)) and not isinstance(moment, bool):
            read = datetime.fromtimestamp(moment, UTC)
        else:
            read = datetime.fromisoformat(moment)
            read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
    return read.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _is_set(flag: object) -> bool:
    """Return True if a flag is set, also where a file holds it as a number or a text."""
    return flag.strip().lower() in ("true", "1", "yes") if isinstance(flag, str) else bool(flag)
