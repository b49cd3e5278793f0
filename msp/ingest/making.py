"""Make: jobs for keys that nobody knows, because their server or a rule says so; in a fixed number of statements.

Where the tenant observes what is new, the new job of a client that gets tickets is observed until a person enables it.

The servers that get jobs are locked in the order of their ids, so that two workers make one job, not two. What protects
the same roots of the same host as a selection that is there already (by another server or product) is made as a
proposed job of that selection: it is watched, measures nothing, and a person decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.db import connection

from msp.backups.folding import BACKUP_OPERATIONS
from msp.estate.models import BackupServer, Selection
from msp.ingest.known import Key, Known, Wanted, load_jobs
from msp.ingest.matching import Match, name_of
from msp.ingest.ruling import seen_of
from msp.tenants.models import Tenant

#: Roots that are kept of one log, in all.
MOST_ROOTS = 200

MAKE = """
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(
        key_server bigint, server_id bigint, client_id bigint, source_job text, item text, name text, selection text,
        product text, since date, host text, roots jsonb, state text, because text, rule_id bigint, origin text)
), named AS (
    INSERT INTO estate_selection (uid, tenant_id, client_id, name, host, roots, state, basis, registered_at)
    SELECT DISTINCT ON (client_id, selection) gen_random_uuid(), %(tenant)s, client_id, selection, host, roots,
        'active', '', %(now)s FROM wanted ORDER BY client_id, selection, state
    ON CONFLICT (tenant_id, client_id, name) DO UPDATE SET name = excluded.name RETURNING id, client_id, name
), owned AS (
    INSERT INTO estate_selectionclientspan (uid, tenant_id, selection_id, client_id, since)
    SELECT DISTINCT gen_random_uuid(), %(tenant)s, named.id, named.client_id, wanted.since
    FROM named JOIN wanted ON wanted.client_id = named.client_id AND wanted.selection = named.name
    WHERE wanted.state = 'active'
    ON CONFLICT DO NOTHING
), jobs AS (
    INSERT INTO backups_backupjob (uid, tenant_id, server_id, selection_id, name, product, role, state, schedule,
        timezone, registered_at, proposed_because, observed)
    SELECT DISTINCT ON (wanted.server_id, named.id, wanted.name) gen_random_uuid(), %(tenant)s, wanted.server_id,
        named.id, wanted.name, wanted.product, 'primary', wanted.state, '', '', %(now)s, wanted.because,
        tenant.observe_new AND client.tickets_enabled
    FROM wanted JOIN named ON wanted.client_id = named.client_id AND wanted.selection = named.name
    JOIN estate_client client ON client.tenant_id = %(tenant)s AND client.id = wanted.client_id
    JOIN tenants_tenant tenant ON tenant.id = %(tenant)s
    RETURNING id, server_id, selection_id, name
), spans AS (
    INSERT INTO backups_jobselectionspan (uid, tenant_id, job_id, selection_id, since)
    SELECT gen_random_uuid(), %(tenant)s, jobs.id, jobs.selection_id, (SELECT min(since) FROM wanted) FROM jobs
)
INSERT INTO ingest_assignment (uid, tenant_id, server_id, source_job, item, job_id, origin, rule_id, created_at)
SELECT gen_random_uuid(), %(tenant)s, wanted.key_server, wanted.source_job, wanted.item, jobs.id, wanted.origin,
    wanted.rule_id, %(now)s
FROM wanted
JOIN named ON wanted.client_id = named.client_id AND wanted.selection = named.name
JOIN jobs ON jobs.server_id = wanted.server_id AND jobs.selection_id = named.id AND jobs.name = wanted.name
"""

REMEMBER = """
INSERT INTO ingest_assignment (uid, tenant_id, server_id, source_job, item, job_id, origin, rule_id, created_at)
SELECT gen_random_uuid(), %(tenant)s, new.server_id, new.source_job, new.item, job.id, %(origin)s, new.rule_id, %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(server_id bigint, source_job text, item text, job_id bigint,
    rule_id bigint)
