"""A recipe fitted to one labeling config: the adapter that answers each control, with its object and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import msgspec

from lsml.adapters.base import Adapter, option_facts
from lsml.binding.auto import class_of
from lsml.binding.comparing import compared, compared_object
from lsml.binding.inputs import parts_of, reads_columns
from lsml.binding.learn import Given, Taught, answers_by_people, learn, votes
from lsml.binding.messages import asks_messages, chat_of
from lsml.binding.model import BoundModel
from lsml.binding.needs import needed_controls, region_object, relates, why_alone, why_not_needed
from lsml.binding.prompts import asking_controls, control_of, is_typed_prompt
from lsml.binding.reliability import reliability
from lsml.controls import CONTROLS, control_class
from lsml.controls.base import Control
from lsml.labeling import AnnotatedTask, ControlTag, LabelingConfig, ObjectTag
from lsml.labeling.objects import Fetch
from lsml.recipe import Holdout, LearnFrom, Model, Recipe, stages
from lsml.wording import listed


@dataclass(frozen=True)
class Unbound:
    """A control that no model answers, and the reason in a sentence."""

    control_tag: ControlTag
    reason: str


@dataclass(frozen=True)
class Binding:
    """A recipe fitted to a labeling config. Models are in recipe order; of several on one control, the first wins."""

    recipe: Recipe
    config: LabelingConfig | None
    models: tuple[BoundModel, ...]
    unbound: tuple[Unbound, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def controls(self) -> dict[str, Control]:
        """Every bound control by its tag's name in the config, in recipe order."""
        return {control.control_tag.name: control for model in self.models for control in model.controls}

    @property
    def asking(self) -> tuple[ControlTag, ...]:
        """The smart controls whose regions an interactive adapter answers, even where no model answers the control itself."""
        return tuple(asking_controls(self.models, self.config)[0]) if self.config else ()

    def prompting(self, object_tag: ObjectTag) -> list[Control]:
        """Return the controls whose regions on an object go to an interactive adapter, even where no model answers them."""
        if self.config is None:
            return []
        return [
            control_of(control_tag, self.config)
            for control_tag in self.config.controls
            if control_tag.tag in CONTROLS and object_tag.name in control_tag.to_names
        ]

    @cached_property
    def stages(self) -> list[list[tuple[int, BoundModel]]]:
        """The models in the stages in which they answer, each with its rank: its index among all."""
        ranked = list(enumerate(self.models))
        of_turn = ({id(spec) for spec in stage} for stage in stages(self.recipe.models))
        found = ([(rank, model) for rank, model in ranked if id(model.spec) in specs] for specs in of_turn)
        return [stage for stage in found if stage]

    @cached_property
    def needs_fetch(self) -> bool:
        """True if reading a task takes a file from elsewhere for any model."""
        return any(model.needs_fetch for model in self.models)

    @property
    def trainable(self) -> tuple[BoundModel, ...]:
        """The models that are trained under this recipe."""
        return tuple(model for model in self.models if model.trainable)

    @cached_property
    def _blind(self) -> list[Holdout]:
        kept = [model.training.held_out for model in self.models if model.training is not None]
        return [one for one in kept if one.blind]

    def hides(self, task: object) -> bool:
        """Return True if predictions for a task are hidden from people, by its id, as it judges models blind."""
        return task is not None and any(kept.holds(str(task)) for kept in self._blind)

    @property
    def elsewhere(self) -> tuple[str | None, ...]:
        """The versions that services serve now, of models that are elsewhere."""
        return tuple(model.elsewhere for model in self.models)

    @property
    def paused(self) -> list[str]:
        """Why models answer nothing new at present, a sentence for each such as a used-up budget."""
        found = (model.adapter_class.paused(model.spec.options) for model in self.models)
        return list(dict.fromkeys(sentence for sentence in found if sentence))

    def state(self) -> str:
        """Return a sentence about what is bound, or why nothing is."""
        if self.models:
            pairs = dict.fromkeys(
                f"{c.control_tag.selector} -> {m.spec.adapter}" for m in self.models for c in m.controls
            )
            return "bound: " + ", ".join(pairs)
        if self.config is None:
            return "there is no labeling config yet; connect Label Studio, or add one to the recipe"
        reasons = [*self.warnings, *(unbound.reason for unbound in self.unbound)]
        return "nothing is bound: " + "; ".join(reasons or ["the labeling config has no control tag"])

    def learn(
        self, task: AnnotatedTask, fetch: Fetch, weights: Mapping[str, float] | None = None, *, anyone: bool = False
    ) -> Taught:
        """Return the answers in a task's annotations, and what of them was left out.

        `fetch` is only used where a control needs the view to decode regions. `weights`: see `weigh`. `anyone`: do not
        filter by annotator.
        """
        return learn(self.models, self._known, task, fetch, weights or {}, anyone=anyone)

    @property
    def weighs(self) -> bool:
        """True if one of its models weights annotators."""
        return any(
            model.training is not None and model.training.learn_from.several == "weighted" for model in self.models
        )

    def weigh(self, tasks: Iterable[AnnotatedTask], fetch: Fetch) -> dict[str, float]:
        """Return the weight of each annotator, from all annotated tasks; empty, without reading them, if no model needs it."""
        if not self.weighs:
            return {}
        return reliability(vote for task in tasks for vote in votes(self.models, self._known, task, fetch))

    def answers_by_people(self, task: AnnotatedTask, fetch: Fetch) -> Iterator[tuple[Control, list[Given]]]:
        """Yield (control, each person's answer, oldest first) for each control of a task that a model answers."""
        return answers_by_people(self.models, self._known, task, fetch, LearnFrom())

    @property
    def _known(self) -> list[str]:
        return [control_tag.name for control_tag in self.config.controls] if self.config else []

    def facts(self, known: Mapping[str, Sequence[str]]) -> list[object]:
        """Return everything that decides predictions besides the learnt models. `known`: the served version's labels by
        model key.
        """
        return [self.recipe.score, [model.facts(known.get(model.key)) for model in self.models]]


