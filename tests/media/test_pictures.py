"""Images and videos as annotators see them: in whatever form they are saved."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageDraw
import pytest

from lsml.labeling import ObjectTag
from lsml.labeling.objects import Unreadable, read_object
from lsml.media import Fetcher, MediaCache, Sources
from lsml.media.content import content_by_head
from lsml.recipe import Media
from tests.media.test_fetching import exif
from tests.support.fetching import Fetching

RED = (200, 30, 40)


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    cache = MediaCache(tmp_path / "cache", 10**9)
    return Fetcher(Media(), lambda: cache, Sources(Media(), anywhere=True))


def red(mode: str = "RGB") -> PIL.Image.Image:
    return PIL.Image.new("RGB", (24, 16), RED).convert(mode)


def clear(mode: str) -> PIL.Image.Image:
    """Red where it can be seen, and black below where it cannot."""
    image = PIL.Image.new("RGBA", (24, 16), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 12, 16))
    return image.convert(mode)


def deep() -> PIL.Image.Image:
    return PIL.Image.fromarray(np.full((16, 24), 128 * 257, np.uint16))


GREY = (128, 128, 128)
CASES: dict[str, tuple[PIL.Image.Image, str, dict[str, Any], tuple[int, int, int], bool]] = {
    # name: image, suffix, how it is saved, the colour on its left, whether it is used as it is
    "jpeg": (red(), ".jpg", {"quality": 95}, RED, True),
    "grey jpeg": (red("L"), ".jpeg", {}, (82, 82, 82), True),
    "cmyk jpeg": (red("CMYK"), ".jpg", {"quality": 95}, RED, False),
    "png": (red(), ".png", {}, RED, True),
    "palette": (red().quantize(8), ".png", {}, RED, True),
    "bilevel": (PIL.Image.new("1", (24, 16), 1), ".png", {}, (255, 255, 255), True),
    "opaque alpha": (red("RGBA"), ".png", {}, RED, True),
    "transparent": (clear("RGBA"), ".png", {}, RED, False),
    "transparent grey": (clear("LA"), ".png", {}, (82, 82, 82), False),
    "16 bits": (deep(), ".png", {}, GREY, False),
    "16 bits tiff": (deep(), ".tif", {}, GREY, False),
    "tiff": (red(), ".tiff", {"compression": "tiff_lzw"}, RED, False),
    "webp": (red(), ".webp", {"lossless": True}, RED, True),
    "transparent webp": (clear("RGBA"), ".webp", {"lossless": True}, RED, False),
    "gif": (red(), ".gif", {}, RED, False),
    "animated gif": (
        red().quantize(8),
        ".gif",
        {"save_all": True, "append_images": [PIL.Image.new("P", (24, 16))]},
        RED,
        False,
    ),
    "animated webp": (red(), ".webp", {"save_all": True, "lossless": True, "append_images": [red("L")]}, RED, False),
    "bmp": (red(), ".bmp", {}, RED, True),
    "progressive": (red(), ".jpg", {"progressive": True, "quality": 95}, RED, True),
}


@pytest.mark.parametrize("case", CASES)
def test_every_library_sees_what_annotators_see(case: str, tmp_path: Path, fetcher: Fetcher) -> None:
    image, suffix, how, colour, as_it_is = CASES[case]
    path = tmp_path / f"image{suffix}"
    image.save(path, **how)
    before = path.read_bytes()
    found = fetcher.image(str(path), {})
    assert found.size == (24, 16)
    assert (found.path == path) == as_it_is
    assert path.read_bytes() == before
    with PIL.Image.open(found.path) as opened:
        by_pillow = np.asarray(opened.convert("RGB"))
    by_opencv = cv2.imread(str(found.path), cv2.IMREAD_COLOR)[:, :, ::-1]
    for pixels in (by_pillow, by_opencv):
        assert pixels.shape == (16, 24, 3)
        assert np.abs(pixels[8, 3].astype(int) - colour).max() <= 8
        if "transparent" in case:
            assert tuple(pixels[8, 20]) == (255, 255, 255)


def test_what_is_named_like_another_kind_is_read_by_its_content(tmp_path: Path, fetcher: Fetcher) -> None:
    for name in ("image.png", "image", "image.txt"):
        red().save(tmp_path / name, format="JPEG")
        found = fetcher.image(str(tmp_path / name), {})
        assert found.path.suffix == ".jpg"
        assert cv2.imread(str(found.path)) is not None


def test_a_copy_is_made_once_and_keeps_its_colours(tmp_path: Path, fetcher: Fetcher) -> None:
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "image.jpg"
    red().save(path, icc_profile=profile, exif=exif(6), quality=95)
    first = fetcher.image(str(path), {})
    made = first.path.stat().st_ino
    assert fetcher.image(str(path), {}) == first
    again = Fetcher(Media(), lambda: MediaCache(tmp_path / "cache", 10**9), Sources(Media(), anywhere=True))
    assert again.image(str(path), {}) == first
    assert first.path.stat().st_ino == made
    with PIL.Image.open(first.path) as image:
        assert image.size == (16, 24) == first.size
        assert image.info["icc_profile"] == profile


def test_a_profile_for_ink_is_not_kept_where_colours_become_light(tmp_path: Path, fetcher: Fetcher) -> None:
    path = tmp_path / "image.jpg"
    red("CMYK").save(path, icc_profile=b"a profile for CMYK")
    with PIL.Image.open(fetcher.image(str(path), {}).path) as image:
        assert "icc_profile" not in image.info


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_is_passed_over_as_browsers_do(tmp_path: Path, fetcher: Fetcher) -> None:
    path = tmp_path / "image.jpg"
    red().save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert fetcher.image(str(path), {}) == (path, (24, 16))


def test_many_threads_that_want_a_copy_make_one(tmp_path: Path, fetcher: Fetcher) -> None:
    path = tmp_path / "image.jpg"
    red().save(path, exif=exif(3))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(fetcher.image(str(path), {}))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff\xe1", "JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV"),
        (b"\0\0\0\x18ftypmp42", "MP4 or QuickTime"),
        (b"\0\0\0\x1cftypavif", "AVIF"),
        (b"\x1aE\xdf\xa3", "Matroska or WebM"),
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML>", "an HTML page"),
        (b"<?xml version='1.0'?>\n<Error><Code>AccessDenied", "XML"),
        (b"<?xml version='1.0'?>\n<svg", "an SVG drawing"),
        (b' {"detail": "no"}', "JSON"),
        (b"%PDF-1.7", "a PDF document"),
        (b"some text", "of an unknown type"),
    ],
)
def test_content_is_known_by_how_it_begins(head: bytes, name: str) -> None:
    assert content_by_head(head).name == name


# Lists of images, videos, audio


def read(tag: ObjectTag, data: dict[str, Any], fetch: Any) -> Any:
    return read_object(tag, {"id": 7, "data": data}, fetch)


def test_a_list_of_images_has_a_page_for_each_and_one_image_has_none(tmp_path: Path, fetcher: Fetcher) -> None:
    for number in range(3):
        PIL.Image.new("RGB", (10 + number, 10)).save(tmp_path / f"{number}.png")
    names = [str(tmp_path / f"{number}.png") for number in range(3)]
    pages = read(ObjectTag("Image", "image", "$images"), {"images": names}, fetcher)
    assert [(page.item, page.size) for page in pages] == [(0, (10, 10)), (1, (11, 10)), (2, (12, 10))]
    [page] = read(ObjectTag("Image", "image", "$images"), {"images": names[0]}, fetcher)
    assert (page.item, page.size, page.data) == (None, (10, 10), Path(names[0]))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "Image#image shows $image, which is an empty list in this task"),
        ("", "Image#image shows $image, which is empty in this task; expected a URL or a path"),
        (7, "Image#image shows $image, which is a number in this task; expected a URL or a path"),
        ([None], "Image#image shows $image, which is nothing in this task; expected a URL or a path"),
    ],
)
def test_what_is_no_image_in_a_task_is_a_sentence(value: Any, sentence: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(ObjectTag("Image", "image", "$image"), {"image": value}, Fetching())
    assert str(raised.value) == sentence


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds at 10 frames a second, 64 x 48 pixels."""
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    for number in range(20):
        writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    ("attributes", "data", "rate"),
    [
        ({}, {}, 24.0),
        ({"frameRate": "25"}, {}, 25.0),
        ({"frameRate": "29.97"}, {}, 29.97),
        ({"frameRate": "$fps"}, {"fps": 30}, 30.0),
        ({"frameRate": "$fps"}, {"fps": "12.5"}, 12.5),
        ({"frameRate": "$fps"}, {}, 24.0),
        ({"frameRate": "0.04"}, {}, 25.0),
        ({"frameRate": "fast"}, {}, 24.0),
        ({"frameRate": "0"}, {}, 24.0),
        ({"frameRate": "inf"}, {}, 24.0),
    ],
)
def test_a_video_counts_frames_as_the_editor_does(
    attributes: dict[str, str], data: dict[str, Any], rate: float, film: Path, fetcher: Fetcher
) -> None:
    tag = ObjectTag("Video", "video", "$video", attributes)
    [shown] = read(tag, {"video": str(film), **data}, fetcher)
    assert (shown.data, shown.size) == (film, (64, 48))
    assert shown.film.frame_rate == pytest.approx(rate)
    assert shown.film.duration_s == pytest.approx(2.0, abs=0.01)
    assert shown.film.frames == round(2.0 * rate)


