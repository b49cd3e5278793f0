"""Which destination an incident goes to: ordered routes, the first that matches wins.

Ticketing asks for each incident that may be told. The answer names the destination, what shares one ticket with it, how
long to hold it and how often to remind; or says in a sentence why nobody is told. Pure; an empty condition matches all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from alerts.facts import Severity, Subject, fingerprint, is_at_least
from alerts.quiet_hours import QuietHours

Grouping = Literal["job", "incident", "client", "client_day", "server"]
#: The group of what is beyond a destination's limit of new tickets: they share one.
SHARED = "further"


@dataclass(frozen=True, kw_only=True)
class IncidentFacts:
    """What a route may look at. ``opened_on`` is the day on which it opened, in the client's time zone."""

    kind: str
    subject: Subject
    severity: Severity
    client_id: int | None = None
    reseller_id: int | None = None
    server_id: int | None = None
    opened_on: date | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of the incident within its tenant."""
        return fingerprint(self.kind, self.subject)


@dataclass(frozen=True, kw_only=True)
class RouteValues:
    """A route as stored. ``destination_id`` None tells nobody on purpose; ``repeat_every`` None never reminds."""

    route_id: int
    position: int
    name: str = ""
    enabled: bool = True
    kinds: frozenset[str] = frozenset()
    severity_at_least: Severity = "info"
    client_ids: frozenset[int] = frozenset()
    reseller_ids: frozenset[int] = frozenset()
    server_ids: frozenset[int] = frozenset()
    destination_id: int | None
    grouping: Grouping = "job"
    hold_minutes: int = 60
    repeat_every: timedelta | None = None
    quiet: QuietHours | None = None
    tickets_per_hour: int | None = None
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class Routed:
    """Where an incident goes, and how. ``tickets_per_hour`` is the destination's own limit of new tickets; ``language``
    that of the route's tickets, "" where it has none of its own.
    """

    route_id: int
    destination_id: int
    group_key: str
    hold_minutes: int
    repeat_every: timedelta | None
    quiet: QuietHours | None = None
    tickets_per_hour: int | None = None
    language: str = ""


@dataclass(frozen=True)
class NoRoute:
    """Nobody is told; ``reason`` is a sentence, ``on_purpose`` says that somebody wants it so."""

    reason: str
    on_purpose: bool = False


def route(incident: IncidentFacts, routes: Iterable[RouteValues]) -> Routed | NoRoute:
    """The destination by the first route, in order of position, whose conditions all hold."""
    for candidate in sorted(routes, key=lambda one: (one.position, one.route_id)):
        if candidate.enabled and _matches(candidate, incident) and not _is_about(candidate, incident):
            return _follow(candidate, incident)
    return NoRoute("No route matches this incident.")


def group_key(incident: IncidentFacts, grouping: Grouping) -> str:
    """Incidents of one destination that share this key share one ticket.

    By job is the default: a job that fails and is overdue for it has one problem, not two. An incident without what it
    is to be grouped by stands alone.
    """
    if grouping == "job" and incident.subject.kind == "job":
        return f"job:{incident.subject.id}"
    if grouping == "client" and incident.client_id is not None:
        return f"client:{incident.client_id}"
    if grouping == "client_day" and incident.client_id is not None and incident.opened_on is not None:
        return f"client:{incident.client_id}:{incident.opened_on.isoformat()}"
    if grouping == "server" and incident.server_id is not None:
        return f"server:{incident.server_id}"
    return f"incident:{incident.fingerprint}"


def _follow(chosen: RouteValues, incident: IncidentFacts) -> Routed | NoRoute:
    if chosen.destination_id is None:
        return NoRoute(f'The route "{chosen.name or chosen.position}" tells nobody on purpose.', on_purpose=True)
    return Routed(
        route_id=chosen.route_id,
        destination_id=chosen.destination_id,
        group_key=group_key(incident, chosen.grouping),
        hold_minutes=chosen.hold_minutes,
        repeat_every=chosen.repeat_every,
        quiet=chosen.quiet,
        tickets_per_hour=chosen.tickets_per_hour,
        language=chosen.language,
    )


def _matches(candidate: RouteValues, incident: IncidentFacts) -> bool:
    return (
        (not candidate.kinds or incident.kind in candidate.kinds)
        and is_at_least(incident.severity, candidate.severity_at_least)
        and _is_among(incident.client_id, candidate.client_ids)
        and _is_among(incident.reseller_id, candidate.reseller_ids)
        and _is_among(incident.server_id, candidate.server_ids)
    )


def _is_about(candidate: RouteValues, incident: IncidentFacts) -> bool:
    """That a destination fails cannot be told by itself."""
    return incident.subject.kind == "destination" and incident.subject.id == candidate.destination_id


def _is_among(wanted: int | None, allowed: frozenset[int]) -> bool:
    return not allowed or wanted in allowed
