"""``/rules/{kind}/preview``: what a setting would have flagged in the last 90 days, against today's. Stores nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.configuring import RuleScope, RuleValues, check_setting
from alerts.models import SCOPES
from alerts.params import BadParams
from alerts.previewing import Proposal, Reachable, preview
from alerts.rules import RULES
from msp.api import queries
from msp.api.resources.base import ApiView, found
from msp.api.resources.rules import KIND_PATH, SettingValues
from msp.api.schema import WordField, described

#: Longer than this no preview takes; what was not reached by then is said in ``note``.
SECONDS = 8.0


class SideSerializer(serializers.Serializer[Any]):
    """One way of setting the rule: how often it opened and closed, on how many jobs and clients."""

    opened = serializers.IntegerField()
    closed = serializers.IntegerField()
    open_now = serializers.IntegerField()
    jobs = serializers.IntegerField()
    clients = serializers.IntegerField()


class DaySerializer(serializers.Serializer[Any]):
    """On how many jobs it was open at some time of a day in the tenant's zone."""

    day = serializers.DateField()
    today = serializers.IntegerField()
    proposed = serializers.IntegerField()


class DifferenceSerializer(serializers.Serializer[Any]):
    """A time that only one of both flags."""

    job_uid = serializers.UUIDField()
    job = serializers.CharField()
    client_uid = serializers.UUIDField()
    client = serializers.CharField()
    flagged = serializers.BooleanField(help_text="true: the proposal flags it; false: it no longer would.")
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="null: still open.")
    because = serializers.CharField(help_text="The sentence it would have opened with.")


class RulePreviewSerializer(serializers.Serializer[Any]):
    """A rule as it is set today and as it is proposed, over the same runs."""

    kind = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    jobs = serializers.IntegerField(help_text="Active jobs that the setting reaches.")
    counted = serializers.IntegerField(help_text="How many of them were worked out; see note.")
    today = SideSerializer()
    proposed = SideSerializer()
    jobs_differ = serializers.IntegerField()
    clients_differ = serializers.IntegerField()
    days = DaySerializer(many=True)
    differences = DifferenceSerializer(many=True, help_text="The first 50, by client and job.")
    differences_total = serializers.IntegerField()
    note = serializers.CharField(help_text="Why not all jobs are counted, or why the rule cannot be tried; else empty.")


class RulePreviewValues(SettingValues):
    """A setting as it would be stored, and where."""

    scope = WordField(SCOPES, help_text="The kind of level.")
    scope_uid = serializers.UUIDField()


SENT = {
    "scope": "client",
    "scope_uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d",
    "parameters": {"tolerance_hours": 50},
}
SIDE = {"opened": 4, "closed": 3, "open_now": 1, "jobs": 3, "clients": 1}
PREVIEW = {
    "kind": "no_recent_backup",
    "start": "2026-08-22T09:00:00Z",
    "end": "2026-11-20T09:00:00Z",
    "jobs": 12,
    "counted": 12,
    "today": SIDE,
    "proposed": {**SIDE, "opened": 1, "closed": 0, "jobs": 1},
    "jobs_differ": 2,
    "clients_differ": 1,
    "days": [{"day": "2026-11-20", "today": 1, "proposed": 1}],
    "differences": [
        {
            "job_uid": "5f0c6d0e-6f0b-4a51-9f0a-0d1e2f3a4b5c",
            "job": "files",
            "client_uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d",
            "client": "Acme Dental",
            "flagged": False,
            "opened_at": "2026-10-05T01:00:00Z",
            "closed_at": "2026-10-06T22:10:00Z",
            "because": "No good backup since Sat 3 Oct 2026 22:00 UTC; one was due at most 1 day 2 hours between two, "
            "and is overdue since Mon 5 Oct 2026 01:00 UTC.",
        }
    ],
    "differences_total": 3,
    "note": "",
}


class RulePreviewView(ApiView):
    writes = "read"  # a POST for its body; it changes nothing

    @described(
        "Try a setting of a rule",
        "What it would have flagged in the last 90 days, against the setting of today, for the jobs it reaches.",
        name="rules_preview",
        tag="Rules",
        answer=RulePreviewSerializer,
        shows=PREVIEW,
        sends=RulePreviewValues,
        sent=SENT,
        path=(KIND_PATH,),
        refuses=(404,),
    )
    def post(self, request: Request, kind: str) -> Response:
        self.query()
        found(RULES.get(kind))
        values = self.body(RulePreviewValues)
        scope, uid = values.pop("scope"), values.pop("scope_uid")
        level = self.find_level(scope, uid)
        try:
            setting = check_setting(self.caller.tenant, kind, level, RuleValues(**values))
        except BadParams as refused:
            raise serializers.ValidationError({"parameters": {refused.field: [refused.reason]}}) from refused
        reach = Reachable(
            tenant_id=self.caller.tenant.pk,
            scope_kind=scope,
            scope_ids=frozenset({level.id}),
            reseller_ids=self.caller.reach.reseller_ids,
        )
        shown = preview(reach, Proposal(kind=kind, settings=(setting,)), now=self.now, keep_going=patience())
        return Response(RulePreviewSerializer(shown).data)

    def find_level(self, scope: str, uid: UUID) -> RuleScope:
        """The level within the caller's reach, or 404."""
        row = found(queries.scope_rows(self.caller.reach, scope).filter(uid=uid).first())
        return RuleScope(scope, row.pk, str(row))


def patience() -> Callable[[], bool]:
    """True until ``SECONDS`` from now."""
    end = time.monotonic() + SECONDS
    return lambda: time.monotonic() < end
