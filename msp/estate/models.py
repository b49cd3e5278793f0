"""What is protected, and by which servers.

A selection is what is protected; a backup job (``msp.backups``) is one way of protecting it. State and ownership change
over time: the ``...Span`` tables keep them as dated, non-overlapping intervals [since, until) of local days, so that
March can be billed again after a move in April; the column of the same name holds today's value and is written
together with the span, by ``msp.estate.spans`` alone.
"""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models
from django.db.models import Func, Q

from msp.tenants.models import Reseller
from msp.tenants.wall import TenantOwned, one_of, uid_key

CLIENT_STATES = ("trial", "active", "suspended", "deleted")
SELECTION_STATES = ("active", "seeding", "suspended", "retired")
NEW_JOBS = ("auto", "hold", "refuse")


class DateRange(Func):
    """SQL's daterange(since, until), half open; an open end is unbounded."""

    function = "daterange"
    output_field = DateRangeField()


def no_overlap(name: str, owner: str) -> ExclusionConstraint:
    """Two spans of the same owner never share a day."""
    return ExclusionConstraint(
        name=name,
        expressions=[
            ("tenant", RangeOperators.EQUAL),
            (owner, RangeOperators.EQUAL),
            (DateRange("since", "until"), RangeOperators.OVERLAPS),
        ],
    )


class Client(TenantOwned):
    """A company that is protected. ``language``: of the tickets about it, "" is the tenant's."""

    name = models.CharField(max_length=200)
    code = models.CharField(max_length=60)
    state = models.CharField(max_length=12, default="active")
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    timezone = models.CharField(max_length=64, default="UTC")
    quota_bytes = models.BigIntegerField(null=True)
    tickets_enabled = models.BooleanField(default=True)
    language = models.CharField(max_length=8, blank=True, db_default="", default="")
    notes = models.TextField(blank=True)
    registered_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("client"),
            models.UniqueConstraint(fields=["tenant", "code"], name="client_code"),
            one_of("client", "state", CLIENT_STATES),
            models.CheckConstraint(condition=Q(quota_bytes__isnull=True) | Q(quota_bytes__gt=0), name="client_quota"),
        ]
        indexes = [models.Index(fields=["tenant", "reseller", "name"], name="client_reseller")]

    def __str__(self) -> str:
        return self.name


class ClientStateSpan(TenantOwned):
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=12)
    since = models.DateField()
    until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("clientstate"),
            one_of("clientstate", "state", CLIENT_STATES),
            no_overlap("clientstate_once", "client"),
        ]


class ClientResellerSpan(TenantOwned):
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    since = models.DateField()
    until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("clientreseller"), no_overlap("clientreseller_once", "client")]


class Site(TenantOwned):
    """A place of a client, with zone and calendar."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64)
    holidays = models.JSONField(default=list)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("site"), models.UniqueConstraint(fields=["tenant", "client", "name"], name="site_name")]


class Machine(TenantOwned):
    """A protected computer of a client. ``machine_class`` occasional: not always on; it has a tolerance of its own."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    name = models.CharField(max_length=200)
    machine_class = models.CharField(max_length=12, default="server")
    expectation = models.CharField(max_length=12, default="unknown")
    state = models.CharField(max_length=12, default="active")
    registered_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("machine"),
            models.UniqueConstraint(fields=["tenant", "client", "name"], name="machine_name"),
            one_of("machine", "machine_class", ("server", "laptop", "seasonal", "occasional", "cloud", "other")),
            one_of("machine", "expectation", ("protected", "waived", "unknown")),
            one_of("machine", "state", ("active", "retired")),
        ]


class MachineIdentity(TenantOwned):
    """One name a machine goes by, over time."""

    machine = models.ForeignKey(Machine, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=12)
    value = models.CharField(max_length=200)
    since = models.DateField()
    until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("machineidentity"),
            one_of("machineidentity", "kind", ("hostname", "serial", "product", "rmm")),
        ]
        indexes = [models.Index(fields=["tenant", "kind", "value"], name="machineidentity_value")]


class Selection(TenantOwned):
    """What is protected: the smallest thing that one client owns, and what is billed.

    ``measuring_job_id`` names the job whose runs measure it (empty: any job of it that reports a size);
    ``basis`` is how that job counts, once it has been seen. ``host`` and ``roots`` are what the log that made it said.
    """

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    machine = models.ForeignKey(Machine, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    name = models.CharField(max_length=200)
    host = models.CharField(max_length=255, blank=True, db_default="")
    roots = models.JSONField(default=list)
    state = models.CharField(max_length=12, default="active")
    quota_bytes = models.BigIntegerField(null=True)
    measuring_job_id = models.BigIntegerField(null=True)
    basis = models.CharField(max_length=16, blank=True)
    registered_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("selection"),
            models.UniqueConstraint(fields=["tenant", "client", "name"], name="selection_name"),
            one_of("selection", "state", SELECTION_STATES),
        ]
        indexes = [
            models.Index(fields=["tenant", "client"], name="selection_client"),
            models.Index(fields=["tenant", "host"], name="selection_host", condition=~Q(host="")),
        ]

    def __str__(self) -> str:
        return self.name


