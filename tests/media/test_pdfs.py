"""PDF documents: their text, their pages as images, and what is refused."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lsml.labeling import ObjectTag
from lsml.labeling.objects import Form, Unreadable, read_object
from lsml.media import Fetcher, MediaCache, Sources
from lsml.media.pdfs import render_pages
from lsml.recipe import Media
from tests.support.documents import pdf

pytest.importorskip("pypdfium2")
TAG = ObjectTag("Pdf", "pdf", "$pdf")


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    cache = MediaCache(tmp_path / "cache", 10**9)
    return Fetcher(Media(pages=3), lambda: cache, Sources(Media(), anywhere=True))


def saved(path: Path, content: bytes) -> dict[str, dict[str, str]]:
    path.write_bytes(content)
    return {"data": {"pdf": str(path)}}


def test_the_text_of_all_pages_is_read(tmp_path: Path, fetcher: Fetcher) -> None:
    task = saved(tmp_path / "a.pdf", pdf([["First line", "second"], [], ["Last page"]]))
    [view] = read_object(TAG, task, fetcher)
    assert view.data == "First line\nsecond\n\nLast page"
    assert (view.item, view.size) == (None, None)


def test_pages_are_images_as_people_see_them_made_once(tmp_path: Path, fetcher: Fetcher) -> None:
    task = saved(tmp_path / "a.pdf", pdf([["one"], ["two", "three"]], size=(800, 400)))
    views = read_object(TAG, task, fetcher, Form.PAGES)
    assert [(view.item, view.size) for view in views] == [(0, (2000, 1000)), (1, (2000, 1000))]
    dark = []
    for view in views:
        assert isinstance(view.data, Path)
        with PIL.Image.open(view.data) as image:
            dark.append(int((np.asarray(image.convert("L")) < 128).sum()))
    assert 0 < dark[0] < dark[1]
    made = [view.data.stat().st_ino for view in views if isinstance(view.data, Path)]
    again = read_object(TAG, task, fetcher, Form.PAGES)
    assert [view.data.stat().st_ino for view in again if isinstance(view.data, Path)] == made


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to another process")
def test_a_page_is_read_while_lsml_stops_though_the_signal_comes_to_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "a.pdf", pdf([["page"]] * 3))
    started, start = [], subprocess.Popen

    def starting(*given: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*given, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", starting)
    scratch = (tmp_path / f"{number}.png" for number in itertools.count())
    pages = render_pages(tmp_path / "a.pdf", range(3), lambda: next(scratch), shown="a.pdf")
    next(pages)
    for number in (signal.SIGINT, signal.SIGTERM):
        started[0].send_signal(number)
    assert len(list(pages)) == 2


def test_only_the_first_page_is_made_where_no_more_is_asked(tmp_path: Path, fetcher: Fetcher) -> None:
    task = saved(tmp_path / "a.pdf", pdf([["page"]] * 4))
    assert len(read_object(TAG, task, fetcher, Form.FIRST_PAGE)) == 1
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 1
    with pytest.raises(
        Unreadable, match=r"a\.pdf: has 4 pages; the limit is 3 \(media\.pages of the recipe\)$"
    ) as caught:
        read_object(TAG, task, fetcher, Form.PAGES)
    assert caught.value.reason == "too many pages"


def test_several_threads_read_documents_at_once(tmp_path: Path, fetcher: Fetcher) -> None:
    tasks = [saved(tmp_path / f"{number}.pdf", pdf([[f"number {number}"]] * 2)) for number in range(3)]
    found: dict[int, tuple[object, int]] = {}

    def read(number: int) -> None:
        pages = read_object(TAG, tasks[number], fetcher, Form.PAGES)
        found[number] = (read_object(TAG, tasks[number], fetcher)[0].data, len(pages))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: (f"number {number}\n\nnumber {number}", 2) for number in range(3)}


WHOLE = pdf([["some text"]])


@pytest.mark.parametrize(
    ("content", "reason", "sentence"),
    [
        (pdf([["secret"]], locked=True), "encrypted", "is a PDF document with a password; save it without one"),
        (b"%PDF-1.4\nnothing", "bad document", "is a PDF document that is broken or truncated; save it again"),
        (pdf([]), "bad document", "is a PDF document that is broken or truncated; save it again"),
        (b"<!doctype html><html>Sign in</html>", "wrong content", "is an HTML page, not a PDF document; correct the task or the file"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [Form.TEXT, Form.FIRST_PAGE])
def test_what_cannot_be_opened_costs_its_task_alone(
    tmp_path: Path, fetcher: Fetcher, content: bytes, reason: str, sentence: str, form: Form
) -> None:
    with pytest.raises(Unreadable, match=re.escape(f"a.pdf: {sentence}")) as caught:
        read_object(TAG, saved(tmp_path / "a.pdf", content), fetcher, form)
    assert caught.value.reason == reason


@pytest.mark.parametrize("end", range(0, len(WHOLE), 40))
def test_no_truncated_document_is_more_than_a_sentence(tmp_path: Path, fetcher: Fetcher, end: int) -> None:
    task = saved(tmp_path / "a.pdf", WHOLE[:end])
    for form in Form:
        try:
            read_object(TAG, task, fetcher, form)
        except Unreadable as error:
            assert str(error).startswith((f"{tmp_path}/a.pdf: ", "Pdf#pdf shows $pdf, a PDF document without text"))


def test_a_scan_says_which_adapters_look_at_pages(tmp_path: Path, fetcher: Fetcher) -> None:
    PIL.Image.new("RGB", (60, 40), "white").save(tmp_path / "scan.pdf")
    task = {"data": {"pdf": str(tmp_path / "scan.pdf")}}
    with pytest.raises(Unreadable, match=r"^Pdf#pdf shows \$pdf, a PDF document without text, such as a scan; use an"):
        read_object(TAG, task, fetcher)
    assert read_object(TAG, task, fetcher, Form.FIRST_PAGE)[0].size == pytest.approx((2000, 1333), abs=1)


def test_a_text_that_is_too_long_is_refused(tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsml.media.fetching.MAX_TEXT_BYTES", 10)
    task = saved(tmp_path / "a.pdf", pdf([["more than ten"]]))
    with pytest.raises(Unreadable, match=r"a\.pdf: has more than 10 characters of text; split the document$"):
        read_object(TAG, task, fetcher)


def test_a_text_of_too_many_pages_is_refused_unread(
    tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsml.media.pdfs._MOST_PAGES", 2)
    task = saved(tmp_path / "a.pdf", pdf([["a"], ["b"], ["c"]]))
    with pytest.raises(Unreadable, match=r"a\.pdf: has 3 pages; split the document$"):
        read_object(TAG, task, fetcher)
    assert read_object(TAG, saved(tmp_path / "b.pdf", pdf([["a"], ["b"]])), fetcher)[0].data == "a\n\nb"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
@pytest.mark.parametrize("form", [Form.TEXT, Form.FIRST_PAGE])
def test_a_page_that_takes_any_memory_costs_its_task_alone(
    tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, form: Form
) -> None:
    monkeypatch.setattr("lsml.media.pdfs._MEMORY", 2**29)
    huge = zlib.compress(b" " * 2**28, 1)  # a file of a megabyte
    content = pdf([["x"]])
    stream = re.search(rb"<< /Length \d+ >>\nstream\n.*?\nendstream", content, re.DOTALL)
    assert stream
    bomb = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(huge), huge)
    with pytest.raises(
        Unreadable, match=r"a\.pdf: is a PDF document that PDFium cannot read with 0\.5 GiB of memory"
    ) as caught:
        read_object(TAG, saved(tmp_path / "a.pdf", content.replace(stream[0], bomb)), fetcher, form)
    assert caught.value.reason == "too large"
    [view] = read_object(TAG, saved(tmp_path / "b.pdf", pdf([["all right"]])), fetcher, form)
    assert view.size == (1546, 2000) or view.data == "all right"


def test_a_page_of_any_size_is_drawn_in_as_many_pixels(tmp_path: Path, fetcher: Fetcher) -> None:
    for number, size in enumerate([(10**6, 10**6), (10**12, 10)]):
        task = saved(tmp_path / f"{number}.pdf", pdf([["x"]], size=size))
        [view] = read_object(TAG, task, fetcher, Form.FIRST_PAGE)
        assert view.size is not None and max(view.size) == 2000
