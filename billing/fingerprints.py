"""What a document is composed from, as one hash: while that is the same, composing again would say the same.

The hash covers the code, the terms, the days that are charged, and by their ids the entries, runs and choices of the
ledger; reading them costs a tenth of composing. A draft keeps the hash that it was composed with, so that a month
drafted again, made final, or looked at for late data composes only what has changed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from django.db import models

from billing.adjusting import Adjustments
from billing.coverage import Covered, Ownership, covered_by, ownership_of
from billing.days import Period
from billing.figures import AROUND, EFFECTIVE, ledger_values, read_choices, rows_of
from billing.metrics import read_of
from billing.models import Invoice, Subscription
from billing.percentages import is_percentage
from billing.taxing import read_taxation
from msp.backups.models import BackupJob

#: A run is filed under the month of its end, which its day in the tenant's zone may lie a month beside.
BESIDE = timedelta(days=32)
#: Entries never change, so their ids tell them.
ENTRIES = f"""
SELECT e.selection_id, count(*), sum(hashint8extended(e.id, 0)), array_agg(DISTINCT e.job_id)
FROM billing_usageentry e
WHERE e.tenant_id = %(tenant)s AND e.selection_id = ANY(%(selections)s) AND e.metric = ANY(%(metrics)s)
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s AND {EFFECTIVE}
GROUP BY e.selection_id
"""  # noqa: S608 - both parts are constants
#: A run that is read again gets another id.
RUNS = """
SELECT job_id, count(*), sum(hashint8extended(id, 0)) FROM backups_jobrun
WHERE tenant_id = %(tenant)s AND job_id = ANY(%(jobs)s) AND filed_month >= %(since)s AND filed_month <= %(until)s
GROUP BY job_id
"""


@dataclass(frozen=True)
class _Ledger:
    """Of each selection, by id: what tells its entries, its choices and its jobs with their runs."""

    entries: Mapping[int, object]
    around: Mapping[int, object]
    choices: Mapping[int, object]
    jobs: Mapping[int, Sequence[object]]

    def of(self, selection_id: int) -> tuple[object, ...]:
        return tuple(each.get(selection_id) for each in (self.entries, self.around, self.choices, self.jobs))


def fingerprints_of(
    tenant_id: int,
    subscriptions: Sequence[Subscription],
    *,
    period: Period,
    cut_off: datetime,
    living: Iterable[Invoice],
    adjustments: Adjustments,
) -> dict[int, str]:
    """The hash of what ``compose_documents`` would take for each bill-to of these subscriptions, by its id.

    ``living`` are the documents that are there, for what was decided about them. A fixed number of queries. Corrections
    of earlier months come after a colon: what is before it tells whether the month itself is as it was.
    """
    sizes = [each for each in subscriptions if not is_percentage(each.plan)]
    links = ownership_of(tenant_id, sizes, period=period)
    covered = {each.pk: covered_by(each, links, period=period) for each in sizes}
    selections = {one.selection.pk: one.selection for each in covered.values() for one in each}
    metrics = {read_of(each.plan.metric) for each in sizes}
    ledger = _read(tenant_id, selections, metrics, period=period, cut_off=cut_off)
    taxation = read_taxation(tenant_id, {each.agreement.seller_id for each in subscriptions})
    common = (code_version(), period, [_told(each) for _, each in sorted(taxation.sellers.items())], taxation.rates)
    decisions: dict[int, list[object]] = defaultdict(list)
    for invoice in sorted(living, key=lambda each: each.currency):
        if invoice.decisions:
            decisions[invoice.bill_to_id].append((invoice.currency, invoice.decisions))
    by_payer: dict[int, list[Subscription]] = defaultdict(list)
    for each in subscriptions:
        by_payer[each.agreement.bill_to_id].append(each)
    return {
        bill_to_id: _hash(
            (common, _terms(group, covered, links, ledger), decisions.get(bill_to_id, [])),
            _adjusted(bill_to_id, group, adjustments),
            _corrected(bill_to_id, adjustments),
        )
        for bill_to_id, group in by_payer.items()
    }


def same_month(kept: str, now: str) -> bool:
    """Whether the month itself is as it was, whatever corrections of others stand on the document."""
    return bool(kept) and kept.partition(":")[0] == now.partition(":")[0]


@lru_cache(maxsize=1)
def code_version() -> str:
    """A hash of the code that composes: another version may compose something else from the same."""
    folder = Path(__file__).parent
    files = [*sorted(folder.rglob("*.py")), *sorted((folder.parent / "msp" / "backups").glob("schedule*.py"))]
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()


def _hash(own: object, adjusted: object, corrected: Sequence[object]) -> str:
    core = hashlib.sha256(repr((own, adjusted)).encode()).hexdigest()
    return f"{core}:{hashlib.sha256(repr(corrected).encode()).hexdigest()[:32]}" if corrected else core


def _terms(
    group: Sequence[Subscription], covered: Mapping[int, Sequence[Covered]], links: Ownership, ledger: _Ledger
) -> list[object]:
    """Each subscription with its terms, whom it is for, and what it covers on which days."""
    return [
        (
            _told(each), _told(each.plan), _told(each.agreement), _told(each.agreement.bill_to), _told(each.client),
            _told(each.reseller), _told(each.selection),
            (links.active.get(each.client_id or 0), len(links.selections_of.get(each.client_id or 0, ()))),
            [_of_covered(one, ledger) for one in covered.get(each.pk, ())],
        )
        for each in sorted(group, key=lambda each: each.pk)
    ]  # fmt: skip


def _of_covered(one: Covered, ledger: _Ledger) -> tuple[object, ...]:
    days = sorted(day.toordinal() for day in one.days)
    what = (_told(one.selection), _told(one.selection.machine), _told(one.client), one.name, days, tuple(one.states))
    return (*what, ledger.of(one.selection.pk))


def _adjusted(bill_to_id: int, group: Sequence[Subscription], adjustments: Adjustments) -> list[object]:
    """One-offs, without which document has taken them: drafting itself changes that; and discounts."""
    one_offs = [
        (key, [_told(each, without=("invoice_id",)) for each in found])
        for key, found in sorted(adjustments.one_offs.items())
        if key[0] == bill_to_id
    ]
    agreements = sorted({each.agreement_id for each in group})
    discounts = [[_told(each) for each in adjustments.discounts.get(agreement, ())] for agreement in agreements]
    return [one_offs, discounts]


def _corrected(bill_to_id: int, adjustments: Adjustments) -> list[object]:
    return [(key, list(found)) for key, found in sorted(adjustments.deltas.items()) if key[0] == bill_to_id]


def _read(
    tenant_id: int, selections: Mapping[int, Any], metrics: Collection[str], *, period: Period, cut_off: datetime
) -> _Ledger:
    choices = read_choices(tenant_id, selections, cut_off=cut_off)
    values = ledger_values(tenant_id, selections, metrics, choices, period=period, cut_off=cut_off)
    entries: dict[int, object] = {}
    jobs_of = {key: {choice.job_id for choice in made if choice.job_id} for key, made in choices.items()}
    for selection_id, count, told, jobs in rows_of(ENTRIES, values):
        entries[selection_id] = (count, told)
        jobs_of.setdefault(selection_id, set()).update(job for job in jobs if job)
    around: dict[int, list[object]] = defaultdict(list)
    for row in rows_of(AROUND, values):
        around[row[1]].append(row)
        jobs_of.setdefault(row[1], set()).update([row[6]] if row[6] else [])
    told_jobs = _jobs(tenant_id, {job for jobs in jobs_of.values() for job in jobs}, period=period)
    return _Ledger(
        entries=entries,
        around={selection_id: sorted(map(repr, rows)) for selection_id, rows in around.items()},
        choices=choices,
        jobs={selection_id: [told_jobs.get(job) for job in sorted(jobs)] for selection_id, jobs in jobs_of.items()},
    )


def _jobs(tenant_id: int, job_ids: Collection[int], *, period: Period) -> dict[int, object]:
    """What a job says of itself, and what tells its runs."""
    since = (period.first_day - BESIDE).replace(day=1)
    values = {"tenant": tenant_id, "jobs": sorted(job_ids), "since": since, "until": period.last_day}
    runs = {job_id: told for job_id, *told in rows_of(RUNS, values)}
    rows = BackupJob.objects.of(tenant_id).filter(pk__in=job_ids)
    names = rows.values_list("pk", "uid", "name", "product", "schedule", "timezone")
    return {job_id: (told, runs.get(job_id)) for job_id, *told in names}


def _told(row: models.Model | None, *, without: Collection[str] = ()) -> object:
    """The values of a row, as PostgreSQL has them."""
    return None if row is None else _reader(type(row), tuple(without))(row)


@lru_cache(maxsize=64)
def _reader(model: type[models.Model], without: tuple[str, ...]) -> Any:
    return attrgetter(*(field.attname for field in model._meta.concrete_fields if field.attname not in without))
