"""The cache of fetched files: one download for everybody, a budget, and nothing taken from who uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lsml.errors import FetchError
from lsml.media import Fetcher, MediaCache, Sources
from lsml.recipe import Media
from tests.media.test_fetching import drawn
from tests.support.web import Answer, Asked, Web

CONTENT = {f"/{number}": drawn((40 + number, 30)) for number in range(24)}
LARGEST = max(map(len, CONTENT.values()))


def serve(asked: Asked) -> Answer:
    return Answer(200, CONTENT[asked.path])


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(serve) as running:
        yield running


def fetcher(directory: Path, budget: int = 10**9) -> Fetcher:
    cache = MediaCache(directory, budget)
    limits = Media(private=True)
    return Fetcher(limits, lambda: cache, Sources(limits))


def taken(directory: Path) -> int:
    return sum(path.stat().st_size for path in (directory / "files").rglob("*") if path.is_file())


# What another process runs: the cache, an address, and what to do there.
OTHER = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from lsml.media import Fetcher, MediaCache, Sources
from lsml.recipe import Media
from PIL import Image
import lsml.media.eviction
lsml.media.eviction._PAUSE_S = 0.0
cache = MediaCache(Path(sys.argv[1]), int(sys.argv[2]))
limits = Media(private=True)
files = Fetcher(limits, lambda: cache, Sources(limits))
url, task = sys.argv[3], sys.argv[4]
if task == "one":
    with files.hold() as held, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: files.image(url, {}), range(32)))
    print(len({path for path, _ in found}), flush=True)
if task == "hold":
    with files.hold() as held:
        print(held.image(url, {}).path, flush=True)
        time.sleep(60)
if task == "read":
    def read(number):
        for turn in range(40):
            with files.hold() as held:
                path, size = held.image(f"{url}/{(number * 7 + turn * 5) % 24}", {})
                time.sleep(0.02)
                with Image.open(path) as image:
                    image.load()
                    assert image.size == size
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(read, range(3)))
    print("read", flush=True)
"""


def other(directory: Path, budget: int, url: str, task: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OTHER, str(directory), str(budget), url, task]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def test_two_processes_with_many_threads_download_a_file_once(tmp_path: Path) -> None:
    def slowly(asked: Asked) -> Answer:
        return Answer(200, CONTENT[asked.path], times=1, pause_s=1.0)

    with Web(slowly) as slow:
        processes = [other(tmp_path, 10**9, f"{slow.url}/1", "one") for _ in range(2)]
        assert [ended(process) for process in processes] == ["1", "1"]
        assert len(slow.asked) == 1


def test_threads_that_ask_while_it_comes_see_it_whole(tmp_path: Path) -> None:
    content = CONTENT["/3"]

    def in_pieces(_: Asked) -> Answer:
        return Answer(
            200, content[:1], {"Content-Length": str(len(content))}, pieces=[content[1:9], content[9:]], pause_s=0.1
        )

    with Web(in_pieces) as slow, ThreadPoolExecutor(8) as pool:
        files = fetcher(tmp_path)
        paths = list(pool.map(lambda _: files.file(f"{slow.url}/3", {}), range(8)))
        assert {path.read_bytes() for path in paths} == {content}
        assert len(slow.asked) == 1


def test_a_failure_is_told_to_all_who_wait_for_it(tmp_path: Path) -> None:
    with Web(lambda _: Answer(404, pause_s=0.2)) as gone, ThreadPoolExecutor(8) as pool:
        files = fetcher(tmp_path)

        def ask(_: int) -> str:
            with pytest.raises(FetchError) as raised:
                files.file(f"{gone.url}/x", {})
            return str(raised.value)

        assert set(pool.map(ask, range(8))) == {f"{gone.url}/x: answered 404; the file is gone; correct the task"}


def test_the_least_recently_used_go_first(tmp_path: Path, web: Web) -> None:
    files = fetcher(tmp_path, budget=6 * LARGEST)
    for number in range(20):
        with files.hold() as held:
            held.image(f"{web.url}/0", {})
            held.image(f"{web.url}/{number}", {})
        assert taken(tmp_path) <= 6 * LARGEST
    asked = [one.path for one in web.asked]
    assert asked.count("/0") == 1, "used in every request, so never the one to go"
    with files.hold() as held:
        held.image(f"{web.url}/19", {})
        held.image(f"{web.url}/1", {})
    assert [one.path for one in web.asked][len(asked) :] == ["/1"]


def test_what_is_held_stays_however_small_the_budget(tmp_path: Path, web: Web) -> None:
    files = fetcher(tmp_path, budget=1000)
    with files.hold() as held:
        paths = [held.image(f"{web.url}/{number}", {}).path for number in range(24)]
        with files.hold() as another:
            another.image(f"{web.url}/0", {})
        assert [path.read_bytes() for path in paths] == list(CONTENT.values())
        assert [held.image(f"{web.url}/{number}", {}).path for number in range(24)] == paths
        assert len(web.asked) == 24
    with files.hold() as held:
        held.image(f"{web.url}/0", {})
    assert taken(tmp_path) <= 1000


