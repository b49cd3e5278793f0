"""Composes lines that are a percentage of other lines, such as support at 15 % of the backup lines of the same client.

Composed after all lines of sizes, from their amounts, whatever order these came in. Such a subscription covers no
selections: it stands beside the one that charges the sizes. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from billing.coverage import running_days
from billing.days import Period
from billing.deciding_days import Held
from billing.exact import number_text
from billing.lines import Composed, ComposedLine
from billing.models import Subscription
from billing.params import BadParams
from billing.percentages import codes_of
from billing.plans import plan_record, terms_of
from billing.pricing.rate import Base, Rated, rate_percentage


def compose_percentage(
    subscription: Subscription, lines: Sequence[ComposedLine], of: Mapping[int, Subscription], *, period: Period
) -> Composed:
    """The line of one subscription, given the document's lines of sizes and the subscriptions they are ``of``.

    No line if there is none that the percentage could be taken of.
    """
    plan, running = subscription.plan, running_days(subscription, period=period)
    try:
        chosen = _chosen(subscription, lines, of, running=running)
        if not chosen:
            return Composed(None, ())
        share = Fraction(len(running), len(period))
        bases = [base for _, base in chosen]
        rated = rate_percentage(bases, terms=terms_of(plan), currency=plan.currency, proration=share)
    except BadParams as bad:
        return Composed(None, (Held(f"Plan {plan} cannot be computed: {bad}.", (f"plan:{plan.pk}",)),))
    told = [{"subscription": str(of[line.subscription_id or 0].uid), "amount": str(line.amount)} for line, _ in chosen]
    return Composed(_line(subscription, rated, told, running=running, period=period), ())


def _chosen(
    subscription: Subscription,
    lines: Sequence[ComposedLine],
    of: Mapping[int, Subscription],
    *,
    running: frozenset[date],
) -> list[tuple[ComposedLine, Base]]:
    """The named plans' lines for the same client or reseller, each with the share of its days that count."""
    codes = codes_of(subscription.plan.price_params)
    chosen = []
    for line in lines:
        theirs = of.get(line.subscription_id or 0)
        if theirs is None or line.kind != "usage" or theirs.plan.code not in codes or not _same(theirs, subscription):
            continue
        share = share_of_days(line.working, running)
        if share:
            chosen.append((line, Base(name=line.description, amount=line.amount, share=share)))
    return chosen


def _same(theirs: Subscription, ours: Subscription) -> bool:
    return (theirs.client_id, theirs.reseller_id) == (ours.client_id, ours.reseller_id)


def share_of_days(working: Mapping[str, Any], running: frozenset[date]) -> Fraction:
    """Of the days that a line charges, the share on which the percentage runs too."""
    keys = {day["key"].rpartition("/")[2] for day in working["days"] if day["state"] != "not_billable"}
    days = {date.fromisoformat(key) for key in keys}
    return Fraction(len(days & running), len(days)) if days else Fraction(0)


def _line(
    subscription: Subscription,
    rated: Rated,
    told: list[dict[str, str]],
    *,
    running: frozenset[date],
    period: Period,
) -> ComposedLine:
    plan = subscription.plan
    return ComposedLine(
        subscription_id=subscription.pk,
        client_id=subscription.client_id,
        kind="percentage",
        description=_description(subscription, running, period),
        quantity=rated.quantity,
        unit=rated.unit,
        amount=rated.amount,
        working={**rated.working, "billable_days": len(running), "lines": told, "plan": plan_record(plan)},
        evidence=[],
    )


def _description(subscription: Subscription, running: frozenset[date], period: Period) -> str:
    plan = subscription.plan
    percent = Fraction(plan.price_params["percent"])
    who = str(subscription.client or subscription.reseller)
    days = f"{period.first_day:%B %Y}" if len(running) == len(period) else f"{min(running)} to {max(running)}"
    codes = ", ".join(codes_of(plan.price_params))
    return f"{who}: {plan.name}, {number_text(percent)} % of {codes}, {days}"[:300]
