"""One training run: split, fit every model that can learn, judge on held-out tasks, keep what got better."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lsml.adapters.base import Adapter, Example, Progress, TrainableAdapter, silent
from lsml.binding import Binding, BoundModel, Reading
from lsml.controls.base import Control
from lsml.errors import AdapterError, FetchError, LsmlError, NotEnoughData
from lsml.labeling.objects import Fetch, Unreadable, needs_fetch, read_ahead
from lsml.learning.snapshot import AnnotatedExample, Snapshot, share_of
from lsml.metrics import Pair, judge
from lsml.prediction import predict_tasks
from lsml.values import Box, Choice, KeyPoint, Shape, Value, label_of
from lsml.versions import Card, Loaded, ModelCard, learnt_marks, mark

_log = logging.getLogger(__name__)
LEAST_JUDGED = 10  # with fewer held-out tasks a comparison says nothing
SEED = 20_261_123
_BATCH = 256  # tasks judged at a time


@dataclass(frozen=True)
class Trained:
    """What a run made: a card for the folder that it filled, and whether the version is to be promoted."""

    card: Card
    promote: bool


def train(
    binding: Binding,
    snapshot: Snapshot,
    directory: Path,
    fetch: Fetch,
    *,
    promoted: tuple[Loaded, Path] | None = None,
    progress: Progress = silent,
    models: Sequence[BoundModel] | None = None,
    unjudged: str | None = None,
) -> Trained:
    """Train `models` (default: those that the recipe lets learn) on a snapshot, into `directory`.

    `promoted`: the version that is served now, and its folder. A model that is not better than it on the same held-out
    tasks is carried over from it. `unjudged`: why there is one that cannot be loaded. A model that cannot learn costs only
    itself. Raises NotEnoughData or AdapterError where none can; Cancelled through `progress`.
    """
    models = list(binding.trainable if models is None else models)
    if not models:
        raise NotEnoughData(f"no model of this recipe can learn here; {binding.state()}")
    moved = _move_over(models, snapshot)
    judged_tasks = _held_out_tasks(models, snapshot, moved)
    card = Card(
        recipe=binding.recipe.name, models={}, tasks=snapshot.tasks, held_out=len(judged_tasks), snapshot=snapshot.digest,
        seed=SEED,
    )  # fmt: skip
    fitted: dict[str, Adapter] = {}
    refusals: list[str] = []
    broken = False
    for index, model in enumerate(models):

        def of_model(share: float, message: str, index: int = index) -> None:
            progress((index + share) / len(models) * 0.9, message)

        try:
            fitted[model.key] = _fit(model, index, snapshot, moved, directory, fetch, card, of_model)
        except NotEnoughData as error:
            refusals.append(f"{model.key}: {error}")
        except AdapterError as error:
            refusals.append(f"{model.key}: {error}")
            broken = True
    if not fitted:
        if broken:
            raise AdapterError("; ".join(refusals))
        raise NotEnoughData("not enough data: " + "; ".join(refusals))
    card.notes += refusals
    if snapshot.unread:
        reasons = ", ".join(sorted(snapshot.unread))
        card.notes.append(f"what {sum(snapshot.unread.values())} annotations point at could not be read ({reasons})")
    progress(0.9, "judging on held-out tasks")
    trained = _choose(binding, models, fitted, promoted, judged_tasks, fetch, card, directory, unjudged)
    progress(1.0, card.verdict)
    return trained


def evaluate(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    lessons: Sequence[AnnotatedExample],
    fetch: Fetch,
    progress: Progress = silent,
) -> dict[str, dict[str, Any]]:
    """How well what would be shown meets the annotations: `{control: {metric, value, examples, per_label, ...}}`."""
    pairs: dict[str, list[Pair]] = {name: [] for name in binding.controls}
    for begin in range(0, len(lessons), _BATCH):
        some = lessons[begin : begin + _BATCH]
        tasks = [{"id": lesson.task, "data": lesson.data} for lesson in some]
        outcomes = predict_tasks(binding, adapters, tasks, fetch, "", judging=True)
        for lesson, outcome in zip(some, outcomes, strict=True):
            judged: set[str] = set()
            for model in binding.models:
                for template, control in _with_templates(model, lesson.data):
                    name = control.control_tag.name
                    if name in judged:
                        continue  # several models answer it, and their combination is what is judged
                    judged.add(name)
                    guess = outcome.values.get(name, ())
                    around = _parents(lesson) if control.value_type is KeyPoint else ()
                    pairs[template.control_tag.name] += [
                        ((*truth, *around), guess) for truth in lesson.answers.get(name, ())
                    ]
        progress(min(1.0, (begin + _BATCH) / len(lessons)), f"judged {min(begin + _BATCH, len(lessons))} tasks")
    return {name: judge(control.value_type, pairs[name]) for name, control in binding.controls.items()}


def _parents(lesson: AnnotatedExample) -> list[Value]:
    """The boxes that points of a task may name as their parents."""
    answers = (answer for annotated in lesson.answers.values() for answer in annotated)
    return [value for answer in answers for value in answer if isinstance(value, Box) and value.group]


def _with_templates(model: BoundModel, data: Mapping[str, Any]) -> list[tuple[Control, Control]]:
    """(the control as the config has it, its copy in this task); the same twice without a Repeater."""
    copies = model.instances(data)
    each = len(copies) // len(model.controls)
    return [(template, copy) for i, template in enumerate(model.controls) for copy in copies[i * each : (i + 1) * each]]


def _names(model: BoundModel, lesson: AnnotatedExample) -> list[str]:
    return [control.control_tag.name for control in model.instances(lesson.data)]


def _labels(answer: Sequence[Value]) -> tuple[str, ...]:
    return tuple(sorted(value.label for value in answer if isinstance(value, Choice)))


def _move_over(models: Sequence[BoundModel], snapshot: Snapshot) -> set[str]:
    """Held-out tasks that training needs, so that it covers two classes; taken in hash order, as few as do."""
    moved: set[str] = set()
    for model in models:
        if Choice not in model.adapter_class.produces:
            continue
        covered: set[tuple[str, ...]] = set()
        kept: list[tuple[float, str, set[tuple[str, ...]]]] = []
        for lesson in snapshot:
            answers = {_labels(a) for name in _names(model, lesson) for a in lesson.answers.get(name, ())}
            if not answers:
                continue
            if _held_out(model, lesson.task, moved):
                kept.append((lesson.share, lesson.task, answers))
            else:
                covered |= answers
        for _, task, answers in sorted(kept, key=lambda one: one[:2]):
            if len(covered) >= 2:
                break
            if not answers <= covered:
                moved.add(task)
                covered |= answers
    return moved


def _held_out(model: BoundModel, task: str, moved: set[str]) -> bool:
    holdout = model.spec.training.holdout if model.spec.training else 0.2
    return task not in moved and share_of(task) < holdout


def _held_out_tasks(models: Sequence[BoundModel], snapshot: Snapshot, moved: set[str]) -> list[AnnotatedExample]:
    return [lesson for lesson in snapshot if all(_held_out(model, lesson.task, moved) for model in models)]


def _fit(
    model: BoundModel,
    index: int,
    snapshot: Snapshot,
    moved: set[str],
    directory: Path,
    fetch: Fetch,
    card: Card,
    progress: Progress,
) -> Adapter:
    """A new adapter that learnt the tasks which are not held out, saved into its folder and entered into the card."""
    examples, classes, unread, learnt = _examples(model, snapshot, moved, fetch)
    if unread:
        reasons = ", ".join(sorted({reason for reason, _ in unread}))
        sentence = f"{len(unread)} tasks could not be read ({reasons}), the first of them: {unread[0][1]}"
        card.notes.append(f"{model.key}: {sentence}")
        _log.warning("%s: %s", model.key, sentence)
    least = model.spec.training.min_annotations if model.spec.training else 0
    adapter = model.new_adapter()
    assert isinstance(adapter, TrainableAdapter)
    if not examples and unread:
        raise NotEnoughData(sentence)
    if not examples:
        raise NotEnoughData(
            f"{len(examples)} examples of {snapshot.tasks} annotated tasks answer {_controls(model)}; annotate at least "
            f"{max(2, least)}"
        )
    progress(0.0, f"learning {_controls(model)} from {len(examples)} examples")
    try:
        adapter.fit(examples, SEED, progress)
    except (LsmlError, OSError, MemoryError):
        raise
    except Exception as error:
        # A library may raise anything; the other models can still learn.
        _log.exception("%s failed to learn", model.key)
        raise AdapterError(f"it failed to learn: {type(error).__name__}; the log says where") from error
    card.notes += [f"{model.key}: {note}" for note in adapter.notes]
    folder = f"{index}-{model.spec.adapter}"
    (directory / folder).mkdir(mode=0o700)
    adapter.save(directory / folder)
    marks = directory / f"{folder}.learnt"
    marks.write_bytes(b"".join(sorted(learnt)))
    card.models[model.key] = ModelCard(
        adapter=model.spec.adapter, folder=folder, fingerprint=model.fingerprint, labels=sorted(classes),
        examples=len(examples), classes=dict(sorted(classes.items())), learnt=marks.name, moved=sorted(moved),
        options=model.options_digest, snapshot=snapshot.digest,
    )  # fmt: skip
    return adapter


def _controls(model: BoundModel) -> str:
    return ", ".join(control.control_tag.selector for control in model.controls)


def _examples(
    model: BoundModel, snapshot: Snapshot, moved: set[str], fetch: Fetch
) -> tuple[list[Example], Counter[str], list[tuple[str, str]], set[bytes]]:
    """(examples, how often each label occurs in them, why tasks could not be read, the marks of what is learnt).

    Why is (reason, sentence), once for each task."""
    learnt: set[bytes] = set()
    examples: list[Example] = []
    classes: Counter[str] = Counter()
    unread: list[tuple[str, str]] = []
    lessons = (
        lesson
        for lesson in snapshot
        if not _held_out(model, lesson.task, moved) and any(name in lesson.answers for name in _names(model, lesson))
    )

    def read(lesson: AnnotatedExample) -> tuple[AnnotatedExample, list[Reading]]:
        try:
            return lesson, model.read({"id": lesson.task, "data": lesson.data}, fetch)
        except (Unreadable, FetchError) as error:
            unread.append((error.reason, f"task {lesson.task}: {error}"))
            return lesson, []

    for lesson, readings in read_ahead(read, lessons) if needs_fetch(model.object_tag) else map(read, lessons):
        if not readings:
            continue
        learnt.add(mark(lesson.data))
        for reading in readings:
            answers = [lesson.answers.get(control.control_tag.name, []) for control in reading.controls]
            for turn in range(max(map(len, answers))):
                values = tuple(
                    value
                    for answer in answers
                    if turn < len(answer)
                    for value in answer[turn]
                    if not isinstance(value, Shape) or value.item == (reading.view.item or 0)
                )
                examples.append(Example(reading.view.data, values))
                classes.update(label for value in values if (label := label_of(value)))
    return examples, classes, unread, learnt


def _choose(
    binding: Binding,
    models: Sequence[BoundModel],
    fitted: Mapping[str, Adapter],
    promoted: tuple[Loaded, Path] | None,
    judged_tasks: Sequence[AnnotatedExample],
    fetch: Fetch,
    card: Card,
    directory: Path,
    unjudged: str | None,
) -> Trained:
    """Decide model by model, judging the combined result, then fill in the card."""
    served = dict(promoted[0].adapters) if promoted else {}
    base = {model.key: served.get(model.key) or model.new_adapter() for model in binding.models}
    taken: dict[str, str] = {}  # model key -> why it is taken
    left: dict[str, str] = {}  # model key -> why it is not
    for model in models:
        if model.key not in fitted:
            continue
        rule = model.spec.training.promote if model.spec.training else "better"
        if promoted is None or not base[model.key].ready:
            taken[model.key] = f"not judged: {unjudged}" if unjudged else "the first version"
        elif rule == "never":
            left[model.key] = "the recipe says `promote: never`"
        elif rule == "always":
            taken[model.key] = "the recipe says `promote: always`"
        else:
            better, why = _compare(binding, model, base, fitted, promoted, judged_tasks, fetch, card, directory)
            (taken if better else left)[model.key] = why
    # Where nothing is taken, the version holds what was learnt, unpromoted, so that a person may still choose it.
    promote = bool(taken)
    chosen = {key: fitted[key] for key in (taken if promote else fitted)}
    if promoted is not None:
        _carry_over(binding, chosen, promoted, card, directory, left)
    if promote:
        for key in fitted.keys() - chosen.keys():
            lost = card.models.get(key)
            if lost is not None and lost.source == "learnt":  # nothing was carried over in its place
                _drop(card, key, directory)
    learnt = set().union(*(learnt_marks(directory, model) for model in card.models.values()))
    unlearnt = [lesson for lesson in judged_tasks if mark(lesson.data) not in learnt]
    card.held_out = len(unlearnt)
    card.metrics = evaluate(binding, {**base, **chosen}, unlearnt, fetch)
    reasons = {**taken, **left}
    if len(set(reasons.values())) > 1:
        card.verdict = "; ".join(f"{key.partition(':')[0]}: {why}" for key, why in reasons.items())
    else:
        card.verdict = next(iter(reasons.values()))
    card.verdict = ("promoted: " if promote else "not promoted: ") + card.verdict
    return Trained(card, promote)


def _compare(
    binding: Binding,
    model: BoundModel,
    base: Mapping[str, Adapter],
    fitted: Mapping[str, Adapter],
    promoted: tuple[Loaded, Path],
    judged_tasks: Sequence[AnnotatedExample],
    fetch: Fetch,
    card: Card,
    directory: Path,
) -> tuple[bool, str]:
    """Whether the new model beats the served one on tasks that neither of them learnt, and why, in a sentence."""
    served, folder = promoted
    assert served.card is not None
    saved = served.card.models.get(model.key)
    if saved is not None and (saved.snapshot, saved.options) == (card.snapshot, model.options_digest):
        return False, f"nothing changed since v{served.number}: the same annotations and options"
    names = {control.control_tag.name for control in model.controls}
    learnt = learnt_marks(directory, card.models[model.key]) | (learnt_marks(folder, saved) if saved else set())
    fair = [
        lesson
        for lesson in judged_tasks
        if mark(lesson.data) not in learnt and (names & set(lesson.answers) or model.object_tag.repeater is not None)
    ]
    if len(fair) < LEAST_JUDGED:
        return True, f"not judged: {len(fair)} held-out tasks, and a judgement needs {LEAST_JUDGED}"
    new = _main_metric(evaluate(binding, {**base, model.key: fitted[model.key]}, fair, fetch), names)
    old = _main_metric(evaluate(binding, base, fair, fetch), names)
    card.compared[model.key] = {"new": new, "promoted": old, "tasks": len(fair), "with": f"v{served.number}"}
    if old is None or new is None:
        return True, "not judged: nothing to compare with"
    if new > old:
        return True, f"better than v{served.number} on {len(fair)} held-out tasks ({new:.3f} > {old:.3f})"
    return False, f"not better than v{served.number} on {len(fair)} held-out tasks ({new:.3f} <= {old:.3f})"


def _main_metric(metrics: Mapping[str, Mapping[str, Any]], names: set[str]) -> float | None:
    values = [metrics[name]["value"] for name in sorted(names) if metrics[name]["value"] is not None]
    return sum(values) / len(values) if values else None


def _carry_over(
    binding: Binding,
    chosen: Mapping[str, Adapter],
    promoted: tuple[Loaded, Path],
    card: Card,
    directory: Path,
    left: Mapping[str, str],
) -> None:
    """Copy every model that is not chosen from the served version's folder, and drop what lost."""
    loaded, folder = promoted
    assert loaded.card is not None
    for model in binding.models:
        saved = loaded.card.models.get(model.key)
        if model.key in chosen or saved is None or not loaded.adapters[model.key].ready:
            continue
        if saved.fingerprint != model.fingerprint:
            continue
        if model.key in card.models:
            _drop(card, model.key, directory)
            card.notes.append(f"{model.key}: {left.get(model.key, 'not learnt')}")
        name = f"{saved.folder}-v{loaded.number}" if (directory / saved.folder).exists() else saved.folder
        shutil.copytree(folder / saved.folder, directory / name)
        if saved.learnt:
            shutil.copyfile(folder / saved.learnt, directory / f"{name}.learnt")
        source = saved.source if saved.source != "learnt" else f"carried over from v{loaded.number}"
        card.models[model.key] = msgspec.structs.replace(
            saved, folder=name, source=source, learnt=f"{name}.learnt" if saved.learnt else ""
        )


def _drop(card: Card, key: str, directory: Path) -> None:
    """Take a model that is not kept out of the card and the folder."""
    model = card.models.pop(key)
    shutil.rmtree(directory / model.folder)
    (directory / model.learnt).unlink(missing_ok=True)
