"""Bringing weights to this machine: from a hub of models, from ultralytics' assets, or from a URL."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.parts.weight_files import VARIABLE, file_name, shown_weights, weights_folder
from lsml.errors import AdapterError, FetchError
from lsml.recipe.lock import LockedWeights, changed_file, files_of, folder_of

if TYPE_CHECKING:
    import httpx

    from lsml.adapters.base import NamedWeights

Progress = Callable[[float, str], None]

# Of a model on a hub, the files that are loaded: no pickles, and no copies for other libraries.
_FILES: Final = ("*.safetensors", "*.json", "*.txt", "*.model", "model.bin")
_NOT: Final = ("onnx/*", "openvino/*", "pytorch_model*")
_BLOCK: Final = 1 << 20
_HERE: Final = {"127.0.0.1", "localhost", "::1"}


def fetch(
    download: NamedWeights, locked: LockedWeights | None, progress: Progress, *, newest: bool = False
) -> LockedWeights:
    """Download weights, unless they are on this machine, and return what the lock file records of them.

    `locked`: what it records already: then only the same files are downloaded. `newest`: download what is there now, whatever
    is on this machine. Raises FetchError, with what to do where there is no network, and AdapterError where other files came.
    """
    folder = folder_of(download, locked)
    there = folder is not None and not newest and (locked is None or changed_file(folder, locked.files) is None)
    if not there:
        bring = {"hub": _from_hub, "ultralytics": _from_ultralytics, "url": _from_url}[download.source]
        folder = bring(download, locked, progress)
    assert folder is not None
    if locked is None:
        revision = folder.name if download.source == "hub" else ""
        return LockedWeights(download.source, files_of(download, folder), download.repository, revision)
    wrong = changed_file(folder, locked.files)
    if wrong is not None:
        raise AdapterError(
            f"{shown_weights(download.name)}: {wrong.name} is not the file that the lock file records; if you trust where it "
            "came from, run `lsml fetch` with --update"
        )
    return locked


def _from_hub(download: NamedWeights, locked: LockedWeights | None, progress: Progress) -> Path:
    """Download a model into the cache of the hub's own library."""
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise AdapterError(
            f'{download.name} is fetched by huggingface_hub, which is not installed; pip install "lsml[transformers]"'
        ) from error
    progress(0.0, f"downloading from {constants.ENDPOINT}")
    revision = locked.revision if locked is not None and locked.revision else None
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        folder = Path(
            snapshot_download(
                download.repository,
                revision=revision,
                allow_patterns=list(_FILES),
                ignore_patterns=list(_NOT),
                force_download=locked is not None,
            )
        )
    except Exception as error:  # any error of the library, its HTTP client or the disk
        raise _failed(download, constants.ENDPOINT, error, "HF_ENDPOINT", Path(constants.HF_HUB_CACHE)) from error
    if not any(path.is_file() for path in folder.iterdir()):
        raise FetchError(
            f"{download.name}: {constants.ENDPOINT} has none of {', '.join(_FILES)} in it; name another model"
        )
    return folder


def _from_ultralytics(download: NamedWeights, _locked: LockedWeights | None, progress: Progress) -> Path:
    from lsml.adapters.image.yolo.library import download as bring

    folder = _writable_folder()
    progress(0.0, "downloading from github.com/ultralytics/assets")
    try:
        return bring(download.name).parent
    except AdapterError as error:
        raise _failed(download, "https://github.com/ultralytics/assets", error, None, folder) from error


def _from_url(download: NamedWeights, _locked: LockedWeights | None, progress: Progress) -> Path:
    import httpx

    from lsml.files.digests import write_digested

    shown = shown_weights(download.name)
    try:
        url = httpx.URL(download.name)
    except httpx.InvalidURL:
        raise FetchError(f"{shown}: is not a URL; check its host and port") from None
    if url.userinfo:
        raise FetchError(f"{shown}: weights are not fetched with a user or token in their URL; take it out")
    folder = _writable_folder()
    final = folder / file_name(download.name)
    part = final.with_name(f"{final.name}.{os.getpid()}.part")

    def check_tls(request: httpx.Request) -> None:
        """Refuse the URL, or one that it is redirected to."""
        asked = request.url
        if asked.scheme != "https" and asked.host not in _HERE:
            raise FetchError(
                f"{shown}: weights are not fetched without TLS from {asked.scheme}://{asked.host}; give a URL that begins "
                "with https:// and is not redirected to http://"
            )

    try:
        with (
            httpx.Client(follow_redirects=True, timeout=30, event_hooks={"request": [check_tls]}) as client,
            client.stream("GET", url) as response,
            part.open("wb") as file,
        ):
            response.raise_for_status()
            write_digested(file, _blocks(response, progress))
        part.replace(final)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(download, f"{url.scheme}://{url.host}", error, None, folder) from error
    except OSError as error:
        raise _not_written(folder, error) from error
    finally:
        part.unlink(missing_ok=True)
    return folder


def _writable_folder() -> Path:
    """Return the folder for downloaded files, made where it is missing. Raises FetchError where it cannot be written."""
    folder = weights_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_written(folder, error) from error
    return folder


def _not_written(folder: Path, error: OSError) -> FetchError:
    return FetchError(f"{folder}: cannot be written: {error.strerror or error}; name another folder in {VARIABLE}")


def _blocks(response: httpx.Response, progress: Progress) -> Iterator[bytes]:
    length = int(response.headers.get("Content-Length") or 0)
    done = 0
    for block in response.iter_bytes(_BLOCK):
        done += len(block)
        progress(min(0.999, done / length) if length else 0.0, f"{done / 1e6:.0f} MB")
        yield block


def _failed(download: NamedWeights, place: str, error: Exception, mirror: str | None, folder: Path) -> FetchError:
    """Return what went wrong, and what to do about it on a machine without network."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        # Its text has the URL, with what is secret in it.
        why = f"{error.response.status_code} {error.response.reason_phrase}"
    else:
        why = (str(error).splitlines() or [""])[0][:200]
    names = f"HTTPS_PROXY, or a mirror in {mirror}," if mirror else "HTTPS_PROXY"
    return FetchError(
        f"{shown_weights(download.name)} could not be downloaded from {place} ({type(error).__name__}: {why}); name a proxy in "
        f"{names} or run `lsml fetch` on a machine with network and copy {folder} and the lock file here"
    )
