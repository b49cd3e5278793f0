"""What may be seen of a delivery: the one rule for its raw body and for whatever may quote it.

For the pages and the API, which ask before they show a log, or the reason why one could not be read. One receipt may
hold runs of several clients: a reseller sees all of it only if nothing in it is, was or may become somebody else's;
else it sees the lines of its own runs.
"""

from __future__ import annotations

from msp.backups.models import JobRun
from msp.estate.queries import Reach, clients_within
from msp.ingest.models import InboxItem, Receipt
from msp.partitions import MONTHS_BACK, month_of, next_month


def may_see_whole(reach: Reach, receipt: Receipt) -> bool:
    """Whether nothing in the delivery belongs, or may belong, to somebody else. In doubt it may not be seen.

    As many runs as were read from it must be within reach: one that a later receipt told anew stands there now, and
    its lines are still in this body. While a receipt waits to be read again nobody knows yet whose all of it is.
    """
    if reach.tenant_id != receipt.tenant_id:
        return False
    if reach.whole_tenant:
        return True
    if receipt.state != "done" or has_unassigned(reach, receipt):
        return False
    return count_own_runs(reach, receipt) == receipt.runs > 0


def count_own_runs(reach: Reach, receipt: Receipt) -> int:
    """How many runs within reach stand as read from this receipt, in the months that it can have runs in."""
    arrived = month_of(receipt.received_at.date())
    months = (next_month(arrived, steps=-MONTHS_BACK), next_month(arrived))
    runs = JobRun.objects.of(reach.tenant_id).filter(receipt_id=receipt.pk, filed_month__range=months)
    return runs.filter(client_id__in=clients_within(reach).values("pk")).count()


def has_unassigned(reach: Reach, receipt: Receipt) -> bool:
    """Whether the log holds what nobody has placed: an open item, or a dismissed one."""
    items = InboxItem.objects.of(reach.tenant_id).filter(receipt_id=receipt.pk)
    return items.exclude(state="settled").exists()
