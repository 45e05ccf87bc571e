"""Where a task's URL leads, and how what is there comes here: once, whole, checked, and no older than the recipe wants."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, parse_qsl, unquote, unquote_to_bytes, urlencode, urlsplit

import msgspec

from lsml.errors import FetchError, LsmlError
from lsml.files.cache import new_file
from lsml.labeling.objects import Clip, Fetch, Picture, Unreadable
from lsml.media.cache import Entry, MediaCache
from lsml.media.content import content_of
from lsml.media.pictures import examine_image, examine_video
from lsml.media.transfer import Received, Validators, Wanted, origin, place, shown_url, too_large
from lsml.media.web import fetch_public
from lsml.recipe import Media

_log = logging.getLogger(__name__)
MAX_TEXT_BYTES = 10 * 1024 * 1024
AGAIN_S = 0.5  # before a server that failed in passing is asked once more

_STUDIO_PATH = re.compile(r"(/data/|/tasks/\d+/|/projects/\d+/|/storage-data/|upload/)")
_RESOLVE = re.compile(r"/(?:tasks|projects)/\d+/(?:resolve|presign)/")
_CLOUD = ("s3", "gs", "azure-blob", "redis")
# Parameters of signed addresses: they change with every signature, and what they lead to does not.
_SIGNATURE = re.compile(
    r"(X-(Amz|Goog)-.*|AWSAccessKeyId|GoogleAccessId|Signature|Expires|Key-Pair-Id|Policy"
    r"|sig|se|sp|sr|sv|st|spr|skoid|sktid|skt|ske|sks|skv)",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"(?i)[?&](X-Amz-Signature|X-Goog-Signature|Signature|sig)=")

T = TypeVar("T")


class StudioFiles(Protocol):
    """Label Studio, as far as it keeps files; `lsml.studio.client.Studio` is one."""

    url: str

    def fetch(self, url: str, wanted: Wanted) -> Received | None:
        """Bring a file that it keeps here; None where it is still the known one."""


@dataclass(frozen=True)
class _Source:
    """Where a URL leads. `location`: what its content is kept by; `path`: it lies there, on this machine; `bring`: how it
    comes here otherwise; `lasting`: it never changes."""

    url: str
    location: str
    path: Path | None = None
    bring: Callable[[Wanted], Received | None] | None = None
    lasting: bool = False

    @property
    def key(self) -> str:
        return hashlib.sha256(self.location.encode("utf-8", "surrogatepass")).hexdigest()[:40]


class Fetcher:
    """Brings what a project's tasks name. Threads may share it.

    `studio`, `studio_project`: its Label Studio and the project's number there; without one, what only Label Studio has
    is an error that says so. `scope` keeps what one project may read from the others. `folders`: where local paths may
    lie, and relative ones count from. `anywhere`: any local path and any host may be read, for commands that a person
    runs on files of their own; relative paths then count from `beside` and from the current folder first.
    """

    def __init__(
        self,
        limits: Media,
        cache: Callable[[], MediaCache],
        *,
        studio: StudioFiles | None = None,
        studio_project: int | None = None,
        scope: str = "",
        folders: Sequence[Path] = (),
        anywhere: bool = False,
        beside: Path | None = None,
    ) -> None:
        self._limits = limits
        self._open_cache = cache
        self._studio = studio
        self._studio_project = studio_project
        self._scope = scope
        self._folders = folders
        self._anywhere = anywhere
        self._beside = beside
        self._hosts = frozenset(host.lower() for host in limits.hosts)

    @property
    def _cache(self) -> MediaCache:
        return self._open_cache()

    @contextmanager
    def hold(self) -> Iterator[Fetch]:
        """A Fetch whose files stay while it is open, and which asks for each of them once.

        Most requests need no file, and then nothing is touched.
        """
        with ExitStack() as stack:
            yield _Held(self, lambda: stack.enter_context(self._cache.hold()))

    def text(self, url: str, task: Mapping[str, Any]) -> str:
        """The text behind a URL: UTF-8, with or without a byte order mark, or the charset that its server declares.

        Raises FetchError."""
        most = min(MAX_TEXT_BYTES, self._limits.file_bytes)
        if url.startswith("data:"):
            content, content_type = _decoded_data_url(url, most)
        else:
            path, entry = self._have(self._source(url, task), most, _as_it_is)
            content_type = entry.content_type if entry is not None else ""
            try:
                content = path.read_bytes()
            except OSError as error:
                raise FetchError(f"{shown_url(url)}: cannot be read ({error.strerror})") from error
        return _text(content, content_type, url)

    def file(self, url: str, task: Mapping[str, Any]) -> Path:
        """The file behind a URL, as it is; its suffix fits its content. Raises FetchError."""
        return self._have(self._source(url, task), self._limits.file_bytes, _as_it_is)[0]

    def image(self, url: str, task: Mapping[str, Any]) -> Picture:
        """The image behind a URL, upright. Raises FetchError, and Unreadable for what is no image."""
        path, entry = self._have(self._source(url, task), self._limits.file_bytes, self._as_image)
        assert entry is not None and entry.size is not None
        return Picture(path, entry.size)

    def video(self, url: str, task: Mapping[str, Any]) -> Clip:
        """The video behind a URL. Raises FetchError, and Unreadable for what is no video."""
        path, entry = self._have(self._source(url, task), self._limits.file_bytes, self._as_video)
        assert entry is not None and entry.size is not None and entry.duration_s is not None
        return Clip(path, entry.size, entry.duration_s)

    # What is known of a file

    def _have(self, source: _Source, max_bytes: int, examine: _Examine) -> tuple[Path, Entry | None]:
        """The path of what is at `source` and what is known of it; brought here and examined where it has to be."""
        try:
            return self._try_to_have(source, max_bytes, examine)
        except OSError as error:  # a disk that is full, a folder that may not be written, a file that went just now
            raise FetchError(f"{shown_url(source.url)}: cannot be had here ({error.strerror or error})") from error

    def _try_to_have(self, source: _Source, max_bytes: int, examine: _Examine) -> tuple[Path, Entry | None]:
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
                continue  # it was made for somebody who wanted to know something else of it
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
            f"{shown_url(source.url)}: was pushed out of the media cache again and again; raise `media.cache` of the recipe"
        )

    def _is_fresh(self, entry: Entry, source: _Source) -> bool:
        if source.lasting or source.path is not None:
            return True
        fresh_s = self._limits.fresh_s if entry.fresh_s is None else min(entry.fresh_s, self._limits.fresh_s)
        return 0 <= time.time() - entry.checked_at < fresh_s

    def _make(self, source: _Source, max_bytes: int, examine: _Examine) -> Entry:
        """An entry that is fresh and complete; alone for its place."""
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
                self._cache.drop(source.key)  # so that it is asked for anew, once it may be mended
            raise
        assert complete is not None
        return self._cache.keep(source.key, complete)

    def _path(self, source: _Source, entry: Entry) -> Path:
        if source.path is not None:
            return source.path
        assert entry.file is not None
        return self._cache.use(source.key, entry.file)

    def _fetched(self, source: _Source, max_bytes: int, known: Entry | None) -> Entry:
        """The entry of what is there now."""
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
        wanted = Wanted(scratch, max_bytes, deadline, known.validators if known else Validators())
        try:
            received = _asked_twice(source.bring, wanted)
        except FetchError as error:
            if known is None or not error.passing:
                raise
            _log.warning("%s; what was fetched before is used on", error)
            received = None
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        if received is None:
            assert known is not None
            return self._cache.keep(source.key, msgspec.structs.replace(known, checked_at=time.time()))
        return self._cache.received(source.key, scratch, received, content_of(scratch).suffix)

    def _as_image(self, source: _Source, entry: Entry, path: Path | None) -> Entry | None:
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

    def _as_video(self, source: _Source, entry: Entry, path: Path | None) -> Entry | None:
        if entry.duration_s is not None:
            return entry
        if path is None:
            return None
        footage = examine_video(path, shown_url(source.url))
        return msgspec.structs.replace(entry, size=footage.size, duration_s=footage.duration_s)

    # Where a URL leads

    def _source(self, url: str, task: Mapping[str, Any]) -> _Source:
        if url.startswith("data:"):
            return _Source(url, f"data {url}", bring=lambda wanted: _write_data_url(url, wanted), lasting=True)
        scheme = place(url)[0]
        local = self._local(url) if scheme in ("", "file") else None
        if local is not None:
            return local
        if scheme in _CLOUD:
            return self._from_cloud(url, task)
        if self._studio is not None and self._keeps(url, self._studio):
            return self._from_studio(url, url, self._studio)
        if scheme in ("http", "https"):
            return self._from_web(url)
        if scheme in ("", "file"):
            raise FetchError(self._no_local(url))
        raise FetchError(f"{shown_url(url)}: expected http, https, data, or a path of Label Studio's, got {scheme}")

    @staticmethod
    def _keeps(url: str, studio: StudioFiles) -> bool:
        """Whether it is a file of Label Studio's; what else may be at its address is asked for as of any other host."""
        scheme, host, _ = place(url)
        if (scheme or host) and origin(url) != origin(studio.url):
            return False
        return bool(_STUDIO_PATH.match(urlsplit(url).path.removeprefix(urlsplit(studio.url).path)))

    def _from_web(self, url: str) -> _Source:
        location = url.partition("#")[0]
        if _SIGNED.search(location):
            # Who may read it is in the signature, so what it leads to stays within the project.
            parts = urlsplit(location)
            kept = [pair for pair in parse_qsl(parts.query, True) if not _SIGNATURE.fullmatch(pair[0])]
            location = f"{self._scope} {parts._replace(query=urlencode(kept)).geturl()}"
        # What a person's command brought here from a private address is not for tasks that may name none.
        reach = "any" if self._limits.private or self._anywhere else "public"
        return _Source(
            url, f"web {reach} {location}", bring=lambda wanted: fetch_public(url, wanted, self._may_be_private)
        )

    def _may_be_private(self, host: str) -> bool:
        return self._limits.private or self._anywhere or host.lower() in self._hosts

    def _from_cloud(self, url: str, task: Mapping[str, Any]) -> _Source:
        if self._studio is None:
            raise FetchError(
                f"{shown_url(url)}: lies in a cloud storage, which Label Studio reads for lsml; set LABEL_STUDIO_URL and "
                "LABEL_STUDIO_API_KEY, or let the storage make pre-signed http addresses"
            )
        number = str(task.get("id", ""))
        of = f"tasks/{number}" if number.isdecimal() else ""
        if not of and self._studio_project is not None:
            of = f"projects/{self._studio_project}"
        if not of:
            raise FetchError(
                f"{shown_url(url)}: lies in a cloud storage, and Label Studio gives it for a task alone; this one has no id"
            )
        packed = base64.urlsafe_b64encode(url.encode("utf-8", "surrogatepass")).decode()
        return self._from_studio(url, f"/{of}/resolve/?fileuri={packed}", self._studio)

    def _from_studio(self, url: str, asked: str, studio: StudioFiles) -> _Source:
        location = asked.removeprefix(studio.url)
        if _RESOLVE.match(location):
            # The same file, whichever task it is asked for.
            packed = parse_qs(urlsplit(location).query).get("fileuri", [""])[0]
            try:
                location = base64.urlsafe_b64decode(packed).decode()
            except ValueError:
                location = packed or location

        def bring(wanted: Wanted) -> Received | None:
            try:
                return studio.fetch(asked, wanted)
            except FetchError as error:
                # The sentence is about what the task says, not about the address that was made of it.
                raise FetchError(
                    str(error).replace(shown_url(asked), shown_url(url), 1), passing=error.passing
                ) from error

        upload = location.removeprefix("/data/").startswith("upload/")
        return _Source(url, f"studio {self._scope} {studio.url} {location}", bring=bring, lasting=upload)

    def _local(self, url: str) -> _Source | None:
        """The file on this machine that a path or a file: URL names, if there is one and it may be read."""
        for path in self._candidates(url):
            try:
                real = path.resolve()
                facts = real.stat()
            except (OSError, ValueError):
                continue
            allowed = self._anywhere or any(real.is_relative_to(folder) for folder in self._allowed())
            if allowed and real.is_file():
                return _Source(url, f"file {real} {facts.st_mtime_ns} {facts.st_size}", path=real)
        return None

    def _candidates(self, url: str) -> list[Path]:
        from urllib.request import url2pathname

        parts = urlsplit(url)
        if parts.scheme == "file":
            return [Path(url2pathname(unquote(parts.path)))]
        if url.startswith("/data/local-files/"):
            inside = parse_qs(parts.query).get("d", [""])[0].lstrip("/")
            return [folder / inside for folder in self._allowed() if inside]
        path = Path(url)
        if path.is_absolute():
            return [path]
        here = [self._beside, Path.cwd()] if self._anywhere else []
        return [folder / path for folder in (*here, *self._allowed()) if folder is not None]

    def _allowed(self) -> list[Path]:
        return [folder.resolve() for folder in self._folders]

    def _no_local(self, url: str) -> str:
        """Why a path leads nowhere."""
        if _STUDIO_PATH.match(url):
            return (
                f"{shown_url(url)}: is kept by Label Studio; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, so that lsml "
                "can ask for it"
            )
        if "\0" in url:
            return f"{shown_url(url)}: is no path; expected a URL or the path of a file"
        if self._anywhere:
            return f"{shown_url(url)}: there is no such file"
        return (
            f"{shown_url(url)}: is no file in the folders that lsml may read; name its folder in `media.folders` of the "
            "recipe"
        )


