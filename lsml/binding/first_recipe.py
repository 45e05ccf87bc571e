"""The text of a first recipe for a labeling config: an adapter for each control that one can answer, and comments."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from lsml.adapters import install_hint, is_installed
from lsml.adapters.base import Adapter, TrainableAdapter
from lsml.binding.model import target_of
from lsml.binding.offers import Offer
from lsml.controls import Control

_PLAIN: Final = re.compile(r"[A-Za-z]+(#[\w.-]+)?\Z")  # a selector that needs no quotes in YAML
# Characters that YAML does not allow, or reads as a line break; XML can write them as references.
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WIDTH: Final = 30  # the width of a setting before its comment

_SCORE: Final = (
    "# score: confidence            # Label Studio sorts tasks by it; low is uncertain; or margin, or entropy\n"
)
_TRAINING: Final = """\
# training:                    # these are the defaults; `training: false` never learns
#   every: 10%                 # new or changed annotations until the next training; a number, or a share
#   quiet: 20s                 # it waits until nobody has annotated for this long
#   min_annotations: 10        # before the first training
#   holdout: 0.2               # share of the tasks in the validation set, which is never learnt
#   promote: better            # when a new version is served: better, always or never
"""
_STUDIO: Final = """\
label_studio:                  # the token is read from the environment, and never written here
  url: ${{LABEL_STUDIO_URL:-{url}}}
  api_key: ${{LABEL_STUDIO_API_KEY:-}}
"""


def recipe_name(title: str, otherwise: str) -> str:
    """Return a recipe's name from a title, in lower-case letters, digits and `-`; `otherwise` where none are left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].rstrip("-") or otherwise


def first_recipe(name: str, source: str, xml: str, offered: Sequence[Offer], studio_url: str | None = None) -> str:
    """Return a recipe in YAML that binds every chosen adapter of the offers, of which there must be at least one.

    `source`: the source of the labeling config, for people; `studio_url`: its Label Studio.
    """
    parts = [
        f"# A first recipe for {_one_line(source)}. Change what does not fit, then: lsml validate FILE, lsml run FILE\n"
        f"{_said('lsml: 1', 'the format of this file')}\n"
        f"{_said(f'name: {_plain(name)}', 'names the data directory and the model versions')}\n",
        "# A copy of the labeling config, for requests without a project. Label Studio sends the project's own, "
        f"which takes precedence.\nlabeling_config: |\n{_block(xml)}",
        "tags:\n" + "".join(_tags(offered)),
        _SCORE,
    ]
    if any(issubclass(adapter, TrainableAdapter) for offer in offered for adapter in offer.chosen):
        parts.append(_TRAINING)
    if studio_url is not None:
        parts.append(_STUDIO.format(url=studio_url))
    return "\n".join(parts)


def _tags(offered: Sequence[Offer]) -> Iterator[str]:
    """Yield the entries under `tags`, one for all controls of a tag that have the same models; then the controls without
    any.
    """
    blocks = []
    sharing = {offer.shares for offer in offered if offer.shares}
    for tag in dict.fromkeys(offer.control_tag.tag for offer in offered):
        alike = [offer for offer in offered if offer.control_tag.tag == tag and not offer.shares]
        for first in [offer for offer in alike if offer.control_tag.selector in sharing]:
            alike.remove(first)
            together = [first, *(offer for offer in offered if offer.shares == first.control_tag.selector)]
            blocks.append(_entry(", ".join(offer.control_tag.selector for offer in together), together))
        if alike and alike[0].chosen and len({(offer.chosen, offer.needs) for offer in alike}) == 1:
            blocks.append(_entry(tag, alike))
        else:
            blocks += [_entry(offer.control_tag.selector, [offer]) for offer in alike if offer.chosen]
    for title, helps in (("These need no model", True), ("Only people annotate these", False)):
        reasons = [offer.reason for offer in offered if offer.reason and offer.helps == helps]
        if reasons:
            blocks.append(f"  # {title}:\n" + "".join(f"  #   {_one_line(reason)}\n" for reason in reasons))
    yield "\n".join(blocks)


