"""The contract between lsml and one model library.

An adapter turns task data into values. It knows its library and nothing else: no HTTP, no queue, no Label Studio JSON,
no thresholds, no label maps, no files but the folder it is given. Import heavy libraries inside methods.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

import msgspec

from lsml.errors import NotEnoughData
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Box, Value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from lsml.arrays import Rows

    # An adapter that names no options of its own, and code that takes any adapter, need not say which they are.
    OptionsT = TypeVar("OptionsT", bound=msgspec.Struct, default=Any)
else:
    from typing import TypeVar

    OptionsT = TypeVar("OptionsT")

API = 1  # the major version of this contract; a plug-in says which one it was written for

# What an adapter sees of a task: a text (str) for Text, HyperText and Paragraphs; for Table its columns, a dict of names and
# JSON values, None where one is missing; for TimeSeries a `lsml.labeling.series.Series`, whose `points` it reads; the Path of
# a file for Image (upright, whatever its EXIF says), Video and Audio. A file is good until the call returns, unless `fit` is
# what was called with it.
Data = Any
Progress = Callable[
    [float, str], None
]  # (share done in [0, 1], what is being done); raises Cancelled when asked to stop
Decides = Literal["predictions", "training", "machine", "secret"]  # what an option decides; see `Options`
# `extra=` of an option's msgspec.Meta
PREDICTIONS: dict[str, object] = {"decides": "predictions"}
TRAINING: dict[str, object] = {"decides": "training"}
MACHINE: dict[str, object] = {"decides": "machine"}


def silent(_share: float, _message: str) -> None:
    """Progress for those who do not watch."""


class PageRegion(msgspec.Struct, frozen=True):
    """One region of a page among all that were found there: `boxes[place]`. Each box has the text that is written in it."""

    boxes: tuple[Box, ...]
    place: int


class Question(msgspec.Struct, frozen=True):
    """One control of a target, for adapters that tell a model in words what is asked.

    `name` is the control's own, `kind` that of its values, `labels` are as they are stored, `multiple` as in `Target`.
    `descriptions`: what the recipe says of labels, where it says anything. A number lies from `least` to `most`, and is a
    whole one where `whole`.
    """

    name: str
    kind: str
    labels: tuple[str, ...] = ()
    multiple: bool = False
    descriptions: dict[str, str] = {}
    least: float | None = None
    most: float | None = None
    whole: bool = False


class Target(msgspec.Struct, frozen=True):
    """What an adapter is asked for: the labels that it may answer with, and how many of them.

    `labels` are in the order of the labeling config. `multiple`: several may hold at once, so each has a probability
    of its own; otherwise exactly one holds and the probabilities sum to 1. `open`: the labels are not known beforehand
    (options that come with each task, a taxonomy behind a URL), so learn those that the examples use. `kinds`: the kinds
    of value that are wanted (`lsml.values.kind_of`: box, mask ...), each with its own labels. `questions`: the same, control
    by control.
    """

    labels: tuple[str, ...] = ()
    multiple: bool = False
    open: bool = False
    kinds: dict[str, tuple[str, ...]] = {}
    questions: tuple[Question, ...] = ()


class Example(msgspec.Struct, frozen=True):
    """Data with the values that people gave it.

    For `Choice`, no value means that none of the labels holds; for spans and shapes, that there is nothing to find.
    """

    data: Data
    values: tuple[Value, ...]


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For an adapter without settings."""


def option_facts(options: type[msgspec.Struct]) -> dict[str, dict[str, object]]:
    """What the `extra` of each option's `msgspec.Meta` says, by the option's name in a recipe."""
    import msgspec.inspect

    info = msgspec.inspect.type_info(options)
    assert isinstance(info, msgspec.inspect.StructType)
    types = {option.encode_name: option.type for option in info.fields}
    return {
        name: dict(kind.extra or {}) if isinstance(kind, msgspec.inspect.Metadata) else {}
        for name, kind in types.items()
    }


