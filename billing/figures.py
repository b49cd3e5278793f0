"""Reads from the ledger what was measured of a set of selections, as it was known at a moment, in four queries.

Of each source the highest revision known by then counts; withdrawn figures are gone. Of several runs of a job on a day
the latest by (measured_at, run_key) is read. Which job measures a selection on a day, and how it counts, follows the
dated choices of ``billing.measuring``; figures of other jobs, or counted otherwise, are read too but kept apart.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from django.db import connection

from billing.counting import read_names
from billing.days import Measurement, Period
from billing.metrics import COUNTS, SUMMED, read_of
from billing.models import MeasuringChoice
from msp.backups.models import BackupJob

Key = tuple[int, str]


@dataclass(frozen=True)
class Figure:
    """One entry of the ledger that counts. ``quantity`` in bytes, or things.

    Of what is summed over the runs of a day ``runs`` are the entries it is the sum of; the rest is the latest one's.
    """

    selection_id: int
    metric: str
    local_day: date
    quantity: int
    basis: str
    job_id: int | None
    run_key: str
    run_month: date | None
    measured_at: datetime
    known_at: datetime
    source: str
    revision: int
    reason: str
    runs: tuple[Figure, ...] = ()

    def as_measurement(self) -> Measurement:
        """The same for ``billing.days``."""
        return Measurement(
            day=self.local_day,
            quantity=self.quantity,
            measured_at=self.measured_at,
            run_key=self.run_key,
            source=self.source,
            basis=self.basis,
        )


@dataclass(frozen=True)
class Choice:
    """The measuring job and basis from a day on; an empty basis or no job takes any."""

    since: date
    job_id: int | None
    basis: str

    def takes(self, figure: Figure) -> bool:
        """Whether this figure is billed: by the measuring job, and counted as approved; or given by a person."""
        if figure.job_id is None:
            return True
        return self.measures(figure) and (figure.metric != "protected" or self.basis in ("", figure.basis))

    def measures(self, figure: Figure) -> bool:
        """Whether it is the measuring job's, however counted."""
        return self.job_id in (None, figure.job_id)


@dataclass
class Figures:
    """What the ledger says of one selection and metric around a period.

    ``counted`` are billed; ``otherwise`` are the measuring job's own with another basis; ``beside`` are other jobs'.
    ``before`` is the last counted one before the period, ``first_day`` the first day that was ever measured.
    ``largest`` are the largest of each day that are billed, read only if asked for.
    """

    counted: list[Figure] = field(default_factory=list)
    largest: list[Figure] = field(default_factory=list)
    otherwise: list[Figure] = field(default_factory=list)
    beside: list[Figure] = field(default_factory=list)
    before: Figure | None = None
    first_day: date | None = None


@dataclass(frozen=True)
class Ledger:
    """What was read: figures by (selection id, metric), choices by selection id, jobs by id."""

    figures: Mapping[Key, Figures]
    choices: Mapping[int, Sequence[Choice]]
    jobs: Mapping[int, Any]
    names: Mapping[tuple[str, str, int], Sequence[Sequence[str]]] = field(default_factory=dict)

    def of(self, selection_id: int, metric: str) -> Figures:
        return self.figures.get((selection_id, read_of(metric))) or Figures()

    def any_job_of(self, selection_id: int) -> Any:
        """A job that measured the selection by whichever metric; None if none ever did."""
        ids = [choice.job_id for choice in self.choices.get(selection_id, ()) if choice.job_id]
        return next((self.jobs[job_id] for job_id in reversed(ids) if job_id in self.jobs), None)

    def job_on(self, selection_id: int, day: date) -> Any:
        """The job that measures the selection on this day; None if none does yet."""
        choices = self.choices.get(selection_id)
        job_id = choice_on(choices, day).job_id if choices else None
        return self.jobs.get(job_id) if job_id else None


EFFECTIVE = """
    e.tenant_id = %(tenant)s AND e.quantity IS NOT NULL AND e.known_at <= %(cut_off)s AND NOT EXISTS (
        SELECT 1 FROM billing_usageentry n
        WHERE n.tenant_id = e.tenant_id AND n.source = e.source AND n.metric = e.metric
          AND n.revision > e.revision AND n.known_at <= %(cut_off)s)
"""
#: A moment as text: of the figures of a month, reading moments took longer than all else together.
UTC_TEXT = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
COLUMNS = f"""e.selection_id, e.metric, e.local_day, e.quantity, e.basis, e.job_id, e.run_key, e.run_month,
    {UTC_TEXT.format("e.measured_at")} AS measured_at, {UTC_TEXT.format("e.known_at")} AS known_at, e.source,
    e.revision, e.reason"""
