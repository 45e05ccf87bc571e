"""What a data directory needs so that this user can write it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lsml.files.disk import command_to_write

USER = 10001  # the image's
AS_THAT_USER = f"""
import os, sys
from pathlib import Path
from lsml.errors import StoreError
from lsml.store import Store
os.setgid({USER})
os.setuid({USER})
try:
    Store(Path(sys.argv[1])).close()
except StoreError as error:
    print(error)
"""


@pytest.fixture
def folder():
    """A folder of root's that every user can look into, as pytest's own are not."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can become another user")
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def opened(directory: Path) -> str:
    """What the image's user is told that opens a data directory."""
    done = subprocess.run([sys.executable, "-c", AS_THAT_USER, directory], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.rstrip("\n")


def test_a_data_directory_of_another_user_is_refused_with_the_command_that_it_needs(folder):
    assert opened(folder) == (
        f"{folder}: cannot be written by user {USER}; run `chown -R {USER}:{USER} {folder}` as root (of a container's "
        "volume, on its host), or name another with --data-dir"
    )
    os.chown(folder, USER, USER)
    folder.chmod(0o600)  # as `chmod -R 600` leaves it
    assert f"run `chmod -R u+rwX {folder}` as root" in opened(folder)
    folder.chmod(0o700)
    assert opened(folder) == ""


def test_so_are_one_that_is_missing_and_one_with_another_user_s_database(folder):
    assert opened(folder / "data") == (
        f"{folder}/data: cannot make the data directory: Permission denied; run `install -d -o {USER} -g {USER} "
        f"{folder}/data` as root (of a container's volume, on its host), or name another with --data-dir"
    )
    os.chown(folder, USER, USER)
    (folder / "lsml.db").touch(0o600)
    assert f"run `chown -R {USER}:{USER} {folder}` as root" in opened(folder)


def test_what_can_be_written_needs_no_command(tmp_path):
    assert command_to_write(tmp_path) is None
