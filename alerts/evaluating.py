"""Evaluates jobs and clients: loads their facts, asks the rules, hands the answers to incidents, moves the clocks on.

Called by the pipeline (jobs with new runs) and by the sweep (whatever is due), always inside their transaction with the
subjects' state rows locked. A fixed number of statements, however many subjects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from alerts.causes import with_unheard
from alerts.facts import Checked, ClientFacts, Facts, JobFacts, SelectionSize, TenantFacts
from alerts.group_facts import GroupFacts, MachineFacts, SelectionFacts
from alerts.incidents import Subjects, write_answers
from alerts.inheritance import Resolved, Setting, resolve_all
from alerts.job_loading import QUIET_CLIENT_STATES, load_job_facts
from alerts.models import RuleSetting
from alerts.quota_actions import follow_overruns
from alerts.rules import SubjectChecked, check_subject


def evaluate_jobs(tenant_id: int, job_ids: Collection[int], *, now: datetime) -> None:
    """Evaluate jobs whose JobState rows the caller has locked."""
    if not job_ids:
        return
    settings = load_settings(tenant_id)
    facts = with_unheard(tenant_id, load_job_facts(tenant_id, job_ids, now=now), now=now)
    checked = {one.job_id: check_subject(one, settings.of_job(one), now) for one in facts}
    write_answers(
        tenant_id, [answer for one in checked.values() for answer in one.answers], subjects=subjects_of(facts), now=now
    )
    store_job_clocks(tenant_id, checked)


def evaluate_clients(tenant_id: int, client_ids: Collection[int], *, now: datetime) -> None:
    """Evaluate clients whose SubjectState rows the caller has locked; what follows a long overrun is done as well."""
    if client_ids:
        answers = evaluate_subjects(tenant_id, "client", load_client_facts(tenant_id, client_ids), now=now)
        follow_overruns(tenant_id, answers, now=now)


def evaluate_tenant(tenant_id: int, *, now: datetime) -> None:
    """Evaluate the tenant's own rules (the queue of unread logs); its SubjectState row is locked by the caller."""
    evaluate_subjects(tenant_id, "tenant", [load_tenant_facts(tenant_id)], now=now)


def evaluate_subjects(tenant_id: int, kind: str, facts: Sequence[Facts], *, now: datetime) -> list[Checked]:
    """What the rules answered, once it is written."""
    settings = load_settings(tenant_id)
    checked = {one.subject.id: check_subject(one, settings.of_subject(one), now) for one in facts}
    answers = [answer for one in checked.values() for answer in one.answers]
    write_answers(tenant_id, answers, subjects=subjects_of(facts), now=now)
    store_subject_clocks(tenant_id, kind, checked)
    return answers


def mark_due(tenant_id: int, kind: str, subject_ids: Iterable[int], *, now: datetime) -> None:
    """Set the clocks of these subjects to now; rows are made where there are none. Locks them in id order."""
    ids = sorted(set(subject_ids))
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_subjectstate (uid, tenant_id, subject_kind, subject_id, check_after) "
            "SELECT gen_random_uuid(), %s, %s, id, %s FROM unnest(%s::bigint[]) AS id ORDER BY id "
            "ON CONFLICT (tenant_id, subject_kind, subject_id) DO UPDATE SET check_after = "
            "least(alerts_subjectstate.check_after, excluded.check_after)",
            [tenant_id, kind, now, ids],
        )


# --- settings ----------------------------------------------------------------------------------------------------


