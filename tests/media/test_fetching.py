"""What a task's URL names: each kind of URL, and what a stranger's URL must not reach."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import struct
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import certifi
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lsml.media.fetching
import lsml.media.web
from lsml.adapters.base import Adapter
from lsml.binding import bind
from lsml.errors import FetchError
from lsml.files.cache import cache_directory
from lsml.labeling import parse_labeling_config
from lsml.labeling.objects import Unreadable
from lsml.media import Fetcher, MediaCache, Sources
from lsml.media.transfer import Download, Received
from lsml.media.web import fetch_public
from lsml.prediction import Predictor, predict_tasks
from lsml.recipe import Media, load_recipe
from lsml.studio.client import Studio
from lsml.studio.connection import fetcher as fetcher_of
from lsml.values import Choice
from tests.conftest import write_recipe
from tests.studio.test_client import LEGACY, PERSONAL, LabelStudioLike
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio
from tests.support.web import Answer, Asked, Web, dripping, self_signed

ELSEWHERE = "which tasks may not use; put the file into Label Studio, or add the host to `media.hosts` of the recipe"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsml.media.fetching, "AGAIN_S", 0.01)


def fetcher(*, allow_private: bool = False, budget: int = 10**9, **options: Any) -> Fetcher:
    """A fetcher with keys of `media:` and options of Sources."""
    keys = {key: options.pop(key) for key in Media.__struct_fields__ if key in options and key != "folders"}
    cache = MediaCache(cache_directory("media"), budget)
    limits = Media(private=allow_private, **keys)
    return Fetcher(limits, lambda: cache, Sources(limits, **options))


def fetch_text(url: str, task: Any = None, **options: Any) -> str:
    return fetcher(**options).text(url, task or {})


def refusal(url: str, **options: Any) -> str:
    with pytest.raises(FetchError) as raised:
        fetch_text(url, **options)
    return str(raised.value)


def resolving(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Names resolve to these addresses; the returned list holds every name that was looked up."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host not in names:
            return list(real(host, port, *rest, **options))
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


# data: URLs


@given(st.text(), st.booleans())
def test_a_data_url_gives_back_its_text(text: str, packed: bool) -> None:
    content = base64.b64encode(text.encode()).decode()
    escaped = "".join(f"%{byte:02x}" for byte in text.encode())
    url = f"data:text/plain;base64,{content}" if packed else f"data:text/plain,{escaped}"
    assert fetch_text(url) == text.removeprefix("\ufeff")


def test_a_data_url_may_declare_a_charset() -> None:
    assert fetch_text("data:text/plain;charset=latin-1,gr%FC%DFe") == "grüße"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("data:text", "data:text: is not a data URL; expected data:<type>,<text> or data:<type>;base64,<bytes>"),
        ("data:;base64,%%%", "data:;base64,%%%: is declared as base64 but is not; encode it again"),
        ("data:,%ff", "data:,%ff: is not UTF-8 and declares no charset; save it as UTF-8"),
        (
            "data:,12345678901",
            "data:,12345678901: is larger than 10 bytes, the limit",
        ),
        (
            "data:," + "%41" * 500,
            "data:,%41%41%41%41%41%41%41%41%41%41%41%...: is larger than 10 bytes, the limit",
        ),
    ],
)
def test_a_bad_data_url_is_refused(url: str, sentence: str) -> None:
    assert refusal(url, file=10) == sentence


# Other hosts


def test_a_text_of_another_host_comes_without_any_token() -> None:
    with Web(lambda _: Answer(200, "\ufeffgrüße".encode())) as web:
        assert fetch_text(f"{web.url}/a%20b?c=d", allow_private=True) == "grüße"
    assert web.asked[0].target == "/a%20b?c=d"
    assert web.asked[0].headers["host"] == f"127.0.0.1:{web.port}"
    assert "authorization" not in web.asked[0].headers


def test_a_password_in_a_url_goes_nowhere_and_is_not_shown() -> None:
    with Web(lambda _: Answer(404)) as web:
        found = refusal(f"http://user:secret@127.0.0.1:{web.port}/x?signature=abc", allow_private=True)
    assert found == f"http://127.0.0.1:{web.port}/x: answered 404; the file is gone; correct the task"
    assert "authorization" not in web.asked[0].headers


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("10.1.2.3", "10.1.2.3"),
        ("172.16.0.1", "172.16.0.1"),
        ("192.168.0.1", "192.168.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("100.64.0.1", "100.64.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("224.0.0.1", "224.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("[::1]", "::1"),
        ("[fe80::1]", "fe80::1"),
        ("[fd00::1]", "fd00::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[64:ff9b::7f00:1]", "64:ff9b::7f00:1"),
        ("[2002:7f00:1::]", "2002:7f00:1::"),
    ],
)
def test_addresses_that_are_not_public_are_refused(host: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host == "localhost":
        resolving(monkeypatch, {"localhost": ["127.0.0.1"]})
    name = host.strip("[]")
    assert (
        refusal(f"http://{host}/") == f"http://{host}/: the host {name} has the private address {address}, {ELSEWHERE}"
    )


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert lsml.media.web.is_public(address)


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {"mixed.example": ["93.184.216.34", "192.168.0.1"]})
    assert refusal("http://mixed.example/x") == (
        f"http://mixed.example/x: the host mixed.example has the private address 192.168.0.1, {ELSEWHERE}"
    )


def test_a_name_is_looked_up_once_and_the_connection_goes_to_the_checked_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Web(lambda _: Answer(200, b"text")) as web:
        asked = resolving(monkeypatch, {"texts.example": ["127.0.0.1"]})
        assert fetch_text(f"http://texts.example:{web.port}/x", allow_private=True) == "text"
    assert asked == ["texts.example"]
    assert web.asked[0].headers["host"] == f"texts.example:{web.port}"


def test_the_second_address_of_a_name_is_tried_where_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with Web(lambda _: Answer(200, b"text")) as web:
        resolving(monkeypatch, {"texts.example": ["127.0.0.2", "127.0.0.1"]})
        assert fetch_text(f"http://texts.example:{web.port}/x", allow_private=True) == "text"


def test_a_certificate_has_to_be_that_of_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tls, certificate = self_signed(tmp_path, "DNS:texts.example")
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    resolving(monkeypatch, {"texts.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    with Web(lambda _: Answer(200, b"text"), tls) as web:
        assert fetch_text(f"https://texts.example:{web.port}/x", allow_private=True) == "text"
        assert "CERTIFICATE_VERIFY_FAILED" in refusal(f"https://other.example:{web.port}/x", allow_private=True)


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Web(lambda _: Answer(302, b"", {"Location": "http://169.254.169.254/latest/meta-data"})) as web:
        public = lsml.media.web.is_public
        monkeypatch.setattr(lsml.media.web, "is_public", lambda address: address == "127.0.0.1" or public(address))
        assert (
            refusal(f"{web.url}/x")
            == f"{web.url}/x: the host 169.254.169.254 has the private address 169.254.169.254, {ELSEWHERE}"
        )


def test_a_redirect_to_a_file_is_refused() -> None:
    with Web(lambda _: Answer(302, b"", {"Location": "file:///etc/passwd"})) as web:
        assert refusal(f"{web.url}/x", allow_private=True) == (
            f"{web.url}/x: redirects to file:///etc/passwd; expected http or https and a host"
        )


def test_five_redirects_are_followed_and_no_more() -> None:
    def count_down(asked: Asked) -> Answer:
        left = int(asked.path[1:])
        return Answer(302, b"", {"Location": f"/{left - 1}"}) if left else Answer(200, b"here")

    with Web(count_down) as web:
        assert fetch_text(f"{web.url}/5", allow_private=True) == "here"
        assert refusal(f"{web.url}/6", allow_private=True) == (
            f"{web.url}/6: redirects more than 5 times; use its final URL"
        )


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_too_large_is_given_up_and_leaves_nothing(declared: bool, tmp_path: Path) -> None:
    headers = {} if declared else {"Content-Length": ""}
    wanted = Download(tmp_path / "file", 1000, time.monotonic() + 9)
    with Web(lambda _: Answer(200, b"x" * 1001, headers)) as web, pytest.raises(FetchError) as raised:
        fetch_public(f"{web.url}/x", wanted, lambda _: True)
    assert str(raised.value) == f"{web.url}/x: is larger than 1000 bytes, the limit"
    assert not (tmp_path / "file").exists()


def test_what_takes_too_long_is_given_up() -> None:
    with Web(lambda _: Answer(200, b"x", pause_s=0.05, times=100)) as web:
        assert refusal(f"{web.url}/x", allow_private=True, timeout_s=0.3) == (
            f"{web.url}/x: took too long; raise `media.timeout` of the recipe, or make it smaller"
        )


def test_headers_that_come_byte_by_byte_are_given_up() -> None:
    with dripping() as url:
        assert refusal(f"{url}/x", allow_private=True, timeout_s=0.5) == (
            f"{url}/x: took too long; raise `media.timeout` of the recipe, or make it smaller"
        )


def test_packed_answers_are_refused_before_they_unpack() -> None:
    with Web(lambda _: Answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"})) as web:
        assert refusal(f"{web.url}/x", allow_private=True) == (
            f"{web.url}/x: is compressed as gzip, which lsml does not accept; serve it uncompressed"
        )
    assert web.asked[0].headers["accept-encoding"] == "identity"


def test_a_declared_charset_is_read_where_it_is_not_utf_8() -> None:
    latin = Answer(200, "grüße".encode("latin-1"), {"Content-Type": 'text/plain; charset="ISO-8859-1"'})
    with Web(lambda _: latin) as web:
        assert fetch_text(f"{web.url}/x", allow_private=True) == "grüße"


@pytest.mark.parametrize("charset", ["klingon", "ascii"])
def test_a_charset_that_does_not_fit_is_refused(charset: str) -> None:
    answer = Answer(200, b"\xff\xfe\xfd", {"Content-Type": f"text/plain; charset={charset}"})
    with Web(lambda _: answer) as web:
        assert refusal(f"{web.url}/x", allow_private=True) == (
            f"{web.url}/x: is neither UTF-8 nor the charset {charset} it declares; save it as UTF-8"
        )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://host/x", "ftp://host/x: expected http, https, data, or a path in Label Studio, got ftp"),
        (
            "s3://bucket/x.txt",
            "s3://bucket/x.txt: is in a cloud storage, which lsml reads through Label Studio; set LABEL_STUDIO_URL "
            "and LABEL_STUDIO_API_KEY, or use pre-signed URLs",
        ),
        ("http://", "http://: redirects to http://; expected http or https and a host"),
        ("http://a:b/", "http://a:b/: is not a URL (Port could not be cast to integer value as 'b')"),
        ("http://[::1/", "http://[::1/: is not a URL (Invalid IPv6 URL)"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url: str, sentence: str) -> None:
    assert refusal(url) == sentence


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_any_text_as_a_url_is_a_sentence_or_a_text(rest: str) -> None:
    for url in (rest, f"data:{rest}", f"http://127.0.0.1:{rest}", f"//{rest}", f"file://{rest}"):
        try:
            assert isinstance(fetch_text(url), str)
        except FetchError as error:
            assert "\n" not in str(error)


# Label Studio


@pytest.mark.parametrize(
    "url",
    [
        "/data/upload/1/a.txt",
        "upload/1/a.txt",
        "/data/local-files/?d=a.txt",
        "/tasks/7/resolve/?fileuri=abc",
        "http://studio.example:8080/data/upload/1/a.txt",
    ],
)
def test_what_label_studio_keeps_comes_through_it(url: str) -> None:
    keeps = Keeps("grüße".encode("cp1252"), "text/plain; charset=cp1252")
    assert fetch_text(url, studio=keeps, file=99) == "grüße"
    assert keeps.asked == [(url, 99)]


class Keeps:
    """A Label Studio that has one file under every address."""

    url = "http://studio.example:8080"

    def __init__(self, content: bytes, content_type: str = "") -> None:
        self.content, self.content_type = content, content_type
        self.asked: list[tuple[str, int]] = []

    def fetch(self, url: str, wanted: Download) -> Received | None:
        self.asked.append((url, wanted.max_bytes))
        wanted.destination.write_bytes(self.content)
        return Received(len(self.content), hashlib.sha256(self.content).hexdigest(), self.content_type)


def test_another_port_is_another_host() -> None:
    keeps = Keeps(b"the token would go to another program")
    found = refusal("http://127.0.0.1:9/x", studio=keeps)
    assert found == f"http://127.0.0.1:9/x: the host 127.0.0.1 has the private address 127.0.0.1, {ELSEWHERE}"
    assert keeps.asked == []


def test_what_label_studio_keeps_cannot_be_had_without_a_token() -> None:
    assert refusal("/data/upload/1/a.txt") == (
        "/data/upload/1/a.txt: is stored in Label Studio; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, so that lsml "
        "can read it"
    )


# Local paths


def test_local_paths_are_read_inside_allowed_folders_alone(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "a b.txt").write_text("inside", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("outside", encoding="utf-8")
    (allowed / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert fetch_text(str(allowed / "a b.txt"), folders=[allowed]) == "inside"
    assert fetch_text((allowed / "a b.txt").as_uri(), folders=[allowed]) == "inside"
    outside = "is not in a folder that lsml may read; add its folder to `media.folders` of the recipe"
    for path in (tmp_path / "secret.txt", allowed / ".." / "secret.txt", allowed / "link.txt"):
        assert refusal(str(path), folders=[allowed]) == f"{path}: {outside}"
        assert refusal(str(path)) == f"{path}: {outside}"
        assert fetch_text(str(path), anywhere=True) == "outside"


def test_a_local_path_that_holds_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path), anywhere=True) == f"{tmp_path}: there is no such file"
    assert refusal("a\0b", anywhere=True) == "a b: is not a path; expected a URL or the path of a file"


def test_a_local_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 11)
    found = refusal(str(tmp_path / "a.txt"), anywhere=True, file=10)
    assert found == f"{tmp_path / 'a.txt'}: is larger than 10 bytes, the limit"


# Images


def drawn(size: tuple[int, int] = (40, 20), **how: Any) -> bytes:
    """An image of this size, its left half red and its right half blue."""
    image = PIL.Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    image.save(file, **{"format": "JPEG", "quality": 95, **how})
    return file.getvalue()


def exif(orientation: int) -> PIL.Image.Exif:
    made = PIL.Image.Exif()
    made[0x0112] = orientation
    return made


# Where the red half is seen, for each orientation of a picture that is stored with it on the left.
SEEN = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_an_image_comes_upright_whatever_its_exif_says(orientation: int, format: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{format.lower()}"
    path.write_bytes(drawn(format=format, exif=exif(orientation)))
    found = fetcher(anywhere=True).image(str(path), {})
    assert found.size == ((40, 20) if orientation < 5 else (20, 40))
    assert (found.path == path.resolve()) == (orientation == 1)
    with PIL.Image.open(found.path) as image:
        assert image.size == found.size
        assert image.getexif().get(0x0112, 1) == 1
        small = image.convert("RGB").resize((3, 3), PIL.Image.Resampling.BOX)
    middles = {"left": (0, 1), "top": (1, 0), "right": (2, 1), "bottom": (1, 2)}
    reddest = max(middles, key=lambda name: small.getpixel(middles[name])[0])
    assert reddest == SEEN[orientation]


# A server that lies


def png_of(width: int, height: int) -> bytes:
    """A black PNG of any size, in a few kilobytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


