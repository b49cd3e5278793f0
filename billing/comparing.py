"""What other meters would have billed: the days of a line metered by every meter and priced on its plan's terms.

Computed when somebody looks, from the days that the line rests on and the figures of the ledger as known at its
cut-off; nothing of it is stored. Days, decisions and terms stay those of the line, so only the meter differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.coverage import Covered
from billing.days import DayValue, Measurement, Period, latest_by_day
from billing.deciding_days import DecidedDays
from billing.figures import Figures, Ledger, read_ledger
from billing.filling import largest_so_far
from billing.lines import measured_of, rated_of
from billing.metering import METERS, AcceptMissing, read_meter_params
from billing.metrics import COUNTS, SUMMED
from billing.models import Invoice, InvoiceLine, Plan, Subscription
from billing.refusals import NotFound
from billing.taking import by_largest
from billing.units import round_quantity
from msp.estate.models import Selection
from msp.tenants.models import Tenant

RELATED = (
    "invoice__run", "subscription__plan", "subscription__agreement", "subscription__client", "subscription__reseller",
    "subscription__selection",
)  # fmt: skip
#: The unit that sizes are shown in where the plan counts things.
SIZE_UNIT = "GB"


@dataclass(frozen=True, kw_only=True)
class ComparedMeter:
    """One meter on the days of a line. ``amount`` is None where the plan has no price for such a quantity.

    ``difference`` is the amount minus what the line comes to; ``is_used`` marks the meter of the plan.
    """

    meter: str
    label: str
    help: str
    quantity: Decimal
    unit: str
    amount: Decimal | None
    difference: Decimal | None
    currency: str
    is_used: bool


@dataclass(frozen=True, kw_only=True)
class ComparedLine:
    """A line and what each meter would have made of it; no meters for a line that charges no usage."""

    uid: UUID
    description: str
    amount: Decimal
    currency: str
    meters: tuple[ComparedMeter, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedDocument:
    """All lines of a document. ``totals``: net by each meter; what it cannot price stays as it was billed."""

    lines: tuple[ComparedLine, ...]
    net: Decimal
    currency: str
    totals: tuple[ComparedMeter, ...]


def compare_line(tenant: Tenant, line_uid: UUID) -> ComparedLine:
    """One line of this tenant by every meter. Raises NotFound."""
    line = InvoiceLine.objects.of(tenant).select_related(*RELATED).filter(uid=line_uid).first()
    if line is None:
        raise NotFound("There is no such invoice line.")
    return _compared(tenant, line.invoice, [line])[0]


def compare_document(tenant: Tenant, invoice_uid: UUID) -> ComparedDocument:
    """A client's month by every meter; a fixed number of queries however many lines. Raises NotFound."""
    invoice = Invoice.objects.of(tenant).select_related("run").filter(uid=invoice_uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    rows = InvoiceLine.objects.of(tenant).filter(invoice=invoice).select_related(*RELATED).order_by("position")
    lines = _compared(tenant, invoice, list(rows))
    net = sum((line.amount for line in lines), Decimal(0))
    totals = tuple(_total(meter, lines, net=net, currency=invoice.currency) for meter in METERS)
    shown = tuple(each for each in totals if each is not None)
    return ComparedDocument(lines=tuple(lines), net=net, currency=invoice.currency, totals=shown)


def _compared(tenant: Tenant, invoice: Invoice, rows: Sequence[InvoiceLine]) -> list[ComparedLine]:
    period = Period(first_day=invoice.first_day, last_day=invoice.last_day)
    ids = {selection["selection_id"] for row in rows for selection in row.evidence}
    selections = {each.pk: each for each in Selection.objects.of(tenant).filter(pk__in=ids).select_related("machine")}
    metrics = {selection["metric"] for row in rows for selection in row.evidence}
    ledger = read_ledger(tenant.pk, selections, metrics, period=period, cut_off=_cut_off(invoice), largest=True)
    return [_line(row, selections, ledger, period=period, currency=invoice.currency) for row in rows]


def _cut_off(invoice: Invoice) -> datetime:
    if invoice.snapshot:
        return datetime.fromisoformat(invoice.snapshot["cut_off"])
    known: datetime = invoice.run.cut_off
    return known


def _line(
    row: InvoiceLine, selections: Mapping[int, Selection], ledger: Ledger, *, period: Period, currency: str
) -> ComparedLine:
    days = [_days_of(told, selections, ledger, period=period) for told in row.evidence]
    meters: list[ComparedMeter] = []
    if row.kind == "usage" and days and row.subscription is not None:
        meters = [_by(meter, row, days, period=period) for meter in METERS if _applies(meter, row.subscription.plan)]
    return ComparedLine(
        uid=row.uid, description=row.description, amount=row.amount, currency=currency, meters=tuple(meters)
    )


def _applies(meter: str, plan: Plan) -> bool:
    """What is a number already is not counted once more."""
    return METERS[meter].TAKES != "things" or plan.metric not in COUNTS


@dataclass(frozen=True)
class _Days:
    """The days of one selection by their last figures, and by their largest."""

    covered: Covered
    last: tuple[DayValue, ...]
    largest: tuple[DayValue, ...]


def _by(meter: str, row: InvoiceLine, days: Sequence[_Days], *, period: Period) -> ComparedMeter:
    own: Any = row.subscription
    subscription = _on_meter(own, meter)
    plan: Any = subscription.plan
    takes_largest = METERS[meter].TAKES == "largest"
    decided = [DecidedDays(each.covered, each.largest if takes_largest else each.last, ()) for each in days]
    accepted = _accepted(row.working)
    measured = measured_of(plan, decided, params=read_meter_params(meter, plan.meter_params, accept_missing=accepted))
    amount = None
    if plan.unit == own.plan.unit:
        amount = rated_of(subscription, decided, period=period, accept_missing=accepted).amount
    return ComparedMeter(
        meter=meter,
        label=METERS[meter].LABEL,
        help=METERS[meter].HELP,
        quantity=round_quantity(measured.exact, plan.quantity_places, plan.quantity_rounding),
        unit=plan.unit,
        amount=amount,
        difference=None if amount is None else amount - row.amount,
        currency=plan.currency,
        is_used=own.plan.meter == meter,
    )


def _on_meter(subscription: Subscription, meter: str) -> Subscription:
    """The same subscription as if its plan had this meter, with its usual settings; nothing is stored."""
    shown, plan = copy(subscription), copy(subscription.plan)
    if plan.meter != meter:
        plan.meter, plan.meter_params = meter, {}
        counts = METERS[meter].TAKES == "things" or plan.metric in COUNTS
        plan.unit = "each" if counts else SIZE_UNIT if plan.unit == "each" else plan.unit
    shown.plan = plan
    return shown


def _accepted(working: Mapping[str, Any]) -> AcceptMissing:
    """What was decided about missing days: a missing day that is charged was carried, any other left out."""
    carried = any(day["state"] == "missing" and day["charged"] is not None for day in working["days"])
    return "carry" if carried else "exclude"


def _days_of(told: Mapping[str, Any], selections: Mapping[int, Selection], ledger: Ledger, *, period: Period) -> _Days:
    known = ledger.of(told["selection_id"], told["metric"])
    latest = latest_by_day(figure.as_measurement() for figure in known.counted)
    metric = told["metric"]
    is_raised = told.get("takes") == "largest" or metric == "protected_largest"
    last = tuple(_day(each, latest, known, is_raised=is_raised, flows=metric in SUMMED) for each in told["days"])
    largest = by_largest(last, [figure.as_measurement() for figure in known.largest])
    if metric == "protected_largest":
        last, largest = largest_so_far(last), largest_so_far(largest)
    selection: Any = selections.get(told["selection_id"])
    billable = frozenset(day.day for day in last if day.state != "not_billable")
    covered = Covered(selection=selection, client=None, name=told["name"], days=billable)
    return _Days(covered=covered, last=last, largest=largest)


def _day(
    told: Mapping[str, Any], latest: Mapping[date, Measurement], known: Figures, *, is_raised: bool, flows: bool
) -> DayValue:
    """A day by its last figure. ``is_raised``: it is told by a larger one, so the last one is read from the ledger.

    What ``flows`` is not carried to the next day.
    """
    day = DayValue(day=date.fromisoformat(told["day"]), state=told["state"], quantity=told["quantity"])
    if day.state == "missing":
        last = 0 if flows else _last_before(day.day, latest, known)
        return replace(day, last_quantity=last)
    if not is_raised or day.state == "not_billable":
        return day
    figure = latest.get(day.day)
    stands = figure.quantity if figure else None if flows else _last_before(day.day, latest, known)
    return day if stands is None else replace(day, quantity=stands)


def _last_before(day: date, latest: Mapping[date, Measurement], known: Figures) -> int | None:
    earlier = [each for each in latest if each < day]
    if earlier:
        return latest[max(earlier)].quantity
    return known.before.quantity if known.before else None


def _total(meter: str, lines: Sequence[ComparedLine], *, net: Decimal, currency: str) -> ComparedMeter | None:
    """The document by one meter; None if it prices none of its lines."""
    shown = [next((each for each in line.meters if each.meter == meter), None) for line in lines]
    priced = [each for each in shown if each is not None and each.amount is not None]
    if not priced:
        return None
    total = net + sum((each.difference or Decimal(0) for each in priced), Decimal(0))
    return ComparedMeter(
        meter=meter,
        label=METERS[meter].LABEL,
        help=METERS[meter].HELP,
        quantity=sum((each.quantity for each in priced), Decimal(0)),
        unit=priced[0].unit if len({each.unit for each in priced}) == 1 else "",
        amount=total,
        difference=total - net,
        currency=currency,
        is_used=all(each.is_used for each in priced),
    )
