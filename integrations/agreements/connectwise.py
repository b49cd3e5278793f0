"""ConnectWise PSA (Manage): additions of agreements by its REST API 3.0, with the client of the ticket gateway.

An addition has one quantity and one effective date, and both are replaced in one request: what was charged before
stands in the invoices that ConnectWise made. Sources: the published models "Agreement" and "Addition" and the paths
/finance/agreements and /finance/agreements/{id}/additions as client libraries show them. Not verified against the live
service: the filter by company, and what ConnectWise does to an invoice that was made and not yet sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from integrations.agreements.contract import AgreementLine, Place, as_json, day_in, number_in, quantity_in
from integrations.errors import NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets.connectwise import Config, api_of, id_of, rows_of
from integrations.tickets.contract import Call
from integrations.tickets.json_api import Api, segment, text_in

LABEL: Final = "ConnectWise PSA"
WHOLE: Final = False
DATED: Final = True
VERIFIED: Final = ""
AGREEMENTS: Final = "/finance/agreements"
MOST: Final = 1000  # the largest page


def lines(config: Config, company: str, *, on: date, call: Call) -> tuple[AgreementLine, ...]:
    """The additions of every agreement of the company that is not over."""
    api = api_of(config, call)
    query: dict[str, str | int] = {"conditions": f"company/id={_number(company)}", "orderBy": "id asc"}
    found = rows_of(api, AGREEMENTS, query | {"pageSize": MOST})
    ours = [row for row in found if id_of(row.get("company")) == company and not _over(row, on)]
    return tuple(line for agreement in ours for line in _additions(api, agreement, on))


def look(config: Config, place: Place, *, on: date, call: Call) -> AgreementLine:
    """The addition as it is now."""
    api = api_of(config, call)
    agreement = _one(api, f"{AGREEMENTS}/{segment(place.agreement_id)}", place.agreement_id, "agreement")
    if id_of(agreement.get("company")) != place.company:
        raise PermanentFailure(
            f"The agreement {_name(agreement)} belongs to another company there: choose a line again."
        )
    path = f"{AGREEMENTS}/{segment(place.agreement_id)}/additions/{segment(place.line_id)}"
    return _line(agreement, _one(api, path, place.line_id, "addition"), on, host=api.host)


def write(config: Config, line: AgreementLine, quantity: Decimal, *, on: date, call: Call) -> None:
    """Replace quantity and effective date, and see in the answer that it was done."""
    api = api_of(config, call)
    changes = [
        {"op": "replace", "path": "quantity", "value": as_json(quantity)},
        {"op": "replace", "path": "effectiveDate", "value": f"{on.isoformat()}T00:00:00Z"},
    ]
    path = f"{AGREEMENTS}/{segment(line.agreement_id)}/additions/{segment(line.line_id)}"
    answer = api.write("PATCH", path, changes)
    if id_of(answer) != line.line_id:
        raise OutcomeUnknown(f"{api.host} took the change but did not say how the addition stands.")
    if number_in(answer, "quantity") != quantity:
        raise PermanentFailure(
            f"ConnectWise did not keep the quantity {quantity:f} of {line.name}: look there before you push again."
        )


def _additions(api: Api, agreement: Mapping[str, Any], on: date) -> list[AgreementLine]:
    path = f"{AGREEMENTS}/{id_of(agreement)}/additions"
    rows = rows_of(api, path, {"orderBy": "id asc", "pageSize": MOST})
    found = [_line(agreement, row, on, host=api.host) for row in rows if id_of(row)]
    return [line for line in found if not line.over]


def _line(agreement: Mapping[str, Any], row: Mapping[str, Any], on: date, *, host: str) -> AgreementLine:
    product = text_in(row, "product", "identifier")
    name = text_in(row, "description") or text_in(row, "invoiceDescription") or product
    cancelled = day_in(row, "cancelledDate")
    over = f"The addition {name} was cancelled as of {cancelled}." if cancelled is not None and cancelled <= on else ""
    return AgreementLine(
        agreement_id=id_of(agreement),
        line_id=id_of(row),
        agreement=_name(agreement),
        name=name or id_of(row),
        quantity=quantity_in(row, "quantity", host=host),
        since=day_in(row, "effectiveDate"),
        over=_over(agreement, on) or over,
    )


def _one(api: Api, path: str, wanted: str, what: str) -> dict[str, Any]:
    try:
        row = api.get(path)
    except NotThere:
        raise NotThere(f"The {what} {wanted} is not in ConnectWise any more: choose a line again.") from None
    if not isinstance(row, dict) or id_of(row) != wanted:
        raise PermanentFailure(f"{api.host} answered with something that is not the {what} that was asked for.")
    return row


def _over(agreement: Mapping[str, Any], on: date) -> str:
    """A sentence if the agreement charges nothing on this day, else ""."""
    ends = None if agreement.get("noEndingDateFlag") is True else day_in(agreement, "endDate")
    if ends is not None and ends < on:
        return f"The agreement {_name(agreement)} ended on {ends}."
    cancelled = day_in(agreement, "dateCancelled")
    if agreement.get("cancelledFlag") is True and (cancelled is None or cancelled <= on):
        return f"The agreement {_name(agreement)} was cancelled."
    return ""


def _name(agreement: Mapping[str, Any]) -> str:
    return text_in(agreement, "name") or id_of(agreement)


def _number(company: str) -> int:
    if not (company.isascii() and company.isdigit()):
        raise PermanentFailure(f"{company[:40]!r} is no company number of ConnectWise: choose the company again.")
    return int(company)
