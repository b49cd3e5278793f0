"""Which company of a ticket system each client is: read from that system, suggested by name, chosen by a person.

The call is made outside any transaction. What was chosen is kept with the system's own name for it, so that a company
that was renamed or is gone can be told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from alerts.company_matching import Suggestion, suggest
from alerts.models import ClientCompany, Destination
from integrations.configuration import BadConfig, config_from_json, secrets_of
from integrations.errors import DeliveryFailure
from integrations.http import redact
from integrations.tickets import GATEWAYS, Call, Company
from msp.dashboard.changes.recording import record
from msp.dashboard.scope import StaffRequest
from msp.estate.models import Client

SECONDS = 15.0
_GIVEN = re.compile(r".*\[([^\[\]]{1,200})\]\s*")


@dataclass(frozen=True)
class Companies:
    """What the system answered; ``problem`` is a sentence where it did not."""

    found: tuple[Company, ...]
    problem: str = ""


@dataclass(frozen=True)
class Mapped:
    """One client: what is stored, how it stands there now, and what is suggested where nothing is stored."""

    client: Client
    chosen: ClientCompany | None
    state: str
    suggestion: Suggestion | None

    @property
    def shown(self) -> str:
        """What the input holds: the stored company, else the suggested one, as a person may also type it."""
        if self.chosen is not None:
            return written(self.chosen.company_id, self.chosen.name)
        return written(self.suggestion.company.id, self.suggestion.company.name) if self.suggestion else ""


def written(company_id: str, name: str) -> str:
    return f"{name} [{company_id}]"


def keeps_companies(row: Destination) -> bool:
    gateway = GATEWAYS[row.gateway]
    try:
        return "companies" in gateway.abilities(config_from_json(gateway.Config, row.config))
    except BadConfig:
        return False


def read_companies(row: Destination, *, now: datetime) -> Companies:
    """All companies there, or why they cannot be read."""
    gateway = GATEWAYS[row.gateway]
    call = Call(now=now, deadline_seconds=SECONDS, allow_private=settings.BACKLEDGER.allow_private_destinations)
    try:
        config = config_from_json(gateway.Config, row.config)
    except BadConfig as bad:
        return Companies((), bad.reason)
    try:
        found = gateway.companies(config, "", call=call)
    except DeliveryFailure as failure:
        return Companies((), redact(failure.reason, secrets_of(config)))
    return Companies(tuple(sorted(found, key=lambda one: one.name.casefold())))


def map_clients(row: Destination, companies: Companies) -> list[Mapped]:
    """Every client that is not deleted, in order of name."""
    chosen = {one.client_id: one for one in ClientCompany.objects.of(row.tenant_id).filter(destination=row)}
    names = {one.id: one.name for one in companies.found}
    taken = {one.company_id for one in chosen.values()}
    free = [one for one in companies.found if one.id not in taken]
    clients = Client.objects.of(row.tenant_id).exclude(state="deleted").order_by("name")
    return [
        Mapped(
            client=client,
            chosen=chosen.get(client.pk),
            state=state_of(chosen.get(client.pk), names, is_known=not companies.problem),
            suggestion=None if client.pk in chosen else suggest(client.name, free),
        )
        for client in clients
    ]


def state_of(chosen: ClientCompany | None, names: Mapping[str, str], *, is_known: bool) -> str:
    """How a stored company stands there: ok, renamed or missing; "" where nothing is stored or nothing is known."""
    if chosen is None or not is_known:
        return ""
    if chosen.company_id not in names:
        return "missing"
    return "ok" if names[chosen.company_id] == chosen.name else "renamed"


def store_companies(
    request: StaffRequest, row: Destination, typed: Mapping[str, str], companies: Sequence[Company]
) -> tuple[int, list[str]]:
    """Keep what was chosen, by the client's uid; empty takes it away. Answers how many changed, and the sentences of
    those that name no company there: they stay as they were.
    """
    names = {one.id: one.name for one in companies}
    stored = {one.client_id: one for one in ClientCompany.objects.of(row.tenant_id).filter(destination=row)}
    changed, problems = 0, []
    with transaction.atomic():
        for client in Client.objects.of(row.tenant_id).filter(uid__in=list(typed)):
            company_id, problem = read_choice(typed[str(client.uid)], names)
            if problem:
                problems.append(f"{client.name}: {problem}")
                continue
            before = stored[client.pk].company_id if client.pk in stored else ""
            if company_id == before:
                continue
            put_company(request, row, client, company_id, names.get(company_id, ""), before=before)
            changed += 1
    return changed, problems


def read_choice(text: str, names: Mapping[str, str]) -> tuple[str, str]:
    """The company's id from "Name [id]", its name alone or its id alone; else a sentence."""
    text = text.strip()
    if not text:
        return "", ""
    given = _GIVEN.fullmatch(text)
    if given and given[1] in names:
        return given[1], ""
    if text in names:
        return text, ""
    same = [company_id for company_id, name in names.items() if name.casefold() == text.casefold()]
    if len(same) == 1:
        return same[0], ""
    return "", f"“{text[:80]}” is no company there; choose one of the list." if not same else (
        f"several companies are called “{text[:80]}”; choose one of the list."
    )


def put_company(
    request: StaffRequest, row: Destination, client: Client, company_id: str, name: str, *, before: str
) -> None:
    rows = ClientCompany.objects.of(row.tenant_id)
    if company_id:
        values = {
            "company_id": company_id, "name": name[:200], "chosen_by": request.scope.actor[:200],
            "chosen_at": request.now,
        }  # fmt: skip
        rows.update_or_create(destination=row, client=client, defaults=values)
    else:
        rows.filter(destination=row, client=client).delete()
    record(
        request, "company chosen", client, kind="client",
        before={"destination": row.name, "company": before}, after={"destination": row.name, "company": company_id},
    )  # fmt: skip
