"""YOLO on real weights that a package ships: what it finds, learns, exports and follows."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from lsml.adapters.base import Example, Target
from lsml.adapters.image.yolo import Yolo
from lsml.adapters.image.yolo.calibrating import with_calibration
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.parts.found_objects import LEAST_SCORE
from lsml.errors import AdapterError, Cancelled, NotEnoughData, VersionError
from lsml.metrics.calibration import calibration
from lsml.values import Box, Choice, Keyframe, KeyPoint, Mask, Polygon, Track
from lsml.values.coverage import overlaps
from tests.support import worlds
from tests.support.cases import FIBRILS, YOLO

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]
DETECT, OBB, SEGMENT, POSE, CLASSIFY = YOLO
BOXES = Target(("fibril",), multiple=True, kinds={"box": ("fibril",)})


def adapter(target=BOXES, **options):
    return Yolo(msgspec.convert({"weights": str(FIBRILS), "imgsz": 96, **options}, YoloOptions), target)


def make(folder):
    folder.mkdir()
    return folder


def saved(case, folder):
    """The version of a case's trained model, on disk."""
    case.ready().save(make(folder))
    return folder


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """Four pictures of different sizes, in which weights for fibrils find this and that."""
    folder = tmp_path_factory.mktemp("noise")
    generator = np.random.default_rng(1)
    paths = []
    for number, (width, height) in enumerate([(96, 96), (160, 90), (90, 160), (96, 96)]):
        image = cv2.GaussianBlur(generator.integers(0, 255, (height, width, 3), dtype=np.uint8), (0, 0), 2)
        for _ in range(6):
            start, end = (tuple(int(n) for n in generator.integers(5, 85, 2)) for _ in range(2))
            cv2.line(image, start, end, (230, 230, 230), 2)
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def recall(case, kind, alike):
    """The share of what the case's examples have that its model finds, at a score of 0.25 on."""
    found = total = 0
    answers = case.ready().predict([example.data for example in case.examples])
    for example, values in zip(case.examples, answers, strict=True):
        for truth in example.values:
            if isinstance(truth, kind):
                total += 1
                found += any(isinstance(v, kind) and v.label == truth.label and alike(v, truth) for v in values)
    return found / total


@pytest.mark.parametrize(
    ("case", "kind"), [(DETECT, Box), (OBB, Box), (SEGMENT, Polygon)], ids=["detect", "obb", "segment"]
)
def test_shapes_of_an_easy_world_are_learnt_from_weights_for_something_else(case, kind):
    assert recall(case, kind, lambda one, other: worlds.overlap(one, other) > 0.5) > 0.6


def test_poses_of_an_easy_world_are_learnt():
    near = 0.12  # of the picture; the ends of a shape are twice as far apart
    assert recall(POSE, KeyPoint, lambda one, other: np.hypot(one.x - other.x, one.y - other.y) < near) > 0.5


def test_a_pose_and_its_box_are_of_one_group():
    for values in POSE.ready().predict(list(POSE.batch)):
        boxes = {value.group for value in values if isinstance(value, Box)}
        assert None not in boxes
        assert {value.group for value in values if isinstance(value, KeyPoint)} <= boxes


def test_a_classifier_answers_every_label_and_they_sum_to_one():
    for values in CLASSIFY.ready().predict(list(CLASSIFY.batch)):
        assert [value.label for value in values] == ["blue", "red"]
        assert sum(value.score for value in values) == pytest.approx(1, abs=1e-4)
    assert recall(CLASSIFY, Choice, lambda one, _: one.score > 0.5) > 0.9


def test_masks_and_outlines_are_of_the_same_things(tmp_path):
    both = Target(("blue", "red"), multiple=True, kinds={"mask": ("blue", "red"), "polygon": ("blue", "red")})
    model = Yolo(SEGMENT.ready().options, both)
    model.load(saved(SEGMENT, tmp_path / "version"))
    values = model.predict([SEGMENT.batch[1]])[0]
    masks, polygons = ([v for v in values if isinstance(v, kind)] for kind in (Mask, Polygon))
    assert masks and len(masks) == len(polygons)
    assert (masks[0].width, masks[0].height) == (worlds.SIZE, worlds.SIZE)
    assert worlds.overlap(masks[0], polygons[0]) > 0.8