GOOD = drawn()
PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
LIES: dict[str, tuple[Answer, str]] = {
    "slow": (Answer(200, b"x", {"Content-Length": "9999"}, times=100, pause_s=0.1), "took too long; raise"),
    "endless": (Answer(200, b"x" * 60_000, {"Content-Length": ""}, times=10_000), "is larger than 1000000 bytes"),
    "too short": (
        Answer(200, GOOD, {"Content-Length": str(len(GOOD) + 9)}),
        "cannot be read from 127.0.0.1 (peer closed",
    ),
    "500": (Answer(500, PAGE), "answered 500; try again later, or put the file into Label Studio"),
    "403": (Answer(403), "answered 403; lsml sends no password to other hosts; make the file public"),
    "redirect loop": (Answer(302, b"", {"Location": "/redirect%20loop"}), "redirects more than 5 times"),
    "redirect to a file": (Answer(302, b"", {"Location": "file:///etc/passwd"}), "redirects to file:///etc/passwd;"),
    "100 megapixels": (Answer(200, png_of(10_000, 10_000)), "has 10000 x 10000 pixels; the limit is 64000000"),
    "cut off": (Answer(200, drawn((400, 300))[:-900]), "is JPEG that is broken or truncated ("),
    "cut off, to be turned": (
        Answer(200, drawn((400, 300), exif=exif(6))[:-900]),
        "is JPEG that is broken or truncated (",
    ),
    "a telephone's format": (
        Answer(200, b"\0\0\0\x18ftypheic" + bytes(60)),
        "is HEIC that cannot be decoded",
    ),
    "a page": (
        Answer(200, PAGE, {"Content-Type": "image/jpeg"}),
        "is an HTML page, not an image; it is probably an error page",
    ),
    "a drawing": (Answer(200, b"<?xml version='1.0'?><svg/>"), "is an SVG drawing, not an image; correct"),
    "nothing": (Answer(200, b""), "is empty, not an image; correct the task or the file"),
    "packed": (Answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}), "is compressed as gzip, which"),
}


