"""What a rule would do, before it is saved: to the logs that wait, and to keys that are decided already (nothing).

For the rule's page and the API. Reads in a fixed number of statements and writes nothing; the rules before it take what
they take. Counts look at the newest ``MOST_LOOKED_AT`` of each, the list holds up to ``MOST_LISTED``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection

from msp.backups.models import BackupJob
from msp.estate.models import Client
from msp.estate.spans import Actor
from msp.ingest.inbox import NOT_ASSIGNABLE, replay_items
from msp.ingest.matching import Match, Rule, Seen, first_match, match_rule, name_of
from msp.ingest.models import AssignmentRule, InboxItem
from msp.ingest.ruling import as_rule, load_codes, load_rules
from msp.tenants.models import Tenant

MOST_LISTED = 50
MOST_LOOKED_AT = 5000
DECIDED_DAYS = 30
#: What is kept of a key that is decided; patterns on anything else are left out when those are counted.
KNOWN_OF_DECIDED = frozenset({"host", "job", "item"})


@dataclass(frozen=True, kw_only=True)
class PreviewRow:
    """A log that waits and falls under the rule: what becomes of it, and why."""

    item_id: int
    uid: uuid.UUID
    server: str
    source_job: str
    item: str
    host: str
    does: str
    because: str


@dataclass(frozen=True)
class Preview:
    """``waiting`` counts all logs that fall under it, ``rows`` are the first; ``taken_earlier`` fall under a rule
    before it; ``decided`` keys with runs in the last 30 days would match and stay as they are."""

    rows: tuple[PreviewRow, ...]
    waiting: int
    looked_at: int
    taken_earlier: int
    decided: int
    decided_names: tuple[str, ...]


def preview_rule(tenant: Tenant, row: AssignmentRule, *, now: datetime) -> Preview:
    """What this rule, stored or as typed, would do where it stands; one that is not in use as if it were."""
    mine, before = as_rule(row), rules_before(tenant, row)
    codes = load_codes(tenant.pk, (mine, *before))
    items, looked_at = load_waiting(tenant)
    caught: list[tuple[InboxItem, Match]] = []
    earlier = 0
    for item in items:
        match = match_rule(mine, seen_of_item(item), codes=codes)
        if match is None:
            continue
        if first_match(before, seen_of_item(item), codes=codes) is not None:
            earlier += 1
        else:
            caught.append((item, match))
    names = find_decided(tenant, mine, codes, now=now)
    rows = tuple(told_rows(tenant, caught[:MOST_LISTED]))
    return Preview(rows, len(caught), looked_at, earlier, len(names), tuple(names[:MOST_LISTED]))


def read_waiting(tenant: Tenant, row: AssignmentRule, *, actor: Actor) -> int:
    """Read the waiting logs that fall under this stored rule again; answers how many receipts."""
    mine, before = as_rule(row), rules_before(tenant, row)
    codes = load_codes(tenant.pk, (mine, *before))
    caught = [
        item.pk
        for item in load_waiting(tenant)[0]
        if match_rule(mine, seen_of_item(item), codes=codes)
        and not first_match(before, seen_of_item(item), codes=codes)
    ]
    reason = actor.reason or f'the rule "{row.name}"'
    return replay_items(tenant, caught, actor=replace(actor, reason=reason)) if caught and row.enabled else 0


def rules_before(tenant: Tenant, row: AssignmentRule) -> tuple[Rule, ...]:
    """Those in use that are asked first."""
    stored = AssignmentRule.objects.of(tenant).filter(position__lt=row.position).exclude(pk=row.pk or 0)
    earlier = set(stored.values_list("pk", flat=True))
    return tuple(rule for rule in load_rules(tenant.pk) if rule.id in earlier)


def load_waiting(tenant: Tenant) -> tuple[list[InboxItem], int]:
    """The newest open items that a job would mend, and how many those are."""
    rows = InboxItem.objects.of(tenant).filter(state="open", place__gte=0).exclude(reason__in=NOT_ASSIGNABLE)
    items = list(rows.select_related("server").order_by("-opened_at", "-pk")[:MOST_LOOKED_AT])
    return items, len(items)


def seen_of_item(item: InboxItem) -> Seen:
    """An item as rules see its run."""
    return Seen(
        server_id=item.server_id,
        format=item.format,
        host=item.host,
        account=str(item.told.get("account", "")),
        job=item.source_job,
        item=item.item,
        sender=str(item.told.get("sender", "")),
        subject=str(item.told.get("subject", "")),
    )


def told_rows(tenant: Tenant, caught: Iterable[tuple[InboxItem, Match]]) -> Iterable[PreviewRow]:
    listed = list(caught)
    clients = Client.objects.of(tenant).in_bulk({match.client_id for _, match in listed if match.client_id})
    jobs = BackupJob.objects.of(tenant).in_bulk({match.rule.job_id for _, match in listed if match.rule.job_id})
    for item, match in listed:
        client, job = clients.get(match.client_id or 0), jobs.get(match.rule.job_id or 0)
        yield PreviewRow(
            item_id=item.pk,
            uid=item.uid,
            server=item.server.name if item.server else "",
            source_job=item.source_job,
            item=item.item,
            host=item.host,
            does=told_action(item, match, client=client.name if client else "", job=job.name if job else ""),
            because=match.because,
        )


def told_action(item: InboxItem, match: Match, *, client: str, job: str) -> str:
    """What becomes of the item, as words."""
    rule = match.rule
    if rule.action == "job":
        return f'belongs to the job "{job}"'
    if rule.action in ("hold", "refuse"):
        return "waits for a person" if rule.action == "hold" else "is refused"
    if item.told.get("operation") not in ("backup", "copy", "replicate"):
        return "waits: only a backup makes a job"
    if item.server_id is None and rule.make_on_id is None:
        return "waits: the rule names no server to make its job on"
    name = name_of(rule.name_template, seen_of_item(item)) or " / ".join(filter(None, (item.source_job, item.item)))
    return f'becomes a new job "{name or item.host or "named by its product"}" of {client}'


def find_decided(tenant: Tenant, rule: Rule, codes: dict[str, int], *, now: datetime) -> list[str]:
    """Names of the keys with runs of late that this rule would fit, by server, host, job and item."""
    bare = replace(rule, format="", patterns={k: v for k, v in rule.patterns.items() if k in KNOWN_OF_DECIDED})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT known.server_id, known.source_job, known.item, selection.host, job.name "
            "FROM backups_jobstate state JOIN ingest_assignment known ON known.tenant_id = state.tenant_id "
            "AND known.job_id = state.job_id JOIN backups_backupjob job ON job.id = state.job_id "
            "JOIN estate_selection selection ON selection.id = job.selection_id "
            "WHERE state.tenant_id = %s AND state.last_run_at >= %s ORDER BY state.last_run_at DESC LIMIT %s",
            [tenant.pk, now - timedelta(days=DECIDED_DAYS), MOST_LOOKED_AT],
        )
        rows = cursor.fetchall()
    return [
        name
        for server_id, job, item, host, name in rows
        if match_rule(bare, Seen(server_id=server_id, job=job, item=item, host=host), codes=codes)
    ]
