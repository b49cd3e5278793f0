"""``make run``: the whole product on one machine by one command, until Ctrl-C.

Starts a private PostgreSQL and Redis unless DATABASE_URL and REDIS_URL name others, brings the database up to date,
makes the first login, and keeps web, mail, workers and scheduler alive. Stops in the order web, scheduler, workers,
Redis, PostgreSQL. Killed by ``kill -9`` it leaves processes behind; the next start ends them first.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from launch.bootstrap import CHECKOUT
from launch.failure import LaunchError
from launch.keys import Keys, keep_keys
from launch.logs import rotate, say
from launch.manage import keep_environment
from launch.places import DATA_DIR_SETTING, Places, choose_data_folder, claim, make_places, read_signature, sign
from launch.ports import choose_port, free_port, is_free
from launch.postgres import start_postgres
from launch.processes import end_leftovers
from launch.redis import start_redis
from launch.server import Server, last_lines
from launch.supervision import POLL_SECONDS, Kept, end_all, keep_program, keep_server, tend

READY_SECONDS = 90.0
WEB_PROCESSES = 2
#: What ``make manage`` needs to act on the same data.
KEPT_SETTINGS = (
    "DATABASE_URL", "REDIS_URL", "BACKLEDGER_SECRET_KEY", "BACKLEDGER_ENCRYPTION_KEYS", "BACKLEDGER_BASE_URL",
    "BACKLEDGER_ALLOWED_HOSTS", DATA_DIR_SETTING, "DJANGO_SETTINGS_MODULE",
)  # fmt: skip
#: The mail listener's port and address, read by the product, too.
SMTP_PORT, SMTP_HOST = "BACKLEDGER_SMTP_PORT", "BACKLEDGER_SMTP_HOST"
DEFAULT_SMTP_PORT = 2525
DROP_FOLDER = "BACKLEDGER_DROP_FOLDER"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound to)


@dataclass(frozen=True)
class Address:
    """Where the web server listens, and the address for people."""

    host: str
    port: int

    @property
    def url(self) -> str:
        if self.host in LOOPBACK or self.host in ANY_ADDRESS:
            return f"http://localhost:{self.port}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def probe(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def run() -> int:
    """Everything from the first line to the last; 0 after Ctrl-C or SIGTERM. Raises LaunchError."""
    is_root = os.geteuid() == 0
    data = choose_data_folder(os.environ, checkout=CHECKOUT, is_root=is_root)
    places = make_places(data, is_root=is_root)
    lock = claim(places)
    if lock is None:
        raise LaunchError(f"it already runs with the data in {data} ({read_signature(places)}). Stop that one first.")
    listen_to_signals(interrupt)
    hurry = threading.Event()
    groups: list[list[Kept]] = [[], [], [], [], []]  # web, scheduler, workers, Redis, PostgreSQL: the order of stopping
    try:
        start_and_tend(places, groups=groups, lock=lock, hurry=hurry)
    except KeyboardInterrupt:
        say("\nStopping ... (once more to hurry)")
    finally:
        listen_to_signals(lambda *_: hurry.set())
        end_all(groups)
        end_leftovers(places.processes)
    say("Stopped.")
    return 0


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def listen_to_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def start_and_tend(places: Places, *, groups: list[list[Kept]], lock: int, hurry: threading.Event) -> None:
    """Start what is needed, tell the person, then look after it for ever."""
    left = end_leftovers(places.processes)
    if left:
        say(f"Ended what an earlier start left running: {', '.join(left)}.")
    address = choose_address(os.environ)
    sign(lock, text=f"process {os.getpid()}, {address.url}")
    keys = keep_keys(places.keys)
    servers = start_servers(places, keys=keys, groups=groups)
    environment = product_environment(os.environ, keys=keys, servers=servers, address=address, data=places.data)
    environment[SMTP_PORT] = choose_mail_port(os.environ)
    keep_environment(places, environment=environment, names=KEPT_SETTINGS)
    login = prepare_database(environment, log=places.logs / "prepare.log")
    try:
        start_product(places, groups=groups, environment=environment, address=address, hurry=hurry)
        wait_until_healthy(address, groups=groups, logs=places.logs)
    finally:
        tell(address, login=login, places=places)  # even when the start fails: the password is shown only once
    while True:
        tend([each for group in groups for each in group], now=time.monotonic(), say=say)
        time.sleep(POLL_SECONDS)


def choose_address(variables: Mapping[str, str]) -> Address:
    host = variables.get("HOST") or "127.0.0.1"
    port, remark = choose_port(variables.get("PORT", ""), host=host)
    if remark:
        say(remark)
    return Address(host=host, port=port)


def choose_mail_port(variables: Mapping[str, str]) -> str:
    """The mail listener's port: the setting as it is; without one the usual port, or any free one if that is taken."""
    if variables.get(SMTP_PORT):
        return variables[SMTP_PORT]
    host = variables.get(SMTP_HOST) or "127.0.0.1"
    if is_free(host, port=DEFAULT_SMTP_PORT):
        return str(DEFAULT_SMTP_PORT)
    port = free_port(host)
    say(f"Port {DEFAULT_SMTP_PORT} is taken, so mail is taken at {port} this time. {SMTP_PORT}=... chooses another.")
    return str(port)


