"""Sees to it that every subject has a clock, and sets clocks to now when something may have changed their answer.

``mark_tested`` is called by the pipeline, ``mark_all_due`` after a change of settings, ``ensure_clocks`` once an
hour for what was made on any other way. The census counts active subjects without a clock: there are none.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from alerts.job_loading import QUIET_CLIENT_STATES

#: Runs of these may change what is known of a selection; an ordinary backup is looked at with its job.
TESTING = frozenset({"restore", "verify", "copy"})

# The same conditions as those of the loaders, in alerts.selection_loading and alerts.estate_loading.
SUBJECTS = """
    SELECT 'selection' AS kind, selection.tenant_id, selection.id, selection.client_id, selection.registered_at,
           selection.state = 'active' AND tenant.state = 'active' AND client.state <> ALL(%(quiet)s) AS active
    FROM estate_selection selection JOIN estate_client client ON client.id = selection.client_id
    JOIN tenants_tenant tenant ON tenant.id = selection.tenant_id
    UNION ALL
    SELECT 'machine', machine.tenant_id, machine.id, machine.client_id, machine.registered_at,
           machine.state = 'active' AND tenant.state = 'active' AND client.state <> ALL(%(quiet)s)
    FROM estate_machine machine JOIN estate_client client ON client.id = machine.client_id
    JOIN tenants_tenant tenant ON tenant.id = machine.tenant_id
    UNION ALL
    SELECT 'volume', volume.tenant_id, volume.id, server.client_id, server.registered_at,
           server.state = 'active' AND tenant.state = 'active'
    FROM estate_volume volume JOIN estate_backupserver server ON server.id = volume.server_id
    JOIN tenants_tenant tenant ON tenant.id = volume.tenant_id
    UNION ALL
    SELECT 'server', server.tenant_id, server.id, server.client_id, server.registered_at,
           server.state = 'active' AND tenant.state = 'active'
    FROM estate_backupserver server JOIN tenants_tenant tenant ON tenant.id = server.tenant_id
    UNION ALL
    SELECT 'site', site.tenant_id, site.id, site.client_id, client.registered_at,
           tenant.state = 'active' AND client.state <> ALL(%(quiet)s)
    FROM estate_site site JOIN estate_client client ON client.id = site.client_id
    JOIN tenants_tenant tenant ON tenant.id = site.tenant_id
    UNION ALL
    SELECT 'channel', channel.tenant_id, channel.id, NULL, channel.first_received_at, tenant.state = 'active'
    FROM ingest_channel channel JOIN tenants_tenant tenant ON tenant.id = channel.tenant_id
    UNION ALL
    SELECT 'tenant', tenant.id, tenant.id, NULL, tenant.created_at, tenant.state = 'active' FROM tenants_tenant tenant
"""

_INSERT = "INSERT INTO alerts_subjectstate (uid, tenant_id, subject_kind, subject_id, check_after) "
_SOONER = (
    "ON CONFLICT (tenant_id, subject_kind, subject_id) DO UPDATE SET check_after = "
    "least(alerts_subjectstate.check_after, excluded.check_after)"
)

# The fragments put together below are the constants of this module.
MARK_ALL = f"""
{_INSERT}
SELECT gen_random_uuid(), subject.tenant_id, subject.kind, subject.id, %(now)s FROM ({SUBJECTS}) AS subject
LEFT JOIN alerts_subjectstate clock ON clock.tenant_id = subject.tenant_id AND clock.subject_kind = subject.kind
    AND clock.subject_id = subject.id
WHERE subject.tenant_id = %(tenant)s AND (subject.active OR clock.check_after IS NOT NULL)
ORDER BY subject.kind, subject.id {_SOONER}
"""  # noqa: S608

ENSURE = f"""
{_INSERT}
SELECT gen_random_uuid(), subject.tenant_id, subject.kind, subject.id, %(now)s FROM ({SUBJECTS}) AS subject
WHERE subject.active AND NOT EXISTS (
    SELECT 1 FROM alerts_subjectstate clock WHERE clock.tenant_id = subject.tenant_id
    AND clock.subject_kind = subject.kind AND clock.subject_id = subject.id AND clock.check_after IS NOT NULL)
