"""Veeam Service Provider Console: the jobs of all backup servers and agents, by its REST API v3.

The console shows the last session of each job. So each is compared with how it was seen last: its start, end and state;
what differs is a delivery as the format ``veeam-spc`` reads it, whatever any clock says. A login's token may end at any
time and is then asked for once more; an API key needs none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from integrations.configuration import BadConfig, setting
from integrations.errors import PermanentFailure, TemporaryFailure
from integrations.pulling.addressing import FINGERPRINT_HELP, check_fingerprint, check_url, joined
from integrations.pulling.contract import Fetched, Listing, Pulled
from integrations.pulling.progress import MOST, as_json, hashed
from integrations.pulling.session import LoginRefused, Reply, Session

LABEL: Final = "Veeam Service Provider Console"
FORMATS: Final = ("veeam-spc",)
#: Rows of one page; pages overlap, as a row that goes moves the others up.
PAGE, PAGES_SHARE, MOST_PAGES = 500, 20, 400

#: What a session is told by; other columns change between sessions (schedules, averages, the next run).
COLUMNS = (
    "instanceUid", "name", "backupServerUid", "backupAgentUid", "organizationUid", "mappedOrganizationUid", "status",
    "type", "systemType", "operationMode", "backupMode", "lastRun", "lastEndTime", "endTime", "lastDuration",
    "duration", "transferredData", "backupChainSize", "failureMessage", "targetType", "destination", "lastSessionTasks",
)  # fmt: skip
#: The session itself: where one of these differs, it is another one or has gone on.
STATE = ("lastRun", "lastEndTime", "endTime", "status")
RUNNING = frozenset({"Running", "Starting", "Stopping", "WaitingTape", "WaitingRepository"})


@dataclass(frozen=True)
class Config:
    """An API key, or a user's name and password: with a name the key is not used."""

    url: str = setting("Address of the console", help="Such as https://vspc.example.com:1280")
    api_key: str = setting("API key", default="", secret=True, help="Best: of a user that may only read.")
    username: str = setting("or: User", default="", help=r"Such as VSPC\backledger")
    password: str = setting("and: Password", default="", secret=True)
    fingerprint: str = setting("Fingerprint of the certificate", default="", help=FINGERPRINT_HELP)

    def __post_init__(self) -> None:
        check_url(self.url)
        check_fingerprint(self.fingerprint)
        if self.username and not self.password:
            raise BadConfig("password", "The password of this user is required.")
        if not self.username and not self.api_key:
            raise BadConfig("api_key", "Give an API key, or a user and a password.")
        if not self.api_key.isascii() or any(letter <= " " for letter in self.api_key):
            raise BadConfig("api_key", "The API key contains a letter that cannot be sent.")


class Console:
    """A console that is logged in to."""

    def __init__(self, config: Config, session: Session) -> None:
        self._config, self._session = config, session
        self._token = self._log_in() if config.username else config.api_key

    def rows(self, path: str) -> Iterator[dict[str, Any]]:
        """All rows of a collection, page by page; a row may come twice."""
        for page in range(MOST_PAGES):
            reply = self._ask(path, limit=PAGE, offset=page * (PAGE - PAGES_SHARE))
            rows = reply.rows("data")
            yield from rows
            if len(rows) < PAGE:
                return
        raise TemporaryFailure(f"The console has more than {MOST_PAGES * PAGE} rows of {path}.")

    def names(self, path: str) -> dict[str, str]:
        """By UID."""
        return {str(row["instanceUid"]): str(row.get("name") or "") for row in self.rows(path) if "instanceUid" in row}

    def _ask(self, path: str, **values: object) -> Reply:
        url = joined(self._config.url, f"/api/v3/{path}?{urlencode(values)}")
        try:
            return self._session.ask("GET", url, headers={"Authorization": f"Bearer {self._token}"})
        except LoginRefused:
            if not self._config.username:
                raise
        self._token = self._log_in()
        return self._session.ask("GET", url, headers={"Authorization": f"Bearer {self._token}"})

    def _log_in(self) -> str:
        form = {"grant_type": "password", "username": self._config.username, "password": self._config.password}
        try:
            told = self._session.ask("POST", joined(self._config.url, "/api/v3/token"), form=form).document
        except LoginRefused:
            raise
        except PermanentFailure as failure:  # the console answers 400 to a wrong password
            raise LoginRefused(f"The login was refused: {failure.reason}") from None
        token = told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise TemporaryFailure("The console answered to the login without a token: is this version known?")
        self._session.add_secret(token)
        return token


def check(config: Config, session: Session) -> str:
    """What the user may see."""
    console = Console(config, session)
    servers, agents = (len(list(console.rows(path))) for path in ("infrastructure/backupServers", JOBS[1].owners))
    return f"Veeam Service Provider Console answers; {servers} backup servers and {agents} agents can be seen."


