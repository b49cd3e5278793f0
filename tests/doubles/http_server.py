"""A small HTTP server in a thread, on which the ticket server and the Stripe double are built.

It can also do what a healthy server does not: drop the connection instead of answering, or answer byte by byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """A request as it came; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """What to answer. ``drop``: close the connection instead. ``seconds_per_byte``: how slowly the body goes out."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    seconds_per_byte: float = 0.0


DROPPED = Response(drop=True)


class RunningServer:
    """Serves ``answer`` on a loopback port while it is entered: a free one unless one is given."""

    def __init__(self, answer: Callable[[Request], Response], *, port: int = 0) -> None:
        self._answer = answer
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        running = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                response = running._answer(request)
                self.close_connection = True
                if not response.drop:
                    self._write(response)

            def _write(self, response: Response) -> None:
                self.send_response(response.status)
                for name, value in ({"Content-Length": str(len(response.body))} | dict(response.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                if not response.seconds_per_byte:
                    self.wfile.write(response.body)
                    return
                for byte in response.body:
                    if running._stopping.wait(response.seconds_per_byte):
                        return
                    self.wfile.write(bytes([byte]))

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    return  # the client gave up: that is what some tests are about

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    return

            def log_message(self, format: str, *args: Any) -> None:
                return

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - names the library looks for

        return Handler
