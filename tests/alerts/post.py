"""A ticket that was mailed, and what comes back about it: by a real SMTP server out, by our real listener in."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from alerts import mail_answers
from alerts.models import Destination, IncidentEvent, TicketRemark
from msp.channels.ticket_mail import destination_address
from msp.outbox.models import InboundEvent
from tests.alerts.test_ticket_flow import FAILED, Play
from tests.channels.running_listener import RunningListener
from tests.doubles.mailbox import Mailbox
from tests.integrations.tickets.configs import email_json
from tests.world import make_world

DESK = "Help Desk <desk@tickets.example>"


class Post:
    """One failing job whose ticket was mailed, and what comes back."""

    def __init__(self, mailbox: Mailbox, listener: RunningListener, **config: Any) -> None:
        self.mailbox, self.listener = mailbox, listener
        self.play = Play(make_world())
        values = email_json(mailbox.port, replies="listener", **config)
        self.row = self.play.destination("email", values)
        self.play.run("failure", **FAILED)
        self.play.deliver()
        self.numbers = iter(range(1, 1000))

    @property
    def tenant(self) -> Any:
        return self.play.world.tenant

    @property
    def first(self) -> EmailMessage:
        return self.mailbox.messages()[0]

    @property
    def secret(self) -> str:
        """Where our mail asks for answers."""
        return str(self.first["Reply-To"].addresses[0].addr_spec)

    @property
    def system_address(self) -> str:
        return destination_address(self.tenant.pk, self.row.pk, domain="localhost")

    def answer(self, text: str = "We look at it.", *, to: str = "", sender: str = DESK, **headers: str) -> None:
        """An answer by mail, taken; names of headers with underscores."""
        self.send(self.written(text, to=to, sender=sender, **headers), to=to)

    def written(self, text: str, *, to: str = "", sender: str = DESK, **headers: str) -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = sender, to or self.secret
        number, subject = next(self.numbers), f"Re: {self.first['Subject']}"
        for name, value in {"Message_ID": f"<answer-{number}@tickets.example>", "Subject": subject, **headers}.items():
            message[name.replace("_", "-")] = value
        message.set_content(text)
        return message.as_bytes()

    def send(self, content: bytes, *, to: str = "", envelope: str = "desk@tickets.example") -> None:
        self.listener.send(content, to or self.secret, sender=envelope)
        self.take()

    def take(self) -> int:
        self.play.wait(minutes=1)
        InboundEvent.objects.of(self.tenant).filter(state="waiting").update(received_at=self.play.now)
        return mail_answers.take_waiting(now=lambda: self.play.now)

    def remarks(self) -> list[str]:
        rows = TicketRemark.objects.of(self.tenant).order_by("id")
        return [f"{row.author}: {row.text}" for row in rows]

    def refusals(self) -> tuple[int, str]:
        row = Destination.objects.of(self.tenant).get(pk=self.row.pk)
        return row.callbacks_refused, row.last_refusal

    def events(self) -> list[str]:
        rows = IncidentEvent.objects.of(self.tenant).filter(incident=self.play.incident()).order_by("seq")
        return [f"{row.kind}: {row.text}" for row in rows]

    def sent_after(self, action: Any) -> int:
        """How many mails of ours an action brings about."""
        before = len(self.mailbox.kept)
        action()
        self.play.deliver()
        self.play.sweep()
        self.play.deliver()
        return len(self.mailbox.kept) - before
