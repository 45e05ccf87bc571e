"""The whole contract, checked by lsml's own suite."""

from lsml_keyword_classifier import KeywordClassifier

from lsml.adapters.base import Example, Target
from lsml.testing import AdapterCase, AdapterConformance
from lsml.values import Choice

TEXTS = {"Bug": ["app crashes often", "crashes again", "an error"], "Billing": ["refund please", "invoice and refund"]}


class TestKeywordClassifier(AdapterConformance):
    case = AdapterCase(
        adapter=KeywordClassifier,
        target=Target(("Billing", "Bug")),
        examples=[Example(text, (Choice(label),)) for label, texts in TEXTS.items() for text in texts],
        batch=["it crashes", "my refund", ""],
    )