def lying(asked: Asked) -> Answer:
    return (
        LIES[unquote(asked.path[1:])][0] if asked.path != "/good" else Answer(200, GOOD, {"Content-Type": "text/html"})
    )


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_costs_a_sentence_and_leaves_nothing(lie: str, own_cache: Path) -> None:
    with Web(lying) as web:
        url = f"{web.url}/{quote(lie)}"
        files = fetcher(allow_private=True, file=1_000_000, timeout_s=1.0 if lie == "slow" else 20.0)
        with files.hold() as held:
            for _ in range(2):  # the second time within one request, it is not asked again
                with pytest.raises((FetchError, Unreadable)) as raised:
                    held.image(f"{url}?signature=secret", {})
                assert str(raised.value).startswith(f"{url}: {LIES[lie][1]}")
                assert "secret" not in str(raised.value)
            asked = len(web.asked)
            assert asked == {"too short": 2, "500": 2, "redirect loop": 6}.get(lie, 1)
            assert held.image(f"{web.url}/good", {}).size == (40, 20)
        assert len(web.asked) == asked + 1
    assert list((own_cache / "media" / "scratch").iterdir()) == []
    assert len(list((own_cache / "media" / "files").rglob("*.json"))) == 1


def test_what_failed_is_asked_for_again_by_the_next_request() -> None:
    answers = [Answer(404), Answer(200, PAGE), Answer(200, GOOD)]
    with Web(lambda _: answers.pop(0)) as web:
        files = fetcher(allow_private=True)
        for _ in range(2):
            with pytest.raises((FetchError, Unreadable)):
                files.image(f"{web.url}/x", {})
        assert files.image(f"{web.url}/x", {}).size == (40, 20)


