"""A recipe fitted to one labeling config: which adapter answers which control, from which object, with which labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from lsml.adapters import get_adapter
from lsml.adapters.base import Adapter, InteractiveAdapter, Target, TrainableAdapter, option_facts
from lsml.controls import CONTROLS
from lsml.controls.base import Control, Region, Threshold
from lsml.errors import FetchError
from lsml.files.digests import content_digest
from lsml.labeling import AnnotatedTask, Annotation, ControlTag, LabelingConfig, ObjectTag, instances
from lsml.labeling.objects import Fetch, Unreadable, read_object
from lsml.labeling.view import View
from lsml.recipe import Model, Recipe, Training
from lsml.values import Choice, Value, kind_of, label_of


@dataclass(frozen=True)
class Unbound:
    """A control that no model answers, and one sentence why."""

    control_tag: ControlTag
    reason: str


@dataclass(frozen=True)
class Reading:
    """What one model sees of one task: usually one for each task; several where a Repeater makes copies, or where a list
    of images has pages."""

    controls: tuple[Control, ...]
    object_tag: ObjectTag
    view: View


@dataclass(frozen=True)
class BoundModel:
    """One adapter with the controls that it answers and the object that it reads.

    `key` names the model in version folders and cards. `fingerprint` changes when what it learnt no longer fits:
    a control was renamed, its object shows something else, another adapter.
    """

    key: str
    spec: Model
    adapter_class: type[Adapter]
    controls: tuple[Control, ...]
    object_tag: ObjectTag

    @property
    def trainable(self) -> bool:
        """Whether the recipe lets it learn."""
        return self.training is not None

    @property
    def training(self) -> Training | None:
        """How it learns, or None where it never does."""
        return self.spec.training if issubclass(self.adapter_class, TrainableAdapter) else None

    @property
    def learns(self) -> bool:
        """Whether the adapter can learn at all; `lsml train` trains it even where the recipe says `training: false`."""
        return issubclass(self.adapter_class, TrainableAdapter)

    @cached_property
    def target(self) -> Target:
        """What its adapter is asked for."""
        labels = dict.fromkeys(label for control in self.controls for label in control.labels)
        kinds: dict[str, dict[str, None]] = {}
        for control in self.controls:
            kinds.setdefault(kind_of(control.value_type), {}).update(dict.fromkeys(control.labels))
        return Target(
            labels=tuple(labels),
            multiple=len(self.controls) > 1 or self.controls[0].multiple,
            open=any(control.open for control in self.controls),
            kinds={kind: tuple(names) for kind, names in kinds.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """See the class."""
        controls = [control.control_tag.selector for control in self.controls]
        return _digest([self.spec.adapter, controls, self._shown, self.target.multiple])

    @property
    def _shown(self) -> tuple[str, ...]:
        """What its object shows; a version that learnt from something else does not fit."""
        attributes = self.object_tag.attributes
        return (
            self.object_tag.tag,
            self.object_tag.value,
            attributes.get("valueType", ""),
            attributes.get("textKey", ""),
        )

    @cached_property
    def options_digest(self) -> str:
        """Changes with any option, and with what of the recipe decides which tasks are learnt."""
        training = self.training
        learning = [training.holdout, training.consensus] if training else None
        return _digest([moved(self.spec.options), learning, self.target])[:16]

    def new_adapter(self) -> Adapter:
        """The starting point: pretrained or untrained."""
        return self.adapter_class(self.spec.options, self.target)

    def threshold(self, control: Control) -> Threshold:
        """The least score that counts, by label of `control`."""
        chosen = control.default_threshold if self.spec.threshold is None else self.spec.threshold
        if isinstance(chosen, Mapping):
            default = chosen.get("default", control.default_threshold)
            by_label = {
                control.name_of(label): chosen[label.value]
                for label in (control.companion or control.control_tag).labels
                if label.value in chosen
            }
            by_label |= {label: share for label, share in chosen.items() if label != "default"}
            return lambda label: by_label.get(label, default)
        return lambda _label: chosen

    @cached_property
    def floor(self) -> float:
        """The least score that counts for any label of any of its controls."""
        return min(self.threshold(control)(label) for control in self.controls for label in (*control.labels, ""))

    @cached_property
    def translation(self) -> dict[str, dict[str, str]]:
        """Of each kind of value: a pretrained model's class names, casefolded, to labels of the config."""
        kinds: dict[str, dict[str, str]] = {}
        for control in self.controls:
            names = kinds.setdefault(kind_of(control.value_type), {})
            for label in (control.companion or control.control_tag).labels:
                stored = control.name_of(label)
                if stored not in control.labels:
                    continue
                classes = self.spec.labels.get(stored, self.spec.labels.get(label.value))
                for name in classes or label.predicted_values or (stored, label.value):
                    names.setdefault(name.casefold(), stored)
        return kinds

    @cached_property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """The names of its own that the adapter starts with, by kind of value, where they can be told."""
        return self.adapter_class.class_names(self.spec.options, self.target)

    def meanings(self, control: Control) -> dict[str, tuple[str, ...]]:
        """For each label of a control, the classes that mean it, of those that the adapter starts with."""
        kind = kind_of(control.value_type)
        translation = self.translation.get(kind, {})
        found: dict[str, list[str]] = {label: [] for label in control.labels}
        for name in self.class_names.get(kind, ()):
            label = translation.get(name.casefold())
            if label in found:
                found[label].append(name)
        return {label: tuple(names) for label, names in found.items()}

    @cached_property
    def foreign(self) -> bool:
        """Whether the adapter starts with classes none of which means a label of any of its controls."""
        named = [control for control in self.controls if self.class_names.get(kind_of(control.value_type))]
        if not named or self.target.open or any(not control.labels for control in self.controls):
            return False
        return not any(names for control in named for names in self.meanings(control).values())

    def translate(self, values: Sequence[Value], adapter: Adapter) -> list[Value]:
        """Values with labels of the config, where `adapter` has names of its own; classes that no label names are dropped.

        Where several classes mean one choice, their probabilities add up if one label holds, else the highest counts.
        """
        if not adapter.own_names:
            return list(values)
        merged: dict[str, float | None] = {}
        others: list[Value] = []
        for value in values:
            given = label_of(value)
            if given is None:
                others.append(value)
                continue
            names = self.translation.get(kind_of(type(value)), {})
            # Options that come with a task are not known here; the control picks those of the task.
            label = names.get(given.casefold(), given if self.target.open else None)
            if label is None:
                # A tag without labels takes what a model finds, whatever it calls it.
                if not names:
                    others.append(msgspec.structs.replace(value, label=""))
                continue
            if not isinstance(value, Choice):
                others.append(msgspec.structs.replace(value, label=label))
                continue
            before = merged.get(label)
            if before is None or value.score is None:
                merged[label] = value.score
            else:
                both = max(before, value.score) if self.target.multiple else min(1.0, before + value.score)
                merged[label] = both
        return [Choice(label, score) for label, score in merged.items()] + others

    def read(self, task: Mapping[str, Any], fetch: Fetch) -> list[Reading]:
        """What the adapter sees of a task. Raises Unreadable or FetchError, with a sentence."""
        if self.object_tag.repeater is None:
            return self._pages(self.controls, self.object_tag, task, fetch)
        data = task.get("data")
        copies = [self._copies(control, data if isinstance(data, Mapping) else {}) for control in self.controls]
        if not all(copies):
            repeated = self.object_tag.repeater.on
            raise Unreadable("no data", f"the Repeater goes over {repeated}, and the task's data has no such list")
        readings: list[Reading] = []
        for together in zip(*copies, strict=True):
            controls = tuple(control for control, _ in together)
            readings += self._pages(controls, together[0][1], task, fetch)
        return readings

    def _pages(
        self, controls: tuple[Control, ...], object_tag: ObjectTag, task: Mapping[str, Any], fetch: Fetch
    ) -> list[Reading]:
        """A reading for each page; controls that answer for the whole task are asked with the first one."""
        readings = []
        for page, view in enumerate(read_object(object_tag, task, fetch)):
            asked = tuple(control for control in controls if page == 0 or control.per_item)
            if asked:
                readings.append(Reading(asked, object_tag, view))
        return readings

    def _copies(self, control: Control, data: Mapping[str, Any]) -> list[tuple[Control, ObjectTag]]:
        """A control and its object as a Repeater copies them for a task's data; none where the data has no such list."""
        try:
            pairs = instances(control.control_tag, self.object_tag, data)
        except KeyError:
            return []
        return [(type(control)(tag, control.companion), object_tag) for tag, object_tag in pairs]

    @property
    def reads_shown(self) -> bool:
        """Whether one of its controls understands regions only with what is shown."""
        return any(control.reads_shown for control in self.controls)

    def views_by_control(self, task: AnnotatedTask, fetch: Fetch) -> dict[str, View]:
        """What each control that reads it is shown in an annotated task, by the control's name."""
        if not self.reads_shown:
            return {}
        readings = self.read({"id": task.id, "data": task.data}, fetch)
        return {control.control_tag.name: reading.view for reading in readings for control in reading.controls}

    def instances(self, data: Mapping[str, Any]) -> list[Control]:
        """Its controls; where a Repeater makes copies, those of this task's data."""
        if self.object_tag.repeater is None:
            return list(self.controls)
        return [copy for control in self.controls for copy, _ in self._copies(control, data)]

    def facts(self, known: Sequence[str] | None) -> list[Any]:
        """What decides this model's predictions beside what it learnt, for `model_version`.

        `known`: the labels that the served version can answer with; None where nothing was learnt.
        """
        controls = []
        answered = None if known is None else set(known)
        for control in self.controls:
            labels = [label for label in control.labels if answered is None or label in answered]
            shown = [] if known is None and not self.adapter_class.starts_ready else sorted(labels)
            conditions = [msgspec.to_builtins(condition) for condition in control.control_tag.conditions]
            controls.append([control.control_tag.selector, self.object_tag.name, control.facts(), shown, conditions])
        options = prediction_options(self.spec.options)
        return [self.key, self._shown, options, self.spec.threshold, self.spec.labels, controls]


