"""What screens read about incidents, tickets and the settings that won.

Every query takes a ``Reach`` (``msp.estate.queries``); a reseller sees what belongs to its clients only, so an incident
of the tenant or of a server is not shown to it. Answers are frozen dataclasses; nothing here writes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When

from alerts.facts import JobFacts
from alerts.inheritance import Resolved, Setting, resolve, resolve_all
from alerts.job_loading import load_job_facts
from alerts.models import Incident, IncidentEvent, RuleSetting, Ticket, TicketUpdate
from alerts.params import value_words
from alerts.rules import KINDS, RULES, no_recent_backup
from alerts.standings import IncidentFilter, QuietCounts, count_quiet, narrowed
from alerts.subject_names import load_subject_names
from alerts.wording import duration_words, moment_words
from msp.backups.models import BackupJob
from msp.backups.queries import JobRow, day_bounds
from msp.estate.models import BackupServer
from msp.estate.queries import Reach, within
from msp.outbox.models import Lane, LaneAttempt
from msp.tenants.models import Reseller, Tenant

_RANK = Case(
    When(severity="critical", then=Value(0)), When(severity="warning", then=Value(1)), default=Value(2),
    output_field=IntegerField(),
)  # fmt: skip


@dataclass(frozen=True)
class TicketLink:
    """A ticket as an incident mentions it; ``number`` is the other system's id, else our reference."""

    uid: uuid.UUID
    number: str
    url: str


@dataclass(frozen=True)
class IncidentRow:
    """One incident as lists show it. ``subject`` names what it is about; ``untold_reason`` why nobody was told yet."""

    id: int
    uid: uuid.UUID
    kind: str
    label: str
    severity: str
    state: str
    summary: str
    subject: str
    subject_kind: str
    client_uid: uuid.UUID | None
    client: str
    job_uid: uuid.UUID | None
    server: str
    since: datetime
    opened_at: datetime
    last_seen_at: datetime
    seen_count: int
    reopened_count: int
    told_at: datetime | None
    last_told_at: datetime | None
    tell_after: datetime | None
    untold_reason: str
    acknowledged_at: datetime | None
    acknowledged_by: str
    acknowledged_until: datetime | None
    acknowledged_note: str
    snoozed_until: datetime | None
    silenced_until: datetime | None
    cause_id: int | None
    sticky: bool
    calm_since: datetime | None
    clear_proposed_at: datetime | None
    clear_reason: str
    escalated: str
    escalate_at: datetime | None
    assigned_to_id: int | None
    assigned_to: str
    assigned_at: datetime | None
    observed: bool
    closed_at: datetime | None
    close_reason: str
    ticket: TicketLink | None

    @property
    def is_open(self) -> bool:
        """Whether the problem persists."""
        return self.state == "open"

    def is_snoozed(self, now: datetime) -> bool:
        """Whether it is put off beyond this moment."""
        return self.snoozed_until is not None and self.snoozed_until > now


@dataclass(frozen=True)
class IncidentList:
    """A page of incidents and how many match in all."""

    rows: tuple[IncidentRow, ...]
    total: int


@dataclass(frozen=True)
class EventRow:
    """One change of an incident, with its reason in words."""

    seq: int
    at: datetime
    kind: str
    text: str
    actor: str


@dataclass(frozen=True)
class EvidenceItem:
    """A figure that a finding rests on, ready to be shown; ``moment`` where it is one."""

    name: str
    value: str
    moment: datetime | None = None


@dataclass(frozen=True)
class IncidentDetail:
    """Everything kept of one incident."""

    row: IncidentRow
    evidence: tuple[EvidenceItem, ...]
    lines: tuple[str, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True)
class OpenCounts:
    """Open incidents by what a technician asks first."""

    open: int = 0
    critical: int = 0
    warning: int = 0
    overdue: int = 0
    failed: int = 0
    untold: int = 0
    unexplained: int = 0


