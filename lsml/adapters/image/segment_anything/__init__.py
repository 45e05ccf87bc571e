"""segment-anything: cuts out what a person marks, by SAM, SAM 2 or MobileSAM."""

from lsml.adapters.image.segment_anything.adapter import SegmentAnything

__all__ = ["SegmentAnything"]
