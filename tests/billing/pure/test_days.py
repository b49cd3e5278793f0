"""The day ledger: what each day is charged by, and that no day is zero or carried without a word."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.days import (
    DAY_STATES,
    DayValue,
    Measurement,
    Period,
    basis_changes,
    billable_days,
    billable_share,
    days_within,
    fill_days,
    month_of,
    pool_days,
)
from tests.billing.pure.made import MARCH, march, measured_days, measurement, month_days

WEEK = Period(first_day=march(2), last_day=march(9))  # Monday to Sunday


def states(days: tuple[DayValue, ...]) -> list[str]:
    return [day.state for day in days]


def quantities(days: tuple[DayValue, ...]) -> list[int | None]:
    return [day.quantity for day in days]


def week(
    *figures: Measurement,
    due: list[date] | None = None,
    carry_days: int = 0,
    before: Measurement | None = None,
    billable: list[date] | None = None,
) -> tuple[DayValue, ...]:
    return fill_days(
        figures,
        period=WEEK,
        billable=list(WEEK.days()) if billable is None else billable,
        due=list(WEEK.days()) if due is None else due,
        carry_days=carry_days,
        before=before,
    )


def test_a_day_without_a_figure_is_missing_and_not_zero() -> None:
    days = week(*(measurement(march(day), 7) for day in (2, 3, 5, 6, 7, 8)))
    assert states(days) == ["measured"] * 2 + ["missing"] + ["measured"] * 4
    assert days[2].quantity is None
    assert days[2].last_quantity == 7
    assert days[2].note == "Due on 2026-03-04, nothing measured since 2026-03-03"


def test_a_late_figure_is_carried_for_so_many_days_and_shown_as_carried() -> None:
    days = week(measurement(march(2), 7), carry_days=2)
    assert states(days) == ["measured", "late", "late", "missing", "missing", "missing", "missing"]
    assert quantities(days) == [7, 7, 7, None, None, None, None]
    assert days[2].note == "Carried from 2026-03-02: due on 2026-03-03, late day 2 of at most 2"
    assert days[2].source == days[0].source
    assert days[3].source is None


def test_days_on_which_no_run_was_due_are_carried_free() -> None:
    days = week(measurement(march(2), 7), due=[march(2)])
    assert states(days) == ["measured"] + ["not_due"] * 6
    assert quantities(days) == [7] * 7
    assert days[6].note == "Stands since 2026-03-02: no run was due"


def test_a_missed_due_day_makes_the_days_after_it_late_even_if_none_of_them_is_due() -> None:
    # weekly on Tuesday; without this a dead weekly job would be carried for ever, a day a week
    days = week(before=measurement(date(2026, 2, 24), 7), due=[march(3)], carry_days=2)
    assert states(days) == ["not_due", "late", "late", "missing", "missing", "missing", "missing"]


def test_a_new_figure_ends_being_late_and_a_new_lateness_counts_anew() -> None:
    days = week(measurement(march(2), 7), measurement(march(5), 9), carry_days=1)
    assert states(days) == ["measured", "late", "missing", "measured", "late", "missing", "missing"]
    assert quantities(days) == [7, 7, None, 9, 9, None, None]


def test_lateness_before_the_period_is_counted() -> None:
    days = week(before=measurement(date(2026, 2, 27), 7), due=[date(2026, 2, 28), *WEEK.days()], carry_days=3)
    # late since Saturday 28 February: Monday 2 March is the third late day
    assert states(days) == ["late"] + ["missing"] * 6


def test_days_before_the_first_figure_are_missing_or_not_billable_as_the_agreement_says() -> None:
    figures = [measurement(march(day), 7) for day in (4, 5, 6, 7, 8)]
    agreed = week(*figures, carry_days=5)
    assert states(agreed) == ["missing"] * 2 + ["measured"] * 5
    assert agreed[0].note == "No measurement yet"
    assert agreed[0].last_quantity is None
    first_good = week(*figures, billable=[march(day) for day in (4, 5, 6, 7, 8)])
    assert states(first_good) == ["not_billable"] * 2 + ["measured"] * 5


def test_a_day_that_is_not_billable_has_no_figure_even_when_measured() -> None:
    days = week(measurement(march(2), 7), billable=[march(3)], carry_days=1)
    assert (days[0].state, days[0].quantity) == ("not_billable", None)
    assert (days[1].state, days[1].quantity) == ("late", 7)


def test_of_several_figures_on_a_day_the_latest_counts_by_time_and_then_by_run_key() -> None:
    early, late = measurement(march(2), 1, hour=1, run_key="z"), measurement(march(2), 2, hour=3, run_key="a")
    tied = measurement(march(2), 3, hour=3, run_key="b")
    assert week(late, early)[0].quantity == 2
    assert week(tied, late, early)[0].quantity == 3


def test_figures_before_and_after_the_period_are_put_in_their_place() -> None:
    days = week(measurement(march(20), 9), measurement(march(1), 5), measurement(march(2), 7), due=[], carry_days=0)
    assert quantities(days) == [7] * 7
    assert quantities(week(measurement(march(1), 5), due=[])) == [5] * 7


@given(data=st.data())
def test_the_order_of_figures_never_changes_a_day(data: st.DataObject) -> None:
    figure = st.builds(
        measurement,
        st.sampled_from(WEEK.days()),
        st.integers(0, 5),
        hour=st.integers(0, 3),
        run_key=st.sampled_from("ab"),
    )
    figures = data.draw(st.lists(figure, max_size=12))
    due = data.draw(st.lists(st.sampled_from(WEEK.days())))
    shuffled = data.draw(st.permutations(figures))
    carry = data.draw(st.integers(0, 4))
    assert week(*figures, due=due, carry_days=carry) == week(*reversed(shuffled), due=due, carry_days=carry)


@given(data=st.data())
def test_no_day_is_lost_zeroed_or_carried_in_silence(data: st.DataObject) -> None:
    sizes = data.draw(st.dictionaries(st.sampled_from(WEEK.days()), st.integers(1, 99)))
    due = data.draw(st.sets(st.sampled_from(WEEK.days())))
    carry = data.draw(st.integers(0, 4))
    days = week(*(measurement(day, size) for day, size in sizes.items()), due=sorted(due), carry_days=carry)
    assert tuple(day.day for day in days) == WEEK.days()
    late_in_row = 0
    for day in days:
        assert (day.state == "measured") == (day.day in sizes)
        assert (day.quantity is None) == (day.state == "missing")
        assert day.quantity != 0
        assert day.state == "measured" or day.note
        assert not (day.state == "not_due" and day.day in due)
        late_in_row = late_in_row + 1 if day.state == "late" else 0
        assert late_in_row <= carry


@pytest.mark.parametrize("year, month, length", [(2024, 2, 29), (2026, 2, 28), (2100, 2, 28), (2026, 12, 31)])
def test_months_have_the_days_of_the_calendar(year: int, month: int, length: int) -> None:
    assert list(month_of(year, month).days()) == month_days(year, month)
    assert len(month_of(year, month)) == length


@pytest.mark.parametrize("month, change", [(3, 29), (10, 25)])
def test_the_days_on_which_clocks_change_are_days_like_any_other(month: int, change: int) -> None:
    period = month_of(2026, month)
    days = measured_days(dict.fromkeys(period.days(), 7), period=period)
    assert days[change - 1].day == date(2026, month, change)
    assert quantities(days) == [7] * 31
    assert billable_share(days) == 1


def test_intervals_begin_with_their_first_day_and_end_before_their_last() -> None:
    within = days_within([(march(3), march(5)), (march(8), None)])
    assert [day.day for day in WEEK.days() if within(day)] == [3, 4, 8]


def test_billable_days_include_the_missing_ones() -> None:
    days = week(measurement(march(3), 7), billable=[march(3), march(4)])
    assert billable_days(days) == 2
    assert str(billable_share(days)) == "2/7"


def test_a_change_of_basis_is_found_across_missing_days() -> None:
    used = Measurement(day=march(4), quantity=9, measured_at=measurement(march(4), 9).measured_at, basis="used")
    assert basis_changes(week(measurement(march(2), 7), used)) == ((march(4), "logical", "used"),)


def test_pooled_days_add_up_and_one_missing_part_makes_the_day_missing() -> None:
    whole = week(*(measurement(day, 10) for day in WEEK.days()))
    part = week(measurement(march(4), 5), measurement(march(6), 6), billable=[march(4), march(5), march(6)])
    pooled = pool_days({"Mail": part, "Files": whole})
    assert quantities(pooled) == [10, 10, 15, None, 16, 10, 10]
    assert states(pooled) == ["measured"] * 3 + ["missing"] + ["measured"] * 3
    assert pooled[2].parts == (("Files", 10), ("Mail", 5))
    assert pooled[3].last_quantity == 15
    assert "Mail: Due on 2026-03-05, nothing measured since 2026-03-04" in pooled[3].note


def test_what_cannot_be_pooled_filled_or_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="no selection"):
        pool_days({})
    with pytest.raises(ValueError, match="same days"):
        pool_days({"a": week(), "b": measured_days({}, period=MARCH)})
    with pytest.raises(ValueError, match="0 or more"):
        week(carry_days=-1)
    with pytest.raises(ValueError, match="cannot be negative"):
        measurement(march(1), -1)
    with pytest.raises(ValueError, match="ends after it begins"):
        Period(first_day=march(1), last_day=march(1))


def test_states_are_listed_once_each() -> None:
    assert sorted(DAY_STATES) == ["late", "measured", "missing", "not_billable", "not_due"]
