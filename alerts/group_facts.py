"""Facts of subjects that are no job, client or tenant: selection, machine, server, site, volume, channel, destination.

The same promises as ``alerts.facts``: frozen values, no model, no query, no clock; what nobody told is None. Groups
(server, site, volume) know their jobs by number only: the rules about them find a cause before its symptoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alerts.facts import MachineClass, Outcome, Subject, SubjectKind, Unheard


@dataclass(frozen=True, kw_only=True)
class CopyFacts:
    """One job of a selection: which way of protecting it, and when that last came to a good end."""

    job_id: int
    job: str
    role: str = "primary"
    target_kind: str = ""
    active: bool = True
    registered_at: datetime | None = None
    last_good_at: datetime | None = None

    @property
    def offsite(self) -> bool:
        """Whether its copies lie elsewhere than what they are copies of."""
        return self.target_kind in ("offsite", "cloud")


@dataclass(frozen=True, kw_only=True)
class ProofFacts:
    """The newest restore or verification of a selection, of whatever end, and the newest good one.

    A person's own restore test counts as a log's does. ``seconds`` and ``restored_bytes`` are of the newest one.
    """

    tried_at: datetime | None = None
    outcome: Outcome | None = None
    good_at: datetime | None = None
    seconds: int | None = None
    restored_bytes: int | None = None
    checksum_ok: bool | None = None
    job: str = ""


@dataclass(frozen=True, kw_only=True)
class SelectionFacts:
    """A selection, its jobs and its proofs. ``test_interval_days`` is the policy's; ``waived_until`` a signed waiver of
    restore tests (None without one, the far future for one without an end). ``failure_accepted_at`` is when a person
    last accepted that a restore had failed: only a later test counts.
    """

    tenant_id: int
    client_id: int
    selection_id: int
    registered_at: datetime
    reseller_id: int | None = None
    tenant: str = ""
    client: str = ""
    selection: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    jobs: tuple[CopyFacts, ...] = ()
    restore: ProofFacts = field(default_factory=ProofFacts)
    verify: ProofFacts = field(default_factory=ProofFacts)
    test_interval_days: int | None = None
    copies: int | None = None
    waived_until: datetime | None = None
    failure_accepted_at: datetime | None = None
    unheard: Unheard | None = None
    awaiting_since: datetime | None = None
    resumed_at: datetime | None = None

    @property
    def subject(self) -> Subject:
        """The selection itself."""
        return Subject("selection", self.selection_id)


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """A protected computer: what is expected of it, and whether any job covers it.

    ``jobs`` counts those that are active; ``last_covered_at`` is the newest log of any that ever covered it.
    ``waived_until`` is the end of the newest waiver, past ones too; the far future for one without an end.
    """

    tenant_id: int
    client_id: int
    machine_id: int
    reseller_id: int | None = None
    tenant: str = ""
    client: str = ""
    machine: str = ""
    machine_class: MachineClass = "server"
    expectation: str = "unknown"
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    registered_at: datetime | None = None
    jobs: int = 0
    last_covered_at: datetime | None = None
    waived_until: datetime | None = None

    @property
    def subject(self) -> Subject:
        """The machine itself."""
        return Subject("machine", self.machine_id)


@dataclass(frozen=True, order=True)
class Due:
    """From ``at`` on the job is overdue unless a good run comes; the newest log of its group is older than that."""

    at: datetime
    job_id: int
    server_id: int


@dataclass(frozen=True, kw_only=True)
class GroupFacts:
    """A server, site or volume by its jobs. ``jobs`` counts those with a clock, ``heard_at`` is the newest log of any.

    ``due`` are the deadlines of its jobs that lie after ``heard_at``, past and to come, earliest first, at most two
    thousand: a deadline that passes while any job of the group is heard says nothing about the group. A volume has its
    figures besides: ``fill`` is (measured at, used bytes) by day, oldest first.
    """

    kind: SubjectKind
    group_id: int
    tenant_id: int
    client_id: int | None = None
    reseller_id: int | None = None
    server_id: int | None = None
    site_id: int | None = None
    tenant: str = ""
    name: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    registered_at: datetime | None = None
    heard_at: datetime | None = None
    jobs: int = 0
    due: tuple[Due, ...] = ()
    capacity_bytes: int | None = None
    used_bytes: int | None = None
    measured_at: datetime | None = None
    fill: tuple[tuple[datetime, int], ...] = ()
    unheard: Unheard | None = None
    awaiting_since: datetime | None = None
    resumed_at: datetime | None = None

    @property
    def subject(self) -> Subject:
        """The server, site or volume itself."""
        return Subject(self.kind, self.group_id)


@dataclass(frozen=True, kw_only=True)
class ChannelFacts:
    """A way by which logs come (mailbox, pull source, folder, the mail listener) or a format they come in.

    ``days`` counts what came by local day ("2026-11-23"), the days with something only, at most five weeks of them.
    ``recent`` are the newest deliveries, oldest first, each with whether it could be read. ``failing_since`` and
    ``error``: the channel itself cannot be asked any more. ``due`` as of a group: the jobs whose newest log came by it.
    """

    tenant_id: int
    channel_id: int
    kind: str
    name: str
    tenant: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    registered_at: datetime | None = None
    heard_at: datetime | None = None
    jobs: int = 0
    due: tuple[Due, ...] = ()
    recent: tuple[tuple[datetime, bool], ...] = ()
    days: Mapping[str, int] = field(default_factory=dict)
    failing_since: datetime | None = None
    failures: int = 0
    error: str = ""
    unheard: Unheard | None = None
    awaiting_since: datetime | None = None
    resumed_at: datetime | None = None

    @property
    def subject(self) -> Subject:
        """The channel itself."""
        return Subject("channel", self.channel_id)


@dataclass(frozen=True, kw_only=True)
class DestinationFacts:
    """A ticket system that tickets go to. ``paused_at`` is set while its own failures have paused it.

    ``waiting`` tickets are held back for that; ``refused`` ones it did not take, the oldest since ``refused_since``.
    ``error`` is what it said, in words.
    """

    tenant_id: int
    destination_id: int
    name: str
    tenant: str = ""
    zone: str = "UTC"
    active: bool = True
    observed: bool = False
    failing_since: datetime | None = None
    paused_at: datetime | None = None
    waiting: int = 0
    refused: int = 0
    refused_since: datetime | None = None
    error: str = ""

    @property
    def subject(self) -> Subject:
        """The destination itself."""
        return Subject("destination", self.destination_id)