@pytest.mark.parametrize("first", [Answer(502), Answer(503), Answer(429), Answer(200, b"x", {"Content-Length": "2"})])
def test_a_server_that_fails_in_passing_is_asked_once_more(first: Answer) -> None:
    answers = [first, Answer(200, GOOD)]
    with Web(lambda _: answers.pop(0)) as web:
        assert fetcher(allow_private=True).image(f"{web.url}/x", {}).size == (40, 20)


def test_one_file_that_fails_costs_its_task_alone_and_the_reason_names_it(tmp_path: Path) -> None:
    recipe = write_recipe(
        tmp_path, "tags:\n  Choices: image-classifier\nmedia: {private: true, timeout: 5s, file: 1MB}\n", config=KINDS
    )
    loaded = load_recipe(recipe)
    binding = bind(loaded, parse_labeling_config(KINDS))
    key = binding.models[0].key
    with Web(lying) as web:
        lies = [quote(lie) for lie in LIES]
        urls = [f"{web.url}/good", *(f"{web.url}/{lie}" for lie in lies), f"{web.url}/good"]
        tasks = [{"id": number, "data": {"image": url}} for number, url in enumerate(urls)]
        sizes = Sizes()
        outcomes = predict_tasks(Predictor(binding, {key: sizes}, fetcher_of(loaded, None), "v"), tasks)
    assert [outcome.prediction is not None for outcome in outcomes] == [True, *(False for _ in LIES), True]
    for number, (lie, outcome) in enumerate(zip(LIES, outcomes[1:], strict=False), 1):
        [(_, sentence)] = outcome.dropped
        assert sentence.startswith(f"task {number}: {urls[number]}: {LIES[lie][1]}")
    assert sizes.seen == [(40, 20), (40, 20)]


