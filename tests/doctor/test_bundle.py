"""The file for people who help: everything that they need, and no secret, wherever one was."""

import json
import stat
import zipfile

from lsml.doctor.bundle import write_bundle
from lsml.doctor.findings import failed
from lsml.logs import keep_secret
from lsml.recipe import load_recipe
from lsml.store import RunLine
from tests.conftest import PROJECT_KEY, Backend, tickets, write_recipe

SECRETS = """
server: {username: studio, password: pw1, users: {ana: {password: "hunter2-of-ana"}, bob: {password: "b,}"}, cy: {password: of-cy#open}}}
# An earlier one: {authorization: Bearer opal}
label_studio: {url: https://studio.example.com, api_key: 0123456789abcdef0123456789abcdef01234567}
storage: {queue: "redis://:queue-sesame@redis.example.com/0"}
notify: {url: "${HOOK}"}
"""


def test_a_bundle_has_what_helps_and_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK", "https://hooks.example.com/very-secret-hook")
    monkeypatch.setenv("LSML_PASSWORD_OF_BOB", "hunter2-of-bob")
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    backend.annotate(tickets(3))
    run = backend.train()["job"]
    backend.store.projects.touch(PROJECT_KEY, hostname="https://studio.example.com", token="told-by-setup-0123")
    backend.store.run_lines.add(run, [RunLine(1.0, "WARNING", "asked with told-by-setup-0123")])
    backend.store.close()
    recipe = load_recipe(write_recipe(tmp_path, SECRETS))
    keep_secret(recipe.secrets())  # as every command does
    target = tmp_path / "bundle.zip"
    write_bundle(recipe, tmp_path / "data", [failed("token", "told-by-setup-0123 is refused", "make another")], target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(parts) == {"findings.json", "recipe.yaml", "machine.json", "projects.json", f"log-of-{PROJECT_KEY}.txt"}
    everything = "\n".join(parts.values())
    for secret in (
        "pw1",
        "hunter2",
        ",}",
        "#open",
        "opal",
        "0123456789abcdef",
        "queue-sesame",
        "very-secret-hook",
        "told-by-setup",
    ):
        assert secret not in everything, secret
    assert "${HOOK}" in parts["recipe.yaml"]
    assert "LSML_PASSWORD_OF_BOB" in json.loads(parts["machine.json"])["environment"]
    (project,) = json.loads(parts["projects.json"])
    assert (project["key"], project["usable"]) == (PROJECT_KEY, 3)
    assert project["runs"][0]["message"].startswith("v1: promoted")
    assert "asked with [secret]" in parts[f"log-of-{PROJECT_KEY}.txt"]
    for text, _ in tickets(3):
        assert text not in everything, "no task"


def test_a_recipe_without_data_has_a_bundle_too(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path))
    write_bundle(recipe, tmp_path / "data", [], tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert archive.namelist() == ["findings.json", "recipe.yaml", "machine.json"]