JOIN backups_backupjob job ON job.tenant_id = %(tenant)s AND job.id = new.job_id
ORDER BY new.server_id, new.source_job, new.item
ON CONFLICT DO NOTHING
"""

# What protects the same things of the same host already. Compared as the sorted roots that are kept.
SAME_THINGS = """
SELECT new.place, selection.name, job.name, server.name
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(place int, client_id bigint, server_id bigint, product text, host text,
    roots jsonb)
JOIN estate_selection selection ON selection.tenant_id = %(tenant)s AND selection.client_id = new.client_id
    AND selection.host = new.host AND selection.roots = new.roots AND selection.state <> 'retired'
JOIN LATERAL (
    SELECT job.name, job.server_id FROM backups_backupjob job
    WHERE job.tenant_id = %(tenant)s AND job.selection_id = selection.id AND job.state IN ('active', 'paused')
      AND (job.server_id <> new.server_id OR job.product <> new.product) ORDER BY job.id LIMIT 1) job ON true
JOIN estate_backupserver server ON server.id = job.server_id
WHERE new.host <> '' AND new.roots <> '[]'::jsonb
ORDER BY new.place, selection.id DESC
"""


@dataclass(frozen=True)
class Wish:
    """A run, the server that gets its new job, and the client whose it becomes; ``match`` is the rule that says so."""

    one: Wanted
    server_id: int
    client_id: int
    match: Match | None = None


def remember_jobs(
    tenant_id: int, keys: Mapping[Key, tuple[int, int | None]], *, origin: str, now: datetime
) -> dict[Key, Any]:
    """These keys mean these jobs (job, rule) from now on; answers what is known then, whoever was first."""
    rows = [
        {"server_id": key[0], "source_job": key[1], "item": key[2], "job_id": job_id, "rule_id": rule_id}
        for key, (job_id, rule_id) in keys.items()
    ]
    with connection.cursor() as cursor:
        told = orjson.dumps(rows).decode()
        cursor.execute(REMEMBER, {"rows": told, "tenant": tenant_id, "origin": origin, "now": now})
    return load_jobs(tenant_id, keys)


def wish_of(one: Wanted, known: Known) -> Wish | None:
    """Whether a job is to be made for this run, where and for whom: by its rule, else by its server's habit."""
    if one.log.operation not in BACKUP_OPERATIONS:
        return None
    match = known.matches.get(one.key)
    if match is not None:
        server_id = one.key[0] or match.rule.make_on_id
        if match.rule.action != "new_job" or server_id is None or match.client_id is None:
            return None
        return Wish(one, server_id, match.client_id, match)
    server = known.servers.get(one.key[0] or 0)
    if server is None or server.new_jobs != "auto" or server.client_id is None:
        return None
    return Wish(one, server.pk, server.client_id)


def make_jobs(tenant_id: int, wishes: Sequence[Wish], known: Known, *, now: datetime) -> Known:
    """Make the jobs of these runs, each with a selection of its own unless it looks like a second way to one."""
    server_ids = sorted({wish.server_id for wish in wishes})
    locked = BackupServer.objects.of(tenant_id).filter(pk__in=server_ids).order_by("pk").select_for_update(no_key=True)
    servers = {row.pk: row for row in locked}
    keys = {wish.one.key for wish in wishes}
    made_meanwhile = load_jobs(tenant_id, keys)
    known.jobs.update(made_meanwhile)
    first = {wish.one.key: wish for wish in reversed(wishes) if wish.one.key not in made_meanwhile}
    if first:
        zone = ZoneInfo(Tenant.objects.get(pk=tenant_id).timezone)
        since = first_days(tenant_id, {wish.client_id for wish in first.values()}, zone=zone)
        rows = [
            new_job(wish, servers[wish.server_id], since=since[wish.client_id]) for wish in reversed(first.values())
        ]
        rows = propose_second_ways(tenant_id, tell_apart(rows, taken=load_taken(tenant_id, rows)))
        with connection.cursor() as cursor:
            cursor.execute(MAKE, {"rows": orjson.dumps(rows).decode(), "tenant": tenant_id, "now": now})
        known.jobs.update(load_jobs(tenant_id, first))
        known.made_on = frozenset(server_ids)
    return known


