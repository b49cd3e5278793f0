"""Meters against sums done by hand, and what must hold for whatever days there are."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.days import DayValue, billable_days, fill_days, month_of, pool_days
from billing.metering import METERS, Measured, combine, measure, measure_pooled, read_meter_params
from billing.params import BadParams
from billing.working import recompute
from tests.billing.pure.made import GB, MARCH, constant_days, march, measured_days, measurement

SIZES = st.dictionaries(st.sampled_from(MARCH.days()), st.integers(0, 10**13), min_size=1)
METER_NAMES = st.sampled_from(sorted(METERS))


def metered(meter: str, days: tuple[DayValue, ...], *, unit: str = "GB", accept: str | None = None) -> Measured:
    params = read_meter_params(meter, {}, accept_missing=accept)  # type: ignore[arg-type]
    return measure(meter, days, unit=unit, params=params)


def grown() -> tuple[DayValue, ...]:
    """100 GB on ten days, then 131 GB on twenty-one: 3,751 GB-days."""
    return measured_days({day: (100 if day.day <= 10 else 131) * GB for day in MARCH.days()})


@pytest.mark.parametrize(
    "meter,expected", [("daily_average", "121.000000000"), ("peak_day", "131.000000000"), ("last_day", "131.000000000")]
)
def test_a_month_in_which_a_selection_grew(meter: str, expected: str) -> None:
    assert str(metered(meter, grown()).quantity) == expected


def test_the_average_is_exact_even_where_its_decimals_never_end() -> None:
    days = measured_days({day: (101 if day.day == 31 else 100) * GB for day in MARCH.days()})
    assert metered("daily_average", days).exact == Fraction(3101, 31)
    assert str(metered("daily_average", days).quantity) == "100.032258065"


def test_gb_and_gib_of_the_same_bytes_differ() -> None:
    days = constant_days(3 * 2**29)
    assert metered("daily_average", days, unit="GiB").exact == Fraction(3, 2)
    assert metered("daily_average", days, unit="GB").exact == Fraction(1610612736, 10**9)


def test_the_average_divides_by_billable_days_only() -> None:
    half = constant_days(100 * GB, first=15)
    assert metered("daily_average", half).exact == 100
    assert metered("daily_average", half).billable_days == 16


@pytest.mark.parametrize("meter", sorted(METERS))
def test_a_missing_day_holds_the_invoice_until_a_person_accepts_it(meter: str) -> None:
    days = measured_days({day: day.day * GB for day in MARCH.days() if day.day not in (5, 31)})
    held = metered(meter, days)
    assert held.held_days == (march(5), march(31))
    assert held.working["held_days"] == ["2026-03-05", "2026-03-31"]
    for decision in ("exclude", "carry"):
        assert metered(meter, days, accept=decision).held_days == ()


def test_accepted_days_are_left_out_or_charged_by_the_last_figure() -> None:
    days = measured_days({day: day.day * GB for day in MARCH.days() if day.day not in (5, 31)})
    # 1 + .. + 31 = 496; without 5 and 31 it is 460 on 29 days; carrying 4 and 30 it is 494 on 31 days
    assert metered("daily_average", days, accept="exclude").exact == Fraction(460, 29)
    assert metered("daily_average", days, accept="carry").exact == Fraction(494, 31)
    assert metered("last_day", days, accept="exclude").exact == 30


def test_a_day_before_the_first_figure_cannot_be_carried_and_stays_held() -> None:
    days = measured_days({day: GB for day in MARCH.days() if day.day > 2})
    assert metered("daily_average", days, accept="carry").held_days == (march(1), march(2))
    assert metered("daily_average", days, accept="exclude").held_days == ()


def test_a_month_without_any_figure_is_held_and_not_free() -> None:
    nothing = metered("daily_average", measured_days({}))
    assert len(nothing.held_days) == 31
    assert nothing.exact == 0


def test_a_selection_that_was_not_billable_at_all_measures_zero_and_holds_nothing() -> None:
    days = fill_days([measurement(march(1), GB)], period=MARCH, billable=[], due=[], carry_days=0)
    idle = metered("daily_average", days)
    assert (idle.exact, idle.held_days, idle.billable_days) == (Fraction(0), (), 0)


def test_late_days_are_charged_and_not_due_days_too() -> None:
    figures = [measurement(march(1), 10 * GB), measurement(march(8), 20 * GB)]
    days = fill_days(figures, period=MARCH, billable=MARCH.days(), due=[march(1), march(8)], carry_days=0)
    assert metered("daily_average", days).exact == Fraction(7 * 10 + 24 * 20, 31)
    assert metered("daily_average", days).held_days == ()


@pytest.mark.parametrize("year,days_in_february", [(2024, 29), (2026, 28)])
def test_february_is_divided_by_its_own_days(year: int, days_in_february: int) -> None:
    period = month_of(year, 2)
    days = measured_days({day: GB * (2 if day == date(year, 2, 1) else 1) for day in period.days()}, period=period)
    assert metered("daily_average", days).exact == 1 + Fraction(1, days_in_february)


@given(sizes=SIZES, meter=METER_NAMES, data=st.data())
def test_the_order_of_figures_never_changes_a_size(sizes: dict[date, int], meter: str, data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(sorted(sizes.items()))))
    assert metered(meter, measured_days(sizes)) == metered(meter, measured_days(shuffled))


@given(sizes=SIZES, meter=METER_NAMES, accept=st.sampled_from([None, "exclude", "carry"]))
def test_a_size_lies_between_the_smallest_and_the_largest_day_and_its_working_recomputes(
    sizes: dict[date, int], meter: str, accept: str | None
) -> None:
    measured = metered(meter, measured_days(sizes, carry_days=2), accept=accept)
    assert min(sizes.values()) <= measured.exact * GB <= max(sizes.values())
    recompute(measured.working)
    assert Fraction(measured.working["steps"][-1]["amount"]) == measured.exact


@given(sizes=SIZES)
def test_last_and_average_never_exceed_the_peak(sizes: dict[date, int]) -> None:
    days = measured_days(sizes, carry_days=31)
    peak = metered("peak_day", days).exact
    assert metered("daily_average", days).exact <= peak
    assert metered("last_day", days).exact <= peak


@given(first=SIZES, second=SIZES)
def test_averages_of_selections_add_up_to_the_average_of_the_pool(
    first: dict[date, int], second: dict[date, int]
) -> None:
    whole = dict.fromkeys(MARCH.days(), 0)
    files, mail = measured_days(whole | first), measured_days(whole | second)
    params = read_meter_params("daily_average", {})
    pooled = measure_pooled("daily_average", {"Files": files, "Mail": mail}, unit="GB", params=params)
    parts = {"Files": metered("daily_average", files), "Mail": metered("daily_average", mail)}
    assert combine(parts, of_days=31).exact == pooled.exact
    recompute(combine(parts, of_days=31).working)
    recompute(pooled.working)


def test_peaks_of_selections_add_up_to_more_than_the_peak_of_the_pool() -> None:
    early = measured_days({day: (90 if day.day < 15 else 10) * GB for day in MARCH.days()})
    late = measured_days({day: (10 if day.day < 15 else 90) * GB for day in MARCH.days()})
    params = read_meter_params("peak_day", {})
    assert measure_pooled("peak_day", {"a": early, "b": late}, unit="GB", params=params).exact == 100
    assert combine({"a": metered("peak_day", early), "b": metered("peak_day", late)}, of_days=31).exact == 180


def test_a_selection_that_came_later_counts_by_its_share_of_the_days_either_way() -> None:
    selections = {"Files": constant_days(100 * GB), "Mail": constant_days(62 * GB, first=15)}
    params = read_meter_params("daily_average", {})
    pooled = measure_pooled("daily_average", selections, unit="GB", params=params)
    parts = {name: metered("daily_average", days) for name, days in selections.items()}
    # 62 GB on 16 of 31 days is 32 GB
    assert pooled.exact == combine(parts, of_days=billable_days(pool_days(selections))).exact == 132


def test_a_hold_of_one_selection_holds_the_combination_and_the_pool() -> None:
    selections = {"a": constant_days(GB), "b": measured_days({day: GB for day in MARCH.days() if day.day != 9})}
    params = read_meter_params("daily_average", {})
    parts = {name: metered("daily_average", days) for name, days in selections.items()}
    assert combine(parts, of_days=31).held_days == (march(9),)
    assert measure_pooled("daily_average", selections, unit="GB", params=params).held_days == (march(9),)


def test_what_cannot_be_combined_or_measured_is_refused() -> None:
    part = metered("daily_average", constant_days(GB))
    with pytest.raises(ValueError, match="one unit"):
        combine({"a": part, "b": metered("daily_average", constant_days(GB), unit="GiB")}, of_days=31)
    with pytest.raises(ValueError, match="one unit"):
        combine({}, of_days=31)
    with pytest.raises(ValueError, match="more than the 30 days"):
        combine({"a": part}, of_days=30)
    with pytest.raises(ValueError, match="once, in order"):
        metered("daily_average", tuple(reversed(constant_days(GB))))
    with pytest.raises(BadParams, match="there is no meter 'average'; there are: daily_average"):
        read_meter_params("average", {})


def test_counts_of_things_are_measured_one_by_one() -> None:
    measured = metered("peak_day", measured_days({day: 40 + day.day for day in MARCH.days()}), unit="each")
    assert measured.exact == 71
    assert measured.working["days"][0]["unit"] == "each"
    assert measured.quantity == Decimal(71)
