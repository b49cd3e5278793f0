"""Hears: when a log of each job last came in and by which channels, and what each channel brought.

Two steps of the line. ``hear`` stands before evaluating and sets what rules read of the jobs, whose state rows are
locked; ``count_deliveries`` stands at the very end, since workers of one tenant share the rows of its channels and must
not wait for each other's evaluation. A replay is no new delivery. A fixed number of statements, however many receipts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
from django.db import connection

from msp.backups.runs import AssignedRun
from msp.ingest.normalising import NormalisedReceipt
from msp.ingest.taking import TakenReceipt

#: How much of the past a channel keeps: local days, deliveries, pauses between two of them.
DAYS_KEPT, RECENT_KEPT, GAPS_KEPT = 35, 50, 60
#: A channel that brings something after such a pause is looked at again: it may have been called silent.
PAUSE = timedelta(hours=1)

NAMES = {"mailbox": "Mailbox", "pull": "Pull source", "mail": "Mail listener", "folder": "Dropped files"}


class ChannelKey(NamedTuple):
    """Kind and key of a channel, see ``Channel``."""

    kind: str
    key: str


@dataclass(frozen=True)
class Heard:
    """The channels of a batch by what they are known by; ``changed`` are those whose rules may answer anew."""

    ids: Mapping[ChannelKey, int] = field(default_factory=dict)
    changed: tuple[int, ...] = ()


class Arrival(NamedTuple):
    """A delivery as its channels keep it: epoch seconds, and whether it could be read."""

    at: int
    readable: bool


def hear(tenant_id: int, normalised: Sequence[NormalisedReceipt], runs: Sequence[AssignedRun]) -> Heard:
    """Note for the jobs of these runs that they were heard of; the caller holds the locks of their state rows."""
    ways = {one.receipt.id: channels_of(one) for one in normalised}
    received: dict[ChannelKey, datetime] = {}
    for one in normalised:
        for key in ways[one.receipt.id]:
            received[key] = min(received.get(key, one.receipt.received_at), one.receipt.received_at)
    known = find_channels(tenant_id, received)
    missing = {key: at for key, at in received.items() if key not in known}
    if missing:
        make_channels(tenant_id, missing)
        known |= find_channels(tenant_id, missing)
    ids = {key: channel_id for key, (channel_id, _) in known.items()}
    hear_jobs(tenant_id, runs, {receipt: [ids[key] for key in keys] for receipt, keys in ways.items()})
    unreadable = {key for one in normalised if one.reading.error is not None for key in ways[one.receipt.id]}
    late = {key for key, (_, last) in known.items() if received[key] - last > PAUSE}
    return Heard(ids, tuple(sorted({ids[key] for key in unreadable | late | missing.keys()})))


def channels_of(one: NormalisedReceipt) -> tuple[ChannelKey, ...]:
    """The way a delivery came, where that is one that can fall silent for many jobs at once, and its format."""
    ways = [door_channel(one.receipt)]
    if one.reading.format:
        ways.append(ChannelKey("format", one.reading.format[:80]))
    return tuple(way for way in ways if way is not None)


def door_channel(receipt: TakenReceipt) -> ChannelKey | None:
    """None for what a server posts itself: its silence is its own."""
    named = str(receipt.meta.get("channel", ""))[:80]
    if receipt.door == "pull" or (receipt.door == "mail" and receipt.meta.get("way") == "imap"):
        kind = "pull" if receipt.door == "pull" else "mailbox"
        return ChannelKey(kind, named) if named else None
    return {"mail": ChannelKey("mail", ""), "folder": ChannelKey("folder", "")}.get(receipt.door)


# --- channels ----------------------------------------------------------------------------------------------------


def find_channels(tenant_id: int, keys: Collection[ChannelKey]) -> dict[ChannelKey, tuple[int, datetime]]:
    """The ids of these channels and when they last brought something; no query for none."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT channel.kind, channel.key, channel.id, channel.last_received_at "
            "FROM jsonb_to_recordset(%s::jsonb) AS wanted(kind text, key text) "
            "JOIN ingest_channel channel ON channel.tenant_id = %s AND channel.kind = wanted.kind "
            "AND channel.key = wanted.key",
            [as_json([key._asdict() for key in sorted(keys)]), tenant_id],
        )
        return {ChannelKey(kind, key): (channel_id, last) for kind, key, channel_id, last in cursor.fetchall()}


def make_channels(tenant_id: int, first: Mapping[ChannelKey, datetime]) -> None:
    """Rows of channels that bring their first delivery, in the order of their keys."""
    rows = [{**key._asdict(), "name": NAMES.get(key.kind) or key.key, "at": at} for key, at in sorted(first.items())]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_channel (uid, tenant_id, kind, key, name, first_received_at, last_received_at, days, "
            "recent, gaps) SELECT gen_random_uuid(), %s, new.kind, new.key, "
            "left(coalesce(mailbox.username || ' at ' || mailbox.host, pull.name, new.name), 200), "
            "new.at, new.at, '{}', '[]', '[]' "
            "FROM jsonb_to_recordset(%s::jsonb) AS new(kind text, key text, name text, at timestamptz) "
            "LEFT JOIN channels_mailbox mailbox ON mailbox.tenant_id = %s AND new.kind = 'mailbox' "
            "AND mailbox.id::text = new.key "
            "LEFT JOIN channels_pullsource pull ON pull.tenant_id = %s AND new.kind = 'pull' "
            "AND pull.id::text = new.key ORDER BY new.kind, new.key ON CONFLICT (tenant_id, kind, key) DO NOTHING",
            [tenant_id, as_json(rows), tenant_id, tenant_id],
        )


