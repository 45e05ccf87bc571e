"""A server of S3 in memory: `python -m tests.support.s3_server PORT FLAG`. While the file FLAG exists, it refuses to write."""

from __future__ import annotations

import sys
from pathlib import Path

from werkzeug.serving import run_simple


class Moody:
    """A WSGI application that passes requests on, except writes while there is a flag."""

    def __init__(self, application, flag: Path) -> None:
        self._application = application
        self._flag = flag

    def __call__(self, environ, start_response):
        if self._flag.exists() and environ["REQUEST_METHOD"] != "GET":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>The bucket refuses to write.</Message></Error>"]
        return self._application(environ, start_response)


def main(port: int, flag: Path) -> None:
    """Serve for ever."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    application = Moody(DomainDispatcherApplication(create_backend_app), flag)
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