@dataclass(frozen=True)
class TicketRow:
    """A ticket, what we want it to be and what the other system has confirmed."""

    id: int
    uid: uuid.UUID
    reference: str
    subject: str
    severity: str
    client_uid: uuid.UUID | None
    client: str
    destination: str
    gateway: str
    wanted_state: str
    confirmed_state: str
    external_id: str
    external_url: str
    opened_at: datetime
    created_there_at: datetime | None
    closed_at: datetime | None
    last_seq: int
    told_seq: int
    lane_id: int | None
    attempts: int
    next_attempt_at: datetime | None
    stuck: bool
    unknown: bool
    last_error: str
    destination_paused: bool
    destination_dry_run: bool

    @property
    def in_step(self) -> bool:
        """Whether the other system knows everything."""
        return self.told_seq >= self.last_seq and self.wanted_state == self.confirmed_state

    @property
    def untold_updates(self) -> int:
        """Updates that the other system has not confirmed yet."""
        return max(0, self.last_seq - self.told_seq)


@dataclass(frozen=True)
class TicketList:
    """A page of tickets and how many match in all."""

    rows: tuple[TicketRow, ...]
    total: int


@dataclass(frozen=True)
class UpdateRow:
    """What happened to a ticket on our side, and whether the other system was told."""

    seq: int
    at: datetime
    kind: str
    text: str
    told: bool


@dataclass(frozen=True)
class AttemptRow:
    """One call that was made for a ticket and what came of it."""

    at: datetime
    action: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class TicketDetail:
    """Everything kept of one ticket."""

    row: TicketRow
    updates: tuple[UpdateRow, ...]
    attempts: tuple[AttemptRow, ...]
    incidents: tuple[IncidentRow, ...]


@dataclass(frozen=True)
class Clock:
    """Until when a job counts as protected, and the sentence that says why. ``overdue``: that moment has passed."""

    good_until: datetime | None
    because: str
    overdue: bool = False


@dataclass(frozen=True)
class WonParameter:
    """One parameter of a rule: its value in words and where it comes from."""

    label: str
    value: str
    source: str
    is_default: bool


@dataclass(frozen=True)
class WonSettings:
    """The settings of one rule that hold for a subject."""

    kind: str
    label: str
    enabled: bool
    enabled_source: str
    parameters: tuple[WonParameter, ...]


def incidents_within(reach: Reach) -> QuerySet[Any]:
    """The incidents that may be seen."""
    return within(Incident.objects.of(reach.tenant_id), reach, client="client")


def list_incidents(reach: Reach, wanted: IncidentFilter, *, now: datetime, limit: int, offset: int = 0) -> IncidentList:
    """Open ones worst and oldest first; closed ones newest first."""
    rows = narrowed(incidents_within(reach), wanted, tenant_id=reach.tenant_id, now=now)
    order = ("-closed_at", "-id") if wanted.standing == "closed" else ("state", "rank", "since", "id")
    rows = rows.annotate(rank=_RANK).order_by(*_descending(order))
    total = rows.count()
    return IncidentList(rows=incident_rows(reach, rows[offset : offset + limit]), total=total)


def _descending(order: tuple[str, ...]) -> tuple[str, ...]:
    """Open goes before closed."""
    return tuple("-state" if name == "state" else name for name in order)


def count_quiet_within(reach: Reach, *, now: datetime) -> QuietCounts:
    """Open incidents that tell nobody, by reason."""
    return count_quiet(incidents_within(reach), tenant_id=reach.tenant_id, now=now)


def count_open(reach: Reach, *, now: datetime) -> OpenCounts:
    """One query. ``untold``: nobody was told yet; ``unexplained``: and no window, hold or reason says why."""
    untold = Q(told_at__isnull=True)
    unexplained = Q(tell_after__lte=now - timedelta(minutes=15)) | Q(tell_after__isnull=True, untold_reason="")
    unexplained &= untold & Q(opened_at__lte=now - timedelta(minutes=15))
    found = incidents_within(reach).filter(state="open").aggregate(
        open=Count("id"),
        critical=Count("id", filter=Q(severity="critical")),
        warning=Count("id", filter=Q(severity="warning")),
        overdue=Count("id", filter=Q(kind="no_recent_backup")),
        failed=Count("id", filter=Q(kind="errors")),
        untold=Count("id", filter=untold),
        unexplained=Count("id", filter=unexplained),
    )  # fmt: skip
    return OpenCounts(**found)