ORDER BY subject.tenant_id, subject.kind, subject.id {_SOONER}
"""  # noqa: S608

MARK_TESTED = f"""
{_INSERT}
SELECT gen_random_uuid(), %(tenant)s, 'selection', touched.selection_id, %(now)s FROM (
    SELECT DISTINCT job.selection_id FROM backups_backupjob job
    WHERE job.tenant_id = %(tenant)s AND job.id = ANY(%(jobs)s) AND (
        job.id = ANY(%(tested)s)
        OR NOT EXISTS (SELECT 1 FROM alerts_subjectstate clock WHERE clock.tenant_id = job.tenant_id
                       AND clock.subject_kind = 'selection' AND clock.subject_id = job.selection_id)
        OR EXISTS (SELECT 1 FROM alerts_incident incident WHERE incident.tenant_id = job.tenant_id
                   AND incident.fingerprint = 'no_offsite_copy:selection:' || job.selection_id
                   AND incident.state = 'open'))
) AS touched ORDER BY touched.selection_id {_SOONER}
"""  # noqa: S608


# A cause is judged before its symptoms: whatever group has a job that is overdue and due is looked at in the same pass.
MARK_GROUPS = f"""
{_INSERT}
SELECT gen_random_uuid(), due.tenant_id, due.kind, due.id, %(now)s FROM (
    SELECT DISTINCT state.tenant_id, part.kind, part.id
    FROM backups_jobstate state
    JOIN backups_backupjob job ON job.id = state.job_id
    JOIN estate_backupserver server ON server.id = job.server_id
    CROSS JOIN LATERAL (
        SELECT 'server' AS kind, job.server_id AS id
        UNION ALL SELECT 'volume', job.volume_id UNION ALL SELECT 'site', server.site_id
        UNION ALL SELECT 'channel', told::bigint FROM jsonb_array_elements_text(state.channel_ids) AS told
    ) AS part
    WHERE state.check_after <= %(now)s AND state.overdue_at <= %(now)s AND part.id IS NOT NULL
) AS due ORDER BY due.tenant_id, due.kind, due.id {_SOONER}
"""  # noqa: S608

# A channel whose mailbox or source fails is judged by the clock of its failures, not of its jobs.
MARK_FAILING = f"""
{_INSERT}
SELECT gen_random_uuid(), channel.tenant_id, 'channel', channel.id, %(now)s
FROM ingest_channel channel
LEFT JOIN alerts_incident incident ON incident.tenant_id = channel.tenant_id AND incident.state = 'open'
     AND incident.fingerprint = 'channel_silent:channel:' || channel.id
WHERE (channel.kind = 'mailbox' AND EXISTS (
          SELECT 1 FROM channels_mailbox polled WHERE polled.tenant_id = channel.tenant_id
          AND polled.id::text = channel.key AND (polled.failures > 0) <> (incident.id IS NOT NULL)))
   OR (channel.kind = 'pull' AND EXISTS (
          SELECT 1 FROM channels_pullsource polled WHERE polled.tenant_id = channel.tenant_id
          AND polled.id::text = channel.key AND (polled.failures > 0) <> (incident.id IS NOT NULL)))
ORDER BY channel.tenant_id, channel.id {_SOONER}
"""  # noqa: S608

# After logs came in: the channels that changed, and whatever open causes may be over. Few causes are ever open.
MARK_CHANNELS = f"""
{_INSERT}
SELECT gen_random_uuid(), %(tenant)s, 'channel', heard.id, %(now)s FROM (
    SELECT unnest(%(changed)s::bigint[]) AS id
    UNION SELECT incident.subject_id FROM alerts_incident incident
    WHERE incident.tenant_id = %(tenant)s AND incident.state = 'open' AND incident.subject_kind = 'channel'
) AS heard ORDER BY heard.id {_SOONER}
"""  # noqa: S608
MARK_CAUSES = f"""
{_INSERT}
SELECT gen_random_uuid(), %(tenant)s, cause.subject_kind, cause.subject_id, %(now)s FROM (
    SELECT DISTINCT incident.subject_kind, incident.subject_id FROM alerts_incident incident
    WHERE incident.tenant_id = %(tenant)s AND incident.state = 'open'
          AND incident.subject_kind IN ('server', 'site', 'volume')
) AS cause ORDER BY cause.subject_kind, cause.subject_id {_SOONER}
"""  # noqa: S608


def mark_groups_of_due_jobs(*, now: datetime) -> None:
    """Servers, volumes, sites and channels of overdue jobs that this pass will look at, and channels that fail."""
    with connection.cursor() as cursor:
        cursor.execute(MARK_GROUPS, {"now": now})
        cursor.execute(MARK_FAILING, {"now": now})


def mark_channels(tenant_id: int, changed: Collection[int], *, now: datetime) -> None:
    """After logs came in: these channels, and those that stand in an open incident."""
    with connection.cursor() as cursor:
        cursor.execute(MARK_CHANNELS, {"tenant": tenant_id, "changed": sorted(changed), "now": now})


def mark_causes(tenant_id: int, *, now: datetime) -> None:
    """After logs came in: every open incident of a server, site or volume may be over."""
    with connection.cursor() as cursor:
        cursor.execute(MARK_CAUSES, {"tenant": tenant_id, "now": now})


def mark_tested(tenant_id: int, *, jobs: Collection[int], tested: Collection[int], now: datetime) -> None:
    """Make due the selections of jobs that were tested or copied, that are new, or whose missing copy may have come."""
    if not jobs:
        return
    with connection.cursor() as cursor:
        cursor.execute(MARK_TESTED, {"tenant": tenant_id, "jobs": sorted(jobs), "tested": sorted(tested), "now": now})


def mark_all_due(tenant_id: int, *, now: datetime) -> None:
    """Every selection, machine and volume of the tenant, and the tenant itself; those without a clock get one."""
    _run(MARK_ALL, tenant_id, now)


def ensure_clocks(*, now: datetime) -> int:
    """Give each active subject of all tenants that has no clock one that is due; answers how many."""
    return _run(ENSURE, None, now)


def _run(statement: str, tenant_id: int | None, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tenant": tenant_id, "now": now, "quiet": list(QUIET_CLIENT_STATES)})
        number: int = cursor.rowcount
    return number
