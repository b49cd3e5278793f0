"""The dry run of a push: what stands on each agreement line, and what a month's invoices say it should be.

Reads the other system and changes nothing anywhere. What is mapped to no line comes first, then what cannot be pushed,
then what would change; the rest is the same already. ``billing.psa_pushing`` has the changes made.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

from django.conf import settings
from django.db.models import Max

from billing.days import Period
from billing.models_psa import PsaLine, PsaPush
from billing.psa_mapping import mapped_lines, plan_names
from billing.psa_quantities import StatedQuantity, rounded, stated_quantities
from billing.refusals import Refused
from integrations.agreements import AgreementLine, Place
from integrations.agreements.desk import Desk
from integrations.errors import DeliveryFailure
from integrations.tickets.contract import Call
from msp.estate.models import Client
from msp.tenants.models import Tenant

RowKind = Literal["unmapped", "problem", "waiting", "change", "same", "unread"]
ORDER: Sequence[RowKind] = ("unmapped", "problem", "change", "waiting", "unread", "same")
#: A page waits so long for all its lines; what was not reached then says so.
SECONDS = 20
#: So many clients in a row that could not be read: the rest is not asked about.
GIVE_UP_AFTER = 3
#: How late after the month's first day a quantity may begin to count.
MOST_DAYS = 92
NOT_READ = "Not read in time: look at fewer clients at once, or use the command."


class Desks(Protocol):
    """Where the systems are and who each client is there; ``alerts.agreement_desks`` is one."""

    def desks_of(self, tenant_id: int) -> tuple[Desk, ...]:
        """All of the tenant's."""

    def desk_of(self, tenant_id: int, destination_id: int) -> Desk | None:
        """One of them."""

    def companies_of(self, tenant_id: int, destination_id: int) -> Mapping[int, str]:
        """The company's id there by the client's id here."""

    def wait_for_call(self, tenant_id: int, destination_id: int, *, now: datetime) -> timedelta | None:
        """Take a push from the budget of calls, or say how long to wait."""


@dataclass(frozen=True, kw_only=True)
class PsaRow:
    """One plan of one client. ``quantity`` is what is to stand there, ``line`` what stands there, once read."""

    client: Client
    plan_code: str
    plan: str
    company: str
    chosen: PsaLine | None
    stated: StatedQuantity | None
    kind: RowKind
    problem: str = ""
    line: AgreementLine | None = None

    @property
    def quantity(self) -> Decimal | None:
        if self.stated is None:
            return None
        return rounded(self.stated.quantity, self.chosen.rounding if self.chosen else "plan")

    @property
    def key(self) -> tuple[UUID, str]:
        return self.client.uid, self.plan_code


def refuse_day(period: Period, effective_on: date) -> None:
    """Raises Refused for a day from which a month's quantity cannot count."""
    last = period.first_day + timedelta(days=MOST_DAYS)
    if not period.first_day <= effective_on <= last:
        raise Refused(
            f"A quantity of {period.first_day:%B %Y} counts from a day between {period.first_day} and {last}."
        )


def planned_rows(tenant: Tenant, desk: Desk, desks: Desks, *, period: Period, effective_on: date) -> tuple[PsaRow, ...]:
    """Every row as far as our own books tell, in order; asks nobody. What can be pushed is still ``unread``."""
    stated = stated_quantities(tenant, first_day=period.first_day)
    chosen = mapped_lines(tenant, desk)
    names, companies = plan_names(tenant), desks.companies_of(tenant.pk, desk.id)
    pushed = _pushed(tenant, desk)
    keys = stated.keys() | chosen.keys()
    clients = Client.objects.of(tenant).in_bulk([client_id for client_id, _ in keys])
    rows = [
        _judged(
            PsaRow(
                client=clients[client_id],
                plan_code=code,
                plan=names.get(code, code),
                company=companies.get(client_id, ""),
                chosen=chosen.get((client_id, code)),
                stated=stated.get((client_id, code)),
                kind="unread",
            ),
            desk,
            pushed,
            period=period,
            effective_on=effective_on,
        )
        for client_id, code in keys
    ]
    return _in_order(rows)


def read_rows(
    rows: Iterable[PsaRow], desk: Desk, *, effective_on: date, now: datetime, seconds: int = SECONDS,
    allow_private: bool | None = None,
) -> tuple[PsaRow, ...]:  # fmt: skip
    """The rows with what stands there, in order; ``seconds`` are for all calls together. Never raises for what the
    other system does: the row says it.
    """
    until = time.monotonic() + seconds
    if allow_private is None:
        allow_private = settings.BACKLEDGER.allow_private_destinations
    read: dict[str, dict[tuple[str, str], AgreementLine] | str] = {}
    failed = 0
    found: list[PsaRow] = []
    for row in rows:
        left = until - time.monotonic()
        if row.kind != "unread":
            found.append(row)
            continue
        if row.company not in read and (left < 1 or failed >= GIVE_UP_AFTER):
            reason = NOT_READ if left < 1 else next(str(each) for each in reversed(read.values()))
            found.append(replace(row, kind="problem", problem=reason))
            continue
        call = Call(now, max(left, 1), allow_private=allow_private)
        if row.company not in read:
            read[row.company] = _lines(desk, row.company, on=effective_on, call=call)
            failed = failed + 1 if isinstance(read[row.company], str) else 0
        found.append(_compared(row, desk, read[row.company], on=effective_on, call=call))
    return _in_order(found)


