"""Reads the mails about tickets that wait, and takes over what they tell; calls nothing outside, answers no mail.

Called by the task ``look``. Each mail is one transaction with its inbound event, so that it is taken once. How much of
it is believed follows from its proof: the ticket's own secret address, the destination's, or none but a reference that
anybody may have seen. A mail that is refused is counted with its destination, where a person who sets it up looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from alerts.answer_reading import Answer, read_answer
from alerts.mail_returned import take_return
from alerts.mail_taking import AUTOMATIC, Mailed, take_mail
from alerts.models import Destination, Ticket, TicketRemark
from alerts.ticket_calls import keep_mail
from integrations.configuration import BadConfig, config_from_json, secrets_of
from integrations.logs.mime import BadMail
from integrations.tickets import email, mail_systems
from msp.channels.ticket_mail import OUR_MESSAGE_ID, SOURCE, references_in_subject
from msp.outbox.models import InboundEvent

log = logging.getLogger(__name__)

#: Of one ticket no more mails are taken within an hour: whatever writes more is no person.
MOST_AN_HOUR = 30
NEXT = """
SELECT tenant_id, id FROM outbox_inboundevent WHERE source = %s AND state = 'waiting'
ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""


class Proof(IntEnum):
    """What a mail bears: a reference alone; an address that only the ticket system knows; the ticket's own address."""

    REFERENCE = 1
    DESTINATION = 2
    TICKET = 3


class Refused(Exception):
    """A mail that is not taken; the text is a sentence for whoever set the destination up."""

    def __init__(self, reason: str, destination_id: int | None = None) -> None:
        super().__init__(reason)
        self.destination_id = destination_id


@dataclass(frozen=True)
class Found:
    ticket: Ticket
    config: email.Config
    proof: Proof


def take_waiting(*, now: Callable[[], datetime], is_time_up: Callable[[], bool] = lambda: False) -> int:
    """Take the mails that wait until none is left or the time is up; answers how many."""
    done = 0
    while not is_time_up() and take_next(now=now()):
        done += 1
    return done