def bind(recipe: Recipe, config: LabelingConfig | None) -> Binding:
    """Fit a recipe to a labeling config.

    A part that does not fit is never an error here: it becomes a sentence in `unbound` or `warnings`, with what the
    config offers instead. Raises UnknownAdapter or AdapterError where a recipe's adapter cannot be used.
    """
    if config is None:
        return Binding(recipe, None, ())
    unbound: list[Unbound] = []
    claimed: dict[tuple[object, ...], list[ControlTag]] = {}
    for control_tag in config.controls:
        entry = _entry_for(recipe, control_tag)
        if entry is None:
            reason = f"{control_tag.selector}: no key under `tags` matches it"
            unbound.append(Unbound(control_tag, reason))
        else:
            claimed.setdefault(entry, []).append(control_tag)
    warnings = _nothing_matches(recipe, config, claimed)
    by_spec: dict[int, list[BoundModel]] = {}
    for spec in chain.from_iterable(stages(recipe.models)):
        there = [model for found in by_spec.values() for model in found]
        by_spec[id(spec)], refused = _bind_model(spec, claimed.get(spec.selectors, []), config, there)
        unbound.extend(refused)
    models: list[BoundModel] = []
    for spec in recipe.models:
        bound = by_spec[id(spec)]
        models.extend(bound)
        warnings.extend(_unknown_labels(spec, bound))
        warnings.extend(_nothing_known(model) for model in bound if model.classes.meaningless)
        warnings.extend(sentence for model in bound if (sentence := _limits(model)))
        controls = [control for model in bound for control in model.controls]
        warnings.extend(sentence for model in bound if (sentence := _nowhere_for_texts(model)))
        warnings.extend(control.caution for control in controls if control.caution)
    answered = {name for model in models for name in _answered(model)}
    prompts, silent = asking_controls(models, config)
    answered.update(control_tag.name for control_tag in prompts)
    left = [one for one in unbound if one.control_tag.name not in answered]
    warnings.extend(silent)
    return Binding(recipe, config, tuple(models), tuple(left), tuple(dict.fromkeys(warnings)))


