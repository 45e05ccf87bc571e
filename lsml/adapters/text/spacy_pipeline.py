"""spacy: entities and text categories by any installed pipeline of spaCy."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, TEXTS, Adapter, Data, Target
from lsml.errors import AdapterError
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Choice, Span, Value

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc


# Components by their results. Those for grammar take most of the time, and the others do not need it.
_GRAMMAR: Final = frozenset(
    {"tagger", "morphologizer", "parser", "senter", "sentencizer", "attribute_ruler", "lemmatizer", "trainable_lemmatizer"}
)  # fmt: skip
_ENTITIES: Final = frozenset({"ner", "spancat", "spancat_singlelabel"})
_RULES: Final = frozenset({"entity_ruler", "span_ruler"})  # may need grammar
_CATEGORIES: Final = frozenset({"textcat", "textcat_multilabel"})
_SHARED: Final = frozenset({"tok2vec", "transformer", "curated_transformer"})
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")  # half of a surrogate pair, which spaCy cannot store


class SpacyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `spacy`."""

    pipeline: Annotated[
        str,
        Meta(
            min_length=1,
            description="The pipeline: the name of an installed package, or a folder, relative to the recipe's. Nothing is "
            "downloaded.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = "en_core_web_sm"
    spans: Annotated[
        str | None,
        Meta(
            description="The key of spans (`doc.spans`), as a span categorizer writes them, instead of the entities.",
            extra=PREDICTIONS,
        ),
    ] = None
    batch: Annotated[int, Meta(ge=1, le=10_000, description="Texts in one batch.", extra=MACHINE)] = 64


class Spacy(Adapter[SpacyOptions]):
    """A pipeline's named entities, without scores, and its text categories, with scores."""

    name: ClassVar[str] = "spacy"
    licence: ClassVar[str | None] = "MIT (spaCy); pipelines have terms of their own"
    title: ClassVar[str] = "entities and categories of texts by an installed spaCy pipeline"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Span, Choice})
    requires: ClassVar[tuple[str, ...]] = ("spacy",)
    extra: ClassVar[str | None] = "spacy"
    Options: ClassVar[type[msgspec.Struct]] = SpacyOptions

    def __init__(self, options: SpacyOptions, target: Target) -> None:
        super().__init__(options, target)
        kinds = target.kinds or {"span": (), "choice": ()}
        self._wanted = frozenset(kinds)
        self._pipeline: Language | None = None
        self._lock = threading.Lock()

    @classmethod
    def refusal(cls, options: SpacyOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return the pipeline's components, where none of them can answer a tag; or None."""
        components = _meta(options.pipeline).get("components", [])
        if not components or set(components) - (_GRAMMAR | _ENTITIES | _RULES | _CATEGORIES | _SHARED):
            return None  # not installed, or with an unknown component
        sorts = control_tag.tag in ("Choices", "Taxonomy")
        wanted, title = (_CATEGORIES, "text categories") if sorts else (_ENTITIES | _RULES, "entities")
        if wanted & set(components):
            return None
        return (
            f"{control_tag.selector} takes {title}, and the pipeline {Path(options.pipeline).name} produces none: it "
            f"has {', '.join(components)}"
        )

    @classmethod
    def lacks(cls, options: SpacyOptions, target: Target) -> str | None:
        """Return what to do where the pipeline is missing on this machine; or None."""
        if _meta(options.pipeline):
            return None
        name = options.pipeline
        if re.search(r"[/\\.]", name):
            return (
                f"{name} is not a folder with a spaCy pipeline (meta.json); give the path of one, or the name of a "
                "package"
            )
        return (
            f"the pipeline {name} is not installed; `python -m spacy download {name}` installs pipelines that spaCy "
            f"publishes, `pip install {name}` those of the package index"
        )

    @classmethod
    def class_names(cls, options: SpacyOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the labels of the pipeline."""
        labels = _meta(options.pipeline).get("labels", {})
        found: dict[str, dict[str, None]] = {"span": {}, "choice": {}}
        for component, names in labels.items():
            kind = "choice" if component in _CATEGORIES else "span" if component in _ENTITIES | _RULES else None
            if kind is not None:
                found[kind].update(dict.fromkeys(names))
        return {kind: tuple(names) for kind, names in found.items() if names and kind in (target.kinds or found)}

    @property
    def ready(self) -> bool:
        """True if the library and the pipeline are installed."""
        return find_spec("spacy") is not None and self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return entities in the order of the text, and every category with its probability. Raises AdapterError."""
        if not batch or not self.ready:
            return [[] for _ in batch]
        texts = [_SURROGATE.sub("\ufffd", text) for text in batch]
        with self._lock:  # a pipeline's vocabulary grows with every text
            pipeline = self._loaded()
            pipeline.max_length = max(pipeline.max_length, max(map(len, texts)) + 1)
            # A memory zone frees the words of these texts afterwards; older versions keep them for ever.
            zone = pipeline.memory_zone() if hasattr(pipeline, "memory_zone") else contextlib.nullcontext()
            with zone:
                return [self._values(read) for read in pipeline.pipe(texts, batch_size=self.options.batch)]

    def _values(self, read: Doc) -> list[Value]:
        values: list[Value] = []
        if "span" in self._wanted:
            values += self._spans(read)
        if "choice" in self._wanted:
            values += [Choice(label, min(1.0, max(0.0, float(score)))) for label, score in sorted(read.cats.items())]
        return values

    def _spans(self, read: Doc) -> list[Value]:
        if self.options.spans is None:
            return [Span(found.start_char, found.end_char, found.label_) for found in read.ents if found.label_]
        group = read.spans.get(self.options.spans, ())
        scores = getattr(group, "attrs", {}).get("scores", ())
        values: list[Value] = []
        for index, found in enumerate(group):
            score = min(1.0, max(0.0, float(scores[index]))) if index < len(scores) else None
            if found.label_ and found.start_char < found.end_char:
                values.append(Span(found.start_char, found.end_char, found.label_, score))
        return values

    def _loaded(self) -> Language:
        if self._pipeline is None:
            import spacy

            name = self.options.pipeline
            components = set(_meta(name).get("components", []))
            # An unknown component may need grammar.
            spared = _GRAMMAR if components <= _GRAMMAR | _ENTITIES | _CATEGORIES | _SHARED else frozenset()
            try:
                self._pipeline = spacy.load(name, exclude=sorted(components & spared))
            except (OSError, ValueError, ImportError) as error:
                first = (str(error).splitlines() or [""])[0][:300]
                raise AdapterError(f"{self.name}: the pipeline {name} cannot be loaded: {first}") from error
        return self._pipeline


def _meta(pipeline: str) -> dict[str, Any]:
    """Return the `meta.json` of a pipeline; empty where there is no such pipeline. Imports nothing."""
    try:
        spec = find_spec(pipeline) if pipeline.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    packaged = (spec.submodule_search_locations if spec else None) or ()
    for folder in (Path(pipeline).expanduser(), *map(Path, packaged)):
        with contextlib.suppress(OSError, ValueError):
            file = folder / "meta.json"
            meta = _read(file, file.stat().st_mtime_ns)
            if isinstance(meta, dict) and "lang" in meta:
                return meta
    return {}


@lru_cache(maxsize=32)
def _read(file: Path, _changed: int) -> Language:
    return json.loads(file.read_bytes())
