"""Sets a morning report: checks what a person typed, gives it its clock, and keeps who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerts.models import Destination, MorningReport
from alerts.params import BadParams
from integrations.tickets.email import check_recipients
from msp.backups.schedule import BadSchedule, expected_after, parse_schedule
from msp.estate.spans import Actor, checked_zone
from msp.tenants import audit
from msp.tenants.models import Tenant

MOST_RECIPIENTS = 20
#: Two mails of one report are at least this far apart.
OFTEN = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class ReportValues:
    """What a person chose. ``schedule`` is text for ``msp.backups.schedule``; no ids mean every client."""

    name: str
    recipients: tuple[str, ...]
    destination: Destination
    schedule: str
    zone: str
    client_ids: tuple[int, ...] = ()
    reseller_ids: tuple[int, ...] = ()
    enabled: bool = True


def set_report(tenant: Tenant, row: MorningReport | None, values: ReportValues, *, actor: Actor) -> MorningReport:
    """Store it; its clock starts anew from now. Raises BadParams, BadConfig, BadChange."""
    check_report(values, actor=actor)
    before = _told(row) if row else None
    row = row or MorningReport(tenant=tenant, created_at=actor.now)
    row.name, row.recipients, row.destination = values.name, list(values.recipients), values.destination
    row.schedule, row.timezone, row.enabled = values.schedule.strip(), values.zone, values.enabled
    row.client_ids, row.reseller_ids = list(values.client_ids), list(values.reseller_ids)
    schedule = parse_schedule(row.schedule)
    row.check_after = expected_after(schedule, actor.now, row.timezone) if row.enabled else None
    row.save()
    audit.record(
        tenant, actor=actor.name, actor_id=actor.id, action="morning report set", subject_kind="morning report",
        subject_id=row.pk, subject=row.name, before=before, after=_told(row), now=actor.now,
    )  # fmt: skip
    return row


def check_report(values: ReportValues, *, actor: Actor) -> None:
    """Raises BadParams, BadConfig or BadChange with the field and a sentence."""
    if len(values.recipients) > MOST_RECIPIENTS:
        raise BadParams("recipients", f"A report goes to at most {MOST_RECIPIENTS} addresses.")
    check_recipients(values.recipients)
    zone = checked_zone(values.zone)
    try:
        schedule = parse_schedule(values.schedule)
        first = expected_after(schedule, actor.now, zone)
        if expected_after(schedule, first, zone) - first < OFTEN:
            raise BadParams("schedule", "A report is sent at most once an hour.")
    except BadSchedule as refused:
        raise BadParams("schedule", refused.reason) from refused


def _told(row: MorningReport) -> dict[str, Any]:
    same = ("name", "recipients", "schedule", "timezone", "client_ids", "reseller_ids", "enabled")
    return {name: getattr(row, name) for name in same} | {
        "destination": row.destination.name if row.destination else ""
    }