@dataclass(frozen=True)
class Kind:
    """A kind of job: its collection, what it runs on, and the column that names that."""

    key: str
    path: str
    owner: str
    owners: str
    column: str


JOBS = (
    Kind("backupServerJob", "infrastructure/backupServers/jobs", "backupServer", "infrastructure/backupServers",
         "backupServerUid"),
    Kind("backupAgentJob", "infrastructure/backupAgents/jobs", "backupAgent", "infrastructure/backupAgents",
         "backupAgentUid"),
)  # fmt: skip


def fetch(config: Config, session: Session, *, cursor: Mapping[str, Any], now: datetime) -> Pulled:
    """The jobs whose last session is new or has gone on, those that ended longest ago first."""
    console = Console(config, session)
    rows = {
        f"{kind.key} {row['instanceUid']}": (kind, row)
        for kind in JOBS
        for row in console.rows(kind.path)
        if isinstance(row.get("instanceUid"), str)
    }
    jobs = {key: (kind, row) for key, (kind, row) in rows.items() if row.get("lastRun")}
    told = cursor.get("jobs")
    seen = {key: state for key, state in told.items() if isinstance(state, str)} if isinstance(told, dict) else {}
    states = {hashed(key): state_of(row) for key, (_, row) in jobs.items()}
    changed = [key for key in jobs if seen.get(hashed(key)) != states[hashed(key)]]
    changed.sort(key=lambda key: (end_of(jobs[key][1]) or now, key))
    taken = changed[:MOST]
    names = Names(console) if taken else None
    deliveries = tuple(_fetched(*jobs[key], names=names) for key in taken if names is not None)
    waiting = {hashed(key) for key in changed[MOST:]}
    after = {key: state for key, state in states.items() if key not in waiting}
    after |= {key: seen[key] for key in waiting if key in seen}
    known = named_before(cursor) | {hashed(key): name_of(one) for key, one in zip(taken, deliveries, strict=True)}
    return Pulled(
        deliveries,
        {"jobs": dict(sorted(after.items())), "names": dict(sorted(known.items()))},
        more=len(changed) > MOST,
        listing=listing_of(known, {hashed(key) for key in rows}),
    )


def named_before(cursor: Mapping[str, Any]) -> dict[str, list[str]]:
    """The jobs that were told before, as the format names them, by the hash of their keys."""
    told = cursor.get("names")
    return {key: [str(part) for part in name] for key, name in told.items()} if isinstance(told, dict) else {}


def name_of(one: Fetched) -> list[str]:
    """What the format makes of a delivery: the job's name, and whose it is."""
    told = json.loads(one.content)
    job: dict[str, Any] = next(told[kind.key] for kind in JOBS if kind.key in told)
    owner: dict[str, Any] = next(told[kind.owner] for kind in JOBS if kind.owner in told)
    names = (str(told["company"].get("name", "")).strip(), str(owner.get("name", "")).strip())
    return [str(job.get("name") or "").strip() or str(job["instanceUid"]), "/".join(part for part in names if part)]


def listing_of(known: Mapping[str, list[str]], listed: Collection[str]) -> Listing | None:
    """Which of the known jobs the console lists; a console that lists none at all may have lost our rights."""
    if not listed:
        return None
    there = [(job, item) for key, (job, item) in known.items() if key in listed]
    gone = [(job, item) for key, (job, item) in known.items() if key not in listed]
    return Listing(there=tuple(sorted(there)), gone=tuple(sorted(set(gone) - set(there))))


class Names:
    """Names of companies, servers and agents, asked for once and only where something is new."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._known: dict[str, dict[str, str]] = {}

    def of(self, path: str, uid: object) -> dict[str, str]:
        if path not in self._known:
            self._known[path] = self._console.names(path)
        return {"instanceUid": str(uid), "name": self._known[path].get(str(uid), "")} if uid else {}


def state_of(row: Mapping[str, Any]) -> str:
    return hashed(as_json([row.get(name) for name in STATE]).decode())[:12]


def end_of(row: Mapping[str, Any]) -> datetime | None:
    """When the last session ended; None while it goes on, or where that cannot be read."""
    told = row.get("lastEndTime") or row.get("endTime")
    if row.get("status") in RUNNING or not isinstance(told, str):
        return None
    try:
        read = datetime.fromisoformat(told)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _fetched(kind: Kind, row: Mapping[str, Any], *, names: Names) -> Fetched:
    owner = names.of(kind.owners, row.get(kind.column))
    company = names.of("organizations", row.get("mappedOrganizationUid") or row.get("organizationUid"))
    job = {name: row[name] for name in COLUMNS if name in row}
    content = as_json({kind.key: job, kind.owner: owner, "company": company})
    named = f"{row['instanceUid']}:{row.get('lastRun')}:{row.get('status')}"
    return Fetched(named, content, "veeam-spc", host=owner.get("name", ""), occurred_at=end_of(row))
