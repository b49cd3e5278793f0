"""What a rule may see (facts) and what it may answer (findings): frozen values, nothing else.

Evaluating fills facts from state rows, calls the rules and hands their answers to deciding. Facts hold no model, no
query and no clock; a figure that the product does not report is None, never zero. Times are aware UTC, sizes are bytes.
Adding a field with a default, or a further ``...Facts`` class with its own subject kind, changes no existing rule.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

Outcome = Literal["success", "warning", "failure", "missed", "running", "skipped", "cancelled", "unknown"]
Severity = Literal["info", "warning", "critical"]
SubjectKind = Literal[
    "tenant", "channel", "destination", "server", "volume", "site", "machine", "client", "selection", "job",
    "component",
]  # fmt: skip

#: Whom a rule tells by default: the first matching route's ticket, or only lists and reports.
Tells = Literal["ticket", "report"]
MachineClass = Literal["server", "laptop", "seasonal", "occasional", "cloud", "other"]

D = TypeVar("D")

#: Mildest first.
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

#: How long an unprocessed receipt may delay an overdue finding, and after which the delay itself is one.
PROCESSING_PATIENCE = timedelta(minutes=15)


def changed(one: D, **values: object) -> D:
    """What ``dataclasses.replace`` answers, in a tenth of its time for a class of fifty fields; made for evaluating
    thousands. Only for frozen classes that check nothing when they are made.
    """
    other = copy.copy(one)
    for name, value in values.items():
        object.__setattr__(other, name, value)
    return other


def is_at_least(severity: Severity, floor: Severity) -> bool:
    """Whether a severity is as bad as another or worse."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(floor)


@dataclass(frozen=True, order=True)
class Subject:
    """What an incident is about. ``id`` is the row's id in its own table."""

    kind: SubjectKind
    id: int


def fingerprint(kind: str, subject: Subject) -> str:
    """Identity of an incident within its tenant: the rule's kind and the subject, for example ``errors:job:17``."""
    return f"{kind}:{subject.kind}:{subject.id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPoint:
    """One finished backup or copy as the job's history keeps it.

    ``protected_bytes`` is that of a measurable run only: the figure that is billed. ``error`` is the telling line of a
    run that was not good, with its numbers and names taken out, so that the same trouble reads the same each night.
    """

    ended_at: datetime
    outcome: Outcome
    good: bool = False
    started_at: datetime | None = None
    protected_bytes: int | None = None
    transferred_bytes: int | None = None
    changed_bytes: int | None = None
    duration_seconds: int | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentTrouble:
    """A component (a VSS writer, a database, a mailbox) that was not good in the newest run that names it."""

    name: str
    outcome: Outcome
    since: datetime
    times: int = 1
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """A schedule that nobody set but the runs keep: a guess. ``confidence`` is a share of 100 of the runs that fit."""

    schedule: str
    confidence: int
    samples: int
    because: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unheard:
    """The way by which a subject's logs come is silent or unreadable: what did not arrive says nothing of the backup.

    ``until`` is None while it lasts, and the end of the grace afterwards. ``what`` names the incident for a person.
    """

    since: datetime
    what: str
    until: datetime | None = None

    def covers(self, deadline: datetime, now: datetime) -> bool:
        """Whether a deadline that passed cannot be judged at ``now``."""
        return deadline >= self.since and (self.until is None or now < self.until)


@dataclass(frozen=True, kw_only=True)
class SizePair:
    """What the product reported and what we measured of the same selection at the same time, in bytes.

    ``once_bytes`` counts hard links once, ``each_bytes`` every name of them.
    """

    measured_at: datetime
    reported_bytes: int
    once_bytes: int
    each_bytes: int

    @property
    def gap(self) -> int:
        """By how much the reported size is more (less: below 0) than both ways to count; 0 within them."""
        if self.reported_bytes < self.once_bytes:
            return self.reported_bytes - self.once_bytes
        return max(0, self.reported_bytes - self.each_bytes)


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """A backup job as its state row, its links and the waiting queue tell it.

    ``schedule`` is text for ``parse_schedule`` ("" if none is set); ``tolerance`` and ``grace`` are set where the job
    or its policy sets them and then win over the rule's parameters. ``zone`` is the IANA zone the schedule is meant
    in. ``failures_in_row`` and ``warnings_in_row`` count since the last good run, ``first_failure_at`` is the first
    of those failures. ``reports_data`` says whether the product has ever told a protected or transferred size.
    ``awaiting_since`` is when the oldest unprocessed receipt of the tenant came in; ``resumed_at`` when processing
    began again after an interruption of ours. ``overdue_at`` is filled in by ``check_subject`` from the settings of
    "no recent backup". ``history`` are the newest finished backups, oldest first, at most sixty; ``learned`` is set
    only where ``schedule`` is empty. ``heard_at`` is when a log of the job last came in, of whatever outcome,
    ``last_started_at`` the newest start that any backup told. ``skewed_at`` is the newest log whose times lie in the
    future, by ``skew_seconds``. ``gone_at``: the product no longer lists the job. ``sizes`` are the
    newest whole measurements of the selection beside what this job reported then, newest first, at most ten.
    ``size_accepted_at`` is when a person last accepted that its size had changed: the level of then is its usual one.
    """

    tenant_id: int
    client_id: int
    selection_id: int
    job_id: int
    registered_at: datetime
    reseller_id: int | None = None
    server_id: int | None = None
    tenant: str = ""
    client: str = ""
    server: str = ""
    selection: str = ""
    job: str = ""
    tenant_zone: str = "UTC"
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    schedule: str = ""
    tolerance: timedelta | None = None
    grace: timedelta | None = None
    last_outcome: Outcome | None = None
    last_run_at: datetime | None = None
    last_good_at: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    first_failure_at: datetime | None = None
    last_data_at: datetime | None = None
    last_protected_bytes: int | None = None
    last_transferred_bytes: int | None = None
    failures_in_row: int = 0
    warnings_in_row: int = 0
    running_since: datetime | None = None
    last_errors: tuple[str, ...] = ()
    reports_data: bool = False
    awaiting_since: datetime | None = None
    resumed_at: datetime | None = None
    overdue_at: datetime | None = None
    sizes: tuple[SizePair, ...] = ()
    volume_id: int | None = None
    site_id: int | None = None
    role: str = "primary"
    machine_class: MachineClass = "server"
    history: Sequence[RunPoint] = ()
    learned: Learned | None = None
    unheard: Unheard | None = None
    heard_at: datetime | None = None
    last_started_at: datetime | None = None
    runs_seen: int = 0
    components: tuple[ComponentTrouble, ...] = ()
    reports_components: bool = False
    chain_length: int | None = None
    last_full_at: datetime | None = None
    last_replicate_at: datetime | None = None
    last_replicate_outcome: Outcome | None = None
    skewed_at: datetime | None = None
    skew_seconds: int = 0
    gone_at: datetime | None = None
    gone_because: str = ""
    size_accepted_at: datetime | None = None

    @property
    def subject(self) -> Subject:
        """The job itself."""
        return Subject("job", self.job_id)


