"""Configurations of the gateways for the doubles, as a person would store them."""

from __future__ import annotations

from datetime import UTC, datetime

from integrations.tickets import Call, NewTicket, TicketText
from tests.doubles.ticket_server import TOKEN

NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
TICKET = NewTicket(
    "BL-1a2b3c4d",
    TicketText("Acme Dental: no good backup for 72 h on SRV-DC01", "Last good run 2026-11-19 02:10 UTC.\n.dot first"),
    priority="high",
    client="Acme Dental",
)


def a_call(*, key: str = "k-1", seconds: float = 5.0) -> Call:
    return Call(NOW, seconds, key, allow_private=True)


def rest_json(url: str, **changes: object) -> dict[str, object]:
    return {
        "base_url": url,
        "authorization": TOKEN,
        "create_path": "/tickets",
        "create_body": {
            "title": "{{ subject }}", "description": "{{ body }}", "external_key": "{{ reference }}",
            "priority": "{{ priority }}",
        },
        "id_at": "ticket.id",
        "url_at": "ticket.url",
        "priorities": {"low": 1, "normal": 2, "high": 3, "urgent": 4},
        "comment_path": "/tickets/{{ external_id }}/notes",
        "comment_body": {"note": "{{ body }}"},
        "close_path": "/tickets/{{ external_id }}",
        "close_body": {"note": "{{ body }}", "status": "closed"},
        "find_path": "/tickets?external_key={{ reference }}",
        "find_items": "results",
        "find_reference_at": "external_key",
        "find_url_at": "url",
        "find_next_at": "next",
        "read_path": "/tickets/{{ external_id }}",
        "closed_values": ["closed"],
        "webhook_secret": "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
    } | changes  # fmt: skip


def email_json(port: int, **changes: object) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "Backups <robot@msp.example>",
        "recipients": ["desk@tickets.example"],
    } | changes
