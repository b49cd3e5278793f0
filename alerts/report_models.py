"""Evidence and reports: what each night came to, who looked and signed, restore tests, what was sent to whom.

Verdicts outlive runs; reviews and restore tests are only inserted. Jobs, clients and selections are named by id, so
that evidence stays when they go.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from msp.estate.models import Client, Selection
from msp.tenants.wall import TenantOwned, one_of, uid_key

VERDICTS = ("good", "warning", "failed", "unknown", "missed", "not heard", "not due")
TEST_RESULTS = ("good", "partial", "failed")


class ReportSettings(TenantOwned):
    """``keep_years``: how long evidence is kept. ``judged_until``: the first night without verdicts yet."""

    keep_years = models.IntegerField(default=10)
    judged_until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("reportsettings"),
            models.UniqueConstraint(fields=["tenant"], name="reportsettings_once"),
            models.CheckConstraint(
                condition=models.Q(keep_years__gte=1, keep_years__lte=100), name="reportsettings_years"
            ),
        ]


class DailyVerdict(TenantOwned):
    """What one job's night came to. A night is named by the day on which it begins, at noon of the tenant's zone.

    A run belongs to the night in which it started. ``former`` is the verdict that a late log has changed, "" for none.
    """

    job_id = models.BigIntegerField()
    night = models.DateField()
    client_id = models.BigIntegerField()
    selection_id = models.BigIntegerField()
    server_id = models.BigIntegerField()
    verdict = models.CharField(max_length=12)
    former = models.CharField(max_length=12, blank=True, db_default="")
    silenced = models.BooleanField(default=False)
    runs = models.IntegerField(default=0)
    good_runs = models.IntegerField(default=0)
    failed_runs = models.IntegerField(default=0)
    first_started_at = models.DateTimeField(null=True)
    last_ended_at = models.DateTimeField(null=True)
    protected_bytes = models.BigIntegerField(null=True)
    written_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("dailyverdict"),
            models.UniqueConstraint(fields=["tenant", "job_id", "night"], name="dailyverdict_night"),
            one_of("dailyverdict", "verdict", VERDICTS),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "client_id", "night"], name="dailyverdict_client"),
            models.Index(fields=["tenant", "night"], name="dailyverdict_tenant"),
        ]


class Review(TenantOwned):
    """A technician looked through a morning's list and signed. ``listed`` is the list as it was, ``digest`` its SHA-256
    together with what was signed. Only inserted.
    """

    day = models.DateField()
    signed_by = models.CharField(max_length=200)
    user_id = models.BigIntegerField(null=True)
    signed_at = models.DateTimeField()
    nothing_left = models.BooleanField()
    note = models.TextField(blank=True)
    counts = models.JSONField(default=dict)
    listed = models.JSONField(default=list)
    digest = models.CharField(max_length=64)

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [uid_key("review")]
        indexes: ClassVar = [models.Index(fields=["tenant", "-day", "-signed_at"], name="review_day")]


class RestoreTest(TenantOwned):
    """A restore that a person tried: what, with which result, how long it took, and the proof. Only inserted."""

    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.BigIntegerField()
    tested_by = models.CharField(max_length=200)
    tested_at = models.DateTimeField()
    what = models.TextField()
    result = models.CharField(max_length=8)
    seconds = models.IntegerField(null=True)
    restored_bytes = models.BigIntegerField(null=True)
    proof = models.TextField(blank=True)
    recorded_by = models.CharField(max_length=200)
    recorded_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("restoretest"),
            one_of("restoretest", "result", TEST_RESULTS),
            models.CheckConstraint(
                condition=(models.Q(seconds__isnull=True) | models.Q(seconds__gte=0))
                & (models.Q(restored_bytes__isnull=True) | models.Q(restored_bytes__gte=0)),
                name="restoretest_figures",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "selection", "-tested_at"], name="restoretest_selection"),
            models.Index(fields=["tenant", "client_id", "-tested_at"], name="restoretest_client"),
        ]


class MorningReport(TenantOwned):
    """A digest for a technician or a team. Empty ``client_ids`` and ``reseller_ids`` mean all clients.

    ``check_after`` is when the next one is due; ``due_at`` the moment that the mail under way is for, ``since`` from
    when it tells what is new. ``destination`` (of gateway "email") has the server that sends it.
    """

    destination = models.ForeignKey(
        "alerts.Destination", on_delete=models.PROTECT, related_name="+", db_index=False, null=True
    )
    name = models.CharField(max_length=120)
    recipients = models.JSONField(default=list)
    schedule = models.CharField(max_length=120)
    timezone = models.CharField(max_length=64)
    client_ids = models.JSONField(default=list)
    reseller_ids = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    check_after = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    since = models.DateTimeField(null=True)
    content = models.JSONField(default=dict)
    last_sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("morningreport"),
            models.UniqueConstraint(fields=["tenant", "name"], name="morningreport_name"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["check_after"], name="morningreport_due", condition=models.Q(enabled=True))
        ]


class ClientReport(TenantOwned):
    """A client's month as it was reported; made anew it is a new version. ``signed_by`` is the client's sign-off."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField()
    version = models.IntegerField(default=1)
    values = models.JSONField()
    digest = models.CharField(max_length=64)
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField()
    signed_by = models.CharField(max_length=200, blank=True)
    signed_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("clientreport"),
            models.UniqueConstraint(fields=["tenant", "client", "month", "version"], name="clientreport_version"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "-month"], name="clientreport_month")]