IN_PERIOD = f"""
SELECT DISTINCT ON (e.selection_id, e.metric, e.job_id, e.local_day) {COLUMNS}
FROM billing_usageentry e
WHERE e.selection_id = ANY(%(selections)s) AND e.metric = ANY(%(metrics)s)
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s AND {EFFECTIVE}
ORDER BY e.selection_id, e.metric, e.job_id, e.local_day, e.measured_at DESC, e.run_key DESC
"""  # noqa: S608 - both parts are the constants above
EACH_IN_PERIOD = f"""
SELECT {COLUMNS} FROM billing_usageentry e
WHERE e.selection_id = ANY(%(selections)s) AND e.metric = ANY(%(summed)s)
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s AND {EFFECTIVE}
ORDER BY e.selection_id, e.metric, e.job_id, e.local_day, e.measured_at, e.run_key
"""  # noqa: S608
LARGEST_IN_PERIOD = f"""
SELECT DISTINCT ON (e.selection_id, e.metric, e.job_id, e.basis, e.local_day) {COLUMNS}
FROM billing_usageentry e
WHERE e.selection_id = ANY(%(selections)s) AND e.metric = ANY(%(metrics)s)
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s AND {EFFECTIVE}
ORDER BY e.selection_id, e.metric, e.job_id, e.basis, e.local_day, e.quantity DESC, e.measured_at DESC, e.run_key DESC
"""  # noqa: S608
AROUND = f"""
SELECT 'before', x.* FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(selection_id bigint, job_id bigint, basis text)
CROSS JOIN unnest(%(metrics)s::text[]) AS m(metric)
CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM billing_usageentry e
    WHERE e.selection_id = w.selection_id AND e.metric = m.metric AND e.local_day < %(first_day)s
      AND (e.job_id IS NULL OR w.job_id IS NULL OR e.job_id = w.job_id)
      AND (e.job_id IS NULL OR w.basis = '' OR e.metric <> 'protected' OR e.basis = w.basis) AND {EFFECTIVE}
    ORDER BY e.local_day DESC, e.measured_at DESC, e.run_key DESC LIMIT 1) AS x
UNION ALL
SELECT 'first', x.* FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(selection_id bigint, job_id bigint, basis text)
CROSS JOIN unnest(%(metrics)s::text[]) AS m(metric)
CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM billing_usageentry e
    WHERE e.selection_id = w.selection_id AND e.metric = m.metric AND {EFFECTIVE}
    ORDER BY e.local_day, e.measured_at, e.run_key LIMIT 1) AS x
"""  # noqa: S608


def read_ledger(
    tenant_id: int,
    selections: Mapping[int, Any],
    metrics: Collection[str],
    *,
    period: Period,
    cut_off: datetime,
    largest: bool = False,
) -> Ledger:
    """What was measured of these selections (by id), as known at ``cut_off``: four queries however many there are.

    One more with ``largest``, which reads each day's largest figure beside the latest, and one more for what is summed.
    """
    reads = {read_of(metric) for metric in metrics}
    choices = read_choices(tenant_id, selections, cut_off=cut_off)
    values = ledger_values(tenant_id, selections, reads, choices, period=period, cut_off=cut_off)
    figures: dict[Key, Figures] = defaultdict(Figures)
    for row in rows_of(IN_PERIOD, values | {"metrics": sorted(reads - SUMMED)}) if reads - SUMMED else ():
        _file(figures, choices, _figure(row))
    for figure in _summed(_figure(row) for row in rows_of(EACH_IN_PERIOD, values)) if reads & SUMMED else ():
        _file(figures, choices, figure)
    standing = values | {"metrics": sorted(reads - SUMMED)}  # of what is summed a day's sum is the largest there is
    for row in rows_of(LARGEST_IN_PERIOD, standing) if largest and reads - SUMMED else ():
        _file_largest(figures, choices, _figure(row))
    for which, *found in rows_of(AROUND, values):
        figure = _figure(found)
        known = figures[figure.selection_id, figure.metric]
        if which == "before":
            known.before = figure
        else:
            known.first_day = figure.local_day
    names = _names(tenant_id, figures) if reads & COUNTS else {}
    return Ledger(figures=dict(figures), choices=choices, jobs=_jobs(tenant_id, figures, choices), names=names)


