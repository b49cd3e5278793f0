"""Suggest: which jobs, or which client, a log in the inbox may be about, each with a reason and a confidence.

For the inbox, its pages and the API. Reads in a fixed number of statements whatever the number of items: the tenant's
jobs once, with what their last runs said. Nothing is decided here; a person (or "accept all of high confidence") does.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any

from django.db import connection

from msp.estate.models import Client
from msp.ingest.inbox import NOT_ASSIGNABLE
from msp.ingest.models import InboxItem

CONFIDENCES = ("high", "medium", "low")
#: A job that fell silent at most this long before a name appeared may have been renamed to it.
RENAME_WITHIN = timedelta(days=14)
LIKE_SIZE = 0.1
SAME_ROOTS = "the same roots"
LIKE_NAME = 0.8
MOST_SUGGESTED = 5
#: Jobs whose names are compared letter by letter: those of the item's server.
MOST_COMPARED = 500

JOBS = """
SELECT job.id, job.uid, job.name, job.server_id, server.name, job.selection_id, selection.client_id, client.name,
       lower(coalesce(nullif(run.host, ''), selection.host)), lower(job.product), state.last_run_at,
       state.protected_bytes, selection.roots::text, job.registered_at
FROM backups_backupjob job
JOIN backups_jobstate state ON state.job_id = job.id
JOIN estate_selection selection ON selection.id = job.selection_id
JOIN estate_client client ON client.id = selection.client_id AND client.state <> 'deleted'
JOIN estate_backupserver server ON server.id = job.server_id
LEFT JOIN LATERAL (
    SELECT one.host FROM backups_jobrun one
    WHERE one.tenant_id = job.tenant_id AND one.job_id = job.id AND one.run_key = state.last_run_key
      AND one.filed_month BETWEEN (date_trunc('month', state.last_run_at) - interval '1 month')::date
          AND (date_trunc('month', state.last_run_at) + interval '1 month')::date LIMIT 1) run ON true
WHERE job.tenant_id = %s AND job.state <> 'retired'
"""

KEYS = """
SELECT known.job_id, known.server_id, known.source_job, known.item FROM ingest_assignment known
WHERE known.tenant_id = %(tenant)s AND (known.source_job = ANY(%(jobs)s) OR known.item = ANY(%(items)s))
"""

# When each name appeared: the first time anything of this key came into the inbox.
APPEARED = """
SELECT item.server_id, item.source_job, item.item, min(item.opened_at) FROM ingest_inboxitem item
WHERE item.tenant_id = %(tenant)s AND item.source_job = ANY(%(jobs)s) AND item.item = ANY(%(items)s) GROUP BY 1, 2, 3
"""

MACHINES = """
SELECT lower(known.value), machine.client_id, machine.name, machine.id FROM estate_machineidentity known
JOIN estate_machine machine ON machine.id = known.machine_id AND machine.state = 'active'
WHERE known.tenant_id = %(tenant)s AND known.until IS NULL AND lower(known.value) = ANY(%(hosts)s)
"""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A job, or (``job_id`` None) a client whose new job it may be. ``kind``: rename and move keep the history."""

    confidence: str
    reason: str
    kind: str
    client_id: int
    client: str
    client_uid: uuid.UUID | None = None
    job_id: int | None = None
    job_uid: uuid.UUID | None = None
    job: str = ""
    server: str = ""
    keeps_history: bool = False


@dataclass(frozen=True)
class Candidate:
    """A job as it may be suggested, with what its last run said."""

    id: int
    uid: uuid.UUID
    name: str
    server_id: int
    server: str
    selection_id: int
    client_id: int
    client: str
    host: str
    product: str
    last_run_at: datetime | None
    protected_bytes: int | None
    roots: str
    registered_at: datetime


@dataclass
class Estate:
    """What items are compared with; read once for all of them."""

    jobs: dict[int, Candidate]
    by_host: dict[str, list[Candidate]]
    by_server: dict[int, list[Candidate]]
    keys: dict[tuple[str, str], list[tuple[int, int | None]]]
    by_item: dict[str, list[int]]
    appeared: dict[tuple[int | None, str, str], datetime]
    machines: dict[str, tuple[int, str]]
    clients: Sequence[Client]


