"""``/alert-settings``: how incidents live: reopening, coming and going, the grace after a cause."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.life_settings import LIFE, find_life_settings, put_life_settings
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.schema import described

EXAMPLE = {"reopen_hours": 24, "flap_count": 3, "calm_hours": 24, "grace_minutes": 60}


class LifeSerializer(serializers.Serializer[Any]):
    """The four settings; a tenant that set nothing has the defaults."""

    reopen_hours = serializers.IntegerField(help_text=LIFE["reopen_hours"][3])
    flap_count = serializers.IntegerField(help_text=LIFE["flap_count"][3])
    calm_hours = serializers.IntegerField(help_text=LIFE["calm_hours"][3])
    grace_minutes = serializers.IntegerField(help_text=LIFE["grace_minutes"][3])


class LifeWanted(StrictSerializer):
    """All four."""

    reopen_hours = serializers.IntegerField(min_value=0, max_value=LIFE["reopen_hours"][2])
    flap_count = serializers.IntegerField(min_value=0, max_value=LIFE["flap_count"][2])
    calm_hours = serializers.IntegerField(min_value=0, max_value=LIFE["calm_hours"][2])
    grace_minutes = serializers.IntegerField(min_value=0, max_value=LIFE["grace_minutes"][2])


class AlertSettingsView(ApiView):
    @described(
        "How incidents live",
        "Reopening, coming and going, and the grace after a cause, of the whole tenant.",
        name="alert_settings_get",
        tag="Incidents",
        answer=LifeSerializer,
        shows=EXAMPLE,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        self.query()
        self.refuse_resellers()
        return Response(LifeSerializer(find_life_settings(self.caller.tenant)).data)

    @described(
        "Set how incidents live",
        "All four at once; every open incident is looked at anew.",
        name="alert_settings_put",
        tag="Incidents",
        answer=LifeSerializer,
        shows=EXAMPLE,
        sends=LifeWanted,
        sent=EXAMPLE,
        refuses=(404,),
    )
    def put(self, request: Request) -> Response:
        self.query()
        self.refuse_resellers()
        row = put_life_settings(self.caller.tenant, self.body(LifeWanted), actor=self.actor())
        return Response(LifeSerializer(row).data)

    def refuse_resellers(self) -> None:
        """They hold for the whole tenant, which a reseller's key does not see."""
        if not self.caller.reach.whole_tenant:
            found(None)
