"""yolo: boxes, outlines, masks, poses and labels of images, and tracks through videos, with ultralytics."""

from lsml.adapters.image.yolo.adapter import Yolo

__all__ = ["Yolo"]
