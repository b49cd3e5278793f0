"""Composes the lines of corrections: what a billed month comes to as known now, less what was billed and corrected.

One line a corrected document and tax. Within the seller's cap it is simply billed; above it, and where the month would
be held today, it waits until a person accepts it or leaves it out. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.deciding_days import Held
from billing.exact import number_text
from billing.lines import ComposedLine, Decisions
from billing.models import BillTo
from billing.money import money_text, round_money
from billing.pricing.priced import finish
from billing.working import Operand, Ref, Steps, Term


@dataclass(frozen=True, kw_only=True)
class DeltaPart:
    """The lines of one tax: as known now, as billed; what earlier corrections and credit notes made of it."""

    tax_category: str
    tax_rate: Decimal
    recomputed: Decimal
    billed: Decimal
    corrected: Decimal
    credited: Decimal

    @property
    def amount(self) -> Decimal:
        """What is still to be billed. A credit note settles only what is to be given back: it may be a kindness."""
        left = self.recomputed - self.billed - self.corrected
        return min(left - self.credited, Decimal(0)) if left < 0 else left


@dataclass(frozen=True, kw_only=True)
class Delta:
    """The correction of one final document. ``most`` is the seller's cap; ``held`` why it would be held today.

    ``evidence`` are the days that changed, as known now.
    """

    bill_to: BillTo
    invoice_uid: str
    number: str
    first_day: date
    last_day: date
    currency: str
    parts: tuple[DeltaPart, ...]
    evidence: tuple[dict[str, Any], ...]
    most: Decimal
    held: tuple[str, ...] = ()

    @property
    def amount(self) -> Decimal:
        return sum((part.amount for part in self.parts), Decimal(0))

    @property
    def key(self) -> str:
        """What a decision about it names: this month, corrected by this amount."""
        return f"delta:{self.first_day}:{number_text(self.amount)}"


@dataclass(frozen=True)
class ComposedDelta:
    """Its lines, none if it is left out, and what is held about it."""

    lines: tuple[ComposedLine, ...]
    held: tuple[Held, ...]


def compose_delta(delta: Delta, decisions: Decisions) -> ComposedDelta:
    """The lines of one correction, by what was decided about it."""
    if delta.key in decisions.left_out:
        return ComposedDelta((), ())
    parts = [part for part in delta.parts if part.amount]
    lines = tuple(_line(delta, part, is_first=place == 0) for place, part in enumerate(parts))
    return ComposedDelta(lines, () if delta.key in decisions.keys else _held(delta))


def _held(delta: Delta) -> tuple[Held, ...]:
    what = f"{delta.first_day:%B %Y}, invoice {delta.number}"
    if delta.held:
        sentence = f"{what} would be corrected by {_money(delta)}, but it would be held today: {' '.join(delta.held)}"
    elif abs(delta.amount) > delta.most:
        cap = money_text(round_money(delta.most, delta.currency), delta.currency)
        sentence = f"{what} is corrected by {_money(delta)}, which is more than the {cap} that are billed unasked."
    else:
        return ()
    return (Held(sentence, (delta.key,)),)


def _money(delta: Delta) -> str:
    return money_text(delta.amount, delta.currency)


def _line(delta: Delta, part: DeltaPart, *, is_first: bool) -> ComposedLine:
    steps = Steps()
    key = _steps(steps, part, currency=delta.currency)
    priced = finish(steps, key=key, currency=delta.currency)
    return ComposedLine(
        subscription_id=None,
        client_id=None,
        kind="delta",
        description=_description(delta, part),
        quantity=Decimal(1 if priced.amount > 0 else -1),
        unit="each",
        amount=priced.amount,
        tax_category=part.tax_category,
        tax_rate=part.tax_rate,
        working={
            "days": [],
            "plan": {},
            **priced.working,
            "about": f"{delta.first_day:%Y-%m}",
            "corrects": {
                "invoice": delta.invoice_uid,
                "number": delta.number,
                "first_day": delta.first_day.isoformat(),
                "last_day": delta.last_day.isoformat(),
                "billed": str(part.billed),
            },
        },
        evidence=list(delta.evidence) if is_first else [],
    )


def _description(delta: Delta, part: DeltaPart) -> str:
    before = f", corrected before by {part.corrected + part.credited}" if part.corrected or part.credited else ""
    return (
        f"{delta.first_day:%B %Y}, invoice {delta.number}: recomputed {part.recomputed}, billed {part.billed}{before}"
    )[:300]


def _steps(steps: Steps, part: DeltaPart, *, currency: str) -> str:
    """From the two sums to what is still to be billed; answers the key of the last step."""
    recomputed, billed = Term(part.recomputed, currency), Term(part.billed, currency)
    last, left = "difference", steps.add(
        "difference", "subtract", recomputed, billed, label="Recomputed as known now, less what was billed",
        unit=currency,
    )  # fmt: skip
    if part.corrected:
        left = steps.add("left", "subtract", Ref(last), Term(part.corrected, currency),
                         label="Less what was corrected already", unit=currency)  # fmt: skip
        last = "left"
    return _credit_steps(steps, part, last, left, currency=currency)


def _credit_steps(steps: Steps, part: DeltaPart, last: str, left: Fraction, *, currency: str) -> str:
    if left >= 0 or not part.credited:
        return last
    steps.add("uncredited", "subtract", Ref(last), Term(part.credited, currency),
              label="Less what credit notes gave back already", unit=currency)  # fmt: skip
    operands: list[Operand] = [Ref("uncredited"), Term(0, currency)]
    steps.add("given_back", "smaller", *operands, label="No more than to nothing", unit=currency)
    return "given_back"
