"""What a person looks at before finalising a run: what changed since last month and why, and who is billed by nobody.

Reads only, in a fixed number of queries; what is held stands on each draft itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.db import connection
from django.db.models import BooleanField, F, Func

from billing.models import InvoiceLine, InvoiceRun
from msp.tenants.models import Tenant

Reason = Literal["new", "gone", "once", "discount", "price", "gap", "correction", "days", "grew", "shrank", "same"]
LineKey = tuple[int, str, str, int]
#: Kinds of lines that say by themselves why they are there.
TOLD_BY_KIND: Mapping[str, Reason] = {
    "charge": "once", "credit": "once", "discount": "discount", "delta": "correction",
}  # fmt: skip


@dataclass(frozen=True)
class LineChange:
    """One line against the same one of the month before; amounts in ``currency``, None where there is no line."""

    bill_to: str
    who: str
    currency: str
    before: Decimal | None
    now: Decimal | None
    quantity_before: Decimal | None
    quantity_now: Decimal | None
    unit: str
    difference: Decimal
    reason: Reason


@dataclass(frozen=True)
class Unbilled:
    """A selection that was measured in the period while its client was active, and that no subscription covers."""

    client_id: int
    client: str
    selection: str
    days: int
    largest_bytes: int


@dataclass(frozen=True)
class _Line:
    bill_to: str
    who: str
    currency: str
    amount: Decimal
    quantity: Decimal
    unit: str
    plan: Mapping[str, Any]
    billable_days: int
    days: int
    gap: bool
    corrected: bool
    kind: str = "usage"


def compare_with_last_month(tenant: Tenant, run: InvoiceRun) -> tuple[LineChange, ...]:
    """Every line of a run against the month before, the largest difference of money first; two queries."""
    before_day = (run.first_day - timedelta(days=1)).replace(day=1)
    now = _lines(tenant, run, run.first_day)
    before = _lines(tenant, run, before_day)
    changes = [_change(before.get(key), now.get(key)) for key in before.keys() | now.keys()]
    return tuple(sorted(changes, key=lambda each: (-abs(each.difference), each.bill_to, each.who)))


UNBILLED = """
SELECT c.id, c.name, s.name, count(DISTINCT e.local_day), max(e.quantity)
FROM billing_usageentry e
JOIN estate_client c ON c.tenant_id = e.tenant_id AND c.id = e.client_id
JOIN estate_selection s ON s.tenant_id = e.tenant_id AND s.id = e.selection_id
WHERE e.tenant_id = %(tenant)s AND e.metric = 'protected' AND e.quantity IS NOT NULL AND e.known_at <= %(cut_off)s
  AND e.local_day >= %(first_day)s AND e.local_day < %(last_day)s
  AND EXISTS (SELECT 1 FROM estate_clientstatespan a WHERE a.tenant_id = e.tenant_id AND a.client_id = e.client_id
    AND a.state = 'active' AND a.since <= e.local_day AND (a.until IS NULL OR a.until > e.local_day))
  AND NOT EXISTS (SELECT 1 FROM billing_subscription b
    JOIN billing_agreement g ON g.tenant_id = b.tenant_id AND g.id = b.agreement_id
    JOIN billing_plan p ON p.tenant_id = b.tenant_id AND p.id = b.plan_id AND p.price <> 'percentage'
    WHERE b.tenant_id = e.tenant_id
      AND (b.client_id = e.client_id AND coalesce(b.selection_id, e.selection_id) = e.selection_id
           OR b.reseller_id = e.reseller_id)
      AND b.starts_on <= e.local_day AND (b.ends_on IS NULL OR b.ends_on > e.local_day)
      AND g.starts_on <= e.local_day AND (g.ends_on IS NULL OR g.ends_on > e.local_day))
