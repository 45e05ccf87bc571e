"""Fetching of what a task's URL names: once, complete, checked, and as fresh as the recipe wants."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from lsml.errors import FetchError, LsmlError
from lsml.labeling.objects import Clip, Corners, Fetch, Picture, Times
from lsml.media.cache import MediaCache
from lsml.media.content import content_of
from lsml.media.entries import Entry
from lsml.media.held import FetchOnce
from lsml.media.inline import as_text, decoded_data_url
from lsml.media.pdfs import page_numbers, pdf_text, render_pages
from lsml.media.pictures import cut_out, examine_image, examine_video, size_of
from lsml.media.recordings import cut_stretches
from lsml.media.sources import Source, Sources
from lsml.media.transfer import Download, Received, Validators, shown_url, too_large
from lsml.recipe import Media

_log = logging.getLogger(__name__)
MAX_TEXT_BYTES = 10 * 1024 * 1024
AGAIN_S = 0.5  # pause before a server is asked again after a temporary failure

# (source, entry, path) -> the complete entry; without a path, None where the file has to be examined
_Examine = Callable[[Source, Entry, Path | None], Entry | None]
_Place = TypeVar("_Place", Corners, Times, int)  # of a part of a file; a page by its number
# (file, places, a path for a file in the making) -> the part at each place
_Cut = Callable[[Path, Sequence[_Place], Callable[[], Path]], Iterable[Path]]


class Fetcher:
    """The fetcher of media that a project's tasks name. Threads may share it.

    `limits`: the most bytes, seconds and age; `cache`: opens the media cache when it is first needed; `sources`: where
    the project's URLs lead.
    """

    def __init__(self, limits: Media, cache: Callable[[], MediaCache], sources: Sources) -> None:
        self._limits = limits
        self._open_cache = cache
        self._sources = sources

    @property
    def _cache(self) -> MediaCache:
        return self._open_cache()

    @contextmanager
    def hold(self) -> Iterator[Fetch]:
        """Yield a Fetch whose files stay while it is open, and which asks for each file once.

        Most requests need no file, and then the cache is not touched.
        """
        with ExitStack() as stack:
            yield FetchOnce(self, lambda: stack.enter_context(self._cache.hold()))

    def text(self, url: str, task: Mapping[str, object]) -> str:
        """Return the text behind a URL: UTF-8, with or without a byte order mark, or the charset that its server declares.

        Raises FetchError.
        """
        most = min(MAX_TEXT_BYTES, self._limits.file_bytes)
        if url.startswith("data:"):
            content, content_type = decoded_data_url(url, most)
        else:
            path, entry = self._have(self._sources.of(url, task), most, _as_it_is)
            content_type = entry.content_type if entry is not None else ""
            try:
                content = path.read_bytes()
            except OSError as error:
                raise FetchError(f"{shown_url(url)}: cannot be read ({error.strerror})") from error
        return as_text(content, content_type, url)

    def file(self, url: str, task: Mapping[str, object]) -> Path:
        """Return the path of the file behind a URL, unchanged; its suffix fits its content. Raises FetchError."""
        return self._have(self._sources.of(url, task), self._limits.file_bytes, _as_it_is)[0]

    def image(self, url: str, task: Mapping[str, object]) -> Picture:
        """Return the image behind a URL, upright. Raises FetchError, and Unreadable where it is no image."""
        path, entry = self._have(self._sources.of(url, task), self._limits.file_bytes, self._as_image)
        assert entry is not None and entry.size is not None
        return Picture(path, entry.size)

    def crops(self, picture: Picture, outlines: Sequence[Corners]) -> list[Path]:
        """Return parts of an image, each an upright file in the cache, made once. Raises FetchError and Unreadable."""
        return self._parts(picture.path, outlines, cut_out, ".png")

    def stretches(self, path: Path, times: Sequence[Times]) -> list[Path]:
        """Return parts of a recording, each a WAV file in the cache, made once. Raises FetchError and Unreadable."""
        return self._parts(path, times, cut_stretches, ".wav")

    def _parts(self, path: Path, places: Sequence[_Place], cut: _Cut[_Place], suffix: str) -> list[Path]:
        """Return the part of a file at each place."""
        try:
            status = path.stat()
            key = hashlib.sha256(f"{path} {status.st_mtime_ns} {status.st_size}".encode()).hexdigest()
            found: dict[_Place, Path] = {}
            missing: list[_Place] = []
            for place in dict.fromkeys(places):
                try:
                    found[place] = self._cache.use(key, f"{key}-{_digest(place)}{suffix}")
                except FileNotFoundError:
                    missing.append(place)
            for place, part in zip(missing, cut(path, missing, self._cache.scratch), strict=True):
                found[place] = self._cache.use(key, self._cache.add(key, part, _digest(place), suffix))
            return [found[place] for place in places]
        except OSError as error:
            raise FetchError(f"{path.name}: its segments cannot be written ({error.strerror or error})") from error

    def video(self, url: str, task: Mapping[str, object]) -> Clip:
        """Return the video behind a URL. Raises FetchError, and Unreadable where it is no video."""
        path, entry = self._have(self._sources.of(url, task), self._limits.file_bytes, _as_video)
        assert entry is not None and entry.size is not None and entry.duration_s is not None
        return Clip(path, entry.size, entry.duration_s)

    def document(self, url: str, task: Mapping[str, object]) -> str:
        """Return the text of the PDF document behind a URL. Raises FetchError, and Unreadable where it has none."""
        return pdf_text(self.file(url, task), shown_url(url), MAX_TEXT_BYTES)

    def pages(self, url: str, task: Mapping[str, object], *, first: bool) -> list[Picture]:
        """Return the pages of the PDF document behind a URL, or only the `first`, each an image in the cache, made once."""
        path = self.file(url, task)
        numbers = page_numbers(path, shown_url(url), self._limits.pages, first=first)
        draw = partial(render_pages, shown=shown_url(url))
        return [Picture(image, size_of(image)) for image in self._parts(path, numbers, draw, ".png")]

    # The entry of a file

    def _have(self, source: Source, max_bytes: int, examine: _Examine) -> tuple[Path, Entry | None]:
        """Return the path and the entry of a source; it is fetched and examined where that is needed."""
        try:
            return self._try_to_have(source, max_bytes, examine)
        except OSError as error:  # a full disk, a folder that cannot be written, a file that was just deleted
            raise FetchError(f"{shown_url(source.url)}: cannot be stored ({error.strerror or error})") from error

    def _try_to_have(self, source: Source, max_bytes: int, examine: _Examine) -> tuple[Path, Entry | None]:
        if source.path is not None and source.path.stat().st_size > max_bytes:
            raise FetchError(too_large(source.url, max_bytes))
        if source.path is not None and examine is _as_it_is:
            return source.path, None
        for _ in range(3):
            entry = self._cache.entry(source.key)
            if entry is None or not self._is_fresh(entry, source) or examine(source, entry, None) is None:
                entry = self._cache.once(source.key, lambda: self._make(source, max_bytes, examine))
            complete = examine(source, entry, None)
            if complete is None:
                continue  # another thread made it, for a request that needed less
            if entry.bytes > max_bytes:
                raise FetchError(too_large(source.url, max_bytes))
            name = entry.file if examine is _as_it_is else entry.upright or entry.file
            if name is None:
                assert source.path is not None
                return source.path, entry
            try:
                return self._cache.use(source.key, name), entry
            except FileNotFoundError:
                self._cache.drop(source.key)
        raise FetchError(
            f"{shown_url(source.url)}: was evicted from the media cache repeatedly; raise `media.cache` of the recipe"
        )

    def _is_fresh(self, entry: Entry, source: Source) -> bool:
        if source.lasting or source.path is not None:
            return True
        fresh_s = self._limits.fresh_s if entry.fresh_s is None else min(entry.fresh_s, self._limits.fresh_s)
        return 0 <= time.time() - entry.checked_at < fresh_s

    def _make(self, source: Source, max_bytes: int, examine: _Examine) -> Entry:
        """Return an entry that is fresh and complete. Only one thread and process runs this for a source."""
        entry = self._cache.entry(source.key)
        if entry is None or not self._is_fresh(entry, source):
            entry = self._fetched(source, max_bytes, entry)
        complete = examine(source, entry, None)
        if complete is not None:
            return complete
        try:
            complete = examine(source, entry, self._path(source, entry))
        except LsmlError:
            if source.path is None:
                self._cache.drop(source.key)  # so that it is fetched again, because it may have been corrected
            raise
        assert complete is not None
        return self._cache.keep(source.key, complete)

    def _path(self, source: Source, entry: Entry) -> Path:
        if source.path is not None:
            return source.path
        assert entry.file is not None
        return self._cache.use(source.key, entry.file)

    def _fetched(self, source: Source, max_bytes: int, known: Entry | None) -> Entry:
        """Return the entry of the content that is there now, fetched where it changed."""
        if source.bring is None:
            return Entry(checked_at=time.time())
        if known is not None:
            assert known.file is not None
            try:
                self._cache.use(source.key, known.file)
            except FileNotFoundError:
                known = None
        scratch = self._cache.scratch()
        deadline = time.monotonic() + self._limits.timeout_s
        wanted = Download(scratch, max_bytes, deadline, known.validators if known else Validators())
        try:
            received = _asked_twice(source.bring, wanted)
        except FetchError as error:
            if known is None or not error.passing:
                raise
            _log.warning("%s; the cached file is used", error)
            received = None
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        if received is None:
            assert known is not None
            return self._cache.keep(source.key, msgspec.structs.replace(known, checked_at=time.time()))
        return self._cache.received(source.key, scratch, received, content_of(scratch).suffix)

    def _as_image(self, source: Source, entry: Entry, path: Path | None) -> Entry | None:
        if entry.size is not None:
            return entry
        if path is None:
            return None
        picture = examine_image(path, shown_url(source.url), self._limits.pixels, self._cache.scratch)
        if picture.copy is None:
            return msgspec.structs.replace(entry, size=picture.size)
        copy, suffix = picture.copy
        upright = self._cache.add(source.key, copy, f"{entry.sha256[:9]}upright", suffix)
        return msgspec.structs.replace(entry, size=picture.size, upright=upright)


def _digest(place: Corners | Times | int) -> str:
    return hashlib.sha256(repr(place).encode()).hexdigest()[:16]


def _as_video(source: Source, entry: Entry, path: Path | None) -> Entry | None:
    if entry.duration_s is not None:
        return entry
    if path is None:
        return None
    footage = examine_video(path, shown_url(source.url))
    return msgspec.structs.replace(entry, size=footage.size, duration_s=footage.duration_s)


def _as_it_is(_source: Source, entry: Entry, _path: Path | None) -> Entry | None:
    return entry


def _asked_twice(bring: Callable[[Download], Received | None], wanted: Download) -> Received | None:
    """Return what `bring` fetches, asking again after a temporary failure if there is time."""
    try:
        return bring(wanted)
    except FetchError as error:
        if not error.passing or time.monotonic() + AGAIN_S > wanted.deadline:
            raise
    time.sleep(AGAIN_S)
    return bring(wanted)