def test_weights_of_the_recipe_answer_with_their_own_names_and_rotated_boxes(noise):
    model = adapter(confidence=0.001)
    assert model.ready and model.own_names
    assert Yolo.class_names(model.options, BOXES) == {"box": ("tau-fibrils",)}
    values = [value for found in model.predict(noise) for value in found]
    assert values and {value.label for value in values} == {"tau-fibrils"}
    assert all(isinstance(value, Box) and 0 <= value.rotation < 360 for value in values)
    assert any(value.rotation for value in values)


def test_what_is_found_does_not_depend_on_the_sizes_of_the_other_pictures(noise):
    model = adapter(batch=4)
    together = model.predict(noise)
    assert any(together)
    alone = [model.predict([path])[0] for path in noise]
    assert [len(found) for found in together] == [len(found) for found in alone]
    for ours, theirs in zip(together, alone, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert [one.x, one.y, one.score] == pytest.approx([other.x, other.y, other.score], abs=1e-3)


def test_thresholds_below_a_quarter_apply(tmp_path):
    model = Yolo(msgspec.structs.replace(DETECT.ready().options, confidence=0.001), DETECT.target)
    model.load(saved(DETECT, tmp_path / "version"))
    low, high = (model.predict_above(list(DETECT.batch), floor) for floor in (0.01, 0.25))
    assert sum(map(len, low)) > sum(map(len, high)) > 0
    assert min(value.score for found in low for value in found) < 0.25
    assert min(value.score for found in high for value in found) >= 0.25


def test_it_finds_what_the_library_finds(noise):
    from ultralytics import YOLO as Library

    expected = Library(str(FIBRILS)).predict(str(noise[1]), imgsz=96, conf=0.001, verbose=False)[0].obb
    found = adapter().predict([noise[1]])[0]
    assert found and len(found) == len(expected)
    assert [value.score for value in found] == pytest.approx(expected.conf.tolist(), abs=1e-3)
    corner = expected.xyxyxyxy[0].numpy() / [160, 90]
    box = found[0]
    assert min(np.hypot(*(point - [box.x, box.y])) for point in corner) < 1e-3


def test_equal_models_share_their_weights(noise):
    one, other = adapter(), adapter()
    one.predict(noise[:1])
    other.predict(noise[:1])
    assert one._engine is other._engine


def test_a_file_with_another_hash_is_not_loaded(noise):
    with pytest.raises(
        AdapterError, match=r"has SHA-256 [0-9a-f]{64}, and options.sha256 expects 0{64}; it is not loaded"
    ):
        adapter(sha256="0" * 64).predict(noise[:1])


def test_a_server_that_warms_up_imports_the_library_as_everybody_else_does():
    code = (
        "import os, sys, threading\n"
        "from lsml.adapters.image.yolo import Yolo\n"
        "from lsml.adapters.image.yolo.library import ultralytics\n"
        "threads = [threading.Thread(target=what) for what in (Yolo.import_library, ultralytics, ultralytics)]\n"
        "for thread in threads: thread.start()\n"
        "ultralytics().YOLO\n"
        "for thread in threads: thread.join()\n"
        "assert 'OMP_NUM_THREADS' not in os.environ\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_library_leaves_the_process_as_it_was():
    code = (
        "import os, json, cv2, torch\n"
        "before, threads, ours = dict(os.environ), cv2.getNumThreads(), torch.get_num_threads()\n"
        "from lsml.adapters.image.yolo.library import ultralytics\n"
        "ultralytics()\n"
        "print(json.dumps([dict(os.environ) == before, cv2.getNumThreads() == threads, torch.get_num_threads() == ours]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, True, True]
    assert done.stderr == ""


def test_nothing_of_the_network_is_touched(tmp_path, noise):
    """Loading, predicting, learning: with a socket that fails, all goes on."""
    code = (
        "import socket, sys, json, pathlib\n"
        "def refuse(*_, **__): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from lsml.adapters.base import Target, Example\n"
        "from lsml.adapters.image.yolo import Yolo\n"
        "from lsml.values import Box\n"
        "paths = [pathlib.Path(path) for path in json.loads(sys.argv[2])]\n"
        "target = Target(('a',), kinds={'box': ('a',)})\n"
        "model = Yolo(Yolo.Options(weights=sys.argv[1], task='detect', imgsz=64, epochs=1, train_batch=2), target)\n"
        "model.fit([Example(path, (Box('a', x=.2, y=.2, width=.5, height=.5),)) for path in paths], 1)\n"
        "model.predict(paths)\n"
    )
    environment = {**os.environ, "LSML_CACHE_DIR": str(tmp_path)}
    given = json.dumps([str(path) for path in noise])
    done = subprocess.run(
        [sys.executable, "-c", code, str(FIBRILS), given], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not list((tmp_path / "yolo").iterdir()), "the dataset was left behind"


def test_random_weights_abstain_until_they_learnt_and_that_is_said(caplog, tmp_path):
    target = Target(("blue", "red"), kinds={"box": ("blue", "red")})
    model = adapter(target, weights="yolov8n.yaml", imgsz=64, epochs=1, train_batch=4)
    assert not model.ready and model.predict([DETECT.batch[0]]) == [[]]
    with caplog.at_level(logging.WARNING):
        model.fit(list(DETECT.examples)[:8], 1)
    assert "starts from random weights (yolov8n.yaml)" in caplog.text
    assert model.ready and not model.own_names
    assert model.notes == ("trained from random weights (yolov8n.yaml); pretrained weights need far fewer examples",)


def test_a_cancelled_training_stops_at_once_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path))
    model = adapter(DETECT.target, task="detect", epochs=500, train_batch=4)
    steps = []

    def progress(share, message):
        steps.append((share, message))
        if message.startswith("epoch 2"):
            raise Cancelled("enough")

    began = time.monotonic()
    with pytest.raises(Cancelled):
        model.fit(list(DETECT.examples)[:8], 1, progress)
    assert time.monotonic() - began < 60
    assert not model.ready
    assert not list((tmp_path / "yolo").iterdir())
    shares = [share for share, _ in steps]
    assert shares == sorted(shares) and steps[-1][1] == "epoch 2 of 500"


def test_training_stops_early_where_it_gets_no_better(monkeypatch):
    """The rate is so small that nothing changes; a tenth of the examples judges."""
    model = adapter(DETECT.target, task="detect", epochs=200, patience=2, learning_rate=1e-9, imgsz=32, train_batch=16)
    epochs = set()
    model.fit(worlds.shape_examples("box", 40, seed=3), 1, lambda _share, message: epochs.add(message))
    assert sum(message.startswith("epoch") for message in epochs) < 20


def test_more_can_be_learnt_than_the_weights_knew_and_layers_can_be_frozen():
    labels = ("blue", "red", "never drawn")
    target = Target(labels, kinds={"box": labels})
    model = adapter(target, task="detect", epochs=1, freeze=10, imgsz=64, train_batch=8)
    model.fit(list(DETECT.examples)[:8], 1)
    from ultralytics import YOLO as Library

    start = Library(str(FIBRILS)).model.float().state_dict()
    learnt = model._learnt.module.state_dict()
    frozen = [
        name
        for name in learnt
        if name.startswith(tuple(f"model.{layer}." for layer in range(10))) and "conv.weight" in name
    ]
    assert frozen and all(np.allclose(learnt[name], start[name], atol=1e-6) for name in frozen)
    assert model._learnt.module.names == dict(enumerate(labels))


@pytest.mark.parametrize("labels", [DETECT.target.labels, (*DETECT.target.labels, "new")], ids=["alike", "more"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_training_goes_on_from_a_saved_version_where_the_recipe_says_so(tmp_path, resume, labels):
    target = Target(labels, multiple=True, kinds={"box": labels})
    model = adapter(target, task="detect", resume=resume, epochs=1, learning_rate=1e-9, imgsz=64, train_batch=8)
    assert model.resumes == resume
    model.load(saved(DETECT, tmp_path / "version"))
    before = {name: tensor.clone() for name, tensor in DETECT.ready()._learnt.module.state_dict().items()}
    model.fit(list(DETECT.examples)[:8], 1)
    after = model._learnt.module.state_dict()
    backbone = [name for name in after if name.startswith("model.0.") and name.endswith("conv.weight")]
    assert backbone and all(np.allclose(after[name], before[name], atol=1e-6) == resume for name in backbone)
    assert model._learnt.goal.labels == labels


def test_exported_weights_are_served_and_cannot_learn(tmp_path, noise, monkeypatch):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path))
    torch_model, fast = adapter(), adapter(accelerate="onnx")
    expected = torch_model.predict(noise)
    assert [len(found) for found in fast.predict(noise)] == [len(found) for found in expected]
    (exported,) = (tmp_path / "exports").rglob("model.onnx")
    served = adapter(weights=str(exported))
    for ours, theirs in zip(served.predict(noise), expected, strict=True):
        assert [value.score for value in ours] == pytest.approx([value.score for value in theirs], abs=0.02)
    with pytest.raises(AdapterError, match=r"was exported for serving and cannot be trained; give the \.pt file"):
        served.fit([*OBB.examples][:4], 1)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_an_accelerated_model_answers_as_torch_does_and_is_exported_once(runtime, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
    folder = saved(DETECT, tmp_path / "version")
    expected = DETECT.ready().predict(list(DETECT.batch))
    for _ in range(2):
        model = Yolo(msgspec.structs.replace(DETECT.ready().options, accelerate=runtime), DETECT.target)
        model.load(folder)
        with caplog.at_level(logging.INFO):
            found = model.predict(list(DETECT.batch))
        assert f"served by {runtime}, with the same results as torch on 3 images" in caplog.text
        assert [[value.label for value in values] for values in found] == [
            [v.label for v in values] for values in expected
        ]
    exports = list((tmp_path / "cache" / "exports").rglob("model.onnx" if runtime == "onnx" else "*.xml"))
    assert len(exports) == 1


def test_a_runtime_that_answers_otherwise_is_left_with_a_warning(tmp_path, monkeypatch, caplog):
    """The export of another model takes the place of the right one."""
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
    model = Yolo(msgspec.structs.replace(DETECT.ready().options, accelerate="onnx"), DETECT.target)
    model.load(saved(DETECT, tmp_path / "version"))
    from lsml.adapters.image.yolo.accelerate import Accelerated

    engine = model._engine
    assert isinstance(engine, Accelerated)
    from ultralytics import YOLO as Library

    other = Library("yolov8n.yaml").model
    other.names = {0: "blue", 1: "red"}
    engine._module = lambda: other
    expected = DETECT.ready().predict(list(DETECT.batch))
    with caplog.at_level(logging.WARNING):
        found = model.predict(list(DETECT.batch))
    assert "onnx finds only" in caplog.text and "so torch serves" in caplog.text
    assert [len(values) for values in found] == [len(values) for values in expected]


def test_a_runtime_that_is_not_there_is_left_with_what_to_install(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = adapter(accelerate="onnx")
    with caplog.at_level(logging.WARNING):
        model.predict([DETECT.batch[0]])
    assert "onnx cannot serve the model" in caplog.text and "is lsml[onnx] installed?" in caplog.text


def test_a_version_is_tensors_and_a_plan_and_a_changed_one_is_refused(tmp_path):
    folder = saved(CLASSIFY, tmp_path / "version")
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    plan = json.loads((folder / "model.json").read_text())
    assert (plan["task"], plan["labels"]) == ("classify", ["blue", "red"])
    (folder / "model.json").write_text(json.dumps({**plan, "labels": ["blue", "red", "green"]}))
    with pytest.raises(VersionError, match="yolo cannot read it with ultralytics .*train again"):
        Yolo(CLASSIFY.ready().options, CLASSIFY.target).load(folder)


def shown(model, examples):
    """(score, right) of each object or label that a model answers from 0.05 on; of a pose, its box."""
    pairs = []
    for example, values in zip(examples, model.predict([example.data for example in examples]), strict=True):
        left = [value for value in example.values if not isinstance(value, KeyPoint)]
        values = [value for value in values if not isinstance(value, KeyPoint)]
        if isinstance(left[0] if left else None, Choice):
            best = max(values, key=lambda value: value.score)
            pairs.append((best.score, best.label == left[0].label))
            continue
        for value in sorted(values, key=lambda value: -value.score):
            hit = next(
                (one for one in left if one.label == value.label and overlaps([value], [one])[0, 0] >= 0.5), None
            )
            left = [one for one in left if one is not hit]
            pairs.append((value.score, hit is not None))
    return pairs


@pytest.mark.parametrize(
    ("case", "world"),
    [(DETECT, "box"), (OBB, "rotated"), (SEGMENT, "polygon"), (POSE, "pose"), (CLASSIFY, "choice")],
    ids=["detect", "obb", "segment", "pose", "classify"],
)
def test_scores_are_nearer_to_how_often_they_are_right_and_stay_so_in_a_version(case, world, tmp_path):
    options = msgspec.structs.replace(case.ready().options, confidence=0.05)
    model = Yolo(options, case.target)
    model.load(saved(case, tmp_path / "version"))
    held_out, others = worlds.shape_examples(world, 40, seed=5), worlds.shape_examples(world, 40, seed=6)
    before = shown(model, others)
    results = model._engine.results([example.data for example in held_out], model._asked(model._engine, LEAST_SCORE), 8)
    model._learnt = with_calibration(model._learnt, results, held_out)
    model.save(make(tmp_path / "calibrated"))
    loaded = Yolo(options, case.target)
    loaded.load(tmp_path / "calibrated")
    now = shown(loaded, others)
    assert [right for _, right in now] == [right for _, right in before], "the order stays, and so does what is found"
    # Where nearly all labels are right and sure, nothing is left to gain.
    assert calibration(now)["calibration_error"] < max(calibration(before)["calibration_error"], 0.03)
    first = others[0].data
    least = max(value.score for value in loaded.predict([first])[0])
    assert len(loaded.predict_above([first], least - 0.01)[0]) >= 1, "the floor is one of calibrated scores"


def test_images_that_are_alike_have_features_that_are_near_each_other(noise, tmp_path):
    image = cv2.imread(str(noise[0]))
    cv2.imwrite(str(tmp_path / "alike.png"), cv2.convertScaleAbs(image, beta=3))
    cv2.imwrite(str(tmp_path / "other.png"), np.full_like(image, 200))
    rows = adapter().features([noise[0], tmp_path / "alike.png", tmp_path / "other.png", noise[1]])
    assert rows.ndim == 2 and len(rows) == 4
    alike, other = (np.linalg.norm(rows[0] - rows[at]) for at in (1, 2))
    assert alike < 0.5 * other
    assert np.allclose(rows[3:], adapter().features([noise[1]]), atol=1e-5), "an image's features are its own"
    assert DETECT.ready().features([noise[0]]).shape[0] == 1, "those of a learnt model, too"
    assert adapter(weights="yolo11n.yaml").features([noise[0]]) is None, "nothing was learnt that could tell"


def film(path, frames, rate=10.0, hidden=()):
    """A red shape that goes from left to right and a blue one that stands; `hidden`: frames without the red one."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (worlds.SIZE, worlds.SIZE))
    truth = {}
    for number in range(frames):
        ground = np.random.default_rng(number).integers(170, 200, (worlds.SIZE, worlds.SIZE, 3), dtype=np.uint8)
        cv2.rectangle(ground, (52, 60), (82, 78), worlds.COLOURS["blue"], -1)
        left = 4 + number * 50 // frames
        if number not in hidden:
            cv2.rectangle(ground, (left, 16), (left + 30, 34), worlds.COLOURS["red"], -1)
            truth[number / rate] = left / worlds.SIZE
        writer.write(ground)
    writer.release()
    return path, truth


@pytest.fixture
def follower(tmp_path):
    kinds = {"track": ("blue", "red")}
    options = msgspec.structs.replace(DETECT.ready().options, confidence=0.1, new_track_thresh=0.4, track_error=0.03)
    model = Yolo(options, Target(("blue", "red"), kinds=kinds))
    model.load(saved(DETECT, tmp_path / "version"))
    return model


def test_objects_of_a_video_become_one_track_each(follower, tmp_path):
    path, truth = film(tmp_path / "film.avi", 30)
    (tracks,) = follower.predict([path])
    assert all(isinstance(track, Track) for track in tracks)
    longest = {
        label: max((t for t in tracks if t.label == label), key=lambda t: len(t.keyframes)) for label in ("red", "blue")
    }
    frames = longest["red"].keyframes
    assert not frames[-1].enabled and all(0 < track.score <= 1 for track in tracks)
    assert len(frames) < 20, "every frame is a keyframe"
    for time_s, left in truth.items():
        if frames[0].time_s <= time_s <= frames[-1].time_s:
            at = np.interp(time_s, [f.time_s for f in frames], [f.x for f in frames])
            assert abs(at - left) < 0.08


def test_trackers_are_never_shared_between_videos_or_threads(follower, tmp_path):
    one, _ = film(tmp_path / "one.avi", 12)
    other, _ = film(tmp_path / "other.avi", 16)
    expected = {path: follower.predict([path])[0] for path in (one, other)}
    assert follower.predict([one, other]) == [expected[one], expected[other]]
    found = []
    threads = [
        threading.Thread(target=lambda p=path: found.append((p, follower.predict([p])[0]))) for path in (one, other) * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(values == expected[path] for path, values in found)


def test_an_object_that_vanishes_for_a_while_keeps_its_track_with_a_gap(follower, tmp_path):
    path, _ = film(tmp_path / "film.avi", 30, hidden=range(13, 17))
    (tracks,) = follower.predict([path])
    red = max((t for t in tracks if t.label == "red"), key=lambda t: len(t.keyframes))
    closed = [frame.time_s for frame in red.keyframes if not frame.enabled]
    assert closed[-1] == red.keyframes[-1].time_s
    assert len(closed) >= 2 and 1.0 <= closed[0] <= 1.4


def test_small_objects_of_a_large_image_are_found_in_tiles(tmp_path):
    examples = worlds.shape_examples("box", 16, seed=9)
    rows = [np.concatenate([cv2.imread(str(one.data)) for one in examples[n : n + 4]], axis=1) for n in (0, 4, 8, 12)]
    cv2.imwrite(str(tmp_path / "large.png"), np.concatenate(rows))
    truth = [
        Box(
            box.label, x=(place % 4 + box.x) / 4, y=(place // 4 + box.y) / 4, width=box.width / 4, height=box.height / 4
        )
        for place, one in enumerate(examples)
        for box in one.values
    ]
    saved(DETECT, tmp_path / "version")
    shares = {}
    for tile in (None, worlds.SIZE):
        model = Yolo(msgspec.structs.replace(DETECT.ready().options, tile=tile), DETECT.target)
        model.load(tmp_path / "version")
        found = model.predict([tmp_path / "large.png"])[0]
        hits = [any(one.label == box.label and worlds.overlap(one, box) > 0.5 for one in found) for box in truth]
        shares[tile] = sum(hits) / len(truth)
    assert shares[worlds.SIZE] > shares[None] + 0.2


def annotated(path, frames, place):
    """A film of a red shape that stands where `place` says, is gone in the last third, and its track."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (worlds.SIZE, worlds.SIZE))
    left, top = place
    for number in range(frames):
        ground = np.random.default_rng(number).integers(170, 200, (worlds.SIZE, worlds.SIZE, 3), dtype=np.uint8)
        x = left + number
        if number < 2 * frames // 3:
            cv2.rectangle(ground, (x, top), (x + 30, top + 18), worlds.COLOURS["red"], -1)
        writer.write(ground)
    writer.release()
    last = 2 * frames // 3 - 1
    ends = [(0, left, True), (last, left + last, False)]
    side = worlds.SIZE
    frames = tuple(Keyframe(n / 10, x / side, top / side, 31 / side, 19 / side, enabled=on) for n, x, on in ends)
    return Example(path, (Track("red", keyframes=frames),))


def test_tracks_of_a_few_videos_are_learnt_from_their_frames(tmp_path):
    places = [(4, 10), (30, 50), (10, 70), (20, 30)]
    films = [annotated(tmp_path / f"{n}.avi", 30, place) for n, place in enumerate(places)]
    model = Yolo(
        msgspec.convert({**DETECT.options, "train_frames": 12, "new_track_thresh": 0.4, "frame_step": 2}, YoloOptions),
        Target(("red",), kinds={"track": ("red",)}),
    )
    model.fit(films[:3], 1)
    assert not model.own_names and model.notes == ()
    model.save(make(tmp_path / "version"))
    loaded = Yolo(model.options, model.target)
    loaded.load(tmp_path / "version")
    [truth] = films[3].values
    found = loaded.predict([films[3].data])[0]
    assert found and {track.label for track in found} == {"red"}
    assert overlaps([truth], found).max() > 0.5


def test_videos_without_any_track_are_too_few(tmp_path):
    path, _ = film(tmp_path / "film.avi", 8)
    model = adapter(Target(("red",), kinds={"track": ("red",)}))
    with pytest.raises(NotEnoughData, match="0 of 7 examples have a box; annotate at least 2 with some"):
        model.fit([Example(path, ())], 1)


def result(shape, **parts):
    """A result of ultralytics' own, for a picture of (rows, columns)."""
    import torch
    from ultralytics.engine.results import Results

    tensors = {name: torch.tensor(part, dtype=torch.float32) for name, part in parts.items()}
    return Results(np.zeros((*shape, 3), np.uint8), path="", names={0: "a", 1: "b"}, **tensors)


def values_of(one, *kinds, wanted=("a", "b")):
    from lsml.adapters.image.yolo.results import values_of as convert

    return convert(one, frozenset(kinds), lambda number: wanted[number], lambda number, place: f"{number}::{place}")


def test_boxes_are_cut_at_the_edges_and_empty_ones_dropped():
    rows = [[-10, 10, 50, 250, 0.9, 0], [60, 60, 60, 80, 0.8, 1], [300, 10, 320, 20, 0.7, 1]]
    (box,) = values_of(result((200, 100), boxes=rows), "box")
    assert [box.label, box.x, box.y, box.width, box.height, box.aspect] == ["a", 0, 0.05, 0.5, 0.95, 0.5]
    assert box.score == pytest.approx(0.9)


def test_nothing_found_is_nothing_for_every_task():
    assert values_of(result((20, 20), boxes=np.zeros((0, 6))), "box", "polygon", "mask", "keypoint") == []
    assert values_of(result((20, 20), obb=np.zeros((0, 7))), "box") == []


def test_a_rotated_box_is_given_by_its_first_corner():
    # 40 wide and 20 high around (100, 50), turned by 90 degrees: its first corner is top right.
    (box,) = values_of(result((100, 200), obb=[[100, 50, 40, 20, np.pi / 2, 0.5, 1]]), "box")
    assert [box.x * 200, box.y * 100, box.width * 200, box.height * 100] == pytest.approx([110, 30, 40, 20], abs=1e-3)
    assert box.rotation == pytest.approx(90)


def test_the_padding_around_a_mask_is_taken_away():
    # A picture that is twice as wide as high, in the middle of a square: its mask fills the left half of it.
    mask = np.zeros((1, 64, 64))
    mask[0, 16:48, 0:32] = 1
    one = result((100, 200), boxes=[[0, 0, 100, 100, 0.9, 0]], masks=mask)
    pixels, outline = values_of(one, "mask", "polygon")
    on = pixels.pixels()
    assert on.shape == (100, 200) and on[:, :98].all() and not on[:, 102:].any()
    xs, ys = zip(*outline.points, strict=True)
    assert [min(xs), max(xs), min(ys), max(ys)] == pytest.approx([0, 0.5, 0, 1], abs=0.01)


def test_a_mask_of_several_parts_is_several_outlines_and_one_mask():
    mask = np.zeros((1, 64, 64))
    mask[0, 5:25, 5:25] = mask[0, 40:60, 40:60] = 1
    values = values_of(result((64, 64), boxes=[[5, 5, 60, 60, 0.9, 0]], masks=mask), "mask", "polygon")
    assert [type(value) for value in values] == [Mask, Polygon, Polygon]


def test_points_that_are_not_seen_are_left_out_and_none_is_surer_than_its_object():
    points = [[[10, 10, 0.9], [0, 0, 0.8], [30, 30, 0.4]]]
    one = result((100, 100), boxes=[[0, 0, 50, 50, 0.6, 1]], keypoints=points)
    box, first, third = values_of(one, "box", "keypoint")
    assert (box.group, first.group, third.group) == ("0", "0", "0")
    assert [(first.label, first.x), (third.label, third.x)] == [("1::0", 0.1), ("1::2", pytest.approx(0.3))]
    assert [first.score, third.score] == pytest.approx([0.6, 0.4])


def test_points_without_a_confidence_are_as_sure_as_their_object():
    one = result((100, 100), boxes=[[0, 0, 50, 50, 0.6, 0]], keypoints=[[[10, 10], [0, 0]]])
    (point,) = values_of(one, "keypoint")
    assert point.score == pytest.approx(0.6)


def test_a_video_given_as_a_picture_costs_only_itself(tmp_path):
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(AdapterError, match=r"page.html cannot be read as an image"):
        adapter().predict([Path(tmp_path / "page.html")])