def suggest(tenant_id: int, items: Iterable[InboxItem]) -> dict[int, tuple[Suggestion, ...]]:
    """By item id, the best first; nothing for items that a job would not mend."""
    asked = [item for item in items if item.state == "open" and item.reason not in NOT_ASSIGNABLE]
    if not asked:
        return {}
    estate = load_estate(tenant_id, asked)
    return {item.pk: suggest_one(item, estate) for item in asked}


def suggest_one(item: InboxItem, estate: Estate) -> tuple[Suggestion, ...]:
    found: dict[tuple[int | None, int], Suggestion] = {}
    for one in (*moves(item, estate), *renames(item, estate), *same_hosts(item, estate), *same_items(item, estate),
                *like_names(item, estate), *clients_of(item, estate)):  # fmt: skip
        known = found.get((one.job_id, one.client_id if one.job_id is None else 0))
        if known is None or CONFIDENCES.index(one.confidence) < CONFIDENCES.index(known.confidence):
            found[one.job_id, one.client_id if one.job_id is None else 0] = one
    return tuple(sorted(found.values(), key=lambda one: (CONFIDENCES.index(one.confidence), one.job_id is None)))[
        :MOST_SUGGESTED
    ]


# --- reasons -------------------------------------------------------------------------------------------------------


def moves(item: InboxItem, estate: Estate) -> Iterable[Suggestion]:
    """The same name on another server: it moved here, the more surely if it fell silent there."""
    known = estate.keys.get((item.source_job, item.item), []) if item.source_job or item.item else []
    elsewhere = [estate.jobs[job] for job, server in known if server != item.server_id and job in estate.jobs]
    for job in elsewhere:
        same_host = bool(item.host) and job.host == item.host.lower()
        silent = fell_silent(job, appeared_at(item, estate))
        sure = "high" if len(elsewhere) == 1 and same_host and silent else "medium" if same_host or silent else "low"
        also = " and the same host" if same_host else ""
        also += ", silent there since this name appeared here" if silent else ""
        reason = f"{job.server} knows this name{also}: it moved here, the history stays."
        yield of_job(job, sure, reason, kind="move", keeps_history=True)


def renames(item: InboxItem, estate: Estate) -> Iterable[Suggestion]:
    """A job of this server that fell silent when this name appeared, of the same product and a like size or roots."""
    product = str(item.told.get("product", item.format)).lower()
    since = appeared_at(item, estate)
    silent = [
        job
        for job in estate.by_server.get(item.server_id or 0, ())
        if job.product == product and fell_silent(job, since) and is_alike(item, job)
    ]
    for job in silent:
        certain = len(silent) == 1 and job.host == item.host.lower() != "" and is_alike(item, job) == SAME_ROOTS
        sure = "high" if certain else "medium"
        reason = f'"{job.name}" fell silent when this name appeared, with the same product and {is_alike(item, job)}: '
        yield of_job(job, sure, f"{reason}it was renamed, the history stays.", kind="rename", keeps_history=True)


def same_hosts(item: InboxItem, estate: Estate) -> Iterable[Suggestion]:
    jobs = estate.by_host.get(item.host.lower(), ()) if item.host else ()
    for job in jobs:
        here = job.server_id == item.server_id
        sure = "medium" if len(jobs) == 1 and here else "low"
        yield of_job(job, sure, f"Its last run was of the same host, {item.host}.", kind="host")


def same_items(item: InboxItem, estate: Estate) -> Iterable[Suggestion]:
    for job_id in estate.by_item.get(item.item, ()) if item.item else ():
        if job_id in estate.jobs:
            yield of_job(estate.jobs[job_id], "low", f"It holds runs of {item.item} from elsewhere.", kind="item")


def like_names(item: InboxItem, estate: Estate) -> Iterable[Suggestion]:
    name = " / ".join(part for part in (item.source_job, item.item) if part).lower()
    if not name:
        return
    for job in list(estate.by_server.get(item.server_id or 0, ()))[:MOST_COMPARED]:
        matcher = SequenceMatcher(None, name[:100], job.name.lower()[:100])
        ratios = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)  # the cheap ones first
        if all(ratio() >= LIKE_NAME for ratio in ratios):
            yield of_job(job, "low", f'The name is much like "{job.name}".', kind="name")


