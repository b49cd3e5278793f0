"""Plays the runs of one job again: what a rule would have opened and closed in a period, by the real code alone.

Each moment at which something can happen (a run's end, a rule's own ``check_after``) folds the runs, asks the rule and
hands its answer to deciding, as ingest and sweep do. Slow and exact: the measure of ``alerts.spans``, which answers the
same for many jobs at once, and the answer itself for rules that have no quicker way. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import groupby

from alerts.deciding import Change, IncidentValues, Life, apply_changes, decide
from alerts.facts import ComponentTrouble, JobFacts, RunPoint
from alerts.inheritance import Resolved
from alerts.rules import check_subject, no_recent_backup
from msp.backups.folding import BACKUP_OPERATIONS, EMPTY, RunValues, StateValues, fold, ordered_runs
from msp.backups.points import MOST_POINTS, error_key

#: As many finished backups as the stored history of a job keeps.
HISTORY = MOST_POINTS
#: Each time that the rule finds something is told by itself, also where the incident would have been kept open because
#: it came back so often: a setting that makes a job flap is to be seen as such.
_UNDAMPED = Life(flaps=0)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

#: The facts that are the state's own, under the same name in both.
_SHARED = tuple(
    ({each.name for each in fields(StateValues)} & {each.name for each in fields(JobFacts)}) - {"components"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """For so long an incident was open; ``closed_at`` None while it still is at the end of the period.

    ``because`` is the sentence with which it opened, ``ended`` the one with which it closed.
    """

    opened_at: datetime
    closed_at: datetime | None = None
    because: str = ""
    ended: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedRun:
    """A run as the fold reads it, and the point it leaves in the history: None for one that leaves none."""

    values: RunValues
    point: RunPoint | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """What the facts of a job were from a moment on, until the next run came in."""

    at: datetime
    facts: JobFacts


def tell_moments(base: JobFacts, runs: Iterable[PlayedRun], *, before: StateValues = EMPTY) -> tuple[Moment, ...]:
    """The facts of a job after each of its runs, oldest first; the first is of before any of them.

    ``base`` is the job as it is set up, without anything that runs tell; ``before`` is its state before the runs given.
    """
    state, history = before, deque[RunPoint](maxlen=HISTORY)
    moments = [Moment(at=_LONG_AGO, facts=_facts(base, state, history, heard_at=base.heard_at))]
    for at, batch in _batches(runs):
        state = fold(state, [run.values for run in batch])
        history.extend(run.point for run in batch if run.point is not None)
        moments.append(Moment(at=at, facts=_facts(base, state, history, heard_at=at)))
    return tuple(moments)


def replay(
    moments: Sequence[Moment], settings: Mapping[str, Resolved], *, kind: str, start: datetime, end: datetime
) -> tuple[Span, ...]:
    """The spans of one rule's incident from ``start`` to ``end``; what came before only prepares the facts."""
    player = _Player(moments[0].facts, _alone(settings, kind), kind=kind)
    player.next_look = start
    for moment in moments[1:]:
        if moment.at > end:
            break
        player.look_until(moment.at)
        player.facts = moment.facts
        if moment.at >= start:
            player.look(now=moment.at)
    player.look_until(end, included=True)
    return tuple(player.spans)


def point_of(run: RunValues) -> RunPoint | None:
    """What a run leaves in its job's history; None for one that is no finished backup or moves nothing."""
    if run.operation not in BACKUP_OPERATIONS or run.outcome == "running" or run.problems:
        return None
    return RunPoint(
        ended_at=run.ended_at,
        outcome=run.outcome,
        good=run.good,
        started_at=run.started_at,
        protected_bytes=run.protected_bytes if run.measurable else None,
        transferred_bytes=run.transferred_bytes,
        changed_bytes=run.changed_bytes,
        duration_seconds=run.duration_seconds,
        error="" if run.good or not run.errors else error_key(run.errors[0]),
    )


def _facts(base: JobFacts, state: StateValues, history: Iterable[RunPoint], *, heard_at: datetime | None) -> JobFacts:
    return replace(
        base,
        **{name: getattr(state, name) for name in _SHARED},
        last_protected_bytes=state.protected_bytes,
        last_transferred_bytes=state.transferred_bytes,
        history=tuple(history),
        heard_at=heard_at,
        components=tuple(ComponentTrouble(**vars(one)) for one in state.components),
    )


class _Player:
    """One job on its way through time: its facts of now, its incident and when it is looked at next."""

    def __init__(self, facts: JobFacts, settings: Mapping[str, Resolved], *, kind: str) -> None:
        self.settings = settings
        self.kind = kind
        self.facts = facts
        self.incidents: tuple[IncidentValues, ...] = ()
        self.spans: list[Span] = []
        self.next_look: datetime | None = None

    def look_until(self, moment: datetime, *, included: bool = False) -> None:
        """Whatever the clock brings before a moment, as the sweep does."""
        while self.next_look is not None and (self.next_look < moment or (included and self.next_look == moment)):
            self.look(now=self.next_look)

    def look(self, *, now: datetime) -> None:
        """Ask the rule and decide."""
        checked = check_subject(self.facts, self.settings, now)
        answers = [one for one in checked.answers if one.kind == self.kind]
        changes = decide(answers, self.incidents, now=now, life=_UNDAMPED)
        self.incidents = apply_changes(self.incidents, changes)
        for change in changes:
            self._note(change, now=now)
        self.next_look = checked.check_after

    def _note(self, change: Change, *, now: datetime) -> None:
        if change.kind in ("opened", "reopened"):
            self.spans.append(Span(opened_at=now, because=change.after.summary))
        elif change.kind == "closed":
            self.spans[-1] = replace(self.spans[-1], closed_at=now, ended=change.reason)


def _batches(runs: Iterable[PlayedRun]) -> Iterator[tuple[datetime, list[PlayedRun]]]:
    """What ends at one moment comes in together, oldest first."""
    given = {run.values.run_key: run for run in runs}
    ordered = [given[values.run_key] for values in ordered_runs(run.values for run in given.values())]
    for moment, batch in groupby(ordered, key=lambda run: run.values.ended_at):
        yield moment, list(batch)


def _alone(settings: Mapping[str, Resolved], kind: str) -> dict[str, Resolved]:
    """The other rules are switched off, so that only this one sets the clock; the facts keep the overdue moment."""
    keep = (kind, no_recent_backup.KIND)
    return {name: one if name in keep else replace(one, enabled=False) for name, one in settings.items()}
