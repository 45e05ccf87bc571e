"""docs/licences.md lists what the default image holds, and nothing there has a licence that asks something of lsml's users."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError

import pytest

from tests.support.licences import licence_of, listed, packages

PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "PSF-2.0", "ZPL-2.1", "Zlib",
    "MPL-2.0",  # certifi's list of authorities; asks something only of those who change its files
}  # fmt: skip


def test_the_page_lists_the_packages_of_the_image():
    assert [name for name, _ in listed()] == packages(), "run `python -m tests.support.licences`"


@pytest.mark.parametrize(("name", "licence"), list(listed()))
def test_every_licence_is_permissive(name, licence):
    assert set(re.split(r" AND | OR ", licence)) <= PERMISSIVE
    try:
        assert "GPL" not in licence_of(name)
    except PackageNotFoundError:
        pass  # newer releases of others no longer need it
