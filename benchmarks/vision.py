"""What does a prediction of an image cost? `python benchmarks/vision.py --weights FILE.pt [--images FOLDER] [--quick]`

`/predict` over images beside the bare `YOLO.predict(list)` on the same files, with torch, ONNX Runtime and OpenVINO, and
`detector` and `open-vocabulary` beside transformers' own calls; with a cold and a warm media cache; one request for 250 images that have to be
fetched, beside the slower of their download and of the bare model; and whether memory stays flat over 1,000 requests. Both take
turns, so that whatever else the machine does hits both alike. Needs psutil and the extras yolo, onnx and openvino; for
`detector` images and transformers. Some ten minutes.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import http.server
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from lsml.labeling.objects import AT_A_TIME

BATCH = 16
STREAM = 250
RUNTIMES = ("torch", "onnx", "openvino", "detector", "open-vocabulary")  # the first three of yolo
CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">{labels}
</RectangleLabels></View>"""


def serve_files(folder: Path, wait_s: float = 0.0) -> int:
    """A file server on loopback, whose port is returned; it ends with the process. `wait_s`: before each answer."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(wait_s)
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Server:
    """`lsml serve` with a recipe for the weights; ends with the `with`. `runtime`: of yolo, or another adapter."""

    def __init__(self, folder: Path, weights: Path, imgsz: int, runtime: str, names: list[str]) -> None:
        adapter = runtime if runtime in ("detector", "open-vocabulary") else "yolo"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        options = {"weights": str(weights)}
        if adapter != "open-vocabulary":
            options |= {"imgsz": imgsz, "batch": BATCH}
        if adapter == "yolo" and runtime != "torch":
            options["accelerate"] = runtime
        labels = "".join(f'<Label value="{name}"/>' for name in names)
        recipe = {
            "lsml": 1, "name": "vision", "labeling_config": CONFIG.format(labels=labels), "training": False,
            "tags": {"RectangleLabels": {"adapter": adapter, "options": options}},
            "media": {"hosts": ["127.0.0.1"], "fresh": "1h"},
            "server": {"cache": 0, "limits": {"time": "10m"}},  # what a model answered before would cost nothing
        }  # fmt: skip
        path = folder / f"{runtime}-{imgsz}.yaml"
        path.write_text(json.dumps(recipe))
        command = [sys.executable, "-m", "lsml", "serve", str(path), "--port", str(self.port), "--data-dir",
                   str(folder / f"data-{runtime}-{imgsz}")]  # fmt: skip
        self.log = folder / f"{runtime}-{imgsz}.log"
        with self.log.open("wb") as out:
            self.process = psutil.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def __enter__(self) -> Server:
        deadline = time.perf_counter() + 60
        while True:
            try:
                self.ask("GET", "/health")
                return self
            except OSError:
                if self.process.poll() is not None or time.perf_counter() > deadline:
                    raise RuntimeError(f"does not serve:\n{self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def __exit__(self, *_: Any) -> None:
        self.process.terminate()
        self.process.wait(20)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=900)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {content[:500]!r}")
        return json.loads(content)

    def predict(self, urls: list[str]) -> list[Any]:
        tasks = [{"id": number, "data": {"image": url}} for number, url in enumerate(urls, 1)]
        results = self.ask("POST", "/predict", {"tasks": tasks})["results"]
        missing = sum(result == [] for result in results)
        if missing:
            raise RuntimeError(f"{missing} of {len(urls)} tasks got no prediction:\n{self.log.read_text()[-2000:]}")
        return results

    def memory(self) -> float:
        """MiB resident."""
        return self.process.memory_info().rss / 2**20


def bare(weights: Path, folder: Path, imgsz: int, runtime: str) -> Any:
    """The library's own model, exported by it for a runtime that is not torch."""
    from ultralytics import YOLO

    if runtime == "torch":
        return YOLO(str(weights))
    copy = folder / f"bare-{runtime}" / weights.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(weights, copy)
    exported = YOLO(str(copy)).export(format=runtime, dynamic=True, imgsz=imgsz, verbose=False)
    return YOLO(exported, task=YOLO(str(copy)).task)


class BareDetector:
    """transformers' own processor, model and boxes. The weights are random where none are given, which costs as much."""

    def __init__(self, weights: Path | None, folder: Path, imgsz: int) -> None:
        import transformers

        transformers.logging.set_verbosity_error()
        if weights is None:
            weights = folder / "rtdetr-r18"
            backbone = transformers.RTDetrResNetConfig(
                depths=[2, 2, 2, 2],
                hidden_sizes=[64, 128, 256, 512],
                layer_type="basic",
                out_features=["stage2", "stage3", "stage4"],
            )
            config = transformers.RTDetrV2Config(
                backbone_config=backbone,
                encoder_in_channels=[128, 256, 512],
                decoder_layers=3,
                hidden_expansion=0.5,
                num_labels=80,
            )  # those of PekingU/rtdetr_v2_r18vd
            transformers.RTDetrV2ForObjectDetection(config).save_pretrained(weights)
        self.weights = weights
        self.processor = transformers.RTDetrImageProcessor(size={"height": imgsz, "width": imgsz})
        self.model = transformers.AutoModelForObjectDetection.from_pretrained(weights).eval()
        self.names = self.model.config.id2label

    def predict(self, files: list[str] | str, **_: Any) -> Any:
        import torch
        from PIL import Image

        images = [Image.open(file).convert("RGB") for file in ([files] if isinstance(files, str) else files)]
        with torch.inference_mode():
            found = self.model(**self.processor(images=images, return_tensors="pt"))
        sizes = [image.size[::-1] for image in images]
        return self.processor.post_process_object_detection(found, threshold=0.001, target_sizes=sizes)


