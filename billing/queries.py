"""What billing's pages and API show, as dataclasses: invoices, one invoice, usage by day, plans and subscriptions.

Each function makes a fixed number of queries. A final document is read from its snapshot alone, a draft from its rows.
``reseller_id`` narrows everything to what one reseller may see: its own clients and the invoices of its own sellers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from billing.explaining import ExplainedLine, explained
from billing.metrics import SUMMED
from billing.models import Collection, Invoice, InvoiceLine, InvoiceRun, Plan, Seller, Subscription
from billing.money import round_money
from billing.owing import owed_of
from billing.plans import plan_record
from billing.refusals import NotFound
from billing.taxes import TaxTotal, category_for, read_taxes
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class InvoiceRow:
    """One document in a list; ``held`` counts what a person must decide. Number and dates are empty for a draft."""

    uid: UUID
    number: str
    state: str
    kind: str
    seller: str
    bill_to: str
    first_day: date
    last_day: date
    issued_on: date | None
    due_on: date | None
    net: Decimal
    tax: Decimal
    total: Decimal
    currency: str
    held: int
    paid: bool


@dataclass(frozen=True)
class InvoicePage:
    """Everything an invoice's page shows; ``seller`` and ``bill_to`` of a final one are as they were then."""

    row: InvoiceRow
    run_uid: UUID
    timezone: str
    cut_off: datetime
    seller: Mapping[str, Any]
    bill_to: Mapping[str, Any]
    tax_rate: Decimal
    taxes: tuple[TaxTotal, ...]
    lines: tuple[ExplainedLine, ...]
    held: tuple[str, ...]
    decisions: tuple[Mapping[str, Any], ...]
    replaces: str
    replaced_by: str
    void_reason: str
    content_hash: str
    pay_url: str

    @property
    def size_contracts(self) -> tuple[str, ...]:
        """The versions of the size contract that its lines rest on."""
        return tuple(sorted({line.size_contract for line in self.lines if line.size_contract}))


@dataclass(frozen=True)
class RunRow:
    """A month of a seller with its documents counted by state; ``held`` counts drafts that wait for a person."""

    uid: UUID
    seller: str
    seller_uid: UUID
    first_day: date
    last_day: date
    timezone: str
    cut_off: datetime
    state: str
    drafts: int
    finals: int
    held: int


@dataclass(frozen=True)
class UsageDay:
    """Measured bytes of a selection on a local day, by its measuring job; days without a figure are absent."""

    selection_id: int
    selection: str
    day: date
    quantity: int


@dataclass(frozen=True)
class PlanRow:
    """A plan's version; ``terms`` is all it says, as JSON. ``subscribers`` counts subscriptions without an end."""

    uid: UUID
    code: str
    version: int
    name: str
    currency: str
    is_latest: bool
    subscribers: int
    terms: Mapping[str, Any]


@dataclass(frozen=True)
class SubscriptionRow:
    """Who is on which plan; ``who`` is a client, a client's selection or a reseller."""

    uid: UUID
    layer: str
    who: str
    client_uid: UUID | None
    plan: str
    plan_uid: UUID
    seller: str
    bill_to: str
    agreement: str
    starts_on: date
    ends_on: date | None


def invoice_rows(
    tenant: Tenant,
    *,
    first_day: date | None = None,
    states: Sequence[str] = (),
    reseller_id: int | None = None,
    seller_id: int | None = None,
    bill_to_id: int | None = None,
    limit: int = 200,
) -> tuple[InvoiceRow, ...]:
    """Documents, newest month first; three queries. ``seller_id`` and ``bill_to_id`` narrow to one of each."""
    rows = _visible(tenant, reseller_id).select_related("seller", "bill_to")
    if seller_id is not None:
        rows = rows.filter(seller_id=seller_id)
    if bill_to_id is not None:
        rows = rows.filter(bill_to_id=bill_to_id)
    if first_day is not None:
        rows = rows.filter(first_day=first_day)
    if states:
        rows = rows.filter(state__in=states)
    invoices = list(rows.defer("snapshot", "decisions").order_by("-first_day", "bill_to__legal_name", "-pk")[:limit])
    paid = _paid(tenant, [invoice.pk for invoice in invoices])
    return tuple(_row(invoice, is_paid=invoice.pk in paid) for invoice in invoices)