def _entry(selector: str, offered: Sequence[Offer]) -> str:
    """Return one entry under `tags`, with the needs of its adapters, and the other possible adapters."""
    chosen, others = offered[0].chosen, offered[0].others
    controls = [offer.control for offer in offered if offer.control is not None]
    key = _value(selector)
    lines = [f"# {', '.join(_called(control) for control in controls)}"]
    for adapter in chosen:
        lines += _comment(adapter.name, adapter, controls)
    if len(chosen) > 1:
        lines.append(_said(f"{key}:", "regions of the first win; the next fill the gaps", 2))
        lines += [f"  - {adapter.name}" for adapter in chosen]
    elif offered[0].needs:
        needs = ", ".join(offered[0].needs)
        lines += [
            f"{key}:",
            f"  adapter: {chosen[0].name}",
            _said(f"  needs: {_value(needs)}", "it predicts for each of their regions", 2),
        ]
    elif _has_weights(chosen[0], controls):
        lines += [
            f"{key}:",
            f"  adapter: {chosen[0].name}",
            _said("  # options: {}", f"`lsml adapters {chosen[0].name}` lists them", 2),
            _said(f"  # threshold: {controls[0].default_threshold}", "predictions with a lower score are not shown", 2),
            _said("  # labels: {}", "{LABEL: [classes of the weights]}; `lsml explain` shows both", 2),
        ]
    else:
        lines.append(f"{key}: {chosen[0].name}")
    for adapter in others:
        lines += _comment(f"or {adapter.name}", adapter, controls)
    return "".join(f"  {_one_line(line)}\n" for line in lines)


def _comment(begin: str, adapter: type[Adapter], controls: Sequence[Control]) -> list[str]:
    """Return the adapter's purpose, and its needs beyond lsml: an extra, a licence to check, weights."""
    learns = "does not learn"
    if issubclass(adapter, TrainableAdapter):
        learns = "learns" if adapter.learns_unasked else "learns where the recipe has a `training` key"
    lines = [f"# {begin}: {adapter.title}; {learns}"]
    if adapter.extra is not None:
        lines.append(f"#     {install_hint(adapter)}{' (installed here)' if is_installed(adapter) else ''}")
    if adapter.licence is not None and (adapter.extra is not None or adapter.copyleft):
        lines.append(f"#     licence: {adapter.licence}")
    lacks = adapter.lacks(adapter.Options(), target_of(controls))
    return lines + ([f"#     lacks: {lacks.removeprefix(f'{adapter.name}: ')}"] if lacks else [])


def _value(text: str) -> str:
    """Return selectors as YAML reads them."""
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


def _has_weights(adapter: type[Adapter], controls: Sequence[Control]) -> bool:
    """Return True if it starts with classes of its own, or would if its weights were on this machine."""
    start = adapter.Options(), target_of(controls)
    return adapter.lacks(*start) is not None or bool(adapter.class_names(*start))


def _called(control: Control) -> str:
    named = f", labels of {control.companion.selector}" if control.companion else ""
    return control.control_tag.selector + named


def _said(setting: str, comment: str, indent: int = 0) -> str:
    return f"{setting:<{_WIDTH - indent}} # {comment}"


def _plain(text: str) -> str:
    """Return a name that YAML reads as text: in quotation marks where it would be a number or similar."""
    return text if re.match(r"[a-z]", text) and text not in ("true", "false", "null") else json.dumps(text)


def _one_line(text: str) -> str:
    """Return a text of unknown origin in a form that cannot end a comment."""
    return "".join(character if character.isprintable() else " " for character in text)


def _block(xml: str) -> str:
    """Return XML as a literal block of YAML."""
    text = _NOT_IN_YAML.sub(lambda match: f"&#{ord(match[0])};", xml.strip().replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(f"  {line}".rstrip(" ") + "\n" for line in text.split("\n"))
