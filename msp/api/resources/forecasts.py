"""``/forecast``: what the running month may come to, for keys with scope billing of the tenant."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.forecasting import forecast
from msp.api.reading import StrictSerializer
from msp.api.resources.base import found
from msp.api.resources.invoices import MoneyField, MoneyView
from msp.api.schema import WordField, described
from msp.estate.models import Client


class NoticeSerializer(serializers.Serializer[Any]):
    """A boundary that is about to be passed."""

    boundary = serializers.CharField(help_text="In ``unit``.")
    unit = serializers.CharField()
    day = serializers.DateField()
    sentence = serializers.CharField()


class ForecastLineSerializer(serializers.Serializer[Any]):
    """A subscription; ``problem`` says why it cannot be reckoned, "" if it can."""

    subscription = serializers.UUIDField()
    client = serializers.UUIDField(allow_null=True)
    layer = WordField(("retail", "wholesale"))
    who = serializers.CharField()
    plan = serializers.CharField()
    currency = serializers.CharField()
    floor = MoneyField()
    steady = MoneyField()
    growing = MoneyField()
    notices = NoticeSerializer(many=True)
    problem = serializers.CharField()


class ForecastTotalSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    layer = WordField(("retail", "wholesale"))
    floor = MoneyField()
    steady = MoneyField()
    growing = MoneyField()


class ForecastSerializer(serializers.Serializer[Any]):
    """``days_over`` of the month's ``days`` are over; amounts are net."""

    first_day = serializers.DateField()
    last_day = serializers.DateField(help_text="The first day of the next month.")
    days = serializers.IntegerField()
    days_over = serializers.IntegerField()
    totals = ForecastTotalSerializer(many=True)
    lines = ForecastLineSerializer(many=True)


class ForecastFilters(StrictSerializer):
    client = serializers.UUIDField(required=False, help_text="Of one client alone.")


TOTAL = {"currency": "EUR", "layer": "retail", "floor": "3.0800", "steady": "9.8500", "growing": "10.6000"}
EXAMPLE = {
    "first_day": "2026-10-01",
    "last_day": "2026-11-01",
    "days": 31,
    "days_over": 10,
    "totals": [TOTAL],
    "lines": [
        {
            **TOTAL,
            "subscription": "9d3c2b1a-0f9e-4d8c-b7a6-958473625140",
            "client": "4c5d6e7f-8091-4a2b-b3c4-d5e6f7a8b9c0",
            "who": "Acme Dental",
            "plan": "Protected data (bands, version 1)",
            "notices": [
                {
                    "boundary": "110",
                    "unit": "GB",
                    "day": "2026-10-21",
                    "sentence": "Passes 110 GB about 21 October, growing as in the last 30 days: what is above costs "
                    "0.08 EUR a GB.",
                }
            ],
            "problem": "",
        }
    ],
}


class ForecastView(MoneyView):
    @described(
        "Forecast the running month",
        "The month so far (floor), by the last figures (steady), and if sizes go on growing as in the last 30 days "
        "(growing), each subscription with the tiers and allowances it is about to pass. Reads only. Needs the scope "
        "billing; a reseller's key has no such page.",
        name="forecast_read",
        tag="Invoices",
        answer=ForecastSerializer,
        shows=EXAMPLE,
        query=ForecastFilters,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(ForecastFilters)
        found(None if self.caller.key.reseller_id else self.caller.tenant)
        client_id = None
        if "client" in asked:
            client_id = found(Client.objects.of(self.caller.tenant).filter(uid=asked["client"]).first()).pk
        return Response(ForecastSerializer(forecast(self.caller.tenant, now=self.now, client_id=client_id)).data)
