"""Root causes: which incident of a server, site or volume covers one of its jobs, and which channels are not heard.

A covered symptom is told to nobody while its cause lasts, and for a grace after it; one that people were told of before
stays told. Called by planning with the incidents locked, and by the loading of facts. Reads a few rows a tenant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import connection

from alerts.deciding import IncidentValues
from alerts.facts import JobFacts, Unheard
from alerts.incident_rows import read_json
from alerts.life_loading import load_life
from alerts.rules import KINDS
from alerts.wording import moment_words

#: A covered incident is looked at again so often: its cause may have ended.
RECHECK = timedelta(minutes=15)
GROUP_CAUSES = tuple(kind for kind, rule in KINDS.items() if rule.CAUSE and not kind.startswith("channel_"))
CHANNEL_CAUSES = tuple(kind for kind, rule in KINDS.items() if rule.CAUSE and kind.startswith("channel_"))
#: Widest first: a server that is silent with its whole site lies under the site.
WIDTHS = ("site", "server", "volume")


# A cause of which nobody hears explains nothing to anybody: what it would cover speaks for itself. Somebody hears of it
# when it was told or is on a ticket, is in a person's hands, or is to be told at a moment that has not long passed. A
# silence is no reason: one of the server covers its jobs as well, but one of its client says nothing of other clients.
LASTS_AND_IS_HEARD_OF = """(closed_at > %(ended)s OR state = 'open' AND (
    told_at IS NOT NULL OR ticket_id IS NOT NULL OR acknowledged_at IS NOT NULL OR snoozed_until > %(now)s
    OR (tell_after > %(soon)s AND coalesce(silenced_until <= %(now)s, true))))"""


def lasting(tenant_id: int, kinds: Collection[str], grace: timedelta, *, now: datetime) -> dict[str, Any]:
    """The values of a query with the condition above."""
    return {"tenant": tenant_id, "kinds": list(kinds), "ended": now - grace, "now": now, "soon": now - RECHECK}


class Somewhere(Protocol):
    """Where an incident's subject is."""

    @property
    def server_id(self) -> int | None: ...
    @property
    def volume_id(self) -> int | None: ...
    @property
    def site_id(self) -> int | None: ...


@dataclass(frozen=True)
class Cause:
    """An incident that explains others. ``closed_at`` None while it lasts."""

    incident_id: int
    kind: str
    subject_kind: str
    subject_id: int
    since: datetime
    closed_at: datetime | None
    summary: str


@dataclass(frozen=True)
class Causes:
    """The causes of a tenant that last, or ended less than ``grace`` ago."""

    found: tuple[Cause, ...] = ()
    grace: timedelta = timedelta(hours=1)

    def covering(self, values: IncidentValues, place: Somewhere, *, now: datetime) -> Cause | None:
        """The widest cause that covers this incident; None for one that is no symptom, or was told before."""
        if not self.found or values.state != "open" or values.told_at is not None or not is_symptom(values.kind):
            return None
        known = {"site": place.site_id, "server": place.server_id, "volume": place.volume_id}
        covering = [
            one
            for one in self.found
            if known.get(one.subject_kind) == one.subject_id
            and one.subject_kind != values.subject.kind
            and values.opened_at >= one.since
            and (one.closed_at is None or now < one.closed_at + self.grace)
            and (one.closed_at is None or values.opened_at <= one.closed_at + self.grace)
        ]
        return min(covering, key=lambda one: (one.closed_at is not None, WIDTHS.index(one.subject_kind)), default=None)

    def words(self, cause: Cause, *, zone: str) -> str:
        """Why a covered incident is told to nobody. Not what the cause is: a reseller who reads this may not see it."""
        label = KINDS[cause.kind].LABEL
        if cause.closed_at is None:
            return f"It is kept under another incident ({label})."
        until = moment_words(cause.closed_at + self.grace, zone)
        return f"Its cause ({label}) has ended; it speaks up if it is still there on {until}."


def is_symptom(kind: str) -> bool:
    """Whether it may be nothing but the effect of a cause."""
    return kind in KINDS and KINDS[kind].SYMPTOM


def load_causes(tenant_id: int, grace: timedelta, *, now: datetime) -> Causes:
    """In one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, kind, subject_kind, subject_id, since, closed_at, summary FROM alerts_incident "  # noqa: S608
            f"WHERE tenant_id = %(tenant)s AND kind = ANY(%(kinds)s) AND {LASTS_AND_IS_HEARD_OF} ORDER BY id",
            lasting(tenant_id, GROUP_CAUSES, grace, now=now),
        )
        return Causes(tuple(Cause(*row) for row in cursor.fetchall()), grace)


# --- not heard ---------------------------------------------------------------------------------------------------


def load_unheard(tenant_id: int, *, now: datetime) -> dict[int, Unheard]:
    """The channels by which nothing can be heard now or lately, by id; in two statements."""
    grace = load_life(tenant_id).grace
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT subject_id, since, summary, closed_at FROM alerts_incident "  # noqa: S608
            "WHERE tenant_id = %(tenant)s AND kind = ANY(%(kinds)s) AND subject_kind = 'channel' "
            f"AND {LASTS_AND_IS_HEARD_OF} ORDER BY state, since DESC",
            lasting(tenant_id, CHANNEL_CAUSES, grace, now=now),
        )
        return {
            channel_id: Unheard(since=since, what=summary, until=None if closed is None else closed + grace)
            for channel_id, since, summary, closed in cursor.fetchall()
        }


def common_unheard(channel_ids: Iterable[int], unheard: Mapping[int, Unheard]) -> Unheard | None:
    """What keeps the logs of these channels from being heard: the one that lasts longest."""
    found = [unheard[channel_id] for channel_id in channel_ids if channel_id in unheard]
    return max(found, key=lambda one: (one.until is None, one.until or one.since), default=None)


def with_unheard(tenant_id: int, facts: Collection[JobFacts], *, now: datetime) -> tuple[JobFacts, ...]:
    """The same jobs; those whose newest log came by a channel that is silent now are not heard."""
    unheard = load_unheard(tenant_id, now=now)
    if not unheard:
        return tuple(facts)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT job_id, channel_ids FROM backups_jobstate WHERE tenant_id = %s AND job_id = ANY(%s) "
            "AND channel_ids <> '[]'::jsonb",
            [tenant_id, [one.job_id for one in facts]],
        )
        channels: dict[int, Iterable[int]] = {job: read_json(told) for job, told in cursor.fetchall()}
    return tuple(replace(one, unheard=common_unheard(channels.get(one.job_id, ()), unheard)) for one in facts)
