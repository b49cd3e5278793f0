"""The cases of docs/billing-arithmetic.md: amounts worked out by hand, lines as the product says them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from billing.days import DayValue, billable_share, month_of
from billing.metering import measure, measure_pooled, read_meter_params
from billing.pricing.rate import Rated, rate
from billing.working import explain, recompute
from tests.billing.pure.made import GB, MARCH, constant_days, measured_days, terms

PAGE = Path(__file__).parents[3] / "docs" / "billing-arithmetic.md"
TIERS = {"tiers": [{"up_to": "100", "unit_price": "0.05"}, {"unit_price": "0.04"}]}
EACH = {"unit_price": "0.05"}


def grown() -> tuple[DayValue, ...]:
    return measured_days({day: (100 if day.day <= 10 else 131) * GB for day in MARCH.days()})


def line(
    days: tuple[DayValue, ...],
    price: str,
    settings: object,
    *,
    meter: str = "daily_average",
    currency: str = "EUR",
    accept: Any = None,
    proration: Fraction | None = None,
    unit: str = "GB",
    **more: Any,
) -> Rated:
    params = read_meter_params(meter, {}, accept_missing=accept)
    measured = measure(meter, days, unit=unit, params=params)
    return rate(measured, terms=terms(price, settings, unit=unit, **more), currency=currency, proration=proration)


def february() -> Rated:
    period = month_of(2024, 2)
    sizes = {day: (59 if day == date(2024, 2, 29) else 30) * GB for day in period.days()}
    return line(measured_days(sizes, period=period), "per_unit", EACH)


def gaps() -> tuple[DayValue, ...]:
    return measured_days({day: day.day * GB for day in MARCH.days() if day.day not in (5, 31)})


def pooled() -> Rated:
    selections = {"Files": constant_days(100 * GB), "Mail": constant_days(62 * GB, first=15)}
    measured = measure_pooled("daily_average", selections, unit="GB", params=read_meter_params("daily_average", {}))
    return rate(measured, terms=terms("per_unit", EACH), currency="EUR")


#: Title on the page, the line, and its amount as worked out there by hand.
CASES: dict[str, tuple[Callable[[], Rated], str]] = {
    "Tiered": (lambda: line(grown(), "tiered", TIERS), "5.84"),
    "Volume": (lambda: line(grown(), "volume", TIERS), "4.84"),
    "Block": (lambda: line(grown(), "block", {"block_size": "50", "block_price": "4"}), "12.00"),
    "Flat": (lambda: line(grown(), "flat", {"fee": "49"}), "49.00"),
    "Half a cent": (lambda: line(constant_days(120_500_000_000), "per_unit", EACH), "6.03"),
    "Peak day": (lambda: line(grown(), "per_unit", EACH, meter="peak_day"), "6.55"),
    "Last day": (lambda: line(grown(), "per_unit", EACH, meter="last_day"), "6.55"),
    "Allowance and minimum": (
        lambda: line(grown(), "per_unit", EACH, allowance=Decimal(25), minimum=Decimal(10)),
        "10.00",
    ),
    "Part of a month": (
        lambda: line(
            constant_days(121 * GB, first=15),
            "per_unit",
            EACH,
            allowance=Decimal(25),
            proration=billable_share(constant_days(121 * GB, first=15)),
        ),
        "2.48",
    ),
    "Leap February": (february, "1.55"),
    "Missing days, left out": (lambda: line(gaps(), "per_unit", {"unit_price": "1"}, accept="exclude"), "15.86"),
    "Missing days, carried": (lambda: line(gaps(), "per_unit", {"unit_price": "1"}, accept="carry"), "15.94"),
    "Two selections in a pool": (pooled, "6.60"),
    "GiB": (lambda: line(constant_days(3 * 2**29), "per_unit", EACH, unit="GiB"), "0.08"),
    "Yen": (lambda: line(grown(), "per_unit", {"unit_price": "12.5"}, currency="JPY"), "1513"),
    "Dinar": (lambda: line(grown(), "per_unit", {"unit_price": "0.0155"}, currency="KWD"), "1.876"),
}


def section(title: str) -> str:
    """The text under a heading of the page."""
    page = PAGE.read_text(encoding="utf-8")
    assert f"\n### {title}\n" in page, f"the page has no case {title!r}"
    return page.split(f"\n### {title}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]


@pytest.mark.parametrize("title", CASES)
def test_a_case_of_the_page_comes_to_the_amount_worked_out_by_hand(title: str) -> None:
    make, expected = CASES[title]
    rated = make()
    assert str(rated.amount) == expected
    assert recompute(rated.working) == rated.amount
    assert f"**{expected} {rated.working['currency']}**" in section(title)


@pytest.mark.parametrize("title", CASES)
def test_the_page_shows_the_working_as_the_product_writes_it(title: str) -> None:
    shown = section(title).split("```text\n")[1].split("\n```")[0].splitlines()
    assert shown == explain(CASES[title][0]().working)


def test_the_page_has_no_case_that_is_not_tested() -> None:
    headings = [text[4:] for text in PAGE.read_text(encoding="utf-8").splitlines() if text.startswith("### ")]
    assert headings == list(CASES)