@dataclass(frozen=True)
class ClientTrouble:
    """How many incidents a client has open, and the worst severity among them."""

    open: int
    severity: str


def trouble_by_client(reach: Reach) -> dict[int, ClientTrouble]:
    """By client id; clients without an open incident are absent."""
    rows = incidents_within(reach).filter(state="open", client__isnull=False).values("client_id")
    counted = rows.annotate(n=Count("id"), critical=Count("id", filter=Q(severity="critical")),
                            warning=Count("id", filter=Q(severity="warning"))).order_by()  # fmt: skip
    return {
        row["client_id"]: ClientTrouble(
            row["n"], "critical" if row["critical"] else "warning" if row["warning"] else "info"
        )
        for row in counted
    }


def missed_days(
    reach: Reach, *, first_day: date, last_day: date, zone: str, now: datetime, job_ids: Iterable[int] | None = None
) -> dict[int, set[date]]:
    """The local days on which a backup was overdue, by client id, or by job id when ``job_ids`` are given.

    A day counts when the job was still overdue at its end, or is now: a backup that came late on the day is no miss.
    """
    since, until = day_bounds(first_day, last_day, zone)
    owner = "client_id" if job_ids is None else "job_id"
    rows = incidents_within(reach).filter(kind=no_recent_backup.KIND, since__lt=until)
    rows = rows.filter(Q(closed_at__isnull=True) | Q(closed_at__gte=since)).filter(**{f"{owner}__isnull": False})
    if job_ids is not None:
        rows = rows.filter(job_id__in=list(job_ids))
    days: dict[int, set[date]] = {}
    for owner_id, began, closed in rows.values_list(owner, "since", "closed_at"):
        missed = _days_between(max(began, since), min(closed or now, until), zone, still=closed is None)
        days.setdefault(owner_id, set()).update(missed)
    return days


def _days_between(start: datetime, end: datetime, zone: str, *, still: bool) -> list[date]:
    first, last = start.astimezone(ZoneInfo(zone)).date(), end.astimezone(ZoneInfo(zone)).date()
    days = (last - first).days + (1 if still else 0)
    return [first + timedelta(days=step) for step in range(max(days, 0))]


def find_incident(reach: Reach, uid: uuid.UUID) -> IncidentDetail | None:
    """One incident with its history, None when there is none that may be seen."""
    incident = with_beside(incidents_within(reach)).filter(uid=uid).first()
    if incident is None:
        return None
    return IncidentDetail(
        row=incident_rows(reach, [incident])[0],
        evidence=tuple(_evidence_item(name, value) for name, value in (incident.evidence or {}).items()),
        lines=tuple(str(line) for line in incident.lines or ()),
        events=_events(reach, incident.pk),
    )


def find_incident_row(reach: Reach, uid: uuid.UUID) -> IncidentRow | None:
    """One incident as a list shows it."""
    rows = incidents_within(reach).filter(uid=uid)
    return next(iter(incident_rows(reach, rows)), None)


def _events(reach: Reach, incident_id: int) -> tuple[EventRow, ...]:
    rows = IncidentEvent.objects.of(reach.tenant_id).filter(incident_id=incident_id).order_by("-seq")
    if not reach.whole_tenant:
        rows = rows.exclude(kind="ticket_message")  # the MSP's people among themselves
    return tuple(EventRow(row.seq, row.at, row.kind, row.text, row.actor) for row in rows)


def _evidence_item(name: str, value: Any) -> EvidenceItem:
    """Stored moments come back as moments, seconds as durations, the rest as text."""
    words = name.removesuffix("_seconds").replace("_", " ").capitalize()
    if name.endswith("_seconds") and isinstance(value, int):
        return EvidenceItem(words, duration_words(timedelta(seconds=value)))
    if value is None or value == "":
        return EvidenceItem(words, "–")
    if not isinstance(value, str):
        return EvidenceItem(words, json.dumps(value, ensure_ascii=False))
    return EvidenceItem(words, value, moment=_moment_in(value))


