"""Corrects a day's figure by a person's word: another figure, or none, as a further entry of the ledger with a reason.

Nothing is overwritten: the figure that was wrong stays with its revision. A run read again does not undo the word of a
person; another selection or client for the run does, as the figure is then no longer this selection's. Audited. What
was billed already changes only by voiding and replacing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from billing.days import Period
from billing.figures import Figure, read_ledger
from billing.ledger import CORRECTED, PersonalFigure, enter_figures
from billing.metrics import BY_NAME, read_of
from billing.models import UsageEntry
from billing.periods import local_day
from billing.refusals import NotFound, Refused
from msp.backups.models import BackupJob, JobState
from msp.estate.models import Selection
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Above any size there is; what the ledger's column holds.
MOST = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class DayEntry:
    """One entry of the ledger about a day. ``counts``: the last word of its source, and not a withdrawal.

    ``billed`` is the one that the day is charged by as known now.
    """

    source: str
    revision: int
    quantity: int | None
    basis: str
    job: str
    measured_at: datetime
    known_at: datetime
    reason: str
    counts: bool
    billed: bool


def find_selection(tenant: Tenant, uid: Any) -> Selection:
    """A selection of this tenant. Raises NotFound."""
    found: Selection | None = Selection.objects.of(tenant).select_related("client").filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such selection.")
    return found


def entries_of_day(
    tenant: Tenant, selection: Selection, *, metric: str, day: date, now: datetime
) -> tuple[DayEntry, ...]:
    """Everything the ledger says of a selection on a day, the oldest word of each source first."""
    rows = list(_entries(tenant, selection, metric=metric, day=day).order_by("measured_at", "source", "revision"))
    last = {row.source: row.revision for row in rows}
    billed = _billed(tenant, selection, metric=metric, day=day, now=now)
    names = dict(BackupJob.objects.of(tenant).filter(pk__in={row.job_id for row in rows}).values_list("pk", "name"))
    return tuple(_told(row, last[row.source], billed, names.get(row.job_id, "")) for row in rows)


@transaction.atomic
def correct_day(
    tenant: Tenant,
    selection: Selection,
    *,
    metric: str,
    day: date,
    source: str,
    quantity: int | None,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    """Say what a day's figure is: bytes (or things), or None to withdraw it. Raises Refused.

    ``source`` is the one of that day that is wrong; "" gives the day a figure of its own. Locks the state of the job
    that measured it, then the selection.
    """
    _refuse_bad(tenant, quantity=quantity, day=day, reason=reason, now=now)
    wrong = _locked_entry(tenant, selection, metric=metric, day=day, source=source)
    if wrong is None and quantity is None:
        raise Refused(f"Nothing was measured on {day}, so there is no figure to withdraw.")
    if wrong is not None and wrong.quantity == quantity:
        raise Refused(f"That is what stands for {day} already.")
    words = f"{CORRECTED}{reason}"[:60]
    if wrong is None:
        enter_figures(
            tenant.pk, [_own(tenant, selection, metric=metric, day=day, quantity=quantity, reason=words)], now=now
        )
    else:
        _revise(tenant, wrong, quantity=quantity, reason=words, now=now)
    audit.record(
        tenant,
        actor=actor,
        action="usage.corrected",
        subject_kind="selection",
        subject_id=selection.pk,
        subject=selection.name,
        before={"day": day.isoformat(), "metric": read_of(metric), "quantity": wrong.quantity if wrong else None},
        after={"day": day.isoformat(), "source": wrong.source if wrong else "", "quantity": quantity},
        reason=reason,
        now=now,
    )


def _refuse_bad(tenant: Tenant, *, quantity: int | None, day: date, reason: str, now: datetime) -> None:
    if not reason.strip():
        raise Refused("Say why: the reason is kept with the figure.")
    if quantity is not None and not 0 <= quantity <= MOST:
        raise Refused("A figure is 0 or more, and less than nine billion gigabytes.")
    if day > local_day(now, zone=tenant.timezone):
        raise Refused(f"{day} has not begun yet.")


def _entries(tenant: Tenant, selection: Selection, *, metric: str, day: date) -> Any:
    return UsageEntry.objects.of(tenant).filter(selection_id=selection.pk, metric=read_of(metric), local_day=day)


def _locked_entry(tenant: Tenant, selection: Selection, *, metric: str, day: date, source: str) -> UsageEntry | None:
    """The last word of this source, with whatever else could write it kept out; None for a day without a source."""
    entries = _entries(tenant, selection, metric=metric, day=day).filter(source=source)
    if source:
        job_ids = list(entries.exclude(job_id=None).values_list("job_id", flat=True).distinct())
        list(JobState.objects.of(tenant).select_for_update().filter(job_id__in=job_ids).order_by("job_id"))
    Selection.objects.of(tenant).select_for_update(no_key=True).get(pk=selection.pk)
    if not source:
        return None
    last: UsageEntry | None = (
        UsageEntry.objects.of(tenant).filter(source=source, metric=read_of(metric)).order_by("-revision").first()
    )
    if last is None or (last.selection_id, last.local_day) != (selection.pk, day):
        raise Refused("This figure is no longer one of that day: look at the day again.")
    return last


def _revise(tenant: Tenant, wrong: UsageEntry, *, quantity: int | None, reason: str, now: datetime) -> None:
    kept = (
        "source", "metric", "unit", "basis", "selection_id", "client_id", "reseller_id", "job_id", "run_key",
        "run_month", "local_day", "measured_at",
    )  # fmt: skip
    UsageEntry.objects.of(tenant).create(
        **{name: getattr(wrong, name) for name in kept},
        revision=wrong.revision + 1,
        quantity=quantity,
        known_at=now,
        reason=reason,
    )


def _own(
    tenant: Tenant, selection: Selection, *, metric: str, day: date, quantity: int | None, reason: str
) -> PersonalFigure:
    """A figure for this day that no run brought; it is true at the end of the day."""
    ends = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(tenant.timezone))
    return PersonalFigure(
        selection_id=selection.pk,
        client_id=selection.client_id,
        metric=read_of(metric),
        day=day,
        measured_at=ends - timedelta(seconds=1),
        quantity=quantity,
        basis=selection.basis if read_of(metric) == "protected" else "",
        origin="a person",
        reason=reason,
    )


def _billed(tenant: Tenant, selection: Selection, *, metric: str, day: date, now: datetime) -> str:
    period = Period(first_day=day, last_day=day + timedelta(days=1))
    ledger = read_ledger(tenant.pk, {selection.pk: selection}, [metric], period=period, cut_off=now)
    figures: Iterable[Figure] = ledger.of(selection.pk, metric).counted
    last = max(figures, key=lambda each: (each.measured_at, each.run_key), default=None)
    return last.source if last else ""


def _told(row: UsageEntry, last: int, billed: str, job: str) -> DayEntry:
    counts = row.revision == last and row.quantity is not None
    return DayEntry(
        source=row.source,
        revision=row.revision,
        quantity=row.quantity,
        basis=row.basis,
        job=job,
        measured_at=row.measured_at,
        known_at=row.known_at,
        reason=row.reason,
        counts=counts,
        billed=counts and row.source == billed,
    )


def unit_of(metric: str) -> str:
    """What the ledger counts for a metric: byte or each."""
    return BY_NAME[metric].unit
