"""Runs of one job played again: each span is written down here from what the rules promise, not from what they did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alerts.inheritance import Setting, resolve_all
from alerts.replaying import PlayedRun, Span, point_of, replay, tell_moments
from msp.backups.folding import RunValues
from tests.alerts.pure.examples import job_facts, utc

START, END = utc(2026, 2, 1), utc(2026, 3, 1)


def run(at: datetime, outcome: str = "success", **values: Any) -> PlayedRun:
    """A finished backup; good if it was a success."""
    given = {"run_key": at.isoformat(), "operation": "backup", "good": outcome == "success", **values}
    read = RunValues(outcome=outcome, ended_at=at, **given)  # type: ignore[arg-type]
    return PlayedRun(values=read, point=point_of(read))


def nights(first: datetime, number: int) -> list[PlayedRun]:
    return [run(first + timedelta(days=day)) for day in range(number)]


def times(spans: tuple[Span, ...]) -> list[tuple[datetime, datetime | None]]:
    return [(span.opened_at, span.closed_at) for span in spans]


def play(kind: str, runs: list[PlayedRun], *settings: Setting, **facts: Any) -> tuple[Span, ...]:
    moments = tell_moments(job_facts(**facts), runs)
    return replay(moments, resolve_all(settings), kind=kind, start=START, end=END)


def test_a_missed_night_is_flagged_when_tolerance_and_grace_are_over_and_closes_with_the_next_good_run() -> None:
    runs = [*nights(utc(2026, 1, 20, 22), 15), *nights(utc(2026, 2, 6, 22), 24)]  # none on the 4th and the 5th
    (span,) = play("no_recent_backup", runs)
    assert (span.opened_at, span.closed_at) == (utc(2026, 2, 5, 1), utc(2026, 2, 6, 22))
    assert span.because.startswith("No good backup since Tue 3 Feb 2026")
    assert span.ended.startswith("The last good backup ended on Fri 6 Feb 2026")


def test_a_wider_tolerance_of_one_client_would_not_have_flagged_it() -> None:
    runs = [*nights(utc(2026, 1, 20, 22), 15), *nights(utc(2026, 2, 6, 22), 24)]
    wide = Setting(kind="no_recent_backup", scope="client", scope_id=2, parameters={"tolerance_hours": 72})
    assert play("no_recent_backup", runs, wide) == ()


def test_what_was_overdue_before_the_period_begins_with_it_and_is_open_to_the_end() -> None:
    assert times(play("no_recent_backup", nights(utc(2026, 1, 2, 22), 5))) == [(START, None)]


def test_failures_before_the_period_count_for_a_row_that_goes_on_in_it() -> None:
    bad = [run(utc(2026, 1, day, 22), "failure") for day in (30, 31)] + [run(utc(2026, 2, 1, 22), "failure")]
    three = Setting(kind="errors", scope="tenant", scope_id=1, parameters={"failures": 3})
    runs = [*nights(utc(2026, 1, 10, 22), 20), *bad, *nights(utc(2026, 2, 2, 22), 26)]
    assert times(play("errors", runs, three)) == [(utc(2026, 2, 1, 22), utc(2026, 2, 2, 22))]


def test_a_size_that_falls_stays_open_because_only_a_person_may_close_it() -> None:
    sizes = [*(400 for _ in range(20)), 40, *(400 for _ in range(10))]
    runs = [
        run(utc(2026, 1, 20, 22) + timedelta(days=day), measurable=True, protected_bytes=size * 10**9)
        for day, size in enumerate(sizes)
    ]
    assert times(play("size_anomaly", runs)) == [(utc(2026, 2, 9, 22), None)]


def test_a_rule_that_is_off_flags_nothing() -> None:
    off = Setting(kind="errors", scope="tenant", scope_id=1, enabled=False)
    assert play("errors", [run(utc(2026, 2, 2), "failure")], off) == ()
