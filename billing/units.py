"""Units that a plan can bill in, with their exact sizes: GB is 10^9 bytes and GiB is 2^30, never one for the other.

Bytes become a quantity without rounding; a quantity is rounded once, to the plan's places. ``each`` counts things.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from billing.exact import Number, Rounding, decimal_of, rounded

#: Bytes in one of each unit; ``each`` counts things, one by one.
UNITS: Mapping[str, int] = MappingProxyType(
    {
        "byte": 1,
        "MB": 10**6,
        "MiB": 2**20,
        "GB": 10**9,
        "GiB": 2**30,
        "TB": 10**12,
        "TiB": 2**40,
        "each": 1,
    }
)


class UnknownUnit(ValueError):
    """A unit that no plan can bill in."""

    def __init__(self, unit: str) -> None:
        super().__init__(f"{unit!r} is not a unit; choose one of {', '.join(UNITS)}")
        self.unit = unit


def size_of(unit: str) -> int:
    """Bytes in one unit (1 for ``each``). Raises UnknownUnit."""
    try:
        return UNITS[unit]
    except KeyError:
        raise UnknownUnit(unit) from None


def base_unit(unit: str) -> str:
    """What the ledger counts for this unit: bytes, or things for ``each``."""
    size_of(unit)
    return "each" if unit == "each" else "byte"


def quantity_of(bytes_: int, unit: str) -> Decimal:
    """So many bytes (or things) in the unit, exactly: a byte is 0.000000000931322574615478515625 GiB."""
    exact = decimal_of(Fraction(bytes_, size_of(unit)))
    if exact is None:
        raise AssertionError(f"the size of {unit} has a factor other than 2 and 5")
    return exact


def round_quantity(quantity: Number, places: int, mode: Rounding = "half-up") -> Decimal:
    """The quantity with so many decimals: half-up (default), always up, or always down."""
    return rounded(quantity, places=places, mode=mode)
