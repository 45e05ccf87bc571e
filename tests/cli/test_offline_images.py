"""`lsml train`, `evaluate` and `predict` on images that tasks name by path."""

from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest

from tests.conftest import write_recipe
from tests.media.test_fetching import exif
from tests.support.commands import lsml, said
from tests.support.drawings import COLOURS, discs

KINDS = """<View><Image name="image" value="$image"/><Choices name="kind" toName="image">{}</Choices></View>""".format(
    "".join(f'<Choice value="{colour}"/>' for colour in COLOURS)
)
TAGS = "tags:\n  Choices: image-classifier\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe and an export of images beside it, named by relative paths; one is stored on its side, one is broken."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "images").mkdir()
    made = discs(folder / "images", 24)
    with PIL.Image.open(made[0][0]) as image:
        image.convert("RGB").save(folder / "images" / "turned.jpg", exif=exif(6))
    (folder / "images" / "broken.png").write_bytes(made[1][0].read_bytes()[:500])
    paths = [(folder / "images" / "turned.jpg", made[0][1]), (folder / "images" / "broken.png", made[1][1]), *made[2:]]
    tasks = [
        {
            "id": number,
            "data": {"image": f"images/{path.name}"},
            "annotations": [
                {
                    "id": number,
                    "result": [
                        {"from_name": "kind", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
                    ],
                }
            ],
        }
        for number, (path, label) in enumerate(paths, 1)
    ]
    (folder / "export.json").write_text(json.dumps(tasks))
    write_recipe(folder, TAGS, config=KINDS)
    return folder


def test_images_by_relative_path_are_learnt_judged_and_predicted_from_any_folder(folder: Path, tmp_path: Path) -> None:
    recipe, export = folder / "triage.yaml", folder / "export.json"
    learnt = said(lsml("train", recipe, export, cwd=tmp_path))
    broken = "images/broken.png: is PNG that is broken or truncated ("
    assert "kind:image-classifier: 1 task could not be read (bad image), the first of them: task 2: " + broken in learnt
    judged = json.loads(said(lsml("evaluate", recipe, export, "--json", cwd=tmp_path)))
    assert judged["tasks"] == 23
    assert judged["tags"]["kind"]["value"] >= 0.9
    done = lsml("predict", recipe, export, "-o", tmp_path / "predictions.json", cwd=tmp_path)
    assert "23 of 24 tasks predicted" in said(done)
    assert f"  bad image, 1 time: task 2: {broken}" in done.stderr
    predictions = json.loads((tmp_path / "predictions.json").read_text())
    assert [bool(task["predictions"]) for task in predictions] == [True, False, *[True] * 22]


def test_a_server_reads_no_path_that_its_recipe_does_not_allow(folder: Path, tmp_path: Path, backend) -> None:
    path = str(folder / "images" / "turned.jpg")
    inside = TAGS + "media: {folders: [" + str(folder) + "]}\n"
    for text, count in ((TAGS, 0), (inside, 1)):
        one = backend(text, config=KINDS)
        fetch = one.app.extensions["lsml"].serving.bindings.fetch(
            "local", one.app.extensions["lsml"].serving.bindings.of("local", None)
        )
        found = []
        with fetch.hold() as held:
            try:
                found.append(held.image(path, {}))
            except Exception as error:
                assert str(error) == (
                    f"{path}: is not in a folder that lsml may read; add its folder to `media.folders` of the recipe"
                )
        assert len(found) == count


def test_a_folder_of_images_is_predicted(folder: Path, tmp_path: Path) -> None:
    said(lsml("train", folder / "triage.yaml", folder / "export.json", "--data-dir", "data", cwd=tmp_path))
    arguments = ("-o", "kinds.csv", "--data-dir", "data")
    done = lsml("predict", folder / "triage.yaml", folder / "images", *arguments, cwd=tmp_path)
    assert "25 of 26 tasks predicted" in said(done)
    rows = (tmp_path / "kinds.csv").read_text().splitlines()
    assert rows[0] == "image,kind,score,model_version"
    assert sum(row.split(",")[1] in COLOURS for row in rows[1:]) == 25
