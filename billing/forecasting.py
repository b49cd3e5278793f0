"""The month so far, and what it may come to: a floor that is certain already, and two ways the days left may go.

Floor: what the days that are over are charged, as if everything ended today. Steady: the days left by the last figures.
Growing: each selection goes on by what it grew in the last 30 days, day by day (one that shrank is taken as steady).
Missing days are charged by the last figure. Percentages of other lines and one-off charges are not in it. Reads only,
in a fixed number of queries; nothing is stored and nothing is billed by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from billing.coverage import covered_by, ownership_of, subscriptions_of
from billing.days import DayValue, Period, billable_days, month_of
from billing.deciding_days import DecidedDays, decide_days
from billing.exact import number_text
from billing.figures import Figures, Ledger, read_ledger
from billing.lines import rated_of
from billing.metrics import COUNTS
from billing.models import Plan, Subscription
from billing.params import BadParams
from billing.percentages import is_percentage
from billing.periods import local_day
from billing.units import size_of
from msp.tenants.models import Tenant

GROWTH_DAYS = 30
#: How far ahead a boundary is told.
NOTICE_DAYS = 60
TIERED = frozenset({"tiered", "volume"})


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A tier or an allowance that is about to be passed: the size in the plan's unit, the day, and the price after."""

    boundary: Decimal
    unit: str
    day: date
    sentence: str


@dataclass(frozen=True, kw_only=True)
class ForecastLine:
    """One subscription; amounts net in ``currency``. ``problem`` says why it cannot be reckoned."""

    subscription: UUID
    client: UUID | None
    layer: str
    who: str
    plan: str
    currency: str
    floor: Decimal
    steady: Decimal
    growing: Decimal
    notices: tuple[Notice, ...]
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ForecastTotal:
    """All lines of a currency and layer."""

    currency: str
    layer: str
    floor: Decimal
    steady: Decimal
    growing: Decimal


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The month that is running; ``days_over`` of its ``days`` are over."""

    first_day: date
    last_day: date
    days: int
    days_over: int
    lines: tuple[ForecastLine, ...]
    totals: tuple[ForecastTotal, ...]


def forecast(tenant: Tenant, *, now: datetime, client_id: int | None = None) -> Forecast:
    """Of all subscriptions that run in this month, or of one client's."""
    today = local_day(now, zone=tenant.timezone)
    period = month_of(today.year, today.month)
    running = [each for each in subscriptions_of(tenant.pk, period=period) if not is_percentage(each.plan)]
    running = [each for each in running if client_id in (None, each.client_id)]
    links = ownership_of(tenant.pk, running, period=period)
    covered = {each.pk: covered_by(each, links, period=period) for each in running}
    selections = {one.selection.pk: one.selection for each in covered.values() for one in each}
    metrics = {each.plan.metric for each in running}
    wide = Period(first_day=period.first_day - timedelta(days=GROWTH_DAYS + 1), last_day=period.last_day)
    ledger = read_ledger(tenant.pk, selections, metrics, period=wide, cut_off=now, largest=True)
    lines = [
        _line(each, [decide_days(one, ledger, plan=each.plan, period=period) for one in covered[each.pk]], ledger,
              period=period, today=today)
        for each in running
    ]  # fmt: skip
    return Forecast(
        first_day=period.first_day,
        last_day=period.last_day,
        days=len(period),
        days_over=(today - period.first_day).days,
        lines=tuple(sorted(lines, key=lambda line: (line.layer, -line.growing, line.who))),
        totals=_totals(lines),
    )


def _line(
    subscription: Subscription, decided: Sequence[DecidedDays], ledger: Ledger, *, period: Period, today: date
) -> ForecastLine:
    growth = {each.covered.selection.pk: _growth(each, ledger, subscription.plan) for each in decided}
    problem, amounts = "", (Decimal(0), Decimal(0), Decimal(0))
    try:
        amounts = (
            _amount(subscription, decided, lambda each: _until(each.days, today), period=period),
            _amount(subscription, decided, lambda each: _onward(each.days, today, Fraction(0)), period=period),
            _amount(
                subscription,
                decided,
                lambda each: _onward(each.days, today, growth[each.covered.selection.pk]),
                period=period,
            ),
        )
    except BadParams as bad:
        problem = f"The plan cannot be computed: {bad}."
    return ForecastLine(
        subscription=subscription.uid,
        client=subscription.client.uid if subscription.client else None,
        layer=subscription.layer,
        who=str(subscription.selection or subscription.client or subscription.reseller),
        plan=str(subscription.plan),
        currency=subscription.plan.currency,
        floor=min(amounts),
        steady=amounts[1],
        growing=max(amounts),
        notices=tuple(_notices(subscription.plan, decided, growth, today=today)),
        problem=problem,
    )


