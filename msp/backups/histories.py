"""Keeps the newest sixty finished backups of each job, and the schedule that they keep where nobody set one.

Called by recording in the transaction that stores the states, whose locks guard these rows too. One statement adds the
points of a batch, or replaces those of jobs that were folded again. A schedule is learned anew at most once a local
day, and only where the newest run is not what was learned before: on most nights nothing is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from django.db import connection

from msp.backups.folding import RunValues, StateValues
from msp.backups.learning import Guess, learn, needs_learning
from msp.backups.points import MOST_POINTS, Point, points_of, read_points

#: Before so many runs there is nothing to learn.
_FEWEST_RUNS = 4


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What learning needs of a job: its zone, whether a person set a schedule, what was learned and on which day."""

    zone: str
    registered_at: datetime
    has_schedule: bool
    guess: Guess | None = None
    learned_on: str = ""


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A job's runs as they were folded: with ``again`` all of them from the empty state, else on top of ``before``."""

    job_id: int
    runs: Sequence[RunValues]
    before: StateValues
    after: StateValues
    again: bool = False


def read_habits(*, zone: str, registered_at: datetime, schedule: str, learned: Any) -> Habits:
    told = orjson.loads(learned) if isinstance(learned, str) else learned or {}
    return Habits(
        zone=zone,
        registered_at=registered_at,
        has_schedule=bool(schedule),
        guess=read_guess(told),
        learned_on=told.get("day", ""),
    )


def read_guess(told: Mapping[str, Any]) -> Guess | None:
    """The guess in a stored ``learned``; None where the runs keep no schedule."""
    if not told.get("schedule"):
        return None
    return Guess(**{name: value for name, value in told.items() if name != "day"})


def store_histories(tenant_id: int, folded: Collection[Folded], habits: Mapping[int, Habits]) -> None:
    """Store what the folded runs leave, and learn where it is time to; the caller holds the state rows' locks."""
    points = {one.job_id: points_of(one.runs) for one in folded}
    rows = [
        {"job_id": one.job_id, "points": list(map(list, points[one.job_id])), "again": one.again}
        for one in sorted(folded, key=lambda one: one.job_id)
        if points[one.job_id] or one.again
    ]
    if not rows:
        return
    write_points(tenant_id, rows)
    learn_schedules(tenant_id, [one for one in folded if wants_learning(one, points[one.job_id], habits)], habits)


def write_points(tenant_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Nobody else adds such a row meanwhile: the job's state row is locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH new AS (SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) "
            "AS new(job_id bigint, points jsonb, again boolean)), "
            "kept AS (UPDATE backups_jobhistory history SET points = CASE WHEN new.again THEN new.points ELSE "
            "jsonb_path_query_array(history.points || new.points, %(newest)s::jsonpath) END FROM new "
            "WHERE history.tenant_id = %(tenant)s AND history.job_id = new.job_id RETURNING history.job_id) "
            "INSERT INTO backups_jobhistory (job_id, tenant_id, points) SELECT job_id, %(tenant)s, points FROM new "
            "WHERE job_id NOT IN (SELECT job_id FROM kept) ORDER BY job_id",
            {
                "tenant": tenant_id,
                "rows": orjson.dumps(rows).decode(),
                "newest": f"$[last - {MOST_POINTS - 1} to last]",
            },
        )


# --- the learned schedule ----------------------------------------------------------------------------------------


def wants_learning(one: Folded, points: Sequence[Point], habits: Mapping[int, Habits]) -> bool:
    """Whether the schedule of this job may have changed by these runs, and was not asked for on the same day."""
    known = habits.get(one.job_id)
    if known is None or known.has_schedule or not points or one.after.runs_seen < _FEWEST_RUNS:
        return False
    if known.learned_on == local_day(one.after.last_run_at, zone=known.zone):
        return False
    newest = datetime.fromtimestamp(points[-1].started or points[-1].ended, UTC)
    before = None if one.again else one.before.last_started_at or one.before.last_run_at
    return needs_learning(known.guess, newest=newest, before=before, zone=known.zone)


def local_day(moment: datetime | None, *, zone: str) -> str:
    if moment is None:
        return ""
    try:
        day: date = moment.astimezone(ZoneInfo(zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OverflowError):
        day = moment.date()
    return day.isoformat()


def learn_schedules(tenant_id: int, jobs: Collection[Folded], habits: Mapping[int, Habits]) -> None:
    """Learn from all points of these jobs; no query for none."""
    if not jobs:
        return
    points = load_points(tenant_id, [one.job_id for one in jobs])
    rows = [
        {"job_id": one.job_id, "learned": learned_row(one, points.get(one.job_id, ()), habits[one.job_id])}
        for one in sorted(jobs, key=lambda one: one.job_id)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE backups_jobhistory history SET learned = new.learned FROM jsonb_to_recordset(%s::jsonb) "
            "AS new(job_id bigint, learned jsonb) WHERE history.tenant_id = %s AND history.job_id = new.job_id",
            [orjson.dumps(rows).decode(), tenant_id],
        )


def learned_row(one: Folded, points: Sequence[Point], known: Habits) -> dict[str, Any]:
    guess = learn(points, zone=known.zone, registered_at=known.registered_at, previous=known.guess)
    day = {"day": local_day(one.after.last_run_at, zone=known.zone)}
    return day if guess is None else asdict(guess) | day


def load_points(tenant_id: int, job_ids: Iterable[int]) -> dict[int, tuple[Point, ...]]:
    """The points of these jobs, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT job_id, points FROM backups_jobhistory WHERE tenant_id = %s AND job_id = ANY(%s)",
            [tenant_id, sorted(job_ids)],
        )
        return {job_id: read_points(points) for job_id, points in cursor.fetchall()}
