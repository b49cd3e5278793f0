"""What the money pages read beyond ``billing.queries``: who may see which documents, a run under review, its months.

Answers are frozen dataclasses, each read in a fixed number of queries, however long the list; nothing here writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.urls import reverse

from billing.explaining import ExplainedLine
from billing.invoicing import DECISIONS, compose_one
from billing.models import Agreement, BillTo, Invoice, InvoiceRun, Plan, Seller
from billing.queries import InvoicePage, find_run, invoice_page
from billing.refusals import NotFound
from msp.dashboard.forms import Field
from msp.dashboard.money_format import DECISION_WORDS
from msp.dashboard.scope import Refused, Scope

#: Months that a run may be started for, counted back from the last one that is over.
MONTHS = 18
#: Lines beyond which a working is loaded when its line is opened.
WORKINGS_AT_ONCE = 8


@dataclass(frozen=True)
class RunDocument:
    """One document of a run in its review; ``held`` are the sentences a person must settle first."""

    uid: uuid.UUID
    number: str
    state: str
    kind: str
    bill_to: str
    net: Decimal
    tax: Decimal
    total: Decimal
    currency: str
    held: tuple[str, ...]


@dataclass(frozen=True)
class Total:
    """Documents of one currency added up."""

    currency: str
    documents: int
    net: Decimal
    total: Decimal


@dataclass(frozen=True)
class ShownLine:
    """A line with its working, or with the address it is read from once somebody opens it."""

    line: ExplainedLine
    opened: bool
    address: str


def reseller_of(scope: Scope) -> int | None:
    """What ``billing.queries`` narrows by: None for the tenant's own people, else the one reseller."""
    if scope.reseller_ids is None:
        return None
    (reseller_id,) = scope.reseller_ids
    return reseller_id


def page_of_invoice(scope: Scope, uid: uuid.UUID) -> InvoicePage:
    """The document, if this person may see it; else Refused with 404."""
    try:
        return invoice_page(scope.tenant, uid, reseller_id=reseller_of(scope))
    except NotFound as missing:
        raise Refused("There is no such invoice, or it is not yours to see.", status=404) from missing


def run_of(scope: Scope, uid: uuid.UUID) -> InvoiceRun:
    """The run, else Refused with 404."""
    try:
        return find_run(scope.tenant, uid)
    except NotFound as missing:
        raise Refused("There is no such invoice run, or it is not yours to see.", status=404) from missing


def documents_of(run: InvoiceRun) -> tuple[RunDocument, ...]:
    """The run's documents, held ones first, then the largest; one query."""
    rows = Invoice.objects.of(run.tenant_id).filter(run=run).select_related("bill_to")
    rows = rows.defer("snapshot", "decisions")
    documents = [_document(row) for row in rows]
    return tuple(sorted(documents, key=lambda each: (not each.held, each.state, -each.total, each.bill_to)))


def totals_of(documents: Sequence[RunDocument]) -> tuple[Total, ...]:
    """What the living documents come to, a currency each."""
    living = [each for each in documents if each.state != "void"]
    return tuple(
        Total(
            currency=currency,
            documents=sum(each.currency == currency for each in living),
            net=sum((each.net for each in living if each.currency == currency), Decimal(0)),
            total=sum((each.total for each in living if each.currency == currency), Decimal(0)),
        )
        for currency in sorted({each.currency for each in living})
    )


def ready_of(documents: Sequence[RunDocument]) -> tuple[RunDocument, ...]:
    """Drafts that nothing holds."""
    return tuple(each for each in documents if each.state == "draft" and not each.held)


def decisions_open(scope: Scope, uid: uuid.UUID) -> tuple[tuple[str, str, str], ...]:
    """Of a held draft the decisions that would settle something: (name, words, what it means)."""
    invoice = Invoice.objects.of(scope.tenant).select_related("run", "bill_to").get(uid=uid)
    document = compose_one(invoice, cut_off=invoice.run.cut_off)
    kinds = {key.split(":")[0] for held in (document.held if document else ()) for key in held.keys}
    return tuple((name, *DECISION_WORDS[name]) for name, settles in DECISIONS.items() if kinds & set(settles))


def grace_until(scope: Scope, uid: uuid.UUID, *, now: datetime) -> date | None:
    """The first day on which a draft is made final without a reason, None if that is over or it is no draft."""
    invoice = Invoice.objects.of(scope.tenant).select_related("run", "seller").defer("snapshot").get(uid=uid)
    first = invoice.last_day + timedelta(days=invoice.seller.grace_days)
    today = now.astimezone(ZoneInfo(invoice.run.timezone)).date()
    return first if invoice.state == "draft" and today < first else None


def shown_lines(page: InvoicePage, *, route: str = "invoice-line") -> tuple[ShownLine, ...]:
    """The lines; the workings of a long document are loaded one by one, from ``route``."""
    at_once = len(page.lines) <= WORKINGS_AT_ONCE
    return tuple(ShownLine(line, at_once, reverse(route, args=[page.row.uid, line.uid])) for line in page.lines)


def months_over(scope: Scope, *, now: datetime) -> tuple[tuple[str, str], ...]:
    """Choices of months that are over in the tenant's zone, the last one first."""
    day = now.astimezone(ZoneInfo(scope.tenant.timezone)).date().replace(day=1)
    months = []
    for _ in range(MONTHS):
        day = (day - timedelta(days=1)).replace(day=1)
        months.append((day.isoformat(), f"{day:%B %Y}"))
    return tuple(months)


def seller_choices(scope: Scope) -> tuple[tuple[str, str], ...]:
    """Sellers by name."""
    return _choices(Seller.objects.of(scope.tenant).order_by("legal_name"))


def bill_to_choices(scope: Scope) -> tuple[tuple[str, str], ...]:
    """Bill-tos by name, with the currency they pay in."""
    rows = BillTo.objects.of(scope.tenant).order_by("legal_name")
    return tuple((str(row.uid), f"{row.legal_name} ({row.currency})") for row in rows)


def plan_choices(scope: Scope) -> tuple[tuple[str, str], ...]:
    """Plans by code, the newest version of each first."""
    rows = Plan.objects.of(scope.tenant).order_by("code", "-version")
    return tuple((str(row.uid), f"{row.name}, version {row.version}, {row.currency} ({row.code})") for row in rows)


def agreement_choices(scope: Scope) -> tuple[tuple[str, str], ...]:
    """Agreements by number, with their two sides."""
    rows = Agreement.objects.of(scope.tenant).select_related("seller", "bill_to").order_by("number")
    return tuple((str(row.uid), f"{row.number}: {row.seller} to {row.bill_to}") for row in rows)


def today_of(scope: Scope, *, now: datetime) -> date:
    """The day in the tenant's zone."""
    return now.astimezone(ZoneInfo(scope.tenant.timezone)).date()


def seller_field(scope: Scope) -> Field:
    """Who invoices; the only one is chosen already."""
    choices = seller_choices(scope)
    return Field(
        name="seller",
        label="Seller",
        kind="choice",
        choices=choices,
        value=choices[0][0] if choices else "",
        required=True,
    )


def _choices(rows: Iterable[Seller]) -> tuple[tuple[str, str], ...]:
    return tuple((str(row.uid), str(row)) for row in rows)


def _document(row: Invoice) -> RunDocument:
    return RunDocument(
        uid=row.uid,
        number=row.number,
        state=row.state,
        kind=row.kind,
        bill_to=str(row.bill_to),
        net=row.net,
        tax=row.tax,
        total=row.total,
        currency=row.currency,
        held=tuple(row.held),
    )
