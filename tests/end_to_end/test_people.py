"""Three users of a real Label Studio correct predictions: agreement, accepted share and lead time are as counted by hand."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from itertools import combinations, permutations
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.label_studio import LEGACY_TOKEN

pytestmark = [pytest.mark.studio, pytest.mark.timeout(300)]

LEARNT, SHARED = 24, 12
NEXT = {"Billing": "Bug", "Bug": "Question", "Question": "Billing"}
PEOPLE = {
    "ann@example.com": 99,
    "bob@example.com": 4,
    "eve@example.com": 2,
}  # every how many tasks one changes the answer


def kappa(first: list[str], second: list[str]) -> float:
    """Cohen's, by its definition."""
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    one, other = Counter(first), Counter(second)
    expected = sum(one[label] * other[label] for label in one) / len(first) ** 2
    return (observed - expected) / (1 - expected)


def alpha(answers: list[list[str]]) -> float:
    """Krippendorff's of nominal answers, from its coincidences."""
    together: Counter[tuple[str, str]] = Counter()
    for of_task in answers:
        for pair in permutations(of_task, 2):
            together[pair] += 1 / (len(of_task) - 1)
    totals: Counter[str] = Counter()
    for (label, _), count in together.items():
        totals[label] += count
    whole = totals.total()
    observed = sum(count for (a, b), count in together.items() if a != b)
    expected = sum(totals[a] * totals[b] for a, b in permutations(totals, 2)) / (whole - 1)
    return 1 - observed / expected


def test_what_three_people_do_with_predictions_is_told_as_counted_by_hand(studio, tmp_path: Path) -> None:
    path = write_recipe(
        tmp_path,
        f"label_studio: {{url: {studio.url}, api_key: {LEGACY_TOKEN}}}\n"
        "training: {every: 1000, quiet: 0s, learn_from: {except_annotators: [eve@example.com]}}\n",
        config=None,
    )
    with RunningBackend(path, tmp_path / "data") as lsml, ExitStack() as stack:
        project = studio.create_project("People", TOPICS, maximum_annotations=3)
        pairs = tickets(LEARNT + SHARED, seed=7)
        tasks = studio.import_tasks(project, [{"text": text} for text, _ in pairs])
        backend = studio.add_backend(project, lsml.address)
        for task, (_, label) in list(zip(tasks, pairs, strict=True))[:LEARNT]:
            studio.annotate(task, choice(label), lead_time=20.0)
        studio.start_training(backend)
        shared = tasks[LEARNT:]
        until("predictions are shown", lambda: all(studio.predictions(task) for task in shared))
        until(
            "of the version that the project names",
            lambda: lsml.project(project)["publishing"]["job_status"] == "finished",
        )
        predicted = {task: studio.predictions(task)[0] for task in shared}
        assert {one["model_version"] for one in predicted.values()} == {studio.project(project)["model_version"]}

        names: dict[str, str] = {}
        given: dict[str, list[str]] = {}
        took: dict[str, list[float]] = {}
        for who, every in PEOPLE.items():
            person = studio.sign_up(who)
            stack.callback(person.close)
            names[who] = str(person.get("/api/current-user/whoami").json()["id"])
            for number, task in enumerate(shared, 1):
                prediction = predicted[task]
                (said,) = prediction["result"][0]["value"]["choices"]
                label = NEXT[said] if number % every == 0 else said
                given.setdefault(who, []).append(label)
                took.setdefault(who, []).append(every / 2 + number)
                # As the editor submits what somebody began from a prediction.
                result = [{**prediction["result"][0], "value": {"choices": [label]}}]
                body = {"result": result, "lead_time": took[who][-1], "parent_prediction": prediction["id"]}
                person.post(f"/api/tasks/{task}/annotations/", json=body).raise_for_status()
        studio.start_training(backend)  # which reads whose number is whose address
        lsml.settled(project)
        told = lsml.get(f"/api/projects/{project}/people")
        state = lsml.project(project)

    assert {one["annotator"] for one in told["annotators"]} >= set(names.values()), (
        "by their numbers, without addresses"
    )
    assert state["annotations"] == LEARNT + 2 * SHARED, "eve teaches nothing"

    (control,) = told["controls"]
    assert control["tasks"] == SHARED
    assert control["value"] == pytest.approx(alpha([list(of) for of in zip(*given.values(), strict=True)]), abs=1e-4)
    kappas = {frozenset(pair["annotators"]): pair["value"] for pair in control["pairs"]}
    for one, other in combinations(PEOPLE, 2):
        assert kappas[frozenset((names[one], names[other]))] == pytest.approx(kappa(given[one], given[other]), abs=1e-4)

    corrections = told["corrections"]
    changed = {who: SHARED // every for who, every in PEOPLE.items()}
    assert changed == {"ann@example.com": 0, "bob@example.com": 3, "eve@example.com": 6}
    assert (corrections["annotations"], corrections["unchanged"], corrections["unknown"]) == (36, 27, 0)
    assert corrections["regions"] == {"untouched": 27, "edited": 9, "deleted": 0, "added": 0, "accepted": 0.75}
    assert corrections["lead_time_s"]["anew"] == 20.0
    assert corrections["lead_time_s"]["from_prediction"] == median(time for times in took.values() for time in times)
    for one in corrections["annotators"]:
        who = next(who for who, name in names.items() if name == one["annotator"])
        assert one["regions"]["accepted"] == round(1 - changed[who] / SHARED, 4)
        assert one["lead_time_s"]["from_prediction"] == median(took[who])
    (version,) = corrections["versions"]
    assert (version["version"], version["annotations"]) == (predicted[shared[0]]["model_version"], 36)
