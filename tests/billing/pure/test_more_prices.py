"""Committed quantities, machines plus size, percentages, allowances for each thing and maxima: worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import currency_of
from billing.params import BadParams
from billing.pricing import PRICES, price_quantity, read_price_params
from billing.pricing.priced import Covering
from billing.pricing.rate import Base, PlanTerms, Rated, rate, rate_percentage
from billing.working import explain, recompute
from tests.billing.pure.made import measured_gb, terms
from tests.billing.pure.test_pricing import SETTINGS, SIZE_PRICES

COMMITTED = {"committed_quantity": "500", "unit_price": "0.04", "overage_price": "0.06"}
MACHINES = {"fee": "5", "unit_price": "0.05"}
SUPPORT = {"percent": "15", "plans": [{"code": "backup"}]}
MONEY = st.decimals(0, 10**6, places=2)


def rated(quantity: str, price: str, settings: object, *, covering: Covering | None = None, **more: Any) -> Rated:
    share = more.pop("proration", None)
    plan = terms(price, settings, **more)
    return rate(measured_gb(quantity), terms=plan, currency="EUR", proration=share, covering=covering or Covering())


def support(*bases: Base, share: Fraction | None = None, settings: object = None, **more: Any) -> Rated:
    plan = PlanTerms(price="percentage", price_params=read_price_params("percentage", settings or SUPPORT), **more)
    return rate_percentage(bases, terms=plan, currency="EUR", proration=share)


@pytest.mark.parametrize(
    "quantity,expected",
    [("0", "20.00"), ("499.999", "20.00"), ("500", "20.00"), ("500.001", "20.00"), ("600", "26.00")],
)  # 500 x 0.04 = 20; 0.001 x 0.06 = 0.00006; 20 + 100 x 0.06 = 26
def test_a_commitment_is_paid_in_full_and_what_is_above_it_by_its_own_price(quantity: str, expected: str) -> None:
    params = read_price_params("committed", COMMITTED)
    assert (
        str(price_quantity("committed", Decimal(quantity), unit="GB", currency="EUR", params=params).amount) == expected
    )


def test_the_working_of_a_commitment() -> None:
    assert explain(rated("600", "committed", COMMITTED).working)[-5:] == [
        "Committed quantity: 500 GB x 0.04 EUR = 20 EUR",
        "Above the commitment: 600.000 GB - 500 GB, not below 0 = 100 GB",
        "Overage: 100 GB x 0.06 EUR = 6 EUR",
        "Commitment and overage added up: 20 EUR + 6 EUR = 26 EUR",
        "Rounded once, half up: 26 EUR rounded half-up to 2 places = 26.00 EUR",
    ]


@pytest.mark.parametrize(
    "covering,per,expected",
    [
        (Covering(), "machine", "10.00"),  # 5 + 100 x 0.05
        (Covering(selection_days=93, machine_days=62, days=31), "machine", "15.00"),  # 2 x 5 + 5
        (Covering(selection_days=93, machine_days=62, days=31), "selection", "20.00"),  # 3 x 5 + 5
        (Covering(selection_days=47, machine_days=47, days=31), "machine", "12.58"),  # 47/31 x 5 + 5 = 7.5806.. + 5
        (Covering(selection_days=0, machine_days=0, days=31), "machine", "5.00"),
    ],
)
def test_machines_or_selections_have_a_fee_beside_the_size(covering: Covering, per: str, expected: str) -> None:
    line = rated("100", "machine_and_size", MACHINES | {"per": per}, covering=covering)
    assert str(line.amount) == expected
    assert recompute(line.working) == line.amount


@pytest.mark.parametrize(
    "more,charged,amount",
    [
        ({"allowance_each": Decimal(50)}, "150.000", "7.50"),  # 3 x 50 = 150 of 300 included
        ({"allowance_each": Decimal(50), "allowance": Decimal(20)}, "130.000", "6.50"),
        ({"allowance_each": Decimal(50), "allowance_per": "machine"}, "200.000", "10.00"),
        ({"allowance_each": Decimal(100)}, "0.000", "0.00"),
        ({"allowance_each": Decimal(101)}, "0.000", "0.00"),
    ],
)
def test_each_thing_brings_its_allowance_into_one_pool(more: dict[str, Any], charged: str, amount: str) -> None:
    covering = Covering(selection_days=93, machine_days=62, days=31)
    line = rated("300", "per_unit", {"unit_price": "0.05"}, covering=covering, **more)
    assert (str(line.charged_quantity), str(line.amount)) == (charged, amount)
    assert str(line.quantity) == "300.000"
    assert recompute(line.working) == line.amount


def test_a_thing_that_came_later_brings_its_share_of_an_allowance() -> None:
    # one selection on 31 days and one on 16: 47/31 x 62 GB = 94 GB included, 206 x 0.05 = 10.30
    covering = Covering(selection_days=47, machine_days=47, days=31)
    line = rated("300", "per_unit", {"unit_price": "0.05"}, covering=covering, allowance_each=Decimal(62))
    assert str(line.amount) == "10.30"


def test_allowance_and_fee_for_the_same_things_count_them_once() -> None:
    covering = Covering(selection_days=62, machine_days=62, days=31)
    line = rated(
        "300", "machine_and_size", MACHINES, covering=covering, allowance_each=Decimal(50), allowance_per="machine"
    )
    assert str(line.amount) == "20.00"  # 2 x 5 + 200 x 0.05
    assert [step["key"] for step in line.working["steps"]].count("machines") == 1


@pytest.mark.parametrize(
    "quantity,minimum,maximum,expected",
    [
        ("1000", "0", "30", "30.00"),
        ("100", "0", "30", "5.00"),
        ("100", "10", "30", "10.00"),
        ("0", "30", "30", "30.00"),
    ],
)
def test_the_maximum_is_the_most_that_is_charged(quantity: str, minimum: str, maximum: str, expected: str) -> None:
    limits: dict[str, Any] = {"minimum": Decimal(minimum), "maximum": Decimal(maximum)}
    assert str(rated(quantity, "per_unit", {"unit_price": "0.05"}, **limits).amount) == expected


def test_the_maximum_is_prorated_with_the_whole_charge() -> None:
    line = rated("1000", "per_unit", {"unit_price": "0.05"}, maximum=Decimal(31), proration=Fraction(16, 31))
    assert str(line.amount) == "16.00"


# ---- percentage ---------------------------------------------------------------------------------------------------


def test_a_percentage_is_taken_of_the_sum_and_rounded_once() -> None:
    # 12.19 + 43.45 = 55.64; 15 % are 8.346
    line = support(Base(name="Acme", amount=Decimal("12.19")), Base(name="Bay", amount=Decimal("43.45")))
    assert (str(line.amount), line.quantity, line.unit) == ("8.35", Decimal(15), "%")
    assert recompute(line.working) == line.amount
    assert explain(line.working)[2:4] == [
        "Lines added up: 12.19 EUR + 43.45 EUR = 55.64 EUR",
        "15 % of it: 55.64 EUR x 0.15 = 8.346 EUR",
    ]


def test_a_line_counts_by_the_days_on_which_the_percentage_runs_too() -> None:
    line = support(Base(name="Acme", amount=Decimal("31.00"), share=Fraction(16, 31)))
    assert str(line.amount) == "2.40"  # 15 % of 16.00


@pytest.mark.parametrize("share,expected", [(None, "20.00"), (Fraction(1), "20.00"), (Fraction(16, 31), "10.32")])
def test_the_minimum_of_a_percentage_is_for_a_whole_period(share: Fraction | None, expected: str) -> None:
    line = support(Base(name="Acme", amount=Decimal("10.00")), share=share, minimum=Decimal(20))
    assert str(line.amount) == expected  # 20 x 16/31 = 10.3225..
    assert recompute(line.working) == line.amount


def test_the_maximum_of_a_percentage() -> None:
    line = support(Base(name="Acme", amount=Decimal("1000.00")), maximum=Decimal(100), share=Fraction(1, 2))
    assert str(line.amount) == "50.00"


@given(amounts=st.lists(MONEY, min_size=1, max_size=8), data=st.data())
def test_the_order_of_the_lines_never_changes_a_percentage(amounts: list[Decimal], data: st.DataObject) -> None:
    bases = [Base(name=f"line {place}", amount=amount) for place, amount in enumerate(amounts)]
    shuffled = data.draw(st.permutations(bases))
    assert support(*bases).amount == support(*shuffled).amount


def test_what_a_percentage_cannot_be_taken_of_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one line"):
        support()
    with pytest.raises(ValueError, match="of other lines, not of a size"):
        rated("100", "percentage", SUPPORT)
    with pytest.raises(ValueError, match="on the terms of a plan of that price"):
        rate_percentage([Base(name="a", amount=Decimal(1))], terms=terms("flat", {"fee": "1"}), currency="EUR")


@pytest.mark.parametrize(
    "price,settings,field",
    [
        ("committed", COMMITTED | {"committed_quantity": "0"}, "committed_quantity"),
        ("committed", COMMITTED | {"overage_price": "-0.01"}, "overage_price"),
        ("machine_and_size", MACHINES | {"per": "client"}, "per"),
        ("machine_and_size", MACHINES | {"fee": "-1"}, "fee"),
        ("percentage", SUPPORT | {"percent": "0"}, "percent"),
        ("percentage", SUPPORT | {"percent": "1000.01"}, "percent"),
        ("percentage", SUPPORT | {"plans": []}, "plans"),
        ("percentage", SUPPORT | {"plans": [{"code": " "}]}, "plans[1].code"),
        ("percentage", SUPPORT | {"plans": [{"code": "a"}, {"code": "a"}]}, "plans"),
    ],
)
def test_settings_that_cannot_be_are_refused(price: str, settings: object, field: str) -> None:
    with pytest.raises(BadParams) as refused:
        read_price_params(price, settings)
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["allowance", "allowance_each"])
def test_a_percentage_includes_nothing_free_of_charge(name: str) -> None:
    with pytest.raises(BadParams, match=f"{name}: a percentage of other lines includes no quantity"):
        terms("percentage", SUPPORT, **{name: Decimal(1)})


def test_days_that_cannot_be_covered_are_refused() -> None:
    for days in ({"days": 0}, {"selection_days": -1}, {"machine_days": -1}):
        with pytest.raises(ValueError, match="a line covers days"):
            Covering(**days)


# ---- for all of them ----------------------------------------------------------------------------------------------


@given(
    quantity=st.decimals(0, 5000, places=3),
    price=SIZE_PRICES,
    each=st.decimals(0, 50, places=2),
    minimum=st.decimals(0, 40, places=2),
    above=st.decimals(0, 40, places=2),
    selections=st.integers(0, 5),
    split=st.integers(0, 31),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_a_split_month_costs_the_whole_within_one_smallest_unit_and_stays_within_its_limits(
    quantity: Decimal,
    price: str,
    each: Decimal,
    minimum: Decimal,
    above: Decimal,
    selections: int,
    split: int,
    currency: str,
) -> None:
    plan = terms(price, SETTINGS[price], allowance_each=each, minimum=minimum, maximum=minimum + above)
    measured = measured_gb(quantity)

    def line(days: int) -> Rated:
        covering = Covering(selection_days=selections * max(days, 1), machine_days=max(days, 1), days=max(days, 1))
        return rate(measured, terms=plan, currency=currency, proration=Fraction(days, 31), covering=covering)

    whole, parts = line(31), (line(split), line(31 - split))
    assert abs(sum(part.amount for part in parts) - whole.amount) <= currency_of(currency).smallest
    smallest = currency_of(currency).smallest
    assert whole.amount >= minimum - smallest
    assert not plan.maximum or whole.amount <= plan.maximum + smallest
    assert all(recompute(part.working) == part.amount for part in (whole, *parts))


@pytest.mark.parametrize("price", sorted(PRICES))
def test_what_every_price_says_of_itself(price: str) -> None:
    assert PRICES[price].COUNTS is (price == "machine_and_size")
