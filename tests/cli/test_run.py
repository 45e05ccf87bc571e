"""`lsml run`: what it says, how it stops, what it survives, and what it never shows."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from lsml.studio.addresses import own_address
from tests.conftest import PROJECT, event
from tests.support.backend import BackendFailed, RunningBackend, until
from tests.support.commands import lsml, refused, said, write_recipe
from tests.support.label_studio import free_port
from tests.support.terminal import Terminal, at_a_terminal

SECRETS = {"THE_PASSWORD": "open-sesame/42", "THE_PATH": "hush-hush-path", "THE_KEY": "token-0123456789abcdef"}
SECRET_RECIPE = """server: {username: ann, password: "${THE_PASSWORD}", secret_path: "/${THE_PATH}/"}
label_studio: {url: "http://127.0.0.1:1", api_key: "${THE_KEY}"}
"""


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


def test_run_says_the_address_what_is_bound_where_the_data_is_and_how_to_connect(recipe, tmp_path):
    with RunningBackend(recipe, tmp_path / "data") as backend:
        until("it greets", lambda: "Connect Model" in backend.output)
        assert backend.get("/health")["status"] == "UP"
        greeting = [line for line in backend.output.splitlines() if not re.match(r"\d\d:\d\d:\d\d ", line)]
    assert greeting[:5] == [
        f"lsml: triage is on {backend.address}",
        "  bound: Choices#topic -> text-classifier",
        f"  data: {tmp_path / 'data'}",
        "  connect Label Studio: `lsml connect`, or in the project, Settings > Model > Connect Model, and paste",
        f"    {backend.address}",
    ]
    assert greeting[5].startswith("  no token of Label Studio is set, so lsml can publish predictions only if")
    assert "LABEL_STUDIO_API_KEY (Account & Settings > Personal Access Token creates a token)" in greeting[5]


def test_with_a_token_or_where_nothing_is_to_be_published_no_token_is_asked_for(tmp_path):
    for number, text in enumerate(
        ("publish: false\n", 'label_studio: {url: "http://127.0.0.1:1", api_key: "${THE_KEY}"}\n')
    ):
        recipe = write_recipe(tmp_path, text)
        with RunningBackend(recipe, tmp_path / f"data-{number}", environment=SECRETS) as backend:
            until("it greets", lambda backend=backend: "Connect Model" in backend.output)
        assert "no token" not in backend.output


def test_with_a_smart_tool_it_names_the_switch_that_label_studio_needs(tmp_path):
    config = '<View><Text name="text" value="$text"/><Labels name="who" toName="text" smart="true"><Label value="A"/></Labels></View>'
    recipe = write_recipe(tmp_path, "tags: {Labels: text-matcher}\n", config=config)
    asking = (
        "Labels#who: the model answers each region at once if, in Label Studio, Interactive preannotations of the "
        "model are on (Settings > Model > Edit), and the annotator has switched on Auto-Annotation"
    )
    with RunningBackend(recipe, tmp_path / "data") as backend:
        until("it greets", lambda: "Interactive preannotations" in backend.output)
    assert f"\n  {asking}\n" in backend.output
    assert asking in said(lsml("explain", recipe.name, cwd=tmp_path)).splitlines()


def test_where_others_reach_it_unguarded_it_warns_in_one_line(recipe, tmp_path):
    with RunningBackend(recipe, tmp_path / "data", arguments=["--host", "0.0.0.0"]) as backend:
        until("it warns", lambda: "warning: everybody who can reach 0.0.0.0 can" in backend.output)
        elsewhere = f"http://{own_address()}:{backend.port}"
        assert httpx.get(f"{elsewhere}/health", trust_env=False).json()["status"] == "UP"
    assert backend.output.count("warning: everybody who can reach") == 1
    assert f"    or, if Label Studio runs elsewhere or in a container, {elsewhere}\n" in backend.output


def test_without_labeling_config_it_says_what_it_will_bind(tmp_path):
    with RunningBackend(write_recipe(tmp_path, config=None), tmp_path / "data") as backend:
        until("it greets", lambda: "Connect Model" in backend.output)
    assert "  binds when Label Studio sends its labeling config: Choices -> text-classifier\n" in backend.output


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_stops_it_with_exit_code_0_and_leaves_no_process(recipe, tmp_path, number):
    backend = RunningBackend(recipe, tmp_path / "data").start()
    until("both children run", lambda: len(backend.family()) >= 3)
    assert backend.stop(number) == 0
    assert backend.output.endswith("lsml: stopped\n")
    assert "Traceback" not in backend.output
    assert "starting it again" not in backend.output


def test_a_port_in_use_is_one_sentence(recipe, tmp_path):
    with RunningBackend(recipe, tmp_path / "data") as backend:
        for verb in ("run", "serve"):
            done = lsml(verb, recipe.name, "--port", backend.port, "--data-dir", "other", cwd=tmp_path)
            assert refused(done, 1) == (
                f"port {backend.port} on 127.0.0.1 is in use; stop the program that uses it, or choose another with "
                "--port"
            )


def test_a_second_run_on_the_same_data_is_one_sentence(recipe, tmp_path):
    with RunningBackend(recipe, tmp_path / "data"):
        done = lsml("run", recipe.name, "--port", free_port(), "--data-dir", "data", cwd=tmp_path)
        assert refused(done, 1) == (
            "data: another `lsml run` uses this data directory; stop it, or give another directory with --data-dir"
        )


def test_a_host_that_is_not_of_this_machine_is_one_sentence(recipe, tmp_path):
    text = refused(lsml("run", recipe.name, "--host", "203.0.113.7", "--port", free_port(), cwd=tmp_path), 1)
    assert text.startswith("cannot listen on 203.0.113.7 port ") and "\n" not in text


def test_a_wrong_recipe_ends_every_verb_that_serves_with_its_lines(tmp_path):
    write_recipe(tmp_path, "training: {holdout: 2}\nscore: sure\n")
    for verb in ("run", "serve", "work"):
        assert refused(lsml(verb, "triage.yaml", cwd=tmp_path)) == (
            "triage.yaml:12:12: training.holdout: expected a share between 0 and 0.5, got 2\n"
            "triage.yaml:13:1: score: expected one of confidence, margin, entropy, got `sure`"
        )
    assert not (tmp_path / ".lsml").exists()


def test_port_0_takes_a_free_one_and_says_which(recipe, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "lsml", "run", str(recipe), "--port", "0", "--data-dir", str(tmp_path / "data")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert re.fullmatch(r"lsml: triage is on http://127\.0\.0\.1:[1-9]\d+\n", process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def command_lines(backend: RunningBackend) -> list[str]:
    lines = []
    for process in backend.family():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            lines.append(" ".join(process.cmdline()))
    return lines


def test_secrets_are_in_no_output_and_no_command_line(tmp_path):
    path = write_recipe(tmp_path, SECRET_RECIPE)
    backend = RunningBackend(
        path, tmp_path / "data", environment=SECRETS, prefix=f"/{SECRETS['THE_PATH']}",
        auth=("ann", SECRETS["THE_PASSWORD"]), arguments=["--debug"],
    )  # fmt: skip
    with backend:
        until("both children run", lambda: len(backend.family()) >= 3)
        backend.post("/predict", {"tasks": [{"data": {"text": "refund"}}]})
        backend.client.get(f"/{SECRETS['THE_PATH']}/api/projects", auth=("ann", "wrong-password"))
        backend.client.get(f"/{SECRETS['THE_PATH']}/no/such/page")
        seen = command_lines(backend)
    assert len(seen) >= 3
    for secret in SECRETS.values():
        assert not [line for line in seen if secret in line]
        assert secret not in backend.output
    assert f"{backend.address}/[server.secret_path]" in backend.output


@at_a_terminal
def test_a_person_at_a_terminal_is_shown_the_secret_path_to_paste_and_never_the_password(tmp_path):
    arguments = ("run", write_recipe(tmp_path, SECRET_RECIPE), "--port", free_port(), "--data-dir", "data")
    with Terminal(*arguments, cwd=tmp_path, environment=SECRETS) as terminal:
        terminal.until("Basic authentication")
        shown = terminal.end()
    assert f"/{SECRETS['THE_PATH']}  (username ann" in shown
    assert SECRETS["THE_PASSWORD"] not in shown and SECRETS["THE_KEY"] not in shown


@pytest.mark.parametrize("verb", ["serve", "work"])
def test_a_child_that_is_killed_comes_back(recipe, tmp_path, verb):
    with RunningBackend(recipe, tmp_path / "data") as backend:
        first = until(f"`{verb}` runs", lambda: running(backend, verb))
        first.kill()

        def another():
            found = running(backend, verb)
            return found if found and found.pid != first.pid else None

        until(f"another `{verb}` runs", another)
        name = {"serve": "server", "work": "worker"}[verb]
        until("it says so", lambda: f"lsml: the {name} ended (killed by SIGKILL); starting it again" in backend.output)
        until("it is healthy", lambda: healthy(backend))


@pytest.mark.slow
def test_a_server_that_is_killed_again_and_again_comes_back_each_time(recipe, tmp_path):
    with RunningBackend(recipe, tmp_path / "data") as backend:
        for times in range(1, 6):
            until("it is healthy", lambda: healthy(backend))
            until("`serve` runs", lambda: running(backend, "serve")).kill()
            said = "lsml: the server ended (killed by SIGKILL); starting it again"
            until("it says so", lambda times=times, said=said: backend.output.count(said) == times)
        until("it is healthy", lambda: healthy(backend))


@pytest.mark.slow
def test_it_gives_up_with_an_exit_code_and_the_reason_when_a_child_cannot_live(recipe, tmp_path):
    backend = RunningBackend(recipe, tmp_path / "data").start()
    try:
        until("`serve` runs", lambda: running(backend, "serve")).kill()
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            until("its port is taken", lambda: bound(thief, backend.port))
            thief.listen()
            supervisor = backend.family()[0]
            assert supervisor.wait(60) == 1
    finally:
        backend.kill()
    assert f"port {backend.port} on 127.0.0.1 is in use" in backend.output
    assert "lsml: the server ended again and again (exit code 1); giving up\n" in backend.output


def running(backend: RunningBackend, verb: str) -> psutil.Process | None:
    try:
        return backend.child(verb)
    except BackendFailed:
        return None


def bound(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def healthy(backend: RunningBackend) -> bool:
    try:
        return backend.client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_the_children_end_when_the_supervisor_is_killed(recipe, tmp_path):
    backend = RunningBackend(recipe, tmp_path / "data").start()
    supervisor, *children = until("both children run", lambda: (f := backend.family()) and len(f) >= 3 and f)
    supervisor.kill()
    left = psutil.wait_procs(children, timeout=30)[1]
    for process in left:
        process.kill()
    backend.kill()
    assert not left
    assert backend.start().stop() == 0, "the data directory is free again"


def test_serve_and_work_alone_stop_with_exit_code_0(recipe, tmp_path):
    for verb, ready in (("serve", "listening on"), ("work", "ready to train")):
        arguments = ["--port", str(free_port())] if verb == "serve" else []
        log = tmp_path / f"{verb}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "lsml", verb, str(recipe), "--data-dir", str(tmp_path / "data"), *arguments],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        until(f"`{verb}` is ready", lambda log=log, ready=ready: ready in log.read_text())
        time.sleep(0.2)  # `ready to train` is said just before the worker listens to signals
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()
        assert "Traceback" not in log.read_text()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_recipe_that_is_being_edited_fails_no_restart_and_no_run(recipe, tmp_path):
    with RunningBackend(recipe, tmp_path / "data") as backend:
        for id, (text, label) in enumerate([("refund", "Billing"), ("crash", "Bug"), ("why", "Question")] * 4):
            backend.post("/webhook", event(id, f"{text} {id}", label))
        recipe.write_text("lsml: 1\nname: [half", encoding="utf-8")
        before = [backend.child("serve"), backend.child("work")]
        for child in before:
            child.kill()
        until("both are back", lambda: all(backend.child(one) not in (None, *before) for one in ("serve", "work")))
        until("it answers", lambda: _is_up(backend))
        job = backend.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})["job"]
        until("it is trained", lambda: backend.post("/job_status", {"job": job})["job_status"] == "finished")
    held = tmp_path / "data" / "recipe.yaml"
    assert held.stat().st_mode & 0o777 == 0o600


def _is_up(backend: RunningBackend) -> bool:
    try:
        return backend.get("/health")["status"] == "UP"
    except httpx.HTTPError:
        return False
