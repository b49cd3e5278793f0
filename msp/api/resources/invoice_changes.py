"""``/invoices/{id}/change`` and ``/invoice-lines/{id}/change``: why an amount differs from the month before."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.queries import invoice_page
from billing.why_changed import why_document_changed, why_line_changed
from msp.api import queries
from msp.api.resources.base import found
from msp.api.resources.invoices import MoneyField, MoneyView
from msp.api.schema import WordField, described

KINDS = ("new", "gone", "days", "left", "joined", "size", "gap", "correction", "price", "other")


class PartSerializer(serializers.Serializer[Any]):
    """One reason; the amounts of all add up to the difference."""

    kind = WordField(KINDS)
    subject = serializers.CharField(help_text="The selection it is about, if one.")
    amount = MoneyField()
    sentence = serializers.CharField()


class ComparedDaySerializer(serializers.Serializer[Any]):
    """A place in the month, in bytes of all selections of the line; null where nothing was charged."""

    place = serializers.IntegerField()
    before_day = serializers.DateField(allow_null=True)
    before = serializers.IntegerField(allow_null=True)
    day = serializers.DateField(allow_null=True)
    now = serializers.IntegerField(allow_null=True)
    difference = serializers.IntegerField(allow_null=True)


class LineChangeSerializer(serializers.Serializer[Any]):
    """A line against the month before. Without a line in one of the months its identity is null."""

    uid = serializers.UUIDField(allow_null=True)
    before_uid = serializers.UUIDField(allow_null=True)
    before_invoice = serializers.UUIDField(allow_null=True)
    description = serializers.CharField()
    before = MoneyField()
    now = MoneyField()
    difference = MoneyField()
    currency = serializers.CharField()
    words = serializers.CharField()
    parts = PartSerializer(many=True)
    days = ComparedDaySerializer(many=True)


class DocumentChangeSerializer(serializers.Serializer[Any]):
    """All lines, the largest difference first, with those of the month before that are gone."""

    first_day = serializers.DateField()
    before_first_day = serializers.DateField()
    before = MoneyField()
    now = MoneyField()
    difference = MoneyField()
    currency = serializers.CharField()
    lines = LineChangeSerializer(many=True)


LINE: dict[str, Any] = {
    "uid": "4c5d6e7f-8091-4a2b-b3c4-d5e6f7a8b9c0",
    "before_uid": "5d6e7f80-91a2-4b3c-84d5-e6f7a8b9c0d1",
    "before_invoice": "8c2b1a09-1e8d-4c7b-a6f5-847362514039",
    "description": "Acme Dental: Backup, October 2026",
    "before": "25.0000",
    "now": "29.0000",
    "difference": "4.0000",
    "currency": "EUR",
    "words": "+4.00 EUR: backup01: files grew by 40 GB on average (250 GB to 290 GB), the largest step on 12 October "
    "(+62 GB) (+4.00)",
    "parts": [
        {
            "kind": "size",
            "subject": "backup01: files",
            "amount": "4.0000",
            "sentence": "backup01: files grew by 40 GB on average (250 GB to 290 GB), the largest step on 12 October "
            "(+62 GB)",
        }
    ],
    "days": [
        {
            "place": 12,
            "before_day": "2026-09-12",
            "before": 250000000000,
            "day": "2026-10-12",
            "now": 312000000000,
            "difference": 62000000000,
        }
    ],
}
DOCUMENT = {
    "first_day": "2026-10-01",
    "before_first_day": "2026-09-01",
    **{name: LINE[name] for name in ("before", "now", "difference", "currency")},
    "lines": [LINE],
}


class LineChangeView(MoneyView):
    @described(
        "Why an invoice line changed",
        "The difference to the month before in parts that add up to it: one thing is changed at a time, and priced "
        "anew. Needs the scope billing.",
        name="invoice_lines_change",
        tag="Invoices",
        answer=LineChangeSerializer,
        shows=LINE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        found(queries.has_line(self.caller.reach, uid) or None)
        return Response(LineChangeSerializer(why_line_changed(self.caller.tenant, uid)).data)


class InvoiceChangeView(MoneyView):
    @described(
        "Why an invoice changed",
        "Each line against the month before, and lines that are gone. Needs the scope billing.",
        name="invoices_change",
        tag="Invoices",
        answer=DocumentChangeSerializer,
        shows=DOCUMENT,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        invoice_page(self.caller.tenant, uid, reseller_id=self.caller.key.reseller_id)
        return Response(DocumentChangeSerializer(why_document_changed(self.caller.tenant, uid)).data)
