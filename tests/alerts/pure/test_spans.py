"""The quick way answers what the slow and exact one does, for whatever runs and settings come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.inheritance import Setting, resolve_all
from alerts.replaying import PlayedRun, point_of, replay, tell_moments
from alerts.spans import QUICK, Period, Track, moment_of, seconds_of
from msp.backups.folding import RunValues
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
    "errors": st.fixed_dictionaries({"failures": st.integers(1, 4), "warnings": st.integers(0, 4)}),
}


#: The quick way only says of these where nothing is; the others it tells all.
LEAVES_SOME = {"unstable"}


@st.composite
def runs(draw: st.DrawFn) -> list[PlayedRun]:
    """Up to sixty days of backups: gaps of minutes to days, two at one moment, all outcomes, sizes told or not."""
    moment, played = FIRST, []
    for place in range(draw(st.integers(0, 45))):
        hours = draw(st.sampled_from((0, 1, 5, 23, 24, 24, 24, 24, 25, 49, 120)))
        moment += timedelta(hours=hours, minutes=draw(st.integers(0, 3)))
        outcome = draw(st.sampled_from(("success",) * 5 + ("warning", "failure", "missed", "skipped", "running")))
        size = draw(st.sampled_from((None, 0, 10**9)))
        values = RunValues(
            run_key=f"{place}",
            operation="backup",
            outcome=outcome,
            ended_at=moment,
            good=outcome in ("success", "warning") and draw(st.integers(0, 5)) > 0,
            protected_bytes=size,
            transferred_bytes=draw(st.sampled_from((size, None, 0))),
        )
        played.append(PlayedRun(values=values, point=point_of(values)))
    return sorted(played, key=lambda run: run.values.order)


def track_of(played: list[PlayedRun]) -> Track:
    values = [run.values for run in played]
    return Track(
        ended=[seconds_of(run.ended_at) for run in values],
        marks="".join("g" if run.good else MARKS.get(run.outcome, "o") for run in values),
        data="".join(map(data_mark, values)),
        good=[seconds_of(run.ended_at) for run in values if run.good],
    )


def data_mark(run: RunValues) -> str:
    told = [size for size in (run.protected_bytes, run.transferred_bytes) if size is not None]
    if not told or run.outcome == "running":
        return "n"
    return "d" if all(told) and run.outcome in ("success", "warning") else "z"


@pytest.mark.parametrize("kind", sorted(QUICK))
@settings(max_examples=150, deadline=None)
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
