"""Annotated tasks as examples in a prompt: which are kept, which are most similar to an element, and their file."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lsml.adapters.base import Data, Example, Question
from lsml.adapters.llm.answer import answer_of
from lsml.adapters.llm.documents import ShownPart, is_blank, parts_of
from lsml.adapters.parts.text_features import TextFeatures, TextOptions
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.labeling.items import Items

if TYPE_CHECKING:
    from lsml.arrays import Array, Rows

_FILE: Final = "examples.json"
_LONGEST: Final = 4000  # the most characters of an example
_MOST_TEXTS: Final = 5000
_MOST_IMAGES: Final = 200
_SIDE: Final = 512  # pixels of an example's image
_THUMBNAIL: Final = 8  # pixels of the image by which images are compared


class ShownExample(msgspec.Struct, frozen=True):
    """An annotated element as a model sees it, and the answer that it should give."""

    parts: tuple[ShownPart, ...]
    answer: dict[str, object]


class Examples:
    """The examples that one version has learnt. Threads may search at once."""

    def __init__(self, shown: Sequence[ShownExample]) -> None:
        self._shown = shown
        self._features: TextFeatures | None = None
        self._rows: Rows | None = None
        if any(part.image for example in shown for part in example.parts):
            self._rows = _pictures([example.parts for example in shown])
            return
        texts = [_text(example.parts) for example in shown]
        try:
            features = TextFeatures.of_options(TextOptions())
            self._rows = features.fit_transform(lambda: texts)
            self._features = features
        except NotEnoughData:  # no word in any of them, so none is similar to anything
            return

    @classmethod
    def chosen(
        cls, examples: Sequence[Example], questions: Sequence[Question], side: int, seed: int
    ) -> tuple[Examples, str | None]:
        """Return (examples with a whole answer, a sentence about those that were left out). Raises NotEnoughData without
        two.
        """
        usable: dict[tuple[ShownPart, ...], ShownExample] = {}
        long = unanswered = 0
        for example in _bounded(examples, seed):
            if is_blank(example.data):
                continue
            if _length(example.data) > _LONGEST:
                long += 1
                continue
            answer = answer_of(example, questions)
            if answer is None:
                unanswered += 1
                continue
            parts = parts_of(example.data, min(side, _SIDE))
            usable[parts] = ShownExample(parts, answer)
        reasons = [f"{long} have more than {_LONGEST} characters"] * bool(long)
        reasons += [f"{unanswered} lack an answer for one of the control tags"] * bool(unanswered)
        if len(usable) < 2:
            left = f" ({'; '.join(reasons)})" if reasons else ""
            raise NotEnoughData(f"{len(usable)} annotated tasks can be examples{left}; annotate at least two")
        return cls(list(usable.values())), f"not used as examples: {'; '.join(reasons)}" if reasons else None

    def nearest(self, parts: Sequence[ShownPart], most: int) -> list[ShownExample]:
        """Return the examples that are most similar to an element, the most similar one last, next to the question."""
        import numpy as np

        if self._rows is None:
            return list(self._shown[:most])
        if self._features is None:
            likeness = self._rows @ _pictures([parts])[0]
        else:
            likeness = (self._rows @ self._features.transform([_text(parts)]).T).toarray()[:, 0]
        order = np.argsort(-likeness, kind="stable")[:most]
        return [self._shown[index] for index in reversed(order.tolist())]

    def save(self, directory: Path) -> None:
        """Write one JSON file."""
        (directory / _FILE).write_bytes(msgspec.json.encode(self._shown))

    @classmethod
    def load(cls, directory: Path, adapter: str) -> Examples:
        """Return saved examples. Raises VersionError."""
        path = directory / _FILE
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=list[ShownExample]))
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            why = type(error).__name__
            raise VersionError(f"{path}: {adapter} cannot read it: {why}; restore it, or train again") from error


def _bounded(examples: Sequence[Example], seed: int) -> Sequence[Example]:
    """Return the examples, or a sample of them where there are very many."""
    pictured = any(isinstance(example.data, Path) or _has_paths(example.data) for example in examples)
    most = _MOST_IMAGES if pictured else _MOST_TEXTS
    return examples if len(examples) <= most else random.Random(seed).sample(list(examples), most)  # noqa: S311 - no secret


def _has_paths(data: Data) -> bool:
    return isinstance(data, Items) and bool(data.paths)


def _length(data: Data) -> int:
    if isinstance(data, Items):
        return sum(map(len, data.texts))
    return len(data) if isinstance(data, str) else 0


def _text(parts: Sequence[ShownPart]) -> str:
    return "\n".join(part.text for part in parts)


def _pictures(elements: Sequence[Sequence[ShownPart]]) -> Array:
    """Return rows (elements, features) of unit length: the colours of each element's images, very small."""
    import numpy as np
    from PIL import Image

    rows = []
    for parts in elements:
        small = []
        for part in parts:
            content = io.BytesIO(base64.b64decode(part.image.partition(",")[2]))
            try:
                with Image.open(content) as image:
                    small.append(np.asarray(image.convert("RGB").resize((_THUMBNAIL, _THUMBNAIL)), dtype=float))
            except OSError as error:
                raise AdapterError("an example's image is damaged; train again") from error
        row = np.concatenate(small).ravel() - 127.5
        rows.append(row / (np.linalg.norm(row) or 1.0))
    return np.array(rows)
