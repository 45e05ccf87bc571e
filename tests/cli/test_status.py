"""`lsml status`: how each project does, and whether more annotations help."""

import json
import re
import signal
import subprocess
import sys

from click.testing import CliRunner

from lsml.cli import main
from tests.conftest import PROJECT_KEY, export, tickets, write_recipe


def status(server, *options):
    told = ["status", str(server.recipe_path), "--data-dir", str(server.store.directory), *options]
    return CliRunner().invoke(main, told)


def test_it_says_what_is_served_what_is_awaited_and_what_more_brings(backend):
    server = backend("training: {holdout: 0.5, promote: always}\n")
    for size in (80, 120):
        server.annotate(tickets(size))
        server.train()
    result = status(server)
    assert result.exit_code == 0, result.output
    first, serves, annotations, curve, outlook = result.stdout.splitlines()
    assert first == f"{PROJECT_KEY} (triage)"
    assert re.fullmatch(r"  serves triage-v2-[0-9a-f.]+\S*: topic macro_f1 \d\.\d{3} on \d+ held-out examples", serves)
    assert annotations == "  120 annotations, 12 more until the next training"
    assert re.fullmatch(r"  metric by annotated tasks: 80: \d\.\d{3}, 120: \d\.\d{3}", curve)
    assert outlook == (
        "  no estimate yet of the gain from more annotations: it needs 4 versions of different sizes, and there are 2"
    )
    [found] = json.loads(status(server, "--json", "--project", "triage").stdout)
    assert (found["promoted"], found["annotations"], found["changes_needed"]) == (2, 120, 12)
    assert [point["annotations"] for point in found["curve"]] == [80, 120]
    assert found["outlook"]["prospect"] == "few versions"

    told = server.client.get(f"/api/projects/{PROJECT_KEY}").json
    assert told["outlook"]["curve"] == found["curve"]
    assert told["outlook"]["sentence"] == found["outlook"]["sentence"]
    assert told["model_version"] == found["model_version"]
    assert "No estimate yet of the gain from more annotations" in server.client.get(f"/projects/{PROJECT_KEY}").text


def test_a_metric_of_a_few_examples_comes_with_a_caution(backend):
    server = backend()
    server.annotate(tickets(12))
    server.train()
    serves = status(server).stdout.splitlines()[1]
    assert re.search(r" on \d held-out examples?, too few to rely on$", serves)


def test_what_was_learnt_from_files_waits_for_no_annotation(tmp_path):
    (tmp_path / "export.json").write_text(json.dumps(export(tickets(60))))
    recipe = write_recipe(tmp_path)
    assert CliRunner().invoke(main, ["train", str(recipe), str(tmp_path / "export.json")]).exit_code == 0
    lines = CliRunner().invoke(main, ["status", str(recipe)]).stdout.splitlines()
    assert [line.split(":")[0] for line in lines[2:]] == [
        "  metric by annotated tasks", "  no estimate yet of the gain from more annotations",
    ]  # fmt: skip


def test_a_training_at_work_is_told_with_the_time_that_is_left(backend):
    server = backend("training: {every: 1000}\n")
    server.annotate(tickets(20))
    run = server.store.claims.claim(server.store.runs.request(PROJECT_KEY, "asked for").id)
    server.store.claims.report(run.id, run.attempt, 0.5, "epoch 2 of 4")
    server.store._database.execute_sql("UPDATE run SET started_at = started_at - 300", ())
    assert "training: epoch 2 of 4 (50%, about 5 min left)" in status(server).stdout


def test_before_anything_happened_it_says_what_to_do(backend):
    server = backend()
    assert status(server).stdout.startswith("no project yet: connect one with `lsml connect`")
    server.annotate(tickets(5))
    assert status(server).stdout.splitlines()[1:3] == [
        "  has no trained version yet",
        "  5 annotations, 5 more until the next training",
    ]
    assert "no project nowhere" in status(server, "--project", "nowhere").stderr


def test_what_is_at_work_and_what_failed_is_told(backend):
    server = backend()
    server.annotate(tickets(1))
    server.train()
    assert any(
        line.startswith("  the last training failed: not enough data") for line in status(server).stdout.splitlines()
    )
    [found] = json.loads(status(server, "--json").stdout)
    assert found["work"][0].startswith("the last training failed: ")


def test_watched_it_is_told_again_until_it_is_interrupted(tmp_path):
    recipe = write_recipe(tmp_path)
    command = [sys.executable, "-m", "lsml", "status", str(recipe), "--watch"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        told = [watching.stdout.readline() for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=60)
    assert told == ["no project yet: connect one with `lsml connect`, or train on an export with `lsml train`\n"] * 2
    assert (watching.returncode, errors) == (0, "")