def test_another_process_takes_nothing_from_who_holds_it_and_a_dead_one_holds_nothing(tmp_path: Path, web: Web) -> None:
    holder = other(tmp_path, 1000, f"{web.url}/1", "hold")
    assert holder.stdout is not None
    held = Path(holder.stdout.readline().strip())
    try:
        files = fetcher(tmp_path, budget=1000)
        for number in range(2, 9):
            with files.hold() as mine:
                mine.image(f"{web.url}/{number}", {})
        files._cache.evict()
        assert held.read_bytes() == CONTENT["/1"]
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
    files._cache.evict()
    assert not held.exists()
    assert taken(tmp_path) <= 1000
    # Leases of this process alone are left.
    assert {path.name.partition("-")[0] for path in (tmp_path / "leases").iterdir()} <= {str(os.getpid())}


@pytest.mark.slow
def test_many_readers_in_several_processes_read_what_they_were_given_while_others_evict(
    tmp_path: Path, web: Web
) -> None:
    processes = [other(tmp_path, 5 * LARGEST, web.url, "read") for _ in range(3)]
    assert [ended(process) for process in processes] == ["read"] * 3
    assert len(web.asked) > 24, "so much was asked for again that files had to go meanwhile"


def test_what_a_process_downloaded_serves_the_next_one(tmp_path: Path, web: Web) -> None:
    first = fetcher(tmp_path).image(f"{web.url}/5", {})
    assert fetcher(tmp_path).image(f"{web.url}/5", {}) == first
    assert len(web.asked) == 1


def test_a_file_that_was_damaged_or_deleted_is_fetched_anew(tmp_path: Path, web: Web) -> None:
    path = fetcher(tmp_path).image(f"{web.url}/5", {}).path
    path.write_bytes(b"half")
    assert fetcher(tmp_path).image(f"{web.url}/5", {}).path.read_bytes() == CONTENT["/5"]
    running = fetcher(tmp_path)
    running.image(f"{web.url}/5", {}).path.unlink()
    assert running.image(f"{web.url}/5", {}).path.read_bytes() == CONTENT["/5"]
    for entry in (tmp_path / "files").rglob("*.json"):
        entry.write_text('{"checked_at": 1, "file": "../../../etc/passwd"}')
    assert fetcher(tmp_path).image(f"{web.url}/5", {}).path.read_bytes() == CONTENT["/5"]


def test_the_whole_folder_may_be_deleted_while_it_is_used(tmp_path: Path, web: Web) -> None:
    import shutil

    files = fetcher(tmp_path / "cache")
    for _ in range(2):
        with files.hold() as held:
            assert held.image(f"{web.url}/5", {}).path.read_bytes() == CONTENT["/5"]
        shutil.rmtree(tmp_path / "cache")
    with files.hold() as held, files.hold():
        assert held.image(f"{web.url}/6", {}).path.read_bytes() == CONTENT["/6"]


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path, web: Web) -> None:
    files = fetcher(tmp_path)
    with files.hold() as held:
        held.image(f"{web.url}/1", {})
        (tmp_path / "scratch").rmdir()
        (tmp_path / "scratch").write_text("in the way")
        with pytest.raises(FetchError, match=rf"^{web.url}/2: cannot be stored \("):
            held.image(f"{web.url}/2", {})
        assert held.image(f"{web.url}/1", {}).path.exists()


def test_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path, web: Web) -> None:
    before = os.umask(0)
    try:
        files = fetcher(tmp_path / "cache")
        with files.hold() as held:
            held.image(f"{web.url}/1", {})
            held.image("data:image/jpeg;base64," + base64_of(drawn(exif=turned())), {})
    finally:
        os.umask(before)
    for path in (tmp_path / "cache").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def base64_of(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


def turned() -> bytes:
    from tests.media.test_fetching import exif

    return exif(6).tobytes()


def test_what_a_killed_download_left_is_swept(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 1000)
    old, young = cache.scratch(), cache.scratch()
    for path in (old, young):
        path.write_bytes(b"part")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.evict()
    assert not old.exists()
    assert young.exists()


def test_threads_hold_the_cache_one_after_the_other_and_at_once(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 1 << 20)

    def hold(inside: threading.Event) -> None:
        with cache.hold():
            inside.set()

    with cache.hold():
        pass
    for nested in (False, True):
        inside = threading.Event()
        thread = threading.Thread(target=hold, args=(inside,), daemon=True)
        if nested:
            with cache.hold():
                thread.start()
                assert inside.wait(10)
        else:
            thread.start()
            assert inside.wait(10), "another thread waits for ever"
        thread.join(10)
