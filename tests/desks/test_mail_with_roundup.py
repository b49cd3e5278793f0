"""A real Roundup that is reached by mail alone, and answers by mail: out by SMTP, in by our listener.

Its mail program takes what our SMTP server's double was given; what it sends goes over SMTP to our real listener.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alerts.models import Destination, IncidentEvent, TicketRemark
from tests.alerts.test_ticket_flow import FAILED, Play
from tests.channels.running_listener import RunningListener
from tests.desks.mailed import mailed_destination, sender_of, take_answers
from tests.desks.roundup import Roundup
from tests.doubles.mailbox import Mailbox
from tests.world import make_world

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TINA = "tina@desk.example"


class MailedRoundup(Roundup):
    """One that sends its mails to our listener. It is never served: its mail program alone is run."""

    def __init__(self, *, smtp_port: int, our_address: str) -> None:
        super().__init__()
        self._smtp_port = smtp_port
        self._our_address = our_address

    @contextmanager
    def prepared(self) -> Iterator[MailedRoundup]:
        try:
            self.prepare()
            self._admin("set", "user3", f"address={self._our_address}")
            yield self
        finally:
            self._clear()

    def _configure(self, path: Path) -> None:
        super()._configure(path)
        text, changed = re.subn(r"(?m)^debug = .*mail\.txt$", "debug =", path.read_text())
        text, more = re.subn(r"(?m)^port = 25$", f"port = {self._smtp_port}", text)
        assert (changed, more) == (1, 1)
        path.write_text(text)

    def take(self, mail: str) -> None:
        self.run(self._program("roundup-mailgw"), "tracker", answer=mail)

    def status_of(self, issue: str) -> str:
        """As its own administration program tells it."""
        program = self._program("roundup-admin")
        status = self.run(program, "-i", "tracker", "get", "status", issue).strip()
        return self.run(program, "-i", "tracker", "get", "name", f"status{status}").strip()

    def tina_writes(self, text: str, *, subject: str) -> None:
        self.take(f"From: Tina <{TINA}>\nTo: issue_tracker@desk.example\nSubject: {subject}\n\n{text}\n")


@pytest.fixture
def play(transactional_db: None) -> Play:
    return Play(make_world())


ROUNDUP = {
    "recipients": ["issue_tracker@desk.example"], "system": "roundup", "close_subject": "[status=resolved]",
}  # fmt: skip


def test_a_ticket_in_a_real_roundup_by_mail_alone(play: Play) -> None:
    with Mailbox() as smtp, RunningListener() as listener:
        row = mailed_destination(play, smtp, **ROUNDUP)
        with MailedRoundup(smtp_port=listener.port, our_address=sender_of(row)).prepared() as tracker:
            play.run("failure", **FAILED)
            play.deliver()
            tracker.take(smtp.kept[-1].content.decode())

            tracker.tina_writes("Replaced the disk.", subject="Re: [issue1]")
            assert take_answers(play) == 1
            ticket = play.ticket()
            assert (ticket.their_number, ticket.confirmed_state) == ("issue1", "open")
            [remark] = TicketRemark.objects.of(play.world.tenant)
            assert "Replaced the disk." in remark.text
            assert remark.author == "Tina Tech"

            tracker.tina_writes("Done.", subject="[issue1] [status=resolved]")
            take_answers(play)
            ticket, incident = play.ticket(), play.incident()
            assert (ticket.confirmed_state, ticket.their_status) == ("closed", "resolved")
            assert (incident.state, incident.acknowledged_by) == ("open", "email")
            events = IncidentEvent.objects.of(play.world.tenant).filter(incident=incident)
            assert events.filter(kind="ticket_message").count() == 2

            sent = len(smtp.kept)
            play.run("success")
            play.deliver()
            assert (play.incident().state, len(smtp.kept)) == ("closed", sent), "a mail would open it there again"
            assert Destination.objects.of(play.world.tenant).get().callbacks_refused == 0


def test_our_closing_mail_closes_it_there_by_its_own_number(play: Play) -> None:
    with Mailbox() as smtp, RunningListener() as listener:
        row = mailed_destination(play, smtp, **ROUNDUP)
        with MailedRoundup(smtp_port=listener.port, our_address=sender_of(row)).prepared() as tracker:
            play.run("failure", **FAILED)
            play.deliver()
            tracker.take(smtp.kept[-1].content.decode())
            tracker.tina_writes("On it.", subject="[issue1]")
            take_answers(play)
            play.run("success")
            play.deliver()
            assert str(smtp.messages()[-1]["Subject"]).startswith("[issue1] [BL-")
            tracker.take(smtp.kept[-1].content.decode())
            assert tracker.status_of("issue1") == "resolved"
            assert take_answers(play) == 0, "it tells its author nothing of his own mail"
