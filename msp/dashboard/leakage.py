"""What the leakage page and the API read: billing's findings with the days on which alerts said "no backup"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Q

from alerts.models import Incident
from billing.days import Period
from billing.leaking import Flagged, Leak, LeakKind, find_leaks
from msp.tenants.models import Tenant

#: Incidents that say that there is no backup to charge for.
NO_BACKUP = ("no_recent_backup", "never_backed_up", "did_not_start", "no_data_sent")
#: What each kind is called, and what a person does about it.
WORDS: Mapping[LeakKind, tuple[str, str]] = {
    "unplanned": ("Protected, on no plan", "Put it on a plan, or stop protecting it."),
    "silent": ("On a plan, but silent", "Bring its backup back, or leave its days out."),
    "twice": ("Charged twice, perhaps", "Say which one is billed: retire the other, or make it a second job."),
    "gone": ("Gone, and still charged", "Retire the selection with its machine."),
    "quota": ("Above what was agreed", "Sell the larger size, or charge what is above."),
    "flagged": ("Charged while we said: no backup", "Expect the question; leave these days out if you must."),
}


@dataclass(frozen=True)
class LeakGroup:
    """The findings of one kind with what they come to in each currency."""

    kind: LeakKind
    title: str
    advice: str
    leaks: tuple[Leak, ...]
    totals: tuple[tuple[str, Decimal], ...]


def leaks_of(tenant: Tenant, *, period: Period, now: datetime) -> tuple[Leak, ...]:
    """Every leak of a month, the largest amount first; a fixed number of queries."""
    return find_leaks(tenant, period=period, flagged=_flagged(tenant, period=period, now=now), now=now)


def grouped(leaks: Sequence[Leak]) -> tuple[LeakGroup, ...]:
    """By kind, also those without a finding: nothing found is an answer, too."""
    groups = []
    for kind, (title, advice) in WORDS.items():
        found = tuple(each for each in leaks if each.kind == kind)
        groups.append(LeakGroup(kind, title, advice, found, _totals(found)))
    return tuple(groups)


def _totals(leaks: Sequence[Leak]) -> tuple[tuple[str, Decimal], ...]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for each in leaks:
        if each.amount is not None:
            sums[each.currency] += each.amount
    return tuple(sorted(sums.items()))


def _flagged(tenant: Tenant, *, period: Period, now: datetime) -> dict[int, list[Flagged]]:
    """By selection the days in the tenant's zone from opening to closing; the day it was good again is not one."""
    zone = ZoneInfo(tenant.timezone)
    begins = datetime.combine(period.first_day, datetime.min.time(), zone)
    ends = datetime.combine(period.last_day, datetime.min.time(), zone)
    rows = Incident.objects.of(tenant).filter(
        Q(closed_at__isnull=True) | Q(closed_at__gt=begins),
        kind__in=NO_BACKUP,
        selection_id__isnull=False,
        opened_at__lt=ends,
    )
    flagged: dict[int, list[Flagged]] = defaultdict(list)
    values = rows.order_by("opened_at", "pk").values_list("selection_id", "opened_at", "closed_at", "summary")
    for selection_id, opened_at, closed_at, summary in values:
        last = _day(closed_at, zone) if closed_at else _day(now, zone) + timedelta(days=1)
        flagged[selection_id].append(Flagged(_day(opened_at, zone), last, summary))
    return flagged


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()
