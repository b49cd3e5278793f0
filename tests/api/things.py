"""One of everything that the API shows, twice: of the tenant's own client and of a reseller's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from alerts.models import Destination, Incident, IncidentEvent, RuleSetting, Ticket, TicketUpdate
from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.models import Invoice, InvoiceLine, Seller
from msp.backups.models import BackupJob, JobRun
from msp.estate.models import Client
from msp.ingest.models import InboxItem, Receipt
from msp.tenants.models import Reseller, Tenant
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, october, only_invoice
from tests.world import World, make_job

ENDED = datetime(2026, 11, 20, 21, 14, 9, tzinfo=UTC)
MONTH = "2026-11"
RAW_REASON = "line 7 of somebody's log cannot be read"


@dataclass
class Some:
    """One of everything of one client."""

    client: Client
    job: BackupJob
    run: JobRun
    receipt: Receipt
    incident: Incident
    ticket: Ticket
    setting: RuleSetting
    invoice: Invoice
    line: InvoiceLine


@dataclass
class Things:
    """``own`` belongs to the tenant's own client, ``resold`` to the reseller's; the item waits for a person."""

    own: Some
    resold: Some
    item: InboxItem
    shared_receipt: Receipt


def make_things(world: World) -> Things:
    tenant = world.tenant
    resold_job = make_job(tenant, world.server, world.resold_client, "bakery")
    own = make_some(world, world.client, world.job, seller_name="Northwind MSP GmbH")
    resold = make_some(world, world.resold_client, resold_job, seller_name="Harbour IT Ltd", reseller=world.reseller)
    shared = make_receipt(tenant, "shared", runs=2, error=RAW_REASON)
    make_run(own.job, world.client, shared, ENDED - timedelta(days=1), place=0)
    make_run(resold.job, world.resold_client, shared, ENDED - timedelta(days=1), place=1)
    waiting = make_receipt(tenant, "unassigned", state="inbox", reason="unassigned", error="No job is known for it.")
    item = InboxItem.objects.of(tenant).create(
        receipt_id=waiting.pk, place=0, reason="unassigned", detail="No job is known for it.", server=world.server,
        source_job="nightly", host="files01", format="restic", opened_at=ENDED,
    )  # fmt: skip
    return Things(own=own, resold=resold, item=item, shared_receipt=shared)


def make_some(
    world: World, client: Client, job: BackupJob, *, seller_name: str, reseller: Reseller | None = None
) -> Some:
    tenant = world.tenant
    receipt = make_receipt(tenant, f"of {client.code}", runs=1)
    run = make_run(job, client, receipt, ENDED)
    ticket = make_ticket(tenant, client)
    incident = make_incident(tenant, client, job, ticket=ticket)
    setting = RuleSetting.objects.of(tenant).create(
        kind="errors", scope_kind="client", scope_id=client.pk, enabled=True, updated_at=ENDED
    )
    invoice = make_invoice(tenant, client, job, seller_name=seller_name, reseller=reseller)
    line = InvoiceLine.objects.of(tenant).get(invoice=invoice)
    return Some(client, job, run, receipt, incident, ticket, setting, invoice, line)


def make_receipt(tenant: Tenant, delivery: str, **values: Any) -> Receipt:
    values = {"state": "done", "format": "restic", "runs": 0} | values
    receipt: Receipt = Receipt.objects.of(tenant).create(
        door="http", delivery_id=delivery, digest="0" * 64, body_id=1, body_day=ENDED.date(), body_length=2210,
        received_at=ENDED + timedelta(seconds=1), processed_at=ENDED + timedelta(seconds=5), **values,
    )  # fmt: skip
    return receipt


def make_run(job: BackupJob, client: Client, receipt: Receipt, ended_at: datetime, **values: Any) -> JobRun:
    values = {"outcome": "success", "operation": "backup", "good": True} | values
    run: JobRun = JobRun.objects.of(job.tenant_id).create(
        filed_month=ended_at.date().replace(day=1), job_id=job.pk, selection_id=job.selection_id, client_id=client.pk,
        receipt_id=receipt.pk, run_key=str(uuid4()),
        ended_at=ended_at, product="restic", protected_bytes=400 * GB, recorded_at=ended_at, **values,
    )  # fmt: skip
    return run


def make_ticket(tenant: Tenant, client: Client) -> Ticket:
    desk, _ = Destination.objects.of(tenant).get_or_create(
        name="Helpdesk", defaults={"gateway": "rest", "config": {}, "created_at": ENDED}
    )
    ticket: Ticket = Ticket.objects.of(tenant).create(
        destination=desk, group_key=f"job:{client.pk}", reference=f"BL-{client.pk}", client=client,
        subject=f"{client.name}: backup failed", external_id=f"47{client.pk}", last_seq=1, opened_at=ENDED,
    )  # fmt: skip
    TicketUpdate.objects.of(tenant).create(ticket=ticket, seq=1, at=ENDED, kind="opened", text="It failed.")
    return ticket


def make_incident(tenant: Tenant, client: Client, job: BackupJob | None, **values: Any) -> Incident:
    number = Incident.objects.of(tenant).count()
    given = {
        "kind": "errors", "subject_kind": "job", "subject_id": job.pk if job else tenant.pk, "client": client,
        "fingerprint": f"errors:{number}", "job_id": job.pk if job else None, "severity": "warning",
        "summary": "The backup failed.", "since": ENDED, "opened_at": ENDED, "last_seen_at": ENDED, "last_seq": 1,
        "server_id": job.server_id if job else None, "untold_reason": "No route matches.",
        "evidence": {"failures_in_row": 1}, "lines": ["Fatal: no space left"],
    } | values  # fmt: skip
    incident: Incident = Incident.objects.of(tenant).create(**given)
    IncidentEvent.objects.of(tenant).create(incident=incident, seq=1, at=ENDED, kind="opened", text="It failed.")
    return incident


def make_invoice(
    tenant: Tenant, client: Client, job: BackupJob, *, seller_name: str, reseller: Reseller | None
) -> Invoice:
    """A final invoice of October: 400 GB every day at 0.10 to 100 GB and 0.08 beyond, which is 34.00."""
    seller = Seller.objects.of(tenant).create(legal_name=seller_name, country="DE", reseller=reseller)
    month = Month(tenant=tenant, seller=seller)
    month.on_plan(client, month.plan(f"plan-{client.pk}"))
    month.measure(job, october(400 * GB))
    draft = only_invoice(draft_run(tenant, seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))
    finalise(tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    invoice: Invoice = Invoice.objects.of(tenant).get(pk=draft.pk)
    return invoice