def _entry_for(recipe: Recipe, control_tag: ControlTag) -> tuple[object, ...] | None:
    """Return the `tags` entry that claims a control: an entry with its name beats one with only its tag."""
    bare = None
    for model in recipe.models:
        for selector in model.selectors:
            if selector.claims(control_tag.tag, control_tag.name):
                if selector.name is not None:
                    return model.selectors
                bare = bare or model.selectors
    return bare


def _nothing_matches(
    recipe: Recipe, config: LabelingConfig, claimed: Mapping[tuple[object, ...], Sequence[ControlTag]]
) -> list[str]:
    """Return a warning for each selector whose controls all belong to other keys, and one for those without a tag in the
    config.
    """
    absent, warnings = [], []
    for entry in dict.fromkeys(model.selectors for model in recipe.models):
        for selector in entry:
            if any(selector.claims(tag.tag, tag.name) for tag in claimed.get(entry, [])):
                continue
            same = ", ".join(tag.selector for tag in config.controls if selector.claims(tag.tag, tag.name))
            if same and not claimed.get(entry):
                warnings.append(f"`{selector}` matches nothing else: other keys under `tags` take {same}")
            else:
                absent.append(f"`{selector}`")
    if absent:
        offered = ", ".join(control.selector for control in config.controls) or "no control tag"
        match = "matches" if len(absent) == 1 else "match"
        warnings.insert(0, f"{', '.join(absent)} {match} nothing in the labeling config, which has {offered}")
    return warnings


def _bind_model(
    spec: Model, control_tags: Sequence[ControlTag], config: LabelingConfig, there: Sequence[BoundModel]
) -> tuple[list[BoundModel], list[Unbound]]:
    """Return one model for each control or, if the key names several selectors, one for each object that they share.
    `there`: the models that it may need.
    """
    adapter_class = class_of(spec)
    fitting: list[tuple[Control, ObjectTag]] = []
    parts, why_none = parts_of(spec.inputs, config)
    refused: list[Unbound] = []
    needed = needed_controls(spec, there)
    if spec.needs and not needed:
        refused = [Unbound(tag, f"{tag.selector}: {why_not_needed(spec, config)}") for tag in control_tags]
        return [], refused
    for control_tag in control_tags:
        if is_typed_prompt(control_tag, adapter_class):
            refused.append(Unbound(control_tag, f"{control_tag.selector} is a prompt, which {spec.adapter} reads"))
            continue
        object_tag, reason = object_for(
            control_tag, adapter_class, spec.options, config, joined=bool(spec.inputs), needed=needed
        )
        if object_tag is not None and why_none:
            object_tag, reason = None, f"{control_tag.selector}: {why_none}"
        if object_tag is None:
            refused.append(Unbound(control_tag, reason))
        else:
            fitting.append((_with_former_names(control_of(control_tag, config), spec), object_tag))
    groups: dict[str, list[tuple[Control, ObjectTag]]] = {}
    for control, object_tag in fitting:
        alone = len(spec.selectors) == 1 or control.compares
        together = control.control_tag.name if alone else object_tag.name
        if not alone and asks_messages(control.control_tag, object_tag):
            together += "@"  # of each message, and not of the whole chat
        groups.setdefault(together, []).append((control, object_tag))
    bound = []
    for pairs in groups.values():
        names = "+".join(control.control_tag.name for control, _ in pairs)
        key = f"{names}:{spec.adapter}" + (f":{spec.rank + 1}" if spec.rank else "")
        controls = tuple(control for control, _ in pairs)
        inputs = compared(controls[0].control_tag, config) if controls[0].compares else parts
        bound.append(BoundModel(key, spec, adapter_class, controls, pairs[0][1], inputs, needed, config.xml))
    return bound, refused


