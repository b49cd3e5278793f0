"""``/tickets/<uid>/calls`` and ``/tickets/<uid>/send-again``: what was sent and received, and having it sent again.

For keys of the whole tenant: destinations are its own. A reseller's key finds no calls and may send nothing again.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.call_queries import calls_within
from alerts.sending_again import send_again
from msp.api import queries
from msp.api.paging import NEWEST_FIRST
from msp.api.reading import StrictSerializer
from msp.api.resources.assignment import refuse_reseller
from msp.api.resources.base import ApiView, found
from msp.api.schema import WordField, described, page_example, page_of

DIRECTIONS = ("sent", "received")
WAYS = ("free", "hurry", "repeat")


class TicketCallSerializer(serializers.Serializer[Any]):
    """One request and its answer, one mail with its conversation, or one callback. Secrets were taken out."""

    uid = serializers.UUIDField()
    at = serializers.DateTimeField()
    direction = WordField(DIRECTIONS)
    action = serializers.CharField(help_text="What it was for: create, find, comment, close, reopen, look, callback.")
    method = serializers.CharField(help_text="Of HTTP; SMTP for a mail.")
    address = serializers.CharField()
    request_headers = serializers.DictField(
        child=serializers.CharField(), help_text="Only those that hold no credentials."
    )
    request = serializers.CharField(help_text="The body, cut; for what is no text its size.")
    status = serializers.IntegerField(allow_null=True, help_text="null: no answer came.")
    answer_headers = serializers.DictField(child=serializers.CharField())
    answer = serializers.CharField(help_text="Cut like the request; of a mail the conversation with the server.")
    verdict = serializers.CharField(help_text="Why no answer came, or what we made of a callback.")
    took_ms = serializers.IntegerField(allow_null=True)


class Again(StrictSerializer):
    """Nothing for a ticket that is stuck or waits."""

    seen_updates = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1,
        help_text="For a ticket that was told everything: its `updates` as you saw them, to confirm the repetition.",
    )  # fmt: skip


class AgainDone(serializers.Serializer[Any]):
    """What is done now."""

    done = WordField(WAYS, help_text="free: it was stuck; hurry: it waited; repeat: the last words are said once more.")


EXAMPLE: dict[str, Any] = {
    "uid": "5c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f",
    "at": "2026-11-23T22:00:09.120Z",
    "direction": "sent",
    "action": "create",
    "method": "POST",
    "address": "https://tickets.example/api/tickets",
    "request_headers": {"content-type": "application/json", "idempotency-key": "BL-7Q2M4K.create.1"},
    "request": '{"title": "Acme Dental: backup of files is overdue", "key": "…"}',
    "status": 201,
    "answer_headers": {"content-type": "application/json"},
    "answer": '{"id": 4711}',
    "verdict": "",
    "took_ms": 148,
}


class TicketCallsView(ApiView):
    @described(
        "List the calls about a ticket",
        "What was sent and received, newest first, without secrets; kept for a while only. Of looks that brought no "
        "news there is only the last. A reseller's key finds none.",
        name="tickets_calls",
        tag="Tickets",
        answer=page_of(TicketCallSerializer),
        shows=page_example(EXAMPLE),
        paged=True,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query(paged=True)
        reach = self.caller.reach
        ticket = found(queries.tickets(reach, {}).filter(uid=uid).first())
        return self.page(calls_within(reach, ticket.pk), NEWEST_FIRST, TicketCallSerializer)


class SendAgainView(ApiView):
    @described(
        "Send a ticket again",
        "One that is stuck or waits is tried now. Of one that was told everything the last words are repeated, as a "
        "message in the same ticket, if you confirm it with `seen_updates`. Never a second ticket, nothing after the "
        "closing.",
        name="tickets_send_again",
        tag="Tickets",
        answer=AgainDone,
        shows={"done": "hurry"},
        sends=Again,
        sent={},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        refuse_reseller(self.caller)
        ticket = found(queries.tickets(self.caller.reach, {}).filter(uid=uid).first())
        seen = self.body(Again).get("seen_updates")
        way = send_again(self.caller.tenant, ticket.pk, seen_seq=seen, actor=self.caller.actor, now=self.now)
        return Response(AgainDone({"done": way}).data)
