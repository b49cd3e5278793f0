"""Exact numbers: whole fractions inside, decimals at the edges, rounding in one place.

Decimal arithmetic rounds silently at the precision of its context; a fraction never does. So every quantity and amount
is a fraction until it is rounded here, once, by integer arithmetic that no context can change. Binary floating point
does not occur in billing.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Literal

#: What the arithmetic of billing takes; binary floating point is not among them.
Number = int | Decimal | Fraction
Rounding = Literal["half-up", "up", "down"]

ROUNDINGS: tuple[Rounding, ...] = ("half-up", "up", "down")


def rounded(value: Number, *, places: int, mode: Rounding = "half-up") -> Decimal:
    """The value with exactly ``places`` decimals. Half-up and up go away from zero, down goes towards it."""
    scaled = abs(Fraction(value)) * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if (mode == "up" and rest) or (mode == "half-up" and 2 * rest >= scaled.denominator):
        whole += 1
    return _placed(-whole if value < 0 else whole, places)


def decimal_of(value: Number) -> Decimal | None:
    """The same value as a decimal without trailing zeros; None if its decimals never end, such as 1/3."""
    fraction = Fraction(value)
    twos, rest = _divided_out(fraction.denominator, 2)
    fives, rest = _divided_out(rest, 5)
    if rest != 1:
        return None
    places = max(twos, fives)
    return _placed(fraction.numerator * 10**places // fraction.denominator, places)


def number_text(value: Number) -> str:
    """The exact value as text: a plain decimal ("6.025"), or a fraction ("1700/31") if the decimals never end."""
    decimal = decimal_of(value)
    return str(Fraction(value)) if decimal is None else format(decimal, "f")


def read_number(text: str) -> Fraction:
    """The value of what ``number_text`` wrote. Raises ValueError on anything else."""
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(f"{text!r} is not a number") from error


def _divided_out(number: int, factor: int) -> tuple[int, int]:
    """How often a factor divides the number, and what is left of it then."""
    times = 0
    while number % factor == 0:
        number //= factor
        times += 1
    return times, number


def _placed(digits: int, places: int) -> Decimal:
    """The decimal ``digits`` x 10^-places, made digit by digit, which no context rounds."""
    return Decimal((1 if digits < 0 else 0, tuple(int(digit) for digit in str(abs(digits))), -places))
