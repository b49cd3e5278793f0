"""``/receipts/{uid}`` and ``/inbox``: what became of a delivery, and what a person must look at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api import queries
from msp.api.paging import NEWEST_FIRST
from msp.api.queries import ReceiptShown
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.runs import EXAMPLE as RUN
from msp.api.resources.runs import RunSerializer
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, described, page_example, page_of
from msp.ingest.models import DOORS, INBOX_REASONS, RECEIPT_STATES

INBOX_STATES = ("open", "settled", "dismissed")


class ReceiptSerializer(serializers.Serializer[Any]):
    """One delivery and what became of it."""

    uid = serializers.UUIDField(source="receipt.uid")
    state = WordField(RECEIPT_STATES, source="receipt.state", help_text="Waiting to be read, done, in the inbox.")
    door = WordField(DOORS, source="receipt.door", help_text="How it came.")
    format = serializers.CharField(source="receipt.format", help_text="What the log was recognised as; else empty.")
    size_bytes = serializers.IntegerField(source="receipt.body_length")
    received_at = serializers.DateTimeField(source="receipt.received_at")
    processed_at = serializers.DateTimeField(source="receipt.processed_at", allow_null=True)
    reason = serializers.SerializerMethodField(help_text="Why it is in the inbox; empty otherwise.")
    detail = serializers.SerializerMethodField(help_text="The same as a sentence.")
    line = serializers.SerializerMethodField(help_text="The line that could not be read.")
    runs = RunSerializer(many=True, help_text="Its runs, in their order in the log; a reseller sees its own.")

    def get_reason(self, shown: ReceiptShown) -> str:
        return shown.receipt.reason if shown.whole else ""

    def get_detail(self, shown: ReceiptShown) -> str:
        return shown.receipt.error if shown.whole else ""

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_line(self, shown: ReceiptShown) -> int | None:
        return shown.receipt.error_line if shown.whole else None


class InboxItemSerializer(serializers.Serializer[Any]):
    """Something that waits for a person: a delivery, or one run in it."""

    uid = serializers.UUIDField()
    state = WordField(INBOX_STATES)
    reason = WordField(INBOX_REASONS)
    detail = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    receipt = serializers.UUIDField(source="receipt_uid", allow_null=True)
    place = serializers.IntegerField(help_text="Which run in the delivery, from 0; -1: the whole of it.")
    server = NamedSerializer(allow_null=True)
    source_job = serializers.CharField(help_text="What the log calls its job.")
    item = serializers.CharField(help_text="Which part of the job the log is about.")
    host = serializers.CharField()
    format = serializers.CharField()
    opened_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField()


class InboxFilters(StrictSerializer):
    state = WordField(INBOX_STATES, required=False, help_text="Open ones if not given.")
    reason = WordField(INBOX_REASONS, required=False)
    server = serializers.UUIDField(required=False)


RECEIPT = {
    "uid": "e4a1c0de-75b1-4f8e-8c3d-9b8a7f6e5d4c",
    "state": "done",
    "door": "http",
    "format": "restic",
    "size_bytes": 2210,
    "received_at": "2026-11-20T21:14:10Z",
    "processed_at": "2026-11-20T21:14:15Z",
    "reason": "",
    "detail": "",
    "line": None,
    "runs": [RUN],
}
ITEM = {
    "uid": "51d3b0a7-90ef-4c56-8a0b-12f3a4b5c6d7",
    "state": "open",
    "reason": "unassigned",
    "detail": 'No job of backup01 is known for "nightly".',
    "line": None,
    "receipt": "a7c0e1b2-3d4f-4a5b-8c6d-7e8f9a0b1c2d",
    "place": 0,
    "server": {"uid": "8f2f5c6e-98f1-4f0a-a3a8-1b7c6c0b7d21", "name": "backup01"},
    "source_job": "nightly",
    "item": "",
    "host": "files01",
    "format": "restic",
    "opened_at": "2026-11-20T21:14:15Z",
    "settled_at": None,
    "settled_by": "",
}


class ReceiptView(ApiView):
    @described(
        "Get a receipt",
        "What became of a delivery, by the id that posting it was answered with. A reseller's key sees it once a run "
        "in it is one of its clients', and then its own runs only.",
        name="receipts_get",
        tag="Receipts",
        answer=ReceiptSerializer,
        shows=RECEIPT,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return Response(ReceiptSerializer(found(queries.find_receipt(self.caller.reach, uid))).data)


class InboxView(ApiView):
    @described(
        "List the inbox",
        "What could not be read or assigned, newest first. Empty for a reseller's key: what is not assigned may be "
        "anybody's.",
        name="inbox_list",
        tag="Receipts",
        answer=page_of(InboxItemSerializer),
        shows=page_example(ITEM),
        query=InboxFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        rows = queries.inbox(self.caller.reach, self.query(InboxFilters, paged=True))
        return self.page(rows, NEWEST_FIRST, InboxItemSerializer)
