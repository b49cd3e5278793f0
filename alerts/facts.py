"""What a rule may see (facts) and what it may answer (findings): frozen values, nothing else.

Evaluating fills facts from state rows, calls the rules and hands their answers to deciding. Facts hold no model, no
query and no clock; a figure that the product does not report is None, never zero. Times are aware UTC, sizes are bytes.
Adding a field with a default, or a further ``...Facts`` class with its own subject kind, changes no existing rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

Outcome = Literal["success", "warning", "failure", "missed", "running", "skipped", "cancelled", "unknown"]
Severity = Literal["info", "warning", "critical"]
SubjectKind = Literal[
    "tenant", "channel", "server", "volume", "site", "machine", "client", "selection", "job", "component"
]

#: Mildest first.
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

#: How long an unprocessed receipt may delay an overdue finding, and after which the delay itself is one.
PROCESSING_PATIENCE = timedelta(minutes=15)


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
    "no recent backup". ``sizes`` are the newest whole measurements of the selection beside what this job reported then,
    newest first, at most ten.
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
    silenced: bool = False
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
    """A client's protected size against its agreed ceiling.

    ``protected_bytes`` is the sum over the measured selections, each counted once, None if none was ever measured;
    ``measured_at`` the newest of their times; ``quota_bytes`` None where no quota is agreed.
    """

    tenant_id: int
    client_id: int
    reseller_id: int | None = None
    tenant: str = ""
    client: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    silenced: bool = False
    protected_bytes: int | None = None
    quota_bytes: int | None = None
    measured_at: datetime | None = None
    selections: tuple[SelectionSize, ...] = ()

    @property
    def subject(self) -> Subject:
        """The client itself."""
        return Subject("client", self.client_id)


@dataclass(frozen=True, kw_only=True)
class TenantFacts:
    """The waiting queue of a tenant: how many receipts are unprocessed and when the oldest came in."""

    tenant_id: int
    tenant: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    silenced: bool = False
    awaiting_since: datetime | None = None
    waiting: int = 0

    @property
    def subject(self) -> Subject:
        """The tenant itself."""
        return Subject("tenant", self.tenant_id)


Facts = JobFacts | ClientFacts | TenantFacts


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a rule reports now.

    ``summary`` is one sentence for a person: what, since when, what was expected. ``since`` is when the problem
    began, not when it was noticed. ``occurrence`` names the latest happening that the finding rests on (a run, a
    deadline): a finding with another occurrence counts as a repeat, one with the same is the same seen twice.
    ``repeats`` is how often it has happened, where the rule knows (else deciding counts). ``deadline`` is the moment
    from which waiting any longer would be wrong, whatever the hold; ``repeat_every`` the rule's own reminder
    interval. ``evidence`` is JSON-able; ``lines`` are the telling lines of the log.
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
    evidence: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Identity of the incident this finding belongs to."""
        return fingerprint(self.kind, self.subject)


@dataclass(frozen=True, kw_only=True)
class CannotCheck:
    """The product does not report what the rule needs; ``reason`` is a sentence. Nothing opens or closes by it."""

    kind: str
    subject: Subject
    reason: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The rule would report, but logs that came in earlier are unread; it asks again, at the latest at ``until``."""

    kind: str
    subject: Subject
    reason: str
    until: datetime


#: None is a clean bill: checked, and nothing is wrong.
Answer = Finding | CannotCheck | Waiting | None
