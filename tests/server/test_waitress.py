"""waitress's inner parts, which lsml builds on and which no promise covers: a release that changes them shows here."""

from __future__ import annotations

import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from waitress import channel, task

from lsml.server import channels

# What lsml overrides of each class, with the parameters that waitress calls it with.
OVERRIDDEN = {
    (task.WSGITask, channels._Task): ("build_response_header", "get_environment", "write"),
    (task.ErrorTask, channels._Refusal): ("execute",),
    (channel.HTTPChannel, channels.Channel): (
        "received", "service", "write_soon", "readable", "writable", "handle_write",
    ),
    (task.ThreadedTaskDispatcher, channels.Dispatcher): ("add_task", "handler_thread"),
}  # fmt: skip
# What it reads and sets of them.
USED = {
    task.Task: ("content_length", "response_headers", "set_close_on_finish", "status", "wrote_header", "channel"),
    channel.HTTPChannel: (
        "_flush_exception", "_flush_some", "close_when_flushed", "last_activity", "request", "requests", "socket",
        "total_outbufs_len", "will_close",
    ),
    task.ThreadedTaskDispatcher: (
        "active_count", "lock", "logger", "queue", "queue_cv", "stop_count", "thread_exit_cv", "threads",
    ),
}  # fmt: skip


def test_the_next_minor_release_is_not_installed_unseen():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [pin] = [one for one in project["dependencies"] if one.startswith("waitress")]
    major, minor = version("waitress").split(".")[:2]
    assert re.fullmatch(rf"waitress>={major}\.{minor}(\.\d+)?,<{major}\.{int(minor) + 1}", pin)


@pytest.mark.parametrize(
    ("theirs", "ours", "name"),
    [(*pair, name) for pair, names in OVERRIDDEN.items() for name in names],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_what_is_overridden_is_called_as_before(theirs, ours, name):
    assert len(inspect.signature(getattr(theirs, name)).parameters) == len(
        inspect.signature(getattr(ours, name)).parameters
    )


@pytest.mark.parametrize("theirs", USED, ids=lambda one: one.__name__)
def test_what_is_read_and_set_is_still_there(theirs):
    source = "".join(inspect.getsource(base) for base in theirs.__mro__[:-1])
    missing = [name for name in USED[theirs] if not hasattr(theirs, name) and f"self.{name} " not in source]
    assert not missing
