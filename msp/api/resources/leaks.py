"""``/leaks``: where money leaks in a month, each finding with its amount, for keys with scope billing of the tenant."""

from __future__ import annotations

from typing import Any, get_args

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.leaking import LeakKind
from billing.periods import month_from
from msp.api.reading import StrictSerializer
from msp.api.resources.base import found
from msp.api.resources.invoices import MoneyField, MoneyView
from msp.api.resources.shapes import MonthField
from msp.api.schema import WordField, described, page_example, page_of
from msp.dashboard.leakage import leaks_of


class LeakSerializer(serializers.Serializer[Any]):
    """One finding. ``amount`` is null where no plan gives a price; invoice and line lead to what is charged."""

    kind = WordField(get_args(LeakKind))
    client = serializers.CharField()
    what = serializers.CharField(help_text="The selection, or all of the client's.")
    why = serializers.CharField()
    amount = MoneyField(allow_null=True)
    currency = serializers.CharField()
    invoice = serializers.UUIDField(allow_null=True)
    line = serializers.UUIDField(allow_null=True)


class LeakFilters(StrictSerializer):
    month = MonthField(help_text="Such as 2026-10, in your zone.")
    kind = WordField(get_args(LeakKind), required=False)


EXAMPLE = {
    "kind": "silent",
    "client": "Acme Dental",
    "what": "backup01: files",
    "why": "On a plan, and silent since 2026-10-21: 11 of its 31 days rest on no figure.",
    "amount": "3.5500",
    "currency": "EUR",
    "invoice": "9d3c2b1a-0f9e-4d8c-b7a6-958473625140",
    "line": "4c5d6e7f-8091-4a2b-b3c4-d5e6f7a8b9c0",
}


class LeaksView(MoneyView):
    @described(
        "Find leaks of a month",
        "What is protected and not charged, and what is charged and hardly deserved, the largest amount first, all in "
        "one answer. Needs the scope billing; a reseller's key has no such page.",
        name="leaks_list",
        tag="Invoices",
        answer=page_of(LeakSerializer),
        shows=page_example(EXAMPLE),
        query=LeakFilters,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(LeakFilters)
        found(None if self.caller.key.reseller_id else self.caller.tenant)
        leaks = leaks_of(self.caller.tenant, period=month_from(asked["month"]), now=self.now)
        shown = [each for each in leaks if asked.get("kind") in (None, each.kind)]
        return Response({"items": LeakSerializer(shown, many=True).data, "next": None})
