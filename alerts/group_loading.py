"""Loads what the rules about groups read: servers, sites, volumes and channels by the deadlines of their jobs.

Called by ``alerts.subjects``, always in the same number of statements. A job counts where it has a clock
(``JobState.overdue_at``); of a group only those deadlines matter that lie after its newest log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from alerts.causes import common_unheard, load_unheard
from alerts.estate_loading import load_volume_facts
from alerts.facts import Unheard
from alerts.group_facts import ChannelFacts, Due, GroupFacts
from alerts.heartbeats import load_resumed_at
from alerts.incident_rows import read_json
from alerts.job_loading import QUIET_CLIENT_STATES
from alerts.selection_loading import rows_of

AnyGroup = TypeVar("AnyGroup", GroupFacts, ChannelFacts)

#: Where the group of a job stands, by the kind of group.
GROUP_OF = {
    "server": "job.server_id",
    "volume": "job.volume_id",
    "site": "server.site_id",
    "channel": "channel.id::bigint",
}

MEMBERS = """
WITH member AS MATERIALIZED (
    SELECT {group} AS group_id, job.id AS job_id, job.server_id, state.heard_at, state.overdue_at, state.channel_ids
    FROM backups_backupjob job
    JOIN backups_jobstate state ON state.job_id = job.id
    JOIN estate_backupserver server ON server.id = job.server_id
    JOIN estate_selection selection ON selection.id = job.selection_id
    JOIN estate_client client ON client.id = selection.client_id
    {channels}
    WHERE job.tenant_id = %(tenant)s AND {group} = ANY(%(ids)s) AND state.overdue_at IS NOT NULL
          AND job.state IN ('active', 'proposed') AND selection.state = 'active' AND server.state = 'active'
          AND client.state <> ALL(%(quiet)s)
), heard AS (
    SELECT group_id, count(*) AS jobs, max(heard_at) AS heard_at, jsonb_agg(DISTINCT channel_ids) AS channels
    FROM member GROUP BY group_id
)
SELECT heard.group_id, heard.jobs, heard.heard_at, heard.channels,
       (SELECT jsonb_agg(jsonb_build_array(due.overdue_at, due.job_id, due.server_id) ORDER BY due.overdue_at)
        FROM (SELECT overdue_at, job_id, server_id FROM member
              WHERE member.group_id = heard.group_id
                    AND member.overdue_at > coalesce(heard.heard_at, '-infinity'::timestamptz)
              ORDER BY overdue_at LIMIT 2000) AS due)
FROM heard
"""

SERVERS = """
SELECT server.id, server.name, server.client_id, client.reseller_id, tenant.name,
       coalesce(nullif(client.timezone, ''), tenant.timezone),
       server.state = 'active' AND tenant.state = 'active', NOT tenant.tickets_enabled, server.registered_at,
       server.site_id
FROM estate_backupserver server
JOIN tenants_tenant tenant ON tenant.id = server.tenant_id
LEFT JOIN estate_client client ON client.id = server.client_id
WHERE server.tenant_id = %(tenant)s AND server.id = ANY(%(ids)s)
ORDER BY server.id
"""

SITES = """
SELECT site.id, site.name || ' of ' || client.name, site.client_id, client.reseller_id, tenant.name,
       coalesce(nullif(site.timezone, ''), nullif(client.timezone, ''), tenant.timezone),
       tenant.state = 'active' AND client.state <> ALL(%(quiet)s),
       NOT tenant.tickets_enabled OR NOT client.tickets_enabled, client.registered_at
FROM estate_site site
JOIN estate_client client ON client.id = site.client_id
JOIN tenants_tenant tenant ON tenant.id = site.tenant_id
WHERE site.tenant_id = %(tenant)s AND site.id = ANY(%(ids)s)
ORDER BY site.id
"""

CHANNELS = """
SELECT channel.id, channel.kind, channel.name, tenant.name, tenant.timezone, tenant.state = 'active',
       NOT tenant.tickets_enabled, channel.first_received_at, channel.last_received_at, channel.recent,
       coalesce(mailbox.state, pull.state, 'active') = 'active',
       coalesce(mailbox.failures, pull.failures, 0), coalesce(mailbox.last_error, pull.last_error, ''),
       coalesce(mailbox.last_success_at, pull.last_success_at, mailbox.created_at, pull.created_at), channel.days
FROM ingest_channel channel
JOIN tenants_tenant tenant ON tenant.id = channel.tenant_id
LEFT JOIN channels_mailbox mailbox ON mailbox.tenant_id = channel.tenant_id AND channel.kind = 'mailbox'
     AND mailbox.id::text = channel.key
LEFT JOIN channels_pullsource pull ON pull.tenant_id = channel.tenant_id AND channel.kind = 'pull'
     AND pull.id::text = channel.key
