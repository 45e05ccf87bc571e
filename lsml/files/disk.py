"""Files and folders that survive a power cut."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk. Raises OSError."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder to sync it
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can use, with its missing parents, and sync them to the disk. Raises OSError."""
    if path.is_dir():
        return
    missing = [path]
    while not missing[-1].parent.is_dir() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for made in missing:
        with suppress(PermissionError):  # a user who may write a folder need not be able to read it
            sync(made.parent)


def command_to_write(path: Path, whole: Path | None = None) -> str | None:
    """Return the command by which root lets this user write a file or folder, or makes the folder if it is missing.

    `whole`: the folder that the command is for, by default the path itself. None where this user may write it, and where
    no such command helps, as on a read-only disk.
    """
    if os.name == "nt":
        return None
    user, group, quoted = os.getuid(), os.getgid(), shlex.quote(str(whole or path))
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"install -d -o {user} -g {group} {quoted}"
    except OSError:
        return None
    # What is in a folder is reached only by those who may search it.
    needed = os.W_OK | os.X_OK if stat.S_ISDIR(status.st_mode) else os.W_OK
    if os.access(path, needed) or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    return f"chmod -R u+rwX {quoted}" if status.st_uid == user else f"chown -R {user}:{group} {quoted}"
