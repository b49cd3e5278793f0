"""The morning list: what began, what goes on, what ended and what is quiet between two moments, and proof of life.

One list serves the page, the review and the mail. A fixed number of statements however many incidents there are. How an
incident stands (silenced, kept under another, ..) is what is stored now, also in the list of a day that is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, Q, QuerySet

from alerts.queries import IncidentRow, incident_rows, incidents_within, with_beside
from alerts.reports.verdicts import CHANNEL_KINDS
from msp.estate.queries import Reach
from msp.ingest.models import InboxItem
from msp.partitions import month_of, next_month

#: By name: the title of each part, in the order in which a person works through them.
SECTIONS: Mapping[str, str] = {
    "new": "New",
    "open": "Still open",
    "not_heard": "Not heard",
    "closed": "Closed",
    "silenced": "Silenced",
    "under": "Kept under a cause",
    "observed": "Only observed",
}
#: A list holds so many lines, open ones and the longest open first; how many more there are is told.
MOST_LINES = 1000
_RANKS = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class MorningScope:
    """Whose list it is; both empty: every client's, and what belongs to no client."""

    client_ids: tuple[int, ...] = ()
    reseller_ids: tuple[int, ...] = ()

    @property
    def everything(self) -> bool:
        return not self.client_ids and not self.reseller_ids


@dataclass(frozen=True)
class MorningLine:
    """One incident. ``untold`` says why nobody was told, "" where somebody was. Moments are ISO 8601 texts in UTC."""

    uid: str
    section: str
    severity: str
    client: str
    subject: str
    label: str
    summary: str
    since: str
    closed_at: str
    close_reason: str
    in_hand: str
    untold: str

    @property
    def since_at(self) -> datetime:
        return datetime.fromisoformat(self.since)

    @property
    def ended_at(self) -> datetime | None:
        return datetime.fromisoformat(self.closed_at) if self.closed_at else None


@dataclass(frozen=True)
class Proof:
    """What was watched: jobs, runs whose log came between the moments, the newest log of any time."""

    jobs: int
    runs: int
    newest_log: datetime | None


@dataclass(frozen=True)
class MorningList:
    """``inbox`` is None for who does not see the inbox; ``left_out`` counts lines beyond the most that are listed."""

    since: datetime
    until: datetime
    lines: tuple[MorningLine, ...]
    counts: Mapping[str, int]
    inbox: int | None
    inbox_since: datetime | None
    proof: Proof
    left_out: int

    @property
    def sections(self) -> list[dict[str, Any]]:
        """The parts that hold something, in order."""
        parts = [
            {"name": name, "title": title, "lines": [line for line in self.lines if line.section == name]}
            for name, title in SECTIONS.items()
        ]
        return [part for part in parts if part["lines"]]

    @property
    def is_empty(self) -> bool:
        return not self.lines and not self.inbox

    def listed(self) -> list[dict[str, Any]]:
        """The lines as they are kept with a review or a mail."""
        return [asdict(line) for line in self.lines]


def read_morning(reach: Reach, scope: MorningScope, *, since: datetime, until: datetime) -> MorningList:
    """The list of what lies within the reach and the scope, between the moments. Six statements."""
    rows = _rows(reach, scope, since=since, until=until)
    total = rows.count()
    found = incident_rows(reach, list(with_beside(rows)[:MOST_LINES]))
    lines = sorted((_line(row, since=since, until=until) for row in found), key=_place)
    sees_all = reach.whole_tenant and scope.everything
    inbox, inbox_since = _inbox(reach.tenant_id, until=until) if sees_all else (None, None)
    return MorningList(
        since=since,
        until=until,
        lines=tuple(lines),
        counts=_counts(lines, inbox=inbox),
        inbox=inbox,
        inbox_since=inbox_since,
        proof=read_proof(reach, scope, since=since, until=until),
        left_out=max(0, total - MOST_LINES),
    )


def _rows(reach: Reach, scope: MorningScope, *, since: datetime, until: datetime) -> QuerySet[Any]:
    rows = incidents_within(reach).filter(Q(state="open") | Q(closed_at__gte=since), opened_at__lt=until)
    if not scope.everything:
        rows = rows.filter(Q(client_id__in=scope.client_ids) | Q(client__reseller_id__in=scope.reseller_ids))
    return rows.order_by(F("closed_at").desc(nulls_first=True), "since", "id")


