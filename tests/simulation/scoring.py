"""Judges a simulated year: was each fault flagged in time, and what was flagged without a fault?

An incident is explained when a fault lay on its job (or on a job of its server, client or selection) from its begin
until its traces have settled. Everything else is a false flag. "Told" are those that opened a ticket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from tests.simulation.company import Company
from tests.simulation.faults import KINDS, Fault
from tests.simulation.year import Outage

#: The year is looked at once an hour.
SLACK = timedelta(hours=2)
#: After an outage of the service its senders deliver what they kept within this time.
DELIVERED_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class Episode:
    """One time that an incident was opened or reopened."""

    kind: str
    job_id: int | None
    server_id: int | None
    selection_id: int | None
    subject: str
    at: datetime
    told: bool
    summary: str


@dataclass(frozen=True)
class Judged:
    """``late`` and ``missed`` hold faults; ``false`` episodes without one."""

    faults: Sequence[Fault]
    missed: Sequence[Fault]
    late: Sequence[Fault]
    false: Sequence[Episode]
    episodes: Sequence[Episode]
    job_days: int

    def false_per_thousand(self, *, told: bool) -> float:
        number = sum(1 for one in self.false if one.told or not told)
        return 1000 * number / self.job_days


def load_episodes(tenant_id: int) -> list[Episode]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT incident.kind, incident.job_id, incident.server_id, incident.selection_id, incident.subject_kind, "
            "event.at, incident.ticket_id IS NOT NULL, event.text FROM alerts_incidentevent event "
            "JOIN alerts_incident incident ON incident.id = event.incident_id "
            "WHERE event.tenant_id = %s AND event.kind IN ('opened', 'reopened') ORDER BY event.at, event.id",
            [tenant_id],
        )
        return [Episode(*row) for row in cursor.fetchall()]


def judge(
    company: Company, faults: Sequence[Fault], *, days: int, outage: Outage | None = None, slack: timedelta = SLACK
) -> Judged:
    """``outage``: what falls due while the service is down can only be flagged once the senders were heard again."""
    episodes = load_episodes(company.tenant.pk)
    missed = [fault for fault in faults if flagged_at(fault, episodes) is None]
    found = [(fault, flagged_at(fault, episodes)) for fault in faults]
    late = [fault for fault, at in found if at is not None and at > due(fault, outage) + slack]
    selections = {job.selection_id: job.job_id for job in company.jobs}
    false = [one for one in episodes if not is_explained(one, faults, selections)]
    return Judged(faults, missed, late, false, episodes, len(company.jobs) * days)


def due(fault: Fault, outage: Outage | None) -> datetime:
    if outage is None or not outage.begins <= fault.flag_by < outage.ends:
        return fault.flag_by
    return outage.ends + DELIVERED_WITHIN


def flagged_at(fault: Fault, episodes: Iterable[Episode]) -> datetime | None:
    """When the first incident of a right kind opened on it."""
    until = fault.ends + timedelta(days=2)
    return next(
        (
            one.at
            for one in episodes
            if one.kind in fault.kind.expected and fault.begins <= one.at <= until and touches(one, fault)
        ),
        None,
    )


def touches(one: Episode, fault: Fault) -> bool:
    if fault.server_id is not None and one.subject == "server":
        return one.server_id == fault.server_id
    return one.job_id in fault.jobs or one.subject in ("selection", "machine")


def is_explained(one: Episode, faults: Iterable[Fault], selections: dict[int, int]) -> bool:
    job_id = one.job_id or selections.get(one.selection_id or 0)
    for fault in faults:
        if not fault.begins <= one.at <= fault.ends + fault.kind.settles:
            continue
        if job_id in fault.jobs or (job_id is None and one.server_id is not None and one.server_id == fault.server_id):
            return True
    return False


def report(judged: Judged) -> str:
    """The table for a person, and for the documentation."""
    lines = ["fault             injected  flagged  in time", "-" * 44]
    for name in KINDS:
        injected = [fault for fault in judged.faults if fault.kind.name == name]
        missed = sum(1 for fault in judged.missed if fault.kind.name == name)
        late = sum(1 for fault in judged.late if fault.kind.name == name)
        if injected:
            number = len(injected)
            lines.append(f"{name:<18}{number:>8}{number - missed:>9}{number - missed - late:>9}")
    told = sum(1 for one in judged.episodes if one.told)
    lines += [
        "",
        f"{len(judged.episodes):,} incidents opened or came back, {told:,} of them told by ticket, "
        f"in {judged.job_days:,} job-days",
        f"false flags per 1,000 job-days: {judged.false_per_thousand(told=False):.3f}, "
        f"told: {judged.false_per_thousand(told=True):.3f}",
    ]
    for kind, number in Counter(one.kind for one in judged.false).most_common():
        told = sum(1 for one in judged.false if one.kind == kind and one.told)
        lines.append(f"  {kind:<22}{number:>6}  told {told}")
    return "\n".join(lines)