# --- jobs --------------------------------------------------------------------------------------------------------


def hear_jobs(tenant_id: int, runs: Iterable[AssignedRun], channels: Mapping[int, Sequence[int]]) -> None:
    """The newest arrival of each job, and the channels it came by; an older one (a replay) changes nothing."""
    newest: dict[int, AssignedRun] = {}
    for run in runs:
        known = newest.get(run.job_id)
        if known is None or (run.received_at, run.receipt_id) > (known.received_at, known.receipt_id):
            newest[run.job_id] = run
    rows = [
        {"job_id": job_id, "at": run.received_at, "channels": sorted(channels.get(run.receipt_id, ()))}
        for job_id, run in sorted(newest.items())
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE backups_jobstate state SET heard_at = heard.at, channel_ids = heard.channels "
            "FROM jsonb_to_recordset(%s::jsonb) AS heard(job_id bigint, at timestamptz, channels jsonb) "
            "WHERE state.tenant_id = %s AND state.job_id = heard.job_id "
            "AND (state.heard_at IS NULL OR state.heard_at <= heard.at)",
            [as_json(rows), tenant_id],
        )


# --- counting ----------------------------------------------------------------------------------------------------


def count_deliveries(tenant_id: int, normalised: Sequence[NormalisedReceipt], heard: Heard) -> None:
    """Add the new deliveries to their channels' days, newest and pauses. Locks those rows by id until the end."""
    arrivals: dict[int, list[Arrival]] = defaultdict(list)
    for one in normalised:
        if not one.receipt.replayed:
            arrival = Arrival(int(one.receipt.received_at.timestamp()), one.reading.error is None)
            for key in channels_of(one):
                arrivals[heard.ids[key]].append(arrival)
    if not arrivals:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT channel.id, channel.first_received_at, channel.last_received_at, channel.last_read_at, "
            "channel.days, channel.recent, channel.gaps, tenant.timezone FROM ingest_channel channel "
            "JOIN tenants_tenant tenant ON tenant.id = channel.tenant_id WHERE channel.tenant_id = %s "
            "AND channel.id = ANY(%s) ORDER BY channel.id FOR UPDATE OF channel",
            [tenant_id, sorted(arrivals)],
        )
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        cursor.execute(
            "UPDATE ingest_channel channel SET first_received_at = new.first_received_at, "
            "last_received_at = new.last_received_at, last_read_at = new.last_read_at, days = new.days, "
            "recent = new.recent, gaps = new.gaps FROM jsonb_to_recordset(%s::jsonb) AS new(id bigint, "
            "first_received_at timestamptz, last_received_at timestamptz, last_read_at timestamptz, days jsonb, "
            "recent jsonb, gaps jsonb) WHERE channel.tenant_id = %s AND channel.id = new.id",
            [as_json([with_arrivals(row, arrivals[row["id"]]) for row in rows]), tenant_id],
        )


def with_arrivals(row: Mapping[str, Any], arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """A channel's row after these deliveries, in whatever order they are told."""
    recent = [Arrival(*one) for one in read_json(row["recent"])]
    kept = sorted([*recent, *arrivals])[-RECENT_KEPT:]
    zone = ZoneInfo(row["timezone"])
    days: dict[str, list[int]] = defaultdict(lambda: [0, 0], read_json(row["days"]))
    for arrival in arrivals:
        day = datetime.fromtimestamp(arrival.at, zone).date().isoformat()
        received, unreadable = days[day]
        days[day] = [received + 1, unreadable + (not arrival.readable)]
    read = [datetime.fromtimestamp(arrival.at, UTC) for arrival in arrivals if arrival.readable]
    moments = [datetime.fromtimestamp(arrival.at, UTC) for arrival in arrivals]
    return {
        "id": row["id"],
        "first_received_at": min([row["first_received_at"], *moments]),
        "last_received_at": max([row["last_received_at"], *moments]),
        "last_read_at": max([*read, *([row["last_read_at"]] if row["last_read_at"] else [])], default=None),
        "days": {day: days[day] for day in sorted(days)[-DAYS_KEPT:]},
        "recent": [list(arrival) for arrival in kept],
        "gaps": [*read_json(row["gaps"]), *new_gaps(recent, arrivals)][-GAPS_KEPT:],
    }


def new_gaps(recent: Sequence[Arrival], arrivals: Sequence[Arrival]) -> list[int]:
    """The pauses in seconds that end with these deliveries; one that comes late, out of its order, ends none."""
    last = [recent[-1].at] if recent else []
    moments = [*last, *sorted(arrival.at for arrival in arrivals if not last or arrival.at >= last[0])]
    return [after - before for before, after in pairwise(moments)]


def read_json(told: Any) -> Any:
    return orjson.loads(told) if isinstance(told, str) else told


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
