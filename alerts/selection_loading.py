"""Loads what the rules about selections read: their jobs with targets, the newest tests of each, policy and waivers.

Called by ``alerts.subjects`` for any number of selections of one tenant, always in the same number of statements. A
test is what a log tells of a restore or verification, or what a person recorded; the newest one counts, whichever way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.db import connection

from alerts.facts import Outcome
from alerts.group_facts import CopyFacts, ProofFacts, SelectionFacts
from alerts.heartbeats import load_resumed_at
from alerts.job_loading import QUIET_CLIENT_STATES

#: The end of a waiver that has none.
ENDLESS = datetime(9999, 1, 1, tzinfo=UTC)

SELECTIONS = """
SELECT selection.id, selection.client_id, client.reseller_id, selection.registered_at, tenant.name, client.name,
       selection.name, coalesce(nullif(client.timezone, ''), tenant.timezone),
       selection.state = 'active' AND tenant.state = 'active' AND client.state <> ALL(%(quiet)s),
       NOT client.tickets_enabled, policy.test_interval_days, policy.copies,
       waiver.signed, waiver.endless, waiver.ends_on,
       (SELECT min(received_at) FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s),
       (SELECT max(accepted.closed_at) FROM alerts_incident accepted
        WHERE accepted.tenant_id = selection.tenant_id AND accepted.state = 'closed' AND accepted.closed_by_hand
              AND accepted.fingerprint = 'restore_failed:selection:' || selection.id)
FROM estate_selection selection
JOIN estate_client client ON client.id = selection.client_id
JOIN tenants_tenant tenant ON tenant.id = selection.tenant_id
LEFT JOIN LATERAL (
    SELECT chosen.test_interval_days, chosen.copies FROM estate_policyassignment assigned
    JOIN estate_policy chosen ON chosen.id = assigned.policy_id
    WHERE assigned.tenant_id = selection.tenant_id AND (assigned.scope_kind, assigned.scope_id) IN (
        ('selection', selection.id), ('client', client.id), ('reseller', client.reseller_id),
        ('tenant', selection.tenant_id))
    ORDER BY array_position(ARRAY['selection', 'client', 'reseller', 'tenant'], assigned.scope_kind::text)
    LIMIT 1
) AS policy ON true
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS signed, coalesce(bool_or(waived.ends_on IS NULL), false) AS endless,
           max(waived.ends_on) AS ends_on
    FROM estate_waiver waived
    WHERE waived.tenant_id = selection.tenant_id AND (waived.subject_kind, waived.subject_id) IN (
        ('selection', selection.id), ('client', client.id))
) AS waiver
WHERE selection.tenant_id = %(tenant)s AND selection.id = ANY(%(ids)s)
ORDER BY selection.id
"""

JOBS = """
SELECT job.selection_id, job.id, job.name, job.role, coalesce(target.kind, ''),
       job.state IN ('active', 'proposed') AND server.state = 'active', job.registered_at, state.last_good_at,
       state.last_restore_try_at, state.last_restore_outcome, state.last_restore_at, state.restore_seconds,
       state.restored_bytes, state.last_verify_try_at, state.last_verify_outcome, state.last_verify_at,
       state.checksum_ok
