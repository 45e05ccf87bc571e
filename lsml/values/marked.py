"""A text or an image with the regions in it, for models that look at several of them together."""

from __future__ import annotations

import msgspec

from lsml.values.kinds import Value


class Marked(msgspec.Struct, frozen=True):
    """The regions of one task, as spans of its `text` or as shapes of its image, each with its id. `text` is "" for images."""

    text: str
    ids: tuple[str, ...]
    regions: tuple[Value, ...]
