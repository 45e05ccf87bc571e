"""A process that crashes leaves no secret behind."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.conftest import write_recipe

resource = pytest.importorskip("resource", reason="Windows has no core files")
CRASH = """
import os, resource, sys
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
from lsml.cli import main
main(["validate", sys.argv[1]], standalone_mode=False)
print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.abort()
"""


def test_a_command_leaves_no_core_file(tmp_path):
    recipe = write_recipe(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    done = subprocess.run([sys.executable, "-c", CRASH, recipe], cwd=tmp_path, capture_output=True, text=True)
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert done.returncode == -signal.SIGABRT, done.stderr
    assert done.stdout.endswith(f"({0 if most == 0 else 1}, {most})\n")
    assert {path.name for path in tmp_path.iterdir()} == before
