"""Backup jobs, their state and their runs.

``JobRun`` is a partitioned table without foreign keys (they cost a fifth to two fifths of the load): the migration
makes it, recording resolves its ids, the census looks for orphans. Every query on it names tenant and months.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q, Value

from msp.backups.size_models import SelectionDefinition as SelectionDefinition
from msp.backups.size_models import SelectionMeasurement as SelectionMeasurement
from msp.estate.models import BackupServer, Selection, Target, Volume, no_overlap
from msp.tenants.wall import TenantOwned, WalledManager, one_of, uid_key

OPERATIONS = ("backup", "copy", "replicate", "restore", "verify", "prune", "inventory")
OUTCOMES = ("success", "warning", "failure", "missed", "running", "skipped", "cancelled", "unknown")


class BackupJob(TenantOwned):
    """One way to protect a selection: server, target, schedule.

    ``schedule`` is a text that ``msp.backups.schedule`` reads ("" when nobody set one); ``timezone`` is the zone it is
    in ("" = the client's). ``observed``: its incidents open, nobody is told, until a person enables it. ``gone_at``:
    the product no longer lists it; a person confirms that it has left (retired). ``state`` proposed waits for a person,
    ``proposed_because`` says why it may be a second way to its selection; retired jobs have no clock. ``volume`` is
    where its account lies on the server, if known.
    """

    server = models.ForeignKey(BackupServer, on_delete=models.PROTECT, related_name="+", db_index=False)
    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False)
    target = models.ForeignKey(Target, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    volume = models.ForeignKey(Volume, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    name = models.CharField(max_length=300)
    product = models.CharField(max_length=60, blank=True)
    proposed_because = models.CharField(max_length=300, blank=True, db_default="")
    role = models.CharField(max_length=8, default="primary")
    state = models.CharField(max_length=12, default="active")
    schedule = models.CharField(max_length=120, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    observed = models.BooleanField(default=False, db_default=False)
    gone_at = models.DateTimeField(null=True)
    gone_because = models.CharField(max_length=300, blank=True, db_default="")
    registered_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("job"),
            one_of("job", "role", ("primary", "copy")),
            one_of("job", "state", ("active", "paused", "retired", "proposed")),
        ]
        indexes = [
            models.Index(fields=["tenant", "selection"], name="job_selection"),
            models.Index(fields=["tenant", "server"], name="job_server"),
        ]

    def __str__(self) -> str:
        return self.name


class JobSelectionSpan(TenantOwned):
    job = models.ForeignKey(BackupJob, on_delete=models.CASCADE, related_name="+", db_index=False)
    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False)
    since = models.DateField()
    until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("jobselection"), no_overlap("jobselection_once", "job")]


class JobState(models.Model):
    """One narrow row a job: the fold over its runs (``msp.backups.folding``) and when to look again.

    ``check_after`` is the earliest moment at which a rule's answer may change without a new log; null only for jobs
    that are not active (the census counts others). ``overdue_at`` is the moment from which the job is overdue, by the
    settings of "no recent backup" when it was last evaluated. ``heard_at`` is when a log of it last came in.
    ``channel_ids`` are the ways its newest log came (door and format). ``skewed_at``: the newest log from the future.
    """

    job = models.OneToOneField(BackupJob, on_delete=models.CASCADE, primary_key=True, related_name="+")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    last_run_at = models.DateTimeField(null=True)
    last_run_key = models.CharField(max_length=200, blank=True)
    last_outcome = models.CharField(max_length=12, blank=True)
    last_good_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    first_failure_at = models.DateTimeField(null=True)
    failures_in_row = models.IntegerField(default=0)
    warnings_in_row = models.IntegerField(default=0)
    last_data_at = models.DateTimeField(null=True)
    reports_data = models.BooleanField(default=False)
    protected_bytes = models.BigIntegerField(null=True)
    protected_at = models.DateTimeField(null=True)
    transferred_bytes = models.BigIntegerField(null=True)
    transferred_at = models.DateTimeField(null=True)
    stored_bytes = models.BigIntegerField(null=True)
    stored_at = models.DateTimeField(null=True)
    running_since = models.DateTimeField(null=True)
    last_verify_at = models.DateTimeField(null=True)
    last_verify_outcome = models.CharField(max_length=12, blank=True)
    last_restore_at = models.DateTimeField(null=True)
    last_restore_outcome = models.CharField(max_length=12, blank=True)
    last_errors = models.JSONField(default=list)
    runs_seen = models.BigIntegerField(default=0)
    last_started_at = models.DateTimeField(null=True)
    last_verify_try_at = models.DateTimeField(null=True)
    last_restore_try_at = models.DateTimeField(null=True)
    restore_seconds = models.IntegerField(null=True)
    restored_bytes = models.BigIntegerField(null=True)
    checksum_ok = models.BooleanField(null=True)
    last_replicate_at = models.DateTimeField(null=True)
    last_replicate_outcome = models.CharField(max_length=12, blank=True, db_default="")
    chain_length = models.IntegerField(null=True)
    last_full_at = models.DateTimeField(null=True)
    components = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    reports_components = models.BooleanField(default=False, db_default=False)
    skewed_at = models.DateTimeField(null=True)
    skew_seconds = models.IntegerField(default=0, db_default=0)
    heard_at = models.DateTimeField(null=True)
    channel_ids = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    overdue_at = models.DateTimeField(null=True)
    check_after = models.DateTimeField(null=True)

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        base_manager_name = "unwalled"
        indexes = [
            models.Index(fields=["check_after"], name="jobstate_due", condition=Q(check_after__isnull=False)),
            models.Index(fields=["tenant", "job"], name="jobstate_tenant"),
        ]


class JobHistory(models.Model):
    """The newest finished backups of a job, small: what rules about habits read, and the schedule learned from it.

    ``points`` is a list of lists, oldest first, at most sixty (``msp.backups.histories`` writes and reads them), apart
    from the state row, which the sweep rewrites each time. ``learned`` is empty or schedule, confidence, samples, why.
    """

    job = models.OneToOneField(BackupJob, on_delete=models.CASCADE, primary_key=True, related_name="+")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    points = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    learned = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        base_manager_name = "unwalled"
        indexes = [models.Index(fields=["tenant", "job"], name="jobhistory_tenant")]


class JobRun(models.Model):
    """One execution, as last read. Partitioned by ``filed_month`` (first day of a month); see the migration.

    ``run_key`` makes a repeat harmless: what the log says of itself, else its delivery and place in it.
    ``problems`` are sentences about implausible values: such a run is shown, moves no clock and is not billed.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    tenant_id = models.BigIntegerField()
    filed_month = models.DateField()
    job_id = models.BigIntegerField()
    selection_id = models.BigIntegerField()
    client_id = models.BigIntegerField()
    receipt_id = models.BigIntegerField()
    place = models.IntegerField(default=0)
    run_key = models.CharField(max_length=200)
    revision = models.IntegerField(default=0)
    operation = models.CharField(max_length=12)
    action = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=12)
    good = models.BooleanField(default=False)
    complete = models.BooleanField(null=True)
    measurable = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    time_told = models.BooleanField(default=True)
    duration_seconds = models.DecimalField(max_digits=14, decimal_places=3, null=True)
    protected_bytes = models.BigIntegerField(null=True)
    changed_bytes = models.BigIntegerField(null=True)
    transferred_bytes = models.BigIntegerField(null=True)
    stored_bytes = models.BigIntegerField(null=True)
    restored_bytes = models.BigIntegerField(null=True)
    freed_bytes = models.BigIntegerField(null=True)
    sources = models.JSONField(default=dict)
    basis = models.CharField(max_length=16, blank=True)
    chain_length = models.IntegerField(null=True)
    last_full_at = models.DateTimeField(null=True)
    checksum_ok = models.BooleanField(null=True)
    product = models.CharField(max_length=60)
    product_version = models.CharField(max_length=60, blank=True)
    host = models.CharField(max_length=255, blank=True)
    archive = models.CharField(max_length=300, blank=True)
    files = models.JSONField(default=dict)
    files_failed = models.IntegerField(null=True)
    errors = models.JSONField(default=list)
    errors_total = models.IntegerField(default=0)
    components = models.JSONField(default=list)
    problems = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    exit_code = models.IntegerField(null=True)
    first_line = models.IntegerField(null=True)
    last_line = models.IntegerField(null=True)
    recorded_at = models.DateTimeField()

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        managed = False
        db_table = "backups_jobrun"
        base_manager_name = "unwalled"


class JobRunRevision(TenantOwned):
    """The values of a run before a replay or re-assignment changed or removed them. Only inserted."""

    run_id = models.BigIntegerField()
    job_id = models.BigIntegerField()
    revision = models.IntegerField()
    values = models.JSONField()
    reason = models.CharField(max_length=60)
    at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("jobrunrevision")]
        indexes = [models.Index(fields=["tenant", "run_id"], name="jobrunrevision_run")]