@dataclass(frozen=True, kw_only=True)
class SelectionSize:
    """The newest measured protected size of one selection; None where nothing was measured yet."""

    selection_id: int
    selection: str
    protected_bytes: int | None
    measured_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ClientFacts:
    """A client's size against its agreed ceiling; ``stored_bytes`` is the sum over its selections, as protected is.

    ``protected_bytes`` is the sum over the measured selections, each counted once, None if none was ever measured;
    ``measured_at`` the newest of their times; ``quota_bytes`` None where no quota is agreed. ``over_since`` is since
    when it is known to be over its quota without a break, as its open incident keeps it.
    """

    tenant_id: int
    client_id: int
    reseller_id: int | None = None
    tenant: str = ""
    client: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    protected_bytes: int | None = None
    quota_bytes: int | None = None
    measured_at: datetime | None = None
    stored_bytes: int | None = None
    stored_at: datetime | None = None
    over_since: datetime | None = None
    selections: tuple[SelectionSize, ...] = ()

    @property
    def subject(self) -> Subject:
        """The client itself."""
        return Subject("client", self.client_id)


@dataclass(frozen=True, kw_only=True)
class TenantFacts:
    """The waiting queue of a tenant: how many receipts are unprocessed and when the oldest came in; and its inbox.

    ``inbox`` counts what waits for a person by reason ("unassigned", "unreadable", ..), ``inbox_since`` has the oldest
    of each reason.
    """

    tenant_id: int
    tenant: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    awaiting_since: datetime | None = None
    waiting: int = 0
    inbox: Mapping[str, int] = field(default_factory=dict)
    inbox_since: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        """The tenant itself."""
        return Subject("tenant", self.tenant_id)


class Facts(Protocol):
    """What the facts of every kind of subject have in common; the other kinds are in ``alerts.group_facts``."""

    @property
    def subject(self) -> Subject: ...
    @property
    def tenant_id(self) -> int: ...
    @property
    def zone(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def observed(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a rule reports now.

    ``summary`` is one sentence for a person: what, since when, what was expected. ``since`` is when the problem
    began, not when it was noticed. ``occurrence`` names the latest happening that the finding rests on (a run, a
    deadline): a finding with another occurrence counts as a repeat, one with the same is the same seen twice.
    ``repeats`` is how often it has happened, where the rule knows (else deciding counts). ``deadline`` is the moment
    from which waiting any longer would be wrong, whatever the hold; ``repeat_every`` the rule's own reminder
    interval. ``evidence`` is JSON-able; ``lines`` are the telling lines of the log. ``sticky``: only a person closes
    it, with a reason. ``since_first_seen``: nobody can say since when; the incident keeps the ``since`` it began with.
    """

    kind: str
    subject: Subject
    severity: Severity
    summary: str
    since: datetime
    occurrence: str
    repeats: int | None = None
    deadline: datetime | None = None
    repeat_every: timedelta | None = None
    sticky: bool = False
    since_first_seen: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Identity of the incident this finding belongs to."""
        return fingerprint(self.kind, self.subject)


@dataclass(frozen=True, kw_only=True)
class CannotCheck:
    """The product does not report what the rule needs; ``reason`` is a sentence. Nothing opens or closes by it.

    ``broken``: the rule itself stopped with an error.
    """

    kind: str
    subject: Subject
    reason: str
    broken: bool = False


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The rule would report, but logs that came in earlier are unread; it asks again, at the latest at ``until``."""

    kind: str
    subject: Subject
    reason: str
    until: datetime


#: None is a clean bill: checked, and nothing is wrong.
Answer = Finding | CannotCheck | Waiting | None


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One rule's answer for one subject, and what to say should its incident close now.

    ``hold_minutes``, ``tells`` and ``escalate_every`` are what the settings of the rule say here, else the rule itself.
    """

    kind: str
    subject: Subject
    answer: Answer
    closing_words: str
    hold_minutes: int | None = None
    tells: Tells = "ticket"
    escalate_every: timedelta | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of the incident that the answer is about."""
        return fingerprint(self.kind, self.subject)