def test_a_video_that_is_none_is_a_sentence(tmp_path: Path, film: Path, fetcher: Fetcher) -> None:
    picture = tmp_path / "a.mp4"
    red().save(picture, format="PNG")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(film.read_bytes()[:200])
    for path, sentence in ((picture, "is PNG, not a video"), (cut, "is MP4 or QuickTime without a frame that")):
        with pytest.raises(Unreadable) as raised:
            fetcher.video(str(path), {})
        assert str(raised.value).startswith(f"{path}: {sentence}")


def test_audio_is_the_file_as_it_is(tmp_path: Path, fetcher: Fetcher) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    [shown] = read(ObjectTag("Audio", "audio", "$audio"), {"audio": str(path)}, fetcher)
    assert shown.data == path


def test_parts_of_an_image_stand_upright_and_are_cut_out_once(tmp_path: Path, fetcher: Fetcher) -> None:
    image = PIL.Image.new("RGB", (40, 30), "blue")
    PIL.ImageDraw.Draw(image).polygon([(20, 0), (30, 10), (20, 20), (10, 10)], fill="red")  # a square on its corner
    PIL.ImageDraw.Draw(image).line([(20, 0), (30, 10)], fill="lime", width=3)
    image.save(tmp_path / "a.png")
    outlines = [
        ((20.0, 0.0), (30.0, 10.0), (20.0, 20.0), (10.0, 10.0)),
        ((0.0, 20.0), (8.0, 20.0), (8.0, 30.0), (0.0, 30.0)),
        ((38.0, 28.0), (44.0, 28.0), (44.0, 34.0), (38.0, 34.0)),
    ]
    with fetcher.hold() as held:
        picture = held.image(str(tmp_path / "a.png"), {})
        turned, upright, beyond = held.crops(picture, [*outlines, outlines[0]])[:3]
        assert [PIL.Image.open(path).size for path in (turned, upright, beyond)] == [(14, 14), (8, 10), (6, 6)]
        assert PIL.Image.open(turned).getpixel((7, 10)) == (255, 0, 0)
        assert PIL.Image.open(turned).getpixel((7, 0)) == (0, 255, 0)  # its first side is on top
        assert PIL.Image.open(upright).getpixel((4, 5)) == (0, 0, 255)
        assert PIL.Image.open(beyond).getpixel((5, 5)) == (255, 255, 255)
        made = turned.stat().st_ino
        assert held.crops(picture, outlines[:1]) == [turned] and turned.stat().st_ino == made
        assert held.crops(picture, []) == []
