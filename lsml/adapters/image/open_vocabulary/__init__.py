"""open-vocabulary: boxes for labels in words, without training, by OWLv2, OWL-ViT or Grounding DINO of transformers."""

from lsml.adapters.image.open_vocabulary.adapter import OpenVocabulary

__all__ = ["OpenVocabulary"]
