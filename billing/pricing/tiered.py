"""Tiered: each band of the quantity at its own rate; crossing a boundary changes only what lies above it."""

from __future__ import annotations

from dataclasses import dataclass, field

from billing.params import told
from billing.pricing.priced import Band, Charge, band_name, band_range, check_bands
from billing.working import Operand, Ref, Steps, Term

LABEL = "Tiered"
HELP = "Each band of the quantity costs its own rate: the first 100 units at one price, what is above at another."
COUNTS = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """The bands in rising order; the last one is open."""

    tiers: tuple[Band, ...] = field(metadata=told("Bands in rising order; the last one is open."))

    def __post_init__(self) -> None:
        check_bands(self.tiers)


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """The part of the quantity in each band times that band's rate, added up."""
    reached = [
        place
        for place in range(len(params.tiers))
        if place == 0 or charge.quantity > band_range(params.tiers, place)[0]
    ]
    amounts: list[Operand] = [_band_amount(steps, charge, params, place) for place in reached]
    steps.add("price", "add", *amounts, label="Bands added up", unit=charge.currency)
    return "price"


def _band_amount(steps: Steps, charge: Charge, params: Params, place: int) -> Ref:
    begins, ends = band_range(params.tiers, place)
    words = band_name(begins, ends, charge.unit)
    inside, amount = f"band_{place + 1}_quantity", f"band_{place + 1}"
    capped: Operand = Ref(charge.key)
    if ends is not None:
        label = f"What is not above {ends:f} {charge.unit}"
        steps.add(f"{inside}_top", "smaller", capped, Term(ends, charge.unit), label=label, unit=charge.unit)
        capped = Ref(f"{inside}_top")
    label = f"In the band {words}"
    steps.add(inside, "subtract", capped, Term(begins, charge.unit), label=label, unit=charge.unit)
    each = Term(params.tiers[place].unit_price, charge.currency)
    steps.add(amount, "multiply", Ref(inside), each, label=f"Band {words}", unit=charge.currency)
    return Ref(amount)