def _line(row: IncidentRow, *, since: datetime, until: datetime) -> MorningLine:
    told_by_then = row.told_at is not None and row.told_at < until
    closed = row.closed_at is not None and row.closed_at < until
    return MorningLine(
        uid=str(row.uid),
        section=_section(row, since=since, until=until),
        severity=row.severity,
        client=row.client,
        subject=row.subject,
        label=row.label,
        summary=row.summary,
        since=row.since.isoformat(),
        closed_at=row.closed_at.isoformat() if row.closed_at and closed else "",
        close_reason=row.close_reason if closed else "",
        in_hand=row.acknowledged_by or row.assigned_to,
        untold="" if told_by_then or closed else row.untold_reason or "Nobody was told yet.",
    )


def _section(row: IncidentRow, *, since: datetime, until: datetime) -> str:
    """The one part in which an incident stands."""
    if row.closed_at is not None and row.closed_at < until:
        return "closed"
    if row.silenced_until is not None and row.silenced_until > until:
        return "silenced"
    if row.cause_id is not None:
        return "under"
    if row.observed:
        return "observed"
    if row.kind in CHANNEL_KINDS:
        return "not_heard"
    return "new" if row.opened_at >= since else "open"


def _place(line: MorningLine) -> tuple[int, int, str, str]:
    """Worst and oldest first within its part."""
    return list(SECTIONS).index(line.section), _RANKS.get(line.severity, 3), line.since, line.uid


def _counts(lines: Sequence[MorningLine], *, inbox: int | None) -> dict[str, int]:
    counts = {name: sum(line.section == name for line in lines) for name in SECTIONS}
    counts["untold"] = sum(bool(line.untold) for line in lines)
    return counts if inbox is None else counts | {"inbox": inbox}


def _inbox(tenant_id: int, *, until: datetime) -> tuple[int, datetime | None]:
    """How many items wait for a person, and since when the oldest."""
    waiting = InboxItem.objects.of(tenant_id).filter(Q(settled_at__isnull=True) | Q(settled_at__gte=until))
    moments = list(waiting.filter(opened_at__lt=until).order_by("opened_at").values_list("opened_at", flat=True))
    return len(moments), moments[0] if moments else None


PROOF = """
WITH watched AS (
    SELECT job.id, state.heard_at FROM backups_backupjob job
    JOIN estate_selection selection ON selection.id = job.selection_id
    JOIN estate_client client ON client.id = selection.client_id
    LEFT JOIN backups_jobstate state ON state.job_id = job.id
    WHERE job.tenant_id = %(tenant)s AND job.state IN ('active', 'proposed') AND job.registered_at < %(until)s
      AND (%(reach)s::bigint[] IS NULL OR client.reseller_id = ANY(%(reach)s))
      AND (%(everything)s OR client.id = ANY(%(clients)s) OR client.reseller_id = ANY(%(resellers)s))
)
SELECT (SELECT count(*) FROM watched), (SELECT max(heard_at) FROM watched),
       (SELECT count(*) FROM backups_jobrun run JOIN watched ON watched.id = run.job_id
        WHERE run.tenant_id = %(tenant)s AND run.filed_month = ANY(%(months)s)
          AND run.ended_at >= %(since)s AND run.ended_at < %(until)s)
"""


def read_proof(reach: Reach, scope: MorningScope, *, since: datetime, until: datetime) -> Proof:
    """One statement. Runs are counted by their end."""
    months = [month_of(since.date())]
    while months[-1] <= until.date():
        months.append(next_month(months[-1], steps=1))
    values = {
        "tenant": reach.tenant_id,
        "reach": None if reach.reseller_ids is None else sorted(reach.reseller_ids),
        "everything": scope.everything,
        "clients": list(scope.client_ids),
        "resellers": list(scope.reseller_ids),
        "since": since,
        "until": until,
        "months": [next_month(months[0], steps=-1), *months],
    }
    with connection.cursor() as cursor:
        cursor.execute(PROOF, values)
        jobs, newest, runs = cursor.fetchone()
    return Proof(jobs=jobs, runs=runs, newest_log=newest)
