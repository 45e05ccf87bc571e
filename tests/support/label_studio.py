"""A real Label Studio for tests: its own process, data directory and loopback port, and the calls that tests make.

    with RealLabelStudio() as studio:
        project = studio.create_project("Tickets", CONFIG)
        studio.import_tasks(project, [{"text": "the invoice is wrong"}])

Its environment is made once (`studio_venv`), and so is a data directory with all migrations done, which every start
copies: the first start takes about a minute, later ones some seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
from filelock import FileLock

from tests.support.studio_venv import LABEL_STUDIO, cache_directory, studio_python, studio_venv

USERNAME = "annotator@example.com"
PASSWORD = "a-password-for-tests"
LEGACY_TOKEN = "0123456789abcdef0123456789abcdef01234567"


class StudioFailed(Exception):
    """Label Studio did not start, or refused a call; the text holds its answer or the end of its log."""


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealLabelStudio:
    """Label Studio, running; `release` says which, 1.23.2 where it is left out.

    Calls carry the legacy token; errors are StudioFailed with Label Studio's own text.

    `home`: a folder of the caller's for the data directory and the log (kept); without one a temporary folder is used
    and removed. `environment`: settings beside those of `_environment`. `url`, `port`, `log`, `files` (the folder that
    Local Files storages may serve) and `client` (an httpx client with the legacy token) are there while it runs.
    """

    def __init__(
        self,
        home: Path | None = None,
        environment: Mapping[str, str] | None = None,
        release: str = LABEL_STUDIO,
    ) -> None:
        self.release = release
        self._own_home = home is None
        self.home = Path(tempfile.mkdtemp(prefix="label-studio-")) if home is None else home
        self.data = self.home / "data"
        self.files = self.home / "files"
        self.log = self.home / "label-studio.log"
        self._more_environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.url = ""
        self.client = httpx.Client()

    # Starting and stopping

    def start(self, timeout_s: float = 180) -> Self:
        """Start on a free port, and wait until it answers."""
        self.files.mkdir(parents=True, exist_ok=True)
        if not self.data.exists():
            shutil.copytree(_template(self.release), self.data)
        try:
            self._launch(timeout_s)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the process and everything it started. The data directory stays, so that `start` goes on from it."""
        self.client.close()
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            family = [*root.children(recursive=True), root]
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
            for process in psutil.wait_procs(family, timeout=10)[1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait(timeout=10)
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            sys.stderr.write(f"\nThe end of Label Studio's log:\n{self.log_tail()}\n")
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def log_tail(self, characters: int = 4000) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-characters:] if self.log.exists() else ""

    def _launch(self, timeout_s: float) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        home = studio_venv(self.release)
        program = studio_python(home).with_name("label-studio.exe" if sys.platform == "win32" else "label-studio")
        command = [program, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(self.port)]
        command += ["--username", USERNAME, "--password", PASSWORD, "--user-token", LEGACY_TOKEN]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env=self._environment(),
            )
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Token {LEGACY_TOKEN}"}, timeout=130, trust_env=False
        )
        self._wait_until_healthy(timeout_s)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO", "DJANGO"))}
        for unset in ("HOST", "PORT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
            kept.pop(unset, None)
        return {
            **kept,
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.data),
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(self.files),
            # Backends and webhooks of the tests listen on loopback, which Label Studio refuses by default.
            "ML_BLOCK_LOCAL_IP": "false",
            "SSRF_PROTECTION_ENABLED": "false",
            # Tests do not phone home.
            "COLLECT_ANALYTICS": "False",
            "LATEST_VERSION_CHECK": "False",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            **self._more_environment,
        }

    def _wait_until_healthy(self, timeout_s: float) -> None:
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StudioFailed(f"Label Studio ended with {self._process.returncode}:\n{self.log_tail()}")
            with contextlib.suppress(httpx.HTTPError):
                if self.client.get("/api/version/", timeout=5).status_code == 200:
                    return
            time.sleep(0.2)
        raise StudioFailed(f"Label Studio did not answer on {self.url} for {timeout_s:g} s:\n{self.log_tail()}")

    # Calls

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Label Studio's answer as JSON; None where it is empty."""
        answer = self.client.request(method, path, **request)
        if not answer.is_success:
            raise StudioFailed(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def create_project(self, title: str, label_config: str, **fields: Any) -> int:
        """The new project's id. A title needs three characters."""
        body = {"title": title, "label_config": label_config, **fields}
        return int(self.call("POST", "/api/projects/", json=body)["id"])

    def project(self, project: int) -> dict[str, Any]:
        """The project's fields."""
        return dict(self.call("GET", f"/api/projects/{project}/"))

    def patch_project(self, project: int, **fields: Any) -> dict[str, Any]:
        """Change fields of a project: `label_config`, `sampling`, `model_version` ..."""
        return dict(self.call("PATCH", f"/api/projects/{project}/", json=fields))

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import data dicts, or full tasks (`{"data": ..., "annotations": [...]}`). The new tasks' ids, in order."""
        before = {task["id"] for task in self.tasks(project)}
        self.call("POST", f"/api/projects/{project}/import", json=list(tasks))
        return sorted(task["id"] for task in self.tasks(project) if task["id"] not in before)

    def upload(self, project: int, name: str, content: bytes) -> list[dict[str, Any]]:
        """Upload a file, which becomes tasks; those of the project afterwards, with raw data."""
        self.call("POST", f"/api/projects/{project}/import", files={"file": (name, content)})
        return self.tasks(project)

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """All tasks with annotations and predictions, raw values, in the order of their ids."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            query = {"project": project, "page": page, "page_size": 100, "fields": "all", "resolve_uri": "false"}
            answer = self.call("GET", "/api/tasks/", params=query)
            found += answer["tasks"]
            if len(found) >= answer["total"]:
                return sorted(found, key=lambda task: int(task["id"]))
            page += 1

    def task(self, task: int) -> dict[str, Any]:
        """One task as the labeling page opens it, which may ask the backend for a prediction."""
        return dict(self.call("GET", f"/api/tasks/{task}/"))

    def delete_tasks(self, project: int, tasks: Sequence[int]) -> None:
        """Delete tasks as the Data Manager does."""
        self._action(project, "delete_tasks", tasks)

    def next_task(self, project: int) -> dict[str, Any]:
        """The task that Label Studio would give to an annotator now."""
        return dict(self.call("GET", f"/api/projects/{project}/next/"))

    def add_backend(
        self,
        project: int,
        url: str,
        title: str = "lsml",
        extra_params: Any = None,
        basic_auth_user: str | None = None,
        basic_auth_pass: str | None = None,
        **fields: Any,
    ) -> int:
        """Connect an ML backend; its id."""
        body: dict[str, Any] = {"project": project, "url": url, "title": title, **fields}
        if extra_params is not None:
            body["extra_params"] = extra_params
        if basic_auth_user is not None:
            body |= {
                "auth_method": "BASIC_AUTH",
                "basic_auth_user": basic_auth_user,
                "basic_auth_pass": basic_auth_pass,
            }
        return int(self.call("POST", "/api/ml/", json=body)["id"])

    def get_backend(self, backend: int) -> dict[str, Any]:
        """The backend's row: `state`, `error_message`, `model_version` ..."""
        return dict(self.call("GET", f"/api/ml/{backend}"))

    def start_training(self, backend: int) -> None:
        """Press Start Training."""
        self.call("POST", f"/api/ml/{backend}/train", json={})

    def retrieve_predictions(self, project: int, tasks: Sequence[int] | None = None) -> None:
        """The Data Manager's action Retrieve Predictions, for some tasks or for all."""
        self._action(project, "retrieve_tasks_predictions", tasks)

    def predictions(self, task: int) -> list[dict[str, Any]]:
        """The predictions stored for a task."""
        return list(self.call("GET", "/api/predictions/", params={"task": task}))

    def interactive(self, backend: int, task: int, context: Any) -> dict[str, Any]:
        """What the labeling page gets when a person draws or selects; the backend needs `is_interactive=True`."""
        body = {"task": task, "context": context}
        return dict(self.call("POST", f"/api/ml/{backend}/interactive-annotating", json=body))

    def annotate(self, task: int, result: Sequence[Mapping[str, Any]], **fields: Any) -> int:
        """Submit an annotation (`was_cancelled=True`: skip the task); its id."""
        body = {"result": list(result), **fields}
        return int(self.call("POST", f"/api/tasks/{task}/annotations/", json=body)["id"])

    def annotation(self, annotation: int) -> dict[str, Any]:
        """One annotation."""
        return dict(self.call("GET", f"/api/annotations/{annotation}/"))

    def update_annotation(self, annotation: int, **fields: Any) -> dict[str, Any]:
        """Change an annotation: `result`, `ground_truth`, `was_cancelled`."""
        return dict(self.call("PATCH", f"/api/annotations/{annotation}/", json=fields))

    def delete_annotation(self, annotation: int) -> None:
        """Delete one annotation."""
        self.call("DELETE", f"/api/annotations/{annotation}/")

    def webhooks(self, project: int) -> list[dict[str, Any]]:
        """The webhooks of a project."""
        return list(self.call("GET", "/api/webhooks/", params={"project": project}))

    def export(self, project: int) -> list[dict[str, Any]]:
        """The JSON export, of every task."""
        query = {"exportType": "JSON", "download_all_tasks": "true"}
        return list(self.call("GET", f"/api/projects/{project}/export", params=query))

    def serve_folder(self, project: int, folder: Path) -> None:
        """A Local Files storage over a folder in `files`, so that `/data/local-files/?d=...` answers."""
        body = {"project": project, "path": str(folder), "use_blob_urls": True}
        self.call("POST", "/api/storages/localfiles", json=body)

    # Tokens

    def allow_tokens(self, *, legacy: bool = True, personal: bool = True) -> None:
        """Which kinds of token the organisation accepts."""
        body = {"legacy_api_tokens_enabled": legacy, "api_tokens_enabled": personal}
        with self._session() as session:
            answer = session.post("/api/jwt/settings", json=body)
            if not answer.is_success:
                raise StudioFailed(f"POST /api/jwt/settings: {answer.status_code} {answer.text[:2000]}")

    def personal_access_token(self) -> str:
        """A new personal access token; the one from before is revoked, for a user may hold one."""
        with self._session() as session:
            for held in session.get("/api/token/").json():
                session.post("/api/token/blacklist/", json={"refresh": held["token"]})
            answer = session.post("/api/token/", json={})
        if not answer.is_success:
            raise StudioFailed(f"POST /api/token/: {answer.status_code} {answer.text[:2000]}")
        return str(answer.json()["token"])

    def sign_up(self, email: str) -> httpx.Client:
        """Another user of the organisation, signed in: a client for the API, which the caller closes."""
        invite = str(self.call("GET", "/api/invite")["invite_url"])
        session = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        session.get(invite)
        form = {"email": email, "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(invite, data=form, headers={"Referer": f"{self.url}{invite}"})
        if answer.status_code != 302:
            session.close()
            raise StudioFailed(f"signing up: {answer.status_code} {answer.text[:2000]}")
        session.headers.update({"X-CSRFToken": session.cookies["csrftoken"], "Referer": self.url})
        return session

    @contextlib.contextmanager
    def _session(self) -> Iterator[httpx.Client]:
        """A signed-in browser's session, which works whatever tokens the organisation accepts."""
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as session:
            session.get("/user/login/")
            form = {"email": USERNAME, "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
            answer = session.post("/user/login/", data=form, headers={"Referer": f"{self.url}/user/login/"})
            if answer.status_code != 302:
                raise StudioFailed(f"signing in: {answer.status_code}")
            session.headers.update({"X-CSRFToken": session.cookies["csrftoken"], "Referer": self.url})
            yield session

    def _action(self, project: int, name: str, tasks: Sequence[int] | None) -> None:
        chosen = {"all": True, "excluded": []} if tasks is None else {"all": False, "included": list(tasks)}
        body = {"project": project, "selectedItems": chosen, "filters": {"conjunction": "and", "items": []}}
        self.call("POST", "/api/dm/actions/", params={"project": project, "id": name}, json=body)


def _template(release: str) -> Path:
    """A data directory with all migrations done and the user made; built once, by starting Label Studio on it."""
    home = cache_directory() / f"label-studio-{release}-data"
    with FileLock(f"{home}.lock"):
        if not (home / "complete.json").exists():
            shutil.rmtree(home, ignore_errors=True)
            (home / "data").mkdir(parents=True)
            studio = RealLabelStudio(home, release=release)
            try:
                studio.start(timeout_s=600)
                version = studio.call("GET", "/api/version/")["release"]
            finally:
                studio.stop()
            (home / "complete.json").write_text(json.dumps({"release": version}), encoding="utf-8")
    return home / "data"