@dataclass(frozen=True)
class Binding:
    """A recipe fitted to a labeling config. Models are in recipe order; of those on one control, the first wins."""

    recipe: Recipe
    config: LabelingConfig | None
    models: tuple[BoundModel, ...]
    unbound: tuple[Unbound, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def controls(self) -> dict[str, Control]:
        """Every bound control by the name that its tag has in the config, in recipe order."""
        return {control.control_tag.name: control for model in self.models for control in model.controls}

    @property
    def prompts(self) -> tuple[ControlTag, ...]:
        """The smart controls that no model answers, but an interactive adapter listens to."""
        found = _prompts(self.models, self.config)[0] if self.config else []
        return tuple(tag for tag in found if tag.name not in self.controls)

    def prompting(self, object_tag: ObjectTag) -> list[Control]:
        """The controls whose regions on an object an interactive adapter is told, whether a model answers them or not."""
        if self.config is None:
            return []
        return [
            control_of(control_tag, self.config)
            for control_tag in self.config.controls
            if control_tag.tag in CONTROLS and object_tag.name in control_tag.to_names
        ]

    @property
    def trainable(self) -> tuple[BoundModel, ...]:
        """The models that the recipe lets learn."""
        return tuple(model for model in self.models if model.trainable)

    def state(self) -> str:
        """One sentence for people: what is bound, or why nothing is."""
        if self.models:
            pairs = dict.fromkeys(
                f"{c.control_tag.selector} -> {m.spec.adapter}" for m in self.models for c in m.controls
            )
            return "bound: " + ", ".join(pairs)
        if self.config is None:
            return "nothing is bound: there is no labeling config yet; connect Label Studio, or name one in the recipe"
        reasons = [*self.warnings, *(unbound.reason for unbound in self.unbound)]
        return "nothing is bound: " + "; ".join(reasons or ["the labeling config has no control tag"])

    def learn(self, task: AnnotatedTask, fetch: Fetch) -> tuple[dict[str, list[tuple[Value, ...]]], list[str]]:
        """(what a task's annotations teach, by control name; why some could not be understood, as countable names).

        Usually there is one answer, under `consensus: all` several; controls that nobody answered are left out. `fetch` is
        asked only where a control needs what is shown in order to understand regions.
        """
        lessons: dict[str, list[tuple[Value, ...]]] = {}
        unread: list[str] = []
        for model in self.models:
            consensus = model.spec.training.consensus if model.spec.training else "latest"
            try:
                views = model.views_by_control(task, fetch)
            except (Unreadable, FetchError) as error:
                unread.append(error.reason)
                continue
            for control in model.instances(task.data):
                name = control.control_tag.name
                if name not in lessons:
                    answers = _answers(control, task.annotations, views.get(name))
                    agreed = _agree(answers, consensus)
                    if agreed:
                        lessons[name] = agreed
        return lessons, unread

    def facts(self, known: Mapping[str, Sequence[str]]) -> list[Any]:
        """What decides predictions beside what was learnt. `known`: labels by model key, of the served version."""
        return [self.recipe.score, [model.facts(known.get(model.key)) for model in self.models]]

    def check(self, region: Region, control: Control, data: Mapping[str, Any]) -> str | None:
        """What is wrong with a region that is about to leave, or None."""
        score = region.get("score")
        if score is not None and not 0.0 <= score <= 1.0:
            return f"its score {score} is not between 0 and 1"
        return control.check(region, data)


def bind(recipe: Recipe, config: LabelingConfig | None) -> Binding:
    """Fit a recipe to a labeling config.

    What does not fit is never an error here: it stays in `unbound` and `warnings`, each a sentence that says what the
    config offers instead. Raises UnknownAdapter or AdapterError where a recipe's adapter cannot be had.
    """
    if config is None:
        return Binding(recipe, None, ())
    models: list[BoundModel] = []
    unbound: list[Unbound] = []
    claimed: dict[tuple[Any, ...], list[ControlTag]] = {}
    for control_tag in config.controls:
        entry = _entry_for(recipe, control_tag)
        if entry is None:
            reason = f"{control_tag.selector}: no key under `tags` names it"
            unbound.append(Unbound(control_tag, reason))
        else:
            claimed.setdefault(entry, []).append(control_tag)
    warnings: list[str] = []
    for entry in dict.fromkeys(model.selectors for model in recipe.models):
        control_tags = claimed.get(entry, [])
        for selector in entry:
            if not any(_matches(selector, tag) for tag in control_tags):
                warnings.append(_nothing_matches(selector, config, control_tags))
        for spec in (model for model in recipe.models if model.selectors == entry):
            bound, refused = _bind_model(spec, control_tags, config)
            models.extend(bound)
            unbound.extend(refused)
            warnings.extend(_unknown_labels(spec, bound))
            warnings.extend(_foreign(model) for model in bound if model.foreign)
    answered = {name for model in models for control in model.controls for name in control.names}
    prompts, silent = _prompts(models, config)
    answered.update(control_tag.name for control_tag in prompts)
    left = [one for one in unbound if one.control_tag.name not in answered]
    warnings.extend(silent)
    return Binding(recipe, config, tuple(models), tuple(left), tuple(dict.fromkeys(warnings)))


def _prompts(models: Sequence[BoundModel], config: LabelingConfig) -> tuple[list[ControlTag], list[str]]:
    """The smart controls whose regions an interactive adapter answers; a warning for each adapter that nothing would ask."""
    prompts: list[ControlTag] = []
    warnings = []
    for model in models:
        if not issubclass(model.adapter_class, InteractiveAdapter):
            continue
        here = model.object_tag.name
        smart = [tag for tag in config.controls if tag.smart and here in tag.to_names]
        prompts += smart
        if model.adapter_class.only_interactive and not smart:
            warnings.append(
                f"{model.spec.adapter} answers what a person draws, and no control of {model.object_tag.tag}#{here} asks it; "
                'write smart="true" in a RectangleLabels or KeyPointLabels of it'
            )
    return list({tag.name: tag for tag in prompts}.values()), warnings


def prediction_options(options: msgspec.Struct) -> dict[str, Any]:
    """The options that decide predictions; others must not change a model's version."""
    facts = option_facts(type(options))
    return {name: value for name, value in moved(options).items() if facts[name].get("decides") == "predictions"}


def moved(options: msgspec.Struct) -> dict[str, Any]:
    """Options as plain data that is the same on another machine: of a file, what it holds, and not where it is."""
    plain: dict[str, Any] = msgspec.to_builtins(options)
    for name, meta in option_facts(type(options)).items():
        if meta.get("file") and plain.get(name) and Path(plain[name]).exists():
            plain[name] = content_digest(Path(plain[name]))
    return plain


def _digest(facts: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()


def _matches(selector: Any, control_tag: ControlTag) -> bool:
    return selector.tag == control_tag.tag and selector.name in (None, control_tag.name)


def _entry_for(recipe: Recipe, control_tag: ControlTag) -> tuple[Any, ...] | None:
    """The `tags` entry that claims a control: one that names it beats one that names only its tag."""
    bare = None
    for model in recipe.models:
        for selector in model.selectors:
            if _matches(selector, control_tag):
                if selector.name is not None:
                    return model.selectors
                bare = bare or model.selectors
    return bare


def _nothing_matches(selector: Any, config: LabelingConfig, claimed: Sequence[ControlTag]) -> str:
    offered = ", ".join(control.selector for control in config.controls) or "no control tag"
    same = [tag for tag in config.controls if _matches(selector, tag)]
    if same and not claimed:
        return f"`{selector}` is left with nothing: other keys under `tags` claim {', '.join(tag.selector for tag in same)}"
    return f"`{selector}` matches nothing in the labeling config, which has {offered}"


def _bind_model(
    spec: Model, control_tags: Sequence[ControlTag], config: LabelingConfig
) -> tuple[list[BoundModel], list[Unbound]]:
    """One model for each control; or, where the key names several selectors, one for each object that they share."""
    adapter_class = get_adapter(spec.adapter)
    fitting: list[tuple[Control, ObjectTag]] = []
    refused: list[Unbound] = []
    for control_tag in control_tags:
        object_tag, reason = _object_for(control_tag, adapter_class, spec.options, config)
        if object_tag is None:
            refused.append(Unbound(control_tag, reason))
        else:
            fitting.append((control_of(control_tag, config), object_tag))
    groups: dict[str, list[tuple[Control, ObjectTag]]] = {}
    for control, object_tag in fitting:
        together = object_tag.name if len(spec.selectors) > 1 else control.control_tag.name
        groups.setdefault(together, []).append((control, object_tag))
    bound = []
    for pairs in groups.values():
        names = "+".join(control.control_tag.name for control, _ in pairs)
        key = f"{names}:{spec.adapter}" + (f":{spec.rank + 1}" if spec.rank else "")
        bound.append(BoundModel(key, spec, adapter_class, tuple(control for control, _ in pairs), pairs[0][1]))
    return bound, refused


def control_of(control_tag: ControlTag, config: LabelingConfig) -> Control:
    """The control of a tag that lsml has one for, with the tag that names its labels where it is a bare tool."""
    control_class = CONTROLS[control_tag.tag]
    companions = (
        other
        for other in config.controls
        if other.tag == control_class.companion_tag and set(other.to_names) & set(control_tag.to_names)
    )
    return control_class(control_tag, next(companions, None))


def _object_for(
    control_tag: ControlTag, adapter_class: type[Adapter], options: msgspec.Struct, config: LabelingConfig
) -> tuple[ObjectTag | None, str]:
    """The first object of a control that the adapter can read, or one sentence why there is none."""
    name = control_tag.selector
    control_class = CONTROLS.get(control_tag.tag)
    if control_class is None:
        return None, f"{name}: lsml has no control for {control_tag.tag} yet; it has {', '.join(sorted(CONTROLS))}"
    refusal = control_class.refusal(control_tag)
    if refusal is not None:
        return None, refusal
    if control_class.value_type not in adapter_class.produces:
        title = getattr(control_class.value_type, "title", control_class.value_type.__name__)
        return None, f"{name} takes {title}, which {adapter_class.name} does not give"
    objects = [config.objects[to_name] for to_name in control_tag.to_names if to_name in config.objects]
    if not objects:
        offered = ", ".join(f"{tag.tag}#{tag.name}" for tag in config.objects.values()) or "no object tag"
        return None, f"{name}: toName names {', '.join(control_tag.to_names)}, and the labeling config shows {offered}"
    for object_tag in objects:
        allowed = control_class.objects is None or object_tag.tag in control_class.objects
        if allowed and object_tag.tag in adapter_class.consumes:
            if object_tag.repeater != control_tag.repeater:
                return None, f"{name} and {object_tag.tag}#{object_tag.name} are not in one Repeater"
            refusal = adapter_class.refusal(options, control_tag, object_tag)
            return (None, refusal) if refusal else (object_tag, "")
    shown = ", ".join(f"{tag.tag}#{tag.name}" for tag in objects)
    return (
        None,
        f"{name} answers for {shown}, and {adapter_class.name} reads {', '.join(sorted(adapter_class.consumes))}",
    )


def _unknown_labels(spec: Model, bound: Sequence[BoundModel]) -> list[str]:
    """Warnings for names under `labels`, `threshold` and options by label that are no label of any control of the model."""
    if not bound or any(model.target.open for model in bound):
        return []
    controls = [control for model in bound for control in model.controls]
    tags = [control.companion or control.control_tag for control in controls]
    answered = {label for model in bound for label in model.target.labels}
    known = answered | {name for tag in tags for label in tag.labels for name in (label.name, label.value)}
    thresholds = spec.threshold if isinstance(spec.threshold, Mapping) else {}
    named = ", ".join(control.control_tag.selector for control in controls)
    places: list[tuple[str, Iterable[str], set[str]]] = [
        ("labels", spec.labels, known),
        ("threshold", thresholds.keys() - {"default"}, known),
    ]
    for option, meta in option_facts(type(spec.options)).items():
        if meta.get("labels"):  # an adapter is told the labels as they are stored, and no other name of them
            places.append((f"options.{option}", getattr(spec.options, option), answered))
    return [
        f"`{where}.{name}` is no label of {named}, which has {', '.join(sorted(possible)) or 'none'}"
        for where, names, possible in places
        for name in names
        if name not in possible
    ]


def _foreign(model: BoundModel) -> str:
    """That no class of a pretrained model means a label, and what to do."""
    names = list(dict.fromkeys(name for known in model.class_names.values() for name in known))
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    controls = ", ".join(control.control_tag.selector for control in model.controls)
    learns = "; it answers once it has learnt them" if model.trainable else ""
    return (
        f"no class that {model.spec.adapter} knows is a label of {controls}: it knows {', '.join(names[:8])}{more}, and they "
        f"have {', '.join(model.target.labels[:8])}; map them under `labels`{learns}"
    )


def _answers(control: Control, annotations: Sequence[Annotation], view: View | None) -> list[tuple[Value, ...]]:
    """Every answer to a control, oldest first; only the latest ground truth where there is one."""
    answers: list[tuple[Value, ...]] = []
    truths: list[tuple[Value, ...]] = []
    for annotation in annotations:
        values = control.decode(regions_of(control, annotation.result), view)
        if values is not None:
            # What was drawn and not named teaches no name, where there are names to give.
            values = tuple(value for value in values if label_of(value) != "" or not control.labels)
            answers.append(values)
            if annotation.ground_truth:
                truths.append(values)
    return truths[-1:] or answers


def regions_of(control: Control, result: Sequence[Any]) -> list[Region]:
    """The regions of a result that a control decodes."""
    return [region for region in result if isinstance(region, dict) and region.get("from_name") in control.names]


def _agree(answers: Sequence[tuple[Value, ...]], consensus: str) -> list[tuple[Value, ...]]:
    """What several answers teach. `majority`: the most common one, of equally common ones the latest."""
    if consensus == "all":
        return list(answers)
    if consensus == "majority" and len(answers) > 2:
        votes = Counter(frozenset(answer) for answer in answers)
        most = max(votes.values())
        return [answer for answer in answers if votes[frozenset(answer)] == most][-1:]
    return list(answers[-1:])