def start_servers(places: Places, *, keys: Keys, groups: list[list[Kept]]) -> dict[str, Server]:
    """Start what DATABASE_URL and REDIS_URL do not name; returns setting name to server."""
    servers: dict[str, Server] = {}
    for setting, default_port in (("DATABASE_URL", 5432), ("REDIS_URL", 6379)):
        refuse_unreachable(setting, url=os.environ.get(setting, ""), default_port=default_port)
    for log in places.logs.glob("*.log"):
        rotate(log)
    if not os.environ.get("DATABASE_URL"):
        postgres = start_postgres(places, variables=os.environ, password=keys.postgres_password)
        groups[4].append(keep_server(postgres))
        servers["DATABASE_URL"] = postgres
    if not os.environ.get("REDIS_URL"):
        redis = start_redis(places, password=keys.redis_password)
        groups[3].append(keep_server(redis))
        servers["REDIS_URL"] = redis
    for server in servers.values():
        say(f"{server.engine} started, data in {places.data}")
    return servers


def refuse_unreachable(setting: str, *, url: str, default_port: int) -> None:
    """Raise LaunchError when nobody listens at a given address: Django's own message would come late and be obscure."""
    parts = urlsplit(url)
    if not parts.hostname or "%2F" in parts.netloc:
        return  # not given, or a local socket
    try:
        address = (parts.hostname, parts.port or default_port)
        socket.create_connection(address, timeout=5).close()
    except (OSError, ValueError) as error:
        raise LaunchError(
            f"{setting} names {parts.hostname}, where no server answers ({error}): mend the address, start "
            f"that server, or unset {setting} to use a private one."
        ) from error


