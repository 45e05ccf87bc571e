"""open-vocabulary: boxes for labels in words, without training, by OWLv2 or OWL-ViT of transformers."""

from lsml.adapters.image.open_vocabulary.adapter import OpenVocabulary

__all__ = ["OpenVocabulary"]
