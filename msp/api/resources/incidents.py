"""``/incidents``: problems that persist, and what people do about them. A repeated action changes nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import acting
from alerts.facts import SEVERITIES
from alerts.models import Incident
from alerts.queries import find_incident
from alerts.rules import RULES
from msp.api import queries
from msp.api.paging import NEWEST_FIRST
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of

STATES = ("open", "closed")
#: Nothing is put off for longer: somebody should look again.
LONGEST = timedelta(days=366)


class IncidentTicketSerializer(serializers.Serializer[Any]):
    """The ticket that an incident is told in."""

    uid = serializers.UUIDField()
    reference = serializers.CharField()
    external_id = serializers.CharField(help_text="Its number in the other system; empty until that is confirmed.")
    external_url = serializers.CharField()


class IncidentSerializer(serializers.Serializer[Any]):
    """An incident."""

    uid = serializers.UUIDField()
    kind = serializers.CharField(help_text="The rule that found it; see /rules.")
    severity = WordField(SEVERITIES)
    state = WordField(STATES)
    summary = serializers.CharField()
    subject_kind = serializers.CharField(help_text="What it is about: job, client, server, tenant and so on.")
    client = NamedSerializer(allow_null=True)
    job = serializers.UUIDField(source="job_uid", allow_null=True)
    selection = serializers.UUIDField(source="selection_uid", allow_null=True)
    server = serializers.CharField(source="server_name", allow_null=True)
    since = serializers.DateTimeField(help_text="When the problem began.")
    opened_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    seen_count = serializers.IntegerField()
    reopened_count = serializers.IntegerField()
    told_at = serializers.DateTimeField(allow_null=True, help_text="When a delivery to people was confirmed.")
    last_told_at = serializers.DateTimeField(allow_null=True, help_text="The newest telling or reminder confirmed.")
    tell_after = serializers.DateTimeField(allow_null=True, help_text="Nobody is told before.")
    untold_reason = serializers.CharField(help_text="Why nobody was told yet.")
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField()
    acknowledged_until = serializers.DateTimeField(allow_null=True)
    acknowledged_note = serializers.CharField()
    snoozed_until = serializers.DateTimeField(allow_null=True)
    silenced_until = serializers.DateTimeField(allow_null=True)
    cause = serializers.UUIDField(
        source="cause.uid", default=None, allow_null=True, help_text="The incident it is kept under."
    )
    assigned_to = serializers.CharField(
        source="assigned_to.email", default=None, allow_null=True, help_text="Whose it is."
    )
    assigned_at = serializers.DateTimeField(allow_null=True)
    sticky = serializers.BooleanField(help_text="It closes only when a person accepts it with a reason.")
    clear_proposed_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when its rule finds nothing any more: it waits to be accepted."
    )
    clear_reason = serializers.CharField()
    calm_since = serializers.DateTimeField(
        allow_null=True, help_text="It came back too often: gone since then, watched for a while before it closes."
    )
    escalated = serializers.CharField(help_text="The severity that its age alone has brought it to; mostly empty.")
    escalate_at = serializers.DateTimeField(allow_null=True, help_text="When its severity rises with age.")
    closed_at = serializers.DateTimeField(allow_null=True)
    close_reason = serializers.CharField()
    ticket = IncidentTicketSerializer(allow_null=True)


class EventSerializer(serializers.Serializer[Any]):
    """One change of an incident, with its reason in words."""

    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    text = serializers.CharField()
    actor = serializers.CharField()


class IncidentDetailSerializer(IncidentSerializer):
    """An incident with what it rests on and its history."""

    evidence = serializers.DictField(help_text="The figures the finding rests on.")
    lines = serializers.ListField(child=serializers.CharField(), help_text="The telling lines of the log.")
    events = serializers.SerializerMethodField()

    @staticmethod
    def _events(history: Any) -> list[dict[str, Any]]:
        return [dict(EventSerializer(event).data) for event in history]

    def get_events(self, incident: Incident) -> list[dict[str, Any]]:
        return self._events(self.context["events"])


class IncidentFilters(StrictSerializer):
    state = WordField(STATES, required=False)
    kind = WordField(tuple(RULES), required=False)
    severity = WordField(SEVERITIES, required=False)
    client = serializers.UUIDField(required=False)
    job = serializers.UUIDField(required=False)
    since = serializers.DateTimeField(required=False, help_text="Opened then or later.")


class Acknowledgement(StrictSerializer):
    note = serializers.CharField(default="", allow_blank=True, max_length=2000)
    until = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Speak up again then if it is still there; null: when it ends."
    )


class Snooze(StrictSerializer):
    until = serializers.DateTimeField()
    note = serializers.CharField(default="", allow_blank=True, max_length=2000)


class Closing(StrictSerializer):
    reason = serializers.CharField(max_length=2000, help_text="Kept with the incident.")


class Nothing(StrictSerializer):
    """No values."""


EXAMPLE: dict[str, Any] = {
    "uid": "2b9d4f60-1c7e-4a3f-9e8d-7c6b5a493827",
    "kind": "no_recent_backup",
    "severity": "critical",
    "state": "open",
    "summary": "No good backup since Friday 20 November 22:14; one was due on Monday 23 November 22:00.",
    "subject_kind": "job",
    "client": {"uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d", "name": "Acme Dental"},
    "job": "3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
    "selection": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d",
    "server": "backup01",
    "since": "2026-11-23T22:00:00Z",
    "opened_at": "2026-11-23T22:00:04Z",
    "last_seen_at": "2026-11-24T22:00:02Z",
    "seen_count": 2,
    "reopened_count": 0,
    "told_at": "2026-11-23T22:00:09Z",
    "last_told_at": "2026-11-23T22:00:09Z",
    "tell_after": None,
    "untold_reason": "",
    "acknowledged_at": None,
    "acknowledged_by": "",
    "acknowledged_until": None,
    "acknowledged_note": "",
    "snoozed_until": None,
    "silenced_until": None,
    "cause": None,
    "assigned_to": None,
    "assigned_at": None,
    "sticky": False,
    "clear_proposed_at": None,
    "clear_reason": "",
    "calm_since": None,
    "escalated": "",
    "escalate_at": None,
    "closed_at": None,
    "close_reason": "",
    "ticket": {
        "uid": "77c0b5d4-6e3f-4a2b-9c1d-0e9f8a7b6c5d",
        "reference": "BL-7Q2M4K",
        "external_id": "4711",
        "external_url": "https://tickets.example/4711",
    },
}
EVENT = {"seq": 1, "at": "2026-11-23T22:00:04Z", "kind": "opened", "text": "Opened: a backup is overdue.", "actor": ""}
DETAIL = changed(EXAMPLE, evidence={"last_good_at": "2026-11-20T21:14:09Z"}, lines=[], events=[EVENT])


class IncidentsView(ApiView):
    @described(
        "List incidents",
        "Newest first, open and closed ones unless `state` is given. A reseller's key sees those of its clients.",
        name="incidents_list",
        tag="Incidents",
        answer=page_of(IncidentSerializer),
        shows=page_example(EXAMPLE, path="incidents"),
        query=IncidentFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        rows = queries.incidents(self.caller.reach, self.query(IncidentFilters, paged=True))
        return self.page(rows, NEWEST_FIRST, IncidentSerializer)


class IncidentBase(ApiView):
    """A view of one incident."""

    def find(self, uid: UUID) -> Any:
        """The incident within reach, or 404."""
        return found(queries.incidents(self.caller.reach, {}).filter(uid=uid).first())

    def show(self, uid: UUID) -> Response:
        incident = self.find(uid)
        detail = found(find_incident(self.caller.reach, uid))
        events = sorted(detail.events, key=lambda event: event.seq)
        return Response(IncidentDetailSerializer(incident, context={"events": events}).data)


class IncidentView(IncidentBase):
    @described(
        "Get an incident",
        "One incident with the figures it rests on and its history.",
        name="incidents_get",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=DETAIL,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return self.show(uid)


class IncidentAction(IncidentBase):
    """POST: checks the body, acts unless that is done already, shows the incident."""

    takes: type[StrictSerializer] = Nothing

    def act(self, request: Request, uid: UUID) -> Response:
        self.query()
        incident = self.find(uid)
        values = self.body(self.takes)
        self.refuse_far(values.get("until"))
        if not self.is_done(incident, values):
            self.apply_once(uid, values)
        return self.show(uid)

    def apply_once(self, uid: UUID, values: Mapping[str, Any]) -> None:
        """Act; what the same request did a moment ago is no refusal."""
        try:
            self.apply(uid, values)
        except acting.CannotAct:
            if not self.is_done(self.find(uid), values):
                raise

    def refuse_far(self, until: datetime | None) -> None:
        if until is not None and until > self.now + LONGEST:
            raise serializers.ValidationError({"until": ["Choose a time within a year from now."]})

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        """Whether a repeat of this very action would find it done."""
        raise NotImplementedError

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        raise NotImplementedError


class AcknowledgeView(IncidentAction):
    takes = Acknowledgement

    @described(
        "Acknowledge an incident",
        "Somebody has it in hand: nobody else is told until it ends, or until the time you give.",
        name="incidents_acknowledge",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=changed(DETAIL, acknowledged_at="2026-11-24T08:00:00Z", acknowledged_note="Disk is on its way."),
        sends=Acknowledgement,
        sent={"note": "Disk is on its way.", "until": "2026-11-26T08:00:00Z"},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        return self.act(request, uid)

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        same = (incident.acknowledged_note, incident.acknowledged_until) == (values["note"], values["until"])
        return incident.state == "open" and incident.acknowledged_at is not None and same

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.acknowledge(self.caller.tenant, uid, actor=self.caller.actor, now=self.now, **values)


class UnacknowledgeView(IncidentAction):
    @described(
        "Take an acknowledgement back",
        "Whoever would be told without it is told again.",
        name="incidents_unacknowledge",
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
        return incident.state == "open" and incident.acknowledged_at is None

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.unacknowledge(self.caller.tenant, uid, actor=self.caller.actor, now=self.now)


class SnoozeView(IncidentAction):
    takes = Snooze

    @described(
        "Snooze an incident",
        "Nobody is told before `until`; then it speaks up again if it is still there.",
        name="incidents_snooze",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=changed(DETAIL, snoozed_until="2026-11-25T08:00:00Z"),
        sends=Snooze,
        sent={"until": "2026-11-25T08:00:00Z"},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        return self.act(request, uid)

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        return incident.state == "open" and incident.snoozed_until == values["until"]

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.snooze(self.caller.tenant, uid, actor=self.caller.actor, now=self.now, **values)


class CloseView(IncidentAction):
    takes = Closing

    @described(
        "Close an incident",
        "By hand, with a reason; only a new occurrence opens it again. Closing a closed one changes nothing.",
        name="incidents_close",
        tag="Incidents",
        answer=IncidentDetailSerializer,
        shows=changed(DETAIL, state="closed", closed_at="2026-11-24T08:00:00Z", close_reason="Closed: server retired."),
        sends=Closing,
        sent={"reason": "Server retired."},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        return self.act(request, uid)

    def is_done(self, incident: Incident, values: Mapping[str, Any]) -> bool:
        return incident.state == "closed"

    def apply(self, uid: UUID, values: Mapping[str, Any]) -> None:
        acting.close_by_hand(self.caller.tenant, uid, actor=self.caller.actor, reason=values["reason"], now=self.now)
