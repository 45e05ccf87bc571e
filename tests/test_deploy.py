"""What can be said of `deploy/` without starting it; tests/durability/test_shared_engines.py starts the same parts as processes."""

import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from lsml.cli import VERBS
from lsml.recipe import load_recipe

REPOSITORY = Path(__file__).parent.parent
DEPLOY = REPOSITORY / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
EXAMPLE = re.findall(r"^([A-Z0-9_]+)=", (DEPLOY / "example.env").read_text(), re.MULTILINE)
PASSWORDS = ("LSML_PASSWORD", "LSML_DATABASE_PASSWORD", "LSML_QUEUE_PASSWORD", "LSML_S3_PASSWORD")


def test_every_variable_is_in_the_example_and_no_password_has_a_value():
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text))
    assert asked - {"LSML_TAG"} == set(EXAMPLE)
    filled = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    for name in PASSWORDS:
        assert filled[name] == ""
        assert f"${{{name}:?" in text, "compose refuses to start without it"


def test_two_servers_and_two_workers_run_commands_that_exist():
    for name in ("server", "worker"):
        program, verb = SERVICES[name]["entrypoint"]
        assert program == "lsml"
        assert verb in VERBS
        assert SERVICES[name]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", ["server", "worker"])
def test_the_recipe_and_its_override_load_with_the_environment_of_the_service(name, monkeypatch):
    service = SERVICES[name]
    environment = {
        key: re.sub(r"\$\{([A-Z0-9_]+).*\}", r"a-\1", value) for key, value in service["environment"].items()
    }
    assert service["volumes"][1] == f"./production.yaml:{environment['LSML_OVERRIDE']}:ro"
    environment |= {"LSML_OVERRIDE": str(DEPLOY / "production.yaml"), "LABEL_STUDIO_URL": ""}
    recipe = load_recipe(REPOSITORY / "recipes" / "sentiment.yaml", environment)
    assert recipe.warnings == ()
    assert recipe.server.password == "a-LSML_PASSWORD"
    assert set(recipe.storage.passwords) == {"a-LSML_DATABASE_PASSWORD", "a-LSML_QUEUE_PASSWORD"}
    for address in (recipe.storage.database, recipe.storage.queue, environment["AWS_ENDPOINT_URL"]):
        assert urlsplit(address).hostname in SERVICES
    assert SERVICES["bucket"]["command"][-1] == f"s3/{urlsplit(recipe.storage.artifacts).netloc}"


@pytest.mark.parametrize("name", ["server", "worker"])
def test_lsml_has_no_rights_and_writes_only_its_data(name):
    service = SERVICES[name]
    assert service["read_only"] is True and service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]


def test_no_log_grows_for_ever():
    for name, service in SERVICES.items():
        assert service["logging"] == {"driver": "local"}, name


def test_the_image_has_the_libraries_of_the_engines():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = SERVICES["server"]["build"]["args"]["EXTRAS"].partition("$")[0].split(",")
    assert asked == ["postgres", "redis", "s3"]
    assert set(asked) <= set(extras)


def test_only_the_proxy_can_be_reached_and_it_finds_the_servers():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert "dynamic a server 9090" in (DEPLOY / "Caddyfile").read_text()
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith("${") or (DEPLOY / source).is_file(), source
