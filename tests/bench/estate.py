"""Who posts, and what the sweep finds: tenants, clients, servers, keys, routes; thousands of jobs written by SQL.

Every tenant has a route to a mailbox without any hold, so that an incident also opens its ticket and marks its lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from alerts.models import Destination, Route
from msp.tenants.models import Tenant
from tests.world import START, make_client, make_server, make_tenant

TENANTS, SERVERS_EACH, JOBS_EACH = 4, 10, 50


@dataclass(frozen=True)
class Sender:
    """A server that posts the logs of ``JOBS_EACH`` jobs with its own key."""

    tenant_id: int
    server_id: int
    key: str


def make_senders() -> tuple[Sender, ...]:
    """Servers of several tenants, in turn."""
    with transaction.atomic():
        by_tenant = [make_servers(make_routed_tenant(f"Bench MSP {number}")) for number in range(TENANTS)]
    return tuple(sender for turn in zip(*by_tenant, strict=True) for sender in turn)


def make_routed_tenant(name: str) -> Tenant:
    tenant = make_tenant(name)
    config = {"host": "127.0.0.1", "port": 9, "sender": "alerts@bench.example", "recipient": "desk@bench.example"}
    destination = Destination.objects.of(tenant).create(name="desk", gateway="email", config=config, created_at=START)
    Route.objects.of(tenant).create(destination=destination, position=1, hold_minutes=0)
    return tenant


def make_servers(tenant: Tenant) -> list[Sender]:
    """Each protects a client of its own."""
    senders = []
    for number in range(SERVERS_EACH):
        client = make_client(tenant, f"Client {number}")
        server, key = make_server(tenant, f"backup{number:02d}", client=client)
        senders.append(Sender(tenant.pk, server.pk, key))
    return senders


JOBS = """
WITH numbers AS (
    SELECT number FROM generate_series(1, %(number)s) AS number
), selections AS (
    INSERT INTO estate_selection (uid, tenant_id, client_id, name, roots, state, basis, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, %(client)s, 'selection ' || number, '[]', 'active', '', %(start)s
    FROM numbers RETURNING id, name
), jobs AS (
    INSERT INTO backups_backupjob (uid, tenant_id, server_id, selection_id, name, product, role, state, schedule,
        timezone, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, %(server)s, id, name, 'restic', 'primary', 'active', '', '', %(start)s
    FROM selections RETURNING id
)
INSERT INTO backups_jobstate (job_id, tenant_id, last_run_key, last_outcome, last_run_at, last_good_at, last_success_at,
    last_data_at, failures_in_row, warnings_in_row, reports_data, last_verify_outcome, last_restore_outcome,
    last_errors, runs_seen, check_after, heard_at, overdue_at)
SELECT id, %(tenant)s, 'night', 'success', %(last)s, %(last)s, %(last)s,
    %(last)s, 0, 0, true, '', '', '[]', 30, %(check)s, %(heard)s, %(overdue)s
FROM jobs
"""
#: Without a deadline that counts for its server a job is late by itself.
ALONE = {"heard": None, "overdue": None}


def make_waiting_jobs(*, due: int, later: int, now: datetime) -> None:
    """Jobs in a tenant of their own: ``due`` whose last good run is two days old, ``later`` that ran an hour ago."""
    tenant = make_routed_tenant("Bench sweep")
    client = make_client(tenant, "Client")
    server, _ = make_server(tenant, "backup00", client=client)
    scope: dict[str, Any] = {"tenant": tenant.pk, "client": client.pk, "server": server.pk, "start": START, **ALONE}
    overdue = {"number": due, "last": now - timedelta(days=2), "check": now - timedelta(minutes=1)}
    sound = {"number": later, "last": now - timedelta(hours=1), "check": now + timedelta(hours=26)}
    with connection.cursor() as cursor:
        cursor.execute(JOBS.replace("'selection ' ||", "'due ' ||"), scope | overdue)
        cursor.execute(JOBS.replace("'selection ' ||", "'later ' ||"), scope | sound)
        cursor.execute("ANALYZE")


def make_overdue_jobs(tenant: Tenant, number: int, *, name: str, dead: bool, now: datetime) -> None:
    """Jobs of one server that are due; if it is ``dead`` nothing of them was heard since their last good run."""
    client = make_client(tenant, "Client")
    server, _ = make_server(tenant, name, client=client)
    last = now - timedelta(days=2)
    told = {"heard": last, "overdue": last + timedelta(hours=27)} if dead else ALONE
    values: dict[str, Any] = {"tenant": tenant.pk, "client": client.pk, "server": server.pk, "start": START, **told}
    values |= {"number": number, "last": last, "check": now - timedelta(minutes=1)}
    with connection.cursor() as cursor:
        cursor.execute(JOBS, values)
        cursor.execute("ANALYZE")
