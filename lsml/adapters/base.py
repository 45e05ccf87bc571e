"""The contract between lsml and one model library.

An adapter turns task data into values. It knows only its library: no HTTP, no queue, no Label Studio JSON, no thresholds, no
label maps, and no files except in the folder that it gets. Import heavy libraries inside methods.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

import msgspec

from lsml.errors import NotEnoughData
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Box, Value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from lsml.arrays import Rows

    # The default lets code that takes any adapter leave the type of its options out.
    OptionsT = TypeVar("OptionsT", bound=msgspec.Struct, default=Any)
else:
    from typing import TypeVar

    OptionsT = TypeVar("OptionsT")

API = 1  # the major version of this contract; a plug-in declares the one that it was written for

# A task's data for an adapter: a text (str) for the tags in TEXTS; for Table its columns, a dict of names and JSON values,
# None where one is missing; for TimeSeries a `lsml.labeling.series.Series`, whose `points` it reads; the Path of a file for
# Image (EXIF orientation is applied), Video and Audio. A file exists until the call returns; one given to `fit` stays. A Pdf
# is its text for an adapter that also reads Text, and else its pages, as images.
Data = Any
TEXTS = frozenset({"Text", "HyperText", "Paragraphs", "Chat", "Pdf"})  # the object tags whose data is a text
Progress = Callable[
    [float, str], None
]  # (share done in [0, 1], what is being done); raises Cancelled when asked to stop
Decides = Literal["predictions", "training", "machine", "secret"]  # what an option decides; see `Options`
# `extra=` of an option's msgspec.Meta
PREDICTIONS: dict[str, object] = {"decides": "predictions"}
TRAINING: dict[str, object] = {"decides": "training"}
MACHINE: dict[str, object] = {"decides": "machine"}


def silent(_share: float, _message: str) -> None:
    """Ignore progress."""


class PageRegion(msgspec.Struct, frozen=True):
    """One region of a page among all that were found there: `boxes[place]`. Each box has the text that is written in it."""

    boxes: tuple[Box, ...]
    place: int


class Prompted(msgspec.Struct, frozen=True):
    """One element with the regions in it that another model found, by `needs`."""

    data: Data
    prompts: tuple[Value, ...]


# (the values by control, a name to count by for each region that was left out)
ReadRegions = tuple[dict[str, list[Value]], list[str]]


class BackendTask(msgspec.Struct, frozen=True):
    """One task in Label Studio's JSON, without annotations, and the XML of its labeling config. `read` returns the usable
    values in a result that a backend answers.
    """

    task: dict[str, object]
    labeling_config: str
    read: Callable[[Sequence[object]], ReadRegions]


class Question(msgspec.Struct, frozen=True):
    """One control of a target, for adapters that describe the question to a model in words.

    `name` is the control's own, `kind` that of its values, `labels` are the stored names, `multiple` as in `Target`.
    `descriptions`: the recipe's descriptions of labels, where it has any. A number is from `least` to `most`, and a
    whole one where `whole`. `compares`: the labels are the items of a task.
    """

    name: str
    kind: str
    labels: tuple[str, ...] = ()
    multiple: bool = False
    descriptions: dict[str, str] = {}
    least: float | None = None
    most: float | None = None
    whole: bool = False
    compares: bool = False


class Target(msgspec.Struct, frozen=True):
    """The task of an adapter: the labels that it may predict, and how many of them.

    `labels` are in the order of the labeling config. `multiple`: several may hold at once, so each has its own
    probability; otherwise exactly one holds and the probabilities sum to 1. `open`: the labels are not known beforehand
    (options that come with each task, a taxonomy behind a URL), so learn those in the examples. `kinds`: the wanted
    kinds of value (`lsml.values.kind_of`: box, mask ...), each with its own labels. `questions`: the same, control by
    control.
    """

    labels: tuple[str, ...] = ()
    multiple: bool = False
    open: bool = False
    kinds: dict[str, tuple[str, ...]] = {}
    questions: tuple[Question, ...] = ()


class Example(msgspec.Struct, frozen=True):
    """Data with people's values for it.

    For `Choice`, no value means that none of the labels holds; for spans and shapes, that there is nothing to find.
    `by_control`: the values of each control that a person answered, by the name of its question, where the target has
    several.
    """

    data: Data
    values: tuple[Value, ...]
    by_control: dict[str, tuple[Value, ...]] = {}


Source = Literal["hub", "ultralytics", "url"]


class NamedWeights(msgspec.Struct, frozen=True):
    """Weights that options name and that this machine does not bring: `lsml fetch` downloads them.

    `name`: as the options say it. `source`: a hub of models, whose `repository` they are; the assets of ultralytics; or a URL.
    """

    name: str
    source: Source
    repository: str = ""


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an adapter without settings."""


