"""What can be said of the Dockerfile without building it; .ci/check-dockerfile builds and runs it."""

import json
import re
import tomllib
from pathlib import Path

import click
import pytest

from lsml.adapters.parts.weight_files import VARIABLE
from lsml.cli import run

REPOSITORY = Path(__file__).parent.parent


def instructions(text: str) -> list[tuple[str, str]]:
    """(word, rest) of each instruction, with comments gone and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word.upper(), rest.strip())
        for word, _, rest in (line.strip().partition(" ") for line in joined.splitlines())
        if word
    ]


INSTRUCTIONS = instructions((REPOSITORY / "Dockerfile").read_text())
LAST_STAGE = INSTRUCTIONS[max(place for place, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]


def last(word: str) -> str:
    """What the image itself says of `word`."""
    return [rest for found, rest in LAST_STAGE if found == word][-1]


def environment() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(rest for word, rest in LAST_STAGE if word == "ENV")))


def copied() -> list[str]:
    """The sources of every COPY from the build context."""
    return [
        source
        for word, rest in INSTRUCTIONS
        if word in ("COPY", "ADD") and "--from=" not in rest
        for source in [part for part in rest.split() if not part.startswith("--")][:-1]
    ]


def test_the_base_can_be_chosen_for_every_stage():
    assert INSTRUCTIONS[0] == ("ARG", "BASE=python:3.12-slim")
    assert {rest.split()[0] for word, rest in INSTRUCTIONS if word == "FROM"} == {"${BASE}"}


def test_it_runs_as_a_user_with_a_number_and_without_rights():
    assert last("USER") == "10001:10001"
    made = next(
        place for place, (word, rest) in enumerate(LAST_STAGE) if word == "RUN" and "useradd --uid 10001" in rest
    )
    assert made < LAST_STAGE.index(("USER", "10001:10001"))


def test_the_volume_belongs_to_that_user_before_it_becomes_one():
    """What a later instruction changes in a volume is lost."""
    owned = next(
        place
        for place, (word, rest) in enumerate(LAST_STAGE)
        if word == "RUN" and "-o 10001 -g 10001 -m 0750 /data" in rest
    )
    assert owned < LAST_STAGE.index(("VOLUME", "/data"))
    assert environment()["LSML_DATA_DIR"] == "/data"


def test_the_entry_point_is_lsml_run_without_a_shell():
    """A shell in between would keep SIGTERM to itself."""
    assert json.loads(last("ENTRYPOINT")) == ["lsml", "run"]
    assert last("STOPSIGNAL") == "SIGTERM"


def test_without_a_recipe_it_serves_one_that_is_in_the_image():
    (recipe,) = json.loads(last("CMD"))
    assert ("COPY", "recipes /recipes") in LAST_STAGE
    assert recipe.startswith("/recipes/")
    assert (REPOSITORY / recipe.removeprefix("/")).is_file()


def test_the_environment_of_the_image_names_real_options():
    """Host and data directory hold for a recipe that the user names, too."""
    named = {option.envvar for option in run.command.params if isinstance(option, click.Option) and option.envvar}
    assert {name for name in environment() if name.startswith("LSML_")} <= named
    assert environment()["LSML_HOST"] == "0.0.0.0"


def test_what_the_page_on_deployment_passes_to_docker_is_there():
    text = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--build-arg (\w+)=", text))
    assert named and named <= {rest.partition("=")[0] for word, rest in INSTRUCTIONS if word == "ARG"}
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for group in re.findall(r"--build-arg EXTRAS=(\S+)", text) for extra in group.split(",")} <= set(
        extras
    )
    assert set(re.findall(r"-e (\w+)=", text)) == {VARIABLE, "PYTHONPATH"}


def test_the_health_check_needs_nothing_but_python():
    options, _, command = last("HEALTHCHECK").partition(" CMD ")
    program, flag, source = json.loads(command)
    assert (program, flag) == ("python3", "-c")
    compile(source, "HEALTHCHECK", "exec")
    assert "'/health'" in source
    assert "--timeout=5s" in options


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_tells_by_its_exit_code(status, code, monkeypatch):
    import subprocess
    import sys
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    source = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])[2]
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("LSML_PORT", str(server.server_port))
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert subprocess.run([sys.executable, "-c", source]).returncode == code
        server.shutdown()


def test_the_port_is_the_one_it_exposes():
    assert last("EXPOSE") == environment()["LSML_PORT"] == "9090"


def test_every_package_is_installed_by_the_hashes_of_the_lock():
    """But for PyTorch's own build without CUDA, which one has to ask for."""
    installs = [one for _, rest in INSTRUCTIONS for one in re.findall(r"pip install [^&;]+", rest)]
    unlocked = [one for one in installs if "--require-hashes" not in one]
    assert len(installs) == 5
    assert [flag for one in unlocked for flag in ("--torch-backend cpu", "--no-index wheel/*.whl") if flag in one] == [
        "--torch-backend cpu",
        "--no-index wheel/*.whl",
    ]
    assert "UV_FROZEN=1" in next(rest for word, rest in INSTRUCTIONS if word == "ENV")
    assert ("ARG", "TORCH=cuda") in INSTRUCTIONS
    assert not [rest for _, rest in INSTRUCTIONS if re.search(r"apt-get|apk |dnf ", rest)]


def test_no_shell_script_takes_part():
    assert not [source for source in copied() if source.endswith(".sh")]
    assert not [rest for word, rest in INSTRUCTIONS if word == "RUN" and re.search(r"\.sh\b|curl|wget", rest)]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_reaches_the_builder(source):
    assert (REPOSITORY / source).exists()
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert f"!{source}" in ignored


def test_what_the_build_of_the_package_needs_is_copied():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert needed | set(wheel["packages"]) | set(wheel["force-include"]) <= set(copied())