def ledger_values(
    tenant_id: int,
    selections: Mapping[int, Any],
    reads: Collection[str],
    choices: Mapping[int, Sequence[Choice]],
    *,
    period: Period,
    cut_off: datetime,
) -> dict[str, Any]:
    """What the statements on the ledger take."""
    return {
        "tenant": tenant_id,
        "selections": sorted(selections),
        "metrics": sorted(reads),
        "summed": sorted(SUMMED.intersection(reads)),
        "first_day": period.first_day,
        "last_day": period.last_day,
        "cut_off": cut_off,
        "wanted": json.dumps([_wanted(key, choices.get(key), period) for key in sorted(selections)]),
    }


def _names(tenant_id: int, figures: Mapping[Key, Figures]) -> Mapping[tuple[str, str, int], Sequence[Sequence[str]]]:
    """The names behind what is counted and billed."""
    return read_names(
        tenant_id,
        {
            (figure.source, figure.metric, figure.revision)
            for (_, metric), known in figures.items()
            if metric in COUNTS
            for figure in (*known.counted, *([known.before] if known.before else []))
        },
    )


def choice_on(choices: Sequence[Choice], day: date) -> Choice:
    """The choice that counts on a day: of those that began by then the one decided last, else the first one."""
    return next((choice for choice in reversed(choices) if choice.since <= day), choices[0])


def _file(figures: dict[Key, Figures], choices: Mapping[int, Sequence[Choice]], figure: Figure) -> None:
    known = figures[figure.selection_id, figure.metric]
    made = choices.get(figure.selection_id)
    choice = choice_on(made, figure.local_day) if made else None
    if choice is None or choice.takes(figure):
        known.counted.append(figure)
    elif choice.measures(figure):
        known.otherwise.append(figure)
    else:
        known.beside.append(figure)


def _summed(runs: Iterable[Figure]) -> Iterable[Figure]:
    """One figure a day and job: the sum of its runs, which come in order; otherwise that of the last of them."""
    for _, group in groupby(runs, key=lambda run: (run.selection_id, run.metric, run.job_id, run.local_day)):
        of_day = tuple(group)
        yield replace(of_day[-1], quantity=sum(run.quantity for run in of_day), runs=of_day)


def _file_largest(figures: dict[Key, Figures], choices: Mapping[int, Sequence[Choice]], figure: Figure) -> None:
    made = choices.get(figure.selection_id)
    if not made or choice_on(made, figure.local_day).takes(figure):
        figures[figure.selection_id, figure.metric].largest.append(figure)


def read_choices(tenant_id: int, selections: Mapping[int, Any], *, cut_off: datetime) -> dict[int, list[Choice]]:
    """In the order they were decided; a selection without any goes by what stands in its own row."""
    made = MeasuringChoice.objects.of(tenant_id).filter(selection_id__in=selections, decided_at__lte=cut_off)
    choices: dict[int, list[Choice]] = defaultdict(list)
    rows = made.order_by("selection_id", "decided_at", "pk").values_list("selection_id", "since", "job_id", "basis")
    for selection_id, since, job_id, basis in rows:
        choices[selection_id].append(Choice(since, job_id, basis))
    for selection_id, selection in selections.items():
        if selection_id not in choices and selection.measuring_job_id:
            choices[selection_id].append(Choice(date.min, selection.measuring_job_id, selection.basis))
    return dict(choices)


def _wanted(selection_id: int, choices: Sequence[Choice] | None, period: Period) -> dict[str, Any]:
    choice = choice_on(choices, period.first_day) if choices else Choice(date.min, None, "")
    return {"selection_id": selection_id, "job_id": choice.job_id, "basis": choice.basis}


def _jobs(
    tenant_id: int, figures: Mapping[Key, Figures], choices: Mapping[int, Sequence[Choice]]
) -> dict[int, BackupJob]:
    wanted = {choice.job_id for made in choices.values() for choice in made}
    for known in figures.values():
        wanted |= {figure.job_id for figure in (*known.counted, *known.otherwise, *known.beside)}
    jobs = BackupJob.objects.of(tenant_id).filter(pk__in=[each for each in wanted if each])
    return {job.pk: job for job in jobs}


def _figure(row: Sequence[Any]) -> Figure:
    """A row of COLUMNS."""
    moments = map(datetime.fromisoformat, row[8:10])
    return Figure(*row[:8], *moments, *row[10:])


def rows_of(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement on the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