def _moment_in(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def with_beside(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With what a row shows of others, in the same statement."""
    return rows.select_related("client", "ticket", "assigned_to", "tenant")


def incident_rows(reach: Reach, rows: QuerySet[Any] | list[Any]) -> tuple[IncidentRow, ...]:
    incidents = rows if isinstance(rows, list) else list(with_beside(rows))
    names = _subject_names(reach, incidents)
    return tuple(_incident_row(incident, names) for incident in incidents)


@dataclass(frozen=True)
class _SubjectNames:
    jobs: Mapping[int, Any]
    servers: Mapping[int, str]
    others: Mapping[tuple[str, int], str]


def _subject_names(reach: Reach, incidents: list[Any]) -> _SubjectNames:
    """Two or three queries, however many incidents."""
    jobs = BackupJob.objects.of(reach.tenant_id).filter(pk__in={row.job_id for row in incidents if row.job_id})
    servers = BackupServer.objects.of(reach.tenant_id).filter(
        pk__in={row.server_id for row in incidents if row.server_id}
    )
    return _SubjectNames(
        jobs={job.pk: job for job in jobs.select_related("server")},
        servers=dict(servers.values_list("pk", "name")),
        others=load_subject_names(reach.tenant_id, {(row.subject_kind, row.subject_id) for row in incidents}),
    )


def _incident_row(incident: Any, names: _SubjectNames) -> IncidentRow:
    job = names.jobs.get(incident.job_id)
    server = job.server.name if job else names.servers.get(incident.server_id or 0, "")
    rule = KINDS.get(incident.kind)
    same = [field.name for field in fields(IncidentRow) if field.name not in _INCIDENT_COMPUTED]
    return IncidentRow(
        label=rule.LABEL if rule else incident.kind.replace("_", " ").capitalize(),
        subject=_subject_words(incident, names.others, job=job, server=server),
        client_uid=incident.client.uid if incident.client else None,
        client=incident.client.name if incident.client else "",
        job_uid=job.uid if job else None,
        server=server,
        ticket=_ticket_link(incident.ticket),
        assigned_to=str(incident.assigned_to or ""),
        observed=not incident.tenant.tickets_enabled
        or (incident.client is not None and not incident.client.tickets_enabled)
        or (job is not None and job.observed),
        **{name: getattr(incident, name) for name in same},
    )


_INCIDENT_COMPUTED = {
    "label", "subject", "client_uid", "client", "job_uid", "server", "ticket", "assigned_to", "observed",
}  # fmt: skip


def _subject_words(incident: Any, others: Mapping[tuple[str, int], str], *, job: Any, server: str) -> str:
    if job is not None:
        return str(job.name)
    named = others.get((incident.subject_kind, incident.subject_id), "")
    if named:
        return f"{named} on {server}" if incident.subject_kind == "volume" and server else named
    if incident.subject_kind == "client" and incident.client:
        return str(incident.client.name)
    if incident.subject_kind == "server" and server:
        return server
    return {"tenant": "Our own processing", "channel": "A way in"}.get(
        incident.subject_kind, f"{incident.subject_kind.capitalize()} {incident.subject_id}"
    )


def _ticket_link(ticket: Ticket | None) -> TicketLink | None:
    if ticket is None:
        return None
    return TicketLink(uid=ticket.uid, number=ticket.external_id or ticket.reference, url=ticket.external_url)


def tickets_within(reach: Reach) -> QuerySet[Any]:
    """The tickets that may be seen, with their lane beside them."""
    lane = Lane.objects.of(reach.tenant_id).filter(kind="ticket", object_id=OuterRef("pk"))
    rows = within(Ticket.objects.of(reach.tenant_id), reach, client="client")
    rows = rows.select_related("client", "destination")
    beside: QuerySet[Any] = rows.annotate(
        lane_id=Subquery(lane.values("pk")[:1]),
        lane_stuck=Subquery(lane.values("stuck")[:1]),
        lane_unknown=Subquery(lane.values("unknown")[:1]),
        lane_attempts=Subquery(lane.values("attempts")[:1]),
        lane_next=Subquery(lane.values("next_attempt_at")[:1]),
        lane_error=Subquery(lane.values("last_error")[:1]),
    )
    return beside


def list_tickets(reach: Reach, *, standing: str = "", text: str = "", limit: int, offset: int = 0) -> TicketList:
    """``standing``: "" open, "untold" out of step, "stuck" a person is needed, "closed", "all"; newest first."""
    rows = tickets_within(reach)
    conditions = {
        "": Q(wanted_state="open"),
        "untold": ~Q(confirmed_state=F("wanted_state")) | Q(told_seq__lt=F("last_seq")),
        "stuck": Q(lane_stuck=True),
        "closed": Q(wanted_state="closed"),
    }
    rows = rows.filter(conditions.get(standing, Q()))
    if text:
        rows = rows.filter(
            Q(subject__icontains=text) | Q(external_id__iexact=text) | Q(reference__iexact=text)
            | Q(client__name__icontains=text)
        )  # fmt: skip
    found = rows.order_by("-opened_at", "-id")[offset : offset + limit]
    return TicketList(rows=tuple(_ticket_row(row) for row in found), total=rows.count())


def find_ticket(reach: Reach, uid: uuid.UUID, *, now: datetime) -> TicketDetail | None:
    """One ticket with what was told and tried, None when there is none that may be seen."""
    found = tickets_within(reach).filter(uid=uid).first()
    if found is None:
        return None
    row = _ticket_row(found)
    wanted = IncidentFilter(standing="all", ticket_id=row.id)
    return TicketDetail(
        row=row,
        updates=_updates(reach, row),
        attempts=_attempts(reach, row.lane_id),
        incidents=list_incidents(reach, wanted, now=now, limit=200).rows,
    )


def _updates(reach: Reach, ticket: TicketRow) -> tuple[UpdateRow, ...]:
    rows = TicketUpdate.objects.of(reach.tenant_id).filter(ticket_id=ticket.id).order_by("-seq")[:200]
    return tuple(UpdateRow(row.seq, row.at, row.kind, row.text, row.seq <= ticket.told_seq) for row in rows)


def _attempts(reach: Reach, lane_id: int | None) -> tuple[AttemptRow, ...]:
    if lane_id is None:
        return ()
    rows = LaneAttempt.objects.of(reach.tenant_id).filter(lane_id=lane_id).order_by("-at", "-id")[:100]
    return tuple(AttemptRow(row.at, row.action, row.outcome, row.detail) for row in rows)


def _ticket_row(ticket: Any) -> TicketRow:
    same = (
        "id", "uid", "reference", "subject", "severity", "wanted_state", "confirmed_state", "external_id",
        "external_url", "opened_at", "created_there_at", "closed_at", "last_seq", "told_seq", "lane_id",
    )  # fmt: skip
    return TicketRow(
        client_uid=ticket.client.uid if ticket.client else None,
        client=ticket.client.name if ticket.client else "",
        destination=ticket.destination.name,
        gateway=ticket.destination.gateway,
        attempts=ticket.lane_attempts or 0,
        next_attempt_at=ticket.lane_next,
        stuck=bool(ticket.lane_stuck),
        unknown=bool(ticket.lane_unknown),
        last_error=ticket.lane_error or "",
        destination_paused=ticket.destination.paused_at is not None,
        destination_dry_run=ticket.destination.dry_run,
        **{name: getattr(ticket, name) for name in same},
    )


def settings_of_scopes(reach: Reach, jobs: Iterable[JobRow]) -> dict[int, tuple[Setting, ...]]:
    """By job id, the stored rule settings of its five scopes; two queries, however many jobs."""
    jobs = list(jobs)
    tenant = Tenant.objects.get(pk=reach.tenant_id)
    wanted = {pair for job in jobs for pair in _scopes(job, tenant)}
    rows = list(RuleSetting.objects.of(tenant).filter(scope_kind__in={kind for kind, _ in wanted}))
    resellers = {job.reseller_id for job in jobs if job.reseller_id}
    names = dict(Reseller.objects.of(tenant).filter(pk__in=resellers).values_list("pk", "name"))
    return {job.id: tuple(_settings_of(job, tenant, rows, names)) for job in jobs}


def _scopes(job: JobRow, tenant: Tenant) -> dict[tuple[str, int], str]:
    """(kind, id) of each scope of a job, with the scope's name; the reseller's is filled in by the caller."""
    scopes = {("tenant", tenant.pk): tenant.name, ("client", job.client_id): job.client}
    if job.reseller_id:
        scopes[("reseller", job.reseller_id)] = ""
    return scopes | {("selection", job.selection_id): job.selection, ("job", job.id): job.name}


def _settings_of(job: JobRow, tenant: Tenant, rows: list[Any], resellers: Mapping[int, str]) -> Iterable[Setting]:
    scopes = _scopes(job, tenant)
    for row in rows:
        key = (row.scope_kind, row.scope_id)
        if key in scopes:
            name = resellers.get(row.scope_id, "") if row.scope_kind == "reseller" else scopes[key]
            yield Setting(
                kind=row.kind,
                scope=row.scope_kind,
                scope_id=row.scope_id,
                scope_name=name,
                parameters=row.parameters,
                enabled=row.enabled,
                severity=row.severity or None,
                hold_minutes=row.hold_minutes,
                escalate_hours=row.escalate_hours,
                tells=row.tells or None,
            )


def won_settings(settings: Iterable[Setting]) -> tuple[WonSettings, ...]:
    """What holds for a job, rule by rule, with the place each value comes from."""
    resolved = resolve_all(settings)
    return tuple(won_of(resolved[kind]) for kind, rule in RULES.items() if rule.SUBJECT == "job")


def won_of(resolved: Resolved) -> WonSettings:
    """The settings of one rule in words."""
    parameters = tuple(
        WonParameter(
            label=field.metadata["label"],
            value=value_words(field, getattr(resolved.params, field.name)),
            source=str(resolved.sources[field.name]),
            is_default=resolved.sources[field.name].scope == "default",
        )
        for field in fields(resolved.params)
    )
    return WonSettings(
        kind=resolved.kind,
        label=RULES[resolved.kind].LABEL,
        enabled=resolved.enabled,
        enabled_source=str(resolved.sources["enabled"]),
        parameters=parameters,
    )


def explain_clocks(
    reach: Reach, jobs: Iterable[JobRow], settings: Mapping[int, Iterable[Setting]], *, now: datetime
) -> dict[int, Clock]:
    """By job id, until when each counts as protected by the rule "no recent backup", and why."""
    listed = list(jobs)
    facts = {fact.job_id: fact for fact in load_job_facts(reach.tenant_id, [job.id for job in listed])}
    return {job.id: _explain(job, facts.get(job.id), settings[job.id], now=now) for job in listed}


def _explain(job: JobRow, facts: JobFacts | None, settings: Iterable[Setting], *, now: datetime) -> Clock:
    if job.state != "active":
        return Clock(None, f"this job is {job.state}, so it has no clock")
    if facts is None:
        return Clock(None, "nothing is kept of its state, so it has no clock: tell the people who run this service")
    if not facts.active:
        return Clock(None, "its client, selection or server is not active, so it has no clock")
    resolved = resolve(no_recent_backup.KIND, settings)
    if not resolved.enabled:
        return Clock(None, f'the rule "{no_recent_backup.LABEL}" is switched off ({resolved.sources["enabled"]})')
    until = no_recent_backup.overdue_at(facts, resolved.params)
    if until is None:
        return Clock(None, f"a seasonal machine has no clock ({resolved.sources['seasonal_days']})")
    return Clock(until, _clock_words(facts, resolved), overdue=until <= now)


def _clock_words(facts: JobFacts, resolved: Resolved) -> str:
    start = (
        f"the last good backup ended {moment_words(facts.last_good_at, facts.zone)}"
        if facts.last_good_at
        else f"there was no good backup since the job was registered {moment_words(facts.registered_at, facts.zone)}"
    )
    grace = duration_words(timedelta(minutes=resolved.params.grace_minutes) if facts.grace is None else facts.grace)
    allowed = no_recent_backup.allowed_to(facts, resolved.params)
    if allowed is None or allowed.schedule is not None:
        return (
            f'{start}, the schedule "{facts.schedule}" ({facts.zone}) says when the next is due, and {grace} are added'
        )
    tolerance = duration_words(allowed.tolerance or timedelta())
    if allowed.source == "policy":
        return f"{start}, and its policy lets it be {tolerance} old, with {grace} added"
    source = resolved.sources[allowed.parameter]
    by = f"{allowed.class_words()} ({source})"
    return f"{start}, and without a schedule it may be {tolerance} old{by}, with {grace} added"
