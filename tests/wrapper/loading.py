"""The wrapper as a module and as a program, and a service that answers as it is told."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WRAPPER = Path(__file__).parents[2] / "wrapper" / "backledger-run"
#: Status, headers and body of an answer.
Answer = tuple[int, dict[str, str], dict[str, Any]]
RECEIPT: Answer = (202, {}, {"receipt": "0cf5214c-6f7e-40cc-887b-e2bff968f81e", "repeat": False})


def load_wrapper() -> Any:
    loader = SourceFileLoader("backledger_run", str(WRAPPER))
    spec = importlib.util.spec_from_loader("backledger_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


def environment(folder: Path, url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKLEDGER_")}
    ours = {"BACKLEDGER_URL": url, "BACKLEDGER_KEY": "bl_test", "BACKLEDGER_SPOOL": str(folder / "spool")}
    return {**kept, "HOME": str(folder), "TZ": "Europe/Berlin", "no_proxy": "127.0.0.1", **ours, **more}


def run_wrapper(
    folder: Path, *arguments: str, url: str, python: str = sys.executable, **more: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [python, str(WRAPPER), *arguments],
        env=environment(folder, url, **more),
        capture_output=True,
        timeout=60,
        check=False,
    )


def waiting(folder: Path, kind: str = "waiting") -> list[dict[str, Any]]:
    """The envelopes of the spool, oldest first."""
    found = sorted((folder / "spool" / kind).glob("*.json.gz"))
    return [json.loads(gzip.decompress(path.read_bytes())) for path in found]


@dataclass
class Service:
    """Answers posts with ``answers`` in turn, the last one again and again; ``got`` is what came in."""

    answers: list[Answer] = field(default_factory=lambda: [RECEIPT])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def envelopes(self) -> list[dict[str, Any]]:
        return [json.loads(gzip.decompress(body)) for _, body in self.got]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers, told = service.answers[min(len(service.got), len(service.answers)) - 1]
                content = json.dumps(told).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler
