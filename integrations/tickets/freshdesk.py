"""Freshdesk: tickets by its API v2, with the API key of one agent.

Our reference is a tag of the ticket, which the search finds after some minutes; it finds closed tickets too, but none
that are archived or deleted. A ticket can be filed under a company only where the plan has several companies for one
contact, and the requester belongs to it. Sources: developers.freshdesk.com/api, "Tickets", "Filter tickets", "Agents",
"Companies", "Rate limit".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from integrations.configuration import setting
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
from integrations.tickets.json_api import Api, id_in, open_text_problem

LABEL: Final = "Freshdesk"
#: A fifth of the 200 requests a minute of the plan Growth.
CALLS_PER_MINUTE: Final = 40
VERIFIED: Final = ""
PRODUCT: Final = freshworks.Product(
    label=LABEL,
    wraps=False,
    search_path="/search/tickets",
    search_rows="results",
    companies="companies",
    company_field="company_id",
    fields_path="/ticket_fields",
    fields="",
)


@dataclass(frozen=True)
class Config(freshworks.Settings):
    """One Freshdesk account and how tickets are opened in it."""

    type: str = setting("Type", default="", help="Such as Incident. Empty: none.", looked_up=True)
    file_under_company: bool = setting(
        "File tickets under the client's company",
        kind="switch",
        default=True,
        help="Needs a plan with several companies for one contact; the requester must belong to each of them.",
    )


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret, companies only where tickets may name one."""
    able: set[Ability] = {"read", "reopen"}
    if config.file_under_company:
        able.add("companies")
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
    """Open the ticket; Freshdesk refuses a company that is not the requester's."""
    company = (ticket.company or config.default_company) if config.file_under_company else ""
    extra = {"type": config.type} if config.type else {}
    return freshworks.create(PRODUCT, config, ticket, company, extra, call=call)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the status stays as it is."""
    freshworks.add_note(PRODUCT, config, thread, text, api=freshworks.api_of(config, call))


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note, then status; a ticket that is closed already, or gone, is left as it is."""
    api = freshworks.api_of(config, call)
    freshworks.close(PRODUCT, config, thread, text, me=_me(api), api=api)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Status *Open*, then a note."""
    freshworks.reopen(PRODUCT, config, thread, text, call=call)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference."""
    return freshworks.find(PRODUCT, config, reference, {}, call=call)


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its messages; None if it was deleted."""
    api = freshworks.api_of(config, call)
    return freshworks.read(PRODUCT, config, thread, _me(api), api)


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Companies by a part of their name."""
    if not config.file_under_company:
        raise PermanentFailure("This destination files no tickets under companies: its setting says so.")
    return freshworks.companies(PRODUCT, freshworks.api_of(config, call), search)


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Companies, groups and types."""
    api = freshworks.api_of(config, call)
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in freshworks.companies(PRODUCT, api, ""))
    if name == "group":
        return freshworks.groups(PRODUCT, api)
    if name == "type":
        return tuple(Choice(*item) for item in freshworks.field_choices(PRODUCT, api, "ticket_type").items())
    raise PermanentFailure(f"The values of {name} cannot be looked up.")


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event, from an automation rule."""
    return freshworks.event_of(config, headers, body, call=call)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Who we are there, and whether the search works."""
    problems = list(open_text_problem(config.url, call))
    try:
        _me(freshworks.api_of(config, call))
        if find(config, freshworks.NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _me(api: Api) -> str:
    """The id of the agent whose key it is."""
    me = id_in(api.get("/agents/me"), "id")
    if me is None:
        raise PermanentFailure(f"{api.host} does not say whose API key this is: check the address and the key.")
    return me
