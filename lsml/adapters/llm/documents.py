"""The parts of one element that a language model sees: texts between marks that they cannot contain, and images as data
URLs.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lsml.adapters.base import Data
from lsml.errors import AdapterError
from lsml.labeling.items import Items
from lsml.values import Box, Span, Value

if TYPE_CHECKING:
    from PIL.Image import Image

Content = str | list[dict[str, str | dict[str, str]]]  # of a message, as an endpoint takes it
_ONE: Final = "document"  # the name of a part that stands alone
_QUALITY: Final = 90  # of a JPEG


class ShownPart(msgspec.Struct, frozen=True):
    """A text, or an image as a data URL. `name`: document; of items that are compared, the item's."""

    name: str
    text: str = ""
    image: str = ""


def parts_of(data: Data, side: int) -> tuple[ShownPart, ...]:
    """Return what a model sees of a text, an image's path, or items. `side`: the most pixels of an image's longer side.

    Raises AdapterError where a file is no image.
    """
    if isinstance(data, Items):
        if data.paths:
            return tuple(
                ShownPart(name, image=data_url(Path(path), side))
                for name, path in zip(data.names, data.paths, strict=True)
            )
        return tuple(ShownPart(name, text) for name, text in zip(data.names, data.texts, strict=True))
    return (ShownPart(_ONE, image=data_url(data, side)),) if isinstance(data, Path) else (ShownPart(_ONE, data),)


def selected(data: Data, prompts: Sequence[Value], side: int) -> tuple[ShownPart, ...]:
    """Return what a person selected in a text, by spans, or in an image, by upright boxes; empty where nothing is selected."""
    if isinstance(data, str):
        spans = [prompt for prompt in prompts if isinstance(prompt, Span)]
        return tuple(ShownPart("selection", data[one.start : one.end]) for one in spans)
    if not isinstance(data, Path):
        return ()
    boxes = [prompt for prompt in prompts if isinstance(prompt, Box) and not prompt.rotation]
    return tuple(ShownPart("selection", image=data_url(data, side, box)) for box in boxes)


def content_of(data: Data) -> bytes:
    """Return bytes that differ where the data do: a hash of the names, the texts and the files."""
    if isinstance(data, Items):
        held = [*data.names, *data.texts]
        files = [Path(path) for path in data.paths]
    else:
        held, files = ([], [data]) if isinstance(data, Path) else ([data], [])
    found = hashlib.sha256()
    for text in held:
        found.update(b"text" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    for file in files:
        found.update(b"file" + hashlib.sha256(file.read_bytes()).digest())
    return found.digest()


def is_blank(data: Data) -> bool:
    """Return True if there is nothing to see: blank texts and no image."""
    if isinstance(data, Items):
        return not data.paths and not any(text.strip() for text in data.texts)
    return isinstance(data, str) and not data.strip()


def data_url(path: Path, side: int, box: Box | None = None) -> str:
    """Return an image, or the part in a box, as the data URL of a JPEG, scaled down where it is larger than `side`. Raises
    AdapterError.
    """
    written = io.BytesIO()
    opened(path, side, box).save(written, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def opened(path: Path, side: int, box: Box | None) -> Image:
    """Return an image, or the part in a box, in RGB, on white where it is transparent, scaled down to `side`. Raises
    AdapterError.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if box is not None:
                wide, high = image.size
                left, top = int(box.x * wide), int(box.y * high)
                right, bottom = (
                    max(left + 1, round((box.x + box.width) * wide)),
                    max(top + 1, round((box.y + box.height) * high)),
                )
                image = image.crop((left, top, right, bottom))
            else:
                image.draft("RGB", (side, side))  # a JPEG is decoded at about that size
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            image = image.convert("RGB")
            image.thumbnail((side, side))
            return image
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise AdapterError(f"{path.name} cannot be read as an image; convert it to PNG or JPEG") from error


def delimited(parts: Sequence[ShownPart]) -> Content:
    """Return the content of a user message: each text between two lines that none of the texts can contain, as their mark
    is a hash of all; each image after its name.
    """
    said = "\0".join(f"{part.name}\0{part.text}" for part in parts)
    mark = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    if not any(part.image for part in parts):
        return "\n".join(_between(part, mark) for part in parts)
    content: list[dict[str, str | dict[str, str]]] = []
    for part in parts:
        if not part.image:
            content.append({"type": "text", "text": _between(part, mark)})
            continue
        content.append({"type": "text", "text": f"<{part.name} {mark}>"})
        content.append({"type": "image_url", "image_url": {"url": part.image}})
        content.append({"type": "text", "text": f"</{part.name} {mark}>"})
    return content


def _between(part: ShownPart, mark: str) -> str:
    return f"<{part.name} {mark}>\n{part.text}\n</{part.name} {mark}>"