GROUP BY c.id, c.name, s.name
ORDER BY max(e.quantity) DESC, c.name, s.name
"""


def unbilled(tenant: Tenant, run: InvoiceRun) -> tuple[Unbilled, ...]:
    """What was protected in the run's period and is on nobody's plan, the largest first: revenue that is missing."""
    return unbilled_between(tenant, first_day=run.first_day, last_day=run.last_day, cut_off=run.cut_off)


def unbilled_between(tenant: Tenant, *, first_day: date, last_day: date, cut_off: datetime) -> tuple[Unbilled, ...]:
    """The same for any days, ``last_day`` exclusive, as known at ``cut_off``; one query."""
    values: dict[str, Any] = {
        "tenant": tenant.pk,
        "cut_off": cut_off,
        "first_day": first_day,
        "last_day": last_day,
    }
    with connection.cursor() as cursor:
        cursor.execute(UNBILLED, values)
        return tuple(Unbilled(*row) for row in cursor.fetchall())


def _lines(tenant: Tenant, run: InvoiceRun, first_day: date) -> dict[LineKey, _Line]:
    rows = InvoiceLine.objects.of(tenant).filter(invoice__seller=run.seller_id, invoice__first_day=first_day)
    rows = (
        rows.filter(invoice__kind="regular")
        .exclude(invoice__state="void")
        .select_related("invoice__bill_to", "subscription__client", "subscription__reseller", "subscription__selection")
    )
    rows = rows.annotate(
        plan=F("working__plan"),
        about=F("working__about"),
        billable_days=F("working__billable_days"),
        gap=_exists("working", '$.days[*] ? (@.state == "missing")'),
        corrected=_exists("evidence", "$[*].days[*] ? (@.revision > 0)"),
    )
    lines: dict[LineKey, _Line] = {}
    for row in rows.defer("working", "evidence").order_by("pk"):
        key, line = _key(row), _line(row)
        lines[key] = _together(lines[key], line) if key in lines else line
    return lines


def _exists(field: str, path: str) -> Func:
    """Whether a jsonb column holds what the path asks for; ``path`` is a constant of this module."""
    template = f"jsonb_path_exists(%(expressions)s, '{path}')"
    return Func(F(field), template=template, output_field=BooleanField())


def _key(row: Any) -> LineKey:
    """The same client, selection or reseller for the same bill-to, whatever the plan; what is no usage, by its kind."""
    each = row.subscription
    if each is None:
        return (row.invoice.bill_to_id, row.invoice.currency, f"{row.kind} {row.about or ''}", row.client_id or 0)
    who = each.selection_id or each.client_id or each.reseller_id
    kind = "selection" if each.selection_id else each.layer
    if row.kind == "percentage":
        kind = f"percentage {row.plan['code']}"
    return (row.invoice.bill_to_id, row.invoice.currency, kind, who)


def _line(row: Any) -> _Line:
    each, invoice = row.subscription, row.invoice
    return _Line(
        bill_to=str(invoice.bill_to),
        who=str(each.selection or each.client or each.reseller) if each else row.description,
        currency=invoice.currency,
        amount=row.amount,
        quantity=row.quantity,
        unit=row.unit,
        plan=row.plan or {},
        billable_days=row.billable_days or 0,
        days=(invoice.last_day - invoice.first_day).days,
        gap=row.gap,
        corrected=row.corrected,
        kind=row.kind,
    )


def _together(first: _Line, second: _Line) -> _Line:
    """A month with a change of plan has two lines for the same thing; the later plan stands for both."""
    return _Line(
        bill_to=second.bill_to,
        who=second.who,
        currency=second.currency,
        amount=first.amount + second.amount,
        quantity=second.quantity,
        unit=second.unit,
        plan=second.plan,
        billable_days=first.billable_days + second.billable_days,
        days=second.days,
        gap=first.gap or second.gap,
        corrected=first.corrected or second.corrected,
        kind=second.kind,
    )


def _change(before: _Line | None, now: _Line | None) -> LineChange:
    shown = _shown(before, now)
    amounts = (before.amount if before else None, now.amount if now else None)
    return LineChange(
        bill_to=shown.bill_to,
        who=shown.who,
        currency=shown.currency,
        before=amounts[0],
        now=amounts[1],
        quantity_before=before.quantity if before else None,
        quantity_now=now.quantity if now else None,
        unit=shown.unit,
        difference=(amounts[1] or Decimal(0)) - (amounts[0] or Decimal(0)),
        reason=_reason(before, now),
    )


def _shown(before: _Line | None, now: _Line | None) -> _Line:
    shown = now or before
    if shown is None:
        raise AssertionError("a change has at least one side")
    return shown


def _reason(before: _Line | None, now: _Line | None) -> Reason:
    """The first that applies; several may."""
    told = TOLD_BY_KIND.get(_shown(before, now).kind)
    if told is not None:
        is_same = before is not None and now is not None and before.amount == now.amount
        return "same" if is_same else told
    if before is None:
        return "new"
    if now is None:
        return "gone"
    if _version(now.plan) != _version(before.plan):
        return "price"
    if now.gap or before.gap:
        return "gap"
    if now.corrected or before.corrected:
        return "correction"
    if (now.billable_days == now.days) != (before.billable_days == before.days):
        return "days"
    was, known = (before.quantity, before.amount), (now.quantity, now.amount)
    if was == known:
        return "same"
    return "grew" if known > was else "shrank"


def _version(plan: Mapping[str, Any]) -> tuple[Any, Any]:
    """A version never changes, but what is recorded of one grows with the product."""
    return plan.get("code"), plan.get("version")
