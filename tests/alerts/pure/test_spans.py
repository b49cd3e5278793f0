"""The quick way answers what the slow and exact one does, for whatever runs and settings come."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.inheritance import Setting, resolve_all
from alerts.replaying import PlayedRun, point_of, replay, tell_moments
from alerts.spans import QUICK, Period, Track, moment_of, seconds_of
from msp.backups.folding import ComponentValues, RunValues
from tests.alerts.pure.examples import job_facts, utc

START, END = utc(2026, 3, 1), utc(2026, 4, 15)  # a change of clocks lies between
FIRST = utc(2026, 2, 14)

MARKS = {"success": "s", "warning": "w", "failure": "f", "missed": "f", "running": "r"}

SCHEDULES = ("", "daily 22:00", "weekdays 02:30", "every 6h", "every 2d", "30 3 * * 0", "0 */8 * * *")
PARAMETERS = {
    "no_recent_backup": st.fixed_dictionaries(
        {"tolerance_hours": st.integers(1, 200), "grace_minutes": st.integers(0, 3000)}
    ),
    "never_backed_up": st.fixed_dictionaries({"days": st.integers(1, 60)}),
    "no_data_sent": st.fixed_dictionaries({"days": st.integers(1, 20)}),
    "unstable": st.fixed_dictionaries({"changes": st.integers(2, 8), "days": st.integers(1, 20)}),
    "did_not_start": st.fixed_dictionaries({"start_grace_minutes": st.integers(5, 2000)}),
    "size_anomaly": st.fixed_dictionaries(
        {"shrink_percent": st.integers(0, 90), "grow_percent": st.integers(0, 200), "samples": st.integers(2, 5)}
    ),
    "slow": st.fixed_dictionaries({"minutes": st.integers(1, 200), "samples": st.integers(2, 5)}),
    "implausible_zero": st.fixed_dictionaries({"samples": st.integers(1, 4), "usual_minutes": st.integers(0, 9)}),
    "component_failed": st.fixed_dictionaries({"times": st.integers(1, 3)}),
    "chain_too_long": st.fixed_dictionaries({"max_length": st.integers(1, 9)}),
    "errors": st.fixed_dictionaries({"failures": st.integers(1, 4), "warnings": st.integers(0, 4)}),
}


#: The quick way only says of these where nothing is; the others it tells all.
LEAVES_SOME = {
    "no_recent_backup", "unstable", "did_not_start", "size_anomaly", "slow", "implausible_zero", "component_failed",
    "chain_too_long",
}  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> list[PlayedRun]:
    """Up to sixty days of backups: gaps of minutes to days, two at one moment, all outcomes, sizes told or not."""
    moment, played = FIRST, []
    calm = draw(st.booleans())
    sizes = (10**12, 11 * 10**11) if calm else (None, 0, 10**9, 10**12)
    times = (600, 660) if calm else (None, 0, 40, 600, 9000)
    for place in range(draw(st.integers(0, 45))):
        hours = draw(st.sampled_from((0, 1, 5, 23, 24, 24, 24, 24, 25, 49, 120)))
        moment += timedelta(hours=hours, minutes=draw(st.integers(0, 3)))
        outcome = draw(st.sampled_from(("success",) * 5 + ("warning", "failure", "missed", "skipped", "running")))
        size, took = draw(st.sampled_from(sizes)), draw(st.sampled_from(times))
        values = RunValues(
            run_key=f"{place}",
            operation="backup",
            outcome=outcome,
            ended_at=moment,
            good=outcome in ("success", "warning") and draw(st.integers(0, 5)) > 0,
            protected_bytes=size,
            measurable=draw(st.booleans()),
            transferred_bytes=draw(st.sampled_from((size, None, 0))) if not calm else 10**9,
            changed_bytes=None if calm else draw(st.sampled_from((None, None, 10**8, 10**12))),
            duration_seconds=took,
            started_at=None if took is None else moment - timedelta(seconds=took),
            chain_length=draw(st.sampled_from((None, 3, 3, 3, 8))),
            names_components=True,
            components=() if draw(st.integers(0, 9)) else (ComponentValues(name="a", outcome="failure", since=moment),),
        )
        played.append(PlayedRun(values=values, point=point_of(values)))
    return sorted(played, key=lambda run: run.values.order)


def track_of(played: list[PlayedRun]) -> Track:
    values = [run.values for run in played]
    whole = [run.duration_seconds for run in values if run.outcome in ("success", "warning")]
    return Track(
        ended=[seconds_of(run.ended_at) for run in values],
        marks="".join("g" if run.good else MARKS.get(run.outcome, "o") for run in values),
        data="".join(map(data_mark, values)),
        good=[seconds_of(run.ended_at) for run in values if run.good],
        started=[seconds_of(run.started_at or run.ended_at) for run in values],
        lasted=[lasted_of(run) for run in values],
        protected=extremes(run.protected_bytes for run in values if run.measurable),
        changed=extremes(run.changed_bytes for run in values),
        transferred=extremes(run.transferred_bytes for run in values),
        seconds=extremes(whole),
        speed=extremes(
            run.transferred_bytes // run.duration_seconds
            for run in values
            if run.transferred_bytes and run.duration_seconds and run.duration_seconds >= 60
        ),
        chain=extremes(run.chain_length for run in values),
        troubled=any(run.components for run in values),
    )


def lasted_of(run: RunValues) -> int:
    if run.outcome == "running":
        return -2
    told = run.duration_seconds if run.outcome in ("success", "warning") else None
    return -1 if told is None else int(told)


def extremes(figures: Iterable[int | None]) -> tuple[int | None, int | None]:
    told = [figure for figure in figures if figure is not None]
    return (min(told), max(told)) if told else (None, None)


def data_mark(run: RunValues) -> str:
    told = [size for size in (run.protected_bytes, run.transferred_bytes) if size is not None]
    if not told or run.outcome == "running":
        return "n"
    return "d" if all(told) and run.outcome in ("success", "warning") else "z"


@pytest.mark.parametrize("kind", sorted(QUICK))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_quick_way_answers_what_the_replay_does(kind: str, data: st.DataObject) -> None:
    played = data.draw(runs())
    facts: dict[str, Any] = {
        "schedule": data.draw(st.sampled_from(SCHEDULES)),
        "registered_at": FIRST - timedelta(days=data.draw(st.integers(-20, 40))),
        "machine_class": data.draw(st.sampled_from(("server", "laptop", "seasonal"))),
    }
    base = job_facts(**facts)
    row = Setting(kind=kind, scope="tenant", scope_id=1, parameters=data.draw(PARAMETERS[kind]))
    resolved = resolve_all([row])
    exact = replay(tell_moments(base, played), resolved, kind=kind, start=START, end=END)
    period = Period(start=seconds_of(START), end=seconds_of(END))
    quick = QUICK[kind].spans(track_of(played), base, resolved[kind].params, period)
    if quick is None:
        assert kind in LEAVES_SOME  # to the replay, which preview then asks
        return
    told = [(moment_of(opened), None if closed is None else moment_of(closed)) for opened, closed in quick]
    assert told == [(span.opened_at, span.closed_at) for span in exact]