def take_next(*, now: datetime) -> bool:
    """False when none waits. An error of ours refuses the mail, keeps its text, and stops no other."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(NEXT, [SOURCE])
            row = cursor.fetchone()
        if row is None:
            return False
        event: InboundEvent = InboundEvent.objects.of(row[0]).get(pk=row[1])
        values: dict[str, Any] = {"body": b""}
        try:
            with transaction.atomic():
                values |= {"state": "done", "headers": {**event.headers, **take(event, now=now)}}
        except Refused as refusal:
            count_refusal(event.tenant_id, refusal)
            values |= {"state": "refused", "error": str(refusal)}
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("mail %s of tenant %s could not be read", event.pk, event.tenant_id)
            values = {"state": "refused", "error": "It could not be read; the log tells why."}
        InboundEvent.objects.of(event.tenant_id).filter(pk=event.pk).update(**values)
    return True


def take(event: InboundEvent, *, now: datetime) -> dict[str, Any]:
    """Take one mail; answers what is kept of it with the event. Raises Refused."""
    try:
        answer = read_answer(bytes(event.body), envelope_sender=event.headers.get("envelope_sender"))
    except BadMail as bad:
        raise Refused(f"It is {bad}.", next(iter(event.headers["destinations"]), None)) from None
    found = find_ticket(event, answer)
    kept = {"ticket": found.ticket.pk, "from": answer.sender, "subject": answer.subject[:200]}
    if answer.ours or OUR_MESSAGE_ID.fullmatch(answer.headers.get("message-id", "")):
        raise Refused("A mail of our own came back: it was dropped.", found.ticket.destination_id)
    if answer.is_report:
        taken = take_return(found.ticket, found.config, answer, now=now)
    else:
        taken = take_answer(event, answer, found, now=now)
    keep_mail(
        found.ticket, sender=answer.sender, subject=answer.subject, text=answer.text, verdict=f"Taken as: {taken}.",
        secrets=secrets_of(found.config), now=now,
    )  # fmt: skip
    return {**kept, "taken": taken}


def take_answer(event: InboundEvent, answer: Answer, found: Found, *, now: datetime) -> str:
    """What became of it, in a word. Raises Refused."""
    destination_id = found.ticket.destination_id
    if not found.config.may_answer(answer.sender):
        raise Refused(f"{answer.sender or 'Nobody'} is not among those who may answer.", destination_id)
    told = mail_systems.read(found.config.system, subject=answer.subject, headers=answer.headers)
    automatic = answer.automatic and (answer.robot_reply or not told.relayed)
    remarks = TicketRemark.objects.of(event.tenant_id).filter(ticket=found.ticket.pk)
    author = f"{(answer.name or answer.sender)[:160]}{AUTOMATIC if automatic else ''}"
    if automatic and found.ticket.their_number == told.number and remarks.filter(author=author).exists():
        return "automatic answer, not shown again"
    if remarks.filter(read_at__gt=now - timedelta(hours=1)).count() >= MOST_AN_HOUR:
        raise Refused(f"More than {MOST_AN_HOUR} mails about a ticket within an hour.", destination_id)
    mailed = Mailed(
        id=event.external_id,
        author=author,
        sender=answer.sender,
        text=answer.text,
        written_at=answer.written_at,
        arrived_at=event.received_at,
        told=told,
        automatic=automatic,
        may_tell_status=found.proof >= Proof.DESTINATION and not automatic,
        no_commands=why_no_commands(answer, found),
    )
    take_mail(event.tenant_id, found.ticket.pk, mailed, now=now)
    return "automatic answer" if automatic else "answer"


def why_no_commands(answer: Answer, found: Found) -> str:
    """A sentence, or "" where a command of this mail may be followed: its sender may answer, and it bears the secret of
    the ticket, which only those were sent who had a mail of the ticket.
    """
    if not found.config.reply_commands:
        return "The destination follows no commands."
    if found.proof < Proof.TICKET:
        return "It did not come to the ticket's own address: answer to the Reply-To of our mail."
    return "A machine sent it." if answer.automatic else ""


# --- whose it is ---------------------------------------------------------------------------------------------------


def find_ticket(event: InboundEvent, answer: Answer) -> Found:
    """The ticket by its address, else by what the mail answers, else by its subject. Raises Refused."""
    tickets = Ticket.objects.of(event.tenant_id).select_related("destination")
    of_address = in_order(tickets.filter(reference__in=event.headers["tickets"]), event.headers["tickets"])
    if of_address is not None:
        return checked(of_address, Proof.TICKET)
    destinations = event.headers["destinations"]
    named = named_references(answer)
    if destinations:
        of_destination = tickets.filter(destination__in=destinations)
        by_name = in_order(of_destination.filter(reference__in=named), named)
        found = by_name or by_number(of_destination, answer)
        if found is None:
            raise Refused("It came to the destination's address, but names no ticket of it.", destinations[0])
        return checked(found, Proof.DESTINATION)
    by_name = in_order(tickets.filter(reference__in=named), named)
    if by_name is None:
        raise Refused("It names no ticket that is known here.")
    return checked(by_name, Proof.REFERENCE)


def named_references(answer: Answer) -> list[str]:
    """References that a mail names, most telling first: what it answers, what it returns, its subject."""
    answered = OUR_MESSAGE_ID.findall(" ".join(answer.answers))
    returned = OUR_MESSAGE_ID.findall(" ".join(answer.about))
    own = [answer.headers["x-backledger-reference"]] if answer.ours else []
    return list(dict.fromkeys([*answered, *own, *returned, *references_in_subject(answer.subject)]))[:50]


def in_order(rows: Iterable[Ticket], references: list[str]) -> Ticket | None:
    """The ticket of the reference that stands first."""
    return min(rows, key=lambda row: references.index(row.reference), default=None)


def by_number(tickets: Any, answer: Answer) -> Ticket | None:
    """By the number that the ticket system gave it, learnt from an earlier mail; only where one ticket has it."""
    rows = []
    for system in dict(mail_systems.SYSTEMS):
        number = mail_systems.read(system, subject=answer.subject, headers=answer.headers).number
        rows += [row for row in tickets.filter(their_number=number)[:2] if number and system_of(row) == system]
    return rows[0] if len(rows) == 1 else None


def system_of(ticket: Ticket) -> str:
    return str(ticket.destination.config.get("system", ""))


def checked(ticket: Ticket, proof: Proof) -> Found:
    """Raises Refused where the destination takes no answers."""
    if ticket.destination.gateway != "email":
        raise Refused("The ticket is not one of a mail destination.", ticket.destination_id)
    try:
        config = config_from_json(email.Config, ticket.destination.config)
    except BadConfig as bad:
        raise Refused(f"The destination's settings cannot work: {bad.reason}", ticket.destination_id) from None
    if config.replies == "none":
        raise Refused("The destination takes no answers.", ticket.destination_id)
    return Found(ticket, config, proof)


def count_refusal(tenant_id: int, refusal: Refused) -> None:
    """Count it where a person who sets answers up looks."""
    log.warning("a mail about a ticket of tenant %s was refused: %s", tenant_id, refusal)
    if refusal.destination_id is not None:
        rows = Destination.objects.of(tenant_id).filter(pk=refusal.destination_id)
        rows.update(callbacks_refused=F("callbacks_refused") + 1, last_refusal=str(refusal)[:500])
