"""What a task's URL names: each kind of URL, and what a stranger's URL must not reach."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import certifi
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lsml.media.fetching
import lsml.media.web
from lsml.cache import cache_directory
from lsml.errors import FetchError
from lsml.media import Fetcher, MediaCache
from lsml.media.web import fetch_public
from lsml.recipe import Media
from lsml.transfer import Received, Wanted
from tests.web import Answer, Asked, Web

ELSEWHERE = (
    "which is not a public address, so a task may not make lsml read it; put the file into Label Studio, or "
    "name the host in `media.hosts` of the recipe"
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsml.media.fetching, "AGAIN_S", 0.01)


def fetcher(*, allow_private: bool = False, budget: int = 10**9, **options: Any) -> Fetcher:
    """A fetcher with keys of `media:` and options of Fetcher."""
    keys = {key: options.pop(key) for key in Media.__struct_fields__ if key in options and key != "folders"}
    cache = MediaCache(cache_directory("media"), budget)
    return Fetcher(Media(private=allow_private, **keys), lambda: cache, **options)


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
        ("data:text", "data:text: is no data URL; expected data:<type>,<text> or data:<type>;base64,<bytes>"),
        ("data:;base64,%%%", "data:;base64,%%%: says that it is base64 and is not; encode it again"),
        ("data:,%ff", "data:,%ff: is not UTF-8 text and declares no charset; save it as UTF-8"),
        (
            "data:,12345678901",
            "data:,12345678901: is larger than 10 bytes, the most that is fetched",
        ),
        (
            "data:," + "%41" * 500,
            "data:,%41%41%41%41%41%41%41%41%41%41%41%...: is larger than 10 bytes, the most that is fetched",
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
    assert found == f"http://127.0.0.1:{web.port}/x: answered 404; the file is gone: correct the task"
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
    assert refusal(f"http://{host}/") == f"http://{host}/: the host {name} is at {address}, {ELSEWHERE}"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert lsml.media.web.is_public(address)


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {"mixed.example": ["93.184.216.34", "192.168.0.1"]})
    assert refusal("http://mixed.example/x") == (
        f"http://mixed.example/x: the host mixed.example is at 192.168.0.1, {ELSEWHERE}"
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
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2"]
    names = ["-subj", "/CN=texts.example", "-addext", "subjectAltName=DNS:texts.example"]
    subprocess.run([*made, *names], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    resolving(monkeypatch, {"texts.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    with Web(lambda _: Answer(200, b"text"), tls) as web:
        assert fetch_text(f"https://texts.example:{web.port}/x", allow_private=True) == "text"
        assert "CERTIFICATE_VERIFY_FAILED" in refusal(f"https://other.example:{web.port}/x", allow_private=True)


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Web(lambda _: Answer(302, b"", {"Location": "http://169.254.169.254/latest/meta-data"})) as web:
        public = lsml.media.web.is_public
        monkeypatch.setattr(lsml.media.web, "is_public", lambda address: address == "127.0.0.1" or public(address))
        assert refusal(f"{web.url}/x") == f"{web.url}/x: the host 169.254.169.254 is at 169.254.169.254, {ELSEWHERE}"


def test_a_redirect_to_a_file_is_refused() -> None:
    with Web(lambda _: Answer(302, b"", {"Location": "file:///etc/passwd"})) as web:
        assert refusal(f"{web.url}/x", allow_private=True) == (
            f"{web.url}/x: leads to file:///etc/passwd; expected http or https and a host"
        )


def test_five_redirects_are_followed_and_no_more() -> None:
    def count_down(asked: Asked) -> Answer:
        left = int(asked.path[1:])
        return Answer(302, b"", {"Location": f"/{left - 1}"}) if left else Answer(200, b"here")

    with Web(count_down) as web:
        assert fetch_text(f"{web.url}/5", allow_private=True) == "here"
        assert refusal(f"{web.url}/6", allow_private=True) == (
            f"{web.url}/6: redirects more than 5 times; give the address where it ends"
        )


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_too_large_is_given_up_and_leaves_nothing(declared: bool, tmp_path: Path) -> None:
    headers = {} if declared else {"Content-Length": ""}
    wanted = Wanted(tmp_path / "file", 1000, time.monotonic() + 9)
    with Web(lambda _: Answer(200, b"x" * 1001, headers)) as web, pytest.raises(FetchError) as raised:
        fetch_public(f"{web.url}/x", wanted, lambda _: True)
    assert str(raised.value) == f"{web.url}/x: is larger than 1000 bytes, the most that is fetched"
    assert not (tmp_path / "file").exists()


def test_what_takes_too_long_is_given_up() -> None:
    with Web(lambda _: Answer(200, b"x", pause_s=0.05, times=100)) as web:
        assert refusal(f"{web.url}/x", allow_private=True, timeout_s=0.3) == (
            f"{web.url}/x: was not here in time; raise `media.timeout` of the recipe, or make it smaller"
        )


def test_packed_answers_are_refused_before_they_unpack() -> None:
    with Web(lambda _: Answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"})) as web:
        assert refusal(f"{web.url}/x", allow_private=True) == (
            f"{web.url}/x: comes packed as gzip although it was asked for as it is; serve it unpacked"
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
        ("ftp://host/x", "ftp://host/x: expected http, https, data, or a path of Label Studio's, got ftp"),
        (
            "s3://bucket/x.txt",
            "s3://bucket/x.txt: lies in a cloud storage, which Label Studio reads for lsml; set LABEL_STUDIO_URL and "
            "LABEL_STUDIO_API_KEY, or let the storage make pre-signed http addresses",
        ),
        ("http://", "http://: leads to http://; expected http or https and a host"),
        ("http://a:b/", "http://a:b/: is no URL (Port could not be cast to integer value as 'b')"),
        ("http://[::1/", "http://[::1/: is no URL (Invalid IPv6 URL)"),
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

    def fetch(self, url: str, wanted: Wanted) -> Received | None:
        self.asked.append((url, wanted.max_bytes))
        wanted.destination.write_bytes(self.content)
        return Received(len(self.content), hashlib.sha256(self.content).hexdigest(), self.content_type)


def test_another_port_is_another_host() -> None:
    keeps = Keeps(b"the token would go to another program")
    found = refusal("http://127.0.0.1:9/x", studio=keeps)
    assert found == f"http://127.0.0.1:9/x: the host 127.0.0.1 is at 127.0.0.1, {ELSEWHERE}"
    assert keeps.asked == []


def test_what_label_studio_keeps_cannot_be_had_without_a_token() -> None:
    assert refusal("/data/upload/1/a.txt") == (
        "/data/upload/1/a.txt: is kept by Label Studio; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, so that lsml "
        "can ask for it"
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
    outside = "is no file in the folders that lsml may read; name its folder in `media.folders` of the recipe"
    for path in (tmp_path / "secret.txt", allowed / ".." / "secret.txt", allowed / "link.txt"):
        assert refusal(str(path), folders=[allowed]) == f"{path}: {outside}"
        assert refusal(str(path)) == f"{path}: {outside}"
        assert fetch_text(str(path), anywhere=True) == "outside"


def test_a_local_path_that_holds_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path), anywhere=True) == f"{tmp_path}: there is no such file"
    assert refusal("a\0b", anywhere=True) == "a b: is no path; expected a URL or the path of a file"


def test_a_local_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 11)
    found = refusal(str(tmp_path / "a.txt"), anywhere=True, file=10)
    assert found == f"{tmp_path / 'a.txt'}: is larger than 10 bytes, the most that is fetched"


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


def test_threads_hold_the_cache_one_after_the_other_and_at_once() -> None:
    cache = MediaCache(cache_directory("media"), 1 << 20)

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
