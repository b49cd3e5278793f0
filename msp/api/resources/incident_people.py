"""``/incidents/<uid>/assign``, ``unassign`` and ``accept``: what only people decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import acting
from alerts.models import Incident
from msp.api.reading import StrictSerializer
from msp.api.resources.incidents import DETAIL, Closing, IncidentAction, IncidentDetailSerializer, Nothing
from msp.api.schema import changed, described


class Assignee(StrictSerializer):
    person = serializers.EmailField(max_length=254, help_text="The mail address by which a member logs in.")


class AssignView(IncidentAction):
    takes = Assignee

    @described(
        "Assign an incident",
        "To a person of your company, by mail address. Others still see it, and nothing is told less.",
        name="incidents_assign",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=changed(DETAIL, assigned_to="tech@northwind.example", assigned_at="2026-11-24T08:00:00Z"),
        sends=Assignee,
        sent={"person": "tech@northwind.example"},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        return self.act(request, uid)

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        person = incident.assigned_to
        return incident.state == "open" and person is not None and person.email == values["person"].lower()

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.assign(self.caller.tenant, uid, person=values["person"], actor=self.caller.actor, now=self.now)


class UnassignView(IncidentAction):
    @described(
        "Take an assignment back",
        "Nobody in particular has it any more.",
        name="incidents_unassign",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=DETAIL,
        sends=Nothing,
        sent={},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        return self.act(request, uid)

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        return incident.state == "open" and incident.assigned_to_id is None

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.unassign(self.caller.tenant, uid, actor=self.caller.actor, now=self.now)


class AcceptView(IncidentAction):
    takes = Closing

    @described(
        "Accept an incident",
        "One that never closes by itself (`sticky`): a person looked at it and says why it is fine, and it closes.",
        name="incidents_accept",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=changed(DETAIL, sticky=True, state="closed", close_reason="Accepted by Ann: the archive moved."),
        sends=Closing,
        sent={"reason": "The archive moved to another server."},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        return self.act(request, uid)

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        return incident.state == "closed"

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.accept(self.caller.tenant, uid, actor=self.caller.actor, reason=values["reason"], now=self.now)
