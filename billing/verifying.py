"""Verifies a final document years later: its hash, its arithmetic from the stored working, and the ledger behind it.

Called by the ``verify_invoice`` command and the invoice's page. Reads only; differences come back as sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.days import Measurement, Period, latest_by_day
from billing.deltas import RECOMPUTED, Tax, tax_of
from billing.figures import Figure, Ledger, read_ledger
from billing.hashing import hash_of
from billing.models import Invoice, InvoiceLine
from billing.money import round_money
from billing.refusals import NotFound
from billing.snapshots import frozen
from billing.taking import largest_by_day
from billing.taxes import tax_totals
from billing.working import WorkingDisagrees, recompute
from msp.estate.models import Selection
from msp.tenants.models import Tenant

#: Fields of the row that the snapshot repeats.
REPEATED = ("number", "currency", "first_day", "last_day", "issued_on", "due_on", "net", "tax", "total", "tax_rate")


@dataclass(frozen=True)
class Verified:
    """What was found: ``differences`` is empty if the document holds. ``days`` counts days of selections compared."""

    number: str
    content_hash: str
    lines: int
    days: int
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.differences


@dataclass(frozen=True)
class _Taxed:
    amount: Decimal
    tax_category: str
    tax_rate: Decimal


def verify(tenant: Tenant, invoice_uid: UUID) -> Verified:
    """Check a final or void document. Raises NotFound, or Refused for a draft."""
    invoice = Invoice.objects.of(tenant).filter(uid=invoice_uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    snapshot = frozen(invoice)
    differences = [
        *_hash_differences(invoice, snapshot),
        *_row_differences(invoice, snapshot),
        *_line_differences(invoice, snapshot),
        *_sum_differences(snapshot),
        *_working_differences(snapshot),
        *_base_differences(snapshot),
        *_correction_differences(tenant, snapshot),
        *_ledger_differences(tenant, snapshot),
    ]
    days = sum(len(selection["days"]) for line in snapshot["lines"] for selection in line["evidence"])
    return Verified(invoice.number, invoice.content_hash, len(snapshot["lines"]), days, tuple(differences))


def _hash_differences(invoice: Invoice, snapshot: Mapping[str, Any]) -> Iterable[str]:
    if hash_of(snapshot) != invoice.content_hash:
        yield f"The content of {invoice.number} does not have the hash it was finalised with."


def _row_differences(invoice: Invoice, snapshot: Mapping[str, Any]) -> Iterable[str]:
    for name in REPEATED:
        shown, kept = getattr(invoice, name), snapshot[name]
        same = Decimal(kept) == shown if isinstance(shown, Decimal) else kept == str(shown)
        if not same:
            yield f"The document's {name} is {shown}, but {kept} was finalised."


def _line_differences(invoice: Invoice, snapshot: Mapping[str, Any]) -> Iterable[str]:
    """The line rows against the snapshot: triggers keep both, this proves it."""
    rows = {str(row.uid): row for row in InvoiceLine.objects.of(invoice.tenant_id).filter(invoice=invoice)}
    kept = {line["uid"]: line for line in snapshot["lines"]}
    if rows.keys() != kept.keys():
        yield f"{invoice.number} has {len(rows)} lines, but {len(kept)} were finalised."
    for uid in rows.keys() & kept.keys():
        row, line = rows[uid], kept[uid]
        told = (row.amount, row.quantity, row.working, row.evidence)
        if told != (Decimal(line["amount"]), Decimal(line["quantity"]), line["working"], line["evidence"]):
            yield f"Line {row.position} differs from what was finalised."


def _sum_differences(snapshot: Mapping[str, Any]) -> Iterable[str]:
    """Each amount from its working, the sum, and the tax, to the last unit of the currency."""
    for line in snapshot["lines"]:
        yield from _amount_difference(line)
    currency = snapshot["currency"]
    net = sum((Decimal(line["amount"]) for line in snapshot["lines"]), Decimal(0))
    tax = _tax_of(snapshot, net=net)
    for name, derived in (("net", net), ("tax", tax), ("total", net + tax)):
        if Decimal(snapshot[name]) != derived:
            yield f"The {name} comes to {derived} {currency}, but {snapshot[name]} is stated."


def _tax_of(snapshot: Mapping[str, Any], *, net: Decimal) -> Decimal:
    """The tax derived from the lines; documents of the first version had one rate for all of them."""
    currency = snapshot["currency"]
    if snapshot["snapshot_version"] == 1:
        return round_money(net * Decimal(snapshot["tax_rate"]), currency)
    lines = [
        _Taxed(Decimal(line["amount"]), line["tax_category"], Decimal(line["tax_rate"])) for line in snapshot["lines"]
    ]
    return sum((each.tax for each in tax_totals(lines, currency=currency)), Decimal(0))


def _amount_difference(line: Mapping[str, Any]) -> Iterable[str]:
    try:
        amount = recompute(line["working"])
    except WorkingDisagrees as error:
        yield f"Line {line['position']}: its working does not hold: {error}."
        return
    if amount != Decimal(line["amount"]):
        yield f"Line {line['position']} comes to {amount}, but {line['amount']} is stated."


def _working_differences(snapshot: Mapping[str, Any]) -> Iterable[str]:
    """The days that the working charges against those that the evidence proves."""
    for line in snapshot["lines"]:
        proven = _proven_things(line) if _counts(line) else _proven_figures(line)
        for name, day, charged in _charged_parts(line["working"]):
            if charged is not None and proven.get((name, day)) not in (None, charged):
                shown = proven[name, day]
                yield f"Line {line['position']}: {name} is charged {charged} on {day}, but {shown} is proven."


def _base_differences(snapshot: Mapping[str, Any]) -> Iterable[str]:
    """What a percentage or a discount was taken of against the lines of the document; no discount takes too much."""
    kinds = ("usage", "percentage")
    amounts = {line["subscription"]: line["amount"] for line in snapshot["lines"] if line.get("kind") in kinds}
    left = {subscription: Decimal(amount) for subscription, amount in amounts.items()}
    for line in snapshot["lines"]:
        taken = Decimal(0)
        for base in line["working"].get("lines", ()):
            shown = amounts.get(base["subscription"])
            if shown is None or Decimal(shown) != Decimal(base["amount"]):
                yield f"Line {line['position']} is taken of a line of {base['amount']}, but {shown} is on the document."
                continue
            taken += Decimal(base.get("taken", 0))
            left[base["subscription"]] -= Decimal(base.get("taken", 0))
        if line.get("kind") == "discount" and taken != -Decimal(line["amount"]):
            yield f"Line {line['position']} takes off {-Decimal(line['amount'])}, but {taken} of the lines it names."
    for subscription, amount in left.items():
        if amount < min(Decimal(amounts[subscription]), Decimal(0)):
            yield f"Discounts take {-amount} more off a line than it comes to."


def _counts(line: Mapping[str, Any]) -> bool:
    return any("thing" in selection for selection in line["evidence"])


def _proven_figures(line: Mapping[str, Any]) -> dict[tuple[str, str], int | None]:
    return {
        (selection["name"], day["day"]): day["quantity"] for selection in line["evidence"] for day in selection["days"]
    }


def _proven_things(line: Mapping[str, Any]) -> dict[tuple[str, str], int | None]:
    """1 for each thing and day on which a figure of one of its selections stands; 0 where it was not billable.

    A number of machines that a person gave for a selection is charged under the name of that selection.
    """
    proven: dict[tuple[str, str], int | None] = {}
    for selection in line["evidence"]:
        for day in selection["days"]:
            key = (selection["thing"], day["day"])
            was_there = 1 if day["quantity"] is not None else 0 if day["state"] == "not_billable" else None
            known = proven.get(key, 0)
            proven[key] = 1 if 1 in (known, was_there) else None if None in (known, was_there) else 0
            if selection["metric"] == "machines" and day["quantity"] not in (None, 1):
                proven[selection["name"], day["day"]] = day["quantity"]
    return proven


def _charged_parts(working: Mapping[str, Any]) -> Iterable[tuple[str, str, int | None]]:
    """(selection name, day, bytes) of a working, pooled or metered one by one."""
    for day in working["days"]:
        name, _, on = day["key"].rpartition("/")
        if name:
            yield name, on, None if day["charged"] is None else int(day["charged"])
        for part, quantity in (day.get("parts") or {}).items():
            yield part, on, None if quantity is None else int(quantity)


def _ledger_differences(tenant: Tenant, snapshot: Mapping[str, Any]) -> Iterable[str]:
    """The same days read from the ledger as it was known at the document's cut-off; a correction's in its own month."""
    months: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in snapshot["lines"]:
        month = line["working"].get("corrects", snapshot)
        months.setdefault((month["first_day"], month["last_day"]), []).extend(line["evidence"])
    for (first_day, last_day), proofs in months.items():
        if proofs:
            period = Period(first_day=date.fromisoformat(first_day), last_day=date.fromisoformat(last_day))
            ledger = _read_again(tenant, snapshot, proofs, period=period)
            for selection in proofs:
                yield from _selection_differences(selection, ledger)


def _correction_differences(tenant: Tenant, snapshot: Mapping[str, Any]) -> Iterable[str]:
    """What a correction says was billed against the document that it corrects."""
    corrects = [(line, line["working"]["corrects"]) for line in snapshot["lines"] if "corrects" in line["working"]]
    if not corrects:
        return
    rows = InvoiceLine.objects.of(tenant).filter(
        invoice__uid__in={told["invoice"] for _, told in corrects}, kind__in=RECOMPUTED
    )
    billed: dict[tuple[str, Tax], Decimal] = {}
    for row in rows.select_related("invoice").defer("working", "evidence", "invoice__snapshot"):
        key = (str(row.invoice.uid), tax_of(row.invoice, row))
        billed[key] = billed.get(key, Decimal(0)) + row.amount
    for line, told in corrects:
        tax = (line["tax_category"], Decimal(line["tax_rate"]).normalize())
        was = billed.get((told["invoice"], tax), Decimal(0))
        if Decimal(told["billed"]) != was:
            yield f"Line {line['position']} says that {told['billed']} was billed on {told['number']}, but {was} was."


def _read_again(
    tenant: Tenant, snapshot: Mapping[str, Any], proofs: Sequence[Mapping[str, Any]], *, period: Period
) -> Ledger:
    ids = {selection["selection_id"] for selection in proofs}
    return read_ledger(
        tenant.pk,
        {selection.pk: selection for selection in Selection.objects.of(tenant).filter(pk__in=ids)},
        {selection["metric"] for selection in proofs},
        period=period,
        cut_off=datetime.fromisoformat(snapshot["cut_off"]),
        largest=any(selection.get("takes") == "largest" for selection in proofs),
    )


def _told(figures: Mapping[str, Figure], day: Mapping[str, Any]) -> int | None:
    """What the ledger says of the source of a day; a day that names no runs was billed by the last of them alone."""
    figure = figures.get(day.get("source") or "")
    if figure is None:
        return None
    return figure.runs[-1].quantity if figure.runs and "runs" not in day else figure.quantity


def _counts_for(day: Mapping[str, Any], figure: Measurement | None, *, metric: str) -> bool:
    """Whether the ledger's figure of a day is what the day was charged by; the largest so far may be an earlier one."""
    if figure is None or metric != "protected_largest":
        return figure is not None and figure.source == day.get("source")
    return bool(figure.quantity <= day["quantity"])


def _selection_differences(selection: Mapping[str, Any], ledger: Ledger) -> Iterable[str]:
    known = ledger.of(selection["selection_id"], selection["metric"])
    figures = [*known.counted, *known.largest, *([known.before] if known.before else [])]
    measurements = [figure.as_measurement() for figure in figures]
    takes = selection.get("takes", "last")
    latest = largest_by_day(measurements) if takes == "largest" else latest_by_day(measurements)
    sources = {figure.source: figure for figure in figures}
    for day in selection["days"]:
        name, on, source = selection["name"], day["day"], day.get("source")
        figure = latest.get(date.fromisoformat(on))
        told = _told(sources, day)
        if source and told != day["quantity"]:
            yield f"{name} on {on}: billed by {day['quantity']} bytes of {source}, but the ledger says {told}."
        elif day["state"] == "measured" and not _counts_for(day, figure, metric=selection["metric"]):
            yield f"{name} on {on}: the ledger has another figure that counts for this day."
        elif day["state"] in ("not_due", "late", "missing") and figure is not None:
            yield f"{name} on {on}: billed as {day['state'].replace('_', ' ')}, but the ledger has a figure."
