"""What holds for whatever document there is: sums, shares, splits and order, over every meter and price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.days import month_of
from billing.metering import METERS
from billing.money import currency_of
from billing.working import recompute
from tests.billing.golden import Case, Line
from tests.billing.golden.running import compute
from tests.billing.pure.test_pricing import SETTINGS

MONTHS = st.sampled_from(["2026-02", "2028-02", "2026-03", "2026-04", "2026-10"])
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
RATES = st.sampled_from(["0", "0.055", "0.07", "0.081", "0.19", "0.25"])
PRICES = st.sampled_from(sorted(set(SETTINGS) - {"percentage"}))


def days_in(month: str) -> int:
    return len(month_of(*(int(part) for part in month.split("-"))))


@st.composite
def lines(draw: st.DrawFn, month: str, *, constant: bool = False) -> Line:
    """A line of one to three selections, each measured on every day, and one perhaps removed during the month."""
    meter, price, last = draw(st.sampled_from(sorted(METERS))), draw(PRICES), days_in(month)
    selections = []
    for place in range(draw(st.integers(1, 3))):
        number = 1 if constant else last
        sizes = draw(st.lists(st.integers(0, 3000), min_size=number, max_size=number)) * (last // number)
        selection = {"name": f"S{place}", "sizes": ", ".join(f"{day}: {size}" for day, size in enumerate(sizes, 1))}
        if place and not constant:
            selection["billable"] = f"1-{draw(st.integers(1, last))}"
        selections.append(selection)
    plan: dict[str, Any] = {"meter": meter, "price": price, "price_params": SETTINGS[price]}
    plan |= {"unit": "each"} if meter == "count" else {}
    plan |= {"minimum": str(draw(st.integers(0, 30)))}
    return Line(plan=plan, selections=selections, runs="", quantity="", amount="")


def case_of(month: str, *given_lines: Line, currency: str = "EUR", tax: str = "0.19") -> Case:
    return Case(
        chapter="", title="", arithmetic="", month=month, currency=currency, tax=tax, tax_category="S",
        accept_missing="", lines=given_lines, other_lines=(), net="", taxes=(), total="", corrected=(),
        difference="", difference_tax="", difference_total="",
    )  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> Case:
    month = draw(MONTHS)
    made = [draw(lines(month)) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        share = {"percent": "15", "plans": [{"code": f"line-{place}"} for place in range(1, len(made) + 1)]}
        plan = {"price": "percentage", "price_params": share}
        made.append(Line(plan=plan, selections=(), runs="", quantity="", amount=""))
    return case_of(month, *made, currency=draw(CURRENCIES), tax=draw(RATES))


@settings(deadline=None, max_examples=60)
@given(case=documents())
def test_lines_add_up_to_the_last_unit_and_every_working_recomputes(case: Case) -> None:
    document, smallest = compute(case), currency_of(case.currency).smallest
    assert document.net == sum(line.amount for line in document.lines)
    assert sum(each.net for each in document.taxes) == document.net
    assert document.total == document.net + sum(each.tax for each in document.taxes)
    assert document.net % smallest == document.total % smallest == 0
    for line in document.lines:
        assert recompute(line.working) == line.amount >= 0
    # the tax of each rate is that of its sum, to half a unit
    for each in document.taxes:
        assert abs(each.tax - each.net * each.rate) <= smallest / 2


@settings(deadline=None, max_examples=40)
@given(case=documents(), data=st.data())
def test_the_order_of_the_lines_never_changes_a_total(case: Case, data: st.DataObject) -> None:
    sizes = [line for line in case.lines if line.selections]
    shares = [line for line in case.lines if not line.selections]
    turned = replace(case, lines=(*data.draw(st.permutations(sizes)), *shares))
    document, other = compute(case), compute(turned)
    assert (document.net, document.taxes, document.total) == (other.net, other.taxes, other.total)


@settings(deadline=None, max_examples=80)
@given(month=MONTHS, currency=CURRENCIES, data=st.data())
def test_a_change_of_plan_version_costs_the_whole_month_within_one_smallest_unit(
    month: str, currency: str, data: st.DataObject
) -> None:
    line, last = data.draw(lines(month, constant=True)), days_in(month)
    split = data.draw(st.integers(1, last - 1))
    whole = compute(case_of(month, line, currency=currency)).net
    parts = [replace(line, runs=runs) for runs in (f"1-{split}", f"{split + 1}-{last}")]
    both = compute(case_of(month, *parts, currency=currency)).net
    assert abs(both - whole) <= currency_of(currency).smallest


@settings(deadline=None, max_examples=40)
@given(month=MONTHS, data=st.data())
def test_meters_of_the_same_days_stand_in_their_order(month: str, data: st.DataObject) -> None:
    line = data.draw(lines(month))
    selections = [{name: text for name, text in each.items() if name != "billable"} for each in line.selections]
    price = {"price": "per_unit", "price_params": {"unit_price": "1"}, "minimum": "0"}

    def size(meter: str, **meter_params: str) -> Decimal:
        plan = {"meter": meter, "meter_params": meter_params, **price}
        return compute(case_of(month, replace(line, plan=plan, selections=selections))).lines[0].quantity

    assert size("daily_average") <= size("peak_day")
    assert size("last_day") <= size("peak_day")
    assert size("percentile_95") <= size("peak_day") <= size("cumulative_unique", figure="largest")
    assert size("last_day") == size("cumulative_unique")
    assert size("daily_maxima") == size("daily_average")
