"""``/silences``: windows in which incidents open but nobody is told, once or by a schedule.

They concern what belongs to everybody (servers, volumes, the tenant), so that a reseller's key finds none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import SILENCED, Silence
from alerts.planning import recurrence_of
from alerts.recurring import windows_of
from alerts.silencing import MODELS, MOST_MINUTES, SilenceValues, end_silence, preview_silence, set_silence
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.schema import WordField, changed, described, page_example, page_of


class SilenceSerializer(serializers.Serializer[Any]):
    """A silence. Without a schedule it lasts from its begin to its end."""

    uid = serializers.UUIDField()
    scope = WordField(SILENCED, source="scope_kind")
    scope_uid = serializers.UUIDField(allow_null=True, help_text="Of what is quiet; null for the tenant.")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    schedule = serializers.CharField(help_text="When each window begins; empty: once.")
    minutes = serializers.IntegerField(allow_null=True, help_text="How long each window of a recurring one is.")
    timezone = serializers.CharField(help_text="Of the schedule.")
    reason = serializers.CharField()
    created_by = serializers.CharField()
    quiet_now = serializers.BooleanField(help_text="Whether one of its windows is open.")


class WindowSerializer(serializers.Serializer[Any]):
    """One window."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class SilencePreviewSerializer(serializers.Serializer[Any]):
    """The next windows, at most five, and a sentence where it is quiet for long in all."""

    windows = WindowSerializer(many=True)
    warning = serializers.CharField()


class SilenceFilters(StrictSerializer):
    scope = WordField(SILENCED, required=False)


class SilenceWanted(StrictSerializer):
    """A window, or many by a schedule within ``starts_at`` and ``ends_at``."""

    scope = WordField(SILENCED)
    scope_uid = serializers.UUIDField(default=None, allow_null=True, help_text="Left out for the tenant.")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    schedule = serializers.CharField(
        default="", allow_blank=True, max_length=120, help_text="Such as sun 02:00, every 12h or five fields of cron."
    )
    minutes = serializers.IntegerField(default=None, allow_null=True, min_value=1, max_value=MOST_MINUTES)
    timezone = serializers.CharField(
        default="", allow_blank=True, max_length=64, help_text="Of the schedule; empty: the tenant's."
    )
    reason = serializers.CharField(max_length=2000)


class Nothing(StrictSerializer):
    """No values."""


SILENCE: dict[str, Any] = {
    "uid": "5d1f7a30-3a52-4d0b-9a8e-2d6e0c1b7f44",
    "scope": "server",
    "scope_uid": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21",
    "starts_at": "2026-11-23T08:00:00Z",
    "ends_at": "2027-11-23T08:00:00Z",
    "schedule": "sun 02:00",
    "minutes": 240,
    "timezone": "Europe/Berlin",
    "reason": "Updates on Sunday nights.",
    "created_by": "API key program",
    "quiet_now": False,
}
SENT: dict[str, Any] = {
    name: value for name, value in SILENCE.items() if name not in ("uid", "created_by", "quiet_now")
}
WINDOWS = {
    "windows": [{"starts_at": "2026-11-29T01:00:00Z", "ends_at": "2026-11-29T05:00:00Z"}],
    "warning": "",
}


