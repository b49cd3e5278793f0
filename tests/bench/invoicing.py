"""Measures a month's invoices: drafted, drafted again without a change, and made final; and what limits them.

Each client has ten selections that a nightly run measured, with the run behind each figure, and a bill-to of its own
on a tiered plan. The limit beside it is one bare SQL aggregate over the same entries plus a COPY of the lines written.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from billing.models import Agreement, BillTo, Invoice, Plan, Seller, Subscription
from billing.plans import PlanDraft, make_plan
from msp.estate.models import Client
from msp.management.commands.invoice_run import Command
from msp.partitions import ensure_partitions
from msp.tenants.models import Tenant
from tests.bench.ingesting import ask, copy_seconds
from tests.world import START, make_client, make_server, make_tenant

SELECTIONS_EACH = 10
MONTH, AFTER = date(2026, 10, 1), datetime(2026, 11, 2, 8, tzinfo=UTC)
WORKERS = 2
ACTOR = "bench"
TIERS: dict[str, Any] = {"tiers": [{"unit_price": "0.10", "up_to": "100"}, {"unit_price": "0.08"}]}
#: In the order in which they refer to each other; %% is a remainder.
ESTATE = (
    """INSERT INTO estate_client (uid, tenant_id, name, code, state, timezone, tickets_enabled, notes, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, 'Client ' || n, 'c' || n, 'active', 'UTC', true, '', %(start)s
    FROM generate_series(1, %(clients)s) AS n""",
    """INSERT INTO estate_clientstatespan (uid, tenant_id, client_id, state, since)
    SELECT gen_random_uuid(), tenant_id, id, 'active', '2020-01-01' FROM estate_client
    WHERE tenant_id = %(tenant)s AND code LIKE 'c%%'""",
    """INSERT INTO estate_selection (uid, tenant_id, client_id, name, roots, state, basis, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, c.id, 'selection ' || n, '[]', 'active', 'logical', %(start)s
    FROM estate_client c, generate_series(1, %(each)s) AS n WHERE c.tenant_id = %(tenant)s AND c.code LIKE 'c%%'""",
    """INSERT INTO estate_selectionclientspan (uid, tenant_id, selection_id, client_id, since)
    SELECT gen_random_uuid(), tenant_id, id, client_id,
        '2020-01-01' FROM estate_selection WHERE tenant_id = %(tenant)s""",
    """INSERT INTO backups_backupjob (uid, tenant_id, server_id, selection_id, name, product, role, state, schedule,
        timezone, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, %(server)s, id, 'job ' || id, 'restic', 'primary', 'active',
        'daily 21:30', 'UTC',
        %(start)s FROM estate_selection WHERE tenant_id = %(tenant)s""",
    """UPDATE estate_selection s SET measuring_job_id = j.id FROM backups_backupjob j
    WHERE s.tenant_id = %(tenant)s AND j.tenant_id = s.tenant_id AND j.selection_id = s.id""",
    """INSERT INTO billing_measuringchoice (uid, tenant_id, selection_id, job_id, basis, since, decided_at,
        actor, reason)
    SELECT gen_random_uuid(), tenant_id, id, measuring_job_id, 'logical', '2026-09-30', %(start)s, '', ''
    FROM estate_selection WHERE tenant_id = %(tenant)s""",
    """INSERT INTO billing_usageentry (tenant_id, source, metric, quantity, basis, selection_id, client_id,
        job_id, run_key,
        run_month, local_day, measured_at, known_at, reason, revision, unit)
    SELECT s.tenant_id, 'run:' || s.measuring_job_id || ':night ' || d, 'protected',
        (s.id %% 97 + 1) * 1000000000 + d * 1000000, 'logical', s.id, s.client_id, s.measuring_job_id, 'night ' || d,
        '2026-10-01', date '2026-09-30' + d, timestamptz '2026-09-30 21:30Z' + d * interval '1 day',
        timestamptz '2026-09-30 21:40Z' + d * interval '1 day', '', 0, 'byte'
    FROM estate_selection s, generate_series(1, 31) AS d WHERE s.tenant_id = %(tenant)s""",
    """INSERT INTO backups_jobrun (uid, tenant_id, filed_month, job_id, selection_id, client_id, receipt_id,
        place, run_key,
        revision, operation, action, outcome, good, measurable, started_at, ended_at, time_told, duration_seconds,
        protected_bytes, sources, basis, product, product_version, host, archive, files, errors, errors_total,
        components, problems, notes, recorded_at)
    SELECT gen_random_uuid(), e.tenant_id, e.run_month, e.job_id, e.selection_id, e.client_id, 0, 0, e.run_key,
        0, 'backup', '',
        'success', true, true, e.measured_at - interval '20 minutes', e.measured_at, true, 1200, e.quantity, '{}',
        'logical', 'restic', '', 'host', '', '{}', '[]', 0, '[]', '[]', '[]', e.known_at
    FROM billing_usageentry e WHERE e.tenant_id = %(tenant)s""",
)
AGGREGATE = """
SELECT count(*) FROM (SELECT client_id, selection_id, local_day, max(quantity) FROM billing_usageentry
WHERE tenant_id = %s AND metric = 'protected' GROUP BY client_id, selection_id, local_day) AS each
"""


@dataclass(frozen=True)
class Invoiced:
    """``clients`` with ``entries`` in the ledger; seconds of each step; ``limit``: seconds of aggregate and COPY.

    ``written``: rows that drafting again without a change wrote.
    ``peak``: MiB of the largest process.
    """

    clients: int
    entries: int
    drafting: float
    again: float
    written: int
    finalising: float
    limit: float
    peak: float

    @property
    def invoices_per_minute(self) -> float:
        return self.clients / (self.drafting + self.finalising) * 60


def run_invoices(*, clients: int) -> Invoiced:
    """A month of so many clients. Raises RuntimeError when an invoice is missing, held, or written again."""
    tenant, seller = make_month(clients=clients)
    command = Command()
    begin = time.perf_counter()
    run = command.draft(tenant, seller, MONTH, workers=WORKERS, now=AFTER)
    drafted = time.perf_counter()
    before = rows_written()
    command.draft(tenant, seller, MONTH, workers=WORKERS, now=AFTER)
    again = time.perf_counter()
    written = rows_written() - before
    command.finalise(tenant, seller, run, workers=WORKERS, now=AFTER)
    final = time.perf_counter()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if Invoice.objects.of(tenant).filter(state="final").count() != clients:
        raise RuntimeError(f"of {clients:,} clients not every one has a final invoice")
    return Invoiced(
        clients=clients,
        entries=int(ask(f"SELECT count(*) FROM billing_usageentry WHERE tenant_id = {tenant.pk}")),
        drafting=drafted - begin,
        again=again - drafted,
        written=written,
        finalising=final - again,
        limit=aggregate_seconds(tenant.pk) + copy_seconds(("billing_invoiceline",)),
        peak=peak / 1024,
    )


def make_month(*, clients: int) -> tuple[Tenant, Seller]:
    """Clients, selections, jobs, runs, entries, agreements; one plan."""
    ensure_partitions(datetime(2026, 10, 15, tzinfo=UTC))
    tenant = make_tenant("Bench invoices")
    server, _ = make_server(tenant, "backup00", client=make_client(tenant, "Server's own"))
    seller: Seller = Seller.objects.of(tenant).create(legal_name="Bench GmbH", country="DE")
    draft = PlanDraft(name="Backup", currency="EUR", price="tiered", price_params=TIERS)
    plan: Plan = make_plan(tenant, code="gb", draft=draft, actor=ACTOR, now=START)
    values: dict[str, Any] = {
        "tenant": tenant.pk, "server": server.pk, "start": START,
        "clients": clients, "each": SELECTIONS_EACH,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in ESTATE:
            cursor.execute(statement, values)
    agree(tenant, seller, plan)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return tenant, seller


def agree(tenant: Tenant, seller: Seller, plan: Plan) -> None:
    """Each client with a bill-to of its own, an agreement and the plan."""
    clients = list(Client.objects.of(tenant).filter(code__startswith="c"))
    payers = [
        BillTo(tenant=tenant, legal_name=client.name, country="DE", tax_rate=Decimal("0.19"), currency="EUR")
        for client in clients
    ]
    BillTo.objects.of(tenant).bulk_create(payers)
    agreements = [
        Agreement(tenant=tenant, seller=seller, bill_to=payer, number=client.code, starts_on=date(2026, 1, 1))
        for payer, client in zip(payers, clients, strict=True)
    ]
    Agreement.objects.of(tenant).bulk_create(agreements)
    Subscription.objects.of(tenant).bulk_create(
        Subscription(
            tenant=tenant, agreement=agreement, plan=plan, layer="retail", client=client, starts_on=agreement.starts_on
        )
        for agreement, client in zip(agreements, clients, strict=True)
    )


def rows_written() -> int:
    """Of this database, by PostgreSQL's own counters, once they are told."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    return int(ask("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"))


def aggregate_seconds(tenant_id: int) -> float:
    begin = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(AGGREGATE, [tenant_id])
        cursor.fetchone()
    return time.perf_counter() - begin
