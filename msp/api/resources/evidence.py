"""``/reviews``, ``/verdicts`` and ``/selections/<uid>/restore-tests``: what each night came to, and who saw to it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import DailyVerdict, RestoreTest, Review
from alerts.params import BadParams
from alerts.report_models import TEST_RESULTS, VERDICTS
from alerts.reports.morning import MorningScope, read_morning
from alerts.reports.nights import noon_of
from alerts.reports.restore_tests import RestoreValues, record_restore_test
from alerts.reports.reviewing import sign_review
from msp.api.paging import BY_ID, NEWEST_FIRST
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.schema import WordField, described, page_example, page_of
from msp.backups.models import BackupJob
from msp.backups.selection_queries import find_selection
from msp.estate.queries import clients_within


class ReviewSerializer(serializers.Serializer[Any]):
    """Somebody looked through a day's list and signed."""

    uid = serializers.UUIDField()
    day = serializers.DateField()
    signed_by = serializers.CharField()
    signed_at = serializers.DateTimeField()
    nothing_left = serializers.BooleanField()
    note = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    digest = serializers.CharField(help_text="SHA-256 over everything that was signed.")


class ReviewWanted(StrictSerializer):
    """Signs today's list as it is now."""

    nothing_left = serializers.BooleanField()
    note = serializers.CharField(default="", allow_blank=True, max_length=4000, help_text="What is left, if anything.")


class VerdictSerializer(serializers.Serializer[Any]):
    """What one job's night came to."""

    night = serializers.DateField(help_text="The day on whose noon the night begins.")
    client = serializers.UUIDField()
    job = serializers.UUIDField(allow_null=True)
    verdict = WordField(VERDICTS)
    former = serializers.CharField(help_text="The verdict that a late log has changed; empty: none.")
    silenced = serializers.BooleanField()
    runs = serializers.IntegerField()
    good_runs = serializers.IntegerField()
    failed_runs = serializers.IntegerField()


class VerdictFilters(StrictSerializer):
    night = serializers.DateField(required=False)


class RestoreTestSerializer(serializers.Serializer[Any]):
    """A restore that a person tried."""

    uid = serializers.UUIDField()
    tested_by = serializers.CharField()
    tested_at = serializers.DateTimeField()
    what = serializers.CharField()
    result = WordField(TEST_RESULTS)
    seconds = serializers.IntegerField(allow_null=True)
    restored_bytes = serializers.IntegerField(allow_null=True)
    proof = serializers.CharField()
    recorded_by = serializers.CharField()
    recorded_at = serializers.DateTimeField()


class RestoreTestWanted(StrictSerializer):
    """What came of it."""

    tested_by = serializers.CharField(max_length=200)
    tested_at = serializers.DateTimeField()
    what = serializers.CharField(max_length=4000)
    result = WordField(TEST_RESULTS)
    seconds = serializers.IntegerField(default=None, allow_null=True, min_value=0, max_value=2**31 - 1)
    restored_bytes = serializers.IntegerField(default=None, allow_null=True, min_value=0, max_value=2**62)
    proof = serializers.CharField(default="", allow_blank=True, max_length=4000)


REVIEW: dict[str, Any] = {
    "uid": "0c9a2f57-0d1c-4c4b-8a52-6f8e6f1f2b90", "day": "2026-11-20", "signed_by": "API key program",
    "signed_at": "2026-11-20T07:10:00Z", "nothing_left": True, "note": "", "counts": {"new": 0, "open": 0},
    "digest": "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
}  # fmt: skip
VERDICT: dict[str, Any] = {
    "night": "2026-11-20", "client": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21",
    "job": "5d1f7a30-3a52-4d0b-9a8e-2d6e0c1b7f44", "verdict": "good", "former": "", "silenced": False, "runs": 1,
    "good_runs": 1, "failed_runs": 0,
}  # fmt: skip
TEST_SENT: dict[str, Any] = {
    "tested_by": "Ada Byron", "tested_at": "2026-11-20T09:00:00Z", "what": "The ledger, on a spare machine.",
    "result": "good", "seconds": 720, "restored_bytes": 1500000000, "proof": "https://wiki.example/restore-7",
}  # fmt: skip
TEST = TEST_SENT | {
    "uid": "6ad0a3b2-90a5-4d5a-8a1c-1d2e3f4a5b6c", "recorded_by": "API key program",
    "recorded_at": "2026-11-20T09:30:00Z",
}  # fmt: skip


