"""Where answers to our mails are to go: what a mail destination asks for, and the addresses that its page shows.

Called by ``alerts.errands`` for each mail and by the dashboard. Addresses are made and proven by
``msp.channels.ticket_mail``; whether mail to them is heeded says the destination when it comes in.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from alerts.models import Destination, Ticket
from integrations.tickets import email
from integrations.tickets.email_config import parse_address
from msp.channels.ticket_mail import PREFIX, destination_address, ticket_address


def values_for_mail(ticket: Ticket, config: Any) -> dict[str, str]:
    """What the mail gateway writes beside the text; empty for every other gateway."""
    if not isinstance(config, email.Config):
        return {}
    local, domain = place_of(config)
    values = {email.NUMBER: ticket.their_number}
    if domain:
        values[email.REPLY_TO] = ticket_address(ticket.tenant_id, ticket.reference, domain=domain, local=local)
    return {name: value for name, value in values.items() if value}


def address_for_system(destination: Destination, config: Any) -> str:
    """Where a ticket system that answers to From may be told to send everything; "" where nothing comes back."""
    local, domain = place_of(config) if isinstance(config, email.Config) else ("", "")
    return destination_address(destination.tenant_id, destination.pk, domain=domain, local=local) if domain else ""


def place_of(config: email.Config) -> tuple[str, str]:
    """What stands before the plus sign and behind the @; ("", "") where nothing comes back."""
    if config.replies == "listener":
        return PREFIX, settings.BACKLEDGER.mail_domain
    if config.replies == "mailbox":
        local, _, domain = parse_address(config.reply_mailbox, field="reply_mailbox").addr_spec.rpartition("@")
        return local, domain
    return "", ""
