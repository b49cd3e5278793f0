"""What an incident's page shows of root causes: the incident it is kept under, and those that are kept under it."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.models import Incident
from alerts.queries import IncidentRow, find_incident_row, incident_rows, incidents_within
from msp.estate.queries import Reach

#: The page names so many; it tells the number of all.
SHOWN = 50


@dataclass(frozen=True)
class Family:
    """``cause`` where one covers it; ``symptoms`` open ones, oldest first, at most fifty of ``number``."""

    cause: IncidentRow | None
    symptoms: tuple[IncidentRow, ...]
    number: int


def find_family(reach: Reach, incident_id: int) -> Family:
    """The cause and the symptoms of one incident, as far as they may be seen."""
    cause_uid = Incident.objects.of(reach.tenant_id).filter(pk=incident_id).values_list("cause__uid", flat=True).first()
    under = incidents_within(reach).filter(cause_id=incident_id, state="open")
    return Family(
        cause=find_incident_row(reach, cause_uid) if cause_uid else None,
        symptoms=incident_rows(reach, under.order_by("since", "id")[:SHOWN]),
        number=under.count(),
    )