class _Held:
    """A Fetcher's files for one request or one training: each is asked for once, and so is one that fails."""

    def __init__(self, fetcher: Fetcher, begin: Callable[[], None]) -> None:
        self._fetcher = fetcher
        self._begin: Callable[[], None] | None = begin  # until the first file is asked for
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Any] = {}

    @contextmanager
    def hold(self) -> Iterator[Fetch]:
        """Itself: what it gives stays already."""
        yield self

    def text(self, url: str, task: Mapping[str, Any]) -> str:
        """As Fetcher.text; a text is not kept in memory."""
        return self._once("text", url, lambda: self._fetcher.text(url, task), keep=False)

    def file(self, url: str, task: Mapping[str, Any]) -> Path:
        """As Fetcher.file."""
        return self._once("file", url, lambda: self._fetcher.file(url, task))

    def image(self, url: str, task: Mapping[str, Any]) -> Picture:
        """As Fetcher.image."""
        return self._once("image", url, lambda: self._fetcher.image(url, task))

    def video(self, url: str, task: Mapping[str, Any]) -> Clip:
        """As Fetcher.video."""
        return self._once("video", url, lambda: self._fetcher.video(url, task))

    def _once(self, kind: str, url: str, ask: Callable[[], T], keep: bool = True) -> T:
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


