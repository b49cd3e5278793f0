"""Composes the lines of discounts: a percentage or an amount off other lines of a document, never below zero.

Discounts are taken in their stated order, each of what the ones before it left, and stand after the last line they
belong to. Lines of different tax get a discount line each. One-off charges, credits and corrections are not discounted.
Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.coverage import running_days
from billing.days import Period
from billing.exact import number_text
from billing.lines import ComposedLine
from billing.models import Subscription
from billing.models_adjusting import Discount
from billing.money import from_minor, share, to_minor
from billing.percentage_lines import share_of_days
from billing.pricing.priced import finish
from billing.working import Operand, Ref, Steps, Term

DISCOUNTED = ("usage", "percentage")


@dataclass
class _Base:
    """A line that can be discounted: what earlier discounts took of it so far."""

    line: ComposedLine
    subscription: Subscription
    taken: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        return self.line.amount - self.taken


@dataclass(frozen=True)
class _Part:
    """A base in one discount, with the share of its days that count and what that comes to."""

    base: _Base
    share: Fraction

    @property
    def counts(self) -> Fraction:
        return Fraction(self.base.left) * self.share


def with_discounts(
    lines: Sequence[ComposedLine],
    of: Mapping[int, Subscription],
    discounts: Sequence[Discount],
    *,
    period: Period,
    currency: str,
) -> tuple[ComposedLine, ...]:
    """The lines with the discounts' lines among them; ``of`` are the subscriptions by id."""
    bases = [
        _Base(line, of[line.subscription_id or 0])
        for line in lines
        if line.kind in DISCOUNTED and line.subscription_id in of and line.amount > 0
    ]
    placed = list(lines)
    for discount in sorted(discounts, key=lambda each: (each.position, each.pk)):
        parts = _parts(discount, bases, period=period)
        left = _whole_amount(discount, period=period)
        for group in _by_tax(parts):
            line = _discount_line(discount, group, left, period=period, currency=currency)
            if line is None:
                continue
            left = None if left is None else left + Fraction(line.amount)
            last = max(_place_of(part.base.line, placed) for part in group)
            placed.insert(_after_discounts(placed, last + 1), line)
    return tuple(placed)


def _parts(discount: Discount, bases: Sequence[_Base], *, period: Period) -> list[_Part]:
    running = _days_of(discount, period=period)
    parts = []
    for base in bases:
        if base.left <= 0 or not _belongs(discount, base.subscription):
            continue
        days = running_days(base.subscription, period=period)
        if base.line.kind == "usage":
            part = share_of_days(base.line.working, running)
        else:
            part = Fraction(len(days & running), len(days)) if days else Fraction(0)
        if part:
            parts.append(_Part(base, part))
    return parts


def _belongs(discount: Discount, subscription: Subscription) -> bool:
    if subscription.agreement_id != discount.agreement_id:
        return False
    if discount.subscription_id is not None:
        return subscription.pk == discount.subscription_id
    return discount.client_id in (None, subscription.client_id)


def _days_of(discount: Discount, *, period: Period) -> frozenset[date]:
    ends_on = discount.ends_on
    return frozenset(day for day in period.days() if discount.starts_on <= day and (ends_on is None or day < ends_on))


def _whole_amount(discount: Discount, *, period: Period) -> Fraction | None:
    """What an amount comes to for the days of the period on which it runs; None for a percentage."""
    if discount.amount is None:
        return None
    return Fraction(discount.amount) * Fraction(len(_days_of(discount, period=period)), len(period))


def _by_tax(parts: Sequence[_Part]) -> list[list[_Part]]:
    groups: dict[tuple[str, Decimal], list[_Part]] = {}
    for part in parts:
        groups.setdefault((part.base.line.tax_category, part.base.line.tax_rate), []).append(part)
    return list(groups.values())


def _discount_line(
    discount: Discount, group: Sequence[_Part], left: Fraction | None, *, period: Period, currency: str
) -> ComposedLine | None:
    """The line of one discount on lines of the same tax; None if nothing comes off."""
    steps = Steps()
    if discount.percent is not None:
        _percent_steps(steps, discount.percent, group, currency=currency)
    else:
        _amount_steps(steps, discount, left or Fraction(0), group, period=period, currency=currency)
    steps.add("taken_off", "subtract", Term(0), Ref("discount"), label="Taken off", unit=currency)
    priced = finish(steps, key="taken_off", currency=currency)
    if not priced.amount:
        return None
    parts = _allot(-priced.amount, group, currency=currency)
    told = [_told(each, part) for each, part in zip(group, parts, strict=True)]
    for each, part in zip(group, parts, strict=True):
        each.base.taken += part
    of_tax = group[0].base.line
    clients = {each.base.line.client_id for each in group}
    return ComposedLine(
        subscription_id=None,
        client_id=clients.pop() if len(clients) == 1 else None,
        kind="discount",
        description=_description(discount, group, period=period),
        quantity=Decimal(number_text(discount.percent)) if discount.percent is not None else Decimal(1),
        unit="%" if discount.percent is not None else "each",
        amount=priced.amount,
        tax_category=of_tax.tax_category,
        tax_rate=of_tax.tax_rate,
        working={"days": [], "plan": {}, **priced.working, "about": str(discount.uid), "lines": told},
        evidence=[],
    )


