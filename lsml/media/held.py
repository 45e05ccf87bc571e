"""The files of one request or one training run: each is asked for once, and stays until the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lsml.errors import FetchError
from lsml.labeling.objects import Clip, Corners, Fetch, Picture, Times, Unreadable
from lsml.media.transfer import shown_url

T = TypeVar("T")


class FetchOnce:
    """The Fetch of one request or one training run: each file is asked for once, and an error is remembered, too."""

    def __init__(self, fetcher: Fetch, begin: Callable[[], None]) -> None:
        self._fetcher = fetcher
        self._begin: Callable[[], None] | None = begin  # None once the first file was asked for
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Any] = {}

    @contextmanager
    def hold(self) -> Iterator[Fetch]:
        """Yield itself, for its files stay already."""
        yield self

    def text(self, url: str, task: Mapping[str, object]) -> str:
        """Return the text as Fetcher.text does; it is not kept in memory."""
        return self._once("text", url, lambda: self._fetcher.text(url, task), keep=False)

    def file(self, url: str, task: Mapping[str, object]) -> Path:
        """Return the file as Fetcher.file does."""
        return self._once("file", url, lambda: self._fetcher.file(url, task))

    def image(self, url: str, task: Mapping[str, object]) -> Picture:
        """Return the image as Fetcher.image does."""
        return self._once("image", url, lambda: self._fetcher.image(url, task))

    def crops(self, picture: Picture, outlines: Sequence[Corners]) -> list[Path]:
        """Return what Fetcher.crops does; the image was asked for before."""
        return self._fetcher.crops(picture, outlines)

    def stretches(self, path: Path, times: Sequence[Times]) -> list[Path]:
        """Return what Fetcher.stretches does; the recording was asked for before."""
        return self._fetcher.stretches(path, times)

    def video(self, url: str, task: Mapping[str, object]) -> Clip:
        """Return the video as Fetcher.video does."""
        return self._once("video", url, lambda: self._fetcher.video(url, task))

    def document(self, url: str, task: Mapping[str, object]) -> str:
        """Return the text as Fetcher.document does; it is not kept in memory."""
        return self._once("document", url, lambda: self._fetcher.document(url, task), keep=False)

    def pages(self, url: str, task: Mapping[str, object], *, first: bool) -> list[Picture]:
        """Return the images as Fetcher.pages does."""
        return self._once(f"pages {first}", url, lambda: self._fetcher.pages(url, task, first=first))

    def _once(self, kind: str, url: str, ask: Callable[[], T], *, keep: bool = True) -> T:
        with self._lock:
            if self._begin is not None:
                try:
                    self._begin()
                except OSError as error:
                    raise FetchError(f"{shown_url(url)}: the media cache cannot be used ({error.strerror})") from error
                self._begin = None
        known = self._known.get((kind, url))
        if known is None:
            try:
                known = ask()
            except FetchError as error:
                known = self._known[kind, url] = error
                raise
            except Unreadable as error:
                known = self._known[kind, url] = error
                raise
            if keep:
                self._known[kind, url] = known
        elif isinstance(known, FetchError):
            raise FetchError(str(known))
        elif isinstance(known, Unreadable):
            raise Unreadable(known.reason, str(known))
        return known
