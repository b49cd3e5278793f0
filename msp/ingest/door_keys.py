"""Who posts: from a presented key to tenant and server, remembered for a short while.

A found key is believed for 20 seconds, so that a revoked one stops soon; an unknown one is refused for 5, from a
bounded memory, so that guessing neither fills it nor floods the database. Keys that are asked for at the same time
are looked up by one statement.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from msp.ingest.door_database import Connection, DoorConnection
from msp.tenants.secrets import key_hash

FOUND_SECONDS, UNKNOWN_SECONDS = 20.0, 5.0
MOST_REMEMBERED = 20_000
MOST_ASKED = 500
USED_EVERY = timedelta(hours=1)
SHAPE = re.compile(r"[A-Za-z0-9_-]{20,100}", re.ASCII)

FIND = """
WITH found AS (
    SELECT lookup.value, key.id, key.tenant_id, key.server_id, key.expires_at, key.scopes ? 'ingest' AS may_post,
           key.last_used_at
    FROM tenants_lookupkey lookup
    JOIN tenants_tenant tenant ON tenant.id = lookup.tenant_id AND tenant.state = 'active'
    JOIN tenants_apikey key ON key.tenant_id = lookup.tenant_id AND key.id = lookup.object_id
    LEFT JOIN tenants_reseller reseller ON reseller.id = key.reseller_id
    WHERE lookup.kind = 'key' AND lookup.value = ANY(%(digests)s) AND key.revoked_at IS NULL
      AND (key.expires_at IS NULL OR key.expires_at > %(now)s) AND coalesce(reseller.state, 'active') = 'active'
), used AS (
    UPDATE tenants_apikey key SET last_used_at = %(now)s FROM found
    WHERE key.id = found.id AND (found.last_used_at IS NULL OR found.last_used_at < %(late)s)
)
SELECT value, tenant_id, server_id, expires_at, may_post FROM found
"""


class TooManyUnknown(Exception):
    """More keys are being looked up than is sound: the sender must come back later."""


@dataclass(frozen=True)
class Sender:
    """Whose logs a key brings; ``server_id`` None for a key that belongs to no server."""

    tenant_id: int
    server_id: int | None
    may_post: bool
    expires_at: datetime | None


class KeyRing:
    """One a process. ``now`` is the clock that expiry is held against."""

    def __init__(self, database: DoorConnection, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._remembered: OrderedDict[str, tuple[float, Sender | None]] = OrderedDict()
        self._asked: dict[str, asyncio.Future[Sender | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, key: str) -> Sender | None:
        """The sender behind a key, None if nobody; raises DatabaseAway, TooManyUnknown."""
        if not SHAPE.fullmatch(key):
            return None
        digest = key_hash(key)
        believed_until, sender = self._remembered.get(digest, (0.0, None))
        if believed_until <= time.monotonic():
            sender = await self._ask(digest)
        if sender is not None and sender.expires_at is not None and sender.expires_at <= self._now():
            return None
        return sender

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        await self._database.close()

    async def _ask(self, digest: str) -> Sender | None:
        answer = self._asked.get(digest)
        if answer is None:
            if len(self._asked) >= MOST_ASKED:
                raise TooManyUnknown
            answer = self._asked[digest] = asyncio.get_running_loop().create_future()
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._answer_all())
        return await asyncio.shield(answer)

    async def _answer_all(self) -> None:
        """Look up what is asked for, all of it at once, until nobody asks any more."""
        while self._asked:
            asked = dict(self._asked)
            try:
                found = await self._database.run(partial(self._look_up, digests=list(asked)))
            except Exception as error:
                self._settle(asked, error)
            else:
                for digest in asked:
                    self._remember(digest, found.get(digest))
                self._settle(asked, found)

    def _settle(self, asked: dict[str, asyncio.Future[Sender | None]], answer: dict[str, Sender] | Exception) -> None:
        for digest, future in asked.items():
            del self._asked[digest]
            if isinstance(answer, Exception):
                future.set_exception(answer)
                future.exception()  # whoever asked may have gone: then nobody reads it, and that is no fault
            else:
                future.set_result(answer.get(digest))

    async def _look_up(self, connection: Connection, *, digests: list[str]) -> dict[str, Sender]:
        now = self._now()
        cursor = await connection.execute(FIND, {"digests": digests, "now": now, "late": now - USED_EVERY})
        return {
            value: Sender(tenant_id, server_id, may_post, expires_at)
            for value, tenant_id, server_id, expires_at, may_post in await cursor.fetchall()
        }

    def _remember(self, digest: str, sender: Sender | None) -> None:
        seconds = UNKNOWN_SECONDS if sender is None else FOUND_SECONDS
        self._remembered[digest] = (time.monotonic() + seconds, sender)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
