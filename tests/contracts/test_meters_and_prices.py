"""What every meter and every price promises, run over all of them: adding one adds it here by itself.

A new price needs one valid example of its settings in ``EXAMPLES``; the test says so.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import billing.metering
import billing.pricing
from billing.days import DayValue, fill_days
from billing.metering import METERS, measure, read_meter_params
from billing.money import round_money
from billing.params import BadParams, fields_of, params_from_json, params_to_json
from billing.pricing import PRICES, price_quantity, read_price_params
from billing.pricing.rate import PlanTerms, rate
from billing.units import UNITS
from billing.working import explain, recompute
from tests.billing.pure.made import GB, MARCH, constant_days, march, measured_days, measured_gb

TIERS = [{"up_to": "100", "unit_price": "0.05"}, {"unit_price": "0.04"}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "per_unit": {"unit_price": "0.05"},
    "tiered": {"tiers": TIERS},
    "volume": {"tiers": TIERS},
    "block": {"block_size": "50", "block_price": "4"},
    "flat": {"fee": "49"},
    "committed": {"committed_quantity": "100", "unit_price": "0.04", "overage_price": "0.06"},
    "machine_and_size": {"fee": "5", "unit_price": "0.05", "per": "machine"},
    "percentage": {"percent": "15", "plans": [{"code": "backup"}]},
}
#: What is charged for nothing: fees, and what is committed.
FOR_NOTHING = {"flat": 49, "committed": 4, "machine_and_size": 5}
NOT_MEMBERS = {"__init__", "measured", "priced", "rate"}

every_meter = pytest.mark.parametrize("meter", sorted(METERS))
every_price = pytest.mark.parametrize("price", sorted(PRICES))
#: A percentage is taken of other lines, so no meter goes with it.
every_price_of_sizes = pytest.mark.parametrize("price", sorted(set(PRICES) - {"percentage"}))


def measured(meter: str, days: tuple[DayValue, ...], unit: str = "GB") -> Any:
    return measure(meter, days, unit=unit, params=read_meter_params(meter, {}))


@pytest.mark.parametrize(("package", "members"), [(billing.metering, METERS), (billing.pricing, PRICES)])
def test_every_module_of_the_folder_is_listed_under_its_name(package: Any, members: dict[str, Any]) -> None:
    files = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - NOT_MEMBERS
    assert files == set(members)
    assert all(module.__name__ == f"{package.__name__}.{name}" for name, module in members.items())


@pytest.mark.parametrize("module", [*METERS.values(), *PRICES.values()], ids=lambda module: module.__name__)
def test_a_member_tells_what_it_is_and_what_can_be_set(module: Any) -> None:
    assert module.LABEL
    assert module.HELP.endswith(".")
    params_cls: Any = module.Params
    assert is_dataclass(params_cls)
    assert module.Params.__dataclass_params__.frozen
    for each in fields_of(module.Params):
        assert each.help.endswith("."), f"{each.name} has no sentence of help"
    with pytest.raises(BadParams, match="there is no such setting"):
        params_from_json(module.Params, {"no_such_setting": "1"})


@every_meter
def test_a_size_that_never_changes_is_that_size(meter: str) -> None:
    for unit, size in UNITS.items():
        assert measured(meter, constant_days(3 * size), unit).exact == 3


@every_meter
def test_a_meter_holds_missing_days_and_names_them(meter: str) -> None:
    days = measured_days({day: GB for day in MARCH.days() if day.day != 17})
    assert measured(meter, days).held_days == (march(17),)
    assert measured(meter, measured_days({})).held_days == MARCH.days()


@every_meter
def test_a_meter_never_counts_a_missing_day_as_zero(meter: str) -> None:
    days = measured_days({day: GB for day in MARCH.days() if day.day != 31})
    assert measured(meter, days).exact == 1


@every_meter
def test_a_meter_does_not_count_days_that_are_not_billable(meter: str) -> None:
    billed = constant_days(5 * GB, first=10, last=20)
    assert measured(meter, billed).exact == 5
    assert measured(meter, billed).billable_days == 10
    idle = fill_days([], period=MARCH, billable=[], due=[], carry_days=0)
    assert (measured(meter, idle).exact, measured(meter, idle).held_days) == (0, ())


@every_meter
def test_the_working_of_a_meter_is_json_and_leads_to_its_size(meter: str) -> None:
    days = measured_days({day: day.day * GB for day in MARCH.days()})
    size = measured(meter, days)
    working = json.loads(json.dumps(size.working))
    assert working["steps"][-1]["key"] == "measured"
    assert recompute(working) == round(size.quantity, 9)
    assert [day["key"] for day in working["days"]] == [day.isoformat() for day in MARCH.days()]
    assert all(day["source"] for day in working["days"])


def test_every_price_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(PRICES)


@every_price
def test_settings_of_a_price_go_to_json_and_back(price: str) -> None:
    params = read_price_params(price, EXAMPLES[price])
    assert read_price_params(price, json.loads(json.dumps(params_to_json(params)))) == params
    assert {each.name for each in fields(params)} == set(EXAMPLES[price])


@every_price
def test_a_price_refuses_a_negative_amount_in_each_of_its_settings(price: str) -> None:
    def negated(value: Any) -> list[Any]:
        if isinstance(value, str):
            return [f"-{value}"] if value[0].isdigit() else []
        if isinstance(value, list):
            return [
                [*value[:place], bad, *value[place + 1 :]]
                for place in range(len(value))
                for bad in negated(value[place])
            ]
        return [{**value, name: bad} for name in value for bad in negated(value[name])]

    for settings in negated(EXAMPLES[price]):
        with pytest.raises(BadParams):
            read_price_params(price, settings)


@every_price
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("quantity", ["0", "0.001", "100", "100.001", "123456.789"])
def test_a_price_is_not_negative_and_is_rounded_once_to_its_currency(price: str, currency: str, quantity: str) -> None:
    params = read_price_params(price, EXAMPLES[price])
    line = price_quantity(price, Decimal(quantity), unit="GB", currency=currency, params=params)
    assert line.amount >= 0
    assert line.amount == round_money(line.exact, currency)
    assert recompute(json.loads(json.dumps(line.working))) == line.amount
    assert sum(step["operation"].startswith("round") for step in line.working["steps"]) == 1


@every_meter
@every_price_of_sizes
def test_every_meter_goes_with_every_price(meter: str, price: str) -> None:
    plan = PlanTerms(
        price=price, price_params=read_price_params(price, EXAMPLES[price]), allowance=Decimal(5), minimum=Decimal(3)
    )
    days = measured_days({day: day.day * 10 * GB for day in MARCH.days()})
    line = rate(measured(meter, days), terms=plan, currency="EUR")
    assert recompute(line.working) == line.amount >= 3
    assert len(explain(line.working)) >= 6


@every_price_of_sizes
def test_nothing_measured_costs_nothing_unless_the_price_is_a_fee(price: str) -> None:
    plan = PlanTerms(price=price, price_params=read_price_params(price, EXAMPLES[price]))
    assert rate(measured_gb(0), terms=plan, currency="EUR").amount == FOR_NOTHING.get(price, 0)
