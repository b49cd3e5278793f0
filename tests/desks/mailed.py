"""What tests of real ticket systems share that are reached by mail alone: our side of it."""

from __future__ import annotations

import re
from typing import Any

from alerts import mail_answers
from alerts.answer_routes import address_for_system
from alerts.models import Destination
from integrations.configuration import config_from_json
from integrations.tickets import email
from msp.outbox.models import InboundEvent
from tests.alerts.test_ticket_flow import Play
from tests.doubles.mailbox import Mailbox
from tests.integrations.tickets.configs import email_json


def mailed_destination(play: Play, smtp: Mailbox, **config: Any) -> Destination:
    """One whose From is the address that its page shows for ticket systems."""
    values = email_json(smtp.port, readers="intake", replies="listener", **config)
    row = play.destination("email", values)
    address = address_for_system(row, config_from_json(email.Config, values))
    row.config = {**values, "sender": f"Backups <{address}>"}
    row.save()
    return row


def sender_of(row: Destination) -> str:
    """Its plain address."""
    found: str = re.findall(r"<(.+)>", row.config["sender"])[0]
    return found


def take_answers(play: Play) -> int:
    """A minute later; answers how many there were."""
    play.wait(minutes=1)
    InboundEvent.objects.of(play.world.tenant).filter(state="waiting").update(received_at=play.now)
    return mail_answers.take_waiting(now=lambda: play.now)
