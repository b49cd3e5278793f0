"""Try before you save: what a rule would have flagged in the last 90 days, as it is set today and as somebody proposes.

Called by the settings pages and the API. Both sides are worked out from the same runs: quickly where ``alerts.spans``
can tell, else by playing the runs again. A preview is bounded by a number of jobs and by ``keep_going``; what it did
not get to is said in a sentence, and so is why a rule cannot be tried at all. Nothing here writes.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alerts.evaluating import TenantSettings, load_settings
from alerts.facts import Finding, JobFacts
from alerts.inheritance import Resolved, Setting
from alerts.preview_loading import PreviewJob, load_jobs, load_last_good, load_tracks
from alerts.replaying import Moment, PlayedRun, point_of, replay, tell_moments
from alerts.rules import RULES, check_subject
from alerts.spans import QUICK, Period, Times, Track, moment_of, seconds_of
from alerts.wording import count_words
from msp.backups.run_reading import load_runs

DAYS = 90
MOST_JOBS = 20_000
MOST_DIFFERENCES = 50
#: So many days of runs before the period prepare the state that it begins with.
EARLIER = timedelta(days=14)
#: What rules about habits have learned from before it.
HABITS = timedelta(days=60)
_AT_ONCE = 200
_NEVER = 1 << 60

#: Rules about jobs whose answer rests on more than runs that have ended, and why they cannot be tried on the past.
NOT_FROM_RUNS: Mapping[str, str] = {
    "size_drift": "it compares measurements of the selection, which this preview does not play again",
    "still_running": "once a run has ended, nothing keeps how long it was seen running",
    "machine_gone": "it rests on what the product lists today, which runs do not tell",
    "clock_skew": "it rests on when logs came in, which this preview does not play again",
}


@dataclass(frozen=True, kw_only=True)
class Reachable:
    """Whose jobs a preview is about: one or more levels of one kind, and the wall around them."""

    tenant_id: int
    scope_kind: str
    scope_ids: frozenset[int]
    reseller_ids: frozenset[int] | None = None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What is tried: rows that stand instead of the stored ones (a row without anything set removes it), or another
    schedule of the jobs, in another zone if one is given.
    """

    kind: str
    settings: tuple[Setting, ...] = ()
    schedule: str | None = None
    zone: str = ""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way of setting the rule: how often it opened and closed, and on how many jobs and clients."""

    opened: int = 0
    closed: int = 0
    open_now: int = 0
    jobs: int = 0
    clients: int = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A time that only one of both flags. ``flagged``: the proposal does; else it no longer would."""

    job_uid: uuid.UUID
    job: str
    client_uid: uuid.UUID
    client: str
    flagged: bool
    opened_at: datetime
    closed_at: datetime | None
    because: str


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """On how many jobs the rule was open at some time of a local day, by both settings."""

    day: date
    today: int
    proposed: int


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Both sides over ``start`` to ``end``. ``jobs`` are in reach, ``counted`` of them were worked out; ``note`` says
    why these differ, or why nothing could be.
    """

    kind: str
    label: str
    start: datetime
    end: datetime
    jobs: int = 0
    counted: int = 0
    today: Side = field(default_factory=Side)
    proposed: Side = field(default_factory=Side)
    jobs_differ: int = 0
    clients_differ: int = 0
    days: tuple[DayCount, ...] = ()
    differences: tuple[Difference, ...] = ()
    differences_total: int = 0
    note: str = ""

    @property
    def possible(self) -> bool:
        """Whether anything could be worked out."""
        return bool(self.days)


def preview(reach: Reachable, proposal: Proposal, *, now: datetime, keep_going: Callable[[], bool]) -> Preview:
    """What the proposal would have changed in the last 90 days, for the jobs in reach."""
    rule, end = RULES[proposal.kind], now.replace(microsecond=0)
    empty = Preview(kind=proposal.kind, label=rule.LABEL, start=end - timedelta(days=DAYS), end=end)
    refusal = cannot_replay(proposal.kind)
    if refusal:
        return replace(empty, note=refusal)
    jobs = load_jobs(
        reach.tenant_id,
        scope_kind=reach.scope_kind,
        scope_ids=reach.scope_ids,
        reseller_ids=reach.reseller_ids,
        most=MOST_JOBS + 1,
    )
    if not jobs:
        return replace(empty, note="No active job is concerned, so there is nothing to compare.")
    comparison = _Comparison(proposal, load_settings(reach.tenant_id), empty.start, end)
    counted = comparison.work_out(jobs[:MOST_JOBS], keep_going=keep_going)
    told = comparison.tell(jobs)
    return replace(told, jobs=len(jobs), counted=counted, note=_note(len(jobs), counted))


def cannot_replay(kind: str) -> str:
    """Why this rule cannot be tried on the past; empty if it can."""
    rule = RULES[kind]
    reason = NOT_FROM_RUNS.get(kind, "")
    if rule.SUBJECT != "job":
        reason = f"it is about a {rule.SUBJECT}, and only what the runs of jobs tell can be played again"
    return f'"{rule.LABEL}" cannot be tried on the past: {reason}.' if reason else ""


def _note(jobs: int, counted: int) -> str:
    if counted == jobs:
        return ""
    if jobs > MOST_JOBS and counted == MOST_JOBS:
        return f"There are more than {MOST_JOBS:,} jobs; the first {MOST_JOBS:,} by client and name are counted."
    return f"The time for a preview ran out: {counted:,} of {count_words(jobs, 'job')} are counted, not all."


def proposed_settings(stored: TenantSettings, rows: Iterable[Setting]) -> TenantSettings:
    """The stored settings with these rows instead of those of the same rule and level."""
    changed = {scope: list(there) for scope, there in stored.rows.items()}
    for row in rows:
        scope = (row.scope, row.scope_id)
        changed[scope] = [one for one in changed.get(scope, []) if one.kind != row.kind] + [row]
    return TenantSettings(rows=changed, cache={})


class _Comparison:
    """Both sides of one preview, job by job; a job that both settings treat alike is worked out once."""

    def __init__(self, proposal: Proposal, stored: TenantSettings, start: datetime, end: datetime) -> None:
        self.kind = proposal.kind
        self.proposal = proposal
        self.stored, self.tried = stored, proposed_settings(stored, proposal.settings)
        self.start, self.end = start, end
        self.period = Period(start=seconds_of(start), end=seconds_of(end))
        self.found: dict[int, tuple[list[Times], list[Times]]] = {}

    def work_out(self, jobs: Sequence[PreviewJob], *, keep_going: Callable[[], bool]) -> int:
        """The spans of all jobs that time allows; how many these are."""
        slow = [job for job in jobs if not self._quick(job)] if self._begin_quick(jobs) else list(jobs)
        for first in range(0, len(slow), _AT_ONCE):
            if not keep_going():
                break
            self._play(slow[first : first + _AT_ONCE], keep_going=keep_going)
        return len(self.found)

    # --- quickly

    def _begin_quick(self, jobs: Sequence[PreviewJob]) -> bool:
        quick = QUICK.get(self.kind)
        if quick is None:
            return False
        tenant, ids = jobs[0].facts.tenant_id, [job.facts.job_id for job in jobs]
        first = self.start - max([HABITS if quick.habits else EARLIER, *(self._reach_back(job) for job in jobs)])
        self.tracks = load_tracks(tenant, ids, quick.columns, first=first, last=self.end)
        if "good" in quick.columns:
            self._add_earlier_good(tenant, ids, first)
        return True

    def _add_earlier_good(self, tenant: int, ids: Sequence[int], first: datetime) -> None:
        def had_none(job_id: int) -> bool:
            track = self.tracks.get(job_id)
            return track is None or not track.good or track.good[0] > self.period.start

        earlier = load_last_good(tenant, [each for each in ids if had_none(each)], before=first)
        for job_id, moment in earlier.items():
            known = self.tracks.get(job_id, Track())
            self.tracks[job_id] = replace(known, good=[moment, *known.good])

    def _reach_back(self, job: PreviewJob) -> timedelta:
        """Rules that look for something within N days need as many before the period."""
        days = [getattr(one.params, "days", 0) for one in self._both(job)]
        return timedelta(days=max(days) + 1)

    def _quick(self, job: PreviewJob) -> bool:
        """Whether the quick way could tell this job."""
        today, tried = self._both(job)
        track, changed = self.tracks.get(job.facts.job_id, Track()), self._as_proposed(job.facts)
        before = self._spans(track, job.facts, today)
        same = changed is job.facts and _alike(today, tried)
        after = before if same else self._spans(track, changed, tried)
        if before is None or after is None:
            return False
        self.found[job.facts.job_id] = (before, after)
        return True

    def _spans(self, track: Track, facts: JobFacts, resolved: Resolved) -> list[Times] | None:
        return QUICK[self.kind].spans(track, facts, resolved.params, self.period) if resolved.enabled else []

    # --- slowly

    def _play(self, jobs: Sequence[PreviewJob], *, keep_going: Callable[[], bool]) -> None:
        runs = self._runs(jobs)
        for job in jobs:
            if not keep_going():
                return
            played = runs.get(job.facts.job_id, [])
            moments = tell_moments(job.facts, played)
            before = self._replay(moments, self.stored.of_job(job.facts))
            changed = self._as_proposed(job.facts)
            if changed is not job.facts:
                moments = tell_moments(changed, played)
            same = changed is job.facts and _alike(*self._both(job))
            after = before if same else self._replay(moments, self.tried.of_job(job.facts))
            self.found[job.facts.job_id] = (before, after)

    def _replay(self, moments: Sequence[Moment], settings: Mapping[str, Resolved]) -> list[Times]:
        if not settings[self.kind].enabled:
            return []
        spans = replay(moments, settings, kind=self.kind, start=self.start, end=self.end)
        return [(seconds_of(one.opened_at), seconds_of(one.closed_at) if one.closed_at else None) for one in spans]

    def _runs(self, jobs: Sequence[PreviewJob]) -> dict[int, list[PlayedRun]]:
        ids = [job.facts.job_id for job in jobs]
        loaded = load_runs(jobs[0].facts.tenant_id, ids, since=self.start - HABITS)
        return {
            job_id: [PlayedRun(values=run, point=point_of(run)) for run in runs if run.ended_at <= self.end]
            for job_id, runs in loaded.items()
        }

    # --- both

    def _both(self, job: PreviewJob) -> tuple[Resolved, Resolved]:
        return self.stored.of_job(job.facts)[self.kind], self.tried.of_job(job.facts)[self.kind]

    def _as_proposed(self, facts: JobFacts) -> JobFacts:
        schedule, zone = self.proposal.schedule, self.proposal.zone or facts.zone
        if schedule is None or (schedule, zone) == (facts.schedule, facts.zone):
            return facts
        return replace(facts, schedule=schedule, zone=zone, learned=None if schedule else facts.learned)

    def tell(self, jobs: Sequence[PreviewJob]) -> Preview:
        counted = [job for job in jobs if job.facts.job_id in self.found]
        pairs = [self.found[job.facts.job_id] for job in counted]
        differ = [job for job, (before, after) in zip(counted, pairs, strict=True) if before != after]
        listed, total = self._differences(differ)
        return Preview(
            kind=self.kind,
            label=RULES[self.kind].LABEL,
            start=self.start,
            end=self.end,
            today=_side(counted, [before for before, _ in pairs]),
            proposed=_side(counted, [after for _, after in pairs]),
            jobs_differ=len(differ),
            clients_differ=len({job.client_uid for job in differ}),
            days=count_days(pairs, self.start, self.end, zone=jobs[0].facts.tenant_zone),
            differences=self._explain(listed),
            differences_total=total,
        )

    def _differences(self, differ: Sequence[PreviewJob]) -> tuple[list[tuple[PreviewJob, bool, Times]], int]:
        listed: list[tuple[PreviewJob, bool, Times]] = []
        total = 0
        for job in differ:
            before, after = self.found[job.facts.job_id]
            only = [(True, one) for one in only_in(after, before)] + [(False, one) for one in only_in(before, after)]
            total += len(only)
            room = MOST_DIFFERENCES - len(listed)
            listed += [(job, flagged, times) for flagged, times in sorted(only, key=lambda one: one[1][0])[:room]]
        return listed, total

    def _explain(self, listed: Sequence[tuple[PreviewJob, bool, Times]]) -> tuple[Difference, ...]:
        jobs = list({job.facts.job_id: job for job, _, _ in listed}.values())
        runs = self._runs(jobs) if jobs else {}
        return tuple(
            Difference(
                job_uid=job.uid,
                job=job.facts.job,
                client_uid=job.client_uid,
                client=job.facts.client,
                flagged=flagged,
                opened_at=moment_of(times[0]),
                closed_at=None if times[1] is None else moment_of(times[1]),
                because=self._because(job, runs.get(job.facts.job_id, []), times[0], proposed=flagged),
            )
            for job, flagged, times in listed
        )

    def _because(self, job: PreviewJob, runs: Sequence[PlayedRun], opened: int, *, proposed: bool) -> str:
        """The sentence that the rule would have opened with."""
        at = moment_of(opened)
        facts = self._as_proposed(job.facts) if proposed else job.facts
        known = [run for run in runs if run.values.ended_at < at + timedelta(seconds=1)]
        settings = (self.tried if proposed else self.stored).of_job(job.facts)
        checked = check_subject(tell_moments(facts, known)[-1].facts, settings, at + timedelta(seconds=1))
        answers = (one.answer for one in checked.answers if one.kind == self.kind)
        return next((answer.summary for answer in answers if isinstance(answer, Finding)), "")


def _alike(one: Resolved, other: Resolved) -> bool:
    return one.enabled == other.enabled and one.params == other.params


def only_in(some: Sequence[Times], others: Sequence[Times]) -> list[Times]:
    """Those of some that meet none of the others, or begin before them: that part is theirs alone. Both are in order
    and apart.
    """
    found: list[Times] = []
    place = 0
    for opened, closed in some:
        while place < len(others) and (others[place][1] or _NEVER) <= opened:
            place += 1
        meets = place < len(others) and (closed is None or others[place][0] < closed)
        if not meets:
            found.append((opened, closed))
        elif opened < others[place][0]:
            found.append((opened, others[place][0]))
    return found


def _side(jobs: Sequence[PreviewJob], spans: Sequence[Collection[Times]]) -> Side:
    flagged = [job for job, found in zip(jobs, spans, strict=True) if found]
    open_now = sum(1 for found in spans for _, closed in found if closed is None)
    opened = sum(map(len, spans))
    return Side(
        opened=opened,
        closed=opened - open_now,
        open_now=open_now,
        jobs=len(flagged),
        clients=len({job.client_uid for job in flagged}),
    )


def count_days(
    pairs: Iterable[tuple[Sequence[Times], Sequence[Times]]], start: datetime, end: datetime, *, zone: str
) -> tuple[DayCount, ...]:
    """For each local day, on how many jobs the rule was open at some time of it."""
    local = ZoneInfo(zone)
    first, last = start.astimezone(local).date(), end.astimezone(local).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    midnights = [seconds_of(datetime.combine(day, time(), tzinfo=local)) for day in days]
    counts = ([0] * (len(days) + 1), [0] * (len(days) + 1))
    for pair in pairs:
        for count, spans in zip(counts, pair, strict=True):
            _add_days(count, spans, midnights)
    today, proposed = (_summed(count) for count in counts)
    return tuple(DayCount(day=day, today=today[n], proposed=proposed[n]) for n, day in enumerate(days))


def _add_days(count: list[int], spans: Sequence[Times], midnights: Sequence[int]) -> None:
    """One for the first day of a job's span, minus one for the day after its last; a day counts a job once."""
    counted_to = -1
    for opened, closed in spans:
        first = max(bisect_right(midnights, opened) - 1, counted_to + 1)
        last = len(midnights) - 1 if closed is None else bisect_right(midnights, closed - 1) - 1
        if last >= first:
            count[first] += 1
            count[last + 1] -= 1
            counted_to = last


def _summed(steps: Sequence[int]) -> list[int]:
    total, told = 0, []
    for step in steps:
        total += step
        told.append(total)
    return told