KINDS = """<View><Image name="image" value="$image"/>
<Choices name="kind" toName="image"><Choice value="wide"/><Choice value="tall"/></Choices></View>"""


class Sizes(Adapter):
    """Tells wide images from tall ones."""

    name, consumes, produces, ready = "sizes", frozenset({"Image"}), frozenset({Choice}), True  # type: ignore[assignment]

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def predict(self, batch: Any) -> Any:
        sizes = []
        for path in batch:
            with PIL.Image.open(path) as image:
                sizes.append(image.size)
        self.seen += sizes
        return [[Choice("wide" if width > height else "tall", 1.0)] for width, height in sizes]


# What changes, and what does not


class Changing:
    """A file that changes, on a server that says so where it is asked."""

    def __init__(self, **headers: str) -> None:
        self.content, self.tag, self.headers, self.broken = GOOD, "one", headers, False

    def __call__(self, asked: Asked) -> Answer:
        if self.broken:
            return Answer(503)
        if asked.headers.get("if-none-match") == self.tag:
            return Answer(304)
        return Answer(200, self.content, {"ETag": self.tag, **self.headers})


def test_a_file_that_changes_is_used_anew_once_it_is_no_longer_fresh() -> None:
    changing = Changing()
    with Web(changing) as web:
        patient, hasty = fetcher(allow_private=True, fresh_s=60.0), fetcher(allow_private=True, fresh_s=0.0)
        url = f"{web.url}/x"
        with hasty.hold() as held:
            first = held.image(url, {})
            changing.content, changing.tag = drawn((20, 40)), "two"
            assert patient.image(url, {}) == first
            assert len(web.asked) == 1
            second = hasty.image(url, {})
            assert second.size == (20, 40)
            assert held.image(url, {}) == first, "a request sees one content, whatever changes meanwhile"
            assert first.path.read_bytes() == GOOD
        third = hasty.image(url, {})
        assert third == second
        assert [asked.headers.get("if-none-match") for asked in web.asked] == [None, "one", "two"]


