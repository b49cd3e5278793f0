"""Volume: the whole quantity at the rate of the band it reaches.

Just above a boundary all units get the next rate, so the amount may drop there: a larger quantity can cost less.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from billing.params import told
from billing.pricing.priced import Band, Charge, band_name, band_range, check_bands
from billing.working import Ref, Steps, Term

LABEL = "Volume"
HELP = "All units cost the rate of the band that the whole quantity reaches."
COUNTS = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """The bands in rising order; the last one is open."""

    tiers: tuple[Band, ...] = field(metadata=told("Bands in rising order; the last one is open."))

    def __post_init__(self) -> None:
        check_bands(self.tiers)


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """The whole quantity times the rate of the band it lies in."""
    place = _band_reached(charge, params)
    words = band_name(*band_range(params.tiers, place), charge.unit)
    each = Term(params.tiers[place].unit_price, charge.currency)
    label = f"All at the price of the band {words}"
    steps.add("price", "multiply", Ref(charge.key), each, label=label, unit=charge.currency)
    return "price"


def _band_reached(charge: Charge, params: Params) -> int:
    ends = [band.up_to for band in params.tiers]
    return next(place for place, end in enumerate(ends) if end is None or charge.quantity <= end)
