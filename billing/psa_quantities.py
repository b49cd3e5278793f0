"""The quantity of each client's plan in a month, as its invoices state it: what an agreement line is to say.

Draft and final lines count alike. Where a plan changes within the month, the line of the subscription that began last
counts: two of them added up would be a quantity that nobody had.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal

from billing.models import InvoiceLine
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class StatedQuantity:
    """What a month's lines of one client on one plan say together. ``state`` is draft as long as one of them is;
    ``held`` are the sentences a person must settle first.
    """

    client_id: int
    plan_code: str
    quantity: Decimal
    unit: str
    state: str
    held: tuple[str, ...]


def stated_quantities(tenant: Tenant, *, first_day: date) -> dict[tuple[int, str], StatedQuantity]:
    """By client and code of plan; what a reseller's own seller invoices is not among them. One query."""
    lines = InvoiceLine.objects.of(tenant).filter(
        kind="usage", client__isnull=False, subscription__layer="retail", invoice__first_day=first_day,
        invoice__kind="regular", invoice__seller__reseller__isnull=True,
    ).exclude(invoice__state="void")  # fmt: skip
    lines = lines.select_related("subscription__plan", "invoice").defer("working", "evidence", "invoice__snapshot")
    latest: dict[tuple[int, int | None, str], InvoiceLine] = {}
    for line in lines.order_by("subscription__starts_on", "pk"):
        latest[line.client_id, line.subscription.selection_id, line.subscription.plan.code] = line
    found: dict[tuple[int, str], StatedQuantity] = {}
    for (client_id, _, code), line in latest.items():
        key = (client_id, code)
        found[key] = _together(found.get(key), line, key)
    return found


def rounded(quantity: Decimal, rounding: str) -> Decimal:
    """As the plan stated it, or up to whole units."""
    return quantity.to_integral_value(ROUND_CEILING) if rounding == "up" else quantity


def _together(before: StatedQuantity | None, line: InvoiceLine, key: tuple[int, str]) -> StatedQuantity:
    is_draft = line.invoice.state == "draft" or (before is not None and before.state == "draft")
    held = tuple(line.invoice.held) if line.invoice.state == "draft" else ()
    return StatedQuantity(
        client_id=key[0],
        plan_code=key[1],
        quantity=line.quantity + (before.quantity if before else 0),
        unit=line.unit,
        state="draft" if is_draft else "final",
        held=tuple(dict.fromkeys((*(before.held if before else ()), *held))),
    )
