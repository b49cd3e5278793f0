"""Baselines: what is usual, what is far from it, how a new level becomes the usual one; by tables and properties."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.baselines import WINDOW, Limits, Reading, Series, cannot_be_far, is_far, read_series, readings_of, usual_of
from alerts.facts import RunPoint
from alerts.wording import size_words
from tests.alerts.pure.examples import NOON

DAY = timedelta(days=1)
LIMITS = Limits(shrink_percent=30, grow_percent=100, floor=10, samples=7, settle=14)
values = st.lists(st.integers(0, 10**15), min_size=1, max_size=60)


def readings(figures: Sequence[int]) -> list[Reading]:
    """One a night from a Wednesday on."""
    return [Reading(at=NOON + night * DAY, value=value, weekday=(2 + night) % 7) for night, value in enumerate(figures)]


def read(figures: Sequence[int], limits: Limits = LIMITS, *, accepted: int | None = None) -> Series:
    """``accepted``: a person accepted the level an hour after that reading."""
    at = None if accepted is None else NOON + accepted * DAY + timedelta(hours=1)
    return read_series(readings(figures), limits, accepted_at=at)


@pytest.mark.parametrize(
    "figures,lower,upper",
    [
        ([5], 5, 5),
        ([100] * 28, 100, 100),
        ([100] * 20 + [5000], 100, 100),  # one odd run does not widen the band
        ([410, 412, 414, 416, 418, 420, 430], 410, 430),  # never wider than what was seen
        ([100, 101, 102, 103, 900], 97 + 3, 107),  # five times the median deviation of 1 around 102
        ([100, 200] * 7, 100, 200),
        ([100, 200] * 7 + [100], 100, 200),  # two kinds of runs, both usual
        ([100] * 23 + [200] * 5, 100, 100),  # under a fifth is not
        ([100] * 22 + [200] * 6, 100, 200),
    ],
)
def test_the_band_is_the_median_and_its_deviation_within_what_was_seen(
    figures: list[int], lower: int, upper: int
) -> None:
    usual = usual_of(figures)
    assert (usual.lower, usual.upper, usual.samples) == (lower, upper, len(figures))


@pytest.mark.parametrize(
    "value,far",
    [(71, False), (70, True), (0, True), (100, False), (199, False), (200, True)],
)
def test_far_is_at_the_share_set_and_not_before(value: int, far: bool) -> None:
    assert is_far(value, usual_of([100]), LIMITS) is far


def test_a_difference_under_the_floor_is_never_far() -> None:
    limits = Limits(shrink_percent=30, grow_percent=100, floor=100)
    assert not is_far(0, usual_of([99]), limits)
    assert is_far(0, usual_of([100]), limits)


def test_a_direction_of_0_percent_is_not_looked_at() -> None:
    assert not is_far(0, usual_of([10**12]), Limits(grow_percent=100))
    assert not is_far(10**15, usual_of([10]), Limits(shrink_percent=30))


def test_it_says_the_usual_in_words() -> None:
    band = usual_of([410 * 10**9, 420 * 10**9, 430 * 10**9])
    assert band.words(size_words) == "usually between 410.0 GB and 430.0 GB over 3 runs"
    assert usual_of([10**9]).words(size_words) == "usually 1.0 GB in 1 run"


def test_a_shift_is_known_by_the_run_that_began_it() -> None:
    first, later = read([400] * 20 + [12]).shift, read([400] * 20 + [12, 13, 11]).shift
    assert first is not None
    assert later is not None
    assert first.first == later.first == later.left
    assert (first.times, later.times) == (1, 3)
    assert (first.share_words(), later.share_words()) == ("97 % less", "97 % less")
    assert later.usual == usual_of([400] * 20)


def test_a_further_shift_is_another_one_that_keeps_when_it_all_began() -> None:
    shift = read([400] * 20 + [200, 200, 12]).shift
    assert shift is not None
    assert (shift.left.at, shift.first.at, shift.times) == (NOON + 20 * DAY, NOON + 22 * DAY, 1)


def test_a_single_odd_run_is_no_shift_once_the_next_is_usual() -> None:
    assert read([400] * 20 + [12, 401]).shift is None


def test_too_few_readings_say_nothing() -> None:
    assert read([400] * 6) == Series(usual=None)
    assert read([400, 1, 10**9, 400, 5, 400]).usual is None


def test_a_new_level_that_has_held_long_enough_is_the_usual_one() -> None:
    assert read([400] * 20 + [100] * 13).shift is not None
    settled = read([400] * 20 + [100] * 14)
    assert settled.shift is None
    assert settled.usual == usual_of([100] * 14)
    assert read([400] * 20 + [100] * 14 + [400]).shift is not None
    never = Limits(shrink_percent=30, samples=7, settle=0)
    assert read([400] * 20 + [100] * 39, never).shift is not None


def test_an_accepted_level_is_the_usual_one_at_once() -> None:
    nights = [400] * 20 + [100] * 3
    assert read(nights, accepted=22).shift is None
    assert read([*nights, 101], accepted=22).shift is None
    back, further = read([*nights, 400], accepted=22).shift, read([*nights, 10], accepted=22).shift
    assert back is not None
    assert back.grew
    assert further is not None
    assert further.usual == usual_of([100] * 3)


def test_accepting_after_the_size_came_back_changes_nothing() -> None:
    """Else the odd night itself, or one night alone, would be what is usual from then on."""
    assert read([400, 410] * 10 + [12, 405], accepted=21) == read([400, 410] * 10 + [12, 405])


def test_what_is_usual_on_a_weekday_is_no_surprise() -> None:
    week = [100] * 6 + [900]
    assert read(week * 2).shift is None
    assert read(week * 8).shift is None
    assert read([*week, 100, 100, 900]).shift is not None


def test_slow_growth_and_slow_decline_move_the_usual_along() -> None:
    grown = [int(10**6 * 1.02**night) for night in range(60)]
    assert grown[-1] > 3 * grown[0]
    for figures in (grown, grown[::-1]):
        for night in range(1, 61):
            assert read(figures[:night]).shift is None


def test_a_reading_carries_the_local_weekday_of_its_start() -> None:
    late = RunPoint(ended_at=NOON + 12 * timedelta(hours=1), outcome="success", protected_bytes=5)  # Thursday 00:00 UTC
    early = RunPoint(ended_at=late.ended_at, started_at=NOON, outcome="success", protected_bytes=5)
    silent = RunPoint(ended_at=NOON, outcome="success")
    told = readings_of([late, early, silent], lambda point: point.protected_bytes, zone="America/New_York")
    assert [one.weekday for one in told] == [2, 2]
    assert [one.weekday for one in readings_of([late], lambda point: point.protected_bytes, zone="UTC")] == [3]


# --- properties


@given(st.integers(0, 10**15), st.integers(1, 60), st.integers(0, 100), st.integers(0, 1000))
def test_a_constant_series_is_never_flagged(value: int, number: int, shrink: int, grow: int) -> None:
    limits = Limits(shrink_percent=shrink, grow_percent=grow, floor=0, samples=2, settle=5)
    assert read([value] * number, limits).shift is None


@given(values, st.integers(1, 1000))
def test_scaling_all_figures_changes_no_verdict(figures: list[int], factor: int) -> None:
    limits = Limits(shrink_percent=30, grow_percent=100, floor=0, samples=3, settle=5)
    plain, scaled = read(figures, limits), read([value * factor for value in figures], limits)
    assert (plain.shift is None) == (scaled.shift is None)
    if plain.shift is not None and scaled.shift is not None:
        assert plain.shift.first.at == scaled.shift.first.at
        assert plain.shift.percent == scaled.shift.percent


@given(values, st.randoms(use_true_random=False))
def test_the_band_does_not_depend_on_the_order(figures: list[int], shuffling: random.Random) -> None:
    mixed = list(figures)
    shuffling.shuffle(mixed)
    assert usual_of(mixed) == usual_of(figures)


@given(values)
def test_the_band_holds_the_median_and_lies_within_what_was_seen(figures: list[int]) -> None:
    usual = usual_of(figures)
    assert min(figures) <= usual.lower <= usual.upper <= max(figures)
    assert sum(usual.lower <= value <= usual.upper for value in figures) * 2 >= len(figures)


@given(values)
def test_what_cannot_be_far_is_no_shift(figures: list[int]) -> None:
    """The quick look may only pass over what the close one would not flag."""
    if cannot_be_far(figures, LIMITS):
        assert read(figures).shift is None


@given(st.lists(st.integers(50, 100), min_size=7, max_size=59), st.integers(0, 20) | st.integers(300, 10**15))
def test_one_more_run_at_a_level_that_was_flagged_and_accepted_is_not_flagged(figures: list[int], level: int) -> None:
    assert read([*figures, level]).shift is not None
    assert read([*figures, level, level], accepted=len(figures)).shift is None


@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 20))
def test_an_accepted_level_stays_usual_when_what_was_before_it_drops_out(before: int, until: int, after: int) -> None:
    """A history holds sixty runs: the old level leaves it, one by one."""
    kept = readings([400] * before + [100] * (until + after))
    accepted_at = kept[before + until - 1].at
    assert read_series(kept, Limits(shrink_percent=30, settle=0), accepted_at=accepted_at).shift is None


@given(st.lists(st.integers(50, 150), min_size=WINDOW, max_size=60), st.integers(500, 10**6))
def test_a_level_many_times_above_all_that_was_is_always_flagged(figures: list[int], level: int) -> None:
    shift = read([*figures, level]).shift
    assert shift is not None
    assert shift.grew
