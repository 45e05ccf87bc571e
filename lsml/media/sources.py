"""The source that a task's URL leads to: a file on this machine, Label Studio, another host, or the URL itself."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from lsml.errors import FetchError
from lsml.media.inline import write_data_url
from lsml.media.transfer import Download, Received, origin, parts_of, shown_url
from lsml.media.web import fetch_public
from lsml.recipe import Media

_STUDIO_PATH = re.compile(r"(/data/|/tasks/\d+/|/projects/\d+/|/storage-data/|upload/)")
_RESOLVE = re.compile(r"/(?:tasks|projects)/\d+/(?:resolve|presign)/")
_CLOUD = ("s3", "gs", "azure-blob", "redis")
# Parameters of signed addresses: they change with every signature, while the content stays the same.
_SIGNATURE = re.compile(
    r"(X-(Amz|Goog)-.*|AWSAccessKeyId|GoogleAccessId|Signature|Expires|Key-Pair-Id|Policy"
    r"|sig|se|sp|sr|sv|st|spr|skoid|sktid|skt|ske|sks|skv)",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"(?i)[?&](X-Amz-Signature|X-Goog-Signature|Signature|sig)=")


class StudioFiles(Protocol):
    """The files that Label Studio keeps; `lsml.studio.client.Studio` implements it."""

    @property
    def url(self) -> str:
        """Label Studio's address, without a slash at the end."""

    def fetch(self, url: str, wanted: Download) -> Received | None:
        """Fetch a file that Label Studio keeps; None where the known one is still current."""


@dataclass(frozen=True)
class Source:
    """The source of a URL's content. `location` is the key it is cached by. `path`: its file, where it lies on this
    machine; `bring`: the function that fetches it otherwise. `lasting`: it never changes.
    """

    url: str
    location: str
    path: Path | None = None
    bring: Callable[[Download], Received | None] | None = None
    lasting: bool = False

    @property
    def key(self) -> str:
        """The location as a file name: 40 hexadecimal digits."""
        return hashlib.sha256(self.location.encode("utf-8", "surrogatepass")).hexdigest()[:40]


class Sources:
    """The sources that the URLs of one project's tasks may lead to.

    `studio`, `studio_project`: the project's Label Studio and its number there. Without them, a file that only Label
    Studio has is an error that says so. `scope` separates the files of one project from those of others. `folders` may
    hold local files, and relative paths start there. `anywhere` allows any local path and any host, for commands that a
    person runs on their own files; relative paths then start from `beside` and the current folder first.
    """

    def __init__(
        self,
        limits: Media,
        *,
        studio: StudioFiles | None = None,
        studio_project: int | None = None,
        scope: str = "",
        folders: Sequence[Path] = (),
        anywhere: bool = False,
        beside: Path | None = None,
    ) -> None:
        self._private = limits.private
        self._studio = studio
        self._studio_project = studio_project
        self._scope = scope
        self._folders = folders
        self._anywhere = anywhere
        self._beside = beside
        self._hosts = frozenset(host.lower() for host in limits.hosts)

    def of(self, url: str, task: Mapping[str, object]) -> Source:
        """Return the source that a task's URL leads to. Raises FetchError where there is none, or where it may not be read."""
        if url.startswith("data:"):
            return Source(url, f"data {url}", bring=lambda wanted: write_data_url(url, wanted), lasting=True)
        scheme = parts_of(url)[0]
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
        raise FetchError(f"{shown_url(url)}: expected http, https, data, or a path in Label Studio, got {scheme}")

    @staticmethod
    def _keeps(url: str, studio: StudioFiles) -> bool:
        """Return True if the URL is a file of Label Studio. Other paths at its address are fetched as from any other host."""
        scheme, host, _ = parts_of(url)
        if (scheme or host) and origin(url) != origin(studio.url):
            return False
        return bool(_STUDIO_PATH.match(urlsplit(url).path.removeprefix(urlsplit(studio.url).path)))

    def _from_web(self, url: str) -> Source:
        location = url.partition("#")[0]
        if _SIGNED.search(location):
            # The signature decides who may read it, so the content stays within the project.
            parts = urlsplit(location)
            kept = [
                pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _SIGNATURE.fullmatch(pair[0])
            ]
            location = f"{self._scope} {parts._replace(query=urlencode(kept)).geturl()}"
        # A command may fetch from private addresses; tasks of the server must not get these files.
        reach = "any" if self._private or self._anywhere else "public"
        return Source(
            url, f"web {reach} {location}", bring=lambda wanted: fetch_public(url, wanted, self._may_be_private)
        )

    def _may_be_private(self, host: str) -> bool:
        return self._private or self._anywhere or host.lower() in self._hosts

    def _from_cloud(self, url: str, task: Mapping[str, object]) -> Source:
        if self._studio is None:
            raise FetchError(
                f"{shown_url(url)}: is in a cloud storage, which lsml reads through Label Studio; set "
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, or use pre-signed URLs"
            )
        number = str(task.get("id", ""))
        owner = f"tasks/{number}" if number.isdecimal() else ""
        if not owner and self._studio_project is not None:
            owner = f"projects/{self._studio_project}"
        if not owner:
            raise FetchError(
                f"{shown_url(url)}: is in a cloud storage, and Label Studio serves such files only by task id; this "
                "task has none"
            )
        packed = base64.urlsafe_b64encode(url.encode("utf-8", "surrogatepass")).decode()
        return self._from_studio(url, f"/{owner}/resolve/?fileuri={packed}", self._studio)

    def _from_studio(self, url: str, asked: str, studio: StudioFiles) -> Source:
        location = asked.removeprefix(studio.url)
        if _RESOLVE.match(location):
            # The file is the same whichever task names it.
            packed = parse_qs(urlsplit(location).query).get("fileuri", [""])[0]
            try:
                location = base64.urlsafe_b64decode(packed).decode()
            except ValueError:
                location = packed or location

        def bring(wanted: Download) -> Received | None:
            try:
                return studio.fetch(asked, wanted)
            except FetchError as error:
                # Errors name the URL in the task, not the address that was made of it.
                raise FetchError(
                    str(error).replace(shown_url(asked), shown_url(url), 1), passing=error.passing
                ) from error

        upload = location.removeprefix("/data/").startswith("upload/")
        return Source(url, f"studio {self._scope} {studio.url} {location}", bring=bring, lasting=upload)

    def _local(self, url: str) -> Source | None:
        """Return the file on this machine that a path or a file: URL names, if it exists and may be read."""
        for path in self._candidates(url):
            try:
                real = path.resolve()
                status = real.stat()
            except (OSError, ValueError):
                continue
            allowed = self._anywhere or any(real.is_relative_to(folder) for folder in self._allowed())
            if allowed and real.is_file():
                return Source(url, f"file {real} {status.st_mtime_ns} {status.st_size}", path=real)
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
        """Return the reason why a path leads nowhere."""
        if _STUDIO_PATH.match(url):
            return (
                f"{shown_url(url)}: is stored in Label Studio; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, so "
                "that lsml can read it"
            )
        if "\0" in url:
            return f"{shown_url(url)}: is not a path; expected a URL or the path of a file"
        if self._anywhere:
            return f"{shown_url(url)}: there is no such file"
        return (
            f"{shown_url(url)}: is not in a folder that lsml may read; add its folder to `media.folders` of the recipe"
        )
