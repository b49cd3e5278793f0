"""Keeps tickets in line with incidents: opening, joining, leaving, closing; what delivery then tells the other system.

Called by ``alerts.incidents`` with the incidents already locked and written. Tickets are locked in order of destination
and group key before anything is read of them; a ticket that has begun closing takes no new incident: a further one is
opened beside it. Every change is a numbered update, and the ticket's lane is marked in the same transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from alerts.capping import shared_groups
from alerts.card_loading import load_cards
from alerts.facts import SEVERITIES, Severity
from alerts.routing import SHARED, Routed
from alerts.wording_templates import load_templates, note_failures
from alerts.words.cards import Card
from alerts.words.languages import language_of
from alerts.words.templates import Template, choose_language, choose_template, word_subject
from msp.outbox import lanes

#: The last words of a ticket.
SOLVED = "Every problem of this ticket is solved."


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one incident asks of tickets. ``routed`` is set when it is to be told now and is on no ticket yet.

    ``persists``: somebody had it in hand, that time is over, and the problem is still there.
    """

    incident_id: int
    ticket_id: int | None
    client_id: int | None
    severity: Severity
    summary: str
    close_reason: str
    routed: Routed | None
    closed: bool
    worse: bool
    remind: bool
    persists: bool = False


@dataclass
class TicketRow:
    """A locked ticket and what this batch does to it."""

    id: int
    destination_id: int
    group_key: str
    wanted_state: str
    severity: Severity
    last_seq: int
    told_seq: int
    confirmed_state: str
    is_new: bool = False
    updates: list[tuple[str, int | None, str]] = field(default_factory=list)

    def add(self, kind: str, incident_id: int | None, text: str) -> None:
        self.updates.append((kind, incident_id, text))


def follow(tenant_id: int, steps: Sequence[Step], *, now: datetime) -> None:
    """Open, join, note, leave and close tickets as the incidents require; nothing to do costs no statement."""
    joining = within_limits(tenant_id, [step for step in steps if step.routed is not None], now=now)
    staying = [step for step in steps if step.ticket_id is not None and has_news(step)]
    if not joining and not staying:
        return
    tickets = open_and_lock(tenant_id, joining, staying, now=now)
    join(tenant_id, joining, tickets)
    tell_staying(staying, tickets)
    close_empty(tenant_id, tickets, now=now)
    write_updates(tenant_id, [ticket for ticket in tickets.values() if ticket.updates], now=now)


def within_limits(tenant_id: int, joining: Sequence[Step], *, now: datetime) -> list[Step]:
    """The same steps; those for which no further ticket may be opened within the hour share one."""
    asked = [(require_route(step), step.severity) for step in joining]
    beyond = shared_groups(tenant_id, asked, now=now)
    if not beyond:
        return list(joining)
    return [
        replace(step, routed=replace(require_route(step), group_key=SHARED)) if group_of(step) in beyond else step
        for step in joining
    ]


def has_news(step: Step) -> bool:
    return step.closed or step.worse or step.remind or step.persists


def new_reference() -> str:
    """Ours, for one ticket: what is written into it and looked for."""
    return f"BL-{secrets.token_hex(5).upper()}"


def open_and_lock(
    tenant_id: int, joining: Sequence[Step], staying: Sequence[Step], *, now: datetime
) -> dict[int, TicketRow]:
    """Lock the tickets of these steps, opening what is missing. One that began to close before we had its lock takes
    no new incident: then another is opened beside it.
    """
    opened: frozenset[int] = frozenset()
    missing = list(joining)
    while True:
        opened |= open_missing(tenant_id, missing, now=now)
        tickets = lock_tickets(tenant_id, joining, staying, opened=opened)
        open_groups = open_by_group(tickets)
        missing = [step for step in joining if group_of(step) not in open_groups]
        if not missing:
            return tickets


def open_missing(tenant_id: int, joining: Sequence[Step], *, now: datetime) -> frozenset[int]:
    """Make a ticket for each group that has no open one (the unique index decides); answers the new ids."""
    if not joining:
        return frozenset()
    cards = load_cards(tenant_id, [step.incident_id for step in joining])
    templates = load_templates(tenant_id)
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for step in joining:
        routed = require_route(step)
        if group_of(step) not in rows:
            rows[group_of(step)] = new_row(step, routed, cards[step.incident_id], templates)
    failures = {row["destination_id"]: row["failure"] for row in rows.values() if row["failure"]}
    # Not within this transaction: a destination's row comes before those of tickets in the order of locks.
    transaction.on_commit(partial(note_failures, tenant_id, failures, now=now), robust=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_ticket (tenant_id, destination_id, group_key, reference, client_id, subject, severity, "
            "language, route_id, wanted_state, confirmed_state, external_id, external_url, thread, last_seq, told_seq, "
            "opened_at) "
            "SELECT %s, destination_id, group_key, reference, CASE WHEN group_key LIKE 'server:%%' "
            "THEN server.client_id ELSE new.client_id END, subject, severity, language, route_id, "
            "'open', 'none', '', '', '{}', 0, 0, %s "
            "FROM jsonb_to_recordset(%s::jsonb) AS new(destination_id bigint, group_key text, reference text, "
            "client_id bigint, subject text, severity text, language text, route_id bigint) "
            "LEFT JOIN estate_backupserver server "
            "ON server.tenant_id = %s AND server.id = substring(group_key FROM '^server:([0-9]+)$')::bigint "
            "ORDER BY destination_id, group_key "
            "ON CONFLICT (tenant_id, destination_id, group_key) WHERE wanted_state = 'open' DO NOTHING RETURNING id",
            [tenant_id, now, orjson.dumps(list(rows.values())).decode(), tenant_id],
        )
        return frozenset(row[0] for row in cursor.fetchall())


def new_row(step: Step, routed: Routed, card: Card, templates: Sequence[Template]) -> dict[str, Any]:
    """A ticket as it is opened for this incident: its language and subject stay for its whole life."""
    is_shared = routed.group_key == SHARED
    language = choose_language(
        route=routed.language, client="" if is_shared else card.client_language, tenant=card.tenant_language
    )
    reference = new_reference()
    subject, failure = word_subject(
        None if is_shared else choose_template(templates, route_id=routed.route_id, language=language),
        card,
        group_key=routed.group_key,
        reference=reference,
        language=language_of(language),
        base_url=settings.BACKLEDGER.base_url,
    )
    return {
        "destination_id": routed.destination_id,
        "group_key": routed.group_key,
        "reference": reference,
        "client_id": None if is_shared else step.client_id,
        "subject": subject,
        "severity": step.severity,
        "language": language,
        "route_id": routed.route_id,
        "failure": failure,
    }


def lock_tickets(
    tenant_id: int, joining: Sequence[Step], staying: Sequence[Step], *, opened: frozenset[int]
) -> dict[int, TicketRow]:
    groups = [
        {"destination_id": routed.destination_id, "group_key": routed.group_key}
        for routed in map(require_route, joining)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, destination_id, group_key, wanted_state, severity, last_seq, told_seq, confirmed_state "
            "FROM alerts_ticket "
            "WHERE tenant_id = %s AND (id = ANY(%s) OR (wanted_state = 'open' AND (destination_id, group_key) IN "
            "(SELECT destination_id, group_key FROM jsonb_to_recordset(%s::jsonb) "
            "AS wanted(destination_id bigint, group_key text)))) ORDER BY destination_id, group_key, id FOR UPDATE",
            [tenant_id, [step.ticket_id for step in staying], orjson.dumps(groups).decode()],
        )
        rows = [TicketRow(*row) for row in cursor.fetchall()]
    return {row.id: replace(row, is_new=row.id in opened) for row in rows}


def join(tenant_id: int, joining: Sequence[Step], tickets: Mapping[int, TicketRow]) -> None:
    """Put each incident on the open ticket of its group."""
    open_groups = open_by_group(tickets)
    links = []
    for step in joining:
        ticket = open_groups[group_of(step)]
        ticket.add("opened" if ticket.is_new and not ticket.updates else "joined", step.incident_id, step.summary)
        ticket.severity = max(ticket.severity, step.severity, key=SEVERITIES.index)
        links.append({"incident_id": step.incident_id, "ticket_id": ticket.id})
    if not links:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alerts_incident incident SET ticket_id = link.ticket_id FROM jsonb_to_recordset(%s::jsonb) "
            "AS link(incident_id bigint, ticket_id bigint) WHERE incident.tenant_id = %s "
            "AND incident.id = link.incident_id",
            [orjson.dumps(links).decode(), tenant_id],
        )


