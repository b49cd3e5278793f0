"""The page of a mail destination shows where answers come back to and what was refused; the ticket its number there."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from alerts.models import Destination, Ticket
from msp.channels.ticket_mail import AnswerTo, read_address
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.dashboard.test_settings_pages import text_of
from tests.integrations.tickets.configs import email_json
from tests.world import World

pytestmark = pytest.mark.django_db


def destination(world: World, **config: Any) -> Destination:
    row: Destination = Destination.objects.of(world.tenant).create(
        name="Desk", gateway="email", config=email_json(25, **config), created_at=scene.now()
    )
    return row


def page_of(world: World, row: Destination) -> str:
    return text_of(browser_of(world.owner).get(reverse("destination", args=[row.uid])))


@pytest.mark.parametrize(
    ("config", "begin", "end"),
    [
        ({"replies": "listener"}, "reply+d", "@localhost"),
        ({"replies": "mailbox", "reply_mailbox": "Backups <backups@msp.example>"}, "backups+d", "@msp.example"),
    ],
)
def test_the_address_for_the_ticket_system_is_shown_and_proves_itself(
    world: World, config: dict[str, Any], begin: str, end: str
) -> None:
    row = destination(world, **config)
    [shown] = [word for word in page_of(world, row).split() if word.startswith(begin) and word.endswith(end)]
    assert read_address(shown) == AnswerTo(world.tenant.pk, "", row.pk)


def test_a_destination_without_answers_says_how_to_have_them(world: World) -> None:
    page = page_of(world, destination(world))
    assert "No answers are taken." in page
    assert "reply+" not in page


def test_what_was_refused_stands_there_with_the_last_reason(world: World) -> None:
    row = destination(world, replies="listener")
    Destination.objects.of(world.tenant).update(callbacks_refused=1, last_refusal="x@y is not among those who may.")
    assert "1 mail refused so far. The last: x@y is not among those who may." in page_of(world, row)


def test_the_form_stores_who_may_answer_and_refuses_what_is_no_address(world: World) -> None:
    owner, row = browser_of(world.owner), destination(world)
    address = reverse("destination", args=[row.uid])
    typed = {"name": "Desk", "enabled": "yes", "on_persist": "reopen", "persist_hours": "24", "host": "m.example",
             "sender": "b@m.example", "recipients": "desk@m.example", "port": "25", "security": "none",
             "readers": "intake", "auto_submitted": "by-reader", "replies": "listener", "system": "rt",
             "reply_senders": "@m.example, tina@n.example", "reply_commands": "yes"}  # fmt: skip
    assert owner.post(address, typed).status_code == 302
    stored = Destination.objects.of(world.tenant).get().config
    assert (stored["replies"], stored["system"], stored["reply_commands"]) == ("listener", "rt", True)
    assert stored["reply_senders"] == ["@m.example", "tina@n.example"]
    for wrong in (
        {"reply_senders": "nobody"},
        {"replies": "mailbox"},
        {"replies": "mailbox", "reply_mailbox": "a+b@c.d"},
    ):
        assert owner.post(address, typed | wrong).status_code == 422, wrong
    assert Destination.objects.of(world.tenant).get().config == stored


def test_the_ticket_shows_its_number_there_and_not_the_id_of_a_mail(stage: Stage) -> None:
    Ticket.objects.of(stage.world.tenant).filter(pk=stage.ticket.pk).update(their_number="rt.test #7")
    page = text_of(browser_of(stage.world.technician).get(f"/tickets/{stage.ticket.uid}/"))
    assert "Number there rt.test #7" in " ".join(page.split())
