"""Average of daily maxima, 95th percentile, cumulative unique and count against sums done by hand."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.days import DayValue, fill_days
from billing.metering import METERS, Measured, measure, measure_selections, read_meter_params
from billing.params import BadParams
from billing.taking import as_things, by_largest, thing_days
from billing.working import WorkingDisagrees, explain, recompute
from tests.billing.pure.made import GB, MARCH, constant_days, march, measured_days, measurement

SIZES = st.dictionaries(st.sampled_from(MARCH.days()), st.integers(0, 10**13), min_size=1)


def metered(meter: str, days: tuple[DayValue, ...], *, unit: str = "GB", **settings: Any) -> Measured:
    return measure(meter, days, unit=unit, params=read_meter_params(meter, settings))


def together(meter: str, selections: dict[str, tuple[DayValue, ...]], *, unit: str = "GB", **settings: Any) -> Measured:
    params = read_meter_params(meter, settings)
    return measure_selections(meter, selections, unit=unit, params=params, pool="subscription")


# ---- average of daily maxima --------------------------------------------------------------------------------------


def test_the_largest_figure_of_a_day_counts_and_names_its_own_run() -> None:
    figures = [measurement(march(1), 90 * GB, hour=2, run_key="night"), measurement(march(1), 60 * GB, hour=14)]
    days = fill_days(figures, period=MARCH, billable=MARCH.days(), due=MARCH.days(), carry_days=31)
    first, second = by_largest(days, figures)[:2]
    assert (first.quantity, first.source) == (90 * GB, "run:2026-03-01:night")
    assert first.note == "Largest figure of the day; the last one was 60000000000"
    # the day after has no figure of its own: it keeps the one that stands, which is the last of the day before
    assert (second.state, second.quantity) == ("late", 60 * GB)
    # 90 + 30 x 60 = 1,890 GB-days on 31 days; by the last figures it would be 60
    assert metered("daily_maxima", by_largest(days, figures)).exact == Fraction(1890, 31)
    assert metered("daily_average", days).exact == 60


def test_with_one_figure_a_day_the_largest_is_the_last() -> None:
    figures = [measurement(day, day.day * GB) for day in MARCH.days()]
    days = fill_days(figures, period=MARCH, billable=MARCH.days(), due=MARCH.days(), carry_days=0)
    assert by_largest(days, figures) == days


def test_a_day_that_is_not_billable_or_missing_gets_no_largest_figure() -> None:
    figures = [measurement(march(1), GB), measurement(march(9), GB)]
    days = fill_days(figures, period=MARCH, billable=MARCH.days()[1:], due=MARCH.days(), carry_days=0)
    assert by_largest(days, [measurement(march(1), 9 * GB), measurement(march(2), 9 * GB)]) == days


@given(sizes=st.lists(st.tuples(st.sampled_from(MARCH.days()), st.integers(0, 10**13), st.integers(0, 23)), min_size=1))
def test_daily_maxima_are_never_below_the_last_figures_and_in_any_order(sizes: list[tuple[date, int, int]]) -> None:
    figures = [measurement(day, size, hour=hour, run_key=str(n)) for n, (day, size, hour) in enumerate(sizes)]
    days = fill_days(figures, period=MARCH, billable=MARCH.days(), due=(), carry_days=0)
    raised = by_largest(days, figures)
    assert raised == by_largest(days, list(reversed(figures)))
    for last, largest in zip(days, raised, strict=True):
        assert (largest.quantity or 0) >= (last.quantity or 0)
        own = [size for day, size, _ in sizes if day == last.day]
        assert not own or largest.quantity == max(own)


# ---- 95th percentile ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days,rank", [(1, 1), (2, 2), (19, 19), (20, 19), (28, 27), (29, 28), (30, 29), (31, 30)]
)  # 0.95 x 20 = 19 exactly; 0.95 x 28 = 26.6; x 29 = 27.55; x 30 = 28.5; x 31 = 29.45
def test_the_rank_is_95_percent_of_the_days_rounded_up(days: int, rank: int) -> None:
    # the largest first, so that the order of the days is not that of the sizes; the smallest is 1 GB
    sizes = {day: (days - place) * GB for place, day in enumerate(MARCH.days()[:days])}
    figures = [measurement(day, size) for day, size in sizes.items()]
    filled = fill_days(figures, period=MARCH, billable=list(sizes), due=(), carry_days=0)
    measured = metered("percentile_95", filled)
    assert measured.exact == rank
    assert {step["key"]: step["amount"] for step in measured.working["steps"]}["rank"] == str(rank)


def test_the_working_says_rank_and_number_of_days() -> None:
    measured = metered("percentile_95", measured_days({day: day.day * GB for day in MARCH.days()}))
    assert explain(measured.working) == [
        "95 % of the days that count: 31 days x 0.95 = 29.45",
        "Rank: rounded up to a whole day: 29.45 rounded up to 0 places = 30",
        "The size at that rank of 31 days, the smallest first: number 30 of the 31 figures listed by day"
        " = 30,000,000,000 bytes",
        "Size in GB: 30,000,000,000 bytes / 1,000,000,000 = 30 GB",
    ]


def test_a_changed_rank_is_found() -> None:
    measured = metered("percentile_95", measured_days({day: day.day * GB for day in MARCH.days()}))
    for forged in ("31", "32", "0", "1/2"):
        step = next(each for each in measured.working["steps"] if each["key"] == "percentile")
        broken = step | {"of": [forged, *step["of"][1:]]}
        steps = [broken if each is step else each for each in measured.working["steps"]]
        with pytest.raises(WorkingDisagrees):
            recompute(measured.working | {"steps": steps})


@given(sizes=SIZES)
def test_the_percentile_is_a_days_size_and_at_most_5_percent_of_the_days_are_above_it(sizes: dict[date, int]) -> None:
    days = measured_days(sizes, carry_days=31)
    counted = [day.quantity for day in days if day.quantity is not None]
    size = metered("percentile_95", days).exact * GB
    assert size in counted
    assert min(counted) <= size <= max(counted)
    assert sum(quantity > size for quantity in counted) * 20 <= len(counted)


# ---- cumulative unique --------------------------------------------------------------------------------------------


def shop() -> dict[str, tuple[DayValue, ...]]:
    """Files: 100 GB all month. Mail: 40 GB, from the 5th to the 9th 60 GB, removed after the 10th, when it had 50."""
    mail = {day: (60 if 5 <= day.day <= 9 else 40) * GB for day in MARCH.days()[:10]} | {march(10): 50 * GB}
    figures = [measurement(day, size) for day, size in mail.items()]
    removed = fill_days(figures, period=MARCH, billable=list(mail), due=list(mail), carry_days=0)
    return {"Files": constant_days(100 * GB), "Mail": removed}


@pytest.mark.parametrize("figure,expected", [("last", 150), ("largest", 160)])
def test_what_was_removed_counts_whole_by_its_last_or_largest_size(figure: str, expected: int) -> None:
    measured = together("cumulative_unique", shop(), figure=figure)
    assert (measured.exact, measured.billable_days) == (Fraction(expected), 31)
    recompute(measured.working)


def test_the_average_counts_what_was_removed_by_its_days() -> None:
    # Mail: 4 x 40 + 5 x 60 + 50 = 510 GB-days
    assert together("daily_average", shop()).exact == Fraction(3100 + 510, 31)


@given(first=SIZES, second=SIZES)
def test_cumulative_unique_is_never_below_the_last_day_nor_its_largest_below_the_peak(
    first: dict[date, int], second: dict[date, int]
) -> None:
    selections = {"a": measured_days(first, carry_days=31), "b": measured_days(second, carry_days=31)}
    last = together("cumulative_unique", selections).exact
    assert last >= together("last_day", selections).exact
    both = {name: measured_days(dict.fromkeys(MARCH.days(), 0) | each) for name, each in (("a", first), ("b", second))}
    assert together("cumulative_unique", both, figure="largest").exact >= together("peak_day", both).exact


# ---- count --------------------------------------------------------------------------------------------------------


def fleet() -> dict[str, tuple[DayValue, ...]]:
    """On one machine files all month and mail from the 16th on; on another a database on the first 10 days."""
    return {
        "files": constant_days(GB),
        "mail": constant_days(GB, first=15),
        "db": constant_days(GB, last=10),
    }


@pytest.mark.parametrize(
    "machine_of,days,expected",
    [
        ({}, "average", Fraction(31 + 16 + 10, 31)),
        ({}, "peak", Fraction(2)),
        ({}, "last", Fraction(2)),
        ({"mail": "files"}, "average", Fraction(31 + 10, 31)),
        ({"mail": "files"}, "peak", Fraction(2)),
        ({"mail": "files"}, "last", Fraction(1)),
    ],
)
def test_things_are_counted_day_by_day(machine_of: dict[str, str], days: str, expected: Fraction) -> None:
    selections = fleet()
    things = as_things(selections, thing_of={name: machine_of.get(name, name) for name in selections})
    measured = together("count", things, unit="each", days=days)
    assert measured.exact == expected
    recompute(measured.working)
    assert thing_days(things) == (57 if not machine_of else 41)


def test_a_machine_counts_while_one_of_its_selections_is_known_and_else_the_day_is_missing() -> None:
    gone = measured_days({day: GB for day in MARCH.days() if day.day not in (8, 9)})
    other = measured_days({day: GB for day in MARCH.days() if day.day != 9})
    things = as_things({"a": gone, "b": other}, thing_of={"a": "m", "b": "m"})
    assert [day.day.day for day in things["m"] if day.state == "missing"] == [9]
    held = together("count", things, unit="each")
    assert held.held_days == (march(9),)
    params = read_meter_params("count", {}, accept_missing="carry")
    assert measure_selections("count", things, unit="each", params=params, pool="subscription").exact == 1


def test_a_thing_that_is_never_billable_is_not_counted() -> None:
    idle = fill_days([measurement(march(1), GB)], period=MARCH, billable=[], due=[], carry_days=0)
    things = as_things({"a": idle}, thing_of={"a": "a"})
    assert together("count", things, unit="each").exact == 0


@pytest.mark.parametrize(
    "meter,settings,sentence",
    [
        ("cumulative_unique", {"figure": "first"}, "figure: this must be one of: last, largest"),
        ("count", {"things": "mailboxes"}, "things: this must be one of: selections, machines"),
        ("count", {"days": 3}, "days: this must be one of: average, peak, last"),
        ("percentile_95", {"percent": 99}, "percent: there is no such setting; there are: accept_missing"),
    ],
)
def test_settings_that_cannot_be_are_refused(meter: str, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadParams, match=sentence):
        read_meter_params(meter, settings)


@pytest.mark.parametrize("meter", sorted(METERS))
def test_what_every_meter_says_of_itself(meter: str) -> None:
    assert METERS[meter].TAKES in ("last", "largest", "things")
    assert isinstance(METERS[meter].WHOLE, bool)