def open_by_group(tickets: Mapping[int, TicketRow]) -> dict[tuple[int, str], TicketRow]:
    return {
        (ticket.destination_id, ticket.group_key): ticket
        for ticket in tickets.values()
        if ticket.wanted_state == "open"
    }


def group_of(step: Step) -> tuple[int, str]:
    routed = require_route(step)
    return routed.destination_id, routed.group_key


def tell_staying(staying: Sequence[Step], tickets: Mapping[int, TicketRow]) -> None:
    """What incidents already on a ticket have to say. A reminder waits while earlier words are still undelivered."""
    for step in staying:
        ticket = tickets.get(step.ticket_id or 0)
        if ticket is None or ticket.wanted_state != "open":
            continue
        if step.closed:
            ticket.add("left", step.incident_id, step.close_reason)
        elif step.worse:
            ticket.add("note", step.incident_id, step.summary)
            ticket.severity = max(ticket.severity, step.severity, key=SEVERITIES.index)
        elif step.persists and ticket.confirmed_state == "closed":
            ticket.add("persists", step.incident_id, step.summary)
        elif step.remind and ticket.told_seq == ticket.last_seq:
            ticket.add("reminder", step.incident_id, step.summary)


def close_empty(tenant_id: int, tickets: Mapping[int, TicketRow], *, now: datetime) -> None:
    """A ticket whose last incident has left begins to close."""
    left = [ticket.id for ticket in tickets.values() if any(kind == "left" for kind, _, _ in ticket.updates)]
    if not left:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ticket_id FROM alerts_incident WHERE tenant_id = %s AND ticket_id = ANY(%s) "
            "AND state = 'open'",
            [tenant_id, left],
        )
        busy = {row[0] for row in cursor.fetchall()}
    for ticket_id in left:
        if ticket_id not in busy:
            tickets[ticket_id].wanted_state = "closed"
            tickets[ticket_id].add("closed", None, SOLVED)


def write_updates(tenant_id: int, tickets: Sequence[TicketRow], *, now: datetime) -> None:
    """Number and store the updates, the tickets' new values, and mark their lanes."""
    if not tickets:
        return
    updates = [
        {"ticket_id": ticket.id, "seq": ticket.last_seq + number, "kind": kind, "incident_id": incident, "text": text}
        for ticket in tickets
        for number, (kind, incident, text) in enumerate(ticket.updates, start=1)
    ]
    rows = [
        {
            "id": ticket.id,
            "last_seq": ticket.last_seq + len(ticket.updates),
            "wanted_state": ticket.wanted_state,
            "severity": ticket.severity,
        }
        for ticket in tickets
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_ticketupdate (tenant_id, ticket_id, seq, at, kind, incident_id, text) "
            "SELECT %s, ticket_id, seq, %s, kind, incident_id, text FROM jsonb_to_recordset(%s::jsonb) "
            "AS new(ticket_id bigint, seq int, kind text, incident_id bigint, text text)",
            [tenant_id, now, orjson.dumps(updates).decode()],
        )
        cursor.execute(
            "UPDATE alerts_ticket ticket SET last_seq = new.last_seq, wanted_state = new.wanted_state, "
            "severity = new.severity, closed_at = CASE WHEN new.wanted_state = 'closed' THEN %s::timestamptz END "
            "FROM jsonb_to_recordset(%s::jsonb) AS new(id bigint, last_seq int, wanted_state text, severity text) "
            "WHERE ticket.tenant_id = %s AND ticket.id = new.id",
            [now, orjson.dumps(rows).decode(), tenant_id],
        )
    lanes.mark(tenant_id, "ticket", [ticket.id for ticket in tickets], now=now)


def require_route(step: Step) -> Routed:
    """The route of a joining step; a step without one is never given here."""
    if step.routed is None:
        raise ValueError(f"incident {step.incident_id} has no route to join a ticket by")
    return step.routed
