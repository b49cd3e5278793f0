"""What technicians do: acknowledge, give back, put off, close, all at once; send a stuck ticket again."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.test import Client as Browser

from alerts.models import Destination, IncidentEvent
from msp.outbox.models import Lane
from msp.tenants.models import AuditEntry
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import PASSWORD

HTMX = {"HX-Request": "true"}


def test_acknowledging_in_place_answers_with_the_changed_row(stage: Stage) -> None:
    address = f"/incidents/{stage.incident.uid}/acknowledge/"
    response = browser_of(stage.world.technician).post(address, headers=HTMX)
    page = response.content.decode()
    assert response.status_code == 200
    assert page.lstrip().startswith("<article")
    assert "tech@northwind.example" in page
    assert "Give back" in page
    stage.incident.refresh_from_db()
    assert stage.incident.acknowledged_by == "tech@northwind.example"
    assert AuditEntry.objects.of(stage.world.tenant).filter(action="incident acknowledged").count() == 1


def test_acknowledging_with_note_and_end_is_kept_and_shown(stage: Stage) -> None:
    browser = browser_of(stage.world.technician)
    address = f"/incidents/{stage.incident.uid}/"
    response = browser.post(f"{address}acknowledge/", {"note": "Disk ordered", "until": "3d"}, follow=True)
    stage.incident.refresh_from_db()
    assert stage.incident.acknowledged_note == "Disk ordered"
    assert stage.incident.acknowledged_until is not None
    assert abs(stage.incident.acknowledged_until - scene.now() - timedelta(days=3)) < timedelta(minutes=1)
    assert "Disk ordered" in response.content.decode()


def test_an_incident_says_when_people_were_last_told(stage: Stage) -> None:
    address, told = f"/incidents/{stage.incident.uid}/", scene.now() - timedelta(days=3)
    browser = browser_of(stage.world.technician)
    for last, shown in ((told, False), (told + timedelta(days=2), True)):
        type(stage.incident).objects.of(stage.world.tenant).update(told_at=told, last_told_at=last)
        told_words = browser.get(address).content.decode().split("<dt>Told</dt>")[1].split("</dd>")[0]
        assert (", last " in told_words) is shown


def test_giving_back_needs_somebody_again(stage: Stage) -> None:
    browser = browser_of(stage.world.technician)
    browser.post(f"/incidents/{stage.incident.uid}/acknowledge/")
    browser.post(f"/incidents/{stage.incident.uid}/unacknowledge/")
    stage.incident.refresh_from_db()
    assert stage.incident.acknowledged_at is None


def test_putting_off_until_tomorrow_morning_is_eight_in_the_tenants_zone(stage: Stage) -> None:
    stage.world.tenant.timezone = "Europe/Berlin"
    stage.world.tenant.save()
    browser_of(stage.world.technician).post(f"/incidents/{stage.incident.uid}/snooze/", {"until": "morning"})
    stage.incident.refresh_from_db()
    assert stage.incident.snoozed_until is not None
    local = stage.incident.snoozed_until.astimezone(ZoneInfo("Europe/Berlin"))
    assert (local.hour, local.minute) == (8, 0)
    assert local.date() == scene.now().astimezone(ZoneInfo("Europe/Berlin")).date() + timedelta(days=1)


def test_putting_off_without_an_end_is_refused_with_a_sentence(stage: Stage) -> None:
    address = f"/incidents/{stage.incident.uid}/snooze/"
    response = browser_of(stage.world.technician).post(address, {"until": "forever"})
    assert response.status_code == 409
    assert "Choose until when it is put off." in response.content.decode()
    stranger = browser_of(stage.world.stranger).post(address, {"until": "forever"})
    assert stranger.status_code == 404


def test_closing_needs_a_reason_and_happens_once(stage: Stage) -> None:
    browser, address = browser_of(stage.world.technician), f"/incidents/{stage.incident.uid}/close/"
    assert browser.post(address, {"reason": "  "}).status_code == 409
    assert browser.post(address, {"reason": "Server scrapped"}).status_code == 302
    stage.incident.refresh_from_db()
    assert stage.incident.state == "closed"
    assert "Server scrapped" in stage.incident.close_reason
    again = browser.post(address, {"reason": "once more"})
    assert again.status_code == 409
    assert "closed already" in again.content.decode()


def test_several_at_once_and_only_those_within_the_wall(stage: Stage) -> None:
    other = scene.make_incident(stage.world.job, kind="no_recent_backup")
    ticked = [str(stage.incident.uid), str(other.uid), "not-an-id", "00000000-0000-4000-8000-000000000000"]
    form = {"item": ticked, "do": "acknowledge"}
    response = browser_of(stage.world.technician).post("/incidents/several/", form, follow=True)
    assert "2 incidents acknowledged." in response.content.decode()
    events = IncidentEvent.objects.of(stage.world.tenant).filter(kind="acknowledged")
    assert events.count() == 2
    assert browser_of(stage.world.stranger).post("/incidents/several/", form).status_code == 302
    assert events.count() == 2


def test_going_back_stays_within_our_pages(stage: Stage) -> None:
    browser, address = browser_of(stage.world.technician), f"/incidents/{stage.incident.uid}/acknowledge/"
    assert browser.post(address, {"back": "/incidents/?kind=errors"})["Location"] == "/incidents/?kind=errors"
    assert browser.post(address, {"back": "https://evil.example/"})["Location"] == f"/incidents/{stage.incident.uid}/"


def test_a_form_without_its_token_changes_nothing(stage: Stage) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(stage.world.technician, backend="django.contrib.auth.backends.ModelBackend")
    response = browser.post(f"/incidents/{stage.incident.uid}/acknowledge/")
    assert response.status_code == 403
    assert "This form is too old" in response.content.decode()
    stage.incident.refresh_from_db()
    assert stage.incident.acknowledged_at is None


def test_a_stuck_ticket_is_sent_again(stage: Stage) -> None:
    ticket = scene.make_ticket(stage.world.job, stuck=True)
    browser = browser_of(stage.world.technician)
    page = browser.get(f"/tickets/{ticket.uid}/").content.decode()
    assert "a person is needed" in page
    assert "HTTP 403: no" in page
    assert "Send again" in page
    assert browser.post(f"/tickets/{ticket.uid}/send-again/").status_code == 302
    lane = Lane.objects.of(stage.world.tenant).get(object_id=ticket.pk)
    assert (lane.stuck, lane.attempts) == (False, 0)
    assert lane.next_attempt_at is not None
    assert browser.post(f"/tickets/{ticket.uid}/send-again/").status_code == 409


def test_a_ticket_shows_what_was_told_and_tried(stage: Stage) -> None:
    page = browser_of(stage.world.technician).get(f"/tickets/{stage.ticket.uid}/").content.decode()
    assert page.count(">told<") == 1
    assert page.count(">not told yet<") == 1
    assert "permanent" in page
    assert "T-17" in page


def test_login_works_with_the_password(stage: Stage) -> None:
    browser = Browser()
    response = browser.post("/login/", {"username": "TECH@northwind.example", "password": PASSWORD})
    assert response.status_code == 302
    assert browser.get("/").status_code == 200


def test_a_person_says_whether_a_ticket_of_unknown_outcome_exists(stage: Stage) -> None:
    config = {"host": "mail.example", "sender": "robot@msp.example", "recipients": ["desk@tickets.example"]}
    ticket = scene.make_ticket(stage.world.job, stuck=True, confirmed_state="none", create_attempted_at=scene.now())
    Destination.objects.of(stage.world.tenant).filter(pk=ticket.destination_id).update(gateway="email", config=config)
    Lane.objects.of(stage.world.tenant).update(unknown=True)
    browser = browser_of(stage.world.technician)
    assert "Is the ticket there?" in browser.get(f"/tickets/{ticket.uid}/").content.decode()
    browser.post(f"/tickets/{ticket.uid}/looked-up/", {"exists": "yes"})
    ticket.refresh_from_db()
    assert ticket.confirmed_state == "open"
    assert ticket.external_id == f"<{ticket.reference}.0.create@msp.example>"
    assert not Lane.objects.of(stage.world.tenant).get(object_id=ticket.pk).stuck
    assert browser.post(f"/tickets/{ticket.uid}/looked-up/", {"exists": "yes"}).status_code == 409
    assert AuditEntry.objects.of(stage.world.tenant).filter(action="ticket looked up by hand").count() == 1