# (where it is, what is known of it, its path) -> everything known of it; without a path, None where that is too little
_Examine = Callable[[_Source, Entry, Path | None], Entry | None]


def _as_it_is(_source: _Source, entry: Entry, _path: Path | None) -> Entry | None:
    return entry


def _asked_twice(bring: Callable[[Wanted], Received | None], wanted: Wanted) -> Received | None:
    """What `bring` brings, asked once more where it failed in passing and there is time."""
    try:
        return bring(wanted)
    except FetchError as error:
        if not error.passing or time.monotonic() + AGAIN_S > wanted.deadline:
            raise
    time.sleep(AGAIN_S)
    return bring(wanted)


def _write_data_url(url: str, wanted: Wanted) -> Received:
    content, content_type = _decoded_data_url(url, wanted.max_bytes)
    with new_file(wanted.destination) as file:
        file.write(content)
    return Received(len(content), hashlib.sha256(content).hexdigest(), content_type)


def _decoded_data_url(url: str, max_bytes: int) -> tuple[bytes, str]:
    """The bytes and the content type of a `data:` URL."""
    head, comma, body = url[len("data:") :].partition(",")
    if not comma:
        raise FetchError(f"{shown_url(url)}: is no data URL; expected data:<type>,<text> or data:<type>;base64,<bytes>")
    if len(body) > 4 * max_bytes:  # before decoding: %41 is three characters for one byte
        raise FetchError(too_large(url, max_bytes))
    content = unquote_to_bytes(body)
    content_type = head.strip()
    if content_type.lower().endswith(";base64"):
        content_type = content_type[: -len(";base64")]
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error as error:
            raise FetchError(f"{shown_url(url)}: says that it is base64 and is not; encode it again") from error
    if len(content) > max_bytes:
        raise FetchError(too_large(url, max_bytes))
    return content, content_type


def _text(content: bytes, content_type: str, url: str) -> str:
    """Bytes as text: UTF-8 where they are that, else the declared charset."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    if declared is None:
        raise FetchError(f"{shown_url(url)}: is not UTF-8 text and declares no charset; save it as UTF-8")
    charset = declared.group(1)
    try:
        return content.decode(charset)
    except (LookupError, ValueError) as error:
        raise FetchError(
            f"{shown_url(url)}: is neither UTF-8 nor the charset {charset} it declares; save it as UTF-8"
        ) from error