class Adapter(ABC, Generic[OptionsT]):
    """One model: turns task data into values.

    A new instance is the starting point, pretrained or untrained; `load` turns it into a saved version.
    `Options` is a frozen msgspec struct that forbids unknown fields; every field has a default and is
    `Annotated[type, msgspec.Meta(description=..., extra={"decides": "predictions" | "training" | "machine" | "secret"})]`.
    A change of what decides *predictions* gives the served model another version; what decides *training* makes
    the next training run start over; *machine* (device, threads) and *secret* change neither. `"file": True` beside it
    says that the option is the path of a file or folder, from the recipe's folder: the adapter is given one that it can
    open, where there is one, and what the file holds counts, not where it is. `"labels": True` says that it is a map from
    labels of the config, so that other keys are told to the author of the recipe.
    """

    api: ClassVar[int] = API
    name: ClassVar[str]  # as in a recipe and in the entry point: text-classifier
    title: ClassVar[str]  # one line for `lsml adapters`
    consumes: ClassVar[frozenset[str]]  # object tags: Text
    produces: ClassVar[frozenset[type]]  # value types: Choice
    requires: ClassVar[tuple[str, ...]] = ()  # modules of its library, looked for without importing them
    extra: ClassVar[str | None] = None  # the extra that installs them: pip install "lsml[extra]"
    licence: ClassVar[str | None] = None  # of its library, where it binds the user
    starts_ready: ClassVar[bool] = True  # whether a new instance can answer: it is pretrained, or needs no training
    # Its shapes say what is written in them, which a TextArea for each region (perRegion) takes.
    transcribes: ClassVar[bool] = False
    reads_regions: ClassVar[bool] = False  # its data are PageRegion: what it reads of an image are regions, by `needs`
    only_interactive: ClassVar[bool] = False  # it answers what a person drew or selected, and never a whole batch
    Options: ClassVar[type[msgspec.Struct]] = NoOptions

    def __init__(self, options: OptionsT, target: Target) -> None:
        self.options = options
        self.target = target

    @classmethod
    def import_library(cls) -> None:
        """Import what it needs, before anybody asks: a server that starts does so. Raises ImportError or AdapterError."""
        for module in cls.requires:
            importlib.import_module(module)

    @classmethod
    def refusal(cls, options: OptionsT, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """One sentence why, with these options, it cannot serve a control tag that takes what it produces; or None.

        Asked when a recipe is bound: it must be quick and must not import the library.
        """
        return None

    @classmethod
    def lacks(cls, options: OptionsT, target: Target) -> str | None:
        """What is not on this machine, or not learnt yet, so that a new instance cannot answer, in a sentence that says what
        to do; or None. Quick, and without the library."""
        return None

    @classmethod
    def limits(cls, options: OptionsT, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """What of its controls it cannot learn or answer, though it serves them, in a sentence that follows the adapter's name;
        or None. `label_tags`: the tags that name the labels. `lsml explain` says it. Quick, and without the library."""
        return None

    @classmethod
    def class_names(cls, options: OptionsT, target: Target) -> dict[str, tuple[str, ...]]:
        """The names of its own that a new instance answers with, by kind of value, where they can be told quickly and without
        the library: people see them beside the labels of the config."""
        return {}

    @classmethod
    def facts(cls, options: OptionsT, target: Target) -> Any:
        """What of the target, beside its labels, decides predictions, as plain data that enters `model_version`; None where
        nothing does. Quick, and without the library."""
        return None

    @property
    def own_names(self) -> bool:
        """True if it answers with class names of its own, which the recipe's `labels` translate; else with the target's.

        Here: unless it can learn. One that is pretrained and can learn has its own until it learnt.
        """
        return not isinstance(self, TrainableAdapter)

    @property
    def ready(self) -> bool:
        """True if `predict` can answer. An untrained model is not ready: it abstains, and its tasks get no prediction."""
        return True

    @abstractmethod
    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """One list of values for each element, in order; an element's values do not depend on its neighbours.

        Called by several threads at once. A classifier answers every label it knows with its probability; the framework
        selects. An adapter that is not ready answers an empty list for each element.
        """

    def predict_above(self, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """As `predict`; values that score below `floor` will not be used, so need not be worked out."""
        return self.predict(batch)

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """(elements, features), dense or sparse, by which elements that are alike are near each other; None where the adapter
        has none. It need not be ready."""
        return None

    def load(self, directory: Path) -> None:
        """Become the version that `save` wrote into `directory`. Raises VersionError where the files do not fit."""
        raise NotImplementedError(f"{self.name} has nothing to load")


class TrainableAdapter(Adapter[OptionsT]):
    """An adapter that learns from examples. One that is pretrained says `starts_ready = True`."""

    starts_ready: ClassVar[bool] = False
    # Whether a few hundred examples are learnt in a second or two, so that versions can be compared by cross-validation.
    learns_quickly: ClassVar[bool] = False
    # What of people's annotations it never learns, in a sentence that follows its name; `lsml explain` says it.
    passes_over: ClassVar[str | None] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the card of a version should say of how this one learnt, in sentences."""
        return ()

    @abstractmethod
    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from examples alone: the same examples and seed give the same model.

        Raises NotEnoughData, with a sentence, where they are too few or all alike. `progress` may raise Cancelled.
        """

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write everything that `load` needs into an existing, empty folder. Never a pickle."""

    @abstractmethod
    def load(self, directory: Path) -> None:
        """Become the version that `save` wrote into `directory`. Raises VersionError where the files do not fit."""


class InteractiveAdapter(Adapter[OptionsT]):
    """An adapter that answers what a person drew or selected."""

    @abstractmethod
    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Values for one element, from the regions that a person made in it, in the order in which they were made.

        Answer what they ask alone, best first, and nothing that they mark already. Labels of the prompts are those of
        their own control tags; answer with those that `predict` answers with. A value that is a prompt of which more is said
        keeps its `group`, and takes the place of what was drawn.
        """


__all__ = [
    "API",
    "Adapter",
    "Data",
    "Decides",
    "Example",
    "InteractiveAdapter",
    "NoOptions",
    "NotEnoughData",
    "PageRegion",
    "Progress",
    "Question",
    "Target",
    "TrainableAdapter",
    "option_facts",
    "silent",
]
