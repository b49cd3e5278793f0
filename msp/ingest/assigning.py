"""Assign: who each run is about, by (server, source job, item); one log may hold runs of several clients.

What a person decided stands in ``Assignment`` and holds for the next time. A key that nobody decided is looked for on
the other servers of its group, then under the rules; an unknown backup job is made by itself where a rule or its
server says so (``new_jobs`` auto), else the run waits in the inbox. A run that is no backup (a check, a prune, a
restore) never makes a job: it belongs to the job of its key, else to the server's only job, else it waits. A fixed
number of statements, however many runs, and none more than before where all keys are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations.logs.joblog import JobLog
from msp.backups.folding import BACKUP_OPERATIONS
from msp.backups.runs import AssignedRun
from msp.ingest.known import Found, Key, Known, Wanted, load_known
from msp.ingest.making import kept_roots, make_jobs, remember_jobs, wish_of
from msp.ingest.matching import Match
from msp.ingest.moving import follow_moves
from msp.ingest.normalising import NormalisedReceipt
from msp.ingest.ruling import mail_of, match_rules


@dataclass(frozen=True)
class InboxNote:
    """Why a person must look: at a whole receipt (``place`` -1) or at one run in it. ``told``: see InboxItem."""

    receipt_id: int
    place: int
    reason: str
    detail: str
    line: int | None = None
    server_id: int | None = None
    source_job: str = ""
    item: str = ""
    host: str = ""
    format: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Assigned:
    """The runs whose job is known, what waits for a person, and the servers on which jobs were made."""

    runs: tuple[AssignedRun, ...]
    notes: tuple[InboxNote, ...]
    made_on: frozenset[int] = frozenset()


def assign(tenant_id: int, normalised: Sequence[NormalisedReceipt], *, now: datetime) -> Assigned:
    """Find or make the job of every run in the batch, in the caller's transaction."""
    notes = [note for one in normalised for note in notes_of_reading(one)]
    wanted = [Wanted(one, place, log, key_of(one, log)) for one in normalised for place, log in enumerate(one.runs)]
    if not wanted:
        return Assigned((), tuple(notes))
    known = load_known(tenant_id, wanted)
    follow_moves(tenant_id, wanted, known, now=now)
    decide_missing(tenant_id, wanted, known, now=now)
    runs: list[AssignedRun] = []
    for one in wanted:
        found = known.jobs.get(one.key) or stand_in(one, known)
        if found is None:
            notes.append(note_of_run(one, known))
        else:
            runs.append(assigned_run(one, found))
    return Assigned(tuple(runs), tuple(notes), known.made_on)


def decide_missing(tenant_id: int, wanted: Sequence[Wanted], known: Known, *, now: datetime) -> None:
    """Keys that nobody decided: by the rules, then by their servers' habit; nothing is asked when there are none."""
    missing = [one for one in wanted if one.key not in known.jobs]
    if not missing:
        return
    known.matches = match_rules(tenant_id, missing)
    chosen = {
        key: (match.rule.job_id, match.rule.id)
        for key, match in known.matches.items()
        if match.rule.action == "job" and match.rule.job_id is not None
    }
    if chosen:
        known.jobs.update(remember_jobs(tenant_id, chosen, origin="rule", now=now))
    wishes = [wish for one in missing if one.key not in known.jobs and (wish := wish_of(one, known)) is not None]
    if wishes:
        make_jobs(tenant_id, wishes, known, now=now)


def key_of(one: NormalisedReceipt, log: JobLog) -> Key:
    """What a run is known by: its server, the job as the sender (else the log) names it, the item in the log.

    A delivery without a server that names no job is known by the host it speaks of.
    """
    named = one.job or log.source_job
    if not named and one.receipt.server_id is None:
        named = log.host or one.host
    return one.receipt.server_id, named[:300], log.item[:300]


def assigned_run(one: Wanted, found: Found) -> AssignedRun:
    receipt = one.receipt.receipt
    return AssignedRun(
        job_id=found.job_id,
        selection_id=found.selection_id,
        client_id=found.client_id,
        receipt_id=receipt.id,
        place=one.place,
        delivery_key=f"{receipt.door}/{receipt.delivery_id}",
        received_at=receipt.received_at,
        log=one.log,
        told_start=one.receipt.told_start,
        told_end=one.receipt.told_end,
    )


def stand_in(one: Wanted, known: Known) -> Found | None:
    """A run that is no backup and names no known job belongs to the only job of its server, unless a rule decides."""
    if one.log.operation in BACKUP_OPERATIONS or one.key[1] or one.key in known.matches:
        return None
    jobs = known.nameless.get(one.key[0] or 0, ())
    return jobs[0] if len(jobs) == 1 else None


# --- what waits for a person -------------------------------------------------------------------------------------


def notes_of_reading(one: NormalisedReceipt) -> list[InboxNote]:
    """A log that nobody recognises or that cannot be read."""
    if one.reading.error is None:
        return []
    return [
        InboxNote(
            receipt_id=one.receipt.id,
            place=-1,
            reason="unrecognised" if one.reading.format is None else "unreadable",
            detail=one.reading.error,
            line=one.reading.line,
            server_id=one.receipt.server_id,
            host=one.host,
            format=one.reading.format or "",
        )
    ]


def note_of_run(one: Wanted, known: Known) -> InboxNote:
    reason, detail = why_waiting(one, known)
    return InboxNote(
        receipt_id=one.receipt.receipt.id,
        place=one.place,
        reason=reason,
        detail=detail,
        line=one.log.lines[0] if one.log.lines else None,
        server_id=one.key[0],
        source_job=one.key[1],
        item=one.key[2],
        host=one.host,
        format=one.receipt.reading.format or "",
        told=told_by(one),
    )


def why_waiting(one: Wanted, known: Known) -> tuple[str, str]:
    """The reason, and a sentence about it."""
    server, match = known.servers.get(one.key[0] or 0), known.matches.get(one.key)
    named = one.key[1] or one.key[2]
    what = f'the job "{named}"' if named else f"a {one.log.operation} by {one.log.product}"
    if match is not None:
        return held_by_rule(one, match, what)
    if server is not None and server.new_jobs == "refuse":
        return "refused", f"{server.name} takes no new jobs, and {what} is not known."
    if len(known.nameless.get(one.key[0] or 0, ())) > 1 and not one.key[1]:
        return "ambiguous", f"It names no job, and {what} may belong to any of several on its server."
    if server is None:
        return "unassigned", f"It came without a server's key, and {what} is not known."
    return "unassigned", f"On {server.name}, {what} belongs to no known job."


def held_by_rule(one: Wanted, match: Match, what: str) -> tuple[str, str]:
    """What a rule says of a run that did not find its job."""
    if match.rule.action == "refuse":
        return "refused", f"{match.because} It refuses {what}."
    if match.rule.action == "hold":
        return "unassigned", f"{match.because} It holds {what} for a person."
    if one.log.operation not in BACKUP_OPERATIONS:
        return "unassigned", f"{match.because} Only a backup makes a job, and {what} is not known."
    return "unassigned", f"{match.because} It names no server for jobs of deliveries without one."


def told_by(one: Wanted) -> dict[str, Any]:
    """What else the log says that rules and suggestions look at; nothing that is empty."""
    sender, subject = mail_of(one.receipt)
    told = {
        "account": one.log.account,
        "sender": sender,
        "subject": subject,
        "roots": kept_roots(one.log.roots),
        "operation": one.log.operation,
        "product": one.log.product,
        "protected_bytes": one.log.protected_bytes,
    }
    return {name: value for name, value in told.items() if value}
