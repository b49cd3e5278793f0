"""Rounding, currencies, shares and units, against figures worked out by hand and from ISO 4217 and IEC 80000-13."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.exact import decimal_of, number_text, read_number, rounded
from billing.money import (
    CURRENCIES,
    NotWholeMinorUnits,
    UnknownCurrency,
    currency_of,
    from_minor,
    money_text,
    round_money,
    share,
    to_minor,
)
from billing.units import UNITS, UnknownUnit, quantity_of, round_quantity, size_of

CODES = st.sampled_from(["EUR", "JPY", "KWD"])
AMOUNTS = st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**7)


@pytest.mark.parametrize(
    "amount, currency, expected",
    [
        ("6.025", "EUR", "6.03"),
        ("6.015", "EUR", "6.02"),  # banker's rounding would say 6.02 too, but 6.025 to 6.02
        ("6.0249999999999999999999999999999999", "EUR", "6.02"),
        ("-6.025", "EUR", "-6.03"),
        ("-0.004", "EUR", "0.00"),
        ("1234.5", "JPY", "1235"),
        ("1234.4999", "JPY", "1234"),
        ("0.0005", "KWD", "0.001"),
        ("12.34549", "KWD", "12.345"),
    ],
)
def test_money_is_rounded_half_up_to_the_decimals_of_its_currency(amount: str, currency: str, expected: str) -> None:
    assert str(round_money(Decimal(amount), currency)) == expected


@given(amount=AMOUNTS, currency=CODES)
def test_rounding_moves_an_amount_by_half_a_unit_at_most_and_a_second_time_not_at_all(
    amount: Fraction, currency: str
) -> None:
    once = round_money(amount, currency)
    assert abs(Fraction(once) - amount) * 2 <= Fraction(currency_of(currency).smallest)
    assert round_money(once, currency) == once
    assert round_money(-amount, currency) == -once


def test_rounding_does_not_depend_on_the_precision_of_the_decimal_context() -> None:
    with localcontext() as context:
        context.prec = 3
        assert str(round_money(Decimal("123456789.125"), "EUR")) == "123456789.13"
        assert str(quantity_of(1, "GiB")) == "9.31322574615478515625E-10"


@pytest.mark.parametrize(
    "value, mode, expected",
    [("1.0001", "up", "1.01"), ("1.00", "up", "1.00"), ("1.0099", "down", "1.00"), ("-1.001", "up", "-1.01")],
)
def test_other_ways_to_round(value: str, mode: str, expected: str) -> None:
    assert str(round_quantity(Decimal(value), 2, mode)) == expected  # type: ignore[arg-type]


@given(minor=st.integers(-(10**15), 10**15), currency=CODES)
def test_smallest_units_go_to_and_fro(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor


def test_smallest_units_of_zero_two_and_three_decimals() -> None:
    assert to_minor(Decimal("12.34"), "EUR") == 1234
    assert to_minor(Decimal(1234), "JPY") == 1234
    assert to_minor(Decimal("1.234"), "KWD") == 1234


def test_an_amount_finer_than_a_cent_is_not_rounded_behind_ones_back() -> None:
    with pytest.raises(NotWholeMinorUnits, match=r"6\.025 EUR is not a whole number"):
        to_minor(Decimal("6.025"), "EUR")


def test_unknown_currencies_are_refused_with_a_sentence() -> None:
    for code in ("eur", "EURO", "XXX", ""):
        with pytest.raises(UnknownCurrency, match="not a currency of ISO 4217"):
            currency_of(code)


def test_the_table_of_currencies_is_consistent() -> None:
    assert {currency.decimals for currency in CURRENCIES.values()} == {0, 2, 3}
    assert all(len(code) == 3 and code.isupper() and currency.code == code for code, currency in CURRENCIES.items())
    assert {code for code, currency in CURRENCIES.items() if currency.decimals == 3} == {
        "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND",
    }  # fmt: skip


def test_money_is_shown_exactly() -> None:
    assert money_text(Decimal(6), "EUR") == "6.00 EUR"
    assert money_text(Decimal("6.025"), "EUR") == "6.025 EUR"
    assert money_text(Fraction(1, 3), "EUR") == "1/3 EUR"


def test_shares_of_ten_cents_in_three() -> None:
    assert share(Decimal("0.10"), [1, 1, 1], currency="EUR") == (Decimal("0.04"), Decimal("0.03"), Decimal("0.03"))
    # 100 in 1:2:4 is 14.28.. 28.57.. 57.14..: the one that lost most gets the unit left over
    assert share(Decimal(100), [1, 2, 4], currency="JPY") == (Decimal(14), Decimal(29), Decimal(57))


@given(
    minor=st.integers(-(10**9), 10**9),
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any),
    currency=CODES,
)
def test_shares_add_up_and_are_off_by_less_than_one_unit(minor: int, weights: list[int], currency: str) -> None:
    total = from_minor(minor, currency)
    parts = share(total, weights, currency=currency)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(to_minor(part, currency) - Fraction(minor * weight, sum(weights))) < 1


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1]])
def test_an_amount_is_not_shared_by_nothing(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        share(Decimal(1), weights, currency="EUR")


def test_units_have_their_exact_sizes() -> None:
    assert dict(UNITS) == {
        "byte": 1,
        "MB": 1_000_000,
        "MiB": 1_048_576,
        "GB": 1_000_000_000,
        "GiB": 1_073_741_824,
        "TB": 1_000_000_000_000,
        "TiB": 1_099_511_627_776,
        "each": 1,
    }
    with pytest.raises(UnknownUnit, match="'gigabyte' is not a unit; choose one of byte, MB"):
        size_of("gigabyte")


def test_a_byte_is_exactly_this_much() -> None:
    assert quantity_of(1, "GB") == Decimal("0.000000001")
    assert quantity_of(1, "GiB") == Decimal("0.000000000931322574615478515625")
    assert quantity_of(1_610_612_736, "GiB") == Decimal("1.5")


@given(size=st.integers(0, 10**18), unit=st.sampled_from(sorted(UNITS)))
def test_bytes_become_a_quantity_without_loss(size: int, unit: str) -> None:
    assert Fraction(quantity_of(size, unit)) * UNITS[unit] == size


@given(value=AMOUNTS)
def test_a_number_written_is_the_number_read(value: Fraction) -> None:
    assert read_number(number_text(value)) == value
    exact = decimal_of(value)
    assert exact is None or Fraction(exact) == value


def test_a_number_without_a_last_decimal_is_written_as_a_fraction() -> None:
    assert number_text(Fraction(1700, 31)) == "1700/31"
    assert number_text(Fraction(-5, 4)) == "-1.25"
    assert number_text(Decimal("100.00")) == "100"
    assert str(rounded(Fraction(1, 3), places=4)) == "0.3333"
    with pytest.raises(ValueError, match="not a number"):
        read_number("1/0")
