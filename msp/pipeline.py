"""The straight line: take, normalise, assign, record, measure, enter usage, evaluate, settle: one transaction a batch.

Called by the task ``process_receipts`` and by the ``ingest`` command. A crash between any two steps rolls all of them
back: the receipts stay queued and are taken again. A batch that fails on data is halved until the bad receipt stands
alone; that one goes to the inbox with its error, the rest land. Delivery to other systems is not here: it follows the
lanes that this transaction marks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction

from alerts.evaluating import evaluate_jobs, mark_due
from alerts.marking import TESTING, mark_causes, mark_channels, mark_tested
from billing.ledger import enter_usage
from msp.backups.recording import record_runs
from msp.backups.selection_sizes import measure_deliveries
from msp.ingest.assigning import assign
from msp.ingest.hearing import count_deliveries, hear
from msp.ingest.inventories import place_inventories
from msp.ingest.leaving import note_heard
from msp.ingest.normalising import normalise
from msp.ingest.settling import settle, settle_failed
from msp.ingest.taking import Batch, pick, take_batch

log = logging.getLogger(__name__)

BATCH = 500


def process_waiting(
    *,
    now: Callable[[], datetime],
    is_time_up: Callable[[], bool] = lambda: False,
    rest: Callable[[], None] = lambda: None,
    limit: int = BATCH,
) -> int:
    """Process waiting receipts of all tenants until none is left or the time is up; answers how many.

    ``now`` is asked once a batch. ``rest`` is called after a batch that was not full: while logs pour in, a moment in
    which more of them gather makes fewer and fuller batches, which cost far less.
    """
    done = 0
    while not is_time_up():
        number = process_batch(now=now(), limit=limit)
        done += number
        if number == 0:
            break
        if number < limit:
            rest()
    return done


def process_batch(*, now: datetime, limit: int = BATCH) -> int:
    """Pick one tenant's waiting receipts and carry them through the line; answers how many were picked."""
    picked = pick(limit)
    if picked is None:
        return 0
    for receipt_id in picked.hopeless:
        with transaction.atomic():
            settle_failed(picked.tenant_id, receipt_id, error="it ended the worker each time it was tried.", now=now)
    process_receipts(picked.tenant_id, picked.receipt_ids, now=now)
    return len(picked.receipt_ids) + len(picked.hopeless)


def process_receipts(tenant_id: int, receipt_ids: Sequence[int], *, now: datetime) -> None:
    """Carry these receipts through the line in one transaction; if that fails on data, in halves."""
    if not receipt_ids:
        return
    try:
        with transaction.atomic():
            batch = take_batch(tenant_id, receipt_ids)
            if batch is not None:
                carry(batch, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        split(tenant_id, receipt_ids, error, now=now)


def carry(batch: Batch, *, now: datetime) -> None:
    """The line itself, inside the batch's transaction."""
    tenant_id = batch.tenant_id
    normalised = normalise(batch)
    assigned = assign(tenant_id, normalised, now=now)
    placed = place_inventories(tenant_id, normalised, assigned)
    recorded = record_runs(tenant_id, assigned.runs, now=now, replacing=batch.replayed_ids)
    heard = hear(tenant_id, normalised, assigned.runs)
    note_heard(tenant_id, recorded.job_ids)
    measure_deliveries(tenant_id, placed.inventories, now=now)
    enter_usage(tenant_id, recorded.measurements, now=now)
    # State rows of subjects: locked before any incident, and in the order of their kinds.
    mark_channels(tenant_id, heard.changed, now=now)
    mark_due(tenant_id, "client", recorded.client_ids, now=now)
    tested = {run.job_id for run in assigned.runs if run.log.operation in TESTING}
    mark_tested(tenant_id, jobs=recorded.job_ids, tested=tested, now=now)
    mark_causes(tenant_id, now=now)
    evaluate_jobs(tenant_id, recorded.job_ids, now=now)
    settle(tenant_id, normalised, placed.assigned, now=now)
    count_deliveries(tenant_id, normalised, heard)


def split(tenant_id: int, receipt_ids: Sequence[int], error: Exception, *, now: datetime) -> None:
    """Halve a batch that failed on data; a receipt that fails alone goes to the inbox with its error."""
    if len(receipt_ids) == 1:
        log.error("receipt %s of tenant %s failed", receipt_ids[0], tenant_id, exc_info=error)
        with transaction.atomic():
            settle_failed(tenant_id, receipt_ids[0], error=error, now=now)
        return
    middle = len(receipt_ids) // 2
    for part in (receipt_ids[:middle], receipt_ids[middle:]):
        process_receipts(tenant_id, part, now=now)
