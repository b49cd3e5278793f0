"""The page of a ticket shows what was sent and received, harmlessly and to the tenant's own people; and sends again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from alerts.call_queries import MOST_SHOWN
from alerts.models import Destination, Ticket, TicketCall, TicketUpdate
from msp.outbox.models import Lane
from msp.tenants.models import AuditEntry
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of, now

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def make_call(ticket: Ticket, **values: Any) -> TicketCall:
    given = {
        "at": now(), "tried_at": now(), "direction": "sent", "action": "create", "method": "POST",
        "address": "https://desk.example/tickets", "request_headers": {"content-type": "application/json"},
        "request": '{"title": "Overdue"}', "status": 201, "answer_headers": {"server": "desk"},
        "answer": '{"id": 4711}', "took_ms": 148,
    } | values  # fmt: skip
    made: TicketCall = TicketCall.objects.of(ticket.tenant_id).create(ticket=ticket, **given)
    return made


def page_of(stage: Stage, ticket: Ticket, *, who: str = "technician") -> str:
    return str(browser_of(getattr(stage.world, who)).get(f"/tickets/{ticket.uid}/").content.decode())


def section(page: str) -> str:
    found = re.search(r'<section class="card calls">.*?</section>', page, re.S)
    assert found is not None
    return found[0]


def test_sent_and_received_stand_there_collapsed(stage: Stage) -> None:
    make_call(stage.ticket)
    make_call(stage.ticket, status=None, answer="", answer_headers={}, verdict="desk.example did not answer in time")
    make_call(stage.ticket, direction="received", action="callback", address="", status=None, verdict="Proven.")
    shown = section(page_of(stage, stage.ticket))
    assert shown.count("<details>") == 3
    assert "<details open" not in shown
    for words in ("content-type: application/json", "{&quot;id&quot;: 4711}", "148 ms", "no answer", "received",
                  "did not answer in time", "Proven.", "https://desk.example/tickets", "server: desk"):  # fmt: skip
        assert words in shown


def test_a_dry_run_is_not_called_a_failure(stage: Stage) -> None:
    Destination.objects.of(stage.world.tenant).filter(pk=stage.ticket.destination_id).update(dry_run=True)
    Lane.objects.of(stage.world.tenant).filter(kind="ticket", object_id=stage.ticket.pk).update(
        stuck=False, last_error="Dry run. Would open or update it.", wanted=9
    )
    page = page_of(stage, stage.ticket)
    assert "is in dry run" in page
    assert "last call failed" not in page


def test_what_others_sent_is_text_and_never_markup(stage: Stage) -> None:
    texts = dict.fromkeys(("address", "request", "answer", "verdict"), EVIL)
    make_call(stage.ticket, **texts, request_headers={EVIL: EVIL}, answer_headers={"server": EVIL})
    shown = section(page_of(stage, stage.ticket))
    assert "<script" not in shown
    assert "<img" not in shown
    assert shown.count("&lt;script&gt;alert(1)") == 7


def test_of_very_many_the_latest_are_shown_and_the_rest_counted(stage: Stage) -> None:
    for number in range(MOST_SHOWN + 3):
        make_call(stage.ticket, address=f"https://desk.example/{number}/")
    shown = section(page_of(stage, stage.ticket))
    assert shown.count("<details>") == MOST_SHOWN
    assert "3 earlier ones are kept" in shown
    assert "desk.example/0/" not in shown


def test_a_reseller_sees_nothing_of_what_goes_to_the_providers_own_system(stage: Stage) -> None:
    make_call(stage.resold_ticket)
    page = page_of(stage, stage.resold_ticket, who="reseller_staff")
    assert stage.resold_ticket.subject in page
    assert "desk.example/tickets" not in page
    assert "Sent and received" not in page
    assert "Calls that were made" not in page
    assert "desk.example/tickets" in page_of(stage, stage.resold_ticket)


def test_another_tenant_finds_no_such_ticket(stage: Stage) -> None:
    make_call(stage.ticket)
    answer = browser_of(stage.world.stranger).get(f"/tickets/{stage.ticket.uid}/")
    assert answer.status_code == 404
    assert "desk.example" not in answer.content.decode()


# --- sending again ----------------------------------------------------------------------------------------------------


def told(stage: Stage, **values: Any) -> Ticket:
    """A ticket of which everything was told."""
    ticket = scene.make_ticket(stage.world.job)
    seq = ticket.last_seq
    given = {"told_seq": seq, "confirmed_state": "open"} | values
    Ticket.objects.of(stage.world.tenant).filter(pk=ticket.pk).update(**given)
    Lane.objects.of(stage.world.tenant).filter(object_id=ticket.pk).delete()
    Lane.objects.of(stage.world.tenant).create(
        kind="ticket", object_id=ticket.pk, wanted=1, confirmed=1, updated_at=now()
    )
    Destination.objects.of(stage.world.tenant).update(enabled=True, dry_run=False, paused_at=None)
    return ticket


def test_the_last_words_are_repeated_after_a_confirmation(stage: Stage) -> None:
    ticket = told(stage)
    page = page_of(stage, ticket)
    assert "Say the last words once more" in page
    (seen,) = re.findall(r'name="seen" value="(\d+)"', page)
    browser = browser_of(stage.world.technician)
    assert browser.post(f"/tickets/{ticket.uid}/send-again/").status_code == 409, "not without the confirmation"
    updates = TicketUpdate.objects.of(stage.world.tenant).filter(ticket=ticket)
    before = updates.count()
    assert browser.post(f"/tickets/{ticket.uid}/send-again/", {"seen": seen}).status_code == 302
    assert browser.post(f"/tickets/{ticket.uid}/send-again/", {"seen": seen}).status_code == 409
    assert updates.count() == before + 1
    entry = AuditEntry.objects.of(stage.world.tenant).get(subject_kind="ticket", subject_id=ticket.pk)
    assert (entry.action, entry.actor) == ("last words of a ticket repeated", stage.world.technician.email)


@pytest.mark.parametrize("seen", ["", "x", "-1", "1e3", "²", "99999999999999999999"])
def test_a_confirmation_that_is_none_repeats_nothing(stage: Stage, seen: str) -> None:
    ticket = told(stage)
    answer = browser_of(stage.world.technician).post(f"/tickets/{ticket.uid}/send-again/", {"seen": seen})
    assert answer.status_code == 409


def test_a_waiting_one_offers_to_be_tried_now(stage: Stage) -> None:
    ticket = told(stage)
    lane = Lane.objects.of(stage.world.tenant).filter(object_id=ticket.pk)
    lane.update(wanted=2, next_attempt_at=now() + timedelta(hours=1), attempts=3, last_error="HTTP 503")
    assert "Try now" in page_of(stage, ticket)
    assert browser_of(stage.world.technician).post(f"/tickets/{ticket.uid}/send-again/").status_code == 302
    assert lane.get().next_attempt_at < now() + timedelta(minutes=1)


def test_a_closed_one_offers_nothing(stage: Stage) -> None:
    ticket = told(stage, confirmed_state="closed", wanted_state="closed")
    assert "send-again" not in page_of(stage, ticket)
    answer = browser_of(stage.world.technician).post(f"/tickets/{ticket.uid}/send-again/", {"seen": ticket.last_seq})
    assert answer.status_code == 409
    assert "would open it again" in answer.content.decode()


@pytest.mark.parametrize("who", ["reseller_staff", "billing", "stranger"])
def test_who_may_not_write_sends_nothing_again(stage: Stage, who: str) -> None:
    ticket = told(stage)
    answer = browser_of(getattr(stage.world, who)).post(f"/tickets/{ticket.uid}/send-again/", {"seen": ticket.last_seq})
    assert answer.status_code in (403, 404)