def _with_former_names(control: Control, spec: Model) -> Control:
    """Return a control whose labels have the former names in the recipe."""
    if not spec.was:
        return control
    tag = control.companion or control.control_tag
    labels = tuple(
        msgspec.structs.replace(label, was=spec.was.get(control.name_of(label), spec.was.get(label.value, ())))
        for label in tag.labels
    )
    tag = msgspec.structs.replace(tag, labels=labels)
    if control.companion:
        return type(control)(control.control_tag, tag, control.text_tag)
    return type(control)(tag, None, control.text_tag)


def object_for(
    control_tag: ControlTag,
    adapter_class: type[Adapter],
    options: msgspec.Struct,
    config: LabelingConfig,
    *,
    joined: bool = False,
    needed: Sequence[Control] = (),
) -> tuple[ObjectTag | None, str]:
    """Return the first object of a control that the adapter can read, or the reason why there is none, in a sentence.

    `joined`: it reads the recipe's `inputs` instead. `needed`: it reads the regions of these controls.
    """
    name = control_tag.selector
    kind = control_class(control_tag, config.objects)
    if kind is None:
        return None, f"{name}: lsml does not support {control_tag.tag} yet; it supports {', '.join(sorted(CONTROLS))}"
    refusal = kind.refusal(control_tag)
    if refusal is not None:
        return None, refusal
    if kind.value_type not in adapter_class.produces:
        title = getattr(kind.value_type, "title", kind.value_type.__name__)
        return None, f"{name} takes {title}, which {adapter_class.name} does not produce"
    if kind.compares or adapter_class.only_compares:
        return compared_object(control_tag, adapter_class, options, config, joined=joined or bool(needed))
    if needed:
        object_tag, why = region_object(control_tag, adapter_class, config, needed)
        refusal = adapter_class.refusal(options, control_tag, object_tag) if object_tag else why
        return (None, refusal) if refusal else (object_tag, "")
    if control_tag.per_region or relates([kind]):
        return _object_of_messages(control_tag, adapter_class, options, config, joined=joined)
    if adapter_class.reads_regions:
        return None, (
            f"{name}: {adapter_class.name} reads regions; name their tag under `needs`, such as `needs: Rectangle`"
        )
    objects = [config.objects[to_name] for to_name in control_tag.to_names if to_name in config.objects]
    if not objects:
        offered = ", ".join(f"{tag.tag}#{tag.name}" for tag in config.objects.values()) or "no object tag"
        return None, f"{name}: toName names {', '.join(control_tag.to_names)}, and the labeling config shows {offered}"
    for object_tag in objects:
        allowed = kind.objects is None or object_tag.tag in kind.objects
        if allowed and (joined or object_tag.tag in adapter_class.consumes):
            if joined and control_tag.repeater is not None:
                return None, f"{name} is inside a Repeater, whose copies `inputs` cannot distinguish; remove `inputs`"
            if object_tag.repeater != control_tag.repeater:
                return None, f"{name} and {object_tag.tag}#{object_tag.name} are not in one Repeater"
            refusal = adapter_class.refusal(options, control_tag, object_tag)
            return (None, refusal) if refusal else (object_tag, "")
    shown = ", ".join(f"{tag.tag}#{tag.name}" for tag in objects)
    reads = ", ".join(sorted(adapter_class.consumes))
    advice = "; name the columns under `inputs`, such as [$age, $city]" if reads_columns(adapter_class) else ""
    return None, f"{name} is for {shown}, and {adapter_class.name} reads {reads}{advice}"


