"""Throw-away servers for one test, lint or bench run, and the environment in which the product finds them.

DATABASE_URL and REDIS_URL of the caller win, so that the tests can also run against an older PostgreSQL. What an
earlier run left behind after ``kill -9`` is found by its free lock, ended and deleted.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from launch.keys import Keys, generate_keys
from launch.places import Places, claim, make_places
from launch.postgres import start_postgres
from launch.processes import end_leftovers
from launch.redis import start_redis
from launch.server import Server

PREFIX = "backledger-test-"


@contextmanager
def temporary_servers(variables: Mapping[str, str], *, durable: bool = False) -> Iterator[dict[str, str]]:
    """Yields the environment for the product's processes; prints which engines serve it.

    ``durable``: PostgreSQL writes to the disk before it confirms, as in production. Tests have no use for that.
    """
    is_root = os.geteuid() == 0
    remove_abandoned(Path(tempfile.gettempdir()))
    places = make_places(Path(tempfile.mkdtemp(prefix=PREFIX)), is_root=is_root)
    lock = claim(places)
    servers: list[Server] = []
    try:
        yield start_for_tests(places, variables=variables, servers=servers, durable=durable)
    finally:
        for server in reversed(servers):
            server.stop()
        end_leftovers(places.processes)
        shutil.rmtree(places.data, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def start_for_tests(
    places: Places, *, variables: Mapping[str, str], servers: list[Server], durable: bool
) -> dict[str, str]:
    keys = generate_keys()
    urls = {name: variables[name] for name in ("DATABASE_URL", "REDIS_URL") if variables.get(name)}
    if "DATABASE_URL" not in urls:
        servers.append(
            start_postgres(places, variables=variables, password=keys.postgres_password, throw_away=not durable)
        )
        urls["DATABASE_URL"] = servers[-1].url
    if "REDIS_URL" not in urls:
        servers.append(start_redis(places, password=keys.redis_password))
        urls["REDIS_URL"] = servers[-1].url
    engines = [f"{server.engine} (private)" for server in servers] or ["the servers of DATABASE_URL and REDIS_URL"]
    print(f"Engines: {', '.join(engines)}", flush=True)
    return product_environment(variables, keys=keys, urls=urls)


def product_environment(variables: Mapping[str, str], *, keys: Keys, urls: Mapping[str, str]) -> dict[str, str]:
    """None of the caller's own settings (they would change what is tested), fresh keys, the servers' addresses."""
    neutral = {name: value for name, value in variables.items() if not name.startswith("BACKLEDGER_")}
    ours = {
        "BACKLEDGER_SECRET_KEY": keys.secret_key,
        "BACKLEDGER_ENCRYPTION_KEYS": keys.encryption_key,
        "DJANGO_SETTINGS_MODULE": "msp.settings",
        "PYTHONUNBUFFERED": "1",
    }
    return {**neutral, **ours, **urls}


def remove_abandoned(folder: Path) -> None:
    """End and delete what runs of this user left whose launcher is no more."""
    for data in folder.glob(f"{PREFIX}*"):
        if data.is_symlink() or data.stat().st_uid != os.geteuid():
            continue
        places = Places(data)
        lock = claim(places) if places.lock.exists() else None
        if lock is None:
            continue
        end_leftovers(places.processes)
        shutil.rmtree(data, ignore_errors=True)
        os.close(lock)
