"""A real django-helpdesk that is reached by mail alone, and answers by mail: out by SMTP, in by our listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from alerts.models import Destination, TicketRemark
from tests.alerts.test_ticket_flow import FAILED, Play
from tests.channels.running_listener import RunningListener
from tests.desks.django_helpdesk import SITE, DjangoHelpdesk
from tests.desks.mailed import mailed_destination, take_answers
from tests.doubles.mailbox import Mailbox
from tests.world import make_world

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


class MailedHelpdesk(DjangoHelpdesk):
    """One that reads a directory of mails and sends to our listener. It is never served."""

    def __init__(self, *, smtp_port: int) -> None:
        super().__init__()
        self._smtp_port = smtp_port

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "DESK_SMTP_PORT": str(self._smtp_port)}

    @contextmanager
    def prepared(self) -> Iterator[MailedHelpdesk]:
        try:
            (self.folder / "mailbox").mkdir()
            yield self
        finally:
            self._clear()

    def take(self, mail: bytes) -> None:
        (self.folder / "mailbox" / "new.eml").write_bytes(mail)
        self.does("take")
        assert not list((self.folder / "mailbox").iterdir()), "taken and removed"

    def does(self, *words: str) -> None:
        self.run(self.python, SITE / "mail.py", *words)


def seen(play: Play) -> Mapping[str, str]:
    return {row.author: row.text for row in TicketRemark.objects.of(play.world.tenant)}


def test_a_ticket_in_a_real_django_helpdesk_by_mail_alone(transactional_db: None) -> None:
    play = Play(make_world())
    with Mailbox() as smtp, RunningListener() as listener:
        config = {"recipients": ["backups@desk.example"], "system": "django-helpdesk"}
        mailed_destination(play, smtp, **config)
        with MailedHelpdesk(smtp_port=listener.port).prepared() as desk:
            play.run("failure", **FAILED)
            play.deliver()
            desk.take(smtp.kept[-1].content)
            assert take_answers(play) == 1, "its acknowledgement"
            assert play.ticket().their_number == "backups-1"
            assert play.ticket().confirmed_state == "open"

            desk.does("say", "1", "Replaced the disk.")
            assert take_answers(play) == 1
            assert "Replaced the disk." in " ".join(seen(play).values())
            assert play.ticket().confirmed_state == "open"

            sent = len(smtp.kept)
            desk.does("resolve", "1", "It works again.")
            take_answers(play)
            assert (play.ticket().confirmed_state, play.ticket().their_status) == ("closed", "Resolved")
            assert (play.incident().state, play.incident().acknowledged_by) == ("open", "email")
            play.deliver()
            assert len(smtp.kept) == sent
            assert Destination.objects.of(play.world.tenant).get().callbacks_refused == 0
