"""The working: it recomputes from its steps alone, and a changed number anywhere is found."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing.metering import combine, measure, measure_pooled, read_meter_params
from billing.pricing.rate import rate
from billing.working import Ref, Steps, Term, Working, WorkingDisagrees, evaluate, explain, recompute
from tests.billing.pure.made import GB, MARCH, constant_days, measured_days, terms

TIERS = {"tiers": [{"up_to": "100", "unit_price": "0.05"}, {"unit_price": "0.04"}]}


def line() -> Working:
    """121 GB on a tiered plan for 16 of 31 days, as it comes back from the database."""
    days = measured_days({day: (100 if day.day <= 10 else 131) * GB for day in MARCH.days()})
    measured = measure("daily_average", days, unit="GB", params=read_meter_params("daily_average", {}))
    plan = terms("tiered", TIERS, allowance=Decimal(1), minimum=Decimal(2))
    working: Working = json.loads(
        json.dumps(rate(measured, terms=plan, currency="EUR", proration=Fraction(16, 31)).working)
    )
    return working


def test_a_working_is_plain_json_without_any_number_that_could_lose_a_digit() -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for part in value.values() for leaf in leaves(part)]
        return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]

    assert {type(leaf) for leaf in leaves(line())} <= {str, int, type(None)}


def test_a_working_recomputes_to_its_total() -> None:
    # 120 GB: 100 x 0.05 + 20 x 0.04 = 5.80; 16/31 of it is 2.9935..
    assert str(recompute(line())) == "2.99"


def test_a_working_is_explained_line_by_line() -> None:
    lines = explain(line())
    assert lines[0] == (
        "Sizes of 31 days added up: 10 x 100,000,000,000 bytes + 21 x 131,000,000,000 bytes = 3,751,000,000,000 bytes"
    )
    assert lines[2] == "Size in GB: 121,000,000,000 bytes / 1,000,000,000 = 121 GB"
    assert lines[-1] == "Rounded once, half up: 464/155 (about 2.993548) EUR rounded half-up to 2 places = 2.99 EUR"


def test_many_different_figures_are_referred_to_and_not_spelled_out() -> None:
    days = measured_days({day: day.day * GB for day in MARCH.days()})
    measured = measure("daily_average", days, unit="GB", params=read_meter_params("daily_average", {}))
    assert explain(measured.working)[0] == (
        "Sizes of 31 days added up: the sum of the 31 figures listed by day = 496,000,000,000 bytes"
    )


def test_every_stated_amount_and_every_day_is_checked() -> None:
    honest = line()
    for place in range(len(honest["steps"])):
        forged = deepcopy(honest)
        forged["steps"][place]["amount"] = str(Fraction(forged["steps"][place]["amount"]) + 1)
        with pytest.raises(WorkingDisagrees) as found:
            recompute(forged)
        assert found.value.step == honest["steps"][place]["key"]
    for place in range(31):
        forged = deepcopy(honest)
        forged["days"][place]["charged"] = "1"
        with pytest.raises(WorkingDisagrees, match="step 'sum'"):
            recompute(forged)


def test_a_forged_total_is_found() -> None:
    with pytest.raises(WorkingDisagrees, match=r"the total is 2\.99, but 3\.99 is stated"):
        recompute(line() | {"total": "3.99"})


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "guess"},
        {"of": ["=nothing"]},
        {"of": ["@2026-04-01"]},
        {"of": ["a lot"]},
        {"of": []},
        {"amount": "a lot"},
        {"key": "sum"},
    ],
)
def test_steps_that_cannot_be_computed_are_found(change: dict[str, Any]) -> None:
    broken = line()
    broken["steps"][2].update(change)
    with pytest.raises(WorkingDisagrees):
        recompute(broken)


def test_a_working_without_steps_proves_nothing() -> None:
    with pytest.raises(WorkingDisagrees, match="no steps"):
        recompute({"steps": [], "total": "5.00"})


def test_a_day_that_is_not_charged_cannot_be_counted() -> None:
    broken = line()
    broken["days"][4]["charged"] = None
    with pytest.raises(WorkingDisagrees, match="2026-03-05 is not charged"):
        recompute(broken)


def test_the_parts_of_a_pooled_day_must_add_up_to_it() -> None:
    selections = {"Files": constant_days(100 * GB), "Mail": constant_days(21 * GB)}
    params = read_meter_params("daily_average", {})
    working = measure_pooled("daily_average", selections, unit="GB", params=params).working
    assert recompute(working) == 121
    working["days"][6]["parts"]["Mail"] = "20000000000"
    with pytest.raises(WorkingDisagrees, match="step '2026-03-07': the parts add up to 120000000000, not 121000000000"):
        recompute(working)


def test_a_combination_keeps_the_steps_and_days_of_each_selection() -> None:
    params = read_meter_params("daily_average", {})
    parts = {
        name: measure("daily_average", constant_days(size * GB), unit="GB", params=params)
        for name, size in (("Files", 100), ("Mail", 21))
    }
    combined = combine(parts, of_days=31)
    working = rate(combined, terms=terms("tiered", TIERS), currency="EUR").working
    assert str(recompute(working)) == "5.84"
    assert "2 selections added up: 100 GB + 21 GB = 121 GB" in explain(working)
    working["days"][40]["charged"] = "1"
    with pytest.raises(WorkingDisagrees, match="step 'Mail/sum'"):
        recompute(working)


def test_a_step_is_written_once() -> None:
    steps = Steps()
    steps.add("fee", "add", Term(3, "EUR"), label="Fee", unit="EUR")
    with pytest.raises(ValueError, match="a step 'fee' already"):
        steps.add("fee", "multiply", Ref("fee"), Term(2), label="Twice", unit="EUR")


@pytest.mark.parametrize(
    "operation,values,expected",
    [
        ("add", [1, 2, 3], 6),
        ("add", [], 0),
        ("subtract", [1, 3], -2),
        ("excess", [1, 3], 0),
        ("excess", [3, 1], 2),
        ("multiply", [2, 3, 4], 24),
        ("divide", [1, 3], Fraction(1, 3)),
        ("larger", [1, 3, 2], 3),
        ("smaller", [2, 1, 3], 1),
        ("packages", [100, 50], 2),
        ("packages", [Fraction(1001, 10), 50], 3),
        ("packages", [0, 50], 0),
        ("round_half_up", [Fraction(6025, 1000), 2], Fraction(603, 100)),
        ("round_down", [Fraction(6029, 1000), 2], Fraction(602, 100)),
        ("round_up", [Fraction(6021, 1000), 2], Fraction(603, 100)),
    ],
)
def test_operations(operation: str, values: list[Any], expected: Any) -> None:
    assert evaluate(operation, [Fraction(value) for value in values]) == expected


def test_operations_that_cannot_be_done_are_named_errors() -> None:
    with pytest.raises(ValueError, match="no operation 'root'"):
        evaluate("root", [])
    with pytest.raises(ValueError, match="cannot be done"):
        evaluate("divide", [Fraction(1), Fraction(0)])
