"""A power cut at any step: what was acknowledged is there, what is named is whole. Real processes, and what they synced."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from lsml.store import Store
from tests.conftest import PROJECT_KEY
from tests.support.backend import until
from tests.support.disk import Disk
from tests.support.processes import Processes, running

STEPS = (
    "webhook-stored@after@1", "annotation-stored@after@1", "run-requested@after@1", "run-claimed@after@1", "snapshot-taken@after@1",
    "model-saved@after@1", "file-synced@after@2", "sealed@after@1", "folder-renamed@after@1", "published@before@1",
    "pointer-moved@after@1", "published@after@1", "run-ended@after@1", "folder-removed@after@1",
)  # fmt: skip


def one_cycle(processes: Processes, fault: str | None, draw: random.Random | None, after_s: float = 0.0) -> None:
    """Annotate and train until the fault strikes, or for so long; cut the power; hold what is left to the invariants."""
    struck = len(processes.struck())
    if fault is not None:
        processes.arm(fault)
    processes.annotate(2)
    processes.start_training()
    if fault is not None:
        until(f"{fault} strikes", lambda: len(processes.struck()) > struck, 60)
    time.sleep(after_s)
    processes.cut_power(draw)
    processes.disarm()
    processes.start()
    processes.settle()
    processes.check()


def test_the_disk_forgets_what_was_not_synced(tmp_path):
    disk = Disk(tmp_path)
    script = """
import os, sys
from pathlib import Path
root = Path(sys.argv[1])
(root / "synced").write_text("new"), (root / "not synced").write_text("new"), (root / "no entry").mkdir()
for path in (root / "synced", root):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
(root / "later").write_text("new")
(root / "synced").write_text("newer")
"""
    subprocess.run([sys.executable, "-c", script, disk.folder], check=True, env=disk.environment)
    disk.lose_power()
    assert {path.name: path.read_text() for path in disk.folder.iterdir() if path.is_file()} == {
        "synced": "new", "not synced": "",
    }  # fmt: skip


def test_a_fresh_data_directory_survives_a_power_cut(tmp_path):
    disk = Disk(tmp_path)
    script = """
import sys
from pathlib import Path
from lsml.store import Store
Store(Path(sys.argv[1])).projects.touch("1.1", title="kept")
import os; os._exit(0)
"""
    data = disk.folder / "some" / "data"
    subprocess.run([sys.executable, "-c", script, data], check=True, env=disk.environment)
    disk.lose_power()
    store = Store(data)
    assert [row.title for row in store.projects.all()] == ["kept"]
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("survives", ["nothing", pytest.param("some", marks=pytest.mark.slow)])
def test_after_a_power_cut_at_the_first_version_nothing_acknowledged_is_lost_and_what_is_served_is_whole(
    tmp_path, survives
):
    draw = random.Random(7) if survives == "some" else None
    with running(tmp_path, disk=Disk(tmp_path)) as processes:
        one_cycle(processes, "published@after@1", draw)
        one_cycle(processes, "folder-renamed@after@1", draw)
        assert processes.store.versions.promoted(PROJECT_KEY) == 2


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_sixty_power_cuts_at_every_step_and_at_random_moments(tmp_path):
    draw = random.Random(20261125)
    cuts = 0
    with running(tmp_path, disk=Disk(tmp_path)) as processes:
        for fault in STEPS:
            for survives in (None, draw):
                one_cycle(processes, fault, survives)
                cuts += 1
        while cuts < 60:
            one_cycle(processes, None, draw.choice([None, draw]), draw.uniform(0, 2.5))
            cuts += 1
        print(
            f"\n{cuts} power cuts: {len(processes.acknowledged)} annotations, v{processes.store.versions.promoted(PROJECT_KEY)}"
        )
