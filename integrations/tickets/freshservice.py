"""Freshservice: tickets by its API v2, with the API key of one agent.

Our reference is a tag of the ticket, which the search finds after some minutes; it finds closed tickets too, but none
that are archived or deleted. Companies are its departments. It does not tell whose the key is, so our own messages are
known by the agent's address. Sources: api.freshservice.com, "Tickets", "Filter Tickets", "Agents", "Departments",
"Workspaces", "Rate limit".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from integrations.configuration import BadConfig, setting
from integrations.errors import DeliveryFailure, PermanentFailure
from integrations.tickets import freshworks
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Reference,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_api import Api, id_in, open_text_problem, rows_in, text_in

LABEL: Final = "Freshservice"
#: A fifth of the 100 requests a minute of the plan Starter.
CALLS_PER_MINUTE: Final = 20
VERIFIED: Final = ""
PRODUCT: Final = freshworks.Product(
    label=LABEL,
    wraps=True,
    search_path="/tickets/filter",
    search_rows="tickets",
    companies="departments",
    company_field="department_id",
    fields_path="/ticket_form_fields",
    fields="ticket_fields",
)


@dataclass(frozen=True)
class Config(freshworks.Settings):
    """One Freshservice account and how tickets are opened in it."""

    agent: str = setting(
        "Agent's email", default="", help="Whose API key it is. Empty: the same as the requester's email."
    )
    workspace: str = setting("Workspace", default="", help="Its number. Empty: the primary workspace.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.agent and "@" not in self.agent:
            raise BadConfig("agent", "The agent's email must be a mail address.")
        if not re.fullmatch(r"[0-9]{0,18}", self.workspace):
            raise BadConfig("workspace", "This must be its number.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """The search index lags."""
    return freshworks.INDEX_LAG


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket, in the department of the client where one is set."""
    company = ticket.company or config.default_company
    extra = {"workspace_id": int(config.workspace)} if config.workspace else {}
    return freshworks.create(PRODUCT, config, ticket, company, extra, call=call)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the status stays as it is."""
    freshworks.add_note(PRODUCT, config, thread, text, api=freshworks.api_of(config, call))


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note, then status; a ticket that is closed already, or gone, is left as it is."""
    api = freshworks.api_of(config, call)
    freshworks.close(PRODUCT, config, thread, text, me=_me(config, api), api=api)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Status *Open*, then a note."""
    freshworks.reopen(PRODUCT, config, thread, text, call=call)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference."""
    return freshworks.find(PRODUCT, config, reference, _scope(config), call=call)


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its messages; None if it was deleted."""
    api = freshworks.api_of(config, call)
    return freshworks.read(PRODUCT, config, thread, _me(config, api), api)


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Departments by a part of their name."""
    return freshworks.companies(PRODUCT, freshworks.api_of(config, call), search)


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Departments and groups."""
    api = freshworks.api_of(config, call)
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in freshworks.companies(PRODUCT, api, ""))
    if name == "group":
        return freshworks.groups(PRODUCT, api)
    raise PermanentFailure(f"The values of {name} cannot be looked up.")


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event, from a workflow."""
    return freshworks.event_of(config, headers, body, call=call)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Who we are there, and whether the search works."""
    problems = list(open_text_problem(config.url, call))
    try:
        _me(config, freshworks.api_of(config, call))
        if find(config, freshworks.NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _scope(config: Config) -> dict[str, str]:
    """Where to search: without a workspace Freshservice looks at the primary one alone, where tickets then are."""
    return {"workspace_id": config.workspace} if config.workspace else {}


def _me(config: Config, api: Api) -> str:
    """The id of the agent whose key it is: without it our messages would pass for people's."""
    address = config.agent or config.requester
    rows = rows_in(api.get("/agents", {"email": address}), "agents", host=api.host)
    same = [id_in(row, "id") for row in rows if text_in(row, "email").lower() == address.lower()]
    if not same or same[0] is None:
        raise PermanentFailure(f"No agent of {api.host} has the address {address}: set the email of the key's agent.")
    return same[0]
