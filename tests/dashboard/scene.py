"""Rows that pages show: runs with their logs, incidents, tickets, inbox items; so that pages stand alone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard
from django.test import Client as Browser

from alerts.models import Destination, Heartbeat, Incident, IncidentEvent, Ticket, TicketUpdate
from msp.backups.models import BackupJob, JobRun, JobState
from msp.ingest.models import Body, InboxItem, Receipt
from msp.outbox.models import Lane, LaneAttempt
from msp.tenants.models import Tenant, User

LOG = "open repository\nerror: read /srv/ledger.mdf: input/output error\nFatal: unable to save snapshot\n"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def browser_of(user: User) -> Browser:
    """A browser that is logged in."""
    browser = Browser()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


def make_receipt(tenant: Tenant, text: str = LOG, *, at: datetime | None = None, **values: Any) -> Receipt:
    at = at or now()
    raw = text.encode()
    body = Body.objects.of(tenant).create(day=at.date(), size=len(raw), content=zstandard.compress(raw))
    values = {"door": "http", "delivery_id": str(uuid.uuid4()), "digest": "0" * 64, "state": "done", **values}
    receipt: Receipt = Receipt.objects.of(tenant).create(
        body_id=body.pk, body_day=body.day, body_length=len(raw), received_at=at, **values
    )
    return receipt


def make_run(job: BackupJob, *, at: datetime, outcome: str = "success", **values: Any) -> JobRun:
    """A run of the job, good if it succeeded, with a log of its own unless ``receipt_id`` is given."""
    if "receipt_id" not in values:
        values["receipt_id"] = make_receipt(job.tenant, at=now()).pk
    values = {"good": outcome == "success", "measurable": outcome == "success", "operation": "backup", **values}
    run: JobRun = JobRun.objects.of(job.tenant).create(
        filed_month=at.date().replace(day=1),
        job_id=job.pk,
        selection_id=job.selection_id,
        client_id=job.selection.client_id,
        run_key=str(uuid.uuid4()),
        outcome=outcome,
        ended_at=at,
        product="restic",
        recorded_at=at,
        **values,
    )
    return run


def fold(job: BackupJob, **values: Any) -> None:
    """Set the job's state."""
    JobState.objects.of(job.tenant).filter(job=job).update(**values)


def make_incident(job: BackupJob, *, kind: str = "errors", **values: Any) -> Incident:
    at = now()
    values = {"severity": "critical", "summary": "The last backup failed.", "since": at - timedelta(hours=5), **values}
    values.setdefault("opened_at", values["since"])
    incident: Incident = Incident.objects.of(job.tenant).create(
        kind=kind,
        subject_kind="job",
        subject_id=job.pk,
        fingerprint=f"{kind}:job:{job.pk}:{uuid.uuid4()}",
        client=job.selection.client,
        server_id=job.server_id,
        selection_id=job.selection_id,
        job_id=job.pk,
        last_seen_at=at,
        last_seq=1,
        **values,
    )
    IncidentEvent.objects.of(job.tenant).create(
        incident=incident, seq=1, at=incident.opened_at, kind="opened", text=incident.summary
    )
    return incident


def make_ticket(job: BackupJob, *, stuck: bool = False, **values: Any) -> Ticket:
    tenant = job.tenant
    destination, _ = Destination.objects.of(tenant).get_or_create(
        name="Helpdesk", defaults={"gateway": "rest", "config": {}, "created_at": now()}
    )
    values = {"subject": "Backup failed", "external_id": "T-17", "last_seq": 2, "told_seq": 1, **values}
    ticket: Ticket = Ticket.objects.of(tenant).create(
        destination=destination,
        group_key=str(uuid.uuid4()),
        reference=uuid.uuid4().hex[:12],
        client=job.selection.client,
        opened_at=now(),
        **values,
    )
    for seq, told in ((1, "It failed."), (2, "It failed again.")):
        TicketUpdate.objects.of(tenant).create(ticket=ticket, seq=seq, at=now(), kind="note", text=told)
    lane = Lane.objects.of(tenant).create(
        kind="ticket", object_id=ticket.pk, wanted=2, confirmed=1, stuck=stuck, updated_at=now(),
        last_error="HTTP 403: no" if stuck else "",
    )  # fmt: skip
    LaneAttempt.objects.of(tenant).create(lane_id=lane.pk, at=now(), action="create", outcome="permanent", detail="403")
    return ticket


def make_inbox_item(tenant: Tenant, text: str = LOG, **values: Any) -> InboxItem:
    receipt = make_receipt(tenant, text, state="inbox")
    values = {"reason": "unassigned", "detail": "No job is known.", "source_job": "files", **values}
    item: InboxItem = InboxItem.objects.of(tenant).create(receipt_id=receipt.pk, opened_at=now(), **values)
    return item


def beat(*, at: datetime | None = None) -> None:
    """The sweep has just run."""
    Heartbeat.objects.update_or_create(name="sweep", defaults={"at": at or now()})
