"""The page of a ticket shows how it stands in the other system; its people's words stay with the tenant's own staff."""

from __future__ import annotations

from datetime import timedelta

from alerts.models import Incident, IncidentEvent, Ticket, TicketRemark
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of, now


def write(stage: Stage, ticket: Ticket, incident: Incident) -> None:
    Ticket.objects.of(stage.world.tenant).filter(pk=ticket.pk).update(
        their_status="in progress", their_assignee="Tina Tech", looked_at=now() - timedelta(minutes=3)
    )
    TicketRemark.objects.of(stage.world.tenant).create(
        ticket=ticket, external_id="7", author="Tina Tech", text="Their disk is <b>old</b>, tell nobody.", read_at=now()
    )
    seq = 1 + IncidentEvent.objects.of(stage.world.tenant).filter(incident=incident).count()
    IncidentEvent.objects.of(stage.world.tenant).create(
        incident=incident, seq=seq + 100, at=now(), kind="ticket_message", text="Tina wrote: tell nobody."
    )


def test_status_person_and_words_stand_on_the_page(stage: Stage) -> None:
    write(stage, stage.ticket, stage.incident)
    browser = browser_of(stage.world.technician)
    page = browser.get(f"/tickets/{stage.ticket.uid}/").content.decode()
    assert "in progress" in page
    assert "Tina Tech" in page
    assert "Their disk is &lt;b&gt;old&lt;/b&gt;, tell nobody." in page
    assert "tell nobody" in browser.get(f"/incidents/{stage.incident.uid}/").content.decode()


def test_a_reseller_sees_how_it_stands_and_not_what_was_written(stage: Stage) -> None:
    write(stage, stage.resold_ticket, stage.resold_incident)
    browser = browser_of(stage.world.reseller_staff)
    ticket = browser.get(f"/tickets/{stage.resold_ticket.uid}/")
    incident = browser.get(f"/incidents/{stage.resold_incident.uid}/")
    assert (ticket.status_code, incident.status_code) == (200, 200)
    assert "in progress" in ticket.content.decode()
    assert "tell nobody" not in ticket.content.decode() + incident.content.decode()
