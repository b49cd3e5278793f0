"""``/usage``: what was measured of a client in a month, day by day; sizes, no money."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.metrics import ENTERED
from msp.api import queries
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import MonthField
from msp.api.schema import WordField, described, page_example, page_of


class UsageSerializer(serializers.Serializer[Any]):
    """What was measured of a selection on a local day; days without a measurement are absent."""

    selection = serializers.UUIDField(source="selection_uid")
    selection_name = serializers.CharField(source="selection")
    day = serializers.DateField()
    quantity_bytes = serializers.IntegerField()


class UsageFilters(StrictSerializer):
    client = serializers.UUIDField()
    month = MonthField(help_text="Such as 2026-10, in your zone.")
    metric = WordField(ENTERED, default="protected")


EXAMPLE = {
    "selection": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d",
    "selection_name": "backup01: files",
    "day": "2026-10-01",
    "quantity_bytes": 400000000000,
}


class UsageView(ApiView):
    @described(
        "Usage of a client in a month",
        "The latest measurement of each selection and day, all in one answer. How a plan turns them into an amount is "
        "explained by the invoice's lines.",
        name="usage_list",
        tag="Usage",
        answer=page_of(UsageSerializer),
        shows=page_example(EXAMPLE),
        query=UsageFilters,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(UsageFilters)
        client = found(queries.find_client(self.caller.reach, asked["client"]))
        days = queries.usage(self.caller.tenant, client, month=asked["month"], metric=asked["metric"])
        return Response({"items": UsageSerializer(days, many=True).data, "next": None})