class ReviewsView(ApiView):
    @described(
        "List reviews", "Newest first. A reseller's key finds none.", name="reviews_list", tag="Evidence",
        answer=page_of(ReviewSerializer), shows=page_example(REVIEW, path="reviews"), paged=True,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        self.query(paged=True)
        rows = Review.objects.of(self.caller.tenant)
        return self.page(rows if self.caller.reach.whole_tenant else rows.none(), NEWEST_FIRST, ReviewSerializer)

    @described(
        "Sign today's list", "Keeps the morning's list as it is now with a digest. What is left needs a note.",
        name="reviews_create", tag="Evidence", answer=ReviewSerializer, shows=REVIEW, status=201, sends=ReviewWanted,
        sent={"nothing_left": True}, refuses=(404,),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.query()
        if not self.caller.reach.whole_tenant:
            found(None)
        body, zone = self.body(ReviewWanted), self.caller.tenant.timezone
        day: date = self.now.astimezone(ZoneInfo(zone)).date()
        since = noon_of(day - timedelta(days=1), zone)
        morning = read_morning(self.caller.reach, MorningScope(), since=since, until=self.now)
        try:
            row = sign_review(self.caller.tenant, morning, day=day, actor=self.actor(), **body)
        except BadParams as refused:
            raise serializers.ValidationError({refused.field: [refused.reason]}) from refused
        return Response(ReviewSerializer(row).data, status=201)


class VerdictsView(ApiView):
    @described(
        "List verdicts", "One for each job and night that is over.", name="verdicts_list", tag="Evidence",
        answer=page_of(VerdictSerializer), shows=page_example(VERDICT, path="verdicts"), query=VerdictFilters,
        paged=True,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.query(VerdictFilters, paged=True)
        clients = clients_within(self.caller.reach).values("pk")
        rows = DailyVerdict.objects.of(self.caller.tenant).filter(client_id__in=clients, **asked)
        return self.page(rows, BY_ID, VerdictSerializer, dressed=self.dressed)

    def dressed(self, rows: list[Any]) -> list[dict[str, Any]]:
        """With uids in place of ids: two queries."""
        clients = dict(clients_within(self.caller.reach).values_list("pk", "uid"))
        known = BackupJob.objects.of(self.caller.tenant).filter(pk__in={row.job_id for row in rows})
        jobs = dict(known.values_list("pk", "uid"))
        same = ("night", "verdict", "former", "silenced", "runs", "good_runs", "failed_runs")
        return [
            {name: getattr(row, name) for name in same}
            | {"client": clients[row.client_id], "job": jobs.get(row.job_id)}
            for row in rows
        ]


class RestoreTestsView(ApiView):
    @described(
        "List restore tests", "Those of a selection that people recorded, newest first.", name="restore_tests_list",
        tag="Evidence", answer=page_of(RestoreTestSerializer), shows=page_example(TEST), refuses=(404,), paged=True,
    )  # fmt: skip
    def get(self, request: Request, uid: UUID) -> Response:
        self.query(paged=True)
        selection = found(find_selection(self.caller.reach, uid))
        rows = RestoreTest.objects.of(self.caller.tenant).filter(selection=selection)
        return self.page(rows, NEWEST_FIRST, RestoreTestSerializer)

    @described(
        "Record a restore test", "Counts like one that a log tells of.", name="restore_tests_create", tag="Evidence",
        answer=RestoreTestSerializer, shows=TEST, status=201, sends=RestoreTestWanted, sent=TEST_SENT, refuses=(404,),
    )  # fmt: skip
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        selection = found(find_selection(self.caller.reach, uid))
        try:
            values = RestoreValues(**self.body(RestoreTestWanted))
            row = record_restore_test(self.caller.tenant, selection, values, actor=self.actor())
        except BadParams as refused:
            raise serializers.ValidationError({refused.field: [refused.reason]}) from refused
        return Response(RestoreTestSerializer(row).data, status=201)
