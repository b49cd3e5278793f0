"""Proxmox Backup Server: its tasks with their logs, by its API and an API token.

Tasks are listed page by page, running ones first, then by their end, the newest first. The API's own ``since`` is not
used: it leaves out what began before and ended after. Each task is a delivery as the format reads it: once while it
runs, once ended, then with its log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from integrations.configuration import BadConfig, setting
from integrations.errors import PermanentFailure
from integrations.pulling.addressing import FINGERPRINT_HELP, check_fingerprint, check_url, joined
from integrations.pulling.contract import Fetched, Pulled
from integrations.pulling.progress import MOST, Ended, Progress, as_json, moment, progress_of, whole
from integrations.pulling.session import LoginRefused, Reply, Session

LABEL: Final = "Proxmox Backup Server"
FORMATS: Final = ("proxmox-backup-server",)
#: Tasks of one page; pages overlap, as a task that ends moves the others up.
PAGE, PAGES_SHARE, MOST_PAGES = 500, 50, 200
#: So many older tasks in a row end the listing: one whose end nobody saw is filed under its start.
OLDER_IN_A_ROW = 50
#: Of a longer log the beginning and the end are taken.
LOG_LINES = 2000
SPARE_SECONDS = 5.0

#: The tasks that the format makes runs of.
WORKERS = frozenset({
    "backup", "reader", "sync", "syncjob", "verify", "verificationjob", "verify_group", "verify_snapshot",
    "verify-group", "verify-snapshot", "prune", "prunejob", "prune-group", "garbage_collection", "tape-backup",
    "tape-backup-job", "tape-restore",
})  # fmt: skip

_TOKEN = re.compile(r"[^\s:/!]+@[A-Za-z0-9_][A-Za-z0-9._-]*![A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True)
class Config:
    """An API token with the role Audit on /system/tasks; without it a token sees its own tasks only."""

    url: str = setting("Address of the server", help="Such as https://pbs.example.com:8007")
    token_id: str = setting("API token", help="Such as backledger@pbs!pull")
    token_secret: str = setting("Secret of the token", secret=True)
    node: str = setting("Node", default="localhost", help="localhost, unless this server says otherwise.")
    fingerprint: str = setting("Fingerprint of the certificate", default="", help=FINGERPRINT_HELP)

    def __post_init__(self) -> None:
        check_url(self.url)
        check_fingerprint(self.fingerprint)
        if not _TOKEN.fullmatch(self.token_id):
            raise BadConfig("token_id", "The API token must be user@realm!name.")
        if not _NODE.fullmatch(self.node):
            raise BadConfig("node", "The node must be a host name without dots.")
        if not self.token_secret.isascii() or " " in self.token_secret:
            raise BadConfig("token_secret", "The secret must be letters, digits and hyphens.")


def check(config: Config, session: Session) -> str:
    """The version, and whether tasks can be seen."""
    version = _ask(config, session, "/version").document
    told = version.get("data") if isinstance(version, dict) else None
    release = str(told.get("version", "?"))[:40] if isinstance(told, dict) else "?"
    seen = len(_ask(config, session, f"/nodes/{config.node}/tasks", start=0, limit=PAGE).rows("data"))
    return f"Proxmox Backup Server {release} answers; the token sees {'at least ' if seen == PAGE else ''}{seen} tasks."


def fetch(config: Config, session: Session, *, cursor: Mapping[str, Any], now: datetime) -> Pulled:
    """The tasks that are new: running ones first, then ended ones with their logs, oldest first."""
    first = _page(config, session, 0)
    progress = progress_of(cursor, clock=first.sent_at or now)
    known = _known(cursor)
    tasks = {str(row["upid"]): row for row in _tasks(config, session, first, progress)}
    running = [upid for upid, row in tasks.items() if whole(row.get("endtime")) is None]
    fresh = progress.news(_ended(tasks, known=known, progress=progress))
    taken: list[Ended] = []
    deliveries = [_fetched(tasks[upid], "running") for upid in running if upid not in known]
    for one in fresh[:MOST]:
        if taken and session.seconds_left() < SPARE_SECONDS:
            break
        deliveries.append(_fetched({**one.row, "log": _log(config, session, one.key)}, "ended"))
        taken.append(one)
    waiting = {one.key for one in fresh[len(taken) :]} & known
    return Pulled(
        tuple(deliveries),
        {**progress.after(taken), "running": sorted({*running, *waiting})},
        more=len(taken) < len(fresh),
    )


def _known(cursor: Mapping[str, Any]) -> set[str]:
    """The tasks that ran when last seen."""
    told = cursor.get("running")
    return {upid for upid in told if isinstance(upid, str)} if isinstance(told, list) else set()


def _tasks(config: Config, session: Session, page: Reply, progress: Progress) -> Iterator[dict[str, Any]]:
    """Down to what ended before the window that is looked at."""
    older = start = 0
    for _ in range(MOST_PAGES):
        rows = page.rows("data")
        for row in rows:
            ended = whole(row.get("endtime"))
            older = older + 1 if ended is not None and ended < progress.since else 0
            if row.get("worker_type") in WORKERS and isinstance(row.get("upid"), str):
                yield row
        if len(rows) < PAGE or older >= OLDER_IN_A_ROW:
            return
        start += PAGE - PAGES_SHARE
        page = _page(config, session, start)


def _ended(tasks: Mapping[str, dict[str, Any]], *, known: set[str], progress: Progress) -> Iterator[Ended]:
    """Those that have ended. One that was known to run is new, however long ago it says that it ended."""
    for upid, row in tasks.items():
        at = whole(row.get("endtime"))
        if at is not None:
            yield Ended(upid, max(at, progress.since) if upid in known else at, row)


def _page(config: Config, session: Session, start: int) -> Reply:
    return _ask(config, session, f"/nodes/{config.node}/tasks", start=start, limit=PAGE)


def _log(config: Config, session: Session, upid: str) -> list[dict[str, Any]]:
    """The task's lines; none where its log is gone already."""
    path = f"/nodes/{config.node}/tasks/{quote(upid, safe='')}/log"
    try:
        reply = _ask(config, session, path, start=0, limit=LOG_LINES)
        lines = reply.rows("data")
        total = whole(reply.document.get("total")) or 0
        if total > len(lines):
            start = max(LOG_LINES, total - LOG_LINES) + 1
            lines += _ask(config, session, path, start=start, limit=LOG_LINES).rows("data")
    except LoginRefused:
        raise
    except PermanentFailure:
        return []
    return [{"n": line.get("n"), "t": str(line.get("t", ""))} for line in lines]


def _ask(config: Config, session: Session, path: str, **values: object) -> Reply:
    query = f"?{urlencode(values)}" if values else ""
    url = joined(config.url, f"/api2/json{path}{query}")
    told = {"Authorization": f"PBSAPIToken={config.token_id}:{config.token_secret}"}
    return session.ask("GET", url, headers=told)


def _fetched(row: dict[str, Any], state: str) -> Fetched:
    ended = whole(row.get("endtime"))
    host = row.get("node")
    return Fetched(
        f"{row['upid']}:{state}",
        as_json({"data": [row]}),
        "proxmox-backup-server",
        host=host if isinstance(host, str) else "",
        occurred_at=None if ended is None else moment(ended),
    )
