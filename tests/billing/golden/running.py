"""Computes a golden case with the product: figures to days, days to sizes, sizes to lines, lines to taxes.

Everything but the reading of the database is the code that composes invoices; the models are made and not stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from billing.coverage import Covered
from billing.days import Measurement, Period, billable_days, fill_days, month_of
from billing.deciding_days import DecidedDays
from billing.lines import ComposedLine, rated_of
from billing.metering import METERS
from billing.models import Agreement, BillTo, Plan, Subscription
from billing.money import round_money
from billing.percentage_lines import compose_percentage
from billing.plans import PlanDraft, _checked
from billing.taking import by_largest
from billing.taxes import TaxTotal, tax_totals
from msp.estate.models import Client
from tests.billing.golden import Case, Line

AMOUNTS = ("allowance", "allowance_each", "minimum", "maximum")
CLIENT = Client(pk=1, name="Acme Dental")


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A document as the product computes it."""

    lines: tuple[ComposedLine, ...]
    taxes: tuple[TaxTotal, ...]
    net: Decimal
    total: Decimal


@dataclass(frozen=True)
class Other:
    """A line that charges no usage."""

    amount: Decimal
    tax_category: str
    tax_rate: Decimal


def compute(case: Case) -> Computed:
    """The document of a case."""
    period = month_of(*(int(part) for part in case.month.split("-")))
    subscriptions = {place: _subscription(case, line, place, period) for place, line in enumerate(case.lines, start=1)}
    sizes: list[ComposedLine] = []
    for place, line in enumerate(case.lines, start=1):
        if line.selections:
            sizes.append(_of_sizes(case, line, subscriptions[place], period))
    shares = [
        _of_lines(case, subscriptions[place], sizes, subscriptions, period)
        for place, line in enumerate(case.lines, start=1)
        if not line.selections
    ]
    return _document(case, [*sizes, *shares])


def corrected(case: Case) -> Case:
    """The case with the sizes that are known now."""
    first = case.lines[0]
    selections = [dict(each) | {"sizes": sizes} for each, sizes in zip(first.selections, case.corrected, strict=True)]
    return replace(case, lines=(replace(first, selections=selections), *case.lines[1:]))


def taxes_of(case: Case, amount: Decimal) -> Decimal:
    """The tax of a correction by so much."""
    line = Other(amount, case.tax_category, Decimal(case.tax))
    return sum((each.tax for each in tax_totals([line], currency=case.currency)), Decimal(0))


def _document(case: Case, lines: Sequence[ComposedLine]) -> Computed:
    told = [text.split() for text in case.other_lines]
    others = [Other(Decimal(amount), category, Decimal(rate)) for category, rate, amount in told]
    everything: list[ComposedLine | Other] = [*lines, *others]
    taxes = tax_totals(everything, currency=case.currency)
    net = round_money(sum((each.amount for each in everything), Decimal(0)), case.currency)
    return Computed(lines=tuple(lines), taxes=taxes, net=net, total=net + sum((each.tax for each in taxes), Decimal(0)))


def _subscription(case: Case, line: Line, place: int, period: Period) -> Subscription:
    settings = dict(line.plan) | {name: Decimal(line.plan[name]) for name in AMOUNTS if name in line.plan}
    draft = _checked(PlanDraft(name=f"Line {place}", currency=case.currency, **{"carry_days": 0} | settings))
    runs = sorted(days_of(line.runs, period)) if line.runs else list(period.days())
    agreement = Agreement(starts_on=period.first_day, bill_to=BillTo(pk=1, tax_rate=Decimal(case.tax)))
    return Subscription(
        pk=place,
        plan=Plan(pk=place, code=f"line-{place}", version=1, **vars(draft)),
        agreement=agreement,
        client=CLIENT,
        starts_on=runs[0],
        ends_on=runs[-1] + timedelta(days=1),
    )


def _of_sizes(case: Case, line: Line, subscription: Subscription, period: Period) -> ComposedLine:
    accepted: Any = case.accept_missing or None
    decided = [_decided(each, subscription, line, place, period) for place, each in enumerate(line.selections)]
    charged = [each for each in decided if billable_days(each.days)]
    rated = rated_of(subscription, charged, period=period, accept_missing=accepted)
    assert rated.working["held_days"] == [], "a golden case leaves nothing to decide"
    return _composed(case, subscription, rated)


def _of_lines(
    case: Case,
    subscription: Subscription,
    lines: Sequence[ComposedLine],
    of: Mapping[int, Subscription],
    period: Period,
) -> ComposedLine:
    composed = compose_percentage(subscription, lines, of, period=period).line
    assert composed is not None
    return replace(composed, tax_category=case.tax_category, tax_rate=Decimal(case.tax))


def _composed(case: Case, subscription: Subscription, rated: Any) -> ComposedLine:
    return ComposedLine(
        subscription_id=subscription.pk,
        client_id=CLIENT.pk,
        description=subscription.plan.name,
        quantity=rated.quantity,
        unit=rated.unit,
        amount=rated.amount,
        tax_category=case.tax_category,
        tax_rate=Decimal(case.tax),
        working=rated.working,
        evidence=[],
    )


def _decided(
    selection: Mapping[str, str], subscription: Subscription, line: Line, place: int, period: Period
) -> DecidedDays:
    plan = subscription.plan
    days = days_of(selection.get("billable", ""), period) & days_of(line.runs, period)
    figures = list(_figures(selection["sizes"], period))
    before = period.first_day - timedelta(days=1)
    filled = fill_days(
        figures,
        period=period,
        billable=days,
        due=days_of(selection.get("due", ""), period),
        carry_days=plan.carry_days,
        before=_figure(before, 2, selection["before"]) if "before" in selection else None,
    )
    if METERS[plan.meter].TAKES == "largest":
        filled = by_largest(filled, figures)
    machine = SimpleNamespace(name=selection["machine"], pk=selection["machine"]) if "machine" in selection else None
    covered = Covered(
        selection=SimpleNamespace(pk=place, machine=machine), client=CLIENT, name=selection["name"], days=days
    )
    return DecidedDays(covered=covered, days=filled, held=())


def days_of(text: str, period: Period) -> frozenset[date]:
    """The days that "1-10, 15" names; all of the period if it names none."""
    if not text:
        return frozenset(period.days())
    places = [place for part in text.split(", ") for place in _span(part)]
    return frozenset(period.first_day + timedelta(days=place - 1) for place in places)


def _figures(text: str, period: Period) -> Iterable[Measurement]:
    """The figures of "1-10: 200, 11 at 22: 60": days, the hour of the run, and the size in GB."""
    for part in text.split(", "):
        found = re.fullmatch(r"([0-9-]+)(?: at ([0-9]+))?: ([0-9.]+)", part)
        assert found, f"{part!r} is not a size"
        for place in _span(found[1]):
            yield _figure(period.first_day + timedelta(days=place - 1), int(found[2] or 2), found[3])


def _figure(day: date, hour: int, gigabytes: str) -> Measurement:
    size = Decimal(gigabytes) * 10**9
    assert size == int(size), "a size is whole bytes"
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return Measurement(day=day, quantity=int(size), measured_at=at, run_key=str(hour), source=f"run:{day}:{hour}")


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
