"""Autotask PSA: services of recurring contracts by its REST API, with the client of the ticket gateway.

Units are read for a day from ContractServiceUnits and changed by a ContractServiceAdjustment, which says by how many
from a day on: it can only be created and never be found, so the units are read just before. Sources: Autotask developer
help, "ContractServices", "ContractServiceUnits", "ContractServiceAdjustments", "Contracts"; names of fields as client
libraries show them. Not verified against the live service: how soon an adjustment shows in the units.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from integrations.agreements.contract import AgreementLine, Place, day_in, quantity_in
from integrations.errors import NotThere, PermanentFailure
from integrations.tickets.autotask import Config, api_of, id_at, query_rows, where, written_id
from integrations.tickets.contract import Call
from integrations.tickets.json_api import Api, text_in

LABEL: Final = "Autotask PSA"
WHOLE: Final = True
DATED: Final = True
VERIFIED: Final = ""
RECURRING: Final = 7  # the type of contract that has services
INACTIVE: Final = "0"
MAX_PAGES: Final = 10


def lines(config: Config, company: str, *, on: date, call: Call) -> tuple[AgreementLine, ...]:
    """The services of every recurring contract of the company that is not over."""
    api = api_of(config, call)
    filters = [where("companyID", "eq", _number(company)), where("contractType", "eq", RECURRING)]
    contracts = {
        id_at(row, "id"): row
        for row in _every(api, "Contracts", filters)
        if id_at(row, "companyID") == company and not _over(row, on)
    }
    if not contracts:
        return ()
    of_contracts = where("contractID", "in", [int(key) for key in contracts])
    services = [row for row in _every(api, "ContractServices", [of_contracts]) if id_at(row, "contractID") in contracts]
    units = _units(api, [of_contracts], on)
    names = _names(api, services)
    return tuple(_line(contracts[id_at(row, "contractID")], row, names, units, on, host=api.host) for row in services)


def look(config: Config, place: Place, *, on: date, call: Call) -> AgreementLine:
    """The service as it is now, with its units of that day."""
    api = api_of(config, call)
    contract = _one(api, "Contracts", place.agreement_id, "contract")
    if id_at(contract, "companyID") != place.company:
        raise PermanentFailure(f"The contract {_name(contract)} belongs to another company there: choose a line again.")
    service = _one(api, "ContractServices", place.line_id, "service of the contract")
    if id_at(service, "contractID") != place.agreement_id:
        raise PermanentFailure("The service belongs to another contract there: choose a line again.")
    units = _units(api, [where("contractServiceID", "eq", int(place.line_id))], on)
    return _line(contract, service, _names(api, [service]), units, on, host=api.host)


def write(config: Config, line: AgreementLine, quantity: Decimal, *, on: date, call: Call) -> None:
    """Adjust the units from that day on by the difference to what was just read, and read them again."""
    if quantity != quantity.to_integral_value():
        raise PermanentFailure(f"Autotask counts whole units: {quantity.normalize():f} cannot be pushed.")
    api = api_of(config, call)
    fields = {
        "contractID": int(line.agreement_id),
        "contractServiceID": int(line.line_id),
        "unitChange": int(quantity - line.quantity),
        "effectiveDate": f"{on.isoformat()}T00:00:00Z",
    }
    written_id(api, "POST", "/ContractServiceAdjustments", fields)
    row = _units(api, [where("contractServiceID", "eq", int(line.line_id))], on).get(line.line_id)
    if row is None or quantity_in(row, "units", host=api.host) != quantity:
        raise PermanentFailure(
            f"Autotask did not keep the quantity {quantity:f} of {line.name}: look there before you push again."
        )


def _line(
    contract: Mapping[str, Any],
    service: Mapping[str, Any],
    names: Mapping[str, str],
    units: Mapping[str, Mapping[str, Any]],
    on: date,
    *,
    host: str,
) -> AgreementLine:
    """Where no units are kept for the day there are none: the service is on the contract with nothing to charge."""
    row = units.get(id_at(service, "id"))
    name = names.get(id_at(service, "serviceID"), "") or text_in(service, "invoiceDescription")
    return AgreementLine(
        agreement_id=id_at(contract, "id"),
        line_id=id_at(service, "id"),
        agreement=_name(contract),
        name=name or id_at(service, "id"),
        quantity=Decimal(0) if row is None else quantity_in(row, "units", host=host),
        since=None if row is None else day_in(row, "startDate"),
        over=_over(contract, on),
    )


def _units(api: Api, filters: list[dict[str, object]], on: date) -> dict[str, dict[str, Any]]:
    """The units of that day by the id of the service; days are compared here too: unknown operators are ignored."""
    day = f"{on.isoformat()}T00:00:00Z"
    asked = [*filters, where("startDate", "lte", day), where("endDate", "gte", day)]
    found: dict[str, dict[str, Any]] = {}
    for row in _every(api, "ContractServiceUnits", asked):
        first, last = day_in(row, "startDate"), day_in(row, "endDate")
        if first is not None and last is not None and first <= on <= last:
            before = found.get(id_at(row, "contractServiceID"))
            # Where two touch, an adjustment has begun on the day on which the one before ends: the later one counts.
            if before is None or (day_in(before, "startDate") or first) < first:
                found[id_at(row, "contractServiceID")] = row
    return found


def _names(api: Api, services: list[dict[str, Any]]) -> dict[str, str]:
    """What Autotask calls the services, by their number."""
    ids = sorted({int(id_at(row, "serviceID")) for row in services if id_at(row, "serviceID")})
    rows = _every(api, "Services", [where("id", "in", ids)]) if ids else []
    return {id_at(row, "id"): text_in(row, "name") for row in rows}


def _every(api: Api, entity: str, filters: list[dict[str, object]]) -> list[dict[str, Any]]:
    """All pages, by the id that comes next."""
    found: dict[str, dict[str, Any]] = {}
    last = 0
    for _ in range(MAX_PAGES):
        rows, more = query_rows(api, entity, [*filters, where("id", "gt", last)])
        found |= {id_at(row, "id"): row for row in rows if id_at(row, "id")}
        if not more or not rows:
            return list(found.values())
        last = max(int(key) for key in found)
    raise PermanentFailure(f"{api.host} has more {entity} of one company than can be read.")


def _one(api: Api, entity: str, wanted: str, what: str) -> dict[str, Any]:
    rows, _ = query_rows(api, entity, [where("id", "eq", _number(wanted))])
    row = next((row for row in rows if id_at(row, "id") == wanted), None)
    if row is None:
        raise NotThere(f"The {what} {wanted} is not in Autotask any more: choose a line again.")
    return row


def _over(contract: Mapping[str, Any], on: date) -> str:
    """A sentence if the contract charges nothing on this day, else ""."""
    ends = day_in(contract, "endDate")
    if ends is not None and ends < on:
        return f"The contract {_name(contract)} ended on {ends}."
    return f"The contract {_name(contract)} is inactive." if text_in(contract, "status") == INACTIVE else ""


def _name(contract: Mapping[str, Any]) -> str:
    return text_in(contract, "contractName") or id_at(contract, "id")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise PermanentFailure(f"{text[:40]!r} is no number of Autotask: choose the company again.")
    return int(text)