def test_the_same_content_stays_the_same_file_even_where_a_server_says_nothing_of_it() -> None:
    with Web(lambda _: Answer(200, GOOD)) as web:
        files = fetcher(allow_private=True, fresh_s=0.0)
        assert files.image(f"{web.url}/x", {}) == files.image(f"{web.url}/x", {})
        assert len(web.asked) == 2


@pytest.mark.parametrize("said", ["no-store", "no-cache", "max-age=0"])
def test_a_server_may_say_that_a_file_does_not_stay_fresh(said: str) -> None:
    with Web(Changing(**{"Cache-Control": said})) as web:
        files = fetcher(allow_private=True, fresh_s=60.0)
        files.image(f"{web.url}/x", {})
        files.image(f"{web.url}/x", {})
        assert len(web.asked) == 2


def test_what_was_fetched_before_is_used_on_while_its_server_is_broken(caplog: pytest.LogCaptureFixture) -> None:
    changing = Changing()
    with Web(changing) as web:
        files = fetcher(allow_private=True, fresh_s=0.0)
        first = files.image(f"{web.url}/x", {})
        changing.broken = True
        assert files.image(f"{web.url}/x", {}) == first
    assert caplog.messages == [
        f"{web.url}/x: answered 503; try again later, or put the file into Label Studio; the cached file is used"
    ]


def test_signed_addresses_of_one_file_are_one_file() -> None:
    with Web(lambda _: Answer(200, GOOD)) as web:
        files = fetcher(allow_private=True)
        for signature in ("one", "two"):
            files.image(f"{web.url}/x.jpg?versionId=7&X-Amz-Date=20260101&X-Amz-Signature={signature}", {})
        assert len(web.asked) == 1
        files.image(f"{web.url}/x.jpg?versionId=8&X-Amz-Signature=three", {})
        fetcher(allow_private=True, scope="another project").image(
            f"{web.url}/x.jpg?versionId=7&X-Amz-Signature=no", {}
        )
        assert [asked.query["versionId"] for asked in web.asked] == ["7", "8", "7"]


# Label Studio's own files


class Storage:
    """A Label Studio with an uploaded image, and one in a bucket behind a signed address or through itself."""

    def __init__(self, tokens: LabelStudioLike, bucket: str | None) -> None:
        self.tokens, self.bucket = tokens, bucket
        self.uploads_in_cloud = False

    def __call__(self, asked: Asked) -> Answer:
        refusal = self.tokens._refusal(asked.headers.get("authorization", ""))
        if asked.path == "/api/token/refresh/" or refusal:
            return self.tokens(asked)
        if asked.path == "/data/upload/1/0a1b2c3d-a.jpg":
            return Answer(500) if self.uploads_in_cloud else Answer(200, GOOD)
        if asked.path == "/storage-data/uploaded/" and asked.query["filepath"] == "upload/1/0a1b2c3d-a.jpg":
            return Answer(200, GOOD)
        if asked.path == "/data/local-files/" and asked.query["d"] == "a/b.jpg":
            return Answer(200, GOOD)
        if (
            asked.path.endswith("/resolve/")
            and base64.urlsafe_b64decode(asked.query["fileuri"]) == b"s3://bucket/a b.jpg"
        ):
            return Answer(303, b"", {"Location": self.bucket}) if self.bucket else Answer(200, GOOD)
        return Answer(404)


