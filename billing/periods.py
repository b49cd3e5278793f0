"""Billing periods: calendar months in the tenant's time zone, and whether one is over."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from billing.days import Period, month_of
from billing.refusals import Refused


def month_from(first_day: date) -> Period:
    """The month that begins on this day. Raises Refused for any other day than the first."""
    if first_day.day != 1:
        raise Refused(f"A billing period is a calendar month: {first_day} is not the first day of one.")
    return month_of(first_day.year, first_day.month)


def refuse_unfinished(period: Period, *, zone: str, now: datetime) -> None:
    """Raises Refused until the period's last day is over in the zone, to the second."""
    ends = datetime.combine(period.last_day, time(), tzinfo=ZoneInfo(zone))
    if now < ends:
        raise Refused(
            f"{period.first_day:%B %Y} is not over in {zone} before {ends:%Y-%m-%d %H:%M}; invoice it from then on."
        )


def refuse_early(period: Period, *, grace_days: int, zone: str, now: datetime) -> None:
    """Raises Refused until so many days after the period's end are over, in which late logs may still come."""
    first = period.last_day + timedelta(days=grace_days)
    if local_day(now, zone=zone) < first:
        raise Refused(
            f"{period.first_day:%B %Y} is made final from {first} on: the seller leaves {grace_days} days for late "
            "logs. Making it final earlier needs a reason."
        )


def local_day(moment: datetime, *, zone: str) -> date:
    """The day of a moment in the zone."""
    return moment.astimezone(ZoneInfo(zone)).date()
