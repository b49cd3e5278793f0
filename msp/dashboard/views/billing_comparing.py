"""What other meters would have billed: a document's page with every line by every meter, on the terms of its plan."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpResponse
from django.shortcuts import render

from billing.comparing import ComparedMeter, compare_document
from msp.dashboard import money
from msp.dashboard.permits import INVOICES, needs
from msp.dashboard.scope import StaffRequest

#: Width of the longest bar, in percent of its cell.
WIDEST = 100


@dataclass(frozen=True)
class Bar:
    """A meter and how long its bar is, in whole percent of the largest amount; None without an amount."""

    meter: ComparedMeter
    width: int | None


@needs(INVOICES)
def show(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The document's net by each meter, then its lines; computed now, stored nowhere."""
    page = money.page_of_invoice(request.scope, uid)
    document = compare_document(request.scope.tenant, uid)
    lines = [(line, bars(line.meters)) for line in document.lines]
    context = {"page": page, "document": document, "totals": bars(document.totals), "lines": lines}
    return render(request, "billing/comparison.html", context)


def bars(meters: Sequence[ComparedMeter]) -> tuple[Bar, ...]:
    """Each meter with the length of its bar."""
    largest = max((abs(each.amount) for each in meters if each.amount is not None), default=Decimal(0))
    return tuple(Bar(each, _width(each.amount, largest)) for each in meters)


def _width(amount: Decimal | None, largest: Decimal) -> int | None:
    if amount is None:
        return None
    return int(abs(amount) * WIDEST // largest) if largest else 0