@pytest.mark.parametrize("token", [LEGACY, PERSONAL])
@pytest.mark.parametrize("signed", [True, False])
def test_every_place_of_label_studio_is_read_with_either_token(token: str, signed: bool) -> None:
    with Web(lambda _: Answer(200, GOOD)) as bucket:
        storage = Storage(LabelStudioLike(), f"{bucket.url}/a?X-Amz-Signature=secret" if signed else None)
        with Web(storage) as web, Studio(web.url, token) as studio:
            files = fetcher(studio=studio, studio_project=3)
            for url in (
                "/data/upload/1/0a1b2c3d-a.jpg",
                "upload/1/0a1b2c3d-a.jpg",
                f"{web.url}/data/upload/1/0a1b2c3d-a.jpg",
                "/data/local-files/?d=a/b.jpg",
                "s3://bucket/a b.jpg",
                "/tasks/8/resolve/?fileuri=czM6Ly9idWNrZXQvYSBiLmpwZw==",
            ):
                assert files.image(url, {"id": 7}).size == (40, 20), url
            assert files.image("s3://bucket/a b.jpg", {}).size == (40, 20), "without a task's id, by the project's"
        sent = {asked.headers.get("authorization") for asked in bucket.asked}
        assert sent == ({None} if signed else set())
    paths = [asked.path for asked in web.asked if asked.path != "/api/token/refresh/"]
    assert paths.count("/tasks/7/resolve/") == 1, "one content, whichever task it is asked for"
    assert "/tasks/8/resolve/" not in paths


def test_uploads_that_label_studio_keeps_in_a_cloud_are_found_there() -> None:
    storage = Storage(LabelStudioLike(), None)
    storage.uploads_in_cloud = True
    with Web(storage) as web, Studio(web.url, LEGACY) as studio:
        assert fetcher(studio=studio).image("/data/upload/1/0a1b2c3d-a.jpg", {}).size == (40, 20)


def test_an_uploaded_file_is_never_asked_for_again() -> None:
    with Web(Storage(LabelStudioLike(), None)) as web, Studio(web.url, LEGACY) as studio:
        files = fetcher(studio=studio, fresh_s=0.0)
        files.image("/data/upload/1/0a1b2c3d-a.jpg", {})
        files.image("/data/upload/1/0a1b2c3d-a.jpg", {})
        assert len(web.asked) == 1


def test_what_one_project_may_read_is_not_given_to_another() -> None:
    with Web(Storage(LabelStudioLike(), None)) as web, Studio(web.url, LEGACY) as studio:
        fetcher(studio=studio, scope="1.1").image("/data/upload/1/0a1b2c3d-a.jpg", {})
        fetcher(studio=studio, scope="2.1").image("/data/upload/1/0a1b2c3d-a.jpg", {})
        assert len(web.asked) == 2


def test_a_file_in_a_bucket_without_a_task_to_ask_for_is_a_sentence() -> None:
    with Studio("http://127.0.0.1:9", LEGACY) as studio, pytest.raises(FetchError) as raised:
        fetcher(studio=studio).image("gs://bucket/a.jpg", {})
    assert str(raised.value) == (
        "gs://bucket/a.jpg: is in a cloud storage, and Label Studio serves such files only by task id; this task has "
        "none"
    )


def test_a_refusal_of_a_bucket_names_what_the_task_says() -> None:
    with (
        Web(Storage(LabelStudioLike(), None)) as web,
        Studio(web.url, LEGACY) as studio,
        pytest.raises(FetchError) as raised,
    ):
        fetcher(studio=studio).image("s3://bucket/other.jpg", {"id": 7})
    assert str(raised.value) == (
        f"s3://bucket/other.jpg: {web.url} answered 404; check that the file exists and that a storage of the "
        "project covers it"
    )


def test_other_things_at_label_studios_address_are_asked_for_without_the_token() -> None:
    with Web(lambda _: Answer(200, GOOD)) as web, Studio(web.url, LEGACY) as studio:
        assert fetcher(studio=studio, allow_private=True).image(f"{web.url}/pictures/a.jpg", {}).size == (40, 20)
    assert "authorization" not in web.asked[0].headers