def _object_of_messages(
    control_tag: ControlTag,
    adapter_class: type[Adapter],
    options: msgspec.Struct,
    config: LabelingConfig,
    *,
    joined: bool,
) -> tuple[ObjectTag | None, str]:
    """Return the chat whose messages a control asks about, or why there is none: other regions need a tool."""
    chat = None if joined else chat_of(control_tag, config, adapter_class)
    if chat is None:
        return None, why_alone(control_tag, adapter_class, config)
    refusal = adapter_class.refusal(options, control_tag, chat)
    return (None, refusal) if refusal else (chat, "")


def _unknown_labels(spec: Model, bound: Sequence[BoundModel]) -> list[str]:
    """Return warnings for names under `labels`, `threshold` and options by label that are no label of the model's controls."""
    if not bound or any(model.target.open for model in bound):
        return []
    controls = [control for model in bound for control in model.controls]
    tags = [control.companion or control.control_tag for control in controls]
    answered = {label for model in bound for label in model.target.labels}
    known = answered | {name for tag in tags for label in tag.labels for name in (label.name, label.value)}
    said = dict.fromkeys((*spec.labels, *spec.was, *spec.descriptions))
    thresholds = spec.threshold if isinstance(spec.threshold, Mapping) else {}
    named = ", ".join(control.control_tag.selector for control in controls)
    keys: list[tuple[str, Iterable[str], set[str]]] = [
        ("labels", said, known),
        ("threshold", thresholds.keys() - {"default", *said}, known),
    ]
    for option, meta in option_facts(type(spec.options)).items():
        if meta.get("labels"):  # an adapter only gets the labels' stored names
            keys.append((f"options.{option}", getattr(spec.options, option), answered))
    warnings = [
        f"`{where}.{name}` is no label of {named}, which has {', '.join(sorted(possible)) or 'none'}"
        for where, names, possible in keys
        for name in names
        if name not in possible
    ]
    return warnings + [
        f"`labels.{label}.was` names `{name}`, which is still a label of {named} and is not renamed"
        for label, names in spec.was.items()
        for name in names
        if name in known
    ]


def _limits(model: BoundModel) -> str | None:
    """Return what a model cannot learn or predict for its controls, in a sentence; or None."""
    label_tags = [control.companion or control.control_tag for control in model.controls]
    limits = model.adapter_class.limits(model.spec.options, model.target, label_tags)
    controls = ", ".join(control.control_tag.selector for control in model.controls)
    return f"{controls}: {model.spec.adapter} {limits}" if limits else None


def _answered(model: BoundModel) -> set[str]:
    """Return the names of the tags of a model's regions: its controls, and those for their labels and texts."""
    names = {name for control in model.controls for name in control.names}
    texts = {control.text_tag.name for control in model.controls if control.text_tag}
    return names if model.adapter_class.transcribes else names - texts


def _nowhere_for_texts(model: BoundModel) -> str | None:
    """Return that no tag takes the texts that a model reads in its regions, in a sentence; None where one does."""
    if not model.adapter_class.transcribes or any(control.text_tag or control.holds_text for control in model.controls):
        return None
    controls = ", ".join(control.control_tag.selector for control in model.controls)
    return (
        f"{controls}: {model.spec.adapter} reads the text in its regions, and the labeling config has no tag for it; "
        f'add <TextArea name="text" toName="{model.object_tag.name}" perRegion="true" editable="true"/>'
    )


def _nothing_known(model: BoundModel) -> str:
    """Return that no class of a pretrained model stands for a label, and what to do."""
    names = list(dict.fromkeys(name for known in model.classes.known.values() for name in known))
    controls = ", ".join(control.control_tag.selector for control in model.controls)
    learns = "; it predicts once it is trained" if model.trainable else ""
    return (
        f"no class of {model.spec.adapter} is a label of {controls}: the classes are {listed(names, 8)}, the labels "
        f"{listed(model.target.labels, 8)}; map them under `labels`{learns}"
    )
