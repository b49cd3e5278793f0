"""What was sent and received about a ticket, by the API; and having a ticket sent again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.models import Ticket, TicketCall
from msp.outbox.lanes import mark
from msp.outbox.models import Lane
from msp.tenants.models import AuditEntry
from tests.api.conftest import NOW, Caller, Callers
from tests.api.things import Things
from tests.world import World


def make_call(ticket: Ticket, number: int = 1) -> TicketCall:
    made: TicketCall = TicketCall.objects.of(ticket.tenant_id).create(
        ticket=ticket, at=NOW, tried_at=NOW, direction="sent", action="create", method="POST",
        address=f"https://desk.example/tickets?number={number}", request_headers={"accept": "application/json"},
        request='{"title": "x"}', status=201, answer='{"id": 7}', took_ms=12,
    )  # fmt: skip
    return made


def test_calls_are_listed_newest_first_by_pages(api: Caller, things: Things) -> None:
    for number in range(3):
        make_call(things.own.ticket, number)
    make_call(things.resold.ticket, 9)
    first = api.get(f"/tickets/{things.own.ticket.uid}/calls?limit=2").json()
    assert [row["address"][-1] for row in first["items"]] == ["2", "1"]
    last = api.get(first["next"]).json()
    assert ([row["address"][-1] for row in last["items"]], last["next"]) == (["0"], None)
    row = last["items"][0]
    assert (row["direction"], row["action"], row["method"], row["status"]) == ("sent", "create", "POST", 201)
    assert (row["request_headers"], row["answer"]) == ({"accept": "application/json"}, '{"id": 7}')


def test_nobody_else_sees_them(callers: Callers, things: Things) -> None:
    make_call(things.own.ticket)
    make_call(things.resold.ticket)
    own, resold = f"/tickets/{things.own.ticket.uid}/calls", f"/tickets/{things.resold.ticket.uid}/calls"
    assert callers.reseller.get(resold).json()["items"] == [], "the destination is the provider's own"
    assert callers.reseller.get(own).status_code == 404
    assert callers.stranger.get(own).status_code == 404
    assert callers.biller.get(own).status_code == 403
    assert callers.nobody.get(own).status_code == 401
    assert len(callers.reader.get(own).json()["items"]) == 1


def test_what_waits_is_tried_now(api: Caller, things: Things, world: World) -> None:
    ticket = things.own.ticket
    mark(world.tenant.pk, "ticket", [ticket.pk], now=NOW + timedelta(hours=1))
    answer = api.post(f"/tickets/{ticket.uid}/send-again")
    assert (answer.status_code, answer.json()) == (200, {"done": "hurry"})
    assert Lane.objects.of(world.tenant).get(object_id=ticket.pk).next_attempt_at < NOW + timedelta(minutes=1)
    assert AuditEntry.objects.of(world.tenant).filter(action="ticket tried at once", subject_id=ticket.pk).count() == 1


def test_the_last_words_are_repeated_only_when_confirmed(api: Caller, things: Things, world: World) -> None:
    ticket = things.own.ticket
    mark(world.tenant.pk, "ticket", [ticket.pk], now=NOW)
    Lane.objects.of(world.tenant).update(confirmed=1, next_attempt_at=None)
    Ticket.objects.of(world.tenant).filter(pk=ticket.pk).update(told_seq=1, confirmed_state="open")
    assert api.post(f"/tickets/{ticket.uid}/send-again").status_code == 409
    answer = api.post(f"/tickets/{ticket.uid}/send-again", {"seen_updates": 1})
    assert answer.json() == {"done": "repeat"}
    assert api.get(f"/tickets/{ticket.uid}").json()["history"][-1]["kind"] == "reminder"


@pytest.mark.parametrize("who", ["reseller", "stranger"])
def test_others_send_nothing_again(who: str, callers: Callers, things: Things, world: World) -> None:
    mark(world.tenant.pk, "ticket", [things.resold.ticket.pk], now=NOW + timedelta(hours=1))
    caller: Caller = getattr(callers, who)
    assert caller.post(f"/tickets/{things.resold.ticket.uid}/send-again").status_code == 404
    assert callers.reader.post(f"/tickets/{things.resold.ticket.uid}/send-again").status_code == 403
