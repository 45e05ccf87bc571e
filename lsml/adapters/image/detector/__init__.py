"""detector: boxes around objects by RT-DETR, D-FINE or RF-DETR of transformers, and masks by the latter."""

from lsml.adapters.image.detector.adapter import Detector

__all__ = ["Detector"]
