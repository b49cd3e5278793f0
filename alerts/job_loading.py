"""Loads what rules may see of jobs: their state, their history, their links and the waiting queue, in two statements.

Called by evaluating (with the state rows locked) and by the pages that show what a rule said. A figure that no log told
is None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from alerts.facts import ComponentTrouble, JobFacts, Learned, SizePair
from alerts.heartbeats import load_resumed_at
from alerts.stored_history import StoredHistory
from msp.backups.histories import read_guess

#: States of a client in which nothing is flagged.
QUIET_CLIENT_STATES = ("suspended", "deleted")

JOB_FACTS = """
SELECT job.id AS job_id, job.selection_id, selection.client_id, client.reseller_id, job.server_id, job.registered_at,
       job.role, job.volume_id, server.site_id, CASE WHEN NOT EXISTS (
           SELECT 1 FROM alerts_incident settled WHERE settled.tenant_id = job.tenant_id AND settled.state = 'closed'
               AND settled.fingerprint = 'machine_gone:job:' || job.id AND settled.closed_by_hand
               AND settled.closed_at >= job.gone_at) THEN job.gone_at END AS gone_at, job.gone_because,
       coalesce(machine.machine_class, 'server') AS machine_class,
       tenant.name AS tenant, client.name AS client, server.name AS server, selection.name AS selection,
       job.name AS job, tenant.timezone AS tenant_zone,
       coalesce(nullif(job.timezone, ''), nullif(client.timezone, ''), tenant.timezone) AS zone, job.schedule,
       job.state IN ('active', 'proposed') AND selection.state = 'active' AND server.state = 'active'
           AND tenant.state = 'active' AND client.state <> ALL(%(quiet)s) AS active,
       NOT tenant.tickets_enabled OR NOT client.tickets_enabled OR job.observed AS observed,
       policy.recovery_point_hours,
       state.last_outcome, state.last_run_at, state.last_good_at, state.last_success_at, state.last_failure_at,
       state.first_failure_at, state.last_data_at, state.protected_bytes AS last_protected_bytes,
       state.transferred_bytes AS last_transferred_bytes, state.failures_in_row, state.warnings_in_row,
       state.running_since, state.last_errors, state.reports_data, state.heard_at, state.last_started_at,
       state.runs_seen, state.components, state.reports_components, state.chain_length, state.last_full_at,
       state.last_replicate_at, state.last_replicate_outcome, state.skewed_at, state.skew_seconds,
       history.points, history.learned,
       (SELECT min(received_at) FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s) AS awaiting_since,
       (SELECT jsonb_agg(jsonb_build_array(extract(epoch FROM pair.measured_at), pair.reported_bytes,
                         coalesce(pair.bytes_once, pair.bytes_each), pair.bytes_each) ORDER BY pair.measured_at DESC)
        FROM (SELECT size.measured_at, size.reported_bytes, size.bytes_once, size.bytes_each
              FROM backups_selectionmeasurement size
              WHERE size.tenant_id = job.tenant_id AND size.selection_id = job.selection_id AND size.whole
                    AND size.reported_job_id = job.id AND size.reported_bytes IS NOT NULL
              ORDER BY size.measured_at DESC LIMIT 10) AS pair) AS sizes,
       (SELECT max(accepted.closed_at) FROM alerts_incident accepted
        WHERE accepted.tenant_id = job.tenant_id AND accepted.fingerprint = ANY(ARRAY['size_anomaly:job:' || job.id,
              'implausible_zero:job:' || job.id]) AND accepted.sticky
              AND accepted.state = 'closed' AND accepted.closed_by_hand) AS size_accepted_at
FROM backups_backupjob job
JOIN backups_jobstate state ON state.job_id = job.id
JOIN estate_selection selection ON selection.id = job.selection_id
JOIN estate_client client ON client.id = selection.client_id
JOIN estate_backupserver server ON server.id = job.server_id
JOIN tenants_tenant tenant ON tenant.id = job.tenant_id
LEFT JOIN estate_machine machine ON machine.id = selection.machine_id
LEFT JOIN backups_jobhistory history ON history.job_id = job.id
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

#: Columns that are facts under the same name, as they are.
_SAME = (
    "job_id", "selection_id", "client_id", "reseller_id", "server_id", "registered_at", "role", "volume_id",
    "site_id", "gone_at", "gone_because", "machine_class", "tenant", "client", "server", "selection", "job",
    "tenant_zone", "zone", "schedule", "active", "observed", "last_run_at", "last_good_at", "last_success_at",
    "last_failure_at", "first_failure_at", "last_data_at", "last_protected_bytes", "last_transferred_bytes",
    "failures_in_row", "warnings_in_row", "running_since", "reports_data", "heard_at", "last_started_at",
    "runs_seen", "reports_components", "chain_length", "last_full_at", "last_replicate_at", "skewed_at",
    "skew_seconds", "awaiting_since", "size_accepted_at",
)  # fmt: skip


def load_job_facts(tenant_id: int, job_ids: Collection[int], *, now: datetime | None = None) -> tuple[JobFacts, ...]:
    """Facts of these jobs, in the order of their ids; ``now`` where they are to be judged."""
    resumed_at = load_resumed_at(now=now)
    with connection.cursor() as cursor:
        cursor.execute(JOB_FACTS, {"tenant": tenant_id, "jobs": sorted(job_ids), "quiet": list(QUIET_CLIENT_STATES)})
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return tuple(job_facts(tenant_id, row, resumed_at=resumed_at) for row in rows)


def job_facts(tenant_id: int, row: Mapping[str, Any], *, resumed_at: datetime | None) -> JobFacts:
    tolerance = row["recovery_point_hours"]
    return JobFacts(
        tenant_id=tenant_id,
        resumed_at=resumed_at,
        tolerance=None if tolerance is None else timedelta(hours=tolerance),
        last_outcome=row["last_outcome"] or None,
        last_replicate_outcome=row["last_replicate_outcome"] or None,
        last_errors=tuple(read_json(row["last_errors"])),
        sizes=size_pairs(row["sizes"]),
        history=StoredHistory(row["points"]),
        learned=None if row["schedule"] else learned(row["learned"]),
        components=tuple(component(one) for one in read_json(row["components"])),
        **{name: row[name] for name in _SAME},
    )


def read_json(told: Any) -> Any:
    """What a JSON column holds; drivers answer with its text or with the value."""
    return orjson.loads(told) if isinstance(told, str) else told or ()


def learned(told: Any) -> Learned | None:
    """The guess, once it has held for long enough."""
    guess = read_guess(read_json(told) or {})
    if guess is None or not guess.ripe:
        return None
    return Learned(schedule=guess.schedule, confidence=guess.confidence, samples=guess.samples, because=guess.because)


def component(told: Mapping[str, Any]) -> ComponentTrouble:
    return ComponentTrouble(**{**told, "since": datetime.fromisoformat(told["since"])})


def size_pairs(told: Any) -> tuple[SizePair, ...]:
    """What JOB_FACTS gathered of measurements; None for a selection without any."""
    return tuple(
        SizePair(measured_at=datetime.fromtimestamp(at, UTC), reported_bytes=reported, once_bytes=once, each_bytes=each)
        for at, reported, once, each in read_json(told)
    )