def first_days(tenant_id: int, client_ids: Iterable[int], *, zone: ZoneInfo) -> dict[int, str]:
    """What is protected has been the client's since it became one: logs that come in late belong to their own day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, registered_at FROM estate_client WHERE tenant_id = %s AND id = ANY(%s)",
            [tenant_id, sorted(client_ids)],
        )
        return {row[0]: row[1].astimezone(zone).date().isoformat() for row in cursor.fetchall()}


def new_job(wish: Wish, server: BackupServer, *, since: str) -> dict[str, Any]:
    """The names of a job and its selection: the rule's template, else what the sender says, else host and product."""
    one = wish.one
    template = wish.match.rule.name_template if wish.match is not None else ""
    name = name_of(template, seen_of(one, mails=False))
    name = name or " / ".join(part for part in (one.key[1], one.key[2]) if part)
    name = name or " ".join(part for part in (one.log.product, "on", one.log.host or server.name) if part)
    return {
        "key_server": one.key[0],
        "server_id": server.pk,
        "client_id": wish.client_id,
        "source_job": one.key[1],
        "item": one.key[2],
        "name": name[:300],
        "selection": shortened(f"{server.name}: {name}", 200),
        "product": one.log.product[:60],
        "since": since,
        "host": one.host.lower()[:255],
        "roots": kept_roots(one.log.roots),
        "state": "active",
        "because": "",
        "rule_id": wish.match.rule.id if wish.match is not None else None,
        "origin": "rule" if wish.match is not None else "auto",
    }


def kept_roots(roots: Sequence[str]) -> list[str]:
    """Roots in an order of their own, so that two logs that name the same compare equal."""
    return sorted({root[:500] for root in roots})[:MOST_ROOTS]


def shortened(name: str, limit: int) -> str:
    """The name, or its beginning with a mark of the whole: two long names that begin alike stay two."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 10]} #{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def load_taken(tenant_id: int, rows: Iterable[Mapping[str, Any]]) -> set[tuple[Any, Any]]:
    """Which names of selections that rules made up belong to others already: a template may name two keys alike."""
    ruled = [row for row in rows if row["origin"] == "rule"]
    if not ruled:
        return set()
    names, clients = [row["selection"] for row in ruled], [row["client_id"] for row in ruled]
    found = Selection.objects.of(tenant_id).filter(name__in=names, client_id__in=clients)
    return set(found.values_list("client_id", "name"))


def tell_apart(rows: list[dict[str, Any]], *, taken: Iterable[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Rows whose selections would bear the same name ("a / b" with "c", "a" with "b / c") get a mark of their key."""
    seen = set(taken)
    for row in rows:
        if (row["client_id"], row["selection"]) in seen:
            whole = f"{row['key_server']}\0{row['source_job']}\0{row['item']}"
            mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
            row["selection"] = f"{row['selection'][:190]} #{mark}"
        seen.add((row["client_id"], row["selection"]))
    return rows


# --- a second way to a selection that is there ---------------------------------------------------------------------


def propose_second_ways(tenant_id: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that protect what another server or product protects already become proposed jobs of that selection."""
    asked = [{**row, "place": place} for place, row in enumerate(rows) if row["host"] and row["roots"]]
    if not asked:
        return rows
    with connection.cursor() as cursor:
        cursor.execute(SAME_THINGS, {"rows": orjson.dumps(asked).decode(), "tenant": tenant_id})
        for place, selection, job, server in cursor.fetchall():
            propose(rows[place], selection, of=f'"{job}" on {server}')
    firsts: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if row["state"] == "active" and row["host"] and row["roots"]:
            first = firsts.setdefault((row["client_id"], row["host"], *row["roots"]), row)
            if (first["server_id"], first["product"]) != (row["server_id"], row["product"]):
                propose(row, first["selection"], of=f'"{first["name"]}"')
    return rows


def propose(row: dict[str, Any], selection: str, *, of: str) -> None:
    host, number = row["host"], len(row["roots"])
    what = row["roots"][0] if number == 1 else f"the same {number} roots"
    row["selection"], row["state"] = selection, "proposed"
    row["because"] = f"It protects {what[:120]} of {host[:60]}, as {of[:80]} does."[:300]
