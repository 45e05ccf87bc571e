"""The adapter: the words of each label, and those that a person types."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, Data, InteractiveAdapter, Target
from lsml.adapters.image.open_vocabulary.model import FAMILIES, POOL, PhraseModel, kind_of, load
from lsml.adapters.parts.devices import Half
from lsml.adapters.parts.drawn import in_drawn
from lsml.adapters.parts.fine_tuning import PretrainedOptions
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.transformers_models import config_of, find, remedy
from lsml.files.digests import content_digest
from lsml.values import Box, Text, Value

_BETWEEN: Final = re.compile(r"[,;.\n]+")  # what separates the phrases that a person types


class OpenVocabularyOptions(PretrainedOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `open-vocabulary`."""

    weights: Annotated[
        str,
        Meta(
            min_length=1,
            description="OWLv2, OWL-ViT or Grounding DINO: a folder of transformers, relative to the recipe's, or the name of "
            "one that `lsml fetch` downloaded, such as IDEA-Research/grounding-dino-tiny.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = "google/owlv2-base-patch16-ensemble"
    template: Annotated[
        Annotated[str, Meta(min_length=2, pattern=r"\{\}")] | None,
        Meta(
            description="The words around a label or a typed phrase, which stands for {}. null: `a photo of {}` for OWL, and "
            "none for Grounding DINO.",
            extra=PREDICTIONS,
            extra_json_schema={"errorMessage": "expected words with {} in them, or null"},
        ),
    ] = None
    half: Half = False
    confidence: Annotated[
        float,
        Meta(
            ge=0.0001,
            le=1,
            description="The least score of a box. Scores of these models are low, so a good `threshold` is about 0.2 for OWL, "
            "and 0.35 for Grounding DINO.",
            extra=PREDICTIONS,
        ),
    ] = 0.05
    iou: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Of two boxes of one label that overlap more than this, only the one with the higher score is kept.",
            extra=PREDICTIONS,
        ),
    ] = 0.5


class OpenVocabulary(InteractiveAdapter[OpenVocabularyOptions]):
    """Boxes around what the labels' descriptions say, else their names; and around what a person types."""

    name: ClassVar[str] = "open-vocabulary"
    title: ClassVar[str] = (
        "finds objects by the words of the labels or of a prompt, without training, by OWLv2 or Grounding DINO"
    )
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Box})
    requires: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "transformers", "safetensors", "cv2", "PIL", "scipy")
    extra: ClassVar[str | None] = "images,open-vocabulary"
    licence: ClassVar[str | None] = (
        "Apache-2.0 (transformers, OpenCV, the published weights of OWLv2, OWL-ViT and Grounding DINO), BSD-3-Clause (torch)"
    )
    Options: ClassVar[type[msgspec.Struct]] = OpenVocabularyOptions

    def __init__(self, options: OpenVocabularyOptions, target: Target) -> None:
        super().__init__(options, target)
        self._model: PhraseModel | None = None
        self._loading = threading.Lock()

    @classmethod
    def lacks(cls, options: OpenVocabularyOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing, or are of another model; or None."""
        kind = config_of(options.weights).get("model_type")
        if kind is None:
            return f"the weights {options.weights} are not on this machine; {remedy(options.weights)}"
        if kind not in FAMILIES:
            known = ", ".join(name for name, _ in FAMILIES.values())
            return (
                f"{options.weights} is a model of the type {kind}; name one of {known}, such as "
                "google/owlv2-base-patch16-ensemble"
            )
        return None

    @classmethod
    def facts(cls, options: OpenVocabularyOptions, target: Target) -> list[list[tuple[str, str]]]:
        """Return the labels' descriptions."""
        return [sorted(question.descriptions.items()) for question in target.questions]

    @property
    def own_names(self) -> bool:
        """False: it finds the target's labels."""
        return False

    @property
    def ready(self) -> bool:
        """True if its weights are there."""
        return self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the boxes of all labels in images (paths)."""
        return self.predict_above(batch, 0.0)

    def predict_above(self, batch: Sequence[Data], floor: float) -> list[list[Value]]:
        """Return the same, with scores of at least `floor`. Raises AdapterError where a file is no image."""
        phrases = self._phrases()
        if not phrases or not batch or not self.ready:
            return [[] for _ in batch]
        return [self._found(path, phrases, floor) for path in batch]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the boxes of what a person typed for an image (path); or those of the labels in the regions that they drew."""
        if not self.ready:
            return []
        typed = [phrase for prompt in prompts if isinstance(prompt, Text) for phrase in self._typed(prompt.text)]
        if typed:
            return self._found(data, typed, 0.0)
        drawn = [prompt for prompt in prompts if not isinstance(prompt, Text)]
        return in_drawn(self.predict([data])[0], drawn) if drawn else []

    def _labels(self) -> tuple[str, ...]:
        return self.target.kinds.get("box", ()) or self.target.labels

    def _phrases(self) -> list[tuple[str, str]]:
        """Return (label, its words) for each label that has words."""
        told: dict[str, str] = {}
        for question in self.target.questions:
            told |= question.descriptions
        return [(label, self._around(told.get(label, label))) for label in self._labels() if label]

    def _typed(self, text: str) -> list[tuple[str, str]]:
        """Return (label, words) for each typed phrase: `red car` or `Vehicle: red car`. Without a label's name it has the label
        with these words, else the first one.
        """
        labels = {label.casefold(): label for label in self._labels()}
        first = next(iter(self._labels()), "")
        found = []
        for part in _BETWEEN.split(text):
            begin, _, rest = part.partition(":")
            named = labels.get(begin.strip().casefold())
            words = rest.strip() if named is not None and rest.strip() else part.strip()
            if words:
                found.append((first if named is None else named, self._around(words)))
        return found

    def _around(self, words: str) -> str:
        kind = kind_of(self.options.weights)
        template = self.options.template or ("{}" if kind is None else kind.template)
        return template.replace("{}", words)

    def _found(self, path: Data, phrases: Sequence[tuple[str, str]], floor: float) -> list[Value]:
        options = self.options
        return [*self._loaded().boxes(read_image(path), phrases, max(floor, options.confidence), options.iou)]

    def _loaded(self) -> PhraseModel:
        with self._loading:
            if self._model is None:
                folder = find(self.name, self.options.weights, "a model")
                device, half = self.options.device, self.options.half
                key = (content_digest(folder), device, half)
                self._model = POOL.get(key, lambda: load(folder, device, half=half))
            return self._model