def invoice_page(tenant: Tenant, uid: UUID, *, reseller_id: int | None = None) -> InvoicePage:
    """One document; four queries. Raises NotFound, also for what this reseller may not see."""
    related = ("run", "seller", "bill_to", "replaces")
    invoice = _visible(tenant, reseller_id).select_related(*related).filter(uid=uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    collection = Collection.objects.of(tenant).filter(invoice=invoice).first()
    replacement = Invoice.objects.of(tenant).filter(replaces=invoice).order_by("-pk").first()
    is_paid = invoice.pk in _paid(tenant, [invoice.pk])
    return InvoicePage(
        row=_row(invoice, is_paid=is_paid),
        run_uid=invoice.run.uid,
        timezone=invoice.run.timezone,
        cut_off=datetime.fromisoformat(invoice.snapshot["cut_off"]) if invoice.snapshot else invoice.run.cut_off,
        seller=_party(invoice, "seller"),
        bill_to=_party(invoice, "bill_to"),
        tax_rate=invoice.tax_rate,
        taxes=_taxes(invoice),
        lines=_explained_lines(tenant, invoice),
        held=tuple(invoice.held),
        decisions=tuple(invoice.decisions),
        replaces=invoice.replaces.number if invoice.replaces else "",
        replaced_by=(replacement.number or "draft") if replacement else "",
        void_reason=invoice.void_reason,
        content_hash=invoice.content_hash,
        pay_url=collection.external_url if collection else "",
    )


RUNS = """
SELECT r.uid, s.legal_name, s.uid, r.first_day, r.last_day, r.timezone, r.cut_off, r.state,
       count(i.id) FILTER (WHERE i.state = 'draft'), count(i.id) FILTER (WHERE i.state = 'final'),
       count(i.id) FILTER (WHERE i.state = 'draft' AND jsonb_array_length(i.held) > 0)
FROM billing_invoicerun r
JOIN billing_seller s ON s.tenant_id = r.tenant_id AND s.id = r.seller_id
LEFT JOIN billing_invoice i ON i.tenant_id = r.tenant_id AND i.run_id = r.id
WHERE r.tenant_id = %(tenant)s AND (%(reseller)s::bigint IS NULL OR s.reseller_id = %(reseller)s)
GROUP BY r.id, s.id
ORDER BY r.first_day DESC, s.legal_name
LIMIT %(limit)s
"""


def run_rows(tenant: Tenant, *, reseller_id: int | None = None, limit: int = 60) -> tuple[RunRow, ...]:
    """Invoice runs, newest month first; one query."""
    return tuple(RunRow(*row) for row in _rows(RUNS, {"tenant": tenant.pk, "reseller": reseller_id, "limit": limit}))


USAGE = """
SELECT DISTINCT ON (s.name, s.id, e.local_day) s.id, s.name, e.local_day, e.quantity
FROM billing_usageentry e
JOIN estate_selection s ON s.tenant_id = e.tenant_id AND s.id = e.selection_id
WHERE e.tenant_id = %(tenant)s AND e.client_id = %(client)s AND e.metric = %(metric)s
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s AND e.quantity IS NOT NULL
  AND (s.measuring_job_id IS NULL OR e.job_id IS NULL OR e.job_id = s.measuring_job_id)
  AND NOT EXISTS (SELECT 1 FROM billing_usageentry n
    WHERE n.tenant_id = e.tenant_id AND n.source = e.source AND n.metric = e.metric AND n.revision > e.revision)
ORDER BY s.name, s.id, e.local_day, e.measured_at DESC, e.run_key DESC
"""


USAGE_SUMMED = """
SELECT s.id, s.name, e.local_day, sum(e.quantity)::bigint
FROM billing_usageentry e
JOIN estate_selection s ON s.tenant_id = e.tenant_id AND s.id = e.selection_id
WHERE e.tenant_id = %(tenant)s AND e.client_id = %(client)s AND e.metric = %(metric)s
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s AND e.quantity IS NOT NULL
  AND (s.measuring_job_id IS NULL OR e.job_id IS NULL OR e.job_id = s.measuring_job_id)
  AND NOT EXISTS (SELECT 1 FROM billing_usageentry n
    WHERE n.tenant_id = e.tenant_id AND n.source = e.source AND n.metric = e.metric AND n.revision > e.revision)
GROUP BY s.name, s.id, e.local_day ORDER BY s.name, s.id, e.local_day
"""


def usage_days(
    tenant: Tenant, client_id: int, *, first_day: date, last_day: date, metric: str = "protected"
) -> tuple[UsageDay, ...]:
    """What was measured of a client's selections by local day, ``last_day`` exclusive, for a chart; one query."""
    values = {
        "tenant": tenant.pk,
        "client": client_id,
        "metric": metric,
        "first_day": first_day,
        "last_day": last_day,
    }
    return tuple(UsageDay(*row) for row in _rows(USAGE_SUMMED if metric in SUMMED else USAGE, values))


def plan_rows(tenant: Tenant) -> tuple[PlanRow, ...]:
    """Every version of every plan, the newest of each first; two queries."""
    plans = list(Plan.objects.of(tenant).order_by("code", "-version"))
    running = Subscription.objects.of(tenant).filter(ends_on__isnull=True).values_list("plan_id", flat=True)
    subscribers = Counter(running)
    latest = {plan.code: plan.version for plan in reversed(plans)}
    return tuple(
        PlanRow(
            uid=plan.uid,
            code=plan.code,
            version=plan.version,
            name=plan.name,
            currency=plan.currency,
            is_latest=latest[plan.code] == plan.version,
            subscribers=subscribers[plan.pk],
            terms=plan_record(plan),
        )
        for plan in plans
    )


def subscription_rows(
    tenant: Tenant, *, client_id: int | None = None, reseller_id: int | None = None
) -> tuple[SubscriptionRow, ...]:
    """Subscriptions, those without an end first; one query."""
    related = ("plan", "agreement__seller", "agreement__bill_to", "client", "reseller", "selection")
    rows = Subscription.objects.of(tenant).select_related(*related)
    if client_id is not None:
        rows = rows.filter(client_id=client_id)
    if reseller_id is not None:
        rows = rows.filter(Q(client__reseller_id=reseller_id) | Q(reseller_id=reseller_id))
    shown = [_subscription(each) for each in rows]
    return tuple(sorted(shown, key=lambda each: (each.ends_on is not None, each.who, each.starts_on)))


def _visible(tenant: Tenant, reseller_id: int | None) -> Any:
    rows = Invoice.objects.of(tenant)
    return rows if reseller_id is None else rows.filter(seller__reseller_id=reseller_id)


def _row(invoice: Invoice, *, is_paid: bool) -> InvoiceRow:
    return InvoiceRow(
        uid=invoice.uid,
        number=invoice.number,
        state=invoice.state,
        kind=invoice.kind,
        seller=str(invoice.seller),
        bill_to=str(invoice.bill_to),
        first_day=invoice.first_day,
        last_day=invoice.last_day,
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        net=invoice.net,
        tax=invoice.tax,
        total=invoice.total,
        currency=invoice.currency,
        held=len(invoice.held),
        paid=is_paid,
    )


def _paid(tenant: Tenant, invoice_ids: Sequence[int]) -> set[int]:
    """Those that the payment service confirmed, and those of which nothing is open any more."""
    paid = Collection.objects.of(tenant).filter(invoice_id__in=invoice_ids, confirmed_state="paid")
    settled = {pk for pk, owed in owed_of(tenant, invoice_ids).items() if owed.total > 0 and owed.open <= 0}
    return settled | set(paid.values_list("invoice_id", flat=True))


def _party(invoice: Invoice, name: str) -> Mapping[str, Any]:
    """Seller or bill-to: as finalised, or for a draft as they stand today."""
    if invoice.snapshot:
        party: Mapping[str, Any] = invoice.snapshot[name]
        return party
    today: Seller | Any = getattr(invoice, name)
    names = ("legal_name", "address", "country", "tax_id", "email", "bank", "note", "tax_note", "order_number")
    return {each: getattr(today, each) for each in names if hasattr(today, each)}


def _taxes(invoice: Invoice) -> tuple[TaxTotal, ...]:
    """Each category and rate; documents of the first version had one rate and kept no list."""
    if invoice.taxes:
        return read_taxes(invoice.taxes)
    rate, currency = invoice.tax_rate.normalize(), invoice.currency
    net, tax = round_money(invoice.net, currency), round_money(invoice.tax, currency)
    return (TaxTotal(category=category_for(rate), rate=rate, net=net, tax=tax),) if invoice.net else ()


def _explained_lines(tenant: Tenant, invoice: Invoice) -> tuple[ExplainedLine, ...]:
    lines = InvoiceLine.objects.of(tenant).filter(invoice=invoice).select_related("invoice").order_by("position")
    return tuple(explained(line) for line in lines)


def _subscription(each: Subscription) -> SubscriptionRow:
    who = f"{each.client}: {each.selection}" if each.selection else str(each.client or each.reseller)
    return SubscriptionRow(
        uid=each.uid,
        layer=each.layer,
        who=who,
        client_uid=each.client.uid if each.client else None,
        plan=str(each.plan),
        plan_uid=each.plan.uid,
        seller=str(each.agreement.seller),
        bill_to=str(each.agreement.bill_to),
        agreement=each.agreement.number,
        starts_on=each.starts_on,
        ends_on=each.ends_on,
    )


def find_run(tenant: Tenant, uid: UUID) -> InvoiceRun:
    """A run of this tenant. Raises NotFound."""
    run = InvoiceRun.objects.of(tenant).select_related("seller").filter(uid=uid).first()
    if run is None:
        raise NotFound("There is no such invoice run.")
    found: InvoiceRun = run
    return found


def _rows(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
