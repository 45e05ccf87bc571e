"""remote with `protocol: label-studio`: the predictions of another ML backend of Label Studio."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from lsml.adapters.base import Adapter, BackendTask, Target
from lsml.adapters.parts.asking import Away, Dropped, Rounds, in_threads
from lsml.adapters.remote.elsewhere import trouble_at, version_at
from lsml.adapters.remote.options import RemoteOptions
from lsml.labeling import KNOWN_OBJECT_TAGS, ControlTag, ObjectTag
from lsml.values import VALUE_TYPES, AssignedValues, Relation, Value

_log = logging.getLogger(__name__)
# A reference backend answers 500 for a task that it cannot read, and for every other task of the request.
_OF_THE_TASK: Final = frozenset({400, 413, 415, 422, 500})
_PASSING: Final = frozenset({408, 425, 429, 502, 503, 504})
_OF_HTTP: Final = ("send", "request", "content_type", "each", "label", "score", "start", "end", "text", "number")


class LabelStudioBackend(Adapter[RemoteOptions]):
    """Another backend's predictions, asked as Label Studio asks: the task, and the labeling config."""

    name: ClassVar[str] = "remote"
    title: ClassVar[str] = "the predictions of another ML backend of Label Studio"
    consumes: ClassVar[frozenset[str]] = frozenset(KNOWN_OBJECT_TAGS)
    produces: ClassVar[frozenset[type]] = frozenset(VALUE_TYPES) - {Relation}
    asks_service: ClassVar[bool] = True
    compares: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = RemoteOptions

    def __init__(self, options: RemoteOptions, target: Target) -> None:
        super().__init__(options, target)
        self._rounds = Rounds(self.name, options.concurrency)

    @classmethod
    def refusal(cls, options: RemoteOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return that an option belongs to another protocol, or that the control asks about parts of a task."""
        default = RemoteOptions()
        for option in _OF_HTTP:
            if getattr(options, option) != getattr(default, option):
                return f"{control_tag.selector}: `{option}` has no meaning with `protocol: label-studio`; remove it"
        if control_tag.per_region or control_tag.repeater is not None:
            return f"{control_tag.selector}: another backend only answers for whole tasks"
        return None

    @classmethod
    def lacks(cls, options: RemoteOptions, target: Target) -> str | None:
        """Return that the URL is missing; or None."""
        return None if options.url else f"{cls.name}: the backend's URL is missing; write `url` under `options`"

    @classmethod
    def paused(cls, options: RemoteOptions) -> str | None:
        """Return why the backend could not be asked at last; or None."""
        return trouble_at(options)

    @classmethod
    def version_elsewhere(cls, options: RemoteOptions, labeling_config: str) -> str | None:
        """Return the version that the backend's `/setup` answers."""
        return version_at(options, labeling_config) if options.url else None

    @property
    def own_names(self) -> bool:
        """False: it answers in the labels of the labeling config, which it gets."""
        return False

    @property
    def ready(self) -> bool:
        """True if it has a URL."""
        return bool(self.options.url)

    def predict(self, batch: Sequence[BackendTask]) -> list[list[Value]]:
        """Return the backend's values for each task. Raises AdapterError where one has no answer."""
        if not batch or not self.ready:
            return [[] for _ in batch]
        keys = [_key(data) for data in batch]
        asked = dict(zip(keys, batch, strict=True))
        alone = len(batch) == 1
        together = {} if alone else self._found_together(asked)
        left = {key: data for key, data in asked.items() if key not in together}
        found, failed = self._rounds.run(left, lambda data: self._predictions([data])[0], alone=alone)
        found |= together
        if failed:
            if not alone:
                self._rounds.keep(found)
            raise next(iter(failed.values()))
        reasons: Counter[str] = Counter()
        answered: list[list[Value]] = []
        for key, data in zip(keys, batch, strict=True):
            values, dropped = data.read(found[key])
            reasons.update(dropped)
            answered.append(AssignedValues(values))
        if reasons:
            counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
            _log.warning("%s: regions of the backend were dropped: %s", self.name, counted)
        return answered

    def _found_together(self, asked: Mapping[bytes, BackendTask]) -> dict[bytes, list[object]]:
        """Return the results of requests for several tasks each, by key; those of a failed request are missing."""
        items = list(asked.items())
        size = self.options.tasks
        parts = [items[index : index + size] for index in range(0, len(items), size)]
        found: dict[bytes, list[object]] = {}

        def ask(part: Sequence[tuple[bytes, BackendTask]]) -> None:
            try:
                results = self._predictions([data for _, data in part])
            except (Away, Dropped):
                return  # each is asked alone, and has an error of its own
            found.update(zip((key for key, _ in part), results, strict=True))

        in_threads(self.name, self.options.concurrency, ask, [part for part in parts if len(part) > 1])
        return found

    def _predictions(self, tasks: Sequence[BackendTask]) -> list[list[object]]:
        """Return the result of each task. Raises Away, or Dropped where an answer fits no task."""
        from lsml.adapters.remote.service import Service

        service = Service(self.name, self.options, passing=_PASSING, of_request=_OF_THE_TASK)
        body = {
            "tasks": [data.task for data in tasks],
            "project": self.options.project,
            "label_config": tasks[0].labeling_config,
            "params": {"login": None, "password": None, "context": None},
        }
        reply = service.ask(json.dumps(body).encode(), "application/json", "/predict")
        results = reply.get("results") if isinstance(reply, dict) else None
        if not isinstance(results, list) or len(results) != len(tasks):
            got = len(results) if isinstance(results, list) else "no"
            raise Dropped("wrong answer", f"{service.name}: answered {got} results for {len(tasks)} tasks")
        return [_result(service.name, one) for one in results]


def _key(data: BackendTask) -> bytes:
    held = [data.task, data.labeling_config]
    return hashlib.sha256(json.dumps(held, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).digest()


def _result(backend: str, answered: object) -> list[object]:
    """Return the regions of a prediction, or of the first of several. Raises Dropped where there is none."""
    if isinstance(answered, list) and answered:
        answered = answered[0]
    if not isinstance(answered, Mapping):
        raise Dropped("no prediction", f"{backend}: has no prediction for this task")
    result = answered.get("result")
    if not isinstance(result, list):
        raise Dropped("wrong answer", f"{backend}: its prediction has no list of regions under `result`")
    if len(result) != 1:
        return [_scored(region, None) for region in result]
    return [_scored(result[0], answered.get("score"))]


def _scored(region: object, of_prediction: object) -> object:
    """Return a region whose score is from 0 to 1, or that has none. That of a prediction is the score of its only region."""
    if not isinstance(region, dict):
        return region
    scores = (_as_score(region.get("score")), _as_score(of_prediction))
    score = next((one for one in scores if one is not None), None)
    rest: dict[str, object] = {name: held for name, held in region.items() if name != "score"}
    return rest if score is None else {**rest, "score": score}


def _as_score(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if 0.0 <= given <= 1.0 else None