class SilenceBase(ApiView):
    """What the views of silences share."""

    def rows(self) -> QuerySet[Any]:
        """The tenant's silences; none for a reseller's key."""
        rows = Silence.objects.of(self.caller.tenant)
        return rows if self.caller.reach.whole_tenant else rows.none()

    def asked(self) -> SilenceValues:
        """The body, with the row that it names. Raises ValidationError."""
        if not self.caller.reach.whole_tenant:
            found(None)
        body = self.body(SilenceWanted)
        return SilenceValues(
            scope_kind=body["scope"],
            scope_id=self.scope_id(body),
            starts_at=body["starts_at"],
            ends_at=body["ends_at"],
            schedule=body["schedule"],
            minutes=body["minutes"],
            zone=body["timezone"],
            reason=body["reason"],
        )

    def scope_id(self, body: Mapping[str, Any]) -> int:
        kind, uid = body["scope"], body["scope_uid"]
        if kind == "tenant":
            return self.caller.tenant.pk
        row = MODELS[kind].objects.of(self.caller.tenant).filter(uid=uid).first() if uid else None
        if row is None:
            raise serializers.ValidationError({"scope_uid": [f"There is no such {kind}."]})
        scope_id: int = row.pk
        return scope_id

    def dressed(self, rows: list[Any]) -> list[dict[str, Any]]:
        """With the uids of what they silence: one query a kind."""
        uids: dict[tuple[str, int], UUID] = {}
        for kind, model in MODELS.items():
            wanted = {row.scope_id for row in rows if row.scope_kind == kind}
            known = model.objects.of(self.caller.tenant).filter(pk__in=wanted) if wanted else ()
            uids |= {(kind, one.pk): one.uid for one in known}
        same = ("uid", "scope_kind", "starts_at", "ends_at", "schedule", "minutes", "timezone", "reason", "created_by")
        return [
            {name: getattr(row, name) for name in same}
            | {"scope_uid": uids.get((row.scope_kind, row.scope_id)), "quiet_now": self.is_quiet(row)}
            for row in rows
        ]

    def is_quiet(self, row: Silence) -> bool:
        return any(window.covers(self.now) for window in windows_of(recurrence_of(row), now=self.now))

    def show(self, row: Silence, *, status: int = 200) -> Response:
        return Response(SilenceSerializer(self.dressed([row])[0]).data, status=status)


class SilencesView(SilenceBase):
    @described(
        "List silences",
        "In the order in which they were set, over ones too.",
        name="silences_list",
        tag="Silences",
        answer=page_of(SilenceSerializer),
        shows=page_example(SILENCE, path="silences"),
        query=SilenceFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        asked = self.query(SilenceFilters, paged=True)
        rows = self.rows().filter(scope_kind=asked["scope"]) if "scope" in asked else self.rows()
        return self.page(rows, BY_ID, SilenceSerializer, dressed=self.dressed)

    @described(
        "Set a silence",
        "Once, or with `schedule` and `minutes` again and again between its begin and its end. Incidents open as ever"
        " and are shown as silenced; nobody is told before a window ends.",
        name="silences_create",
        tag="Silences",
        answer=SilenceSerializer,
        shows=SILENCE,
        status=201,
        sends=SilenceWanted,
        sent=SENT,
        refuses=(404,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        row = set_silence(self.caller.tenant, self.asked(), actor=self.actor())
        return self.show(row, status=201)


class SilencePreviewView(SilenceBase):
    @described(
        "Preview a silence",
        "Its next windows, at most five, and a warning where it is quiet for more than 30 days in all. Stores nothing.",
        name="silences_preview",
        tag="Silences",
        answer=SilencePreviewSerializer,
        shows=WINDOWS,
        sends=SilenceWanted,
        sent=SENT,
        refuses=(404,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        shown = preview_silence(self.caller.tenant, self.asked(), now=self.now)
        return Response(SilencePreviewSerializer(shown).data)


class SilenceView(SilenceBase):
    @described(
        "Get a silence",
        "One silence.",
        name="silences_get",
        tag="Silences",
        answer=SilenceSerializer,
        shows=SILENCE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return self.show(found(self.rows().filter(uid=uid).first()))


class SilenceEndView(SilenceBase):
    @described(
        "End a silence",
        "Now; one that has not begun is taken away, and answers 204 then. What is still open is told again.",
        name="silences_end",
        tag="Silences",
        answer=SilenceSerializer,
        shows=changed(SILENCE, ends_at="2026-11-24T08:00:00Z"),
        sends=Nothing,
        sent={},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        self.body(Nothing)
        row = found(self.rows().filter(uid=uid).first())
        end_silence(self.caller.tenant, row, actor=self.actor())
        left = self.rows().filter(uid=uid).first()
        return Response(status=204) if left is None else self.show(left)