def product_environment(
    variables: Mapping[str, str], *, keys: Keys, servers: Mapping[str, Server], address: Address, data: Path
) -> dict[str, str]:
    """What the product's processes get: the caller's settings first, generated ones where it gave none."""
    generated = {
        "BACKLEDGER_SECRET_KEY": keys.secret_key,
        "BACKLEDGER_ENCRYPTION_KEYS": keys.encryption_key,
        "BACKLEDGER_BASE_URL": address.url,
        "BACKLEDGER_ALLOWED_HOSTS": ",".join(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", *own_name(address)))),
        **{name: server.url for name, server in servers.items()},
    }
    given = {name: value for name, value in variables.items() if value or name not in generated}
    fixed = {DATA_DIR_SETTING: str(data), "DJANGO_SETTINGS_MODULE": "msp.settings", "PYTHONUNBUFFERED": "1"}
    return {**generated, **given, **fixed}


def own_name(address: Address) -> tuple[str, ...]:
    if address.host in LOOPBACK or address.host in ANY_ADDRESS:
        return ()
    return (f"[{address.host}]" if ":" in address.host else address.host,)


def prepare_database(environment: Mapping[str, str], *, log: Path) -> dict[str, str] | None:
    """Migrate, make partitions ahead, make the first login (returned once), fill in the demonstration if wanted."""
    say("Bringing the database up to date ...")
    run_command("migrate", "--no-input", environment=environment, log=log)
    run_command("ensure_partitions", environment=environment, log=log)
    login = read_login(run_command("first_login", environment=environment, log=None))
    if os.environ.get("DEMO", "").lower() in ("1", "true", "yes", "on"):
        say("Filling in demonstration data (the first time takes a while) ...")
        try:
            say(run_command("demo", environment=environment, log=None).strip())
        except (LaunchError, KeyboardInterrupt):
            tell_login(login)
            raise
    return login


def run_command(*arguments: str, environment: Mapping[str, str], log: Path | None) -> str:
    """Run a command of ``manage.py``; returns what it printed, raises LaunchError with the end of what it said."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LaunchError(f"manage.py {arguments[0]} failed:\n{said}")
    return done.stdout


def read_login(output: str) -> dict[str, str] | None:
    """The line of JSON that ``first_login`` prints the one time it makes a login."""
    for line in output.splitlines():
        if line.startswith("{"):
            login: dict[str, str] = json.loads(line)
            return login
    return None


def start_product(
    places: Places,
    *,
    groups: list[list[Kept]],
    environment: Mapping[str, str],
    address: Address,
    hurry: threading.Event,
) -> None:
    """Start web, scheduler and workers; mail listener and watcher of the drop folder where they are wanted."""
    unwanted = {"mail": environment[SMTP_PORT] == "0", "folder": not environment.get(DROP_FOLDER)}
    for group, name, command in programs(address, places=places):
        if unwanted.get(name):
            continue
        groups[group].append(
            keep_program(
                name,
                command=command,
                environment=environment,
                folder=CHECKOUT,
                notes=places.processes,
                log=places.logs / f"{name}.log",
                hurry=hurry,
            )
        )


def programs(address: Address, *, places: Places) -> list[tuple[int, str, list[str]]]:
    """(position in the order of stopping, name, command). Whoever calls other systems stands apart from
    the line."""
    python = [sys.executable, "-m"]
    celery = [*python, "celery", "-A", "msp.celery:app"]
    worker = [*celery, "worker", "-P", "threads", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    web = ["uvicorn", "msp.asgi:application", "--host", address.host, "--port", str(address.port)]
    quiet = [
        "--workers",
        str(WEB_PROCESSES),
        "--no-access-log",
        "--no-server-header",
        "--timeout-graceful-shutdown",
        "10",
    ]
    return [
        (0, "web", [*python, *web, *quiet]),
        (0, "mail", [sys.executable, "manage.py", "receive_mail"]),
        (0, "folder", [sys.executable, "manage.py", "watch_folder"]),
        (2, "worker-line", [*worker, "-Q", "line", "-c", "2", "-n", "line@%h"]),
        (2, "worker-delivery", [*worker, "-Q", "delivery", "-c", "4", "-n", "delivery@%h"]),
        (2, "worker-polling", [*worker, "-Q", "polling", "-c", "4", "-n", "polling@%h"]),
        (1, "beat", [*celery, "beat", "--pidfile=", "-s", str(places.data / "beat-schedule"), "--loglevel", "INFO"]),
    ]


def wait_until_healthy(address: Address, *, groups: Sequence[Sequence[Kept]], logs: Path) -> None:
    """Return when the web server says that it works; raises LaunchError with its last words when it does not."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        tend([each for group in groups for each in group], now=time.monotonic(), say=say)
        if is_healthy(address.probe):
            return
        time.sleep(POLL_SECONDS * 2)
    raise LaunchError(
        f"the web server did not get ready. The end of {logs / 'web.log'}:\n{last_lines(logs / 'web.log')}"
    )


def is_healthy(base: str) -> bool:
    request = urllib.request.Request(f"{base}/healthz", headers={"Host": "localhost"})  # noqa: S310  (http, own address)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through the caller's proxy
    try:
        with opener.open(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError, ValueError):
        return False


def tell(address: Address, *, login: Mapping[str, str] | None, places: Places) -> None:
    say("")
    say(f"Backledger: {address.url}")
    tell_login(login)
    say(f"Logs and data: {places.data}    Ctrl-C stops")


def tell_login(login: Mapping[str, str] | None) -> None:
    if login:
        say(f"First login (shown this once): {login['email']}  password: {login['password']}")
