"""``/tickets``: records in the other system, what we want them to be and what is confirmed there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.facts import SEVERITIES
from alerts.queries import TicketDetail, find_ticket
from msp.api import queries
from msp.api.paging import NEWEST_FIRST
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of

WANTED = ("open", "closed")
CONFIRMED = ("none", "open", "closed")


class TicketSerializer(serializers.Serializer[Any]):
    """A ticket."""

    uid = serializers.UUIDField()
    reference = serializers.CharField(help_text="Our own id, written into the ticket.")
    subject = serializers.CharField()
    severity = WordField(SEVERITIES)
    client = NamedSerializer(allow_null=True)
    destination = NamedSerializer()
    wanted_state = WordField(WANTED)
    confirmed_state = WordField(CONFIRMED, help_text="What the other system has confirmed.")
    external_id = serializers.CharField(help_text="Its id in the other system; of a mail its Message-ID.")
    external_number = serializers.CharField(
        source="their_number", help_text="The number that the other system gave a mail, where one told us."
    )
    external_url = serializers.CharField()
    opened_at = serializers.DateTimeField()
    created_there_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    updates = serializers.IntegerField(source="last_seq", help_text="Updates on our side.")
    updates_told = serializers.IntegerField(source="told_seq", help_text="How many of them are confirmed there.")
    needs_person = serializers.SerializerMethodField(help_text="Delivery has given up until somebody mends the cause.")

    def get_needs_person(self, ticket: Any) -> bool:
        return bool(ticket.lane_stuck)


class TicketUpdateSerializer(serializers.Serializer[Any]):
    """What happened to a ticket on our side."""

    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    text = serializers.CharField()
    told = serializers.BooleanField(help_text="Confirmed by the other system.")


class TicketDetailSerializer(TicketSerializer):
    """A ticket with its updates, the incidents in it and why delivery fails, if it does."""

    history = serializers.SerializerMethodField()
    incidents = serializers.SerializerMethodField()
    last_error = serializers.SerializerMethodField(help_text="Empty for a reseller's key.")

    @property
    def _detail(self) -> TicketDetail:
        detail: TicketDetail = self.context["detail"]
        return detail

    @extend_schema_field(TicketUpdateSerializer(many=True))
    def get_history(self, ticket: Any) -> list[Any]:
        oldest_first = sorted(self._detail.updates, key=lambda update: update.seq)
        return [TicketUpdateSerializer(update).data for update in oldest_first]

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_incidents(self, ticket: Any) -> list[str]:
        return [str(incident.uid) for incident in self._detail.incidents]

    def get_last_error(self, ticket: Any) -> str:
        return self._detail.row.last_error if self.context["whole"] else ""


class TicketFilters(StrictSerializer):
    state = WordField(WANTED, required=False)
    client = serializers.UUIDField(required=False)
    external_id = serializers.CharField(required=False, help_text="Exactly this number of the other system.")


EXAMPLE = {
    "uid": "77c0b5d4-6e3f-4a2b-9c1d-0e9f8a7b6c5d",
    "reference": "BL-7Q2M4K",
    "subject": "Acme Dental: backup of files is overdue",
    "severity": "critical",
    "client": {"uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d", "name": "Acme Dental"},
    "destination": {"uid": "1e2d3c4b-5a69-4788-9697-a6b5c4d3e2f1", "name": "Helpdesk"},
    "wanted_state": "open",
    "confirmed_state": "open",
    "external_id": "4711",
    "external_number": "",
    "external_url": "https://tickets.example/4711",
    "opened_at": "2026-11-23T22:00:04Z",
    "created_there_at": "2026-11-23T22:00:09Z",
    "closed_at": None,
    "updates": 1,
    "updates_told": 1,
    "needs_person": False,
}
UPDATE = {"seq": 1, "at": "2026-11-23T22:00:04Z", "kind": "opened", "text": "A backup is overdue.", "told": True}


class TicketsView(ApiView):
    @described(
        "List tickets",
        "Newest first. A reseller's key sees those of its clients.",
        name="tickets_list",
        tag="Tickets",
        answer=page_of(TicketSerializer),
        shows=page_example(EXAMPLE),
        query=TicketFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        rows = queries.tickets(self.caller.reach, self.query(TicketFilters, paged=True))
        return self.page(rows, NEWEST_FIRST, TicketSerializer)


class TicketView(ApiView):
    @described(
        "Get a ticket",
        "One ticket with what was told and the incidents in it.",
        name="tickets_get",
        tag="Tickets",
        answer=TicketDetailSerializer,
        shows=changed(EXAMPLE, history=[UPDATE], incidents=["2b9d4f60-1c7e-4a3f-9e8d-7c6b5a493827"], last_error=""),
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        reach = self.caller.reach
        ticket = found(queries.tickets(reach, {}).filter(uid=uid).first())
        detail = found(find_ticket(reach, uid, now=self.now))
        shown = TicketDetailSerializer(ticket, context={"detail": detail, "whole": reach.whole_tenant})
        return Response(shown.data)
