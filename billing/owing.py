"""What is paid, open and overdue of final invoices: derived from documents and allocations, stored nowhere.

Open is the total, less what credit notes took back, less what payments settle; below zero it was paid too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection

from msp.tenants.models import Tenant


@dataclass(frozen=True, kw_only=True)
class Owed:
    """Of one final invoice, in its currency; ``credited`` is negative."""

    total: Decimal
    credited: Decimal
    paid: Decimal
    due_on: date

    @property
    def open(self) -> Decimal:
        return self.total + self.credited - self.paid

    def is_overdue(self, today: date) -> bool:
        """Whether something is still open after the day it was due."""
        return self.open > 0 and self.due_on < today


OWED = """
SELECT i.id, i.total,
       coalesce((SELECT sum(n.total) FROM billing_invoice n
                 WHERE n.tenant_id = i.tenant_id AND n.credits_id = i.id AND n.state = 'final'), 0),
       coalesce((SELECT sum(a.amount) FROM billing_paymentallocation a
                 WHERE a.tenant_id = i.tenant_id AND a.invoice_id = i.id), 0),
       i.due_on
FROM billing_invoice i
WHERE i.tenant_id = %s AND i.id = ANY(%s) AND i.state = 'final' AND i.kind = 'regular'
"""


def owed_of(tenant: Tenant | int, invoice_ids: Sequence[int]) -> dict[int, Owed]:
    """By id, of those that are final invoices; one query."""
    tenant_id = tenant if isinstance(tenant, int) else tenant.pk
    with connection.cursor() as cursor:
        cursor.execute(OWED, [tenant_id, list(invoice_ids)])
        return {
            pk: Owed(total=total, credited=credited, paid=paid, due_on=due_on)
            for pk, total, credited, paid, due_on in cursor.fetchall()
        }
