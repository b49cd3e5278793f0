"""What a price answers, and the bands that tiered and volume prices share.

A price adds its steps to the working it is given and leaves the amount exact; ``finish`` rounds it, once, at the end of
a line. A quantity on the boundary of two bands belongs to the lower one: "up to 100" includes 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from billing.exact import number_text
from billing.money import currency_of, round_money
from billing.params import BadParams, require_not_negative, told
from billing.working import Ref, Steps, Term, Working

#: What a fee or an allowance can be for.
Thing = Literal["selection", "machine"]


@dataclass(frozen=True, kw_only=True)
class Priced:
    """``exact`` as computed; ``amount`` rounded half-up to the currency, once; ``working`` leads to ``amount``."""

    exact: Fraction
    amount: Decimal
    working: Working


@dataclass(frozen=True, kw_only=True)
class Covering:
    """What a line covers: days of its selections and of its machines, over ``days`` of the line.

    Two selections on 10 and 31 of 31 days are 41 selection-days: 41/31 selections on average.
    """

    selection_days: int = 1
    machine_days: int = 1
    days: int = 1

    def __post_init__(self) -> None:
        if self.days < 1 or self.selection_days < 0 or self.machine_days < 0:
            raise ValueError(f"a line covers days, not {self}")

    def days_of(self, thing: Thing) -> int:
        """The days of all things of this kind, added up."""
        return self.selection_days if thing == "selection" else self.machine_days


#: What is said of a line where nothing is known of it: one selection on one machine, on every day.
ONE_OF_EACH = Covering()


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What is to be priced: the key of the step that holds the quantity, its value, unit and the currency."""

    key: str
    quantity: Fraction
    unit: str
    currency: str
    covering: Covering = ONE_OF_EACH


@dataclass(frozen=True, kw_only=True)
class Band:
    """A range of quantities with its own unit price: above ``above``, up to and including ``up_to``."""

    unit_price: Decimal = field(metadata=told("Price of one unit in this band."))
    up_to: Decimal | None = field(
        default=None, metadata=told("Where the band ends, included in it; empty for the last band.")
    )
    above: Decimal | None = field(
        default=None,
        metadata=told("Where the band begins. Left empty in all bands, each begins where the one before ends."),
    )


def add_number_of(steps: Steps, thing: Thing, covering: Covering) -> str:
    """The step with the number of covered things, averaged over the line's days; written once. Answers its key."""
    key = f"{thing}s"
    if not steps.has(key):
        held, days = Term(covering.days_of(thing), f"{thing}-days"), Term(covering.days, "days")
        steps.add(key, "divide", held, days, label=f"{key.capitalize()} covered, on average", unit=key)
    return key


def check_bands(tiers: Sequence[Band]) -> None:
    """Refuse bands that do not cover every quantity exactly once. Raises BadParams naming the band."""
    if not tiers:
        raise BadParams("tiers", "there must be at least one band")
    _check_starts_stated_alike(tiers)
    end = Decimal(0)
    for place, band in enumerate(tiers, start=1):
        name = f"tiers[{place}]"
        require_not_negative(band.unit_price, field=f"{name}.unit_price", what="a price")
        _check_begins(band, end, name=name)
        end = _check_ends(band, end, name=name, is_last=place == len(tiers))


def band_range(tiers: Sequence[Band], place: int) -> tuple[Decimal, Decimal | None]:
    """Where the band at this place (from 0) begins and ends."""
    begins = Decimal(0) if place == 0 else tiers[place - 1].up_to
    if begins is None:
        raise AssertionError("only the last band is open, as check_bands saw to")
    return begins, tiers[place].up_to


def band_name(begins: Decimal, ends: Decimal | None, unit: str) -> str:
    """The band in words: "from 0 to 100 GB", "above 100 GB"."""
    if ends is None:
        return f"above {number_text(begins)} {unit}"
    return f"from {number_text(begins)} to {number_text(ends)} {unit}"


def finish(steps: Steps, *, key: str, currency: str) -> Priced:
    """Round the step's amount once and close the working with it as its total."""
    exact = steps.value(key)
    amount = round_money(exact, currency)
    decimals = Term(currency_of(currency).decimals)
    steps.add("amount", "round_half_up", Ref(key), decimals, label="Rounded once, half up", unit=currency)
    working: Working = {"currency": currency, "total": str(amount), "steps": steps.written()}
    return Priced(exact=exact, amount=amount, working=working)


def _check_starts_stated_alike(tiers: Sequence[Band]) -> None:
    stated = sum(band.above is not None for band in tiers)
    if stated not in (0, len(tiers)):
        raise BadParams("tiers", "either every band states where it begins, or none does")


def _check_begins(band: Band, end: Decimal, *, name: str) -> None:
    if band.above is None or band.above == end:
        return
    what = "a hole" if band.above > end else "an overlap"
    raise BadParams(f"{name}.above", f"there is {what}: the band before ends at {end}, this one begins at {band.above}")


def _check_ends(band: Band, begins: Decimal, *, name: str, is_last: bool) -> Decimal:
    if is_last:
        if band.up_to is not None:
            raise BadParams(f"{name}.up_to", f"the last band must be open, or more than {band.up_to} has no price")
        return begins
    if band.up_to is None:
        raise BadParams(f"{name}.up_to", "only the last band may be open; say where this one ends")
    if band.up_to <= begins:
        raise BadParams(f"{name}.up_to", f"bounds must rise, but {band.up_to} does not come after {begins}")
    return band.up_to
