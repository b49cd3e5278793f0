"""``/jobs``: one way to protect a selection each, with its state and until when it counts as protected."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api import changes, queries
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import size_field
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.backups.changing import CHOSEN_STATES
from msp.backups.models import OUTCOMES

STATES = ("active", "paused", "retired", "proposed")


class JobServerSerializer(serializers.Serializer[Any]):
    """The backup server that runs the job."""

    uid = serializers.UUIDField(source="server_uid")
    name = serializers.CharField(source="server")


class JobSelectionSerializer(serializers.Serializer[Any]):
    """What the job protects."""

    uid = serializers.UUIDField(source="selection_uid")
    name = serializers.CharField(source="selection")


class JobClientSerializer(serializers.Serializer[Any]):
    """Whose it is."""

    uid = serializers.UUIDField(source="client_uid")
    name = serializers.CharField(source="client")


class JobClockSerializer(serializers.Serializer[Any]):
    """Until when the job counts as protected."""

    good_until = serializers.DateTimeField(allow_null=True, help_text="null: the job has no clock; `because` says why.")
    overdue = serializers.BooleanField(help_text="That moment has passed.")
    because = serializers.CharField(help_text="How it follows from schedule, policy, rules and the last good backup.")


class JobStateSerializer(serializers.Serializer[Any]):
    """What the job's runs so far come to."""

    last_run_at = serializers.DateTimeField(allow_null=True)
    last_outcome = serializers.CharField(help_text=f"One of {', '.join(OUTCOMES)}; empty before the first run.")
    last_good_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)
    failures_in_row = serializers.IntegerField()
    warnings_in_row = serializers.IntegerField()
    last_data_at = serializers.DateTimeField(allow_null=True, help_text="Last run that sent data.")
    running_since = serializers.DateTimeField(allow_null=True)
    protected_bytes = size_field("Size at the source, before compression and deduplication.")
    protected_at = serializers.DateTimeField(allow_null=True, help_text="When that was measured.")
    transferred_bytes = size_field("Sent by the last run that told.")
    stored_bytes = size_field("Occupied at the target.")
    last_verify_at = serializers.DateTimeField(allow_null=True)
    last_verify_outcome = serializers.CharField()
    last_restore_at = serializers.DateTimeField(allow_null=True)
    last_restore_outcome = serializers.CharField()
    runs_seen = serializers.IntegerField()
    check_after = serializers.DateTimeField(allow_null=True, help_text="When it is looked at again without a new log.")


class JobSerializer(serializers.Serializer[Any]):
    """A backup job."""

    uid = serializers.UUIDField(source="job.uid")
    name = serializers.CharField(source="job.name")
    product = serializers.CharField(source="job.product")
    role = WordField(("primary", "copy"), source="job.role")
    state = WordField(STATES, source="job.state", help_text="Proposed: made from a log, waits for a person.")
    schedule = serializers.CharField(source="job.schedule", help_text='Such as "weekdays 22:00"; empty: none was set.')
    timezone = serializers.CharField(source="job.zone", help_text="Zone of the schedule: the job's, else its client's.")
    target = serializers.CharField(source="job.target")
    observed = serializers.BooleanField(
        source="job.observed", help_text="True: its incidents open, but nobody is told until tickets are enabled."
    )
    client = JobClientSerializer(source="job")
    server = JobServerSerializer(source="job")
    selection = JobSelectionSerializer(source="job")
    registered_at = serializers.DateTimeField(source="job.registered_at")
    runs = JobStateSerializer(source="job")
    clock = JobClockSerializer()


class JobFilters(StrictSerializer):
    state = WordField(STATES, required=False)
    client = serializers.UUIDField(required=False)
    server = serializers.UUIDField(required=False)
    name = serializers.CharField(required=False, help_text="Exactly this name.")
    outcome = WordField(OUTCOMES, required=False, help_text="Outcome of the last run.")


class JobChange(StrictSerializer):
    schedule = serializers.CharField(
        required=False, allow_blank=True, max_length=120, help_text='"daily 22:00", "every 6h", cron; empty: none.'
    )
    timezone = serializers.CharField(required=False, allow_blank=True, max_length=64, help_text="Empty: its client's.")
    state = WordField(CHOSEN_STATES, required=False)
    observed = serializers.BooleanField(required=False, help_text="False: tickets are opened for it from now on.")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000, help_text="Kept in the audit.")


EXAMPLE: dict[str, Any] = {
    "uid": "3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
    "name": "files",
    "product": "restic",
    "role": "primary",
    "state": "active",
    "schedule": "weekdays 22:00",
    "timezone": "Europe/Berlin",
    "target": "",
    "observed": False,
    "client": {"uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d", "name": "Acme Dental"},
    "server": {"uid": "8f2f5c6e-98f1-4f0a-a3a8-1b7c6c0b7d21", "name": "backup01"},
    "selection": {"uid": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d", "name": "backup01: files"},
    "registered_at": "2026-01-05T09:20:00Z",
    "runs": {
        "last_run_at": "2026-11-20T21:14:09Z",
        "last_outcome": "success",
        "last_good_at": "2026-11-20T21:14:09Z",
        "last_failure_at": None,
        "failures_in_row": 0,
        "warnings_in_row": 0,
        "last_data_at": "2026-11-20T21:14:09Z",
        "running_since": None,
        "protected_bytes": 412316860416,
        "protected_at": "2026-11-20T21:14:09Z",
        "transferred_bytes": 734003200,
        "stored_bytes": None,
        "last_verify_at": None,
        "last_verify_outcome": "",
        "last_restore_at": None,
        "last_restore_outcome": "",
        "runs_seen": 214,
        "check_after": "2026-11-23T22:00:00Z",
    },
    "clock": {
        "good_until": "2026-11-23T22:00:00Z",
        "overdue": False,
        "because": "the last good backup ended 2026-11-20 22:14, and the schedule says when the next is due",
    },
}


class JobsView(ApiView):
    @described(
        "List backup jobs",
        "With what their runs come to and until when each counts as protected.",
        name="jobs_list",
        tag="Jobs",
        answer=page_of(JobSerializer),
        shows=page_example(EXAMPLE, path="jobs"),
        query=JobFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        reach = self.caller.reach
        rows = queries.jobs(reach, self.query(JobFilters, paged=True))
        return self.page(
            rows, BY_ID, JobSerializer, dressed=lambda found: queries.show_jobs(reach, found, now=self.now)
        )


class JobView(ApiView):
    @described(
        "Get a backup job",
        "One job with its state and its clock.",
        name="jobs_get",
        tag="Jobs",
        answer=JobSerializer,
        shows=EXAMPLE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return self.show(uid)

    @described(
        "Change a backup job",
        "Schedule, its zone, or whether the job is expected to run. What is overdue is worked out anew at once.",
        name="jobs_change",
        tag="Jobs",
        answer=JobSerializer,
        shows=changed(EXAMPLE, schedule="daily 22:00"),
        sends=JobChange,
        sent={"schedule": "daily 22:00"},
        refuses=(404,),
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        job = found(queries.find_job(self.caller.reach, uid))
        values = self.body(JobChange)
        changes.change_job(self.caller, job, values, actor=self.actor(reason=values.get("reason", "")))
        return self.show(uid)

    def show(self, uid: UUID) -> Response:
        reach = self.caller.reach
        (shown,) = queries.show_jobs(reach, [found(queries.find_job(reach, uid))], now=self.now)
        return Response(JobSerializer(shown).data)