def _amount(
    subscription: Subscription,
    decided: Sequence[DecidedDays],
    days_of: Callable[[DecidedDays], tuple[DayValue, ...]],
    *,
    period: Period,
) -> Decimal:
    shown = [replace(each, days=days_of(each)) for each in decided]
    charged = [each for each in shown if billable_days(each.days)]
    if not charged:
        return Decimal(0)
    return rated_of(subscription, charged, period=period, accept_missing="carry").amount


def _until(days: Sequence[DayValue], today: date) -> tuple[DayValue, ...]:
    """As if all ended today."""
    return tuple(day if day.day < today else DayValue(day=day.day, state="not_billable", quantity=None) for day in days)


def _onward(days: Sequence[DayValue], today: date, growth: Fraction) -> tuple[DayValue, ...]:
    """Days not over yet by the last figure, and by so many bytes more each day."""
    shown: list[DayValue] = []
    for day in days:
        last = day.quantity if day.quantity is not None else day.last_quantity
        if day.day < today or day.state in ("not_billable", "measured") or last is None:
            shown.append(day)
            continue
        size = last + int(growth * ((day.day - today).days + 1))
        shown.append(DayValue(day=day.day, state="measured", quantity=size, last_quantity=size))
    return tuple(shown)


def _growth(decided: DecidedDays, ledger: Ledger, plan: Plan) -> Fraction:
    """Bytes a day over the last 30 days; 0 for what shrank, is too young, or is a number."""
    if plan.metric in COUNTS:
        return Fraction(0)
    known: Figures = ledger.of(decided.covered.selection.pk, plan.metric)
    figures = sorted(known.counted, key=lambda each: (each.local_day, each.measured_at))
    if not figures:
        return Fraction(0)
    last = figures[-1]
    first = next((each for each in figures if each.local_day >= last.local_day - timedelta(days=GROWTH_DAYS)), last)
    days = (last.local_day - first.local_day).days
    if days < GROWTH_DAYS // 3:
        return Fraction(0)
    return max(Fraction(last.quantity - first.quantity, days), Fraction(0))


def _notices(
    plan: Plan, decided: Sequence[DecidedDays], growth: Mapping[int, Fraction], *, today: date
) -> Iterable[Notice]:
    """Boundaries that the last size of all selections together passes soon, growing on as it did."""
    size, grows = Fraction(0), Fraction(0)
    for each in decided:
        last = next((day for day in reversed(each.days) if day.state != "not_billable"), None)
        if last is not None:
            size += last.quantity if last.quantity is not None else last.last_quantity or 0
            grows += growth[each.covered.selection.pk]
    for boundary, words in _boundaries(plan):
        ahead = Fraction(boundary) * size_of(plan.unit) - size
        if ahead <= 0 or grows <= 0:
            continue
        days = -(-ahead // grows)
        if days <= NOTICE_DAYS:
            day = today + timedelta(days=int(days))
            shown = f"{number_text(boundary)} {plan.unit}"
            yield Notice(
                boundary=boundary,
                unit=plan.unit,
                day=day,
                sentence=f"Passes {shown} about {day.day} {day:%B}, growing as in the last 30 days: {words}.",
            )


def _boundaries(plan: Plan) -> Iterable[tuple[Decimal, str]]:
    """(size in the plan's unit, what is charged from there on)."""
    if plan.allowance_each:
        return  # the allowance moves with the number of selections
    if plan.allowance:
        yield plan.allowance, "what is above is charged"
    if plan.price not in TIERED:
        return
    tiers = plan.price_params.get("tiers", ())
    for tier, following in pairwise(tiers):
        price = f"{following.get('unit_price', '')} {plan.currency} a {plan.unit}"
        words = f"what is above costs {price}" if plan.price == "tiered" else f"then all of it costs {price}"
        yield plan.allowance + Decimal(str(tier["up_to"])), words


def _totals(lines: Sequence[ForecastLine]) -> tuple[ForecastTotal, ...]:
    groups: dict[tuple[str, str], list[ForecastLine]] = defaultdict(list)
    for line in lines:
        groups[line.layer, line.currency].append(line)
    return tuple(
        ForecastTotal(
            currency=currency,
            layer=layer,
            floor=sum((line.floor for line in group), Decimal(0)),
            steady=sum((line.steady for line in group), Decimal(0)),
            growing=sum((line.growing for line in group), Decimal(0)),
        )
        for (layer, currency), group in sorted(groups.items())
    )
