"""The Helm chart, rendered by helm itself and checked against the schemas of Kubernetes."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lsml.cli import VERBS
from lsml.recipe import load_recipe
from tests.support.helm import helm_program

REPOSITORY = Path(__file__).parent.parent
CHART = REPOSITORY / "deploy" / "helm"
RECIPE = REPOSITORY / "recipes" / "sentiment.yaml"
GPU = [
    "workers.gpu.queue=gpu",
    "workers.gpu.replicas=1",
    "workers.gpu.resources.limits.memory=1Gi",
    "storage.queues.training=gpu",
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def helm(tmp_path_factory):
    program = helm_program(tmp_path_factory.mktemp("helm"))

    def run(verb: list[str], *settings: str) -> str:
        command = [
            program,
            *verb,
            str(CHART),
            f"--set-file=recipe={RECIPE}",
            "--set=secret=lsml",
            *(f"--set={one}" for one in settings),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module", params=[[], [*GPU, "autoscaling.enabled=true"]], ids=["as it is", "with all"])
def objects(request, helm):
    """The objects of the chart, as Kubernetes would get them."""
    return [one for one in yaml.safe_load_all(helm(["template", "triage"], *request.param)) if one]


def pods(objects):
    return [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]


def test_the_chart_is_clean(helm):
    assert "0 chart(s) failed" in helm(["lint", "--strict"])


def test_every_object_is_what_kubernetes_takes(objects):
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for one in objects:
        validator.validate(one, "1.33", strict=True)


def test_pods_run_as_nobody_in_particular_and_can_write_only_their_data(objects):
    for pod in pods(objects):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"]
        program, verb = container["command"]
        assert program == "lsml" and verb in VERBS
        assert pod["terminationGracePeriodSeconds"] > 3 + 8, "the pause before the end, and the time to finish requests"


def test_servers_have_probes_and_the_policy_opens_their_port_alone(objects):
    server = next(pod["containers"][0] for pod in pods(objects) if pod["containers"][0]["command"][1] == "serve")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"] == {"path": "/health", "port": "http"}
    (policy,) = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": 9090, "protocol": "TCP"}]]


def test_workers_of_each_class_scale_with_the_runs_of_their_queue(helm):
    objects = [one for one in yaml.safe_load_all(helm(["template", "triage"], *GPU, "autoscaling.enabled=true")) if one]
    work = {pod["containers"][0]["args"][-1] for pod in pods(objects) if pod["containers"][0]["command"][1] == "work"}
    assert work == {"/etc/lsml/recipe.yaml", "gpu"}
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in objects if one["kind"] == "HorizontalPodAutoscaler"}
    assert scaled == {"triage-worker-default", "triage-worker-gpu"}
    metrics = [
        one["spec"]["metrics"][0]["external"]["metric"] for one in objects if one["kind"] == "HorizontalPodAutoscaler"
    ]
    assert {metric["name"] for metric in metrics} == {"lsml_open_runs"}
    assert [metric["selector"]["matchLabels"]["queue"] for metric in metrics] == ["", "gpu"]


def test_the_recipe_and_its_override_load(objects, tmp_path):
    (written,) = [one["data"] for one in objects if one["kind"] == "ConfigMap"]
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "secret").mkdir()
    for name in re.findall(r"\$\{(\w+)\}", written["production.yaml"]):
        (tmp_path / "secret" / name).write_text(f"a-{name}\n")
    for pod in pods(objects):
        (mounted,) = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        (container,) = pod["containers"]
        assert mounted == "lsml" and "envFrom" not in container, "no environment holds a secret"
    places = {"/run/secrets/lsml": "secret", "/etc/lsml": "."}
    environment = {}
    for one in container["env"]:
        folder, _, name = one["value"].rpartition("/")
        environment[one["name"]] = str(tmp_path / places[folder] / name) if folder in places else one["value"]
    recipe = load_recipe(tmp_path / "recipe.yaml", environment)
    assert recipe.warnings == ()
    assert recipe.server.password == "a-LSML_PASSWORD"
    assert recipe.storage.artifacts == "s3://lsml/models"
