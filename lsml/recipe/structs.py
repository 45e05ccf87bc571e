"""A recipe as frozen structs. Their descriptions, bounds and defaults make the JSON Schema."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field

from lsml.errors import Problem
from lsml.recipe.holdout import SHARE, Holdout
from lsml.recipe.learn_from import LearnFrom
from lsml.recipe.promotion import Promote, Rule
from lsml.recipe.publishing import Publish, Submit
from lsml.recipe.quantities import Size, duration, in_bytes, size
from lsml.recipe.score import Score, ScoreKind
from lsml.recipe.selector import Selector
from lsml.recipe.server import Masked, Server
from lsml.recipe.storage import Storage
from lsml.recipe.time_of_day import AT, next_moment


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The learning from annotations, and the promotion of versions."""

    every: Annotated[
        Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=r"^(100|[1-9]?[0-9])(\.[0-9]+)?%$(?!\n)")],
        Meta(
            description="The number of new, changed or deleted annotations after which the next run is due: a number, "
            "or a share of the usable annotations such as 10%, but at least 10.",
            extra_json_schema={"errorMessage": "expected a number from 1, or a share such as 10%"},
        ),
    ] = "10%"
    quiet_s: Annotated[
        float,
        duration(0, "A run waits until no annotation has come for this long, but at most ten times as long."),
    ] = field(default=20.0, name="quiet")
    at: Annotated[
        Annotated[str, AT] | None, Meta(description=AT.description, extra_json_schema=AT.extra_json_schema)
    ] = None
    min_annotations: Annotated[int, Meta(ge=1, description="Usable annotations before the first run.")] = 10
    holdout: Annotated[
        Annotated[float, SHARE] | Holdout,
        Meta(
            description="The share of tasks in the validation set, by a hash of the task's id; 0 keeps none. `{share: "
            "0.2, blind: true}` also hides their predictions from people; `{from: ground_truth}` uses the "
            "tasks with a ground truth.",
            extra_json_schema={"errorMessage": "expected a share between 0 and 0.5"},
        ),
    ] = 0.2
    promote: Annotated[
        Rule | Promote,
        Meta(
            description="The promotion of versions after the first. better: a version that is better on the same "
            "tasks; always: every version; never: only by hand; or settings.",
        ),
    ] = "better"
    keep: Annotated[
        int,
        Meta(
            ge=1,
            description="The number of versions kept: the promoted one, and the newest others. With 1, a version that is not "
            "promoted is deleted.",
        ),
    ] = 5
    learn_from: Annotated[LearnFrom, Meta(description="The annotations to train on, and how several are combined.")] = (
        LearnFrom()
    )
    consensus: Annotated[
        Literal["latest", "majority", "all"] | None,
        Meta(description="The former name of `learn_from: {several: ...}`, which takes precedence."),
    ] = None
    timeout_s: Annotated[float, duration(1, "A training run that takes longer is stopped.")] = field(
        default=21600.0, name="timeout"
    )

    @property
    def held_out(self) -> Holdout:
        """The validation set."""
        return self.holdout if isinstance(self.holdout, Holdout) else Holdout(share=self.holdout)

    @property
    def promotion(self) -> Promote:
        """The rule for promoting versions after the first."""
        return self.promote if isinstance(self.promote, Promote) else Promote(self.promote)

    def earliest(self, made: float) -> float:
        """Return the earliest start of a run that was requested at `made`, both in seconds since 1970."""
        return made if self.at is None else next_moment(self.at, made)

    def changes_due(self, usable: int) -> int:
        """Return the number of changes that makes a run due, given the number of usable annotations."""
        if isinstance(self.every, int):
            return self.every
        share = float(self.every.removesuffix("%")) / 100
        # 10% of 110 is 11, not 12 by a float's rounding error.
        return max(10, math.ceil(round(share * usable, 6)))


News = Literal["promoted", "not promoted", "failed", "drift", "stop"]


