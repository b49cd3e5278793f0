"""What decides over the growth of everybody's work must itself tell a line from a square, also on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import growth
from tests.growth import assert_grows_linearly, assert_is_quick


def clock_of(monkeypatch: pytest.MonkeyPatch, costs: Iterator[float]) -> None:
    """Processor time that the work itself does not take: the next of ``costs`` between two looks."""
    monkeypatch.setattr(growth, "seconds_of", lambda work, size: next(costs))


def test_one_undisturbed_try_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_of(monkeypatch, iter([0.01, 9.0, 0.01, 2.0, 0.01, 0.1]))
    assert_grows_linearly(lambda _: None, small=10, large=100)


def test_a_square_never_passes_however_often_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_of(monkeypatch, iter([0.01, 1.0] * growth.TRIES))
    with pytest.raises(AssertionError, match="more than 40 times"):
        assert_grows_linearly(lambda _: None, small=10, large=100)


def test_work_without_a_measurable_cost_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_of(monkeypatch, iter([0.00001, 0.05]))
    assert_grows_linearly(lambda _: None, small=10, large=100)


def test_real_lines_and_squares_are_told_apart() -> None:
    assert_grows_linearly(lambda size: sum(range(size)), small=100_000, large=1_000_000)
    with pytest.raises(AssertionError):
        assert_grows_linearly(lambda size: [sum(range(size)) for _ in range(size)], small=200, large=4000, floor=0)


def test_what_is_too_slow_at_every_try_is_not_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_of(monkeypatch, iter([9.0, 1.0]))
    assert_is_quick(lambda: None, seconds=2)
    clock_of(monkeypatch, iter([9.0] * growth.TRIES))
    with pytest.raises(AssertionError, match=r"took 9\.00 s"):
        assert_is_quick(lambda: None, seconds=2)


def test_what_takes_long_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([0.0, growth.ENOUGH_SECONDS - 1.0, growth.ENOUGH_SECONDS + 1.0, *[999.0] * growth.TRIES])
    monkeypatch.setattr(growth, "process_time", lambda: next(looks))
    assert list(growth.tries()) == [0, 1]
