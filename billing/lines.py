"""Composes invoice lines: the decided days of what a subscription covers, metered, priced, with working and evidence.

Nothing here writes. The working comes from the code that computes the amount; what a person must decide first is held.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.coverage import Covered, running_share
from billing.days import DayValue, Period, billable_days
from billing.deciding_days import DecidedDays, Held, decide_days
from billing.evidence import RunKey, RunProof, evidence_of
from billing.figures import Ledger
from billing.metering import METERS, AcceptMissing, Measured, measure_selections
from billing.metrics import BY_NAME
from billing.models import Plan, Subscription
from billing.params import BadParams
from billing.plans import meter_params_of, plan_record, terms_of
from billing.pricing.priced import ONE_OF_EACH, Covering
from billing.pricing.rate import Rated, rate
from billing.taking import as_things, thing_days


@dataclass(frozen=True)
class Decisions:
    """What persons decided about one invoice: the keys of what it was about, and the last word on missing days.

    ``left_out`` are the keys of corrections that are not to stand on it.
    """

    keys: frozenset[str]
    accept_missing: AcceptMissing | None
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ComposedLine:
    """A line ready to be stored. ``client_id`` is empty for a reseller's line; ``working`` recomputes to ``amount``.

    ``kind`` is one of LINE_KINDS; a line that is not of usage may have no subscription. A line of a subscription gets
    its tax once composed, from ``billing.taxing``.
    """

    subscription_id: int | None
    client_id: int | None
    kind: str = "usage"
    description: str
    quantity: Decimal
    unit: str
    amount: Decimal
    tax_category: str = ""
    tax_rate: Decimal = Decimal(0)
    working: dict[str, Any]
    evidence: list[dict[str, Any]]


@dataclass(frozen=True)
class Composed:
    """What became of one subscription: a line, or none if nothing is charged; and what is held about it."""

    line: ComposedLine | None
    held: tuple[Held, ...]


UNDECIDED = Decisions(keys=frozenset(), accept_missing=None)


def compose_line(
    subscription: Subscription,
    covered: Sequence[Covered],
    ledger: Ledger,
    proofs: Mapping[RunKey, RunProof],
    *,
    period: Period,
    decisions: Decisions,
) -> Composed:
    """One subscription's line of a period."""
    plan = subscription.plan
    decided = [decide_days(each, ledger, plan=plan, period=period) for each in covered]
    held = _undecided([held for each in decided for held in each.held], decisions.keys)
    charged = [each for each in decided if billable_days(each.days)]
    if not charged:
        return Composed(None, held)
    try:
        rated = rated_of(subscription, charged, period=period, accept_missing=_accepted(charged, decisions))
    except BadParams as bad:
        broken = Held(f"Plan {plan} cannot be computed: {bad}.", (f"plan:{plan.pk}",))
        return Composed(None, (*held, broken))
    held += _uncarried(subscription, rated, _accepted(charged, decisions))
    return Composed(_line(subscription, charged, ledger, proofs, rated=rated, period=period), held)


def _undecided(held: Sequence[Held], keys: Collection[str]) -> tuple[Held, ...]:
    return tuple(each for each in held if not set(each.keys) <= set(keys))


def _accepted(charged: Sequence[DecidedDays], decisions: Decisions) -> AcceptMissing | None:
    """The decision on missing days, once it covers every one of them that this line has."""
    missing = {
        f"missing:{each.covered.selection.pk}:{day.day}"
        for each in charged
        for day in each.days
        if day.state == "missing"
    }
    return decisions.accept_missing if missing <= decisions.keys else None


def _uncarried(subscription: Subscription, rated: Rated, accepted: AcceptMissing | None) -> tuple[Held, ...]:
    """Days that were to be charged by the last figure known, where there is none: still held, not left out unseen."""
    days = rated.working["held_days"]
    if accepted != "carry" or not days:
        return ()
    who = subscription.selection or subscription.client or subscription.reseller
    sentence = f"{who}: there is no earlier figure to charge on {', '.join(days)}; leave these days out instead."
    return (Held(sentence, tuple(f"missing:{subscription.pk}:uncarried:{day}" for day in days)),)


def rated_of(
    subscription: Subscription,
    charged: Sequence[DecidedDays],
    *,
    period: Period,
    accept_missing: AcceptMissing | None,
) -> Rated:
    """What a subscription's plan charges for these days."""
    plan = subscription.plan
    measured = measured_of(plan, charged, params=meter_params_of(plan, accept_missing=accept_missing))
    share = Fraction(measured.billable_days, len(period))
    if METERS[plan.meter].WHOLE:
        share = running_share(subscription, period=period)
    terms = terms_of(plan)
    covering = _covering(plan, charged, of_days=measured.billable_days) if terms.counts else ONE_OF_EACH
    return rate(measured, terms=terms, currency=plan.currency, proration=share, covering=covering)


