"""A mail of ours that came back as undeliverable: the ticket's delivery stops, and a person is told what to do.

Called by ``alerts.mail_answers`` with a report (RFC 3464) about a mail of the ticket. Where the first mail reached
nobody there is no ticket there: sending again begins with it. A stopped delivery is shown with the ticket and with its
destination, and is told by the incident about destinations that take nothing.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parseaddr

from alerts.answer_reading import Answer
from alerts.models import Ticket
from alerts.their_side import lock_ticket
from integrations.tickets import email
from msp.outbox import lanes


def take_return(ticket: Ticket, config: email.Config, answer: Answer, *, now: datetime) -> str:
    """In the caller's transaction; what became of it, in a word. A report of a mere delay changes nothing."""
    if not answer.returned:
        return "report without a failure"
    row = lock_ticket(ticket.tenant_id, ticket.pk)
    if has_reached_nobody(row, config, answer):
        Ticket.objects.of(row.tenant_id).filter(pk=row.pk).update(
            confirmed_state="none", create_attempted_at=None, external_id="", told_seq=0, created_there_at=None
        )
    lanes.stop(row.tenant_id, "ticket", row.pk, action="returned", reason=reason_of(answer), now=now)
    return "returned mail"


def has_reached_nobody(ticket: Ticket, config: email.Config, answer: Answer) -> bool:
    """Whether it was the first mail of an open ticket, and failed for everybody."""
    is_first = any(one == ticket.external_id for one in answer.about)
    failed = {recipient.lower() for recipient, _ in answer.returned or ()}
    everybody = {parseaddr(one)[1].lower() for one in config.recipients}
    return is_first and ticket.wanted_state == "open" and (len(everybody) == 1 or everybody <= failed)


def reason_of(answer: Answer) -> str:
    told = "; ".join(f"{recipient} ({reason})" if reason else recipient for recipient, reason in answer.returned or ())
    return (
        f"Our mail came back: it could not be delivered to {told}. Mend the address in the destination or at the mail "
        "server, then send again."
    )
