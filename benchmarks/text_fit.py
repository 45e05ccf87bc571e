"""One fit in a process of its own, for text.py: `text_fit.py HOW EXPORT MAX_FEATURES TARGET` prints its seconds.

HOW is `bare`, scikit-learn alone; `pickle`, the same, kept in TARGET for the incumbent, in whose environment this runs;
`pickle-words`, that without n-grams of characters; `adapter`, lsml's text-classifier.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ALIKE: dict[str, Any] = {"C": 10.0, "class_weight": "balanced"}


def fit_bare(texts: Sequence[str], labels: Sequence[Any], max_features: int, characters: bool = True) -> Any:
    """scikit-learn alone, with what lsml's text-classifier does under the options ALIKE, which leave nothing to choose."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    blocks = [
        TfidfVectorizer(analyzer=analyzer, ngram_range=bounds, sublinear_tf=True, max_features=max_features)
        for analyzer, bounds in (("word", (1, 2)), ("char_wb", (1, 4)))[: 2 if characters else 1]
    ]
    regression = LogisticRegression(C=10.0, class_weight="balanced", max_iter=300, random_state=0)
    return make_pipeline(make_union(*blocks), regression).fit(texts, labels)


def fit(how: str, source: Path, max_features: int, target: Path) -> None:
    """In a process of its own, which knows scikit-learn and, for how="adapter", lsml: fit, and tell the seconds."""
    texts = [(task["data"]["text"], task["annotations"][0]["result"][0]["value"]["choices"][0])
             for task in json.loads(source.read_text(encoding="utf-8"))]  # fmt: skip
    labels = sorted({label for _, label in texts})
    if how == "adapter":
        import sklearn.linear_model

        from lsml.adapters.base import Example, Target
        from lsml.adapters.text.classifier import TextClassifier, TextClassifierOptions
        from lsml.values import Choice

        examples = [Example(text, (Choice(label),)) for text, label in texts]
        adapter = TextClassifier(TextClassifierOptions(max_features=max_features, **ALIKE), Target(tuple(labels)))
        began = time.perf_counter()
        adapter.fit(examples, 0)
        print(time.perf_counter() - began)
        return
    import pickle

    import sklearn.feature_extraction.text
    import sklearn.linear_model  # noqa: F401

    columns = [text for text, _ in texts], [labels.index(label) for _, label in texts]
    began = time.perf_counter()
    pipeline = fit_bare(*columns, max_features, how != "pickle-words")
    print(time.perf_counter() - began)
    if how.startswith("pickle"):  # what the incumbent loads: classes are numbers of the sorted labels
        target.write_bytes(pickle.dumps(pipeline))


if __name__ == "__main__":
    fit(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
