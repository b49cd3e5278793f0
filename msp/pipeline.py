"""The straight line: take, normalise, assign, record, enter usage, evaluate, settle. One transaction a tenant's batch.

Called by the task ``process_receipts`` and by the ``ingest`` command. A crash between any two steps rolls all of them
back: the receipts stay queued and are taken again. A batch that fails on data is halved until the bad receipt stands
alone; that one goes to the inbox with its error, the rest land. Delivery to other systems is not here: it follows the
lanes that this transaction marks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction

from alerts.evaluating import evaluate_jobs, mark_due
from billing.ledger import enter_usage
from msp.backups.recording import record_runs
from msp.ingest.assigning import assign
from msp.ingest.normalising import normalise
from msp.ingest.settling import settle, settle_failed
from msp.ingest.taking import Batch, take_batch

log = logging.getLogger(__name__)

BATCH = 500


def process_waiting(
    *, now: Callable[[], datetime], is_time_up: Callable[[], bool] = lambda: False, limit: int = BATCH
) -> int:
    """Process waiting receipts of all tenants until none is left or the time is up; answers how many.

    ``now`` is asked once a batch.
    """
    done = 0
    while not is_time_up():
        number = process_batch(now=now(), limit=limit)
        done += number
        if number == 0:
            break
    return done


def process_batch(*, now: datetime, limit: int = BATCH, only: Collection[int] | None = None) -> int:
    """One tenant's batch through the whole line; ``only`` restricts it to these receipts. Answers how many it took."""
    taken: Batch | None = None
    try:
        with transaction.atomic():
            taken = take_batch(limit, now=now, only=only)
            if taken is not None:
                carry(taken, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if taken is None:
            raise
        split(taken, error, now=now)
    return 0 if taken is None else len(taken.receipts)


def carry(batch: Batch, *, now: datetime) -> None:
    """The line itself, inside the batch's transaction."""
    tenant_id = batch.tenant_id
    normalised = normalise(batch)
    assigned = assign(tenant_id, normalised, now=now)
    recorded = record_runs(tenant_id, assigned.runs, now=now, replacing=batch.replayed_ids)
    enter_usage(tenant_id, recorded.measurements, now=now)
    evaluate_jobs(tenant_id, recorded.job_ids, now=now)
    mark_due(tenant_id, "client", recorded.client_ids, now=now)
    settle(tenant_id, normalised, assigned, now=now)


def split(batch: Batch, error: Exception, *, now: datetime) -> None:
    """Halve a batch that failed on data; a receipt that fails alone goes to the inbox with its error."""
    ids: Sequence[int] = [receipt.id for receipt in batch.receipts]
    if len(ids) == 1:
        log.error("receipt %s of tenant %s failed", ids[0], batch.tenant_id, exc_info=error)
        with transaction.atomic():
            settle_failed(batch.tenant_id, ids[0], error=error, now=now)
        return
    middle = len(ids) // 2
    for part in (ids[:middle], ids[middle:]):
        process_batch(now=now, limit=len(part), only=part)