@dataclass
class TenantSettings:
    """All rule settings of a tenant, resolved once for each combination of scopes that occurs."""

    rows: Mapping[tuple[str, int], list[Setting]]
    cache: dict[tuple[tuple[str, int], ...], Mapping[str, Resolved]]

    def of_job(self, facts: JobFacts) -> Mapping[str, Resolved]:
        return self.of_scopes(
            ("tenant", facts.tenant_id),
            ("reseller", facts.reseller_id or 0),
            ("client", facts.client_id),
            ("selection", facts.selection_id),
            ("job", facts.job_id),
        )

    def of_subject(self, facts: Facts) -> Mapping[str, Resolved]:
        if isinstance(facts, JobFacts):
            return self.of_job(facts)
        scopes = [("tenant", facts.tenant_id)]
        if isinstance(facts, ClientFacts | SelectionFacts | MachineFacts | GroupFacts):
            scopes += [("reseller", facts.reseller_id or 0), ("client", facts.client_id or 0)]
        if isinstance(facts, SelectionFacts):
            scopes.append(("selection", facts.selection_id))
        return self.of_scopes(*scopes)

    def of_scopes(self, *scopes: tuple[str, int]) -> Mapping[str, Resolved]:
        set_here = tuple(scope for scope in scopes if scope in self.rows)
        if set_here not in self.cache:
            self.cache[set_here] = resolve_all([row for scope in set_here for row in self.rows[scope]])
        return self.cache[set_here]


def load_settings(tenant_id: int) -> TenantSettings:
    rows: dict[tuple[str, int], list[Setting]] = defaultdict(list)
    for row in RuleSetting.objects.of(tenant_id):
        rows[row.scope_kind, row.scope_id].append(
            Setting(
                kind=row.kind,
                scope=row.scope_kind,
                scope_id=row.scope_id,
                parameters=row.parameters,
                enabled=row.enabled,
                severity=row.severity or None,
                hold_minutes=row.hold_minutes,
                escalate_hours=row.escalate_hours,
                tells=row.tells or None,
            )
        )
    return TenantSettings(rows=dict(rows), cache={})


# --- facts -------------------------------------------------------------------------------------------------------

CLIENT_FACTS = """
SELECT client.id, client.reseller_id, tenant.name, client.name,
       coalesce(nullif(client.timezone, ''), tenant.timezone),
       tenant.state = 'active' AND client.state <> ALL(%(quiet)s), NOT client.tickets_enabled, client.quota_bytes,
       selection.id, selection.name, size.protected_bytes, size.protected_at, kept.stored_bytes, kept.stored_at,
       (SELECT (incident.evidence->>'over_since')::timestamptz FROM alerts_incident incident
        WHERE incident.tenant_id = client.tenant_id AND incident.state = 'open'
              AND incident.fingerprint = 'quota_overrun:client:' || client.id)
FROM estate_client client
JOIN tenants_tenant tenant ON tenant.id = client.tenant_id
LEFT JOIN estate_selection selection ON selection.tenant_id = client.tenant_id AND selection.client_id = client.id
      AND selection.state <> 'retired'
LEFT JOIN LATERAL (
    SELECT state.protected_bytes, state.protected_at FROM backups_backupjob job
    JOIN backups_jobstate state ON state.job_id = job.id
    WHERE job.tenant_id = client.tenant_id AND job.selection_id = selection.id AND state.protected_bytes IS NOT NULL
    ORDER BY (job.id = selection.measuring_job_id) DESC NULLS LAST, state.protected_at DESC LIMIT 1
) AS size ON true
LEFT JOIN LATERAL (
    SELECT state.stored_bytes, state.stored_at FROM backups_backupjob job
    JOIN backups_jobstate state ON state.job_id = job.id
    WHERE job.tenant_id = client.tenant_id AND job.selection_id = selection.id AND state.stored_bytes IS NOT NULL
    ORDER BY (job.id = selection.measuring_job_id) DESC NULLS LAST, state.stored_at DESC LIMIT 1
) AS kept ON true
WHERE client.tenant_id = %(tenant)s AND client.id = ANY(%(clients)s)
ORDER BY client.id, selection.id
"""