class SelectionClientSpan(TenantOwned):
    selection = models.ForeignKey(Selection, on_delete=models.CASCADE, related_name="+", db_index=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    since = models.DateField()
    until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("selectionclient"), no_overlap("selectionclient_once", "selection")]


class SelectionStateSpan(TenantOwned):
    """In which state a selection was; one that was always active has none."""

    selection = models.ForeignKey(Selection, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=12)
    since = models.DateField()
    until = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("selectionstate"),
            one_of("selectionstate", "state", SELECTION_STATES),
            no_overlap("selectionstate_once", "selection"),
        ]


class BackupServer(TenantOwned):
    """A machine or program that runs jobs and sends us logs.

    ``new_jobs`` says what happens when a log names a job we do not know: create it for ``client`` (auto), hold it in
    the inbox, or refuse it (kept in the inbox as refused). Servers of one ``group`` share accounts that are balanced or
    moved among them: a job that is known on one of them is the same job on another.
    """

    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    state = models.CharField(max_length=12, default="active")
    new_jobs = models.CharField(max_length=8, default="hold")
    group = models.CharField(max_length=80, blank=True, db_default="")
    site = models.ForeignKey(Site, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    registered_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("server"),
            models.UniqueConstraint(fields=["tenant", "name"], name="server_name"),
            one_of("server", "state", ("active", "retired")),
            one_of("server", "new_jobs", NEW_JOBS),
            models.CheckConstraint(condition=~Q(new_jobs="auto") | Q(client__isnull=False), name="server_auto_client"),
        ]

    def __str__(self) -> str:
        return self.name


class Volume(TenantOwned):
    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=200)
    capacity_bytes = models.BigIntegerField(null=True)
    used_bytes = models.BigIntegerField(null=True)
    measured_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("volume"),
            models.UniqueConstraint(fields=["tenant", "server", "name"], name="volume_name"),
        ]


class VolumeReading(TenantOwned):
    """How full a volume was on one day (the newest reading of the day): the trend to "days until full" rests on it."""

    volume = models.ForeignKey(Volume, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    measured_at = models.DateTimeField()
    used_bytes = models.BigIntegerField()
    capacity_bytes = models.BigIntegerField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("volumereading"),
            models.UniqueConstraint(fields=["tenant", "volume", "day"], name="volumereading_day"),
        ]


class Target(TenantOwned):
    """Where copies go."""

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, default="local")
    immutable = models.BooleanField(default=False)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("target"),
            models.UniqueConstraint(fields=["tenant", "name"], name="target_name"),
            one_of("target", "kind", ("local", "offsite", "cloud")),
        ]


class Policy(TenantOwned):
    """A named, versioned set of promises: recovery point, copies, retention, test interval, tolerated errors."""

    name = models.CharField(max_length=120)
    version = models.IntegerField(default=1)
    recovery_point_hours = models.IntegerField(null=True)
    copies = models.IntegerField(null=True)
    retention_days = models.IntegerField(null=True)
    test_interval_days = models.IntegerField(null=True)
    tolerated_files = models.IntegerField(default=0)
    tolerated_share = models.DecimalField(max_digits=6, decimal_places=5, default=0)
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("policy"),
            models.UniqueConstraint(fields=["tenant", "name", "version"], name="policy_version"),
            models.CheckConstraint(
                condition=Q(tolerated_files__gte=0, tolerated_share__gte=0, tolerated_share__lte=1),
                name="policy_tolerance",
            ),
        ]


class PolicyAssignment(TenantOwned):
    """Which policy applies at a level; the nearest wins."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+", db_index=False)
    scope_kind = models.CharField(max_length=12)
    scope_id = models.BigIntegerField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("policyassignment"),
            models.UniqueConstraint(fields=["tenant", "scope_kind", "scope_id"], name="policyassignment_scope"),
            one_of("policyassignment", "scope_kind", ("tenant", "reseller", "client", "selection", "job")),
        ]


class Waiver(TenantOwned):
    """A signed decision not to protect or not to test something."""

    subject_kind = models.CharField(max_length=12)
    subject_id = models.BigIntegerField()
    reason = models.TextField()
    signed_by = models.CharField(max_length=200)
    signed_at = models.DateTimeField()
    ends_on = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("waiver"),
            one_of("waiver", "subject_kind", ("machine", "selection", "client")),
        ]
