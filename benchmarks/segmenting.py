"""What does a second mark on an image cost? `python benchmarks/segmenting.py [--weights FOLDER] [--images N]`

`segment-anything` answers a click on an image that it has not seen, and one on the same image again, beside the bare library:
its processor, encoder, decoder and post-processing. Both take turns, so that whatever else the machine does hits both alike.
Without weights it is a SAM 2.1 tiny with random ones, which costs the same. Needs the extra segment-anything, and torchvision for
the library's processor. A minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsml.adapters.base import Target
from lsml.adapters.image.segment_anything import SegmentAnything
from lsml.values import KeyPoint

WIDTH, HEIGHT = 1280, 960


def random_weights(folder: Path) -> Path:
    from transformers import Sam2Config, Sam2Model

    Sam2Model(Sam2Config()).save_pretrained(folder)
    return folder


def bare(weights: Path) -> Any:
    """(image) -> what it knows of the image; (that, place) -> a mask: the library's own way."""
    import torch
    import transformers

    two = json.loads((weights / "config.json").read_text())["model_type"] != "sam"
    model = (transformers.Sam2Model if two else transformers.SamModel).from_pretrained(weights).eval()
    images = (transformers.Sam2ImageProcessor if two else transformers.SamImageProcessor)()

    @torch.inference_mode()
    def encode(path: Path) -> Any:
        from PIL import Image

        read = images(Image.open(path).convert("RGB"), return_tensors="pt")
        return model.get_image_embeddings(read["pixel_values"]), read

    @torch.inference_mode()
    def decode(known: Any, place: tuple[float, float]) -> Any:
        features, read = known
        side = model.config.prompt_encoder_config.image_size
        high = side if two else side * HEIGHT / WIDTH
        points = torch.tensor([[[[place[0] * side, place[1] * high]]]])
        found = model(image_embeddings=features, input_points=points, input_labels=torch.tensor([[[1]]]))
        more = {} if two else {"reshaped_input_sizes": read["reshaped_input_sizes"]}
        return images.post_process_masks(found.pred_masks, read["original_sizes"], **more)

    return encode, decode


def timed(call: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="a folder of transformers")
    parser.add_argument("--images", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        weights = arguments.weights or random_weights(folder / "weights")
        target = Target(("Object",), kinds={"mask": ("Object",)})
        adapter = SegmentAnything(SegmentAnything.Options(weights=str(weights)), target)
        encode, decode = bare(weights)
        times: dict[str, list[float]] = {name: [] for name in ("first", "second", "bare encode", "bare decode")}
        for number in range(arguments.images + 1):
            noise = np.random.default_rng(number).integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), np.uint8)
            path = folder / f"{number}.png"
            cv2.imwrite(str(path), cv2.resize(noise, (WIDTH, HEIGHT)))
            places = [(0.3, 0.4), (0.6, 0.5)]
            points = [KeyPoint("Object", x=x, y=y) for x, y in places]
            first, _ = timed(lambda: adapter.respond(path, points[:1]))  # noqa: B023
            encoded, known = timed(lambda: encode(path))  # noqa: B023
            second, _ = timed(lambda: adapter.respond(path, points[1:]))  # noqa: B023
            decoded, _ = timed(lambda: decode(known, places[1]))  # noqa: B023
            if number:  # the first one loads and warms up
                for name, seconds in zip(times, (first, second, encoded, decoded), strict=True):
                    times[name].append(seconds)
        middle = {name: statistics.median(seconds) for name, seconds in times.items()}
        print(
            f"{arguments.images} images of {WIDTH} x {HEIGHT}, medians\n\n| | ms | of the first mark |\n|---|--:|--:|"
        )
        for name, seconds in middle.items():
            print(f"| {name} | {1e3 * seconds:.0f} | {100 * seconds / middle['first']:.1f} % |")


if __name__ == "__main__":
    main()