def load_client_facts(tenant_id: int, client_ids: Collection[int]) -> tuple[ClientFacts, ...]:
    """Each client with the newest size of each of its selections (the measuring job's first), in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            CLIENT_FACTS, {"tenant": tenant_id, "clients": sorted(client_ids), "quiet": list(QUIET_CLIENT_STATES)}
        )
        rows: dict[int, list[Sequence[Any]]] = defaultdict(list)
        for row in cursor.fetchall():
            rows[row[0]].append(row)
    return tuple(client_facts(tenant_id, rows[client_id]) for client_id in rows)


def client_facts(tenant_id: int, rows: Sequence[Sequence[Any]]) -> ClientFacts:
    first = rows[0]
    sizes = [(row[10], row[11]) for row in rows if row[10] is not None]
    stored = [(row[12], row[13]) for row in rows if row[12] is not None]
    return ClientFacts(
        tenant_id=tenant_id,
        client_id=first[0],
        reseller_id=first[1],
        tenant=first[2],
        client=first[3],
        zone=first[4],
        active=first[5],
        observed=first[6],
        quota_bytes=first[7],
        protected_bytes=sum(size for size, _ in sizes) if sizes else None,
        measured_at=max((at for _, at in sizes), default=None),
        stored_bytes=sum(size for size, _ in stored) if stored else None,
        stored_at=max((at for _, at in stored), default=None),
        over_since=first[14],
        selections=tuple(
            SelectionSize(selection_id=row[8], selection=row[9], protected_bytes=row[10], measured_at=row[11])
            for row in rows
            if row[8] is not None
        ),
    )


def load_tenant_facts(tenant_id: int) -> TenantFacts:
    """The tenant's queue of unread logs and its inbox, in two statements."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tenant.name, tenant.timezone, tenant.state = 'active', waiting.oldest, waiting.number "
            "FROM tenants_tenant tenant, (SELECT min(received_at) AS oldest, count(*) AS number "
            "FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s) AS waiting WHERE tenant.id = %(tenant)s",
            {"tenant": tenant_id},
        )
        name, zone, active, oldest, number = cursor.fetchone()
        cursor.execute(
            "SELECT reason, count(*), min(opened_at) FROM ingest_inboxitem "
            "WHERE tenant_id = %s AND state = 'open' GROUP BY reason",
            [tenant_id],
        )
        inbox = cursor.fetchall()
    return TenantFacts(
        tenant_id=tenant_id,
        tenant=name,
        zone=zone,
        active=active,
        awaiting_since=oldest,
        waiting=number,
        inbox={reason: count for reason, count, _ in inbox},
        inbox_since={reason: since for reason, _, since in inbox},
    )


# --- what incidents need to know of their subjects, and clocks ----------------------------------------------------


def subjects_of(facts: Iterable[Facts]) -> Subjects:
    return {one.subject: one for one in facts}


def store_job_clocks(tenant_id: int, checked: Mapping[int, SubjectChecked]) -> None:
    store_clocks(
        "UPDATE backups_jobstate state SET check_after = clock.check_after, overdue_at = clock.overdue_at "
        "FROM jsonb_to_recordset(%s::jsonb) AS clock(id bigint, check_after timestamptz, overdue_at timestamptz) "
        "WHERE state.tenant_id = %s AND state.job_id = clock.id",
        checked,
        [tenant_id],
    )


def store_subject_clocks(tenant_id: int, kind: str, checked: Mapping[int, SubjectChecked]) -> None:
    store_clocks(
        "UPDATE alerts_subjectstate state SET check_after = clock.check_after FROM jsonb_to_recordset(%s::jsonb) "
        "AS clock(id bigint, check_after timestamptz) "
        "WHERE state.tenant_id = %s AND state.subject_kind = %s AND state.subject_id = clock.id",
        checked,
        [tenant_id, kind],
    )


def store_clocks(statement: str, checked: Mapping[int, SubjectChecked], scope: list[Any]) -> None:
    rows = [
        {"id": subject_id, "check_after": one.check_after, "overdue_at": one.overdue_at}
        for subject_id, one in sorted(checked.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [orjson.dumps(rows).decode(), *scope])