FROM backups_backupjob job
JOIN backups_jobstate state ON state.job_id = job.id
JOIN estate_backupserver server ON server.id = job.server_id
LEFT JOIN estate_target target ON target.id = job.target_id
WHERE job.tenant_id = %(tenant)s AND job.selection_id = ANY(%(ids)s)
ORDER BY job.selection_id, job.id
"""


# What people tried themselves; a restore that brought back only a part is no good one, and no failed one either.
TESTS = """
SELECT selection_id, tested_at, result, seconds, restored_bytes, tested_by FROM (
    SELECT test.*, row_number() OVER (PARTITION BY selection_id, result ORDER BY tested_at DESC) AS place
    FROM alerts_restoretest test WHERE test.tenant_id = %(tenant)s AND test.selection_id = ANY(%(ids)s)
) AS newest WHERE place = 1
"""


def load_selection_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[SelectionFacts, ...]:
    """Facts of these selections in five statements."""
    wanted = {"tenant": tenant_id, "ids": sorted(ids), "quiet": list(QUIET_CLIENT_STATES)}
    resumed_at = load_resumed_at(now=now)
    jobs: dict[int, list[Sequence[Any]]] = defaultdict(list)
    for row in rows_of(JOBS, wanted):
        jobs[row[0]].append(row)
    tests: dict[int, list[ProofFacts]] = defaultdict(list)
    for row in rows_of(TESTS, wanted):
        tests[row[0]].append(_test_of(row))
    return tuple(
        _selection_facts(tenant_id, row, jobs[row[0]], tests[row[0]], resumed_at=resumed_at)
        for row in rows_of(SELECTIONS, wanted)
    )


def rows_of(statement: str, values: Mapping[str, Any]) -> list[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[Sequence[Any]] = cursor.fetchall()
    return found


def waiver_end(*, signed: bool, endless: bool, ends_on: date | None, zone: str) -> datetime | None:
    """The moment at which the latest waiver ends, after its last day in the zone; None where none was signed."""
    if not signed:
        return None
    if endless or ends_on is None:
        return ENDLESS
    return datetime.combine(ends_on + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)


def _selection_facts(
    tenant_id: int,
    row: Sequence[Any],
    jobs: Sequence[Sequence[Any]],
    tests: Sequence[ProofFacts],
    *,
    resumed_at: datetime | None,
) -> SelectionFacts:
    return SelectionFacts(
        tenant_id=tenant_id,
        selection_id=row[0],
        client_id=row[1],
        reseller_id=row[2],
        registered_at=row[3],
        tenant=row[4],
        client=row[5],
        selection=row[6],
        zone=row[7],
        active=row[8],
        observed=row[9],
        test_interval_days=row[10],
        copies=row[11],
        waived_until=waiver_end(signed=row[12], endless=row[13], ends_on=row[14], zone=row[7]),
        awaiting_since=row[15],
        failure_accepted_at=row[16],
        resumed_at=resumed_at,
        jobs=tuple(_copy_facts(job) for job in jobs),
        restore=newest_proof([*(_restore_of(job) for job in jobs), *tests]),
        verify=newest_proof(_verify_of(job) for job in jobs),
    )


def _copy_facts(job: Sequence[Any]) -> CopyFacts:
    return CopyFacts(
        job_id=job[1],
        job=job[2],
        role=job[3],
        target_kind=job[4],
        active=job[5],
        registered_at=job[6],
        last_good_at=job[7],
    )


def _restore_of(job: Sequence[Any]) -> ProofFacts:
    """What the job's logs tell of restores; a checksum is that of the newer of both kinds of test."""
    newer = job[8] is not None and (job[13] is None or job[8] >= job[13])
    return ProofFacts(
        tried_at=job[8],
        outcome=job[9] or None,
        good_at=job[10],
        seconds=job[11],
        restored_bytes=job[12],
        checksum_ok=job[16] if newer else None,
        job=job[2],
    )


def _test_of(row: Sequence[Any]) -> ProofFacts:
    """A person's own restore test, told by its name instead of a job's."""
    result = {"good": "success", "failed": "failure", "partial": "warning"}
    good = row[2] == "good"
    return ProofFacts(
        tried_at=row[1],
        outcome=cast("Outcome", result[row[2]]),
        good_at=row[1] if good else None,
        seconds=row[3] if good else None,
        restored_bytes=row[4] if good else None,
        job=row[5],
    )


def _verify_of(job: Sequence[Any]) -> ProofFacts:
    newer = job[13] is not None and (job[8] is None or job[13] > job[8])
    return ProofFacts(
        tried_at=job[13], outcome=job[14] or None, good_at=job[15], checksum_ok=job[16] if newer else None, job=job[2]
    )


def newest_proof(proofs: Iterable[ProofFacts]) -> ProofFacts:
    """Of several: the newest try, with the newest good end of any and how long that took."""
    tried = [one for one in proofs if one.tried_at is not None]
    if not tried:
        return ProofFacts()
    newest = max(tried, key=lambda one: (one.tried_at, one.job))
    good = max((one for one in tried if one.good_at is not None), key=lambda one: (one.good_at, one.job), default=None)
    return ProofFacts(
        tried_at=newest.tried_at,
        outcome=newest.outcome,
        good_at=good.good_at if good else None,
        seconds=good.seconds if good else None,
        restored_bytes=good.restored_bytes if good else None,
        checksum_ok=newest.checksum_ok,
        job=newest.job,
    )