def read_lines(
    desk: Desk, company: str, *, on: date, now: datetime, allow_private: bool | None = None
) -> tuple[tuple[AgreementLine, ...], str]:
    """The lines of one company there, or the sentence why they cannot be read."""
    if not company:
        return (), f"This client has no company in {desk.name}: choose it at the destination, under Companies."
    if desk.config is None:
        return (), desk.problem
    if allow_private is None:
        allow_private = settings.BACKLEDGER.allow_private_destinations
    found = _lines(desk, company, on=on, call=Call(now, SECONDS, allow_private=allow_private))
    return ((), found) if isinstance(found, str) else (tuple(found.values()), "")


def _lines(desk: Desk, company: str, *, on: date, call: Call) -> dict[tuple[str, str], AgreementLine] | str:
    try:
        lines = desk.lines(company, on=on, call=call)
    except DeliveryFailure as failure:
        return failure.reason
    return {(line.agreement_id, line.line_id): line for line in lines}


def _compared(
    row: PsaRow, desk: Desk, lines: dict[tuple[str, str], AgreementLine] | str, *, on: date, call: Call
) -> PsaRow:
    """The row with its line; one that is not among the living ones is looked at alone, to say what became of it."""
    if isinstance(lines, str):
        return replace(row, kind="problem", problem=lines)
    if row.chosen is None or row.quantity is None:
        return row
    line = lines.get((row.chosen.agreement_id, row.chosen.line_id))
    if line is None:
        try:
            line = desk.look(Place(row.company, row.chosen.agreement_id, row.chosen.line_id), on=on, call=call)
        except DeliveryFailure as failure:
            return replace(row, kind="problem", problem=failure.reason)
    if line.over:
        return replace(row, kind="problem", problem=f"{line.over} Choose another line.", line=line)
    return replace(row, kind="same" if line.holds(row.quantity, on=on) else "change", line=line)


@dataclass(frozen=True)
class _Pushed:
    """What became of earlier pushes to lines: those on their way, and the latest day from which one counts."""

    waiting: frozenset[tuple[str, str]]
    latest: Mapping[tuple[str, str], date]


def _pushed(tenant: Tenant, desk: Desk) -> _Pushed:
    rows = PsaPush.objects.of(tenant).filter(destination_id=desk.id)
    lasting = rows.filter(state__in=("done", "same")).values_list("agreement_id", "line_id")
    return _Pushed(
        waiting=frozenset(rows.filter(state="waiting").values_list("agreement_id", "line_id")),
        latest={(one, other): day for one, other, day in lasting.annotate(day=Max("effective_on"))},
    )


def _judged(row: PsaRow, desk: Desk, pushed: _Pushed, *, period: Period, effective_on: date) -> PsaRow:
    """What our own books already say about a row."""
    if not row.company:
        sentence = f"{row.client.name} has no company in {desk.name}: choose it at the destination, under Companies."
        return replace(row, kind="unmapped", problem=sentence)
    if row.chosen is None:
        return replace(row, kind="unmapped", problem="No agreement line is chosen for this plan.")
    place = (row.chosen.agreement_id, row.chosen.line_id)
    if place in pushed.waiting:
        return replace(row, kind="waiting", problem="A quantity is on its way.")
    problem = _problem(row, desk, pushed.latest.get(place), period=period, effective_on=effective_on)
    return replace(row, kind="problem", problem=problem) if problem else row


def _problem(row: PsaRow, desk: Desk, latest: date | None, *, period: Period, effective_on: date) -> str:
    """Why a mapped row cannot be pushed, as a sentence; "" if it can."""
    if row.stated is None or row.quantity is None:
        return f"No invoice line of {period.first_day:%B %Y} charges this plan: draft the month, or take the line away."
    if row.stated.held:
        return f"Its draft is held: {row.stated.held[0]}"
    if desk.system.WHOLE and row.quantity != row.quantity.to_integral_value():
        return f"{desk.system.LABEL} counts whole units: choose at the line that quantities are rounded up."
    if latest is not None and latest > effective_on:
        return f"A quantity that counts from {latest} was pushed already: an earlier one would undo it."
    return ""


def _in_order(rows: Iterable[PsaRow]) -> tuple[PsaRow, ...]:
    return tuple(sorted(rows, key=lambda row: (ORDER.index(row.kind), row.client.name.casefold(), row.plan_code)))
