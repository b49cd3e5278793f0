"""Rule settings, silences, incidents and their events; destinations, routes and tickets.

Subjects are named by kind and id (job, client, server, volume, selection, ...), so that one incident table serves all.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from alerts.call_models import TicketCall as TicketCall
from alerts.desk_models import ClientCompany as ClientCompany
from alerts.desk_models import TicketRemark as TicketRemark
from alerts.report_models import (
    ClientReport as ClientReport,
)
from alerts.report_models import (
    DailyVerdict as DailyVerdict,
)
from alerts.report_models import (
    MorningReport as MorningReport,
)
from alerts.report_models import (
    ReportSettings as ReportSettings,
)
from alerts.report_models import (
    RestoreTest as RestoreTest,
)
from alerts.report_models import (
    Review as Review,
)
from alerts.words_models import LetterTemplate as LetterTemplate
from msp.estate.models import Client
from msp.tenants.models import User
from msp.tenants.secrets import EncryptedJSONField
from msp.tenants.wall import TenantOwned, one_of, uid_key

SEVERITIES = ("info", "warning", "critical")
SCOPES = ("tenant", "reseller", "client", "selection", "job")
TELLS = ("ticket", "report")
SILENCED = ("tenant", "client", "site", "server", "volume", "selection", "job")
SUBJECTS = (
    "tenant", "channel", "destination", "server", "volume", "site", "machine", "selection", "client", "job",
    "component",
)  # fmt: skip
GROUPINGS = ("job", "incident", "client", "client_day", "server")
ON_PERSIST = ("reopen", "new", "nothing")


class AlertSettings(TenantOwned):
    """How a tenant's incidents live; a tenant without a row has the defaults.

    A problem that returns within ``reopen_hours`` reopens its incident. One that came back ``flap_count`` times is
    closed only after ``calm_hours`` without it. Symptoms speak up ``grace_minutes`` after their cause has ended.
    """

    reopen_hours = models.IntegerField(default=24)
    flap_count = models.IntegerField(default=3)
    calm_hours = models.IntegerField(default=24)
    grace_minutes = models.IntegerField(default=60)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("alertsettings"),
            models.UniqueConstraint(fields=["tenant"], name="alertsettings_once"),
            models.CheckConstraint(
                condition=Q(reopen_hours__gte=0, flap_count__gte=0, calm_hours__gte=0, grace_minutes__gte=0),
                name="alertsettings_times",
            ),
        ]


class RuleSetting(TenantOwned):
    """Parameters of a rule at one level; the nearest level wins, parameter by parameter.

    ``hold_minutes`` goes before the route's hold; ``escalate_hours`` raises the severity by a step for each such time
    that the incident is open (0 never); ``tells`` "report" opens no ticket.
    """

    kind = models.CharField(max_length=40)
    scope_kind = models.CharField(max_length=12)
    scope_id = models.BigIntegerField()
    parameters = models.JSONField(default=dict)
    enabled = models.BooleanField(null=True)
    severity = models.CharField(max_length=10, blank=True)
    hold_minutes = models.IntegerField(null=True)
    escalate_hours = models.IntegerField(null=True)
    tells = models.CharField(max_length=8, blank=True, db_default="")
    updated_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("rulesetting"),
            models.UniqueConstraint(fields=["tenant", "kind", "scope_kind", "scope_id"], name="rulesetting_scope"),
            one_of("rulesetting", "scope_kind", SCOPES),
            one_of("rulesetting", "severity", ("", *SEVERITIES)),
            one_of("rulesetting", "tells", ("", *TELLS)),
            models.CheckConstraint(
                condition=(Q(hold_minutes__isnull=True) | Q(hold_minutes__gte=0))
                & (Q(escalate_hours__isnull=True) | Q(escalate_hours__gte=0)),
                name="rulesetting_times",
            ),
        ]


class Silence(TenantOwned):
    """A window in which incidents of its scope open but nobody is told.

    One-off: from ``starts_at`` to ``ends_at``. Recurring: within these two, ``minutes`` long from each start that
    ``schedule`` (text for ``msp.backups.schedule``) names in ``timezone``.
    """

    scope_kind = models.CharField(max_length=12)
    scope_id = models.BigIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    kind = models.CharField(max_length=12, default="maintenance")
    schedule = models.CharField(max_length=120, blank=True, db_default="")
    minutes = models.IntegerField(null=True)
    timezone = models.CharField(max_length=64, blank=True, db_default="")
    reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=200, blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("silence"),
            one_of("silence", "scope_kind", SILENCED),
            one_of("silence", "kind", ("maintenance", "seeding")),
            models.CheckConstraint(condition=Q(ends_at__gt=models.F("starts_at")), name="silence_forward"),
            models.CheckConstraint(
                condition=Q(schedule="", minutes__isnull=True) | (~Q(schedule="") & Q(minutes__gt=0)),
                name="silence_recurring",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "ends_at"], name="silence_end")]


class SubjectState(TenantOwned):
    """The clock of a subject that is no job (server, volume, selection, client, tenant): when to look again."""

    subject_kind = models.CharField(max_length=12)
    subject_id = models.BigIntegerField()
    check_after = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("subjectstate"),
            models.UniqueConstraint(fields=["tenant", "subject_kind", "subject_id"], name="subjectstate_subject"),
            one_of("subjectstate", "subject_kind", SUBJECTS),
        ]
        indexes = [models.Index(fields=["check_after"], name="subject_due", condition=Q(check_after__isnull=False))]


class Destination(TenantOwned):
    """A configured ticket system or mailbox. ``config`` is the gateway's ``Config``, encrypted.

    ``calls_per_minute`` is our share of its budget of calls, None for the gateway's own; ``next_call_at`` is when the
    calls already made will have used it up. A ticket that is closed there while its problem lasts is left alone for
    ``persist_hours``, then dealt with as ``on_persist`` says. Of more than ``tickets_per_hour`` new tickets (None: any
    number) the rest share one. ``failing_since`` and ``failures`` count what failed in a row; once it is too much it is
    paused by itself, tried with one ticket after each ``probe_after``, and what waits is mailed through ``fallback``.
    ``words_failure``: why a template could not be used for one of its tickets at ``words_failed_at``.
    """

    name = models.CharField(max_length=120)
    gateway = models.CharField(max_length=40)
    config = EncryptedJSONField()
    enabled = models.BooleanField(default=True)
    dry_run = models.BooleanField(default=False)
    paused_at = models.DateTimeField(null=True)
    pause_reason = models.TextField(blank=True)
    last_delivered_at = models.DateTimeField(null=True)
    calls_per_minute = models.IntegerField(null=True)
    next_call_at = models.DateTimeField(null=True)
    persist_hours = models.IntegerField(default=24, db_default=24)
    on_persist = models.CharField(max_length=8, default="reopen", db_default="reopen")
    tickets_per_hour = models.IntegerField(null=True)
    failing_since = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0, db_default=0)
    probe_after = models.DateTimeField(null=True)
    fallback = models.ForeignKey("self", on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    callbacks_refused = models.IntegerField(default=0, db_default=0)
    last_refusal = models.TextField(blank=True, db_default="")
    words_failure = models.TextField(blank=True, db_default="", default="")
    words_failed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("destination"),
            models.UniqueConstraint(fields=["tenant", "name"], name="destination_name"),
            one_of("destination", "on_persist", ON_PERSIST),
            models.CheckConstraint(
                condition=Q(persist_hours__gte=1) & (Q(calls_per_minute__isnull=True) | Q(calls_per_minute__gte=1)),
                name="destination_pace",
            ),
            models.CheckConstraint(
                condition=Q(tickets_per_hour__isnull=True) | Q(tickets_per_hour__gte=1), name="destination_cap"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Route(TenantOwned):
    """Ordered rule from incident to destination; first match wins. Empty conditions match everything.

    Between ``quiet_from`` and ``quiet_until`` of the tenant's own time, and on weekends where it is said so, nobody is
    told of anything milder than ``quiet_unless`` ("" of nothing at all). ``language`` of its tickets; "": the client's.
    """

    position = models.IntegerField()
    name = models.CharField(max_length=120, blank=True)
    enabled = models.BooleanField(default=True)
    kinds = models.JSONField(default=list)
    severity_at_least = models.CharField(max_length=10, default="info")
    client_ids = models.JSONField(default=list)
    reseller_ids = models.JSONField(default=list)
    server_ids = models.JSONField(default=list)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    grouping = models.CharField(max_length=10, default="job")
    hold_minutes = models.IntegerField(default=60)
    repeat_hours = models.IntegerField(default=24)
    quiet_from = models.TimeField(null=True)
    quiet_until = models.TimeField(null=True)
    quiet_weekends = models.BooleanField(default=False, db_default=False)
    quiet_unless = models.CharField(max_length=10, blank=True, default="critical", db_default="critical")
    language = models.CharField(max_length=8, blank=True, db_default="", default="")

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("route"),
            models.UniqueConstraint(
                fields=["tenant", "position"], name="route_position", deferrable=models.Deferrable.DEFERRED
            ),
            one_of("route", "grouping", GROUPINGS),
            one_of("route", "severity_at_least", SEVERITIES),
            one_of("route", "quiet_unless", ("", *SEVERITIES)),
            models.CheckConstraint(condition=Q(hold_minutes__gte=0, repeat_hours__gte=0), name="route_times"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False) & ~Q(quiet_from=models.F("quiet_until")),
                name="route_quiet",
            ),
        ]


class Ticket(TenantOwned):
    """The record in the other system: what we want it to be, and what is confirmed.

    ``reference`` is our own id, written into the ticket and looked for before anything is created again. A ticket that
    is ``closing`` takes no new incident. ``told_seq`` is the last update that the other system has confirmed, at
    ``confirmed_at``. ``their_status`` and ``their_assignee`` are its words when we last looked, at ``looked_at``; it is
    looked at again after ``check_after``. ``their_number``: its number there, where ``external_id`` is none.
    ``gone_at``: it was deleted there. ``mailed_seq`` is the last update that a mail told instead, because the
    destination takes nothing. ``language`` and ``route_id`` choose its words.
    """

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="+", db_index=False)
    group_key = models.CharField(max_length=200)
    reference = models.CharField(max_length=40)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    subject = models.CharField(max_length=200)
    severity = models.CharField(max_length=10, default="warning")
    wanted_state = models.CharField(max_length=8, default="open")
    confirmed_state = models.CharField(max_length=8, default="none")
    external_id = models.CharField(max_length=200, blank=True)
    external_url = models.CharField(max_length=500, blank=True)
    thread = models.JSONField(default=dict)
    last_seq = models.IntegerField(default=0)
    told_seq = models.IntegerField(default=0)
    mailed_seq = models.IntegerField(default=0, db_default=0)
    opened_at = models.DateTimeField()
    created_there_at = models.DateTimeField(null=True)
    create_attempted_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    check_after = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    their_status = models.CharField(max_length=100, blank=True, db_default="")
    their_assignee = models.CharField(max_length=200, blank=True, db_default="")
    their_number = models.CharField(max_length=100, blank=True, db_default="")
    gone_at = models.DateTimeField(null=True)
    language = models.CharField(max_length=8, blank=True, db_default="", default="")
    route_id = models.BigIntegerField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("ticket"),
            models.UniqueConstraint(fields=["tenant", "reference"], name="ticket_reference"),
            models.UniqueConstraint(
                fields=["tenant", "destination", "group_key"], name="ticket_group", condition=Q(wanted_state="open")
            ),
            one_of("ticket", "wanted_state", ("open", "closed")),
            one_of("ticket", "confirmed_state", ("none", "open", "closed")),
        ]
        indexes = [
            models.Index(fields=["tenant", "-opened_at"], name="ticket_opened"),
            models.Index(fields=["tenant", "destination", "external_id"], name="ticket_external"),
            models.Index(fields=["check_after"], name="ticket_due", condition=Q(check_after__isnull=False)),
        ]


class TicketUpdate(TenantOwned):
    """What happened to a ticket on our side, in order; delivery tells the untold, collapsed. Only inserted."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+", db_index=False)
    seq = models.IntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=10)
    incident_id = models.BigIntegerField(null=True)
    text = models.TextField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("ticketupdate"),
            models.UniqueConstraint(fields=["tenant", "ticket", "seq"], name="ticketupdate_seq"),
            one_of("ticketupdate", "kind", ("opened", "joined", "left", "note", "reminder", "closed", "persists")),
        ]


