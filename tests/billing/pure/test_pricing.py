"""Prices and rating: amounts worked out by hand, and what must hold for every quantity."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.days import billable_share, fill_days
from billing.metering import measure, read_meter_params
from billing.money import CURRENCIES, UnknownCurrency, currency_of, round_money
from billing.params import BadParams
from billing.pricing import PRICES, price_quantity, read_price_params
from billing.pricing.rate import PlanTerms, Rated, rate
from billing.working import explain, recompute
from tests.billing.pure.made import GB, MARCH, constant_days, measured_days, measured_gb, measurement, terms

TIERS = {
    "tiers": [{"up_to": "100", "unit_price": "0.05"}, {"up_to": "500", "unit_price": "0.04"}, {"unit_price": "0.03"}]
}
SETTINGS: dict[str, dict[str, Any]] = {
    "per_unit": {"unit_price": "0.05"},
    "tiered": TIERS,
    "volume": TIERS,
    "block": {"block_size": "50", "block_price": "4"},
    "flat": {"fee": "49"},
    "committed": {"committed_quantity": "100", "unit_price": "0.04", "overage_price": "0.06"},
    "machine_and_size": {"fee": "5", "unit_price": "0.05"},
    "percentage": {"percent": "15", "plans": [{"code": "backup"}]},
}
QUANTITIES = st.decimals(0, 10**6, places=3)
PRICE_NAMES = st.sampled_from(sorted(PRICES))
#: Prices of a size; a percentage is taken of other lines.
SIZE_PRICES = st.sampled_from(sorted(set(PRICES) - {"percentage"}))


def priced(price: str, quantity: str | Decimal, *, currency: str = "EUR", settings: object = None) -> Decimal:
    params = read_price_params(price, settings or SETTINGS[price])
    return price_quantity(price, Decimal(quantity), unit="GB", currency=currency, params=params).amount


@pytest.mark.parametrize(
    "price,quantity,expected",
    [
        ("per_unit", "120.5", "6.03"),  # 6.025, half up
        ("per_unit", "120.499", "6.02"),  # 6.02495
        ("per_unit", "0", "0.00"),
        ("tiered", "0", "0.00"),
        ("tiered", "100", "5.00"),
        ("tiered", "121", "5.84"),  # 100 x 0.05 + 21 x 0.04
        ("tiered", "600", "24.00"),  # 100 x 0.05 + 400 x 0.04 + 100 x 0.03
        ("volume", "100", "5.00"),
        ("volume", "100.001", "4.00"),  # all 100.001 at 0.04: the cliff
        ("volume", "121", "4.84"),
        ("volume", "500", "20.00"),
        ("volume", "500.001", "15.00"),
        ("block", "0", "0.00"),
        ("block", "0.001", "4.00"),
        ("block", "50", "4.00"),
        ("block", "50.001", "8.00"),
        ("block", "121", "12.00"),
        ("flat", "0", "49.00"),
        ("flat", "121", "49.00"),
    ],
)
def test_amounts_worked_out_by_hand(price: str, quantity: str, expected: str) -> None:
    assert str(priced(price, quantity)) == expected


@pytest.mark.parametrize(
    "currency,unit_price,expected",
    [("JPY", "12.5", "1513"), ("KWD", "0.0155", "1.876"), ("EUR", "0.05", "6.05")],  # 1512.5, 1.8755, 6.05
)
def test_currencies_with_zero_two_and_three_decimals(currency: str, unit_price: str, expected: str) -> None:
    assert str(priced("per_unit", "121", currency=currency, settings={"unit_price": unit_price})) == expected


@given(low=QUANTITIES, high=QUANTITIES)
def test_tiered_amounts_never_fall_as_the_quantity_rises(low: Decimal, high: Decimal) -> None:
    low, high = sorted((low, high))
    assert priced("tiered", low) <= priced("tiered", high)


@given(edge=st.sampled_from(["100", "500"]))
def test_tiered_amounts_do_not_jump_at_a_boundary_and_volume_amounts_do(edge: str) -> None:
    def exact(price: str, quantity: Decimal) -> Fraction:
        params = read_price_params(price, SETTINGS[price])
        return price_quantity(price, quantity, unit="GB", currency="EUR", params=params).exact

    above = Decimal(edge) + Decimal("0.001")
    assert 0 < exact("tiered", above) - exact("tiered", Decimal(edge)) <= Fraction(5, 10**5)
    assert exact("volume", above) < exact("volume", Decimal(edge)) - Fraction(99, 100)


@given(quantity=QUANTITIES)
def test_tiers_of_one_rate_are_that_rate_for_each_unit(quantity: Decimal) -> None:
    same = {"tiers": [{"up_to": "7", "unit_price": "0.05"}, {"unit_price": "0.05"}]}
    assert priced("tiered", quantity, settings=same) == priced("per_unit", quantity)
    assert priced("volume", quantity, settings=same) == priced("per_unit", quantity)


@given(quantity=QUANTITIES)
def test_blocks_hold_the_quantity_with_less_than_one_to_spare(quantity: Decimal) -> None:
    blocks = priced("block", quantity) / Decimal(4)
    assert blocks == int(blocks)
    assert quantity <= blocks * 50 < quantity + 50


@given(quantity=QUANTITIES, price=PRICE_NAMES, currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_is_the_exact_one_rounded_once(quantity: Decimal, price: str, currency: str) -> None:
    params = read_price_params(price, SETTINGS[price])
    line = price_quantity(price, quantity, unit="GB", currency=currency, params=params)
    assert line.amount == round_money(line.exact, currency)
    assert recompute(line.working) == line.amount
    roundings = [step["operation"] for step in line.working["steps"] if step["operation"].startswith("round")]
    assert roundings == ["round_half_up"]


@pytest.mark.parametrize(
    "tiers,field,reason",
    [
        ([], "tiers", "at least one band"),
        ([{"up_to": "100", "unit_price": "1"}], "tiers[1].up_to", "the last band must be open"),
        ([{"unit_price": "1"}, {"unit_price": "1"}], "tiers[1].up_to", "only the last band may be open"),
        (
            [{"up_to": "100", "unit_price": "1"}, {"up_to": "50", "unit_price": "1"}, {"unit_price": "1"}],
            "tiers[2].up_to",
            "bounds must rise, but 50 does not come after 100",
        ),
        ([{"up_to": "0", "unit_price": "1"}, {"unit_price": "1"}], "tiers[1].up_to", "bounds must rise"),
        ([{"unit_price": "-0.01"}], "tiers[1].unit_price", "a price cannot be negative, but this is -0.01"),
        (
            [{"above": "0", "up_to": "100", "unit_price": "1"}, {"above": "120", "unit_price": "1"}],
            "tiers[2].above",
            "there is a hole: the band before ends at 100, this one begins at 120",
        ),
        (
            [{"above": "0", "up_to": "100", "unit_price": "1"}, {"above": "80", "unit_price": "1"}],
            "tiers[2].above",
            "there is an overlap",
        ),
        ([{"above": "5", "unit_price": "1"}], "tiers[1].above", "there is a hole"),
        (
            [{"above": "0", "up_to": "100", "unit_price": "1"}, {"unit_price": "1"}],
            "tiers",
            "either every band states where it begins, or none does",
        ),
        ([{"up_to": "ten", "unit_price": "1"}], "tiers[1].up_to", "'ten' is not a number"),
        ([{"up_to": "100"}], "tiers[1].unit_price", "this is required"),
        ([{"unit_price": "1", "fee": "1"}], "tiers[1].fee", "there is no such setting"),
        ("cheap", "tiers", "this must be a list"),
        ([7], "tiers[1]", "this must be an object"),
    ],
)
@pytest.mark.parametrize("price", ["tiered", "volume"])
def test_bands_that_cannot_be_are_refused_by_name(price: str, tiers: object, field: str, reason: str) -> None:
    with pytest.raises(BadParams) as refused:
        read_price_params(price, {"tiers": tiers})
    assert refused.value.field == field
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    "price,settings,field",
    [
        ("block", {"block_size": "0", "block_price": "1"}, "block_size"),
        ("block", {"block_size": "1", "block_price": "-1"}, "block_price"),
        ("flat", {"fee": "-1"}, "fee"),
        ("per_unit", {"unit_price": "-1"}, "unit_price"),
        ("per_unit", {"unit_price": "NaN"}, "unit_price"),
        ("per_unit", {"unit_price": "1E+99"}, "unit_price"),
        ("per_unit", {"unit_price": "1E-99"}, "unit_price"),
        ("per_unit", {"unit_price": True}, "unit_price"),
        ("per_unit", {}, "unit_price"),
        ("per_unit", [], ""),
        ("steps", {}, "price"),
    ],
)
def test_other_settings_that_cannot_be_are_refused(price: str, settings: object, field: str) -> None:
    with pytest.raises(BadParams) as refused:
        read_price_params(price, settings)
    assert refused.value.field == field


def rated(quantity: str, *, proration: Fraction | None = None, currency: str = "EUR", **more: Any) -> Rated:
    price = more.pop("price", "per_unit")
    plan = terms(price, more.pop("settings", SETTINGS[price]), **more)
    return rate(measured_gb(quantity), terms=plan, currency=currency, proration=proration)


def test_the_allowance_is_taken_off_before_the_price() -> None:
    line = rated("121", allowance=Decimal(25))
    assert (str(line.quantity), str(line.charged_quantity), str(line.amount)) == ("121.000", "96.000", "4.80")


def test_an_allowance_above_the_quantity_leaves_nothing_to_pay_and_nothing_to_give_back() -> None:
    line = rated("20", allowance=Decimal(25))
    assert (str(line.charged_quantity), str(line.amount)) == ("0.000", "0.00")


def test_the_minimum_is_the_least_that_is_charged_and_no_more() -> None:
    assert str(rated("121", allowance=Decimal(25), minimum=Decimal(10)).amount) == "10.00"
    assert str(rated("0", minimum=Decimal(10)).amount) == "10.00"
    assert str(rated("1000", minimum=Decimal(10)).amount) == "50.00"


def test_the_quantity_is_rounded_to_the_places_of_the_plan_before_it_is_priced() -> None:
    assert str(rated("120.4996", quantity_places=3).quantity) == "120.500"
    assert str(rated("120.4996", quantity_places=3).amount) == "6.03"
    assert str(rated("120.4996", quantity_places=0, quantity_rounding="up").amount) == "6.05"
    assert str(rated("120.9", quantity_places=0, quantity_rounding="down").amount) == "6.00"


def test_proration_takes_the_whole_charge_minimum_and_allowance_included() -> None:
    share = Fraction(16, 31)
    assert str(rated("121", proration=share, allowance=Decimal(25), minimum=Decimal(10)).amount) == "5.16"  # 160/31
    assert str(rated("121", proration=share, allowance=Decimal(25)).amount) == "2.48"  # 4.80 x 16/31 = 2.477..
    assert str(rated("0", proration=share, price="flat").amount) == "25.29"  # 49 x 16/31 = 25.290..
    assert str(rated("121", proration=Fraction(0), minimum=Decimal(10)).amount) == "0.00"


@given(
    quantity=st.decimals(0, 5000, places=3),
    price=SIZE_PRICES,
    allowance=st.decimals(0, 200, places=2),
    minimum=st.decimals(0, 50, places=2),
    split=st.integers(0, 31),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_a_month_split_in_two_costs_what_the_whole_costs_within_one_smallest_unit(
    quantity: Decimal, price: str, allowance: Decimal, minimum: Decimal, split: int, currency: str
) -> None:
    plan = terms(price, SETTINGS[price], allowance=allowance, minimum=minimum)
    measured = measured_gb(quantity)
    whole = rate(measured, terms=plan, currency=currency).amount
    first, second = (
        rate(measured, terms=plan, currency=currency, proration=Fraction(days, 31)).amount
        for days in (split, 31 - split)
    )
    assert abs(first + second - whole) <= currency_of(currency).smallest


def test_two_halves_of_a_real_month_cost_what_the_month_costs() -> None:
    def amount(first: int, last: int | None) -> Decimal:
        days = constant_days(121 * GB, first=first, last=last)
        measured = measure("daily_average", days, unit="GB", params=read_meter_params("daily_average", {}))
        return rate(measured, terms=terms("tiered", TIERS), currency="EUR", proration=billable_share(days)).amount

    assert (amount(0, None), amount(0, 15), amount(15, None)) == (Decimal("5.84"), Decimal("2.83"), Decimal("3.01"))


@given(
    sizes=st.dictionaries(st.sampled_from(MARCH.days()), st.integers(0, 10**13), min_size=31, max_size=31),
    price=SIZE_PRICES,
    places=st.integers(0, 6),
    allowance=st.decimals(0, 200, places=2),
    minimum=st.decimals(0, 50, places=2),
    share=st.one_of(st.none(), st.fractions(0, 1, max_denominator=31)),
    currency=st.sampled_from(sorted(CURRENCIES)),
)
def test_every_line_recomputes_from_its_working_alone(
    sizes: dict[Any, int],
    price: str,
    places: int,
    allowance: Decimal,
    minimum: Decimal,
    share: Fraction | None,
    currency: str,
) -> None:
    plan = terms(price, SETTINGS[price], quantity_places=places, allowance=allowance, minimum=minimum)
    measured = measure("daily_average", measured_days(sizes), unit="GB", params=read_meter_params("daily_average", {}))
    line = rate(measured, terms=plan, currency=currency, proration=share)
    assert recompute(line.working) == line.amount
    assert -line.amount.as_tuple().exponent == currency_of(currency).decimals  # type: ignore[operator]
    assert len(explain(line.working)) == len(line.working["steps"])


@pytest.mark.parametrize(
    "more,field",
    [
        ({"unit": "gigabyte"}, "unit"),
        ({"quantity_places": 7}, "quantity_places"),
        ({"quantity_rounding": "even"}, "quantity_rounding"),
        ({"allowance": Decimal(-1)}, "allowance"),
        ({"minimum": Decimal(-1)}, "minimum"),
        ({"maximum": Decimal(-1)}, "maximum"),
        ({"minimum": Decimal(10), "maximum": Decimal("9.99")}, "maximum"),
        ({"allowance_each": Decimal(-1)}, "allowance_each"),
        ({"allowance_per": "client"}, "allowance_per"),
    ],
)
def test_plan_terms_that_cannot_be_are_refused(more: dict[str, Any], field: str) -> None:
    with pytest.raises(BadParams) as refused:
        terms("flat", {"fee": "1"}, **more)
    assert refused.value.field == field


def test_a_price_with_the_settings_of_another_is_refused() -> None:
    with pytest.raises(BadParams, match="not the settings of the price 'flat'"):
        PlanTerms(price="flat", price_params=read_price_params("block", SETTINGS["block"]))
    with pytest.raises(BadParams, match="there is no price 'free'"):
        PlanTerms(price="free", price_params=None)


def test_what_cannot_be_rated_is_refused() -> None:
    plan = terms("flat", {"fee": "1"})
    with pytest.raises(ValueError, match="the plan charges GB, but the size is measured in GiB"):
        rate(measured_gb(1, unit="GiB"), terms=plan, currency="EUR")
    with pytest.raises(ValueError, match="between 0 and 1"):
        rate(measured_gb(1), terms=plan, currency="EUR", proration=Fraction(32, 31))
    with pytest.raises(UnknownCurrency):
        rate(measured_gb(1), terms=plan, currency="Euro")
    with pytest.raises(ValueError, match="cannot be negative"):
        priced("flat", "-1")


def test_rating_leaves_the_working_of_the_meter_as_it_was() -> None:
    measured = measured_gb(121)
    before = len(measured.working["steps"])
    rate(measured, terms=terms("flat", {"fee": "1"}), currency="EUR")
    assert len(measured.working["steps"]) == before


def test_a_line_of_a_selection_that_was_never_billable_is_rated_at_nothing() -> None:
    days = fill_days([measurement(MARCH.first_day, GB)], period=MARCH, billable=[], due=[], carry_days=0)
    idle = measure("daily_average", days, unit="GB", params=read_meter_params("daily_average", {}))
    line = rate(idle, terms=terms("flat", {"fee": "49"}), currency="EUR", proration=billable_share(days))
    assert (str(line.amount), str(recompute(line.working))) == ("0.00", "0.00")
