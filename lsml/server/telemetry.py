"""Metrics for Prometheus: requests and outcomes of tasks, counted in this process; runs and versions, from the store."""

from __future__ import annotations

import os
from collections import Counter as Count
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from lsml.binding import Binding
from lsml.errors import LabelingConfigError
from lsml.learning.corrections import FATES
from lsml.prediction import Outcome
from lsml.server.quality import Quality
from lsml.server.serving import Serving
from lsml.store import Store
from lsml.store.runs import KINDS, STATES
from lsml.values import label_of
from lsml.versions import Card

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PROJECTS = 200  # with more projects, their metrics are only under /api
_LABELS = 1000  # labels of all projects that are counted


class Telemetry:
    """The counters of one application. They hold no text of a task and no secret; of labels, those of labeling configs."""

    def __init__(self, store: Store, serving: Serving, quality: Quality) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lsml_requests", "Requests by endpoint and status.", ("endpoint", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "lsml_request_seconds", "Time to answer.", ("endpoint",), buckets=_SECONDS, registry=self._registry
        )
        self._tasks = Counter(
            "lsml_tasks",
            "Tasks of /predict, with and without a prediction.",
            ("outcome",),
            registry=self._registry,
        )
        self._regions = Counter("lsml_regions", "Regions in predictions.", registry=self._registry)
        self._labels = Counter(
            "lsml_predicted_labels",
            "Labels in predictions; their shares over time show whether tasks change.",
            ("project", "control", "label"),
            registry=self._registry,
        )
        self._counted: set[tuple[str, str, str]] = set()
        self._dropped = Counter(
            "lsml_dropped", "Tasks or regions left out, by reason.", ("reason",), registry=self._registry
        )
        self._found = Counter(
            "lsml_cache",
            "Elements that a model was asked about: in the cache (hit), computed for another request meanwhile (shared), or "
            "computed (miss).",
            ("found",),
            registry=self._registry,
        )
        self._stored = _Stored(store, serving, quality)
        self._registry.register(self._stored)

    def watch(self, app: Flask) -> None:
        """Count every request of an application, timed from `g.began`."""

        @app.after_request
        def end(response: Response) -> Response:
            endpoint = request.endpoint or "none"
            self._requests.labels(endpoint, str(response.status_code)).inc()
            began = g.get("began")
            if began is not None:
                self._latency.labels(endpoint).observe(perf_counter() - began)
            return response

    def count(self, project: str, binding: Binding, outcomes: Sequence[Outcome], dropped: Count[str]) -> None:
        """Count the outcomes of one request's tasks."""
        predicted = [len(outcome.prediction["result"]) for outcome in outcomes if outcome.prediction is not None]
        left = len(outcomes) - len(predicted)
        if predicted:
            self._tasks.labels("predicted").inc(len(predicted))
            self._regions.inc(sum(predicted))
        if left:
            self._tasks.labels("not predicted").inc(left)
        for reason, number in dropped.items():
            self._dropped.labels(reason).inc(number)

        for (control, label), number in _labels(binding, outcomes).items():
            key = (project, control, label)
            if key in self._counted or len(self._counted) < _LABELS:
                self._counted.add(key)
                self._labels.labels(*key).inc(number)

    def count_found(self, found: str, elements: int) -> None:
        """Count elements by where their answer came from."""
        self._found.labels(found).inc(elements)

    def page(self) -> Response:
        """Return the metrics in Prometheus' format; of several processes at one port, the counts of all together."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
            registry.register(self._stored)
        return Response(generate_latest(registry), mimetype="text/plain; version=0.0.4")


class _Stored:
    """Metrics from the store, read at each request, as the worker is another process."""

    def __init__(self, store: Store, serving: Serving, quality: Quality) -> None:
        self._store = store
        self._serving = serving
        self._quality = quality

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        runs = GaugeMetricFamily("lsml_runs", "Training runs by state; waiting runs are the queue.", labels=("state",))
        counted = self._store.runs.counts()
        for state in STATES:
            runs.add_metric((state,), counted.get(state, 0))
        yield runs
        yield from self._queues()
        yield from self._publishings()
        yield from self._corrections()
        versions = GaugeMetricFamily("lsml_versions", "Versions kept, by project.", labels=("project",))
        kept = self._store.versions.counts()
        annotations = GaugeMetricFamily("lsml_annotations", "Usable annotations by project.", labels=("project",))
        promoted = GaugeMetricFamily("lsml_promoted_version", "Number of the served version.", labels=("project",))
        held_out = GaugeMetricFamily(
            "lsml_held_out_metric",
            "Main metric of the served version, by control.",
            labels=("project", "control", "metric"),
        )
        left_out = GaugeMetricFamily(
            "lsml_left_out",
            "Regions or labels of annotations that the served version was not trained on, by reason.",
            labels=("project", "control", "reason"),
        )
        unreadable = GaugeMetricFamily(
            "lsml_unreadable_cards",
            "Promoted versions whose card cannot be read, by project; the log has the reason.",
            labels=("project",),
        )
        served: dict[str, Card] = {}
        for project in self._store.projects.all()[:_PROJECTS]:
            annotations.add_metric((project.key,), project.usable)
            versions.add_metric((project.key,), kept.get(project.key, 0))
            promoted.add_metric((project.key,), project.promoted or 0)
            row = self._store.versions.served(project.key)
            if row is None:
                continue
            card = self._serving.promoted.card(row)
            unreadable.add_metric((project.key,), 0 if card else 1)
            if card is None:
                continue
            for control, judged in card.metrics.items():
                if judged.get("value") is not None:
                    held_out.add_metric((project.key, control, judged["metric"]), judged["value"])
            counts: Count[tuple[str, str]] = Count()
            for found in card.left_out:
                if found.lost:
                    counts[found.control, found.reason] += found.count
            for (control, reason), count in counts.items():
                left_out.add_metric((project.key, control, reason), count)
            served[project.key] = card
        yield from (annotations, versions, promoted, held_out, left_out, unreadable, *_shifts(served))

    def _queues(self) -> Iterator[Metric]:
        ages = GaugeMetricFamily(
            "lsml_queue_age_seconds",
            "For how long the first waiting run has been due, by kind; 0 where none is.",
            labels=("kind",),
        )
        for kind, age_s in self._store.runs.overdue_s().items():
            ages.add_metric((kind,), age_s)
        alive = GaugeMetricFamily(
            "lsml_worker_alive", "1 where a worker of the queue is alive, by storage.queues.", labels=("queue",)
        )
        needed = GaugeMetricFamily(
            "lsml_open_runs",
            "Runs of every kind that are due or being done, by storage.queues: what workers are needed for.",
            labels=("queue",),
        )
        queues, counts = self._serving.recipe.storage.queues, self._store.runs.open_counts()
        for queue in queues.named:
            alive.add_metric((queue or "",), self._store.workers.alive(queue))
            needed.add_metric((queue or "",), sum(counts[kind] for kind in KINDS if getattr(queues, kind) == queue))
        yield from (ages, alive, needed)

    def _corrections(self) -> Iterator[Metric]:
        regions = GaugeMetricFamily(
            "lsml_corrections",
            "Regions of the latest annotations that started from a prediction: untouched, edited, deleted or added.",
            labels=("project", "model_version", "fate"),
        )
        seconds = GaugeMetricFamily(
            "lsml_lead_time_seconds",
            "Median time of the latest annotations, with and without a prediction.",
            labels=("project", "began"),
        )
        for project in self._store.projects.all()[:_PROJECTS]:
            try:
                found = self._quality.of(project)
            except LabelingConfigError:
                continue  # it is reported wherever the project is shown
            for version in found.versions:
                for fate in FATES:
                    regions.add_metric((project.key, version.version, fate), getattr(version.regions, fate))
            for began, median in (("prediction", found.lead_time_s.from_prediction), ("anew", found.lead_time_s.anew)):
                if median is not None:
                    seconds.add_metric((project.key, began), median)
        yield from (regions, seconds)

    def _publishings(self) -> Iterator[Metric]:
        published = CounterMetricFamily(
            "lsml_published", "Predictions posted to Label Studio, by project.", labels=("project",)
        )
        last = GaugeMetricFamily(
            "lsml_last_publishing",
            "1 for the state of each project's last publishing run.",
            labels=("project", "state"),
        )
        for project in self._store.projects.all()[:_PROJECTS]:
            published.add_metric((project.key,), project.published)
            run = self._store.runs.last(project.key, "publishing")
            if run is not None:
                for state in STATES:
                    last.add_metric((project.key, state), run.state == state)
        yield from (published, last)


def _labels(binding: Binding, outcomes: Sequence[Outcome]) -> Count[tuple[str, str]]:
    """Return how often the predictions have each label of the labeling config, by control."""
    known = {control.control_tag.name: control.labels for model in binding.models for control in model.controls}
    told = Count(
        (control, label)
        for outcome in outcomes
        for control, values in outcome.values.items()
        for value in values
        if (label := label_of(value)) is not None
    )
    return Count(
        {(control, label): number for (control, label), number in told.items() if label in known.get(control, ())}
    )


def _shifts(served: Mapping[str, Card]) -> Iterator[Metric]:
    """Yield how the served versions differ from those before them, from their cards, by project."""
    changed = GaugeMetricFamily(
        "lsml_changed_answers",
        "Share of the served version's answers to judged tasks that differ from those of the version before, by model.",
        labels=("project", "model"),
    )
    drift = GaugeMetricFamily(
        "lsml_label_drift",
        "Population stability index of the labels that the served version learnt anew, by model; above 0.25 is a shift.",
        labels=("project", "model"),
    )
    for project, card in served.items():
        for model, decision in card.decisions.items():
            if decision.compared is not None and decision.compared.changed is not None:
                changed.add_metric((project, model), decision.compared.changed)
        for model, one in card.drift.items():
            drift.add_metric((project, model), one.index)
    yield from (changed, drift)