class Incident(TenantOwned):
    """One open problem of a subject: a finding that persists.

    ``fingerprint`` is kind and subject. ``since`` is when the problem began, ``opened_at`` when we saw it. Nobody is
    told before ``tell_after`` (hold, silence, acknowledgement, snooze); ``told_at`` is set by a confirmed delivery.
    ``untold_reason`` says in words why nobody has been told. ``check_after``: when to decide again without a new log.
    ``cause`` is the incident it is kept under. ``calm_since``: a flapping one whose problem is gone for now.
    ``escalated`` is the severity that age alone has brought it to, ``escalate_at`` when the next step is due.
    ``clear_proposed_at``: the rule of a sticky incident finds nothing any more; a person decides. ``assigned_to`` is
    the person who has it in hand.
    """

    kind = models.CharField(max_length=40)
    subject_kind = models.CharField(max_length=12)
    subject_id = models.BigIntegerField()
    fingerprint = models.CharField(max_length=120)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    server_id = models.BigIntegerField(null=True)
    selection_id = models.BigIntegerField(null=True)
    job_id = models.BigIntegerField(null=True)
    volume_id = models.BigIntegerField(null=True)
    site_id = models.BigIntegerField(null=True)
    severity = models.CharField(max_length=10)
    state = models.CharField(max_length=8, default="open")
    summary = models.TextField()
    evidence = models.JSONField(default=dict)
    lines = models.JSONField(default=list)
    occurrence = models.CharField(max_length=200, default="")
    deadline = models.DateTimeField(null=True)
    repeat_every = models.DurationField(null=True)
    sticky = models.BooleanField(default=False)
    since = models.DateTimeField()
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    seen_count = models.IntegerField(default=1)
    reopened_count = models.IntegerField(default=0)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    acknowledged_until = models.DateTimeField(null=True)
    acknowledged_note = models.TextField(blank=True)
    snoozed_until = models.DateTimeField(null=True)
    silenced_until = models.DateTimeField(null=True)
    tell_after = models.DateTimeField(null=True)
    untold_reason = models.TextField(blank=True)
    told_at = models.DateTimeField(null=True)
    last_told_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    close_reason = models.TextField(blank=True)
    closed_by_hand = models.BooleanField(default=False)
    cause = models.ForeignKey("self", on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    tells = models.CharField(max_length=8, default="ticket", db_default="ticket")
    hold_minutes = models.IntegerField(null=True)
    calm_since = models.DateTimeField(null=True)
    escalate_every = models.DurationField(null=True)
    escalate_at = models.DateTimeField(null=True)
    escalated = models.CharField(max_length=10, blank=True, db_default="")
    clear_proposed_at = models.DateTimeField(null=True)
    clear_reason = models.TextField(blank=True, db_default="")
    assigned_to = models.ForeignKey(User, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    assigned_at = models.DateTimeField(null=True)
    ticket = models.ForeignKey(Ticket, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    last_seq = models.IntegerField(default=0)
    check_after = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("incident"),
            models.UniqueConstraint(
                fields=["tenant", "fingerprint"], name="incident_fingerprint", condition=Q(state="open")
            ),
            one_of("incident", "state", ("open", "closed")),
            one_of("incident", "severity", SEVERITIES),
            one_of("incident", "subject_kind", SUBJECTS),
            one_of("incident", "tells", TELLS),
            one_of("incident", "escalated", ("", *SEVERITIES)),
        ]
        indexes = [
            models.Index(fields=["tenant", "-opened_at"], name="incident_open", condition=Q(state="open")),
            models.Index(fields=["tenant", "client", "-opened_at"], name="incident_client"),
            models.Index(fields=["tenant", "job_id", "-opened_at"], name="incident_job"),
            models.Index(fields=["tenant", "ticket"], name="incident_ticket"),
            models.Index(fields=["tenant", "subject_kind", "subject_id"], name="incident_subject"),
            models.Index(fields=["tenant", "cause"], name="incident_cause", condition=Q(cause__isnull=False)),
            models.Index(fields=["tenant", "fingerprint", "-closed_at"], name="incident_closed"),
            models.Index(fields=["check_after"], name="incident_due", condition=Q(check_after__isnull=False)),
        ]


class IncidentEvent(TenantOwned):
    """Every change of an incident, with its reason in words. Only inserted."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+", db_index=False)
    seq = models.IntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=16)
    text = models.TextField()
    actor = models.CharField(max_length=200, blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("incidentevent"),
            models.UniqueConstraint(fields=["tenant", "incident", "seq"], name="incidentevent_seq"),
        ]


class Heartbeat(models.Model):
    """When a part of the service last worked, and since when without a break; not of a tenant.

    ``resumed_at`` is set when it works again after an interruption: jobs that became due meanwhile get the time in
    which the logs that waited outside are read.
    """

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()
    resumed_at = models.DateTimeField(null=True)
