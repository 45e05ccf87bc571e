"""One case for each registered adapter; a test fails when one has none."""

from lsml.adapters.base import Example, Target
from lsml.adapters.text_classifier import TextClassifier
from lsml.adapters.text_regressor import TextRegressor
from lsml.testing import AdapterCase
from lsml.values import Choice, Number
from tests.conftest import tickets

LABELS = ("Absent", "Billing", "Bug", "Question")
STARS = {"Billing": 1.0, "Bug": 2.0, "Question": 5.0}
BATCH = ["refund the invoice", "it crashes", "how can I", "", "日本語 🤖 text", "crash " * 500]

SINGLE = AdapterCase(
    adapter=TextClassifier,
    target=Target(LABELS),
    examples=[Example(text, (Choice(label),)) for text, label in tickets(60)],
    batch=BATCH,
)
MULTIPLE = AdapterCase(
    adapter=TextClassifier,
    target=Target(LABELS, multiple=True),
    options={"characters": None, "class_weight": "none"},
    examples=[
        Example(f"{text} {other}", tuple(Choice(one) for one in sorted({label, second})))
        for (text, label), (other, second) in zip(tickets(60), tickets(60, seed=5)[::-1], strict=True)
    ],
    batch=BATCH,
)
OPEN = AdapterCase(
    adapter=TextClassifier,
    target=Target(open=True),
    examples=[Example(text, (Choice(label),)) for text, label in tickets(40)],
    batch=BATCH,
)
NUMBERS = AdapterCase(
    adapter=TextRegressor,
    examples=[Example(text, (Number(STARS[label]),)) for text, label in tickets(60)],
    batch=BATCH,
)

CASES = {"text-classifier": [SINGLE, MULTIPLE, OPEN], "text-regressor": [NUMBERS]}
