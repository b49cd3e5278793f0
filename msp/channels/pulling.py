"""Asks a pull source for what its jobs did: what is new is stored together with how far it was read, then more.

Both go into one transaction, so that a crash at any point leads to asking again and never to a gap; what comes twice
is a repeat by its id. Called by the task ``poll`` through ``msp.channels.polling``. A source may serve many clients:
its deliveries are of its server, and its runs are assigned one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.db import transaction

from integrations.configuration import BadConfig, config_from_json, describe, secrets_of
from integrations.errors import DeliveryFailure, PermanentFailure
from integrations.pulling import CONNECTORS, Connector, Fetched, Pulled, Session
from integrations.pulling.addressing import bare_fingerprint
from msp.channels import claiming
from msp.channels.claiming import Claim
from msp.channels.models import PullSource
from msp.channels.polling import Polling
from msp.ingest.leaving import note_listing
from msp.ingest.storing import Incoming, store

DOOR = "pull"
#: One sitting's deadline; well under a claim's lease, and under the minute of a task.
SITTING_SECONDS = 50.0
CHECK_SECONDS = 20.0
#: With less time left no further fetch is begun.
SHORTEST_SECONDS = 10.0
#: Deliveries and bytes stored by one statement, inside the one transaction.
TOGETHER, TOGETHER_BYTES = 200, 8 * 1024 * 1024
LONGEST_ID = 120


class ClaimLost(Exception):
    """Another worker has taken over: it reads on from what is stored."""


def connector_of(kind: str) -> Connector:
    """Raises PermanentFailure for a product that this release does not know."""
    if kind not in CONNECTORS:
        raise PermanentFailure(f"There is no connector called {kind} in this release.")
    return CONNECTORS[kind]


def config_of(row: PullSource) -> Any:
    """The source's settings as its connector's Config. Raises BadConfig, PermanentFailure."""
    return config_from_json(connector_of(row.kind).Config, {**row.config, **row.secrets})


def columns_of(config: Any) -> dict[str, dict[str, Any]]:
    """The same as the columns of a row: what is no secret, and the rest."""
    named = {item.name: (item.secret, getattr(config, item.name)) for item in describe(type(config))}
    return {
        "config": {name: value for name, (is_secret, value) in named.items() if not is_secret},
        "secrets": {name: value for name, (is_secret, value) in named.items() if is_secret and value},
    }


def sitting(config: Any, *, seconds: float) -> Session:
    return Session(
        deadline_seconds=seconds,
        allow_private=settings.BACKLEDGER.allow_private_destinations,
        fingerprint=bare_fingerprint(getattr(config, "fingerprint", "")),
        secrets=secrets_of(config),
    )


# --- asking ------------------------------------------------------------------------------------------------------


def poll_source(claimed: Claim, *, now: Callable[[], datetime], is_time_up: Callable[[], bool]) -> Polling:
    """Fetch and store until nothing is left or the time is up. Raises DeliveryFailure, BadConfig."""
    row = cast("PullSource | None", claiming.load(claimed))
    if row is None:
        return Polling(0)
    connector, config = connector_of(row.kind), config_of(row)
    session = sitting(config, seconds=SITTING_SECONDS)
    cursor, stored = row.cursor, 0
    while True:
        pulled = connector.fetch(config, session, cursor=cursor, now=now())
        try:
            stored += keep(claimed, row, pulled, now=now())
        except ClaimLost:
            return Polling(stored)
        if not pulled.more or pulled.remark or is_time_up() or session.seconds_left() < SHORTEST_SECONDS:
            return Polling(stored, more=pulled.more, remark=pulled.remark)
        cursor = dict(pulled.cursor)


def keep(claimed: Claim, row: PullSource, pulled: Pulled, *, now: datetime) -> int:
    """Store what was fetched and how far that is, both or neither; answers how many were new. Raises ClaimLost."""
    with transaction.atomic():
        new = 0
        for group in in_groups(pulled.deliveries):
            kept = store(row.tenant_id, [incoming(row, one, now=now) for one in group], now=now)
            new += sum(one.what != "repeat" for one in kept)
        if not claiming.progress(claimed, now=now, cursor=dict(pulled.cursor)):
            raise ClaimLost
        if pulled.listing is not None:
            there, gone = pulled.listing.there, pulled.listing.gone
            because = f"{connector_of(row.kind).LABEL} does not list it any more"
            note_listing(row.tenant_id, row.server_id, there=there, gone=gone, because=because, now=now)
    return new


def in_groups(fetched: tuple[Fetched, ...]) -> Iterator[list[Fetched]]:
    """Deliveries that are stored together: bounded in number and bytes; always at least one."""
    group: list[Fetched] = []
    size = 0
    for one in fetched:
        if group and (len(group) >= TOGETHER or size + len(one.content) > TOGETHER_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one.content)
    if group:
        yield group


def incoming(row: PullSource, one: Fetched, *, now: datetime) -> Incoming:
    """A delivery, known by its source, the id over there and its bytes: a corrected record is a further delivery."""
    meta = {
        "content_type": one.content_type,
        "format": one.format,
        "host": one.host,
        "way": "pull",
        "source": str(row.uid),
        "channel": str(row.pk),
    }
    if one.occurred_at is not None and one.occurred_at <= now:
        meta["sent_at"] = one.occurred_at.isoformat()
    digest = hashlib.sha256(one.content).hexdigest()
    theirs = one.delivery_id
    if len(theirs) > LONGEST_ID:
        theirs = hashlib.sha256(theirs.encode("utf-8", "replace")).hexdigest()
    named = f"{row.uid.hex}:{theirs}:{digest[:16]}"
    return Incoming(DOOR, named, one.content, now, row.server_id, {name: told for name, told in meta.items() if told})


# --- trying ------------------------------------------------------------------------------------------------------


def check_source(row: PullSource) -> tuple[bool, str]:
    """Log in and look, store nothing: whether it answers, and a sentence on what did or on what is wrong."""
    try:
        config = config_of(row)
        return True, connector_of(row.kind).check(config, sitting(config, seconds=CHECK_SECONDS))
    except (DeliveryFailure, BadConfig) as failure:
        return False, failure.reason