def _covering(plan: Plan, charged: Sequence[DecidedDays], *, of_days: int) -> Covering:
    """The days of what the line covers; where the meter counts selections whole, each is there on every day."""
    selections = {each.covered.name: each.days for each in charged}
    machines = as_things(selections, thing_of={each.covered.name: _machine(each.covered) for each in charged})
    if METERS[plan.meter].WHOLE:
        numbers = (len(selections) * of_days, len(machines) * of_days)
    else:
        numbers = (thing_days(selections), thing_days(machines))
    return Covering(selection_days=numbers[0], machine_days=numbers[1], days=of_days)


def measured_of(plan: Plan, charged: Sequence[DecidedDays], *, params: Any) -> Measured:
    """What a plan's meter makes of these days."""
    days: Mapping[str, Sequence[DayValue]] = {each.covered.name: each.days for each in charged}
    things = things_of(plan, charged)
    if plan.metric == "machines":
        days = _machine_days(days, things)
    elif things:
        days = as_things(days, thing_of=things)
    return measure_selections(plan.meter, days, unit=plan.unit, params=params, pool=plan.pool)


def _machine_days(days: Mapping[str, Sequence[DayValue]], things: Mapping[str, str]) -> dict[str, Sequence[DayValue]]:
    """The days of each machine once, whatever selections are on it; numbers that a person gave stay as they are."""
    single = {name: each for name, each in days.items() if all(day.quantity in (None, 1) for day in each)}
    return {**as_things(single, thing_of=things), **{name: days[name] for name in days.keys() - single.keys()}}


def things_of(plan: Plan, charged: Sequence[DecidedDays]) -> dict[str, str]:
    """The name of the thing that each selection counts as; empty unless the plan's meter counts things."""
    if plan.metric == "machines":
        return {each.covered.name: _machine(each.covered) for each in charged}
    if METERS[plan.meter].TAKES != "things":
        return {}
    counted = plan.meter_params.get("things")
    return {
        each.covered.name: _machine(each.covered) if counted == "machines" else each.covered.name for each in charged
    }


def _machine(covered: Covered) -> str:
    """The machine that the selection is on; a selection on no machine is one of its own."""
    machine = covered.selection.machine
    return f"{machine.name} ({machine.pk})" if machine else covered.name


def _line(
    subscription: Subscription,
    charged: Sequence[DecidedDays],
    ledger: Ledger,
    proofs: Mapping[RunKey, RunProof],
    *,
    rated: Rated,
    period: Period,
) -> ComposedLine:
    plan = subscription.plan
    return ComposedLine(
        subscription_id=subscription.pk,
        client_id=subscription.client_id,
        description=_description(subscription, charged, period),
        quantity=rated.quantity,
        unit=rated.unit,
        amount=rated.amount,
        working={
            **rated.working,
            "plan": plan_record(plan),
            "size_contract": subscription.agreement.size_contract,
        },
        evidence=evidence_of(
            charged,
            ledger,
            proofs,
            metric=plan.metric,
            takes=METERS[plan.meter].TAKES,
            things=things_of(plan, charged),
        ),
    )


def _description(subscription: Subscription, charged: Sequence[DecidedDays], period: Period) -> str:
    """Who, which plan, how it was metered and counted; days only where it is not the whole month."""
    plan = subscription.plan
    who = str(subscription.selection or subscription.client or subscription.reseller)
    days = [day for each in charged for day in each.days if day.state != "not_billable"]
    bases = sorted({day.basis for day in days if day.basis})
    counted = f" (counted {', '.join(bases)})" if bases else ""
    words = f"{who}: {plan.name}, {METERS[plan.meter].LABEL.lower()} of {_metered(plan)}{counted}"
    return f"{words}, {_span(days, period)}"[:300]


def _metered(plan: Plan) -> str:
    if METERS[plan.meter].TAKES == "things":
        return str(plan.meter_params.get("things"))
    return BY_NAME[plan.metric].label


def _span(days: Sequence[DayValue], period: Period) -> str:
    first: date = min(day.day for day in days)
    last: date = max(day.day for day in days)
    if len({day.day for day in days}) == len(period):
        return f"{period.first_day:%B %Y}"
    return f"{first} to {last}"
