"""detector: boxes around objects by RT-DETR or D-FINE of transformers."""

from lsml.adapters.image.detector.adapter import Detector

__all__ = ["Detector"]
