"""Stand-ins for what brings a task's files here, where a test needs none of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsml.labeling.objects import Clip, Corners, Fetch, Picture, Times
from lsml.media.pictures import cut_out
from lsml.media.recordings import cut_stretches


def _nothing(url: str, _task: Any) -> Any:
    raise AssertionError(f"nothing is to be fetched, and {url} was")


class Fetching:
    """Answers with what a function says of a URL and its task."""

    def __init__(
        self,
        text: Callable[[str, Any], str] = _nothing,
        file: Callable[[str, Any], Path] = _nothing,
        image: Callable[[str, Any], Picture] = _nothing,
        video: Callable[[str, Any], Clip] = _nothing,
    ) -> None:
        self.text = text
        self.file = file
        self.image = image
        self.video = video

    def crops(self, picture: Picture, outlines: Sequence[Corners]) -> list[Path]:
        """Parts of an image, as files beside it."""
        names = iter(range(len(outlines)))
        return list(
            cut_out(picture.path, outlines, lambda: picture.path.with_name(f"{picture.path.stem}-{next(names)}.png"))
        )

    def stretches(self, path: Path, times: Sequence[Times]) -> list[Path]:
        """Parts of a recording, as files beside it."""
        names = iter(range(len(times)))
        return cut_stretches(path, times, lambda: path.with_name(f"{path.stem}-{next(names)}.wav"))

    @contextmanager
    def hold(self) -> Iterator[Fetch]:
        yield self


no_fetch = Fetching()