WHERE channel.tenant_id = %(tenant)s AND channel.id = ANY(%(ids)s)
ORDER BY channel.id
"""


@dataclass(frozen=True)
class Members:
    """The jobs of one group, as far as its rule looks at them."""

    jobs: int
    heard_at: datetime | None
    channel_sets: tuple[frozenset[int], ...]
    due: tuple[Due, ...]


NOBODY = Members(jobs=0, heard_at=None, channel_sets=(), due=())


def load_server_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[GroupFacts, ...]:
    rows = rows_of(SERVERS, {"tenant": tenant_id, "ids": sorted(ids)})
    facts = [
        GroupFacts(
            kind="server", group_id=row[0], name=row[1], tenant_id=tenant_id, server_id=row[0], client_id=row[2],
            reseller_id=row[3], tenant=row[4], zone=row[5], active=row[6], observed=row[7], registered_at=row[8],
            site_id=row[9],
        )
        for row in rows
    ]  # fmt: skip
    return with_members(tenant_id, "server", facts, now=now)


def load_site_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[GroupFacts, ...]:
    rows = rows_of(SITES, {"tenant": tenant_id, "ids": sorted(ids), "quiet": list(QUIET_CLIENT_STATES)})
    facts = [
        GroupFacts(
            kind="site", group_id=row[0], name=row[1], tenant_id=tenant_id, client_id=row[2], reseller_id=row[3],
            site_id=row[0], tenant=row[4], zone=row[5], active=row[6], observed=row[7], registered_at=row[8],
        )
        for row in rows
    ]  # fmt: skip
    return with_members(tenant_id, "site", facts, now=now)


def load_whole_volume_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[GroupFacts, ...]:
    """How full a volume is, and whether its jobs are silent."""
    return with_members(tenant_id, "volume", load_volume_facts(tenant_id, ids, now), now=now)


def load_channel_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[ChannelFacts, ...]:
    """A channel that stands in no other table (a folder, the mail listener, a format) never fails by itself."""
    rows = rows_of(CHANNELS, {"tenant": tenant_id, "ids": sorted(ids)})
    facts = [
        ChannelFacts(
            tenant_id=tenant_id, channel_id=row[0], kind=row[1], name=row[2], tenant=row[3], zone=row[4],
            active=row[5] and row[10], observed=row[6], registered_at=row[7], recent=recent_of(row[9]),
            failing_since=row[13] if row[11] else None, failures=row[11], error=row[12],
            days={day: told[0] for day, told in dict(read_json(row[14]) or ()).items()},
        )
        for row in rows
    ]  # fmt: skip
    latest = {row[0]: row[8] for row in rows}
    return tuple(heard_until(one, latest[one.channel_id]) for one in with_members(tenant_id, "channel", facts, now=now))


def heard_until(facts: ChannelFacts, latest: datetime) -> ChannelFacts:
    """A delivery that could not be read or assigned shows that the channel lives, too."""
    heard_at = max(latest, facts.heard_at or latest)
    return replace(facts, heard_at=heard_at, due=tuple(one for one in facts.due if one.at > heard_at))


def recent_of(told: Any) -> tuple[tuple[datetime, bool], ...]:
    """``Channel.recent``: [epoch seconds, readable]."""
    return tuple((datetime.fromtimestamp(at, UTC), bool(readable)) for at, readable in read_json(told) or ())


def with_members(tenant_id: int, kind: str, facts: Sequence[AnyGroup], *, now: datetime) -> tuple[AnyGroup, ...]:
    """The same facts with their jobs, our own delays, and whether all that could tell of them is not heard."""
    if not facts:
        return ()
    members = load_members(tenant_id, kind, [one.subject.id for one in facts])
    unheard = load_unheard(tenant_id, now=now) if kind != "channel" else {}
    resumed_at, awaiting = load_resumed_at(now=now), load_awaiting(tenant_id)
    filled: list[AnyGroup] = []
    for one in facts:
        known = members.get(one.subject.id, NOBODY)
        filled.append(
            replace(
                one, jobs=known.jobs, heard_at=known.heard_at, due=known.due, resumed_at=resumed_at,
                awaiting_since=awaiting, unheard=unheard_of(known, unheard),
            )
        )  # fmt: skip
    return tuple(filled)


def unheard_of(members: Members, unheard: Mapping[int, Unheard]) -> Unheard | None:
    """A group is not heard where each of its jobs would be told of by a channel that is silent."""
    if not unheard or not members.channel_sets:
        return None
    found = [common_unheard(channels, unheard) for channels in members.channel_sets]
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: one.since) if len(known) == len(found) else None


def load_members(tenant_id: int, kind: str, ids: Iterable[int]) -> dict[int, Members]:
    """The jobs of these groups of one kind, in one statement."""
    unnest = "CROSS JOIN LATERAL jsonb_array_elements_text(state.channel_ids) AS channel(id)"
    statement = MEMBERS.format(group=GROUP_OF[kind], channels=unnest if kind == "channel" else "")
    rows = rows_of(statement, {"tenant": tenant_id, "ids": sorted(ids), "quiet": list(QUIET_CLIENT_STATES)})
    return {
        row[0]: Members(
            jobs=row[1], heard_at=row[2], channel_sets=tuple(frozenset(told) for told in read_json(row[3]) or ()),
            due=tuple(Due(datetime.fromisoformat(at), job, server) for at, job, server in read_json(row[4]) or ()),
        )
        for row in rows
    }  # fmt: skip


def load_awaiting(tenant_id: int) -> datetime | None:
    """When the oldest unread receipt came in."""
    found: datetime | None = rows_of(
        "SELECT min(received_at) FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s", {"tenant": tenant_id}
    )[0][0]
    return found
