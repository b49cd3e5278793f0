"""Morning reports by mail: written once for each due moment, sent until the server has taken them.

Whoever finds one due moves its clock on, keeps the content and marks its lane, all in one transaction, so that two
workers write one mail. A report that could not be sent before the next is due gives way to it: after an outage one mail
tells everything since the last that arrived. A repeat has the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from alerts.models import MorningReport
from alerts.reports.morning import MorningList, MorningScope, read_morning
from alerts.reports.morning_letter import html_of, subject_of, text_of
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import email
from integrations.tickets.contract import Call
from msp.backups.schedule import expected_after, parse_schedule
from msp.estate.queries import Reach
from msp.outbox import lanes
from msp.outbox.lanes import Claim

LANE = "mail"
#: The first report of all tells of so long before it.
FIRST = timedelta(days=1)
#: A paused or switched-off destination is looked at again after this long.
PAUSE = timedelta(minutes=15)


def freeze_due(*, now: datetime, is_time_up: Callable[[], bool] = lambda: False) -> int:
    """Write every report that is due, each in a transaction of its own; answers how many."""
    done = 0
    while not is_time_up() and freeze_next(now=now):
        done += 1
    return done


def freeze_next(*, now: datetime) -> bool:
    """Write one due report, unless another worker has it; False when none is left."""
    with transaction.atomic():
        due = MorningReport.unwalled.filter(enabled=True, check_after__lte=now, tenant__state="active")
        row = due.select_for_update(skip_locked=True, of=("self",)).order_by("check_after", "pk").first()
        if row is None:
            return False
        freeze(row, due_at=row.check_after, now=now)
        row.check_after = next_due(row, now=now)
        row.save(update_fields=["check_after"])
    return True


def next_due(row: MorningReport, *, now: datetime) -> datetime:
    """When the next one is due, by its schedule in its zone."""
    return expected_after(parse_schedule(row.schedule), now, row.timezone)


def send_now(row: MorningReport, *, now: datetime) -> None:
    """Write one besides the schedule, on a person's word."""
    with transaction.atomic():
        locked = MorningReport.objects.of(row.tenant_id).select_for_update().get(pk=row.pk)
        freeze(locked, due_at=now, now=now)


def freeze(row: MorningReport, *, due_at: datetime, now: datetime) -> None:
    """Keep the content and mark the lane, in the caller's transaction. One that is stuck gets another chance."""
    scope = MorningScope(tuple(row.client_ids), tuple(row.reseller_ids))
    morning = read_morning(Reach(row.tenant_id), scope, since=row.since or now - FIRST, until=now)
    row.content, row.due_at = content_of(morning), due_at
    row.save(update_fields=["content", "due_at"])
    lanes.free(row.tenant_id, lanes.stuck_lane_ids(row.tenant_id, LANE, row.pk), now=now)
    lanes.mark(row.tenant_id, LANE, [row.pk], now=now)


def content_of(morning: MorningList) -> dict[str, Any]:
    """The list as JSON; moments are ISO 8601 in UTC."""
    proof = morning.proof
    return {
        "since": morning.since.isoformat(),
        "until": morning.until.isoformat(),
        "lines": morning.listed(),
        "counts": dict(morning.counts),
        "inbox": morning.inbox,
        "left_out": morning.left_out,
        "jobs": proof.jobs,
        "runs": proof.runs,
        "newest_log": proof.newest_log.isoformat() if proof.newest_log else None,
    }


def deliver_report(claim: Claim, *, now: datetime, allow_private: bool | None = None) -> None:
    """Send the report of one claimed lane and settle it; never raises for what the mail server does."""
    reports = MorningReport.objects.of(claim.tenant_id).select_related("destination")
    row = reports.filter(pk=claim.object_id, enabled=True, due_at__isnull=False).first()
    if row is None:
        lanes.settle_done(claim, now=now)
        return
    destination = row.destination
    if destination is None or not destination.enabled or destination.paused_at is not None:
        reason = (destination and destination.pause_reason) or "The destination is switched off."
        lanes.settle_later(claim, now=now, reason=reason, retry_after=PAUSE.total_seconds(), unknown=claim.unknown)
        return
    if not lanes.extend(claim, now=now):
        return
    if allow_private is None:
        allow_private = settings.BACKLEDGER.allow_private_destinations
    call = Call(now, lanes.CALL_DEADLINE.total_seconds(), idempotency_key=name_of(row), allow_private=allow_private)
    try:
        detail = "Dry run: nothing was sent." if destination.dry_run else send(row, call=call)
    except (BadConfig, PermanentFailure, TemporaryFailure, OutcomeUnknown) as failure:
        settle_failure(claim, failure, now=now)
        return
    confirm(claim, row, detail=detail, now=now)


def send(row: MorningReport, *, call: Call) -> str:
    """Hand it to the server; answers its Message-ID."""
    if row.destination is None:
        raise PermanentFailure("The report has no destination to be sent through any more.")
    config = config_from_json(email.Config, row.destination.config)
    mail = email.Mail(
        name=name_of(row),
        recipients=tuple(row.recipients),
        subject=subject_of(row.name, row.content),
        text=text_of(row.content, zone=row.timezone, base_url=settings.BACKLEDGER.base_url),
        html=html_of(row.content, zone=row.timezone, base_url=settings.BACKLEDGER.base_url),
    )
    return email.send_mail(config, mail, call=call)


def name_of(row: MorningReport) -> str:
    """The report and the moment it is for, in microseconds: the Message-ID, short enough for one line."""
    return f"{row.uid.hex[:16]}-{row.due_at:%Y%m%dT%H%M%S%f}"


def settle_failure(claim: Claim, failure: Exception, *, now: datetime) -> None:
    """Try again what may work later; show a person what will not. An unknown outcome is simply repeated."""
    reason = str(getattr(failure, "reason", failure))
    unknown = claim.unknown or isinstance(failure, OutcomeUnknown)
    if isinstance(failure, BadConfig | PermanentFailure):
        lanes.note_attempt(claim, action="mail", outcome="permanent", detail=reason, now=now)
        lanes.settle_stuck(claim, now=now, reason=reason, unknown=unknown)
        return
    outcome = "unknown" if isinstance(failure, OutcomeUnknown) else "temporary"
    lanes.note_attempt(claim, action="mail", outcome=outcome, detail=reason, now=now)
    retry_after = failure.retry_after if isinstance(failure, TemporaryFailure) else None
    lanes.settle_later(claim, now=now, reason=reason, retry_after=retry_after, unknown=unknown)


def confirm(claim: Claim, row: MorningReport, *, detail: str, now: datetime) -> None:
    """It arrived: the next one tells what is new since this one's end."""
    with transaction.atomic():
        lanes.note_attempt(claim, action="mail", outcome="done", detail=detail, now=now)
        if lanes.settle_done(claim, now=now):
            until = datetime.fromisoformat(row.content["until"])
            MorningReport.objects.of(claim.tenant_id).filter(pk=row.pk).update(last_sent_at=now, since=until)
