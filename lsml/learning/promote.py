"""Which of the models that learnt become the version, whether it is promoted, and what is carried over."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding import Binding, BoundModel
from lsml.labeling.objects import Fetch
from lsml.learning.judge import evaluate, main_metric, unread_sentence
from lsml.learning.snapshot import AnnotatedExample
from lsml.versions import Card, Loaded, learnt_marks, mark

LEAST_JUDGED = 10  # with fewer held-out tasks a comparison says nothing


@dataclass(frozen=True)
class Trained:
    """What a run made: a card for the folder that it filled, and whether the version is to be promoted."""

    card: Card
    promote: bool


def choose(
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
            if lost is not None and lost.carried_from is None:  # nothing was carried over in its place
                _drop(card, key, directory)
    learnt = set().union(*(learnt_marks(directory, model) for model in card.models.values()))
    unlearnt = [lesson for lesson in judged_tasks if mark(lesson.data) not in learnt]
    judged = evaluate(binding, {**base, **chosen}, unlearnt, fetch)
    card.held_out = len(unlearnt)
    card.metrics = judged.metrics
    if judged.unread:
        card.notes.append(f"left out of judging: {unread_sentence(judged.unread)}")
    reasons = {**taken, **left}
    if len(set(reasons.values())) > 1:
        card.verdict = "; ".join(f"{key.partition(':')[0]}: {why}" for key, why in reasons.items())
    else:
        card.verdict = next(iter(reasons.values()))
    card.verdict = ("promoted: " if promote else "not promoted: ") + card.verdict
    card.promoted = promote
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
    judged = (
        evaluate(binding, {**base, model.key: fitted[model.key]}, fair, fetch) if len(fair) >= LEAST_JUDGED else None
    )
    tasks = judged.tasks if judged else len(fair)
    if judged is None or tasks < LEAST_JUDGED:
        return True, f"not judged: {tasks} held-out tasks, and a judgement needs {LEAST_JUDGED}"
    new = main_metric(judged.metrics, names)
    old = main_metric(evaluate(binding, base, fair, fetch).metrics, names)
    card.compared[model.key] = {"new": new, "promoted": old, "tasks": tasks, "with": f"v{served.number}"}
    if old is None or new is None:
        return True, "not judged: nothing to compare with"
    if new > old:
        return True, f"better than v{served.number} on {tasks} held-out tasks ({new:.3f} > {old:.3f})"
    return False, f"not better than v{served.number} on {tasks} held-out tasks ({new:.3f} <= {old:.3f})"


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
        card.models[model.key] = msgspec.structs.replace(
            saved,
            folder=name,
            carried_from=saved.carried_from or loaded.number,
            learnt=f"{name}.learnt" if saved.learnt else "",
        )


def _drop(card: Card, key: str, directory: Path) -> None:
    """Take a model that is not kept out of the card and the folder."""
    model = card.models.pop(key)
    shutil.rmtree(directory / model.folder)
    (directory / model.learnt).unlink(missing_ok=True)