def test_paths_under_label_studios_own_prefix_are_its_files() -> None:
    with Web(lambda _: Answer(200, GOOD)) as web, Studio(f"{web.url}/studio", LEGACY) as studio:
        files = fetcher(studio=studio, fresh_s=0.0)
        for url in ("/data/upload/1/a.jpg", "/studio/data/upload/1/b.jpg", f"{web.url}/studio/data/upload/1/c.jpg"):
            files.image(url, {})
    assert [asked.path for asked in web.asked] == [f"/studio/data/upload/1/{name}.jpg" for name in "abc"]
    assert {asked.headers.get("authorization") for asked in web.asked} == {f"Token {LEGACY}"}


# Folders


def test_relative_paths_count_from_the_file_that_names_them_then_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, size in (("beside", (10, 20)), ("here", (30, 20))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(drawn(size))
    (tmp_path / "here" / "b.jpg").write_bytes(drawn((5, 5)))
    monkeypatch.chdir(tmp_path / "here")
    files = fetcher(anywhere=True, beside=tmp_path / "beside")
    assert files.image("a.jpg", {}).size == (10, 20)
    assert files.image("b.jpg", {}).size == (5, 5)
    with pytest.raises(FetchError, match=r"^c\.jpg: there is no such file$"):
        files.image("c.jpg", {})


def test_paths_of_local_files_are_found_in_allowed_folders_and_never_above(tmp_path: Path) -> None:
    (tmp_path / "allowed" / "a").mkdir(parents=True)
    (tmp_path / "allowed" / "a" / "b.jpg").write_bytes(GOOD)
    (tmp_path / "secret.jpg").write_bytes(GOOD)
    files = fetcher(folders=[tmp_path / "allowed"])
    for url in ("/data/local-files/?d=a/b.jpg", "a/b.jpg", str(tmp_path / "allowed" / "a" / "b.jpg")):
        assert files.image(url, {}).path == tmp_path / "allowed" / "a" / "b.jpg"
    for url in ("/data/local-files/?d=../secret.jpg", "../secret.jpg", "a/../../secret.jpg"):
        with pytest.raises(FetchError):
            files.image(url, {})


def test_a_local_file_is_used_where_it_lies_and_seen_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(GOOD)
    files = fetcher(anywhere=True)
    assert files.image(str(path), {}) == (path, (40, 20))
    path.write_bytes(drawn((20, 60)))
    assert files.image(str(path), {}) == (path, (20, 60))


def test_what_a_persons_command_brought_from_a_private_address_is_not_for_tasks_of_the_server() -> None:
    with Web(lambda _: Answer(200, GOOD)) as web:
        assert fetcher(anywhere=True).image(f"{web.url}/x", {}).size == (40, 20)
        with pytest.raises(FetchError, match="the private address"):
            fetcher().image(f"{web.url}/x", {})


def test_a_host_at_a_private_address_is_read_where_the_recipe_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {"minio.internal": ["127.0.0.1"], "other.internal": ["127.0.0.1"]})
    with Web(lambda _: Answer(200, GOOD)) as web:
        files = fetcher(hosts=["MinIO.internal"])
        assert files.image(f"http://minio.internal:{web.port}/x", {}).size == (40, 20)
        with pytest.raises(FetchError, match="the private address"):
            files.image(f"http://other.internal:{web.port}/x", {})


# A real Label Studio


@pytest.mark.studio
def test_a_real_label_studio_gives_images_to_either_token(tmp_path: Path) -> None:
    config = '<View><Image name="image" value="$image"/><Choices name="c" toName="image"><Choice value="A"/></Choices></View>'
    with RealLabelStudio() as real:
        project = real.create_project("Images", config)
        uploaded = real.upload(project, "lies on its side.jpg", drawn(exif=exif(6)))[0]["data"]["image"]
        folder = real.files / "images"
        folder.mkdir()
        (folder / "a b.png").write_bytes(drawn((30, 30), format="PNG"))
        real.serve_folder(project, folder)
        [task] = [task["id"] for task in real.tasks(project)]
        for token in (LEGACY_TOKEN, real.personal_access_token()):
            with Studio(real.url, token) as studio, fetcher(studio=studio, scope=studio.identity).hold() as held:
                for url in (uploaded, f"{real.url}{uploaded}", uploaded.removeprefix("/data/")):
                    assert held.image(url, {"id": task}).size == (20, 40)
                assert held.image("/data/local-files/?d=images/a%20b.png", {"id": task}).size == (30, 30)
                for url, status in ((f"/data/upload/{project}/gone.jpg", 500), ("s3://no-such-bucket/a.jpg", 404)):
                    with pytest.raises(FetchError, match=f"^{url}: {real.url} answered {status}; "):
                        held.image(url, {"id": task})
