"""zero-shot beside what learns, on the ten intents of a file: `python -m benchmarks.zero_shot FILE.csv ENCODER`.

The file has the columns text, label and split (train, test); the encoder is a folder. Of the labels it is told nothing but their
names, or the descriptions below.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

from lsml.adapters.base import Example, Question, Target
from lsml.adapters.text.classifier import TextClassifier
from lsml.adapters.text.zero_shot import ZeroShot, ZeroShotOptions
from lsml.metrics import judge
from lsml.values import Choice

DESCRIPTIONS = {
    "balance_not_updated_after_bank_transfer": "a bank transfer that the customer made to the own account and that does not show in the balance",
    "balance_not_updated_after_cheque_or_cash_deposit": "a cheque or cash that was deposited and does not show in the balance",
    "card_payment_fee_charged": "an extra fee for a payment by card",
    "cash_withdrawal_charge": "a fee for taking cash from a machine",
    "declined_cash_withdrawal": "a cash machine that refused to give money",
    "direct_debit_payment_not_recognised": "a direct debit that the customer did not make",
    "transaction_charged_twice": "a payment that was charged twice",
    "transfer_fee_charged": "a fee for a bank transfer",
    "transfer_not_received_by_recipient": "a transfer that the recipient did not get",
    "wrong_amount_of_cash_received": "a cash machine that gave less or more cash than was asked for",
}


def main(file: str, encoder: str) -> None:
    with Path(file).open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    tests = [row for row in rows if row["split"] == "test"]
    learnt = [row for row in rows if row["split"] == "train"]
    random.Random(1).shuffle(learnt)
    labels = tuple(sorted({row["label"] for row in rows}))

    def tell(name: str, answers: list) -> None:
        pairs = [
            ([Choice(row["label"])], [max(said, key=lambda one: one.score)])
            for row, said in zip(tests, answers, strict=True)
        ]
        judged = judge(Choice, pairs)
        sure = [(row["label"] == one.label) for row, (_, [one]) in zip(tests, pairs, strict=True) if one.score >= 0.5]
        print(
            f"{name:32} accuracy {judged['accuracy']:.3f}  macro F1 {judged['value']:.3f}  calibration error "
            f"{judged['calibration_error']:.3f}  from 0.5 on: {len(sure) / len(tests):.2f} of the texts, {sum(sure) / max(1, len(sure)):.3f} right"
        )

    texts = [row["text"] for row in tests]
    for name, said in (("zero-shot, names", {}), ("zero-shot, descriptions", DESCRIPTIONS)):
        target = Target(labels, questions=(Question("intent", "choice", labels, descriptions=said),))
        tell(name, ZeroShot(ZeroShotOptions(encoder=encoder), target).predict(texts))
    for count in (50, 100, 200, 400):
        adapter = TextClassifier(TextClassifier.Options(), Target(labels))
        adapter.fit([Example(row["text"], (Choice(row["label"]),)) for row in learnt[:count]], 1)
        tell(f"text-classifier, {count} examples", adapter.predict(texts))


if __name__ == "__main__":
    main(*sys.argv[1:])
