"""A hub of models on this machine, as huggingface_hub asks it: one repository from a folder. It is no copy of a real one."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME = "nobody/tiny-detector"


class Hub:
    """`revisions`: a folder by commit; `main` is the newest. `asked`: the paths that were requested."""

    def __init__(self) -> None:
        self.revisions: dict[str, Path] = {}
        self.main = ""
        self.asked: list[str] = []
        self.url = ""

    def add(self, folder: Path) -> str:
        self.main = hashlib.sha1(str(len(self.revisions)).encode()).hexdigest()
        self.revisions[self.main] = folder
        return self.main


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that answers at `url`, until the end of the `with`."""
    made = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = self.path.partition("?")[0]
            made.asked.append(path)
            api = f"/api/models/{NAME}"
            if path == api or path.startswith((f"{api}/revision/", f"{api}/tree/")):
                asked = path.removeprefix(api).rpartition("/")[2]
                commit = made.main if asked in ("", "main") else asked
                files = sorted(made.revisions[commit].iterdir()) if commit in made.revisions else []
                if "/tree/" in path:
                    told: Any = [
                        {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": digest(f)} for f in files
                    ]
                else:
                    told = {"id": NAME, "sha": commit, "siblings": [{"rfilename": file.name} for file in files]}
                self.send(json.dumps(told).encode(), {"Content-Type": "application/json"})
            elif path.startswith(f"/{NAME}/resolve/"):
                commit, _, name = path.removeprefix(f"/{NAME}/resolve/").partition("/")
                commit = made.main if commit == "main" else commit
                file = made.revisions[commit] / name
                self.send(file.read_bytes(), {"ETag": f'"{digest(file)}"', "X-Repo-Commit": commit})
            elif path.startswith("/files/"):
                self.send((made.revisions[made.main] / path.removeprefix("/files/")).read_bytes(), {})
            elif path == "/moved/best.onnx":
                self.send(b"", {"Location": "http://example.com/best.onnx"}, 302)
            else:
                self.send(b"{}", {}, 404)

        def send(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