class BareOwl:
    """transformers' own processor, model and boxes of OWL-ViT, an image at a time. The weights are random, those of a base
    model with smaller images, and its tokens are letters, which costs as much.
    """

    def __init__(self, folder: Path) -> None:
        import transformers

        transformers.logging.set_verbosity_error()
        self.names = {0: "car", 1: "person", 2: "dog"}
        self.weights = folder / "owlvit"
        letters = [chr(code) for code in range(97, 123)]
        tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
        tokenizer = transformers.CLIPTokenizer(
            vocab={token: number for number, token in enumerate(tokens)}, merges=[], pad_token="<|endoftext|>"
        )
        images = transformers.OwlViTImageProcessor(size={"height": 384, "width": 384})
        transformers.OwlViTProcessor(images, tokenizer).save_pretrained(self.weights)
        ends = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
        config = transformers.OwlViTConfig(
            text_config={"vocab_size": len(tokens), **ends}, vision_config={"image_size": 384, "patch_size": 32}
        )
        transformers.OwlViTForObjectDetection(config).save_pretrained(self.weights)
        self.processor = transformers.AutoProcessor.from_pretrained(self.weights)
        self.model = transformers.OwlViTForObjectDetection.from_pretrained(self.weights).eval()

    def predict(self, files: list[str] | str, **_: Any) -> Any:
        import torch
        from PIL import Image

        found = []
        words = [[f"a photo of {name}" for name in self.names.values()]]
        for file in [files] if isinstance(files, str) else files:
            image = Image.open(file).convert("RGB")
            given = self.processor(
                text=words, images=image, return_tensors="pt", padding="max_length", truncation=True, max_length=16
            )
            with torch.inference_mode():
                said = self.model(**given)
            found += self.processor.image_processor.post_process_object_detection(
                said, threshold=0.05, target_sizes=[image.size[::-1]]
            )
        return found


def timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def write_images(source: Path | None, folder: Path, mixed: bool) -> list[Path]:
    """Sixteen pictures: photographs of the folder, else cut from those that ultralytics ships; all of a size, or mixed."""
    import cv2
    from ultralytics.utils import ASSETS

    found = sorted(path for path in (source or Path(ASSETS)).iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    paths = []
    for number in range(BATCH):
        image = cv2.imread(str(found[number % len(found)]))
        width, height = (640, 480) if not mixed or number % 2 == 0 else (480, 640)
        cut = number * 4  # so that no two are the same
        image = cv2.resize(image[cut:, cut:], (width, height))
        paths.append(folder / f"{'mixed' if mixed else 'alike'}-{number}.jpg")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def measure(arguments: argparse.Namespace, folder: Path, runtime: str) -> None:
    if runtime == "detector":
        model: Any = BareDetector(arguments.detector, folder, arguments.imgsz)
        weights = model.weights
    elif runtime == "open-vocabulary":
        model = BareOwl(folder)
        weights = model.weights
    else:
        model, weights = bare(arguments.weights, folder, arguments.imgsz, runtime), arguments.weights
    names = [str(name) for name in model.names.values()]
    images = {kind: write_images(arguments.images, folder / "files", kind == "mixed") for kind in ("alike", "mixed")}
    rounds = 3 if arguments.quick else 8
    with Server(folder, weights, arguments.imgsz, runtime, names) as server:
        for kind, paths in images.items():
            files, given = [str(path) for path in paths], {"imgsz": arguments.imgsz, "verbose": False, "batch": BATCH}
            urls = [f"http://127.0.0.1:{arguments.port}/{path.name}" for path in paths]
            model.predict(files, **given)
            server.predict(urls)
            times: dict[str, list[float]] = {"bare": [], "warm": [], "cold": []}
            for turn in range(rounds):
                cold = [f"{url}?{turn}-{time.time_ns()}" for url in urls]
                times["bare"].append(timed(lambda: model.predict(files, **given)))  # noqa: B023
                times["warm"].append(timed(lambda: server.predict(urls)))  # noqa: B023
                times["cold"].append(timed(lambda: server.predict(cold)))  # noqa: B023
            middle = {name: statistics.median(seconds) for name, seconds in times.items()}
            show(runtime, kind, middle["bare"], middle["warm"], middle["cold"])
            one = [statistics.median(timed(call) for _ in range(rounds)) for call in (
                lambda: model.predict(files[0], **given), lambda: server.predict(urls[:1])  # noqa: B023
            )]  # fmt: skip
            show(f"{runtime}, 1 image", kind, one[0], one[1], None)
        log = server.log.read_text()
        if "cannot serve it" in log or "so torch serves" in log:
            print(f"{runtime}: was not used, see its log:\n{log[-1000:]}")


def show(name: str, kind: str, alone: float, warm: float, cold: float | None) -> None:
    last = f"{cold / alone:.2f}x" if cold else ""
    spent = f"{1e3 * cold:.0f}" if cold else ""
    print(
        f"| {name} | {kind} | {1e3 * alone:.0f} | {1e3 * warm:.0f} | {spent} | {warm / alone:.2f}x | {last} |",
        flush=True,
    )


def flat(arguments: argparse.Namespace, folder: Path) -> None:
    """Memory over 1,000 requests, for a small size, so that it takes a minute."""
    from ultralytics import YOLO

    names = [str(name) for name in YOLO(str(arguments.weights)).names.values()]
    paths = write_images(arguments.images, folder / "files", True)
    urls = [f"http://127.0.0.1:{arguments.port}/{path.name}" for path in paths]
    count = 200 if arguments.quick else 1000
    with Server(folder, arguments.weights, 160, "torch", names) as server:
        seen = []
        for number in range(count):
            server.predict([urls[number % len(urls)]])
            if (number + 1) % (count // 10) == 0:
                seen.append(server.memory())
        told = ", ".join(f"{size:.0f}" for size in seen)
        print(f"\nMemory over {count} requests, MiB, at each tenth: {told}; load {os.getloadavg()[0]:.1f}")


def download(urls: list[str]) -> None:
    """Fetch files, as many at a time as lsml does."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for answer in pool.map(urllib.request.urlopen, urls):
            answer.read()


def stream(arguments: argparse.Namespace, folder: Path) -> None:
    """One request for many images, of which none was fetched before."""
    model = bare(arguments.weights, folder, arguments.imgsz, "torch")
    names = [str(name) for name in model.names.values()]
    paths = write_images(arguments.images, folder / "files", False)
    files = [str(paths[number % BATCH]) for number in range(STREAM)]
    given = {"imgsz": arguments.imgsz, "verbose": False, "batch": BATCH}
    model.predict(files[:BATCH], **given)
    computing = timed(lambda: [model.predict(files[at : at + BATCH], **given) for at in range(0, STREAM, BATCH)])
    print(f"\nOne request for {STREAM} images; load {os.getloadavg()[0]:.1f}\n")
    print("| download | download alone, s | bare model alone, s | /predict, s | share of what the slower one allows |")
    print("|---|--:|--:|--:|--:|", flush=True)
    # Without a wait, downloads take nearly nothing; with the second one, about as long as the model; then longer.
    for kind, factor in (("fast", 0.0), ("as slow as the model", 1.0), ("slower than the model", 1.5)):
        port = serve_files(folder / "files", factor * computing * AT_A_TIME / STREAM)
        with Server(folder, arguments.weights, arguments.imgsz, "torch", names) as server:
            server.predict([f"http://127.0.0.1:{port}/{paths[0].name}"])
            rows = []
            for turn in range(1 if arguments.quick else 3):
                urls = [f"http://127.0.0.1:{port}/{paths[n % BATCH].name}?{turn}-{n}" for n in range(STREAM)]
                rows.append((
                    timed(lambda: download(urls)),  # noqa: B023
                    timed(lambda: [model.predict(files[at : at + BATCH], **given) for at in range(0, STREAM, BATCH)]),
                    timed(lambda: server.predict(urls)),  # noqa: B023
                ))  # fmt: skip
        fetched, computed, predicted = (statistics.median(column) for column in zip(*rows, strict=True))
        share = statistics.median(max(row[:2]) / row[2] for row in rows)
        print(f"| {kind} | {fetched:.1f} | {computed:.1f} | {predicted:.1f} | {share:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="a .pt file, for YOLO")
    parser.add_argument("--detector", type=Path, help="a folder with RT-DETR or D-FINE; without it, random weights")
    parser.add_argument("--images", type=Path, help="a folder of photographs; without it, those that ultralytics ships")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--runtimes", nargs="*", default=list(RUNTIMES), choices=RUNTIMES)
    parser.add_argument("--only-stream", action="store_true", help="only the request for many images")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests")
    arguments = parser.parse_args()
    if arguments.weights is None and not {"detector", "open-vocabulary"} >= set(arguments.runtimes):
        parser.error("--weights is needed for YOLO")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "files").mkdir()
        arguments.port = serve_files(folder / "files")
        print(f"{BATCH} images of 640 x 480 at {arguments.imgsz}, {os.cpu_count()} cores\n")
        print("| | images | bare, ms | lsml warm, ms | lsml cold, ms | warm / bare | cold / bare |")
        print("|---|---|--:|--:|--:|--:|--:|", flush=True)
        for runtime in () if arguments.only_stream else arguments.runtimes:
            measure(arguments, folder, runtime)
        if arguments.weights:
            stream(arguments, folder)
        if arguments.weights and not arguments.only_stream:
            flat(arguments, folder)


if __name__ == "__main__":
    main()
