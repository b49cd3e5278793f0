"""``/health/census``: numbers that must be zero, for monitoring."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api.resources.base import ApiView
from msp.api.schema import described
from msp.census import Census, take_census


class CensusSerializer(serializers.Serializer[Any]):
    """What must not be. The last three are null for a reseller's key."""

    healthy = serializers.SerializerMethodField(help_text="Nothing is wrong: every number that must be zero is.")
    faults = serializers.SerializerMethodField(help_text="What is wrong, in sentences.")
    jobs_without_clock = serializers.IntegerField(help_text="Active jobs whose silence nobody would notice.")
    subjects_without_clock = serializers.IntegerField(
        help_text="Active selections, machines, volumes and the account itself that nobody looks at."
    )
    untold_incidents = serializers.IntegerField(help_text="Open, told to nobody, and nothing explains why.")
    stray_rows = serializers.IntegerField(allow_null=True, help_text="Rows that found no partition of their own.")
    waiting_receipts = serializers.IntegerField(allow_null=True, help_text="Logs not read yet; may be more than zero.")
    oldest_waiting_at = serializers.DateTimeField(allow_null=True)

    def get_healthy(self, census: Census) -> bool:
        return not census.faults(self.context["now"])

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_faults(self, census: Census) -> list[str]:
        return list(census.faults(self.context["now"]))


EXAMPLE = {
    "healthy": True,
    "faults": [],
    "jobs_without_clock": 0,
    "subjects_without_clock": 0,
    "untold_incidents": 0,
    "stray_rows": 0,
    "waiting_receipts": 3,
    "oldest_waiting_at": "2026-11-23T08:00:01Z",
}


class CensusView(ApiView):
    @described(
        "Take the census",
        "Numbers that must be zero: let your monitoring ask for `healthy`.",
        name="health_census",
        tag="Health",
        answer=CensusSerializer,
        shows=EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        self.query()
        census = take_census(self.caller.reach, now=self.now)
        return Response(CensusSerializer(census, context={"now": self.now}).data)
