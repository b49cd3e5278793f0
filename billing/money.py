"""Money: how many decimals a currency has, rounding to them, whole minor units, and shares that add up.

Amounts are Decimal (or an exact fraction on the way); rounding is half-up, away from zero, so that a
credit note mirrors its invoice. The table is the national currencies of ISO 4217. Pure: no clock, no settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from billing.exact import Number, decimal_of, number_text, rounded

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC"
    " CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD"
    " KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO"
    " NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL"
    " THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER XCG ZAR ZMW ZWG"
)


class UnknownCurrency(ValueError):
    """A code that is not a national currency of ISO 4217."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{code!r} is not a currency of ISO 4217; write its three capital letters, such as EUR")
        self.code = code


class NotWholeMinorUnits(ValueError):
    """An amount finer than the currency's smallest unit, where only whole ones will do."""

    def __init__(self, amount: Number, currency: str) -> None:
        super().__init__(f"{number_text(amount)} {currency} is not a whole number of the smallest unit of {currency}")


@dataclass(frozen=True)
class Currency:
    """An ISO 4217 currency; ``decimals`` is 0 (JPY), 2 (EUR) or 3 (KWD)."""

    code: str
    decimals: int

    @property
    def smallest(self) -> Decimal:
        """The smallest amount there is: 1, 0.01 or 0.001."""
        return Decimal(1).scaleb(-self.decimals)


CURRENCIES: Mapping[str, Currency] = MappingProxyType(
    {
        code: Currency(code, decimals)
        for codes, decimals in ((_WITHOUT_DECIMALS, 0), (_TWO_DECIMALS, 2), (_THREE_DECIMALS, 3))
        for code in codes.split()
    }
)


def currency_of(code: str) -> Currency:
    """The currency of a code in capital letters. Raises UnknownCurrency."""
    try:
        return CURRENCIES[code]
    except KeyError:
        raise UnknownCurrency(code) from None


def round_money(amount: Number, currency: str) -> Decimal:
    """The amount in the currency's decimals, half-up (away from zero)."""
    return rounded(amount, places=currency_of(currency).decimals)


def to_minor(amount: Number, currency: str) -> int:
    """The amount in whole smallest units (cents). Raises NotWholeMinorUnits rather than round a second time."""
    minor: Fraction = Fraction(amount) * 10 ** currency_of(currency).decimals
    if minor.denominator != 1:
        raise NotWholeMinorUnits(amount, currency)
    return minor.numerator


def from_minor(minor: int, currency: str) -> Decimal:
    """The amount of so many smallest units, with the currency's decimals."""
    return round_money(Fraction(minor, 10 ** currency_of(currency).decimals), currency)


def money_text(amount: Number, currency: str) -> str:
    """The exact amount and its currency, with at least the currency's decimals: "6.00 EUR", "6.025 EUR", "1/3 EUR"."""
    exact = decimal_of(amount)
    whole_cents = round_money(amount, currency)
    shown = format(whole_cents, "f") if exact == whole_cents else number_text(amount)
    return f"{shown} {currency}"


def share(total: Decimal, weights: Sequence[Number], *, currency: str) -> tuple[Decimal, ...]:
    """The total divided in proportion to the weights, in whole smallest units that add up to it exactly.

    Largest remainder: what rounding down leaves goes, one unit each, to the parts that lost most; of equals to the
    earlier one. Raises ValueError for negative weights or if they are all zero.
    """
    if any(weight < 0 for weight in weights) or not any(weights):
        raise ValueError("an amount can be shared only by weights of which none is negative and one is above zero")
    minor = to_minor(total, currency)
    parts = _largest_remainder(abs(minor), [Fraction(weight) for weight in weights])
    return tuple(from_minor(-part if minor < 0 else part, currency) for part in parts)


def _largest_remainder(minor: int, weights: Sequence[Fraction]) -> list[int]:
    whole = sum(weights, Fraction(0))
    exact = [Fraction(minor * weight, whole) for weight in weights]
    parts = [part.numerator // part.denominator for part in exact]
    by_loss = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_loss[: minor - sum(parts)]:
        parts[place] += 1
    return parts