def _told(part: _Part, taken: Decimal) -> dict[str, Any]:
    """What is kept of a line that a discount was taken of, for ``verify``."""
    line = part.base.line
    return {"subscription": str(part.base.subscription.uid), "amount": str(line.amount), "taken": str(taken)}


def _percent_steps(steps: Steps, percent: Decimal, group: Sequence[_Part], *, currency: str) -> None:
    operands: list[Operand] = [_part_step(steps, part, place, currency) for place, part in enumerate(group, start=1)]
    steps.add("lines", "add", *operands, label="Lines added up", unit=currency)
    share_term = Term(Fraction(percent) / 100)
    steps.add("discount", "multiply", Ref("lines"), share_term, label=f"{number_text(percent)} % of it", unit=currency)


def _part_step(steps: Steps, part: _Part, place: int, currency: str) -> Ref:
    key = f"line_{place}"
    _left_step(steps, part.base, key, currency)
    if part.share == 1:
        return Ref(key)
    steps.add(
        f"{key}_share", "multiply", Ref(key), Term(part.share), label=f"For {part.share} of its days", unit=currency
    )
    return Ref(f"{key}_share")


def _left_step(steps: Steps, base: _Base, key: str, currency: str) -> None:
    amount = Term(base.line.amount, currency)
    if not base.taken:
        steps.add(key, "add", amount, label=base.line.description, unit=currency)
        return
    label = f"{base.line.description}, less earlier discounts"
    steps.add(key, "subtract", amount, Term(base.taken, currency), label=label, unit=currency)


def _amount_steps(
    steps: Steps, discount: Discount, left: Fraction, group: Sequence[_Part], *, period: Period, currency: str
) -> None:
    """The amount for the days on which it runs, but no more than the lines come to."""
    for place, part in enumerate(group, start=1):
        _left_step(steps, part.base, f"line_{place}", currency)
    refs: list[Operand] = [Ref(f"line_{place}") for place in range(1, len(group) + 1)]
    steps.add("lines", "add", *refs, label="Lines added up", unit=currency)
    whole, days = discount.amount or Decimal(0), len(_days_of(discount, period=period))
    steps.add("agreed", "multiply", Term(whole, currency), Term(Fraction(days, len(period))),
              label=f"Agreed for a month, for {days} of {len(period)} days", unit=currency)  # fmt: skip
    last, gone = "agreed", steps.value("agreed") - left
    if gone:
        label = "Less what came off the lines of another tax"
        steps.add("rest", "subtract", Ref("agreed"), Term(gone, currency), label=label, unit=currency)
        last = "rest"
    steps.add("discount", "smaller", Ref(last), Ref("lines"), label="At most what there is to pay", unit=currency)


def _allot(total: Decimal, group: Sequence[_Part], *, currency: str) -> list[Decimal]:
    """What each line bears of the discount, in whole smallest units, none more than is left of it."""
    parts = [to_minor(each, currency) for each in share(total, [part.counts for part in group], currency=currency)]
    room = [to_minor(part.base.left, currency) for part in group]
    over = sum(max(part - most, 0) for part, most in zip(parts, room, strict=True))
    parts = [min(part, most) for part, most in zip(parts, room, strict=True)]
    for place, most in enumerate(room):
        more = min(over, most - parts[place])
        parts[place], over = parts[place] + more, over - more
    return [from_minor(part, currency) for part in parts]


def _place_of(line: ComposedLine, placed: Sequence[ComposedLine]) -> int:
    return next(place for place, other in enumerate(placed) if other is line)


def _after_discounts(placed: Sequence[ComposedLine], place: int) -> int:
    while place < len(placed) and placed[place].kind == "discount":
        place += 1
    return place


def _description(discount: Discount, group: Sequence[_Part], *, period: Period) -> str:
    """The name, how much, off what; days only where it is not the whole month."""
    what = f", {number_text(discount.percent)} %" if discount.percent is not None else ""
    if discount.subscription_id is not None or discount.client_id is not None:
        subscription = group[0].base.subscription
        one = subscription.selection if discount.subscription_id is not None else None
        who = str(one or subscription.client or subscription.reseller)
    else:
        who = f"agreement {discount.agreement.number}"
    running = _days_of(discount, period=period)
    days = f"{period.first_day:%B %Y}" if len(running) == len(period) else f"{min(running)} to {max(running)}"
    return f"{who}: {discount.name}{what}, {days}"[:300]
