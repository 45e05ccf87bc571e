"""The models of a recipe that need regions of other models: the order of their answers, and the check of `needs`."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.controls import CONTROLS
from lsml.controls.regions import RegionControl
from lsml.recipe.draft import Draft
from lsml.recipe.selector import Selector
from lsml.recipe.structs import Model
from lsml.wording import near


def needed_models(model: Model, models: Sequence[Model]) -> list[Model]:
    """Return the models whose regions one model needs, in the order of the recipe."""
    return [other for other in models if any(_gives(other, selector, models) for selector in model.needs)]


def _gives(model: Model, wanted: Selector, models: Sequence[Model]) -> bool:
    """Return True if a model answers tags that a selector names. A key that names one tag beats one for all tags of its
    kind.
    """
    if wanted.name is not None and any(wanted in other.selectors for other in models):
        return wanted in model.selectors
    return any(one.tag == wanted.tag and (wanted.name is None or one.name is None) for one in model.selectors)


def stages(models: Sequence[Model]) -> list[list[Model]]:
    """Return the models in the stages in which they answer: those of one key together, after those that they need. Models
    in a circle come last, together.
    """
    found: list[list[Model]] = []
    left = {id(model): model for model in models}
    while left:
        waiting = {
            one.selectors for one in left.values() if any(id(other) in left for other in needed_models(one, models))
        }
        stage = [one for one in left.values() if one.selectors not in waiting]
        found.append(stage or list(left.values()))
        left = {key: one for key, one in left.items() if all(one is not other for other in found[-1])}
    return found


def check_needs(draft: Draft, models: Sequence[Model]) -> None:
    """Note problems of `needs`: a tag without a model, a tag without regions, a cycle."""
    for model in models:
        for selector in model.needs:
            _check(draft, model, selector, models)
    told: set[int] = set()
    for model in models:
        circle = _circle(model, models)
        if circle and id(model) not in told:
            told.update(map(id, circle))
            first, *others = (f"`{', '.join(map(str, one.selectors))}` on line {one.line}" for one in circle)
            way = f"needs {', which needs '.join([*others, 'itself' if not others else first])}"
            draft.add((*model.path, "needs"), f"{first} {way}; remove one of them")


def _check(draft: Draft, model: Model, selector: Selector, models: Sequence[Model]) -> None:
    path = (*model.path, "needs")
    marking = [tag for tag, control in CONTROLS.items() if issubclass(control, RegionControl) and control.marks]
    control = CONTROLS.get(selector.tag)
    if control is None:
        close = near(selector.tag, marking)
        advice = f"did you mean `{close[0]}`?" if close else f"tags with regions are {', '.join(sorted(marking))}"
        draft.add(path, f"lsml does not support `{selector.tag}`; {advice}")
    elif selector.tag not in marking:
        draft.add(path, f"`{selector}` has no regions; expected one of {', '.join(sorted(marking))}")
    elif not any(_gives(other, selector, models) for other in models):
        keys = list(dict.fromkeys(str(one) for other in models for one in other.selectors if other is not model))
        close = near(str(selector), keys)
        advice = (
            f"did you mean `{close[0]}`?" if close else f"add it to `tags`, which has {', '.join(keys) or 'no other'}"
        )
        draft.add(path, f"`{selector}` has no model; {advice}")


def _circle(model: Model, models: Sequence[Model]) -> list[Model]:
    """Return the shortest path over `needs` from a model back to itself; empty if there is none."""
    ways = [[model]]
    seen: set[int] = set()
    while ways:
        way = ways.pop(0)
        for other in needed_models(way[-1], models):
            if other is model:
                return way
            if id(other) not in seen:
                seen.add(id(other))
                ways.append([*way, other])
    return []
