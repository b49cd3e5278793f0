"""One day of an invoice line: every word of the ledger about it, and the form that corrects its figure.

A correction of a draft's day drafts it again; of a final document's day it voids the document and drafts another, in
the same transaction, so that nothing is billed otherwise than the ledger says.
"""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse

from billing import finalising, invoicing, wrong_days
from billing.explaining import ExplainedLine, ProvenDay, ProvenSelection
from billing.queries import InvoicePage
from billing.refusals import NotFound
from billing.units import size_of
from msp.dashboard import money
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest, found
from msp.estate.models import Selection

UNITS = (("GB", "GB"), ("GiB", "GiB"), ("TB", "TB"), ("TiB", "TiB"), ("byte", "bytes"))
OWN = "own"
SUBMIT = {
    "draft": "Correct it and draft again",
    "final": "Correct it, void the invoice and draft another",
    "void": "Correct it",
}


@needs(MONEY, to_change=MONEY)
def correct_day(
    request: StaffRequest, uid: uuid.UUID, line_uid: uuid.UUID, selection_uid: uuid.UUID, day: str
) -> HttpResponse:
    """The day, and what is done about it."""
    page = money.page_of_invoice(request.scope, uid)
    line = found(next((each for each in page.lines if each.uid == line_uid), None), "line")
    proven = found(next((each for each in line.selections if each.uid == str(selection_uid)), None), "selection")
    charged = found(next((each for each in proven.days if each.day.isoformat() == day), None), "day")
    selection = found(_selection(request, selection_uid), "selection")
    entries = wrong_days.entries_of_day(
        request.scope.tenant, selection, metric=proven.metric, day=charged.day, now=request.now
    )
    form_page = _page(page, line, proven, charged, entries)
    fields = _fields(entries, metric=proven.metric)

    def apply(values: dict[str, Any]) -> str:
        return _apply(request, page, selection, metric=proven.metric, day=charged.day, values=values)

    return edit(request, form_page, fields, apply=apply, done="Corrected; the invoice is drafted as known now.")


def _selection(request: StaffRequest, uid: uuid.UUID) -> Selection | None:
    try:
        return wrong_days.find_selection(request.scope.tenant, uid)
    except NotFound:
        return None


@transaction.atomic
def _apply(
    request: StaffRequest, page: InvoicePage, selection: Selection, *, metric: str, day: date, values: dict[str, Any]
) -> str:
    tenant, invoice_uid = request.scope.tenant, page.row.uid
    who: dict[str, Any] = {"actor": request.scope.actor, "now": request.now}
    wrong_days.correct_day(
        tenant,
        selection,
        metric=metric,
        day=day,
        source="" if values["source"] == OWN else values["source"],
        quantity=_quantity(values, metric=metric),
        reason=values["reason"],
        **who,
    )
    draft = None
    if page.row.state == "draft":
        draft = invoicing.redraft_one(tenant, invoice_uid, now=request.now)
    elif page.row.state == "final":
        reason = f"{selection.name} on {day}: {values['reason']}"
        draft = finalising.void_and_replace(tenant, invoice_uid, reason=reason, **who)
    if draft is None:
        return reverse("invoice", args=[invoice_uid]) if page.row.state != "draft" else reverse("invoices")
    return reverse("invoice", args=[draft.uid])


def _quantity(values: dict[str, Any], *, metric: str) -> int | None:
    """Whole bytes (or things); None to withdraw."""
    if values["do"] == "withdraw":
        return None
    if values["size"] is None:
        raise BadField("size", "Enter the right figure, or withdraw the wrong one.")
    unit = "each" if wrong_days.unit_of(metric) == "each" else values["unit"]
    exact: Decimal = values["size"] * (1 if unit == "byte" else size_of(unit))
    if exact != exact.to_integral_value():
        raise BadField("size", "This is not a whole number of bytes.")
    return int(exact)


def _fields(entries: tuple[wrong_days.DayEntry, ...], *, metric: str) -> tuple[Field, ...]:
    counting = [each for each in entries if each.counts]
    sources = (*((each.source, _words(each)) for each in counting), (OWN, "none of them: a figure for the day itself"))
    billed = next((each.source for each in counting if each.billed), counting[0].source if counting else OWN)
    asked = [
        Field(
            name="source", label="Which figure is wrong", kind="choice", choices=sources, value=billed, required=True
        ),
        Field(
            name="do",
            label="What is right",
            kind="choice",
            choices=(("enter", "another figure, entered below"), ("withdraw", "no figure: withdraw it")),
            value="enter",
            required=True,
        ),
        Field(name="size", label="The right figure", kind="decimal", minimum=0),
    ]
    if wrong_days.unit_of(metric) == "byte":
        asked.append(Field(name="unit", label="In", kind="choice", choices=UNITS, value="GB", required=True))
    reason = Field(
        name="reason",
        label="Reason",
        kind="long",
        required=True,
        maximum=2000,
        help="Kept in the audit trail with your name; its first words stand on the day.",
    )
    return (*asked, reason)


def _words(entry: wrong_days.DayEntry) -> str:
    who = f"job {entry.job}" if entry.job else "entered by a person"
    return f"{entry.quantity:,} by {who}, {entry.measured_at:%H:%M} UTC"


def _page(
    page: InvoicePage,
    line: ExplainedLine,
    proven: ProvenSelection,
    charged: ProvenDay,
    entries: tuple[wrong_days.DayEntry, ...],
) -> FormPage:
    name = page.row.number or "Draft"
    back = reverse("invoice-line", args=[page.row.uid, line.uid])
    return FormPage(
        title=f"{proven.name} on {charged.day:%-d %B %Y}",
        back=back,
        submit=SUBMIT[page.row.state],
        lead="The figure that was wrong stays in the ledger; what you enter counts from now on.",
        crumbs=((f"{name} {page.row.bill_to}", reverse("invoice", args=[page.row.uid])), ("Working", back)),
        template="billing/wrong_day.html",
        more={"page": page, "line": line, "charged": charged, "entries": entries},
    )
