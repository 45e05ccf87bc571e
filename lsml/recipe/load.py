"""A recipe's file -> Recipe, or every problem in it at once."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lsml.adapters import adapter_names, get_adapter
from lsml.adapters.base import Adapter, TrainableAdapter, option_facts
from lsml.controls import CONTROLS
from lsml.errors import AdapterError, LabelingConfigError, Problem, RecipeError
from lsml.labeling import KNOWN_CONTROL_TAGS, parse_labeling_config
from lsml.recipe.nodes import MAX_BYTES, Flaw, Scalar, read_nodes
from lsml.recipe.scalars import Data, dotted, read_data
from lsml.recipe.scalars import Path as KeyPath
from lsml.recipe.schema import MODEL_KEYS, schema_for
from lsml.recipe.structs import LabelStudio, Media, Model, Recipe, Selector, Server, Storage, Training

FORMAT: Final = 1
_SELECTOR: Final = re.compile(r"(?P<tag>[A-Za-z]+)(?:#(?P<name>\S(?:.*\S)?))?\Z")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATIONS: Final = ("quiet", "timeout", "time", "fresh")
# The first of each is lsml's; people have the others from backends that they ran before.
_URL_VARIABLES: Final = ("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST", "LABEL_STUDIO_HOSTNAME")
_KEY_VARIABLES: Final = ("LABEL_STUDIO_API_KEY", "LABEL_STUDIO_ACCESS_TOKEN")
_SECRETS: Final = frozenset(
    {("label_studio", "api_key"), ("label_studio", "url"), ("server", "password"), ("server", "secret_path")}
)


def load_recipe(path: Path, environ: Mapping[str, str] = os.environ) -> Recipe:
    """Read, check and complete a recipe. Raises RecipeError with every problem; its file is `path` as given."""
    path = Path(path)
    try:
        root, flaws = read_nodes(_read_text(path))
    except Flaw as end:
        raise RecipeError([Problem(end.line, end.column, end.key, end.message, str(path))]) from None
    data = read_data(root, environ)
    loader = _Loader(path, environ, data)
    for flaw in (*flaws, *data.flaws):
        loader.problems[(flaw.line, flaw.column, flaw.key)] = [flaw.message]
        loader.flawed.add(flaw.key)
    return loader.load()


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Flaw(1, 1, "no such file; `lsml new` makes a recipe to begin with") from None
    except IsADirectoryError:
        raise Flaw(1, 1, "a folder; name the recipe in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Flaw(1, 1, f"cannot be read: {reason}; check its path and permissions") from None
    if len(raw) > MAX_BYTES:
        raise Flaw(1, 1, "larger than 1 MiB; a recipe is a page or two, so is this the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise Flaw(line, column, "not UTF-8; save the file as UTF-8") from None


class _Loader:
    """Collects problems on the way from plain data to a Recipe."""

    def __init__(self, path: Path, environ: Mapping[str, str], data: Data) -> None:
        self.path, self.environ, self.data = path, environ, data
        self.problems: dict[tuple[int, int, str], list[str]] = {}
        self.flawed: set[str] = set()
        self.warnings: list[Problem] = []
        self.adapters: dict[str, type[Adapter]] = {}

    def load(self) -> Recipe:
        value = self.data.value
        number = value.get("lsml")
        if isinstance(number, int) and not isinstance(number, bool) and number != FORMAT:
            # Another format has other keys: to judge them by this one's would only mislead.
            self.problems.clear()
            self.add(("lsml",), f"format {number} is not one that this lsml reads; it reads {FORMAT}: upgrade lsml")
            self.stop()
        self._find_adapters()
        self._validate()
        models = self._models()
        labeling_config = self._labeling_config()
        label_studio = self._label_studio()
        self._check_server()
        self._check_folders()
        self.stop()
        server: dict[str, Any] = dict(value.get("server", {}))
        if server.get("secret_path"):
            server["secret_path"] = server["secret_path"].strip("/")
        if "limits" in server:
            server["limits"] = _in_seconds(server["limits"])
        return Recipe(
            name=value["name"],
            models=tuple(models),
            path=self.path,
            description=value.get("description", ""),
            labeling_config=labeling_config,
            score=value.get("score", "confidence"),
            training=_training(value.get("training", {})),
            label_studio=label_studio,
            server=msgspec.convert(server, Server),
            storage=msgspec.convert(value.get("storage", {}), Storage),
            media=msgspec.convert(_in_seconds(value.get("media", {})), Media),
            warnings=tuple(sorted(self.warnings)),
        )

    # Problems

    def place(self, path: KeyPath) -> tuple[int, int]:
        """Line and column of the key, or of the nearest thing around what is missing."""
        while path not in self.data.places:
            path = path[:-1]
        return self.data.places[path][:2]

    def add(self, path: KeyPath, message: str, *, also: bool = False) -> None:
        """Note a problem; `also`: beside one that the key has already, for a key and its value may both be wrong."""
        # `ngrams[0]` and `ngrams[1]` are one key to a reader; a model of a list is named by its number.
        named = path
        while named and isinstance(named[-1], int) and len(named) > 3:
            named = named[:-1]
        key = dotted(named)
        if not any(key == flawed or key.startswith((f"{flawed}.", f"{flawed}[")) for flawed in self.flawed):
            found = self.problems.setdefault((*self.place(path), key), [])
            if also or not found:
                found.append(message)

    def wrong(self, path: KeyPath) -> bool:
        """Whether something at or below a path, or the path's own parent, was found wrong."""
        key = dotted(path)
        return any(known == key or known.startswith((f"{key}.", f"{key}[")) for _, _, known in self.problems)

    def stop(self) -> None:
        if self.problems:
            raise RecipeError(
                [
                    Problem(*where, message, str(self.path))
                    for where, messages in self.problems.items()
                    for message in messages
                ]
            )

    def hidden(self, path: KeyPath) -> bool:
        place = self.data.places.get(path)
        if place is not None and place.from_environment:
            return True
        if path in _SECRETS:
            return True
        if "options" in path:
            at = path.index("options")
            adapter = self._at((*path[:at], "adapter"))
            if isinstance(adapter, str) and adapter in self.adapters:
                return bool(set(path[at + 1 : at + 2]) & set(_secret_options(self.adapters[adapter])))
        return False

    def _at(self, path: KeyPath) -> Any:
        value: Any = self.data.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    # Schema

    def _find_adapters(self) -> None:
        """The classes of the adapters that the recipe names; others are not imported."""
        known = set(adapter_names())
        tags = self.data.value.get("tags")
        for selector, entry in tags.items() if isinstance(tags, dict) else ():
            for path, model in _entry_models(selector, entry):
                name = model.get("adapter") if isinstance(model, dict) else model
                if isinstance(name, str) and name in known and name not in self.adapters:
                    try:
                        self.adapters[name] = get_adapter(name)
                    except AdapterError as error:
                        self.add((*path, "adapter") if isinstance(model, dict) else path, str(error))

    def _validate(self) -> None:
        from jsonschema.validators import Draft202012Validator, extend

        from lsml.recipe.sentences import sentences

        # JSON Schema takes 1e308 for a whole number; what it is read into does not.
        whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
        validator = extend(Draft202012Validator, type_checker=whole)(  # type: ignore[no-untyped-call]
            schema_for(self.adapters, adapter_names())
        )
        errors = list(validator.iter_errors(self.data.value))
        if errors and self._keep_texts(errors):
            errors = list(validator.iter_errors(self.data.value))
        for error in errors:
            for path, sentence in sentences(error, self.hidden):
                self.add(path, sentence)

    def _keep_texts(self, errors: Iterable[Any]) -> bool:
        """Where a text belongs, what the environment gave stays one: a password may be all digits."""
        changed = False
        leaves = list(errors)
        while leaves:
            error = leaves.pop()
            leaves += error.context or ()
            path = tuple(error.absolute_path)
            place = self.data.places.get(path)
            if error.validator == "type" and "string" in error.validator_value and place and place.from_environment:
                self._at(path[:-1])[path[-1]] = place.text
                changed = True
        return changed

    # Tags

    def _models(self) -> list[Model]:
        tags = self.data.value.get("tags")
        if not isinstance(tags, dict):
            return []
        models: list[Model] = []
        claims: dict[str, tuple[int, int]] = {}
        classes: list[type[Adapter] | None] = []
        for key, entry in tags.items():
            selectors = self._selectors(key, claims)
            for rank, (path, given) in enumerate(_entry_models(key, entry)):
                model = given if isinstance(given, dict) else {"adapter": given}
                name = model.get("adapter")
                adapter = self.adapters.get(name) if isinstance(name, str) else None
                classes.append(adapter)
                if adapter is None or self.wrong(path) or (len(path) > 2 and self.wrong(path[:2]) and not selectors):
                    continue
                at = (*path, "adapter") if isinstance(given, dict) else path
                self._check_fit(at, adapter, selectors)
                built = self._model(path, model, adapter, selectors, rank)
                if built is not None:
                    models.append(built)
        given = self.data.value.get("training")
        if isinstance(given, dict) and classes and None not in classes and not _any_learns(classes):
            names = ", ".join(sorted({adapter.name for adapter in classes if adapter}))
            self.add(("training",), f"no adapter of this recipe can learn ({names}); remove the key")
        return models

    def _selectors(self, key: str, claims: dict[str, tuple[int, int]]) -> tuple[Selector, ...]:
        from lsml.recipe.sentences import did_you_mean

        path: KeyPath = ("tags", key)
        selectors = []
        for part in key.split(","):
            match = _SELECTOR.match(part.strip())
            if match is None:
                self.add(
                    path, "not a selector; expected `Tag` or `Tag#name`, several with commas between them", also=True
                )
                return ()
            selector = Selector(match["tag"], match["name"])
            if selector.tag not in CONTROLS:
                has = ", ".join(CONTROLS)
                if selector.tag in KNOWN_CONTROL_TAGS:
                    self.add(path, f"lsml has no control for {selector.tag} yet; it has {has}", also=True)
                else:
                    advice = did_you_mean(selector.tag, KNOWN_CONTROL_TAGS) or f"lsml has {has}"
                    if selector.tag in MODEL_KEYS:
                        advice = "indent it, so that it stands under the tag that it belongs to"
                    self.add(path, f"not a control tag; {advice}", also=True)
                return ()
            claimed = claims.setdefault(str(selector), self.place(path))
            if selector in selectors or claimed != self.place(path):
                self.add(path, f"`{selector}` is claimed on line {claimed[0]} already; keep one of the two", also=True)
            selectors.append(selector)
        return tuple(selectors)

    def _check_fit(self, path: KeyPath, adapter: type[Adapter], selectors: tuple[Selector, ...]) -> None:
        for selector in selectors:
            wanted = CONTROLS[selector.tag].value_type
            if wanted not in adapter.produces:
                gives = ", ".join(sorted(_title(value_type) for value_type in adapter.produces))
                fitting = " or ".join(_adapters_that_give(wanted))
                advice = f"use {fitting}" if fitting else "no installed adapter gives that"
                self.add(path, f"{adapter.name} gives {gives}, and {selector.tag} takes {_title(wanted)}; {advice}")
                return

    def _model(
        self, path: KeyPath, model: dict[str, Any], adapter: type[Adapter], selectors: tuple[Selector, ...], rank: int
    ) -> Model | None:
        files = [(*path, "options", name) for name, meta in option_facts(adapter.Options).items() if meta.get("file")]
        if not all(self._possible(file) for file in files):
            return None
        try:
            options = msgspec.convert(_beside(self.path, model.get("options", {}), adapter), adapter.Options)
        except msgspec.ValidationError as error:
            # What a struct checks by itself: two options that do not go together.
            below = (*path, "options")
            secret = bool(_secret_options(adapter)) or any(
                place.from_environment for at, place in self.data.places.items() if at[: len(below)] == below
            )
            self.add((*path, "options"), "its values do not fit" if secret else str(error).partition(" - at `")[0])
            return None
        learns = issubclass(adapter, TrainableAdapter)
        own = model.get("training", {})
        if "training" in model and isinstance(own, dict) and not learns:
            self.add((*path, "training"), f"{adapter.name} cannot learn; remove the key")
        common = self.data.value.get("training", {})
        if self.wrong(("training",)):
            return None
        if "training" in model:
            training = None if own is False else _training({**(common or {}), **own})
        else:
            training = _training(common)
        threshold = model.get("threshold")
        line, column = self.place(path)
        return Model(
            selectors=selectors,
            adapter=adapter.name,
            options=options,
            rank=rank,
            threshold={k: float(v) for k, v in threshold.items()} if isinstance(threshold, dict) else threshold,
            labels={
                label: (names,) if isinstance(names, str) else tuple(names)
                for label, names in model.get("labels", {}).items()
            },
            training=training if learns else None,
            secret_options=_secret_options(adapter),
            line=line,
            column=column,
        )

    # The rest

    def _labeling_config(self) -> str | None:
        path: KeyPath = ("labeling_config",)
        given = self.data.value.get("labeling_config")
        if not isinstance(given, str) or self.wrong(path) or "labeling_config" in self.flawed:
            return None
        name = None
        if "<" not in given:
            if not given.strip().endswith(".xml"):
                self.add(path, "expected XML that begins with <View>, or a path that ends in .xml")
                return None
            name = given.strip()
            shown = "the file" if self.hidden(path) else f"`{name}`"
            try:
                with (self.path.parent / Path(name).expanduser()).open("rb") as file:
                    given = file.read(8 * MAX_BYTES).decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add(path, f"{shown} is not UTF-8; save it as UTF-8")
                return None
            except (OSError, ValueError, RuntimeError) as error:
                reason = getattr(error, "strerror", None) or "not a path"
                self.add(path, f"{shown} cannot be read: {reason}; a path counts from the recipe's folder")
                return None
        try:
            parse_labeling_config(given)
        except LabelingConfigError as error:
            self._add_xml_problem(path, str(error), name)
            return None
        return given

    def _add_xml_problem(self, path: KeyPath, message: str, name: str | None) -> None:
        match = re.match(r"labeling config:(\d+):\d+: (.*)", message, re.DOTALL)
        node = self.data.places[path].node
        if name is None and match and isinstance(node, Scalar) and node.style == "|":
            # A literal block begins on the line below its `|`.
            message = f"{match[2]} (line {node.line + int(match[1])})"
        elif name is not None and match and not self.hidden(path):
            message = message.replace("labeling config", name, 1)
        self.add(path, message)

    def _label_studio(self) -> LabelStudio:
        given = self.data.value.get("label_studio", {})
        if not isinstance(given, dict) or self.wrong(("label_studio",)):
            return LabelStudio()
        url, key = given.get("url"), given.get("api_key")
        source = ""
        if not url:
            variable, url = self._from_environment("url", _URL_VARIABLES)
            source = f"{variable} of the environment: "
        if url is not None:
            url = url.strip().rstrip("/")
            try:
                parts = urlsplit(url)
                fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                fine = False
            if not fine or re.search(r"\s", url):
                advice = "expected an address that begins with http:// or https://"
                self.add(("label_studio", "url"), f"{source}{advice}, such as http://localhost:8080")
        place = self.data.places.get(("label_studio", "api_key"))
        if key and place and not place.from_environment:
            self._warn_of_secret(("label_studio", "api_key"), "LABEL_STUDIO_API_KEY")
        key = key or self._from_environment("api_key", _KEY_VARIABLES)[1]
        return LabelStudio(url, key, self._ca_file(given))

    def _from_environment(self, key: str, names: tuple[str, ...]) -> tuple[str, str | None]:
        """(the variable that is set, its value), the first of `names` where none is; a problem where two differ."""
        found = {name: value for name in names if (value := self.environ.get(name))}
        if len({value.strip().rstrip("/") for value in found.values()}) > 1:
            self.add(("label_studio", key), f"the environment's {' and '.join(found)} differ; set one of them")
        return next(iter(found.items()), (names[0], None))

    def _ca_file(self, given: Mapping[str, Any]) -> str | None:
        """Where the authorities for Label Studio's certificate are."""
        if not given.get("ca_file") or not self._possible(("label_studio", "ca_file")):
            return None
        path = (self.path.parent / Path(given["ca_file"]).expanduser()).absolute()
        try:
            ssl.create_default_context().load_verify_locations(path)
        except ssl.SSLError:
            why = "it holds no certificates"
        except OSError as error:
            why = error.strerror or "nothing to read"
        else:
            return str(path)
        self.add(("label_studio", "ca_file"), f"cannot be read: {why}; expected a PEM file, from the recipe's folder")
        return None

    def _check_server(self) -> None:
        server = self.data.value.get("server", {})
        if not isinstance(server, dict) or self.wrong(("server",)):
            return
        for one, other in (("username", "password"), ("password", "username")):
            if server.get(one) and not server.get(other):
                self.add(("server", one), f"needs `{other}` beside it; add it, or remove `{one}`")
        for key in ("password", "secret_path"):
            if server.get(key) and not self.data.places[("server", key)].from_environment:
                self._warn_of_secret(("server", key), f"LSML_{key.upper()}")

    def _check_folders(self) -> None:
        self._possible(("storage", "directory"))
        folders = self._at(("media", "folders"))
        for number in range(len(folders) if isinstance(folders, list) else 0):
            self._possible(("media", "folders", number))

    def _possible(self, path: KeyPath) -> bool:
        """Whether something could be at the path that a key names; a problem where not."""
        given = self._at(path)
        if not isinstance(given, str) or self.wrong(path):
            return True
        try:
            if "\0" not in given:
                (self.path.parent / Path(given).expanduser()).exists()
                return True
            why = "not a path"
        except (OSError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or "not a path"
        self.add(path, f"cannot be looked for: {why}; a path counts from the recipe's folder")
        return False

    def _warn_of_secret(self, path: KeyPath, variable: str) -> None:
        message = (
            f"a secret in the file; write `${{{variable}}}` and set that in the environment, so that it can be shared"
        )
        self.warnings.append(Problem(*self.place(path), dotted(path), message, str(self.path)))


def _entry_models(selector: str, entry: Any) -> list[tuple[KeyPath, Any]]:
    """The models of one entry under `tags`, each with its path."""
    if isinstance(entry, list):
        return [(("tags", selector, index), model) for index, model in enumerate(entry)]
    return [(("tags", selector), entry)]


def _training(given: Any) -> Training | None:
    """Settings with their durations in seconds; None for `false`."""
    if given is False:
        return None
    return msgspec.convert(_in_seconds(given), Training)


def _in_seconds(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, **{key: _seconds(given[key]) for key in _DURATIONS if key in given}}


def _seconds(given: float | str) -> float:
    if isinstance(given, str):
        match = re.match(r"([0-9.]+)([a-z]+)", given)
        assert match is not None
        return float(match[1]) * _SECONDS[match[2]]
    return float(given)


def _beside(recipe: Path, options: Mapping[str, Any], adapter: type[Adapter]) -> dict[str, Any]:
    """Options with the paths of files that stand beside the recipe; what is not there may be a name that the adapter knows."""
    found = dict(options)
    for name, meta in option_facts(adapter.Options).items():
        given = options.get(name)
        if (
            meta.get("file")
            and isinstance(given, str)
            and given
            and (recipe.parent / Path(given).expanduser()).exists()
        ):
            found[name] = str((recipe.parent / Path(given).expanduser()).absolute())
    return found


def _secret_options(adapter: type[Adapter]) -> tuple[str, ...]:
    return tuple(name for name, meta in option_facts(adapter.Options).items() if meta.get("decides") == "secret")


def _any_learns(classes: Iterable[type[Adapter] | None]) -> bool:
    return any(adapter is not None and issubclass(adapter, TrainableAdapter) for adapter in classes)


def _adapters_that_give(value_type: type) -> list[str]:
    found = []
    for name in adapter_names():
        try:
            if value_type in get_adapter(name).produces:
                found.append(name)
        except AdapterError:
            continue  # a broken plug-in is no advice
    return found


def _title(value_type: type) -> str:
    return str(getattr(value_type, "title", value_type.__name__))