def clients_of(item: InboxItem, estate: Estate) -> Iterable[Suggestion]:
    """Whose new job it may be: by machine, by the client's code at the beginning of a name, by the mail's sender."""
    machine = estate.machines.get(item.host.lower()) if item.host else None
    domain = str(item.told.get("sender", "")).rpartition("@")[2].lower().strip("> ")
    for client in estate.clients:
        reason = names_client(item, client)
        if machine is not None and machine[0] == client.pk:
            yield of_client(client, "high", f"{item.host} is a name of the client's machine {machine[1]}.")
        elif reason:
            yield of_client(client, "medium", reason)
        elif domain and domain.split(".")[0] == client.code.lower():
            yield of_client(client, "medium", f"The mail came from {domain}.")


def names_client(item: InboxItem, client: Client) -> str:
    code = client.code.lower()
    for what, text in (("host", item.host), ("account", str(item.told.get("account", ""))), ("job", item.source_job)):
        rest = text.lower().removeprefix(code)
        if len(code) > 1 and rest != text.lower() and not rest[:1].isalnum():
            return f"The {what} {text[:80]} begins with the client's code."
    return ""


def appeared_at(item: InboxItem, estate: Estate) -> datetime:
    return min(estate.appeared.get((item.server_id, item.source_job, item.item), item.opened_at), item.opened_at)


def fell_silent(job: Candidate, since: datetime) -> bool:
    """Whether its last run was shortly before this moment, and none came after it."""
    return job.last_run_at is not None and since - RENAME_WITHIN <= job.last_run_at <= since


def is_alike(item: InboxItem, job: Candidate) -> str:
    """What makes the protected things alike, as words; "" for nothing."""
    size, roots = item.told.get("protected_bytes"), item.told.get("roots")
    if roots and all(f'"{root}"' in job.roots for root in roots):
        return SAME_ROOTS
    if isinstance(size, int) and job.protected_bytes and abs(size - job.protected_bytes) <= LIKE_SIZE * size:
        return "a like size"
    return ""


def of_job(job: Candidate, confidence: str, reason: str, *, kind: str, keeps_history: bool = False) -> Suggestion:
    return Suggestion(
        confidence=confidence, reason=reason, kind=kind, client_id=job.client_id, client=job.client, job_id=job.id,
        job_uid=job.uid, job=job.name, server=job.server, keeps_history=keeps_history,
    )  # fmt: skip


def of_client(client: Client, confidence: str, reason: str) -> Suggestion:
    return Suggestion(
        confidence=confidence, reason=reason, kind="client", client_id=client.pk, client=client.name,
        client_uid=client.uid,
    )  # fmt: skip


# --- reading -------------------------------------------------------------------------------------------------------


def load_estate(tenant_id: int, items: Sequence[InboxItem]) -> Estate:
    values = {
        "tenant": tenant_id,
        "jobs": sorted({item.source_job for item in items}),
        "items": sorted({item.item for item in items}),
        "hosts": sorted({item.host.lower() for item in items if item.host}),
    }
    jobs = {row[0]: Candidate(*row) for row in _read(JOBS, [tenant_id])}
    by_host, by_server = defaultdict(list), defaultdict(list)
    for job in jobs.values():
        by_host[job.host].append(job)
        by_server[job.server_id].append(job)
    keys, by_item = defaultdict(list), defaultdict(list)
    for job_id, server_id, source_job, item in _read(KEYS, values):
        keys[source_job, item].append((job_id, server_id))
        by_item[item].append(job_id)
    clients = list(Client.objects.of(tenant_id).exclude(state="deleted").order_by("pk"))
    machines = {row[0]: (row[1], row[2]) for row in _read(MACHINES, values)}
    appeared = {(row[0], row[1], row[2]): row[3] for row in _read(APPEARED, values)}
    return Estate(jobs, by_host, by_server, keys, by_item, appeared, machines, clients)


def _read(statement: str, values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