class Notify(Masked, frozen=True, forbid_unknown_fields=True):
    """An address that gets messages, and the events that they are about."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+|.*\$\{.*)$(?!\n)",  # in an editor, a `${NAME}` is not yet replaced
            description="An address for POST requests. If it is a secret, as Slack's are, write `${NAME}` to take it "
            "from the environment.",
            extra={"decides": "secret"},
            extra_json_schema={"errorMessage": "expected an address that starts with http:// or https://"},
        ),
    ]
    form: Annotated[
        Literal["json", "slack"],
        Meta(
            description="`json`: an object with `event`, `recipe`, `project`, `title`, `run`, `version`, `metrics` and `text`. "
            '`slack`: `{"text": ...}`, as Slack, Mattermost and others take it.'
        ),
    ] = "json"
    on: Annotated[
        tuple[News, ...],
        Meta(
            description="The events: a version is promoted, a new version is not, a training or publishing failed; "
            "the shares of labels differ from those in the served version's training set (`drift`), more "
            "annotations will hardly help (`stop`).",
            min_length=1,
        ),
    ] = ("promoted", "not promoted", "failed", "drift", "stop")

    def _hidden(self) -> frozenset[str]:
        return frozenset({"url"})


class LabelStudio(Masked, frozen=True, forbid_unknown_fields=True):
    """The address and token of Label Studio's own API; by default they come from the environment."""

    url: Annotated[
        str | None, Meta(description="Label Studio's address; by default LABEL_STUDIO_URL of the environment.")
    ] = None
    api_key: Annotated[
        str | None,
        Meta(
            description="A legacy or personal access token; by default LABEL_STUDIO_API_KEY of the environment.",
            extra={"decides": "secret"},
        ),
    ] = None
    ca_file: Annotated[
        str | None,
        Meta(
            description="A PEM file, relative to the recipe's folder, with the authority that signed Label Studio's "
            "certificate. It is trusted in addition to the usual ones."
        ),
    ] = None

    def _hidden(self) -> frozenset[str]:
        return frozenset({"api_key"})


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files that lsml fetches for tasks, and how long it keeps them."""

    cache: Annotated[
        Size,
        size("The disk space for fetched files; the least recently used are deleted first, files in use never."),
    ] = "2GB"
    fresh_s: Annotated[
        float,
        duration(
            0,
            "How long a fetched file is used before lsml asks whether it changed, or less if its server says so. A "
            "file uploaded to Label Studio never changes.",
        ),
    ] = field(default=60.0, name="fresh")
    file: Annotated[Size, size("The largest file.")] = "200MB"
    pixels: Annotated[int, Meta(ge=1, le=10**9, description="The most pixels of an image, width times height.")] = (
        64_000_000
    )
    pages: Annotated[
        int, Meta(ge=1, le=10_000, description="The most pages of a PDF document whose pages are read as images.")
    ] = 100
    timeout_s: Annotated[float, duration(1, "The most time for fetching a file.")] = field(default=30.0, name="timeout")
    folders: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(
            description="Folders, relative to the recipe's, whose files a task may name by path; paths of "
            "`/data/local-files/?d=` are looked up there, too. Commands at a terminal read any path."
        ),
    ] = []
    hosts: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(description="Hosts at private addresses that a task may name, such as `minio.internal`."),
    ] = []
    private: Annotated[bool, Meta(description="`true` allows any host at a private address.")] = False

    @property
    def cache_bytes(self) -> int:
        """The disk space for fetched files, in bytes."""
        return in_bytes(self.cache)

    @property
    def file_bytes(self) -> int:
        """The largest file, in bytes."""
        return in_bytes(self.file)


AUTO: Final = "auto"  # in place of an adapter's name: cross-validation chooses one


class Use(Masked, msgspec.Struct, frozen=True, kw_only=True):
    """An adapter by its name, and its settings."""

    adapter: str
    options: msgspec.Struct
    secret_options: tuple[str, ...] = ()

    def _hidden(self) -> frozenset[str]:
        # A plug-in's struct cannot mask one field, so all are masked.
        return frozenset({"options"}) if self.secret_options else frozenset()


class Model(Use, frozen=True, kw_only=True):
    """One adapter of one entry under `tags`. `rank` is its index in the entry's list; path, line and column are its own.
    `candidates`: where the adapter is `auto`, those that it chooses from."""

    selectors: tuple[Selector, ...]
    candidates: tuple[Use, ...] = ()
    rank: int = 0
    inputs: tuple[str, ...] = ()
    needs: tuple[Selector, ...] = ()
    around: int = 0
    threshold: float | dict[str, float] | None = None
    labels: dict[str, tuple[str, ...]] = {}
    was: dict[str, tuple[str, ...]] = {}
    descriptions: dict[str, str] = {}
    show: bool = True
    combine: Literal["first", "union", "vote"] = "first"
    training: Training | None = None
    path: tuple[str | int, ...] = ()
    line: int = 1
    column: int = 1

    @property
    def uses(self) -> tuple[Use, ...]:
        """The adapters that may predict: its own, or the candidates of `auto`."""
        return self.candidates or (self,)


class Recipe(msgspec.Struct, frozen=True):
    """A recipe that was read and is valid. `models` are in file order."""

    name: str
    models: tuple[Model, ...]
    path: Path
    description: str = ""
    labeling_config: str | None = None
    score: ScoreKind | Score = "confidence"
    training: Training | None = Training()
    publish: Publish | None = Publish()
    submit: Submit | None = None
    notify: Notify | None = None
    label_studio: LabelStudio = LabelStudio()
    server: Server = Server()
    storage: Storage = Storage()
    media: Media = Media()
    warnings: tuple[Problem, ...] = ()

    @property
    def scoring(self) -> Score:
        """The meaning of a prediction's score, and the control that it is about."""
        return self.score if isinstance(self.score, Score) else Score(self.score)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of the adapters that may predict, each once."""
        return tuple(dict.fromkeys(use.adapter for model in self.models for use in model.uses))

    @property
    def names_emails(self) -> bool:
        """True if the used annotations depend on the e-mail addresses of annotators."""
        return any(model.training is not None and model.training.learn_from.by_email for model in self.models)

    def data_directory(self, override: Path | None = None) -> Path:
        """Return the folder of this recipe's data: `override` if given, else `<storage.directory>/<name>` beside the recipe."""
        if override is not None:
            return override.expanduser()
        return self.path.parent / Path(self.storage.directory).expanduser() / self.name

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets, which must never be shown."""
        found: list[object] = [self.label_studio.api_key, self.server.password, self.server.secret_path]
        found += [user.password for user in self.server.users.values()]
        found += self.storage.passwords
        found += [self.notify.url] if self.notify is not None else []
        for use in (use for model in self.models for use in model.uses):
            found += [getattr(use.options, name) for name in use.secret_options]
        return tuple(dict.fromkeys(str(secret) for secret in found if secret))
