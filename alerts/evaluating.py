"""Evaluates jobs and clients: loads their facts, asks the rules, hands the answers to incidents, moves the clocks on.

Called by the pipeline (jobs with new runs) and by the sweep (whatever is due), always inside their transaction with the
subjects' state rows locked. A fixed number of statements, however many subjects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from alerts.facts import Checked, ClientFacts, Facts, JobFacts, SelectionSize, SizePair, TenantFacts
from alerts.group_facts import GroupFacts, MachineFacts, SelectionFacts
from alerts.incidents import Subjects, write_answers
from alerts.inheritance import Resolved, Setting, resolve_all
from alerts.models import Heartbeat, RuleSetting
from alerts.quota_actions import follow_overruns
from alerts.rules import SubjectChecked, check_subject

#: States of a client in which nothing is flagged.
QUIET_CLIENT_STATES = ("suspended", "deleted")


def evaluate_jobs(tenant_id: int, job_ids: Collection[int], *, now: datetime) -> None:
    """Evaluate jobs whose JobState rows the caller has locked."""
    if not job_ids:
        return
    settings = load_settings(tenant_id)
    facts = load_job_facts(tenant_id, job_ids)
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
            )
        )
    return TenantSettings(rows=dict(rows), cache={})


# --- facts -------------------------------------------------------------------------------------------------------

JOB_FACTS = """
SELECT job.id, job.selection_id, selection.client_id, client.reseller_id, job.server_id, job.registered_at,
       tenant.name, client.name, server.name, selection.name, job.name, tenant.timezone,
       coalesce(nullif(job.timezone, ''), nullif(client.timezone, ''), tenant.timezone), job.schedule,
       job.state IN ('active', 'proposed') AND selection.state = 'active' AND server.state = 'active'
           AND tenant.state = 'active' AND client.state <> ALL(%(quiet)s),
       NOT client.tickets_enabled, policy.recovery_point_hours,
       state.last_outcome, state.last_run_at, state.last_good_at, state.last_success_at, state.last_failure_at,
       state.first_failure_at, state.last_data_at, state.protected_bytes, state.transferred_bytes,
       state.failures_in_row, state.warnings_in_row, state.running_since, state.last_errors, state.reports_data,
       (SELECT min(received_at) FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s),
       (SELECT jsonb_agg(jsonb_build_array(extract(epoch FROM pair.measured_at), pair.reported_bytes,
                         coalesce(pair.bytes_once, pair.bytes_each), pair.bytes_each) ORDER BY pair.measured_at DESC)
        FROM (SELECT size.measured_at, size.reported_bytes, size.bytes_once, size.bytes_each
              FROM backups_selectionmeasurement size
              WHERE size.tenant_id = job.tenant_id AND size.selection_id = job.selection_id AND size.whole
                    AND size.reported_job_id = job.id AND size.reported_bytes IS NOT NULL
              ORDER BY size.measured_at DESC LIMIT 10) AS pair),
       (SELECT max(accepted.closed_at) FROM alerts_incident accepted
        WHERE accepted.tenant_id = job.tenant_id AND accepted.fingerprint = 'size_anomaly:job:' || job.id
              AND accepted.state = 'closed' AND accepted.closed_by_hand)
FROM backups_backupjob job
JOIN backups_jobstate state ON state.job_id = job.id
JOIN estate_selection selection ON selection.id = job.selection_id
JOIN estate_client client ON client.id = selection.client_id
JOIN estate_backupserver server ON server.id = job.server_id
JOIN tenants_tenant tenant ON tenant.id = job.tenant_id
LEFT JOIN LATERAL (
    SELECT chosen.recovery_point_hours FROM estate_policyassignment assigned
    JOIN estate_policy chosen ON chosen.id = assigned.policy_id
    WHERE assigned.tenant_id = job.tenant_id AND (assigned.scope_kind, assigned.scope_id) IN (
        ('job', job.id), ('selection', selection.id), ('client', client.id), ('reseller', client.reseller_id),
        ('tenant', job.tenant_id))
    ORDER BY array_position(ARRAY['job', 'selection', 'client', 'reseller', 'tenant'], assigned.scope_kind::text)
    LIMIT 1
) AS policy ON true
WHERE job.tenant_id = %(tenant)s AND job.id = ANY(%(jobs)s)
ORDER BY job.id
"""


def load_job_facts(tenant_id: int, job_ids: Collection[int]) -> tuple[JobFacts, ...]:
    """Facts of these jobs in one query."""
    resumed_at = load_resumed_at()
    with connection.cursor() as cursor:
        cursor.execute(JOB_FACTS, {"tenant": tenant_id, "jobs": sorted(job_ids), "quiet": list(QUIET_CLIENT_STATES)})
        return tuple(job_facts(tenant_id, row, resumed_at=resumed_at) for row in cursor.fetchall())


def job_facts(tenant_id: int, row: Sequence[Any], *, resumed_at: datetime | None) -> JobFacts:
    errors = row[29]
    return JobFacts(
        tenant_id=tenant_id,
        job_id=row[0],
        selection_id=row[1],
        client_id=row[2],
        reseller_id=row[3],
        server_id=row[4],
        registered_at=row[5],
        tenant=row[6],
        client=row[7],
        server=row[8],
        selection=row[9],
        job=row[10],
        tenant_zone=row[11],
        zone=row[12],
        schedule=row[13],
        active=row[14],
        observed=row[15],
        tolerance=None if row[16] is None else timedelta(hours=row[16]),
        last_outcome=row[17] or None,
        last_run_at=row[18],
        last_good_at=row[19],
        last_success_at=row[20],
        last_failure_at=row[21],
        first_failure_at=row[22],
        last_data_at=row[23],
        last_protected_bytes=row[24],
        last_transferred_bytes=row[25],
        failures_in_row=row[26],
        warnings_in_row=row[27],
        running_since=row[28],
        last_errors=tuple(orjson.loads(errors) if isinstance(errors, str) else errors),
        reports_data=row[30],
        awaiting_since=row[31],
        resumed_at=resumed_at,
        sizes=size_pairs(row[32]),
        size_accepted_at=row[33],
    )


def size_pairs(told: Any) -> tuple[SizePair, ...]:
    """What JOB_FACTS gathered of measurements; None for a selection without any."""
    rows = orjson.loads(told) if isinstance(told, str) else told or ()
    return tuple(
        SizePair(measured_at=datetime.fromtimestamp(at, UTC), reported_bytes=reported, once_bytes=once, each_bytes=each)
        for at, reported, once, each in rows
    )


def load_resumed_at() -> datetime | None:
    """When the sweep began again after an interruption of ours."""
    return Heartbeat.objects.filter(name="sweep").values_list("resumed_at", flat=True).first()


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
        "UPDATE backups_jobstate state SET check_after = clock.check_after FROM jsonb_to_recordset(%s::jsonb) "
        "AS clock(id bigint, check_after timestamptz) WHERE state.tenant_id = %s AND state.job_id = clock.id",
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
    rows = [{"id": subject_id, "check_after": one.check_after} for subject_id, one in sorted(checked.items())]
    with connection.cursor() as cursor:
        cursor.execute(statement, [orjson.dumps(rows).decode(), *scope])
