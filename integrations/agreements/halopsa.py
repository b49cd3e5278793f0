"""HaloPSA: lines of recurring invoices by its REST API, with the client of the ticket gateway.

A recurring invoice is written with all its lines, as it was read a moment before, and read again after. It has no day
from which a quantity counts: the next invoice made from it takes the new one. Sources: clients of the API (HaloAPI of
homotechsual, scripts that post ``[{"id", "lines"}]`` to /api/RecurringInvoice). Not verified against the live service:
the names ``qty_order``, ``item_shortdescription``, ``enddate`` and ``isactive`` of its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from integrations.agreements.contract import AgreementLine, Place, as_json, day_in, quantity_in
from integrations.errors import NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets.contract import Call
from integrations.tickets.halopsa import Config, api_of, id_of, only
from integrations.tickets.json_api import Api, id_in, rows_in, segment, text_in

LABEL: Final = "HaloPSA"
WHOLE: Final = False
DATED: Final = False
VERIFIED: Final = ""
INVOICES: Final = "/api/RecurringInvoice"
QUANTITY: Final = "qty_order"
PAGE: Final = 50
MAX_PAGES: Final = 10
NO_END: Final = 1900  # Halo writes days that are none as 1900-01-01


def lines(config: Config, company: str, *, on: date, call: Call) -> tuple[AgreementLine, ...]:
    """The lines of every recurring invoice of the client that is not over."""
    api = api_of(config, call)
    found: dict[str, dict[str, Any]] = {}
    for page in range(1, MAX_PAGES + 1):
        query: dict[str, str | int] = {"client_id": company, "includelines": "true", "pageinate": "true"}
        document = api.get(INVOICES, query | {"page_size": PAGE, "page_no": page})
        rows = {id_of(row): row for row in rows_in(document, "invoices", host=api.host) if id_of(row)}
        if not rows.keys() - found.keys():
            break
        found |= rows
        count = text_in(document, "record_count")
        if count.isdigit() and len(found) >= int(count):
            break
    ours = [row for row in found.values() if id_in(row, "client_id") == company and not _over(row, on)]
    return tuple(_line(row, line, on, host=api.host) for row in ours for line in _lines_of(row, host=api.host))


def look(config: Config, place: Place, *, on: date, call: Call) -> AgreementLine:
    """The line as it is now."""
    api = api_of(config, call)
    invoice = _invoice(api, place.agreement_id)
    if id_in(invoice, "client_id") != place.company:
        raise PermanentFailure(
            f"The recurring invoice {_name(invoice)} belongs to another company there: choose a line again."
        )
    return _line(invoice, _one_line(invoice, place.line_id, host=api.host), on, host=api.host)


def write(config: Config, line: AgreementLine, quantity: Decimal, *, on: date, call: Call) -> None:
    """Send all lines of the recurring invoice as they are now, with this quantity; then look whether it was kept."""
    api = api_of(config, call)
    invoice = _invoice(api, line.agreement_id)
    _one_line(invoice, line.line_id, host=api.host)
    rows = [
        row | {QUANTITY: as_json(quantity)} if id_of(row) == line.line_id else row
        for row in _lines_of(invoice, host=api.host)
    ]
    answer = only(api.write("POST", INVOICES, [{"id": int(line.agreement_id), "lines": rows}]))
    if id_of(answer) != line.agreement_id:
        raise OutcomeUnknown(f"{api.host} took the change but did not say how the recurring invoice stands.")
    there = _one_line(_invoice(api, line.agreement_id), line.line_id, host=api.host)
    if quantity_in(there, QUANTITY, host=api.host) != quantity:
        raise PermanentFailure(
            f"HaloPSA did not keep the quantity {quantity:f} of {line.name}: look there before you push again."
        )


def _invoice(api: Api, wanted: str) -> dict[str, Any]:
    """The recurring invoice with its lines. Raises NotThere, or PermanentFailure for an answer that is no such one."""
    try:
        row = api.get(f"{INVOICES}/{segment(wanted)}", {"includedetails": "true"})
    except NotThere:
        raise NotThere(f"The recurring invoice {wanted} is not in HaloPSA any more: choose a line again.") from None
    if not isinstance(row, dict) or id_of(row) != wanted:
        raise PermanentFailure(f"{api.host} answered with something that is not the recurring invoice asked for.")
    return row


def _lines_of(invoice: Mapping[str, Any], *, host: str) -> list[dict[str, Any]]:
    return rows_in(invoice, "lines", host=host)


def _one_line(invoice: Mapping[str, Any], wanted: str, *, host: str) -> dict[str, Any]:
    found = next((row for row in _lines_of(invoice, host=host) if id_of(row) == wanted), None)
    if found is None:
        raise NotThere(f"The line {wanted} is not on {_name(invoice)} any more: choose a line again.")
    return found


def _line(invoice: Mapping[str, Any], row: Mapping[str, Any], on: date, *, host: str) -> AgreementLine:
    name = text_in(row, "item_shortdescription") or text_in(row, "item_longdescription")
    return AgreementLine(
        agreement_id=id_of(invoice),
        line_id=id_of(row),
        agreement=_name(invoice),
        name=name or id_of(row),
        quantity=quantity_in(row, QUANTITY, host=host),
        over=_over(invoice, on),
    )


def _over(invoice: Mapping[str, Any], on: date) -> str:
    """A sentence if nothing is made from it on this day, else ""."""
    ends = day_in(invoice, "enddate")
    if ends is not None and ends.year > NO_END and ends < on:
        return f"The recurring invoice {_name(invoice)} ended on {ends}."
    return f"The recurring invoice {_name(invoice)} is inactive." if invoice.get("isactive") is False else ""


def _name(invoice: Mapping[str, Any]) -> str:
    return text_in(invoice, "name") or text_in(invoice, "contract_ref") or f"recurring invoice {id_of(invoice)}"
