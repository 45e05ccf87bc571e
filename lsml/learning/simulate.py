"""Learning curves of orders of annotating, simulated on a finished project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lsml.adapters.base import Adapter, Progress, silent
from lsml.adapters.parts.threads import one_thread
from lsml.binding import Binding, BoundModel
from lsml.errors import AdapterError, NotEnoughData
from lsml.labeling.objects import Fetch
from lsml.learning.examples import examples_of
from lsml.learning.fit import fit
from lsml.learning.judge import evaluate, mean_metric
from lsml.learning.snapshot import AnnotatedExample
from lsml.prediction import Predictor, diverse_order, predict_tasks, task_features, typical_order

Order = Literal["random", "uncertain", "diverse"]
ORDERS: Final[tuple[Order, ...]] = ("random", "uncertain", "diverse")
_TEST: Final = 0.25  # the share of tasks in the test set ...
_MOST_TEST: Final = 1000  # ... and its largest size
_FIRST: Final = 10  # annotations before the first training
_GROWTH: Final = 2  # the factor from one training to the next
_LEAST: Final = 40  # tasks; fewer make no curve
_TARGET: Final = 0.95  # the default target, as a share of the metric with all annotations
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Point:
    """The metric after a number of annotations: its mean over the seeds, and the 95 % confidence interval of that mean."""

    annotations: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Simulated:
    """Curves by order. `needs`: the annotations that each order needs for the `target`, None where it never reaches it."""

    metric: str
    tasks: int
    judged: int
    seeds: int
    target: float
    curves: dict[str, list[Point]]
    needs: dict[str, int | None]

    @property
    def sentence(self) -> str:
        """The annotations that each order needs for the target, fewest first: `0.90 after 480 of 2,000; random needs 910`."""
        reached = sorted((need, order) for order, need in self.needs.items() if need is not None)
        never = [order for order, need in self.needs.items() if need is None]
        if not reached:
            return f"no order reaches {self.target:.2f}"
        (least, best), *others = reached
        told = [f"{best}: {self.target:.2f} after {least:,} of {self.tasks:,}"]
        told += [f"{order} needs {need:,}" for need, order in others]
        return "; ".join([*told, *(f"{order} never reaches it" for order in never)])


@dataclass(frozen=True)
class SimulationPlan:
    """The orders to compare, each on one split of the tasks for each seed.

    `target`: the metric to reach, or None for 95 % of the best one. `sizes`: the numbers of annotations after which models
    are trained, or None for 10, 20, 40 and so on; they are trained on all of them in any case.
    """

    orders: Sequence[Order] = ORDERS
    seeds: Sequence[int] = range(5)
    target: float | None = None
    sizes: Sequence[int] | None = None


def simulate(
    binding: Binding,
    models: Sequence[BoundModel],
    examples: Sequence[AnnotatedExample],
    fetch: Fetch,
    plan: SimulationPlan,
    progress: Progress = silent,
) -> Simulated:
    """Annotate finished tasks again in each order: train, judge on tasks that no order sees, choose the next ones.

    Raises NotEnoughData with fewer tasks than make a curve, and where the models cannot learn even from all of them."""
    import numpy as np

    if len(examples) < _LEAST:
        raise NotEnoughData(
            f"{len(examples)} annotated tasks are too few for a learning curve; it needs at least {_LEAST}"
        )
    orders, seeds, target = plan.orders, plan.seeds, plan.target
    pool = len(examples) - min(round(_TEST * len(examples)), _MOST_TEST)
    sizes = _sizes(pool) if plan.sizes is None else [*sorted({size for size in plan.sizes if size < pool}), pool]
    found: dict[Order, list[list[float]]] = {order: [] for order in orders}
    for turn, seed in enumerate(seeds):
        split = [examples[index] for index in np.random.default_rng(seed).permutation(len(examples))]
        run = _Run(binding, models, split[:pool], split[pool:], fetch, seed)
        for number, order in enumerate(orders):
            part, all_parts = turn * len(orders) + number, len(seeds) * len(orders)

            def tell(share: float, message: str, part: int = part, all_parts: int = all_parts) -> None:
                progress((part + share) / all_parts, message)

            with one_thread():
                found[order].append(run.curve(order, sizes, tell))
    curves = {order: _points(sizes, of_seeds) for order, of_seeds in found.items()}
    if target is None:
        target = round(_TARGET * max(curve[-1].mean for curve in curves.values()), 2)
    metric = " and ".join(sorted({run.metric_of(name) for name in run.names}))
    return Simulated(
        metric=metric, tasks=pool, judged=len(examples) - pool, seeds=len(seeds), target=target,
        curves={str(order): curve for order, curve in curves.items()},
        needs={str(order): _need(curve, target) for order, curve in curves.items()},
    )  # fmt: skip


class _Run:
    """One split of the tasks into those that are annotated and those that judge."""

    def __init__(
        self,
        binding: Binding,
        models: Sequence[BoundModel],
        pool: Sequence[AnnotatedExample],
        judged: Sequence[AnnotatedExample],
        fetch: Fetch,
        seed: int,
    ) -> None:
        self._binding, self._models, self._pool, self._judged, self._fetch = binding, models, pool, judged, fetch
        self._seed = seed
        self.names = {control.control_tag.name for model in models for control in model.controls}
        untrained = {model.key: model.new_adapter() for model in binding.models}
        self._untrained = untrained
        self._tasks = [{"id": example.task, "data": example.data} for example in pool]
        self._features = task_features(binding, untrained, self._tasks, fetch)
        # Orders share the first tasks, or all of them: the largest training, which every order would repeat.
        self._shared: dict[tuple[int, ...], tuple[dict[str, Adapter], float]] = {}

    def metric_of(self, name: str) -> str:
        """Return the metric of a control."""
        return str(evaluate(self._binding, self._untrained, [], self._fetch).metrics[name]["metric"])

    def curve(self, order: Order, sizes: Sequence[int], progress: Progress) -> list[float]:
        """Return the metric after each number of annotations; 0 where there were too few to learn."""
        chosen, adapters = self._first(order, sizes[0]), self._untrained
        values = []
        for number, size in enumerate(sizes):
            progress(number / len(sizes), f"{order}, {size} annotations")
            if number:
                chosen += self._next(order, chosen, size - len(chosen), adapters)
            adapters, value = self._trained(chosen, share=number in (0, len(sizes) - 1))
            values.append(value)
        return values

    def _trained(self, chosen: Sequence[int], *, share: bool) -> tuple[dict[str, Adapter], float]:
        """Return the models trained on the chosen tasks, in the order of the project, and their metric."""
        indices = tuple(sorted(chosen))
        if indices in self._shared:
            return self._shared[indices]
        adapters = self._adapters([self._pool[index] for index in indices])
        judged = evaluate(self._binding, adapters, self._judged, self._fetch)
        trained = adapters, mean_metric(judged.metrics, self.names) or 0.0
        if share:
            self._shared[indices] = trained
        return trained

    def _first(self, order: Order, many: int) -> list[int]:
        if order == "diverse" and self._features is not None:
            return typical_order(self._features, many, self._seed)
        return self._drawn(range(len(self._pool)), many)

    def _drawn(self, indices: Sequence[int], many: int) -> list[int]:
        import numpy as np

        return [int(index) for index in np.random.default_rng([self._seed, len(indices)]).permutation(indices)[:many]]

    def _next(self, order: Order, chosen: Sequence[int], many: int, adapters: dict[str, Adapter]) -> list[int]:
        taken = set(chosen)
        left = [index for index in range(len(self._pool)) if index not in taken]
        if order == "random":
            return self._drawn(left, many)
        asked = [self._tasks[index] for index in left]
        outcomes = predict_tasks(Predictor(self._binding, adapters, self._fetch), asked)
        # A task that cannot be predicted counts as least certain, because no training example is similar.
        doubts = [1.0 - outcome.prediction.get("score", 1.0) if outcome.prediction else 1.0 for outcome in outcomes]
        if order == "uncertain" or self._features is None:
            return [left[index] for index in diverse_order(doubts, None, many)]
        known = self._features[list(chosen)]
        return [left[index] for index in diverse_order(doubts, self._features[left], many, known)]

    def _adapters(self, annotated: Sequence[AnnotatedExample]) -> dict[str, Adapter]:
        """Return the models trained on some tasks; a model that cannot learn from so few stays untrained."""
        adapters = dict(self._untrained)
        for model in self._models:
            examples, _, _, _ = examples_of(model, annotated, {example.task for example in annotated}, self._fetch)
            try:
                adapters[model.key] = fit(model, examples)
            except (NotEnoughData, AdapterError):
                if len(annotated) == len(self._pool):
                    raise
        return adapters


def _sizes(pool: int) -> list[int]:
    """Return the numbers of annotations after which models are trained: 10, 20, 40 ... and all."""
    sizes = [_FIRST]
    while sizes[-1] * _GROWTH < pool:
        sizes.append(sizes[-1] * _GROWTH)
    return [*sizes, pool]


def _points(sizes: Sequence[int], of_seeds: Sequence[Sequence[float]]) -> list[Point]:
    import numpy as np
    from scipy.stats import sem, t

    points = []
    for size, values in zip(sizes, zip(*of_seeds, strict=True), strict=True):
        mean = float(np.mean(values))
        half = float(t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * sem(values)) if len(values) > 1 else 0.0
        # No metric is above 1, and few are ever below 0.
        low, high = max(mean - half, min(0.0, *values)), min(mean + half, 1.0)
        points.append(Point(size, round(mean, 6), round(low, 6), round(high, 6)))
    return points


def _need(curve: Sequence[Point], target: float) -> int | None:
    """Return the number of annotations at which a curve first reaches the target, interpolated linearly between two points."""
    before: Point | None = None
    for point in curve:
        if point.mean >= target:
            if before is None:
                return point.annotations
            share = (target - before.mean) / (point.mean - before.mean)
            return round(before.annotations + share * (point.annotations - before.annotations))
        before = point
    return None
