"""A bench for each connector: a running double of its product, settings that fit, and jobs that end when wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.configuration import config_from_json, secrets_of
from integrations.pulling import CONNECTORS, Connector, Session
from tests.doubles import comet_server, pbs_server, urbackup_server, vspc_server
from tests.doubles.comet_server import CometServer
from tests.doubles.pbs_server import PbsServer
from tests.doubles.pulled_server import PulledServer
from tests.doubles.urbackup_server import UrBackupServer
from tests.doubles.vspc_server import VspcServer

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Bench:
    """``end_job(at)`` has a job end at that moment and answers what tells its run from others.

    ``start_job`` has one run, ``finish`` ends it. ``wrong`` are settings that the product refuses.
    ``most`` is how many the product can show of one second.
    """

    kind: str
    server: Any
    values: Mapping[str, object]
    end_job: Callable[[datetime], str]
    start_job: Callable[[datetime], str]
    finish: Callable[[str, datetime], None]
    wrong: Mapping[str, object]
    most: int = 230

    @property
    def connector(self) -> Connector:
        return CONNECTORS[self.kind]

    def config(self, **changed: object) -> Any:
        return config_from_json(self.connector.Config, {**self.values, **changed})

    def session(self, *, seconds: float = 10.0) -> Session:
        return Session(deadline_seconds=seconds, allow_private=True, secrets=secrets_of(self.config()))

    def pull(self, cursor: Mapping[str, Any] | None = None, *, now: datetime | None = None) -> Any:
        return self.connector.fetch(self.config(), self.session(), cursor=cursor or {}, now=now or self.server.clock)

    def pull_all(self, cursor: Mapping[str, Any] | None = None) -> tuple[list[Any], dict[str, Any]]:
        """Every delivery until nothing is left, and the cursor after it."""
        deliveries: list[Any] = []
        for _ in range(200):
            pulled = self.pull(cursor)
            deliveries += pulled.deliveries
            cursor = pulled.cursor
            if not pulled.more:
                return deliveries, dict(cursor)
        raise AssertionError("the connector never comes to an end")


def comet_bench(server: CometServer) -> Bench:
    def end_job(at: datetime) -> str:
        return server.add(started=at - timedelta(minutes=5), ended=at)

    return Bench(
        kind="comet",
        server=server,
        values={"url": server.url, "username": comet_server.USER, "password": comet_server.PASSWORD},
        end_job=end_job,
        start_job=lambda at: server.add(started=at, ended=None),
        finish=lambda guid, at: server.end(guid, ended=at),
        wrong={"password": "wrong-pass-word"},
    )


def pbs_bench(server: PbsServer) -> Bench:
    return Bench(
        kind="proxmox-backup-server",
        server=server,
        values={"url": server.url, "token_id": pbs_server.TOKEN, "token_secret": pbs_server.SECRET},
        end_job=lambda at: server.add(started=at - timedelta(minutes=5), ended=at),
        start_job=lambda at: server.add(started=at, ended=None),
        finish=lambda upid, at: server.end(upid, ended=at),
        wrong={"token_secret": "00000000-5f5e-4e31-9d5e-6b1d5f0a7c11"},
    )


def urbackup_bench(server: UrBackupServer) -> Bench:
    """A backup that runs has no log yet."""

    def finish(_: str, at: datetime) -> None:
        server.add(ended=at)

    return Bench(
        kind="urbackup",
        server=server,
        values={"url": f"{server.url}/x", "username": urbackup_server.USER, "password": urbackup_server.PASSWORD},
        end_job=lambda at: str(server.add(ended=at, client=1 + len(server.logs) % 2)),
        start_job=lambda at: "none yet",
        most=90,
        finish=finish,
        wrong={"password": "wrong-pass-word"},
    )


def vspc_bench(server: VspcServer) -> Bench:
    return Bench(
        kind="vspc",
        server=server,
        values={"url": server.url, "username": vspc_server.USER, "password": vspc_server.PASSWORD},
        end_job=lambda at: server.add(started=at - timedelta(minutes=5), ended=at),
        start_job=lambda at: server.add(started=at, ended=None),
        finish=lambda uid, at: server.end(uid, ended=at),
        wrong={"password": "wrong-pass-word"},
    )


MAKERS: dict[str, tuple[Callable[..., PulledServer], Callable[[Any], Bench]]] = {
    "comet": (CometServer, comet_bench),
    "proxmox-backup-server": (PbsServer, pbs_bench),
    "urbackup": (UrBackupServer, urbackup_bench),
    "vspc": (VspcServer, vspc_bench),
}


@contextmanager
def open_bench(kind: str) -> Iterator[Bench]:
    make_server, make_bench = MAKERS[kind]
    with make_server(clock=NOW) as server:
        yield make_bench(server)
