"""Comet Server: the jobs of all its users, by the API of its administrators.

Asked for the jobs that have not ended, and for those that started or ended in a window of time; a job that is known to
run and stands in neither answer is asked for by itself. Each job is a delivery as the format ``comet`` reads it: once
while it runs, once ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from integrations.configuration import BadConfig, setting
from integrations.errors import PermanentFailure
from integrations.pulling.addressing import FINGERPRINT_HELP, check_fingerprint, check_url, joined
from integrations.pulling.contract import Fetched, Pulled
from integrations.pulling.progress import MOST, Ended, Progress, as_json, moment, progress_of, whole
from integrations.pulling.session import Reply, Session

LABEL: Final = "Comet Server"
FORMATS: Final = ("comet",)
#: Seconds of one window: an answer for the busiest server stays readable.
WINDOW = 6 * 3600
#: Lost jobs that are asked for one by one in one sitting.
MOST_LOST = 20
#: So far beyond the present a device's clock may be.
AHEAD = 24 * 3600

_RUNNING = range(6000, 7000)


@dataclass(frozen=True)
class Config:
    """An administrator of a Comet Server, with a password and without a second factor."""

    url: str = setting("Address of the server", help="Such as https://comet.example.com")
    username: str = setting("Administrator", help="One that may only read, without two-factor authentication.")
    password: str = setting("Password", secret=True)
    fingerprint: str = setting("Fingerprint of the certificate", default="", help=FINGERPRINT_HELP)

    def __post_init__(self) -> None:
        check_url(self.url)
        check_fingerprint(self.fingerprint)
        if not self.username:
            raise BadConfig("username", "The administrator's name is required.")


def check(config: Config, session: Session) -> str:
    """The server's version and its open jobs."""
    version = _ask(config, session, "meta/version").document
    told = version.get("Version", "?") if isinstance(version, dict) else "?"
    running = len(_jobs(_ask(config, session, "get-jobs-for-date-range", Start=0, End=0)))
    return f"Comet Server {str(told)[:40]} answers; {running} of its jobs run now."


def fetch(config: Config, session: Session, *, cursor: Mapping[str, Any], now: datetime) -> Pulled:
    """The jobs that are new: running ones first, then ended ones, a window at a time."""
    reply = _ask(config, session, "get-jobs-for-date-range", Start=0, End=0)
    open_jobs = {_guid(job): job for job in _jobs(reply)}
    progress = progress_of(cursor, clock=reply.sent_at or now)
    end = progress.until + WINDOW
    found = {_guid(job): job for job in _jobs(_window(config, session, progress, end))}
    known = _known(cursor)
    missed = [guid for guid in known if guid not in open_jobs and guid not in found]
    found |= {_guid(job): job for job in _lost(config, session, missed[:MOST_LOST])}
    running = {guid: job for guid, job in {**found, **open_jobs}.items() if _is_running(job)}
    running = {guid: job for guid, job in running.items() if guid not in found or _is_running(found[guid])}
    ended = [*_ended(found.values(), known=known, progress=progress)]
    fresh = progress.news(ended)
    taken, is_cut = fresh[:MOST], len(fresh) > MOST
    after = progress.after(taken, at_least=0 if is_cut else min(end, progress.clock))
    still = [guid for guid in known if guid in missed[MOST_LOST:] or guid in _keys(fresh[MOST:])]
    new_running = [job for guid, job in sorted(running.items()) if guid not in known]
    deliveries = [_fetched(job, "running") for job in new_running] + [_fetched(one.row, "ended") for one in taken]
    return Pulled(
        tuple(deliveries),
        {**after, "running": sorted({*running, *still})},
        more=is_cut or end < progress.clock or (len(missed) > MOST_LOST and bool(taken)),
    )


def _known(cursor: Mapping[str, Any]) -> list[str]:
    """The jobs that ran when last seen."""
    told = cursor.get("running")
    return [guid for guid in told if isinstance(guid, str)] if isinstance(told, list) else []


def _window(config: Config, session: Session, progress: Progress, end: int) -> Reply:
    """The last window reaches beyond the present: a device's clock may be ahead."""
    reach = end if end < progress.clock else progress.clock + AHEAD
    return _ask(config, session, "get-jobs-for-date-range", Start=progress.since, End=reach)


def _keys(ended: Iterable[Ended]) -> set[str]:
    return {_guid(one.row) for one in ended}


def _ended(jobs: Iterable[dict[str, Any]], *, known: list[str], progress: Progress) -> Iterator[Ended]:
    """Those that have ended. One that was known to run is new, however long ago it says that it ended."""
    for job in jobs:
        at = whole(job.get("EndTime")) or whole(job.get("StartTime")) or 0
        if not _is_running(job):
            late = progress.since if _guid(job) in known else at
            yield Ended(f"{_guid(job)} {job.get('Status')} {at}", max(at, late), job)


def _lost(config: Config, session: Session, guids: Iterable[str]) -> Iterator[dict[str, Any]]:
    for guid in guids:
        try:
            yield from _jobs(_ask(config, session, "get-job-properties", JobID=guid))
        except PermanentFailure:
            continue  # removed over there: nobody will ever know how it ended


def _ask(config: Config, session: Session, path: str, **values: Any) -> Reply:
    form = {"Username": config.username, "AuthType": "Password", "Password": config.password, **values}
    reply = session.ask("POST", joined(config.url, f"/api/v1/admin/{path}"), form=form)
    told = reply.document
    if isinstance(told, dict) and isinstance(told.get("Status"), int) and "Message" in told and told["Status"] >= 400:
        raise PermanentFailure(f"Comet refused: {str(told['Message'])[:200]}")
    return reply


def _jobs(reply: Reply) -> list[dict[str, Any]]:
    document = [reply.document] if isinstance(reply.document, dict) else reply.document
    rows = [] if document is None else Reply(document, reply.sent_at, reply.headers).rows()
    return [row for row in rows if _guid(row)]


def _guid(job: Mapping[str, Any]) -> str:
    told = job.get("GUID")
    return told if isinstance(told, str) else ""


def _is_running(job: Mapping[str, Any]) -> bool:
    return whole(job.get("Status")) in _RUNNING or (not whole(job.get("EndTime")) and not _has_verdict(job))


def _has_verdict(job: Mapping[str, Any]) -> bool:
    status = whole(job.get("Status"))
    return status is not None and (5000 <= status < 6000 or 7000 <= status < 8000)


def _fetched(job: dict[str, Any], state: str) -> Fetched:
    at = whole(job.get("EndTime")) if state == "ended" else whole(job.get("StartTime"))
    return Fetched(f"{_guid(job)}:{state}", as_json(job), "comet", occurred_at=moment(at) if at else None)
