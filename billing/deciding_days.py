"""Decides each day of a covered selection, and says in sentences what a person must decide first.

Which days were due follows the schedule of the job that measures the selection; without one every day is due. What is
held is named by keys ("missing:7:2026-10-12"), so that a decision holds for these things and no later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfoNotFoundError

from billing.coverage import Covered
from billing.days import DayValue, Period, fill_days
from billing.figures import Figure, Figures, Ledger
from billing.filling import fill_flow, largest_so_far
from billing.metering import METERS
from billing.metrics import BY_NAME, SUMMED
from billing.models import Plan
from billing.standing import days_in, is_undated
from billing.taking import by_largest
from msp.backups.schedule import BadSchedule, due_days, parse_schedule

#: A figure this many times larger or smaller than the one before, and so many bytes apart, a person sees first.
SHOCK_FACTOR = 10
SHOCK_BYTES = 10 * 10**9
#: How far back a late day may reach: nothing is carried for longer than this.
LONGEST_LOOK_BACK = timedelta(days=366)


@dataclass(frozen=True)
class Held:
    """Something a person must decide before a document can be final: why, in a sentence, and the things it is about."""

    sentence: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class DecidedDays:
    """A covered selection with each day of the period decided, and what is held about it."""

    covered: Covered
    days: tuple[DayValue, ...]
    held: tuple[Held, ...]


def decide_days(covered: Covered, ledger: Ledger, *, plan: Plan, period: Period) -> DecidedDays:
    """The days of one selection on the terms of a plan."""
    known = ledger.of(covered.selection.pk, plan.metric)
    billable = _billable(covered, known, plan=plan)
    before = None if known.before is None else known.before.as_measurement()
    measured = [figure.as_measurement() for figure in known.counted]
    due = _due(covered, ledger, known, period=period)
    if plan.metric in SUMMED:
        days = fill_flow(measured, period=period, billable=billable, due=due)
    else:
        days = fill_days(measured, period=period, billable=billable, due=due, carry_days=plan.carry_days, before=before)
    if METERS[plan.meter].TAKES == "largest":
        days = by_largest(days, [figure.as_measurement() for figure in known.largest])
    if plan.metric == "protected_largest":
        days = largest_so_far(days)
    held = _held(covered, ledger, known, days=days, plan=plan)
    return DecidedDays(covered=covered, days=days, held=tuple(held))


def _billable(covered: Covered, known: Figures, *, plan: Plan) -> frozenset[date]:
    """Charged days: from the first figure on if the plan says so, without those on which it had ended or was paused."""
    days = covered.days
    if plan.starts_with == "first_good":
        days = frozenset(day for day in days if known.first_day is not None and day >= known.first_day)
    return days - _spared(covered, known, plan=plan) if covered.states else days


def _spared(covered: Covered, known: Figures, *, plan: Plan) -> frozenset[date]:
    """Days that its state and the plan spare; without a day since when, it ended with its last figure."""
    spared = set() if plan.charge_seeding == "always" else set(days_in(covered.states, "seeding", covered.days))
    if plan.charge_seeding == "first_figure":
        spared = {day for day in spared if known.first_day is None or day < known.first_day}
    last = max((figure.local_day for figure in known.counted), default=date.min)
    for state in ("retired", *(("suspended",) if plan.charge_suspended == "no" else ())):
        ended = days_in(covered.states, state, covered.days)
        spared |= {day for day in ended if day > last} if is_undated(covered.states, state) else ended
    return frozenset(spared)


def _due(covered: Covered, ledger: Ledger, known: Figures, *, period: Period) -> set[date]:
    """Days on which a run was expected, back to the day after the last figure before the period."""
    first = period.first_day
    if known.before is not None:
        first = max(known.before.local_day + timedelta(days=1), period.first_day - LONGEST_LOOK_BACK)
    job = ledger.job_on(covered.selection.pk, period.last_day - timedelta(days=1))
    schedule = job.schedule if job else ""
    zone = (job.timezone if job else "") or covered.client.timezone
    figures = [*known.counted, *([known.before] if known.before else [])]
    if job is None and figures and all(figure.job_id is None for figure in figures):
        return set()  # measured by hand alone: each figure stands until the next
    inside = _due_between(schedule, zone, period.first_day, period.last_day - timedelta(days=1))
    due = set(inside) | _due_between(schedule, zone, first, period.first_day - timedelta(days=1))
    for quiet in ("suspended", "seeding"):
        due -= days_in(covered.states, quiet, due)
    if any(figure.job_id is None and figure.basis == "agreed" for figure in figures):
        due = {day for day in due if not _is_agreed(day, figures)}
    return due


def _is_agreed(day: date, figures: Sequence[Figure]) -> bool:
    """Whether the last figure up to this day was agreed upon: it stands until the next, whatever was due."""
    last = max((each for each in figures if each.local_day <= day), key=_order, default=None)
    return last is not None and last.basis == "agreed"


def _order(figure: Figure) -> tuple[date, datetime, str]:
    return figure.local_day, figure.measured_at, figure.run_key


@lru_cache(maxsize=65536)
def _due_between(schedule: str, zone: str, first_day: date, last_day: date) -> frozenset[date]:
    """Both included. Most jobs of a fleet share a few schedules, so each is worked out once."""
    if schedule:
        try:
            return frozenset(due_days(parse_schedule(schedule), first_day=first_day, last_day=last_day, zone=zone))
        except (BadSchedule, ZoneInfoNotFoundError):
            pass  # a schedule that nobody can read promises no quiet days
    return frozenset(first_day + timedelta(days=place) for place in range((last_day - first_day).days + 1))


def _held(covered: Covered, ledger: Ledger, known: Figures, *, days: Sequence[DayValue], plan: Plan) -> Iterable[Held]:
    charged = {day.day for day in days if day.state != "not_billable"}
    missing = [day.day for day in days if day.state == "missing"]
    if known.first_day is None and (missing or not charged) and not _is_paused(covered):
        yield _never(covered, ledger, plan, missing)
    elif missing:
        yield _missing(covered, ledger, known, missing)
    otherwise = [figure for figure in known.otherwise if figure.local_day in charged]
    if otherwise:
        yield _otherwise(covered, ledger, otherwise)
    shocks = [pair for pair in pairwise(_sequence(known)) if _is_shock(*pair) and pair[1].local_day in charged]
    if shocks:
        yield _implausible(covered, shocks)


def _is_paused(covered: Covered) -> bool:
    """Whether it was not simply active on any of its days: then nobody expects a figure."""
    return bool(covered.states) and all(
        any(day in days_in(covered.states, state, covered.days) for state, _ in covered.states) for day in covered.days
    )


def _never(covered: Covered, ledger: Ledger, plan: Plan, missing: Sequence[date]) -> Held:
    """Nothing was ever measured so: by no run at all, or by a product that does not report it."""
    metric, job = BY_NAME[plan.metric], ledger.any_job_of(covered.selection.pk)
    why = f"its {metric.label} was never measured"
    if job is not None:
        why = f"cannot be measured by this metric: {job.product or job.name} reports no {metric.lacking}"
    on = f" on {_listed(missing)}" if missing else ""
    keys = [f"missing:{covered.selection.pk}:{day}" for day in missing] or [f"never:{covered.selection.pk}"]
    return Held(f"{covered.name}: {why}, so nothing is charged for it{on}.", tuple(keys))


def _missing(covered: Covered, ledger: Ledger, known: Figures, missing: Sequence[date]) -> Held:
    sentence = f"{covered.name}: no measurement on {_listed(missing)}."
    beside = [figure for figure in known.beside if figure.local_day in set(missing)]
    if beside:
        names = ", ".join(sorted({_job_name(ledger, figure) for figure in beside}))
        sentence += f" Job {names} measured it on {len(beside)} of these days but is not its measuring job."
    return Held(sentence, tuple(f"missing:{covered.selection.pk}:{day}" for day in missing))


def _otherwise(covered: Covered, ledger: Ledger, figures: Sequence[Figure]) -> Held:
    job = _job_name(ledger, figures[0])
    bases = ", ".join(sorted({figure.basis or "not told" for figure in figures}))
    approved = {choice.basis for choice in ledger.choices[covered.selection.pk]}
    sentence = (
        f"{covered.name}: job {job} counted another way ({bases} instead of {', '.join(sorted(approved))}) on "
        f"{_listed([figure.local_day for figure in figures])}; approve the change or these figures are not billed."
    )
    return Held(sentence, tuple(f"basis:{covered.selection.pk}:{figure.local_day}" for figure in figures))


def _implausible(covered: Covered, shocks: Sequence[tuple[Figure, Figure]]) -> Held:
    told = "; ".join(f"{was.quantity} bytes, then {now.quantity} on {now.local_day}" for was, now in shocks)
    keys = tuple(f"figure:{covered.selection.pk}:{now.local_day}:{now.quantity}" for _, now in shocks)
    return Held(f"{covered.name}: a figure that can hardly be true: {told}.", keys)


def _sequence(known: Figures) -> list[Figure]:
    inside = sorted(known.counted, key=_order)
    return [known.before, *inside] if known.before else inside


def _is_shock(was: Figure, now: Figure) -> bool:
    if was.quantity > 0 and now.quantity == 0:
        return True
    larger, smaller = max(was.quantity, now.quantity), min(was.quantity, now.quantity)
    return larger > SHOCK_FACTOR * smaller > 0 and larger - smaller > SHOCK_BYTES


def _job_name(ledger: Ledger, figure: Figure) -> str:
    job = ledger.jobs.get(figure.job_id or 0)
    return job.name if job else str(figure.job_id)


def _listed(days: Sequence[date]) -> str:
    return ", ".join(day.isoformat() for day in sorted(days))
