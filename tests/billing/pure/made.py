"""Days and sizes for the tests of metering and pricing: made, deterministic, and short to write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from billing.days import DayValue, Measurement, Period, fill_days, month_of
from billing.metering import Measured, measure, read_meter_params
from billing.pricing import read_price_params
from billing.pricing.rate import PlanTerms

GB = 10**9
MARCH = month_of(2026, 3)


def measurement(day: date, quantity: int, *, hour: int = 2, run_key: str = "run") -> Measurement:
    """A figure in bytes, measured at this hour of its day."""
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return Measurement(
        day=day, quantity=quantity, measured_at=at, run_key=run_key, source=f"run:{day}:{run_key}", basis="logical"
    )


def march(day: int) -> date:
    """A day of March 2026."""
    return date(2026, 3, day)


def measured_days(sizes: Mapping[date, int], *, period: Period = MARCH, carry_days: int = 0) -> tuple[DayValue, ...]:
    """The days of a daily job that is billable throughout."""
    figures = [measurement(day, size) for day, size in sizes.items()]
    return fill_days(figures, period=period, billable=period.days(), due=period.days(), carry_days=carry_days)


def constant_days(
    size: int, *, period: Period = MARCH, first: int = 0, last: int | None = None
) -> tuple[DayValue, ...]:
    """Days of one size, billable from the ``first`` place in the period to before the ``last``."""
    days = period.days()[first:last]
    figures = [measurement(day, size) for day in days]
    return fill_days(figures, period=period, billable=days, due=days, carry_days=0)


def measured_gb(quantity: Decimal | int | str, *, unit: str = "GB") -> Measured:
    """A size of exactly so many GB (whole bytes) on every day of March."""
    size = Fraction(Decimal(quantity)) * GB
    assert size.denominator == 1, "a size is whole bytes"
    return measure(
        "daily_average", constant_days(size.numerator), unit=unit, params=read_meter_params("daily_average", {})
    )


def terms(price: str, price_params: object, **more: object) -> PlanTerms:
    """Plan terms of a price and its settings as JSON."""
    return PlanTerms(price=price, price_params=read_price_params(price, price_params), **more)  # type: ignore[arg-type]


def month_days(year: int, month: int) -> list[date]:
    """Every day of a month, counted without the code under test."""
    day, days = date(year, month, 1), []
    while day.month == month:
        days.append(day)
        day += timedelta(days=1)
    return days
