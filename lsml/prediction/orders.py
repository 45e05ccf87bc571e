"""Orders in which people best annotate tasks: the least sure first, or those that are unsure and unlike earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lsml.adapters.base import Adapter
from lsml.binding import Binding
from lsml.errors import LsmlError
from lsml.labeling.objects import Fetch, read_ahead

if TYPE_CHECKING:
    from lsml.arrays import Array


_DIMENSIONS: Final = 64  # to which features are reduced; enough to compare tasks
_SEED: Final = 20_261_123
_LEAST_DOUBT: Final = 1e-3  # the least uncertainty of a task, so that certain tasks are still sorted by distance


def task_features(
    binding: Binding, adapters: Mapping[str, Adapter], tasks: Sequence[Mapping[str, Any]], fetch: Fetch
) -> Array | None:
    """Return (tasks, features) of length 1, by the first model whose adapter has features; None without one.

    Similar tasks are near each other. A task that cannot be read has a row of 0.
    """
    import numpy as np

    for model in binding.models:
        adapter = adapters[model.key]

        def read(task: Mapping[str, Any], model: Any = model) -> Any:
            try:
                return model.read(task, fetch)[0].view.data
            except LsmlError:
                return None

        data = list(read_ahead(read, tasks)) if model.needs_fetch else [read(task) for task in tasks]
        indices = [index for index, one in enumerate(data) if one is not None]
        rows = adapter.features([data[index] for index in indices]) if indices else None
        if rows is not None:
            reduced = _reduced(rows)
            features = np.zeros((len(tasks), reduced.shape[1]))
            features[indices] = reduced
            return features
    return None


def diverse_order(
    doubts: Sequence[float] | Array, features: Array | None, many: int, known: Array | None = None
) -> list[int]:
    """Return the indices of the `many` tasks to annotate next.

    Each time it is the task whose doubt times its distance from the chosen ones, and from the `known` rows, is largest;
    without features, the one with the largest doubt. Greedy k-centers, as Sener and Savarese, "Active Learning for
    Convolutional Neural Networks: A Core-Set Approach", 2018, weighted by doubt, as Zhdanov, "Diverse mini-batch Active
    Learning", 2019.
    """
    import numpy as np

    weights = np.maximum(np.asarray(doubts, dtype=float), _LEAST_DOUBT)
    if features is None:
        return [int(index) for index in np.argsort(-weights, kind="stable")[:many]]
    distances = np.ones(len(weights))
    if known is not None and len(known):
        distances = 1.0 - (features @ known.T).max(axis=1)
    order: list[int] = []
    left = np.ones(len(weights), dtype=bool)
    for _ in range(min(many, len(weights))):
        index = int(np.argmax(np.where(left, weights * np.maximum(distances, 1e-9), -1.0)))
        order.append(index)
        left[index] = False
        distances = np.minimum(distances, 1.0 - features @ features[index])
    return order


def typical_order(features: Array | None, many: int, seed: int = _SEED) -> list[int]:
    """Return the indices of the `many` tasks to annotate before anything was learnt.

    They are the most typical tasks of as many clusters, the largest cluster first; without features, random ones. As
    Hacohen, Dekel and Weinshall, "Active Learning on a Budget", 2022.
    """
    import numpy as np
    from sklearn.cluster import KMeans

    draw = np.random.default_rng(seed)
    if features is None or many >= len(features):
        return [int(index) for index in draw.permutation(0 if features is None else len(features))[:many]]
    clusters = KMeans(many, n_init=1, random_state=seed).fit(features)
    sizes = np.bincount(clusters.labels_, minlength=many)
    distances = clusters.transform(features)
    order = []
    for cluster in np.argsort(-sizes, kind="stable"):
        members = np.flatnonzero(clusters.labels_ == cluster)
        if len(members):
            order.append(int(members[np.argmin(distances[members, cluster])]))
    return order


def _reduced(rows: Any) -> Array:
    """Return rows of length 1 with fewer dimensions, dense."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    if min(rows.shape) > _DIMENSIONS + 1:
        rows = TruncatedSVD(_DIMENSIONS, random_state=_SEED).fit_transform(rows)
    dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    return np.asarray(normalize(dense))
