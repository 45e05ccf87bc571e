"""The rest of a recipe: its labeling config, its Label Studio, its server and folders, and durations in seconds."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec

from lsml.controls import CONTROLS, controls_of
from lsml.errors import LabelingConfigError
from lsml.labeling import parse_labeling_config
from lsml.metrics import FIGURES
from lsml.recipe.draft import Draft
from lsml.recipe.environment import UnreadableVariable, variable
from lsml.recipe.nodes import MAX_BYTES, Scalar
from lsml.recipe.scalars import Path as KeyPath
from lsml.recipe.score import Score, ScoreKind
from lsml.recipe.structs import LabelStudio, Model, Training
from lsml.recipe.time_of_day import zone_of

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATIONS: Final = ("quiet", "timeout", "time", "fresh", "gather")
# The first of each is lsml's; the others are those of other ML backends.
URL_VARIABLES: Final = ("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST", "LABEL_STUDIO_HOSTNAME")
KEY_VARIABLES: Final = ("LABEL_STUDIO_API_KEY", "LABEL_STUDIO_ACCESS_TOKEN")


def read_labeling_config(draft: Draft) -> str | None:
    """Return the XML, inline or from the named file; None where there is none or it has a problem."""
    path: KeyPath = ("labeling_config",)
    given = draft.data.value.get("labeling_config")
    if not isinstance(given, str) or draft.wrong(path) or "labeling_config" in draft.flawed:
        return None
    name = None
    if "<" not in given:
        if not given.strip().endswith(".xml"):
            draft.add(path, "expected XML that starts with <View>, or a path that ends in .xml")
            return None
        name = given.strip()
        shown = "the file" if draft.hidden(path) else f"`{name}`"
        try:
            with (draft.path.parent / Path(name).expanduser()).open("rb") as file:
                given = file.read(8 * MAX_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError:
            draft.add(path, f"{shown} is not UTF-8; save it as UTF-8")
            return None
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            draft.add(path, f"{shown} cannot be read: {reason}; a relative path starts at the recipe's folder")
            return None
    try:
        parse_labeling_config(given)
    except LabelingConfigError as error:
        _add_xml_problem(draft, path, error, name)
        return None
    return given


def _add_xml_problem(draft: Draft, path: KeyPath, error: LabelingConfigError, name: str | None) -> None:
    message = str(error)
    node = draft.data.locations[path].node
    if name is None and error.position and isinstance(node, Scalar) and node.style == "|":
        # The text of a literal block begins on the line below its `|`.
        message = f"{error.what} (line {node.line + error.position[0]})"
    elif name is not None and error.position and not draft.hidden(path):
        message = str(error.of(name))
    draft.add(path, message)


def read_label_studio(draft: Draft) -> LabelStudio:
    """Return the address and token of Label Studio, from the recipe or else from the environment."""
    given = draft.data.value.get("label_studio", {})
    if not isinstance(given, dict) or draft.wrong(("label_studio",)):
        return LabelStudio()
    url, key = given.get("url"), given.get("api_key")
    source = ""
    if not url:
        variable, url = _from_environment(draft, "url", URL_VARIABLES)
        source = f"{variable} of the environment: "
    if url is not None:
        url = url.strip().rstrip("/")
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine or re.search(r"\s", url):
            advice = "expected an address that starts with http:// or https://"
            draft.add(("label_studio", "url"), f"{source}{advice}, such as http://localhost:8080")
    location = draft.data.locations.get(("label_studio", "api_key"))
    if key and location and not location.from_environment:
        draft.warn_of_secret(("label_studio", "api_key"), "LABEL_STUDIO_API_KEY")
    key = key or _from_environment(draft, "api_key", KEY_VARIABLES)[1]
    return LabelStudio(url, key, _ca_file(draft, given))


def _from_environment(draft: Draft, key: str, names: tuple[str, ...]) -> tuple[str, str | None]:
    """Return (variable, value) of the one in `names` that is set, the first where none is; note a problem where two differ."""
    found = {}
    for name in names:
        try:
            value = variable(draft.environ, name)
        except UnreadableVariable as error:
            draft.add(("label_studio", key), str(error))
        else:
            if value:
                found[name] = value
    if len({value.strip().rstrip("/") for value in found.values()}) > 1:
        draft.add(("label_studio", key), f"the environment's {' and '.join(found)} differ; set one of them")
    return next(iter(found.items()), (names[0], None))


def _ca_file(draft: Draft, given: Mapping[str, Any]) -> str | None:
    """Return the path of the certificate authorities for Label Studio; note a problem where it cannot be read."""
    if not given.get("ca_file") or not draft.possible(("label_studio", "ca_file")):
        return None
    path = (draft.path.parent / Path(given["ca_file"]).expanduser()).absolute()
    try:
        ssl.create_default_context().load_verify_locations(path)
    except ssl.SSLError:
        why = "it holds no certificates"
    except OSError as error:
        why = error.strerror or "nothing to read"
    else:
        return str(path)
    draft.add(("label_studio", "ca_file"), f"cannot be read: {why}; expected a PEM file, from the recipe's folder")
    return None


def check_server(draft: Draft) -> None:
    """Note a user name without a password or the reverse, and warn of secrets in the file."""
    server = draft.data.value.get("server", {})
    if not isinstance(server, dict) or draft.wrong(("server",)):
        return
    for one, other in (("username", "password"), ("password", "username")):
        if server.get(one) and not server.get(other):
            draft.add(("server", one), f"needs `{other}`; add it, or remove `{one}`")
    users = server.get("users") or {}
    if users and not server.get("username"):
        draft.add(("server", "users"), "needs `username` and `password`, which Label Studio uses; add them")
    if server.get("username") in users:
        draft.add(
            ("server", "users", server["username"]), "is `server.username`, which is already an owner; use another name"
        )
    for name, user in users.items():
        if isinstance(user, dict) and not draft.data.locations[("server", "users", name, "password")].from_environment:
            draft.warn_of_secret(
                ("server", "users", name, "password"), "LSML_PASSWORD_OF_" + re.sub(r"\W", "_", name.upper())
            )
    for key in ("password", "secret_path"):
        if server.get(key) and not draft.data.locations[("server", key)].from_environment:
            draft.warn_of_secret(("server", key), f"LSML_{key.upper()}")


def check_folders(draft: Draft) -> None:
    """Note folders that no path could name."""
    folders = draft.at(("media", "folders"))
    for number in range(len(folders) if isinstance(folders, list) else 0):
        draft.possible(("media", "folders", number))


def check_training(draft: Draft, path: KeyPath, tags: Iterable[str]) -> None:
    """Note settings of a `training:` key that exclude each other. `tags`: the control tags of its models."""
    holdout, promote = draft.at((*path, "holdout")), draft.at((*path, "promote"))
    if draft.wrong(path):
        return
    if isinstance(holdout, dict) and holdout.get("from") == "ground_truth":
        for key in ("share", "blind"):
            if key in holdout:
                draft.add((*path, "holdout", key), "only works with `from: share`; remove one of the two")
    at = draft.at((*path, "at"))
    try:
        if isinstance(at, str):
            zone_of(at)
    except ValueError as error:
        draft.add(
            (*path, "at"), f"this machine knows no time zone `{error}`; expected a name such as Europe/Berlin or UTC"
        )
    learn_from = draft.at((*path, "learn_from"))
    if isinstance(learn_from, dict) and learn_from.get("annotators") and learn_from.get("except_annotators"):
        draft.add((*path, "learn_from", "except_annotators"), "excludes `annotators`; keep one of the two")
    metric = promote.get("metric") if isinstance(promote, dict) else None
    taken = [control.value_type for tag in tags if tag in CONTROLS for control in controls_of(tag)]
    names = dict.fromkeys(name for value_type in taken for name in FIGURES[value_type])
    if metric is not None and names and metric not in names:
        draft.add(
            (*path, "promote", "metric"),
            (f"no tag of the recipe has the metric {metric}; expected one of {', '.join(names)}"),
        )


def read_score(draft: Draft, models: Sequence[Model]) -> ScoreKind | Score:
    """Return the meaning of a prediction's score; note a problem where it is that of a tag without a model."""
    given = draft.data.value.get("score", "confidence")
    if not isinstance(given, dict) or draft.wrong(("score",)):
        return cast(ScoreKind, given)
    score = msgspec.convert(given, Score)
    selectors = dict.fromkeys(selector for model in models for selector in model.selectors)
    tag = (score.of or "").partition("#")[0]
    known = any(score.of in (str(one), one.tag) or (one.name is None and one.tag == tag) for one in selectors)
    if score.of is not None and models and not known:
        names = ", ".join(f"`{one}`" for one in selectors)
        draft.add(("score", "of"), f"`{score.of}` has no model; expected a selector under `tags`: {names}")
    return score


def training_of(given: Any) -> Training | None:
    """Return the training settings, with durations in seconds; None for `false`."""
    if given is False:
        return None
    former = {"several": given["consensus"]} if given.get("consensus") is not None else {}
    learn_from = {**former, **given.get("learn_from", {})}
    return msgspec.convert({**in_seconds(given), "learn_from": learn_from, "consensus": None}, Training)


def in_seconds(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with their durations as numbers of seconds."""
    return {**given, **{key: _seconds(given[key]) for key in _DURATIONS if key in given}}


def _seconds(given: float | str) -> float:
    if isinstance(given, str):
        match = re.match(r"([0-9.]+)([a-z]+)", given)
        assert match is not None
        return float(match[1]) * _SECONDS[match[2]]
    return float(given)
