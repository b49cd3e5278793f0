"""``/jobs/{uid}/runs`` and ``/runs/{month}/{uid}``: what ran. A run's address carries the month it is filed in."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api import queries
from msp.api.paging import Order
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import MONTH, MonthField, size_field
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.backups.models import OPERATIONS, OUTCOMES

NEWEST_END_FIRST = Order(("-ended_at", "-id"), ("moment", "id"))
MONTH_PARAMETER = OpenApiParameter(
    "month", {"type": "string", "pattern": f"^{MONTH}$"}, OpenApiParameter.PATH, description="Such as 2026-11."
)


class RunSerializer(serializers.Serializer[Any]):
    """One execution of a job, as its log told. Sizes are bytes, null where the log did not tell."""

    uid = serializers.UUIDField()
    month = MonthField(source="filed_month", help_text="Belongs into the run's address.")
    job = serializers.UUIDField(source="job_uid", allow_null=True)
    client = serializers.UUIDField(source="client_uid", allow_null=True)
    receipt = serializers.UUIDField(source="receipt_uid", allow_null=True)
    operation = WordField(OPERATIONS)
    outcome = WordField(OUTCOMES)
    good = serializers.BooleanField(help_text="Only a good backup moves the backup clock.")
    complete = serializers.BooleanField(allow_null=True, help_text="Every root was reached; null: not told.")
    measurable = serializers.BooleanField(help_text="Its size counts for billing.")
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField()
    protected_bytes = size_field("Size at the source, before compression and deduplication.")
    transferred_bytes = size_field("Sent in this run.")
    stored_bytes = size_field("Occupied at the target.")
    errors_total = serializers.IntegerField()


class RunDetailSerializer(RunSerializer):
    """A run with everything its log told."""

    time_told = serializers.BooleanField(help_text="False: the log names no time, it is that of the delivery.")
    duration_seconds = serializers.DecimalField(max_digits=14, decimal_places=3, allow_null=True)
    changed_bytes = size_field("Size of what had changed.")
    restored_bytes = size_field("Restored by this run.")
    freed_bytes = size_field("Freed at the target.")
    sources = serializers.DictField(
        child=serializers.CharField(), help_text="For each size that the log told: the log's own word for it."
    )
    basis = serializers.CharField(help_text="How the protected size was counted.")
    chain_length = serializers.IntegerField(
        allow_null=True, help_text="How many copies a restore from this run needs; 1: a full copy."
    )
    last_full_at = serializers.DateTimeField(allow_null=True, help_text="When the newest full copy was made.")
    checksum_ok = serializers.BooleanField(
        allow_null=True, help_text="What a verification or restore test found out about the data it read."
    )
    product = serializers.CharField()
    product_version = serializers.CharField()
    host = serializers.CharField()
    archive = serializers.CharField(help_text="Name or id of the archive or snapshot.")
    files = serializers.DictField(help_text="Counts of files, as the product tells them.")
    errors = serializers.ListField(  # type: ignore[assignment]  # a field here, not the errors of validating
        child=serializers.JSONField(), help_text="What went wrong; at most so many as are kept, see `errors_total`."
    )
    components = serializers.ListField(child=serializers.JSONField(), help_text="Parts with outcomes of their own.")
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="Implausible values: such a run moves no clock and is not billed."
    )
    notes = serializers.ListField(child=serializers.CharField())
    exit_code = serializers.IntegerField(allow_null=True)
    revision = serializers.IntegerField(help_text="How often a replay changed what is known of this run.")
    recorded_at = serializers.DateTimeField()


class RunFilters(StrictSerializer):
    outcome = WordField(OUTCOMES, required=False)
    operation = WordField(OPERATIONS, required=False)
    since = serializers.DateTimeField(required=False, help_text="Ended then or later.")
    until = serializers.DateTimeField(required=False, help_text="Ended earlier.")


EXAMPLE = {
    "uid": "6a7c1e52-6b0e-4f4e-9a9f-3c2b1a0d9e8f",
    "month": "2026-11",
    "job": "3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
    "client": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d",
    "receipt": "e4a1c0de-75b1-4f8e-8c3d-9b8a7f6e5d4c",
    "operation": "backup",
    "outcome": "success",
    "good": True,
    "complete": True,
    "measurable": True,
    "started_at": "2026-11-20T21:00:03Z",
    "ended_at": "2026-11-20T21:14:09Z",
    "protected_bytes": 412316860416,
    "transferred_bytes": 734003200,
    "stored_bytes": None,
    "errors_total": 0,
}
DETAIL = changed(
    EXAMPLE,
    time_told=True,
    duration_seconds="846.000",
    changed_bytes=None,
    restored_bytes=None,
    freed_bytes=None,
    sources={"protected_bytes": "total_bytes_processed"},
    basis="logical-once",
    chain_length=None,
    last_full_at=None,
    checksum_ok=None,
    product="restic",
    product_version="0.18.0",
    host="files01",
    archive="9c1e7ab2",
    files={"new": 12, "changed": 40, "unmodified": 81234},
    errors=[],
    components=[],
    problems=[],
    notes=[],
    exit_code=0,
    revision=0,
    recorded_at="2026-11-20T21:14:15Z",
)


class RunsView(ApiView):
    @described(
        "List the runs of a job",
        "Newest end first.",
        name="runs_list",
        tag="Runs",
        answer=page_of(RunSerializer),
        shows=page_example(EXAMPLE),
        query=RunFilters,
        paged=True,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        filters = self.query(RunFilters, paged=True)
        job = found(queries.find_job(self.caller.reach, uid))
        rows = queries.runs_of_job(self.caller.reach, job.pk, filters, now=self.now)
        return self.page(rows, NEWEST_END_FIRST, RunSerializer)


class RunView(ApiView):
    @described(
        "Get a run",
        "One run with everything its log told. `month` is the run's own.",
        name="runs_get",
        tag="Runs",
        answer=RunDetailSerializer,
        shows=DETAIL,
        path=(MONTH_PARAMETER,),
        refuses=(404,),
    )
    def get(self, request: Request, month: date, uid: UUID) -> Response:
        self.query()
        return Response(RunDetailSerializer(found(queries.find_run(self.caller.reach, uid, month=month))).data)