def option_facts(options: type[msgspec.Struct]) -> dict[str, dict[str, object]]:
    """Return the `extra` of each option's `msgspec.Meta`, by the option's name in a recipe."""
    import msgspec.inspect

    info = msgspec.inspect.type_info(options)
    assert isinstance(info, msgspec.inspect.StructType)
    types = {option.encode_name: option.type for option in info.fields}
    return {
        name: dict(kind.extra or {}) if isinstance(kind, msgspec.inspect.Metadata) else {}
        for name, kind in types.items()
    }


class Adapter(ABC, Generic[OptionsT]):
    """One model, which turns task data into values.

    A new instance is the starting point, pretrained or untrained; `load` turns it into a saved version. `Options` is a
    frozen msgspec struct that forbids unknown fields; every field has a default and is `Annotated[type,
    msgspec.Meta(description=..., extra={"decides": "predictions" | "training" | "machine" | "secret"})]`. If an option
    that decides *predictions* changes, the served model gets another version; for one that decides *training*, the next
    training run starts over; *machine* (device, threads) and *secret* change neither. `"file": True` beside it marks
    the path of a file or folder, relative to the recipe's folder: the adapter gets a path that it can open, and the
    file's content counts, not its path. `"labels": True` marks a map from labels of the config, so that unknown labels
    in it are reported. `"hub": True` marks the name of a model on a hub.
    """

    api: ClassVar[int] = API
    name: ClassVar[str]  # its name in recipes and in the entry point: text-classifier
    title: ClassVar[str]  # one line for `lsml adapters`
    consumes: ClassVar[frozenset[str]]  # object tags: Text
    produces: ClassVar[frozenset[type]]  # value types: Choice
    requires: ClassVar[tuple[str, ...]] = ()  # modules of its library, which are searched without importing them
    extra: ClassVar[str | None] = None  # the extra that installs them: pip install "lsml[extra]"
    licence: ClassVar[str | None] = None  # that of its library, and of weights that are named by default
    copyleft: ClassVar[bool] = False  # its licence asks something of those who serve it, as the AGPL does
    starts_ready: ClassVar[bool] = True  # a new instance can predict: it is pretrained, or needs no training
    # Its shapes hold the text written in them, which a TextArea for each region (perRegion) takes.
    transcribes: ClassVar[bool] = False
    reads_regions: ClassVar[bool] = False  # its data are PageRegion: it reads regions of an image, by `needs`
    takes_prompts: ClassVar[bool] = False  # by `needs` its data are Prompted: other models ask it as a person does
    compares: ClassVar[bool] = False  # it reads what people compare: `lsml.labeling.items.Items`
    asks_service: ClassVar[bool] = False  # it sends what it reads to a service, which a recipe must name
    only_compares: ClassVar[bool] = False  # all its data are such items
    reads_tasks: ClassVar[bool] = False  # its data are BackendTask: whole tasks
    only_interactive: ClassVar[bool] = False  # it only answers regions of a person, and never predicts a batch
    Options: ClassVar[type[msgspec.Struct]] = NoOptions

    def __init__(self, options: OptionsT, target: Target) -> None:
        self.options = options
        self.target = target

    @classmethod
    def variant(cls, options: Mapping[str, object]) -> type[Adapter]:
        """Return the class that serves these options, as a recipe writes them: itself, unless one of them chooses another
        input or other values. Quick, and without the library.
        """
        return cls

    @classmethod
    def import_library(cls) -> None:
        """Import its library before the first request; a server does so at its start. Raises ImportError or AdapterError."""
        for module in cls.requires:
            importlib.import_module(module)

    @classmethod
    def refusal(cls, options: OptionsT, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return the reason, in a sentence, why it cannot serve a control tag with these options; or None.

        It is called when a recipe is bound, so it must be quick and must not import the library.
        """
        return None

    @classmethod
    def lacks(cls, options: OptionsT, target: Target) -> str | None:
        """Return what is missing before a new instance can predict, in a sentence with what to do; or None.

        Something may be missing on this machine, or not be learnt yet. Quick, and without the library.
        """
        return None

    @classmethod
    def paused(cls, options: OptionsT) -> str | None:
        """Return why it answers nothing new at present, in a sentence, such as a used-up budget; or None.

        The page and `lsml status` show it. Quick, and without the library.
        """
        return None

    @classmethod
    def downloads(cls, options: OptionsT, target: Target) -> tuple[NamedWeights, ...]:
        """Return the weights that its library keeps elsewhere; those of options with `"hub": True`, unless they are paths of
        this machine. Quick, and without the library.
        """
        metas = option_facts(cls.Options)
        named = [
            getattr(options, field.name)
            for field in msgspec.structs.fields(cls.Options)
            if metas[field.encode_name].get("hub")
        ]
        return tuple(NamedWeights(name, "hub", name) for name in named if name and not Path(name).expanduser().exists())

    @classmethod
    def limits(cls, options: OptionsT, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """Return what it cannot learn or predict for its controls, in a sentence that follows the adapter's name; or None.

        `label_tags`: the tags that name the labels. `lsml explain` shows it. Quick, and without the library.
        """
        return None

    @classmethod
    def class_names(cls, options: OptionsT, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the class names of a new instance, by kind of value, where they are known quickly and without the
        library.

        People see them beside the labels of the config.
        """
        return {}

    @classmethod
    def facts(cls, options: OptionsT, target: Target) -> Any:
        """Return the facts of the target, besides its labels, that decide predictions, as plain data for `model_version`;
        or None.

        Quick, and without the library.
        """
        return None

    @classmethod
    def version_elsewhere(cls, options: OptionsT, labeling_config: str) -> str | None:
        """Return the version of a model that a service serves now, which is not the recipe's to choose; or None.

        It becomes part of `model_version`. It may ask the service, for less than two seconds.
        """
        return None

    @property
    def own_names(self) -> bool:
        """True if it predicts its own class names, which the recipe's `labels` maps; False if it predicts the
        target's labels.

        The default: True unless it can be trained. A pretrained adapter that can be trained has its own names until it
        is trained.
        """
        return not isinstance(self, TrainableAdapter)

    @property
    def ready(self) -> bool:
        """True if `predict` can predict. An untrained model is not ready: it abstains, and its tasks get no prediction."""
        return True

    @abstractmethod
    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return one list of values for each element, in order. An element's values do not depend on its neighbours.

        Several threads call it at once. A classifier returns every label it knows with its probability; the framework
        selects. One that labels words returns them as `DecidedSpans`, so that a text without spans has a certainty, too. An
        adapter that is not ready returns an empty list for each element.
        """

    def predict_above(self, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return values as `predict` does. Values with a score below `floor` are not used, so they need not be computed.

        Of boxes and other shapes it is lower than what people see, as the certainty counts those that may be missed.
        """
        return self.predict(batch)

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return (elements, features), dense or sparse, in which similar elements are near each other; None without
        features.

        It need not be ready.
        """
        return None

    def load(self, directory: Path) -> None:
        """Load the version that `save` wrote into `directory`. Raises VersionError where the files do not fit."""
        raise NotImplementedError(f"{self.name} has nothing to load")


class TrainableAdapter(Adapter[OptionsT]):
    """An adapter that learns from examples. A pretrained one has `starts_ready = True`."""

    starts_ready: ClassVar[bool] = False
    # True if it trains on a few hundred examples in a second or two, so that versions can be compared by cross-validation.
    learns_quickly: ClassVar[bool] = False
    # False if training costs money: it is only trained where the recipe has a `training` key.
    learns_unasked: ClassVar[bool] = True
    # The annotations that it is never trained on, in words that follow its name; `lsml explain` shows them.
    passes_over: ClassVar[str | None] = None

    @property
    def resumes(self) -> bool:
        """True if `fit` goes on from a saved version that was loaded before, and not from the starting point."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the training for the card of the version."""
        return ()

    @abstractmethod
    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on the examples only: the same examples and seed give the same model.

        Raises NotEnoughData, with a sentence, where there are too few or all are alike. `progress` may raise Cancelled.
        """

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write everything that `load` needs into an existing, empty folder. Never a pickle."""

    @abstractmethod
    def load(self, directory: Path) -> None:
        """Load the version that `save` wrote into `directory`. Raises VersionError where the files do not fit."""


class InteractiveAdapter(Adapter[OptionsT]):
    """An adapter that answers regions which a person drew or selected."""

    # A text that a person types into a smart TextArea is a prompt to it, and not one of its answers.
    reads_typed: ClassVar[bool] = False

    @abstractmethod
    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return values for one element, given the regions that a person made in it, in the order in which they were made.

        Return only answers to them, best first, and nothing that they already mark. Labels of the prompts are those of
        their own control tags; answer with the labels that `predict` uses. A value that adds to a prompt keeps its
        `group`, and replaces the drawn region.
        """


__all__ = [
    "API",
    "TEXTS",
    "Adapter",
    "BackendTask",
    "Data",
    "Decides",
    "Example",
    "InteractiveAdapter",
    "NamedWeights",
    "NoOptions",
    "NotEnoughData",
    "PageRegion",
    "Progress",
    "Prompted",
    "Question",
    "ReadRegions",
    "Target",
    "TrainableAdapter",
    "option_facts",
    "silent",
]
