"""What weights can do is read from their file, without ultralytics or torch; what fits which tag follows from it."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
import zipfile

import pytest
import yaml

from lsml.adapters.base import Target
from lsml.adapters.image.yolo import Yolo
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.image.yolo.weights import WeightsInfo, architecture_for, info_of
from lsml.adapters.parts.weight_files import VARIABLE, find_weights
from lsml.binding import bind
from lsml.errors import AdapterError, RecipeError
from lsml.labeling import ControlTag, ObjectTag, parse_labeling_config
from lsml.prediction import Predictor, predict_tasks
from lsml.recipe import load_recipe
from lsml.store import LOCAL
from lsml.versions import model_version
from tests.conftest import write_recipe
from tests.support.commands import lsml, said
from tests.support.fetching import no_fetch

PHOTO = ObjectTag("Image", "photo", "$photo")
NAMES = {0: "person", 1: "car", 2: "hot dog"}
CHOICES = """<View><Image name="photo" value="$photo"/><Choices name="what" toName="photo">
<Choice value="Car"/><Choice value="Dog"/></Choices></View>"""


def write_onnx(path, **metadata):
    """A file that is an ONNX model in its metadata alone, after a graph of some bytes."""

    def field(number, content):
        length, head = len(content), b""
        while length > 127:
            head, length = head + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + head + bytes([length]) + content

    entries = (field(14, field(1, key.encode()) + field(2, str(value).encode())) for key, value in metadata.items())
    path.write_bytes(bytes([1 << 3, 8]) + field(7, b"\0" * 300) + b"".join(entries))
    return path


def write_openvino(folder, **metadata):
    folder.mkdir()
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return folder


def write_checkpoint(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", content)
    return path


def checkpoint(monkeypatch, kind, **model):
    """A pickle as ultralytics writes it: of a class that is not there when it is read."""
    module = types.ModuleType("ultralytics_stand_in")
    model_class = type(kind, (), {"__module__": module.__name__})
    setattr(module, kind, model_class)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    one = model_class()
    one.__dict__.update(model)
    content = pickle.dumps({"model": one, "train_args": {"imgsz": 320}}, protocol=2)
    monkeypatch.delitem(sys.modules, module.__name__)
    return content


def test_an_onnx_file_says_its_task_classes_and_size(tmp_path):
    path = write_onnx(tmp_path / "model.onnx", task="detect", names=NAMES, imgsz=[320, 640], stride=32)
    assert info_of(str(path)) == WeightsInfo("detect", ("person", "car", "hot dog"), 0, 640)


def test_an_openvino_folder_says_its_task_classes_and_points(tmp_path):
    folder = write_openvino(tmp_path / "model_openvino_model", task="pose", names={0: "person"}, kpt_shape=[17, 3])
    assert info_of(str(folder)) == WeightsInfo("pose", ("person",), 17)


def test_a_checkpoint_says_its_task_classes_and_architecture(tmp_path, monkeypatch):
    content = checkpoint(monkeypatch, "OBBModel", names=NAMES, yaml={"yaml_file": "/somewhere/yolov8n-obb.yaml"})
    path = write_checkpoint(tmp_path / "best.pt", content)
    assert info_of(str(path)) == WeightsInfo("obb", ("person", "car", "hot dog"), 0, 320, "yolov8n-obb.yaml")


def test_reading_a_checkpoint_runs_none_of_its_code(tmp_path):
    trace = tmp_path / "was-run"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    path = write_checkpoint(tmp_path / "evil.pt", pickle.dumps({"model": Evil()}))
    with pytest.raises(AdapterError):
        info_of(str(path))
    assert not trace.exists()


@pytest.mark.parametrize(
    "content", [b"", b"no weights at all", b"\x80\x02}q\x00."], ids=["empty", "something else", "half a pickle"]
)
@pytest.mark.parametrize("name", ["weights.pt", "weights.onnx"])
def test_what_is_no_weights_is_refused_with_a_sentence(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AdapterError, match=r"cannot be read as YOLO weights: \w+; expected a \.pt or \.onnx file"):
        info_of(str(path))


def test_weights_are_found_by_their_path_or_in_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "yolo11n.pt").touch()
    (tmp_path / "mine.pt").touch()
    assert find_weights("yolo11n.pt") == tmp_path / "shared" / "yolo11n.pt"
    assert find_weights(str(tmp_path / "mine.pt")) == tmp_path / "mine.pt"
    assert find_weights("yolo11s.pt") is None


def test_an_architecture_of_another_task_keeps_family_and_size():
    assert architecture_for("detect", WeightsInfo("obb", architecture="yolov8n-obb.yaml")) == "yolov8n.yaml"
    assert architecture_for("segment", WeightsInfo("detect", architecture="yolo11m.yaml")) == "yolo11m-seg.yaml"
    with pytest.raises(AdapterError, match="do not name their architecture"):
        architecture_for("segment", WeightsInfo("detect"))


@pytest.mark.parametrize(
    ("tag", "weights", "task", "fitting"),
    [
        ("RectangleLabels", "yolo11n.pt", "auto", True),
        ("RectangleLabels", "yolo11n-obb.pt", "auto", True),
        ("RectangleLabels", "yolo11n-seg.pt", "auto", True),
        ("RectangleLabels", "yolo11n-cls.pt", "auto", False),
        ("PolygonLabels", "yolo11n-seg.pt", "auto", True),
        ("PolygonLabels", "yolo11n.pt", "auto", False),
        ("PolygonLabels", "yolo11n.pt", "segment", True),
        ("BrushLabels", "yolo11n-pose.pt", "auto", False),
        ("BitmaskLabels", "yolo11n-seg.pt", "auto", True),
        ("KeyPointLabels", "yolo11n-pose.pt", "auto", True),
        ("KeyPointLabels", "yolo11n.yaml", "auto", False),
        ("Choices", "yolo11n-cls.pt", "auto", True),
        ("Choices", "yolo11n.pt", "classify", True),
        ("Choices", "yolo11n.pt", "auto", False),
        ("PolygonLabels", None, "auto", True),
        ("Choices", None, "auto", True),
    ],
)
def test_the_task_of_the_weights_must_give_what_the_tag_takes(tag, weights, task, fitting):
    options = YoloOptions(weights=weights, task=task)
    refusal = Yolo.refusal(options, ControlTag(tag, "one", ("photo",)), PHOTO)
    assert (refusal is None) == fitting


def test_weights_of_another_task_are_refused_with_those_that_would_fit():
    refusal = Yolo.refusal(YoloOptions(weights="yolo11n.pt"), ControlTag("KeyPointLabels", "joints", ("photo",)), PHOTO)
    assert refusal == (
        "KeyPointLabels#joints takes points, and weights yolo11n.pt are for detect, which gives boxes, tracks of boxes; use "
        "weights such as yolo11n-pose.pt"
    )


def test_tracks_are_for_videos_and_all_else_for_images():
    film = ObjectTag("Video", "film", "$film")
    assert Yolo.refusal(YoloOptions(), ControlTag("VideoRectangle", "box", ("film",)), film) is None
    assert Yolo.refusal(YoloOptions(), ControlTag("Choices", "what", ("film",)), film) == (
        "Choices#what: yolo finds labels in images, but this tag is for Video"
    )


def test_a_class_that_the_weights_do_not_have_is_refused_with_one_that_is_near(tmp_path):
    path = write_onnx(tmp_path / "model.onnx", task="detect", names=NAMES)
    options = YoloOptions(weights=str(path), classes=["persn"])
    refusal = Yolo.refusal(options, ControlTag("RectangleLabels", "box", ("photo",)), PHOTO)
    assert refusal == (
        f"RectangleLabels#box: options.classes has `persn`, which is not a class of {path}; did you mean `person`?"
    )


def test_weights_that_are_not_there_make_it_abstain_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path))
    target = Target(("Car",), kinds={"box": ("Car",)})
    adapter = Yolo(YoloOptions(), target)
    assert not adapter.ready
    assert adapter.predict([tmp_path / "photo.jpg"]) == [[]]
    assert Yolo.lacks(YoloOptions(), target) == (
        "weights yolo11n.pt are not on this machine; download them once: lsml fetch RECIPE"
    )
    assert Yolo.lacks(YoloOptions(weights="mine/best.pt"), target) == (
        "weights mine/best.pt do not exist; expected a .pt or .onnx file or an OpenVINO folder, relative to the recipe"
    )
    assert Yolo.lacks(YoloOptions(download=True), target) is None


def test_an_architecture_and_a_start_for_another_task_answer_once_they_have_learnt(tmp_path):
    target = Target(("Car",), kinds={"box": ("Car",)})
    assert Yolo.lacks(YoloOptions(weights="yolo11n.yaml"), target) == (
        "weights yolo11n.yaml are an architecture with random weights; it predicts once it is trained"
    )
    path = write_onnx(tmp_path / "model.onnx", task="obb", names=NAMES)
    assert Yolo.lacks(YoloOptions(weights=str(path), task="detect"), target) == (
        "weights model.onnx are for obb, and detect is trained from them; it predicts once it is trained"
    )


def of_weights(folder, **names):
    """A recipe for photos with classify weights beside it."""
    write_onnx(folder / "model.onnx", task="classify", names=NAMES)
    labels = f", labels: {names['labels']}" if names else ""
    tags = "tags:\n  Choices: {adapter: yolo, options: {weights: model.onnx}" + labels + "}\ntraining: false\n"
    return load_recipe(write_recipe(folder, tags, config=None))


def test_weights_are_found_beside_the_recipe_and_count_by_what_they_hold(tmp_path):
    config = parse_labeling_config(CHOICES)
    names = []
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        recipe = of_weights(tmp_path / folder)
        assert recipe.models[0].options.weights == str(tmp_path / folder / "model.onnx")
        names.append(model_version(bind(recipe, config), 0, None, LOCAL))
    assert names[0] == names[1]
    write_onnx(tmp_path / "there" / "model.onnx", task="classify", names={0: "Car", 1: "Dog"})
    assert model_version(bind(recipe, config), 0, None, LOCAL) != names[0]


def test_labels_of_which_no_class_is_known_are_a_warning_and_nothing_is_predicted(tmp_path):
    config = parse_labeling_config(CHOICES.replace("Car", "Ship"))
    binding = bind(of_weights(tmp_path), config)
    assert binding.warnings == (
        "no class of yolo is a label of Choices#what: the classes are person, car, hot dog, the labels Ship, Dog; map "
        "them under `labels`",
    )
    adapter = type("Pretrained", (), {"ready": True, "own_names": True, "only_interactive": False})()
    (outcome,) = predict_tasks(
        Predictor(binding, {"what:yolo": adapter}, no_fetch, "v0"), [{"data": {"photo": "a.jpg"}}]
    )
    assert outcome.prediction is None
    assert outcome.dropped == [
        ("untrained", "what:yolo: none of its classes matches a label; `lsml explain` shows both")
    ]


def test_a_tag_of_several_labels_is_told_that_classes_exclude_each_other(tmp_path):
    several = CHOICES.replace("<Choices ", '<Choices choice="multiple" ')
    assert several != CHOICES
    assert bind(of_weights(tmp_path), parse_labeling_config(several)).warnings[-1] == (
        "Choices#what: yolo predicts one label of an image, because its classes are mutually exclusive; images with "
        "several labels are not used for training"
    )
    boxes = '<View><Image name="i" value="$i"/><RectangleLabels name="b" toName="i" choice="multiple"><Label value="Car"/></RectangleLabels></View>'
    recipe = load_recipe(write_recipe(tmp_path, "tags: {RectangleLabels: yolo}\n", config=None))
    assert (
        "RectangleLabels#b: yolo is trained on every label of a region, but usually predicts only the likeliest"
        in bind(recipe, parse_labeling_config(boxes)).warnings
    )
    assert not any("exclude" in one for one in bind(of_weights(tmp_path), parse_labeling_config(CHOICES)).warnings)


def test_explain_shows_both_lists_side_by_side_with_near_matches(tmp_path):
    write_onnx(tmp_path / "model.onnx", task="classify", names=NAMES)
    (tmp_path / "recipe.yaml").write_text(
        "lsml: 1\nname: photos\ntags: {Choices: {adapter: yolo, options: {weights: model.onnx}}}\nlabeling_config: |\n"
        + "".join(f"  {line}\n" for line in CHOICES.splitlines())
    )
    lines = said(lsml("explain", "recipe.yaml", cwd=tmp_path)).splitlines()
    begin = lines.index("Choices#what: its labels, and the 3 classes of yolo")
    assert lines[begin + 1 : begin + 4] == [
        "    Car <- car",
        "    Dog <- no class; near: hot dog; name its classes under `labels`",
        "    no label <- person, hot dog",
    ]


def test_predicted_values_and_model_index_of_the_config_name_classes(tmp_path):
    config = parse_labeling_config(
        CHOICES.replace('value="Dog"', 'value="Dog" predicted_values="hot dog, puppy"').replace(
            'value="Car"', 'value="Car" predicted_values="person" model_index="2"'
        )
    )
    labels = config.controls[0].labels
    assert [label.predicted_values for label in labels] == [("person::2",), ("hot dog", "puppy")]
    (model,) = bind(of_weights(tmp_path), config).models
    assert model.classes.meanings(model.controls[0]) == {"Car": (), "Dog": ("hot dog",)}


def test_options_have_bounds(tmp_path):
    with pytest.raises(RecipeError, match="sha256: expected 64 hexadecimal digits"):
        load_recipe(write_recipe(tmp_path, "tags: {Choices: {adapter: yolo, options: {sha256: abc}}}", config=None))


def test_a_pickle_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("lsml.adapters.image.yolo.weights._MOST_PICKLE", 10)
    path = write_checkpoint(tmp_path / "large.pt", io.BytesIO(pickle.dumps({"model": list(range(100))})).getvalue())
    with pytest.raises(AdapterError, match="ValueError"):
        info_of(str(path))
