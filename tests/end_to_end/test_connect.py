"""`lsml connect` on a real Label Studio: annotations arrive, whatever guards lsml and wherever it was before."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from lsml.store import Store
from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.commands import lsml, refused, said
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

pytestmark = pytest.mark.studio

SECRETS = {"THE_PASSWORD": "open sesame:42", "THE_PATH": "hush-hush-path"}
BASIC = 'server: {username: ann, password: "${THE_PASSWORD}"}\n'
SECRET = 'server: {secret_path: "${THE_PATH}"}\n'
BOTH = 'server: {username: ann, password: "${THE_PASSWORD}", secret_path: "${THE_PATH}"}\n'
IMAGES = """<View><Image name="image" value="$image"/>
<Choices name="what" toName="image"><Choice value="Cat"/><Choice value="Dog"/></Choices></View>"""
SMART = '<View><Text name="text" value="$text"/><Labels name="who" toName="text" smart="true"><Label value="A"/></Labels></View>'


@contextmanager
def serving(folder: Path, recipe: str = "", config: str = TOPICS, **backend) -> Iterator[RunningBackend]:
    path = write_recipe(folder, f"training: false\n{recipe}", config=config)
    with RunningBackend(path, folder / "data", **backend) as running:
        yield running


def connect(studio: RealLabelStudio, backend: RunningBackend, *arguments, token: str = LEGACY_TOKEN) -> list[str]:
    """What `lsml connect` printed."""
    options = ("--url", studio.url, "--api-key", token, "--port", backend.port)
    folder = backend.recipe.parent
    return said(
        lsml("connect", backend.recipe.name, *arguments, *options, cwd=folder, environment=SECRETS)
    ).splitlines()


def annotate_one(studio: RealLabelStudio, project: int, backend: RunningBackend) -> None:
    """Annotate a new task, and wait until lsml knows by a webhook."""
    before = backend.project(project)["annotations"]
    [task] = studio.import_tasks(project, [{"text": "refund"}])
    studio.annotate(task, choice("Billing"))
    until("the annotation arrives", lambda: backend.project(project)["annotations"] == before + 1)


@pytest.mark.parametrize("guard", ["", BASIC, SECRET, BOTH], ids=["open", "password", "secret path", "both"])
def test_annotations_arrive_whatever_guards_lsml_and_the_second_time_nothing_changes(studio, tmp_path, guard):
    project = studio.create_project("Guarded", TOPICS)
    auth = ("ann", SECRETS["THE_PASSWORD"]) if "username" in guard else None
    prefix = f"/{SECRETS['THE_PATH']}" if "secret_path" in guard else ""
    with serving(tmp_path, guard, environment=SECRETS, auth=auth, prefix=prefix) as backend:
        assert len(connect(studio, backend, "--project", project)) >= 4
        [row] = studio.call("GET", "/api/ml/", params={"project": project})
        assert (row["state"], row["title"]) == ("CO", row["model_version"])
        fields = studio.project(project)
        assert (fields["sampling"], fields["model_version"]) == ("Uncertainty sampling", row["title"])
        annotate_one(studio, project, backend)
        [hook] = studio.webhooks(project)
        again = connect(studio, backend, "--project", project)
        assert again == ["nothing to change", f"Guarded: {studio.url}/projects/{project}"]
        assert studio.webhooks(project) == [hook]
        assert "a wrong username" not in backend.output
        assert not [secret for secret in SECRETS.values() if secret in backend.output]


def test_the_webhook_of_an_old_port_moves_with_lsml(studio, tmp_path):
    project = studio.create_project("Moving", TOPICS)
    with serving(tmp_path) as backend:
        connect(studio, backend, "--project", project)
        before = backend.address
    with serving(tmp_path) as backend:
        assert backend.address != before
        printed = connect(studio, backend, "--project", project)
        assert (
            f"moved webhook {studio.webhooks(project)[0]['id']} from {before}/webhook to {backend.address}/webhook"
            in printed
        )
        assert [hook["url"] for hook in studio.webhooks(project)] == [f"{backend.address}/webhook"]
        annotate_one(studio, project, backend)
    # A person deletes the model in Label Studio, whose webhook stays, and connects lsml at another port.
    [row] = studio.call("GET", "/api/ml/", params={"project": project})
    studio.call("DELETE", f"/api/ml/{row['id']}")
    left = backend.address
    with serving(tmp_path) as backend:
        printed = connect(studio, backend, "--project", project)
        assert (
            f"turned off webhook {studio.webhooks(project)[0]['id']} ({left}/webhook), because nothing listens there"
            in str(printed)
        )
        assert sorted(hook["is_active"] for hook in studio.webhooks(project)) == [False, True]
        annotate_one(studio, project, backend)
        assert connect(studio, backend, "--project", project)[0] == "nothing to change"


def test_a_project_is_made_with_the_tasks_of_each_kind_of_file(studio, tmp_path):
    pairs = [text for text, _ in tickets(5)]
    files = {
        "tasks.json": json.dumps([{"data": {"text": text}} for text in pairs]),
        "tasks.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in pairs),
        "tasks.csv": "text\n" + "".join(f"{text}\n" for text in pairs),
        "tasks.txt": "".join(f"{text}\n" for text in pairs),
    }
    with serving(tmp_path) as backend:
        for name, content in files.items():
            (tmp_path / name).write_text(content)
            printed = connect(studio, backend, "--create", f"Of {name}", "--tasks", name)
            assert f"imported 5 tasks of {name}" in printed
            project = int(printed[-1].rpartition("/")[2])
            assert [task["data"]["text"] for task in studio.tasks(project)] == pairs
            again = connect(studio, backend, "--create", f"Of {name}", "--tasks", name)
            assert again[-2:] == ["nothing to change", printed[-1]]
            assert len(studio.tasks(project)) == 5


def test_a_folder_of_images_is_uploaded_and_a_smart_tool_switched_on(studio, tmp_path):
    pytest.importorskip("cv2")
    for name in ("one.png", "two words.jpg"):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / name)
    with serving(tmp_path, "tags: {Choices: image-classifier}\n", IMAGES) as backend:
        printed = connect(studio, backend, "--create", "Images", "--tasks", "images")
        assert "uploaded 2 images of images" in printed
        project = int(printed[-1].rpartition("/")[2])
        shown = [task["data"]["image"] for task in studio.tasks(project)]
        assert [url.partition(f"/data/upload/{project}/")[2][9:] for url in shown] == ["one.png", "two_words.jpg"]
        assert connect(studio, backend, "--create", "Images", "--tasks", "images")[-2] == "nothing to change"


def test_interactive_preannotations_are_switched_on_for_a_smart_tool(studio, tmp_path):
    with serving(tmp_path, "tags: {Labels: text-matcher}\n", SMART) as backend:
        printed = connect(studio, backend, "--create", "Smart")
        assert f"added the model at {backend.address} with interactive preannotations" in printed
        project = int(printed[-1].rpartition("/")[2])
        [row] = studio.call("GET", "/api/ml/", params={"project": project})
        assert row["is_interactive"] is True
        assert connect(studio, backend, "--create", "Smart")[0] == "nothing to change"


def test_a_personal_access_token_connects_too(studio, tmp_path):
    project = studio.create_project("Personal", TOPICS)
    with serving(tmp_path) as backend:
        connect(studio, backend, "--project", project, token=studio.personal_access_token())
        annotate_one(studio, project, backend)
        assert connect(studio, backend, "--project", project)[0] == "nothing to change"


def test_a_project_without_tasks_is_no_alarm_and_annotations_that_are_imported_with_tasks_are_read(studio, tmp_path):
    project = studio.create_project("Empty", TOPICS)
    label_studio = f'label_studio: {{url: "{studio.url}", api_key: "{LEGACY_TOKEN}"}}\n'
    with serving(tmp_path, label_studio) as backend:
        connect(studio, backend, "--project", project)
        with closing(Store(tmp_path / "data")) as store:
            until("lsml looked", lambda: (row := store.projects.find(str(project))) and not row.sync_wanted)
        studio.import_tasks(project, [{"data": {"text": "refund"}, "annotations": [{"result": choice("Billing")}]}])
        until("what was imported is known", lambda: backend.project(project)["annotations"] == 1)
        assert "could not be read" not in backend.output


def test_a_host_without_a_dot_is_refused_with_what_to_do(studio, tmp_path):
    name = socket.gethostname()
    if "." in name or name == "localhost":
        pytest.skip("this machine's name has a dot")
    project = studio.create_project("No dot", TOPICS)
    with serving(tmp_path, arguments=["--host", "0.0.0.0"]) as backend:
        url = f"http://{name}:{backend.port}"
        done = lsml("connect", backend.recipe.name, "--project", project, "--url", studio.url, "--api-key", LEGACY_TOKEN,
                    "--backend-url", url, cwd=tmp_path)  # fmt: skip
        assert done.returncode == 1
        assert (
            f"refused to add a webhook: it sends no webhook to {url}, as it needs a host name with a dot" in done.stderr
        )
        # With an address instead, the same model is mended.
        assert f"its address from {url} to {backend.address}" in str(connect(studio, backend, "--project", project))
        annotate_one(studio, project, backend)


def test_a_host_that_label_studio_does_not_find_is_named(studio, tmp_path):
    project = studio.create_project("Nowhere", TOPICS)
    recipe = write_recipe(tmp_path).name
    options = ("--project", project, "--url", studio.url, "--api-key", LEGACY_TOKEN)
    done = lsml("connect", recipe, *options, "--backend-url", "http://no-such-host.invalid:9090", cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "it cannot find the host no-such-host.invalid; give an address that it can reach with --backend-url"
        in done.stderr
    )


@pytest.mark.parametrize("half", ["ML_BLOCK_LOCAL_IP", "SSRF_PROTECTION_ENABLED"])
def test_a_label_studio_that_asks_no_private_address_is_named_with_its_switches(tmp_path, half):
    with RealLabelStudio(environment={half: "true"}) as studio, serving(tmp_path) as backend:
        project = studio.create_project("Blocked", TOPICS)
        done = lsml("connect", backend.recipe.name, "--project", project, "--url", studio.url, "--api-key", LEGACY_TOKEN,
                    "--port", backend.port, cwd=tmp_path)  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.strip().endswith(
            f"{backend.address} is a private address, which Label Studio only asks if it was started with "
            "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false in its environment"
        )


def test_another_program_and_a_wrong_password_are_named(studio, tmp_path):
    project = studio.create_project("Refused", TOPICS)
    other = write_recipe(tmp_path, BASIC, name="other.yaml").name
    with serving(
        tmp_path, BASIC, environment={**SECRETS, "THE_PASSWORD": "another"}, auth=("ann", "another")
    ) as backend:
        options = ("--project", project, "--url", studio.url, "--api-key", LEGACY_TOKEN, "--port", backend.port)
        done = lsml("connect", other, *options, cwd=tmp_path, environment=SECRETS)
        assert "expects another username and password" in done.stderr
    assert "nothing listens at" in refused(lsml("connect", other, *options, cwd=tmp_path, environment=SECRETS))


def test_run_connects_learns_publishes_and_shows_it_with_no_hand_in_between(studio, tmp_path):
    texts = tickets(40)
    (tmp_path / "tasks.txt").write_text("".join(f"{text}\n" for text, _ in texts))
    truth = dict(texts)
    arguments = ["--connect", "--create", "By itself", "--tasks", str(tmp_path / "tasks.txt"), "--url", studio.url,
                 "--api-key", studio.personal_access_token()]  # fmt: skip
    recipe = write_recipe(tmp_path, "training: {quiet: 1s}\n")
    with RunningBackend(recipe, tmp_path / "data", arguments=arguments) as backend:
        until("it is connected", lambda: "lsml: connected: By itself: " in backend.output)
        project = int(backend.output.partition("lsml: connected: By itself: ")[2].split()[0].rpartition("/")[2])
        tasks = studio.tasks(project)
        for task in tasks[:12]:
            studio.annotate(task["id"], choice(truth[task["data"]["text"]]))
        until("it learnt", lambda: "lsml: By itself: v1 in " in backend.output)
        until("it published", lambda: all(len(task["predictions"]) == 1 for task in studio.tasks(project)[12:]))
        until("and shows it", lambda: studio.project(project)["model_version"].startswith("triage-v1-"))
        scores = {task["id"]: task["predictions_score"] for task in studio.tasks(project)[12:]}
        assert None not in scores.values()
        assert studio.next_task(project)["id"] == min(scores, key=lambda id: scores[id])
        assert "annotations until the next training\n" in backend.output
