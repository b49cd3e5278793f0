"""A ticket system on this machine while the demonstration is made, so that tickets are real and nobody gets mail.

The product's own REST gateway talks to it over HTTP. Afterwards ``switched_off`` is what stands in the destination:
an address that does not exist, to be used together with ``dry_run``, so that nothing is ever sent anywhere.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

FIRST_NUMBER = 4101


class Desk:
    """Use as a context manager. ``tickets`` has the status of each by number; ``host`` is what its pages are called."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.tickets: dict[int, str] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def config(self) -> dict[str, Any]:
        """The gateway's settings while the desk is open."""
        return rest_config(f"http://127.0.0.1:{self._server.server_address[1]}")

    def answer(self, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """POST /tickets makes one, POST /tickets/N/notes adds to it, PUT /tickets/N sets its status, GET tells it."""
        parts = path.strip("/").split("/")
        with self._lock:
            number = int(parts[1]) if len(parts) > 1 else FIRST_NUMBER + len(self.tickets)
            if method == "POST" and len(parts) == 1:
                self.tickets[number] = "open"
            elif method == "PUT":
                self.tickets[number] = str(document["status"])
            return {"id": number, "status": self.tickets[number], "url": f"https://{self.host}/tickets/{number}"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        desk = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._reply(201)

            def do_PUT(self) -> None:
                self._reply(200)

            def do_GET(self) -> None:
                self._reply(200)

            def log_message(self, format: str, *arguments: object) -> None:
                """The demonstration's console is for its logins."""

            def _reply(self, status: int) -> None:
                length = int(self.headers.get("content-length") or 0)
                document = json.loads(self.rfile.read(length)) if length else {}
                body = json.dumps(desk.answer(self.command, self.path, document)).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

        return Handler


def rest_config(base_url: str) -> dict[str, Any]:
    """How the desk is spoken to, in the words of ``integrations.tickets.rest``."""
    return {
        "base_url": base_url,
        "create_path": "/tickets",
        "create_body": {
            "title": "{{ subject }}",
            "text": "{{ body }}",
            "key": "{{ reference }}",
            "priority": "{{ priority }}",
        },
        "url_at": "url",
        "comment_path": "/tickets/{{ external_id }}/notes",
        "comment_body": {"text": "{{ body }}"},
        "close_path": "/tickets/{{ external_id }}",
        "close_body": {"text": "{{ body }}", "status": "closed"},
        "read_path": "/tickets/{{ external_id }}",
        "closed_values": ["closed"],
    }


def switched_off(host: str) -> dict[str, Any]:
    """The settings that stay: the names under .example lead nowhere by definition."""
    return rest_config(f"https://{host}")
