"""The ingest door: one small ASGI callable in front of Django that takes logs and answers when they are durable.

``POST /api/v1/logs`` takes one log (the body as is, or our envelope), ``POST /api/v1/logs/batch`` one envelope a
line. Every other request goes on to Django. Nothing here looks inside a log. 202: stored now; 200: it was stored
before; 409: its id is known with other bytes (kept, shown in the inbox). Every refusal is problem+json.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

import orjson

from msp.ingest.door_bodies import Budget, BudgetSpent, Receive, read_body
from msp.ingest.door_database import DatabaseAway, DoorConnection, connection_parameters
from msp.ingest.door_keys import KeyRing, Sender, TooManyUnknown
from msp.ingest.door_requests import Posting, Refusal, Request, presented_key, read_lines, read_request, read_single
from msp.ingest.door_waking import Waker
from msp.ingest.door_writer import DoorFull, NotStored, Writer
from msp.ingest.storing import CONFLICT, Kept

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
#: Any ASGI application; frameworks type its three arguments each in their own way.
Application = Callable[[Any, Any, Any], Awaitable[None]]
T = TypeVar("T")

log = logging.getLogger(__name__)

SINGLE, BATCH = "/api/v1/logs", "/api/v1/logs/batch"
DOORS = {SINGLE: "http", BATCH: "batch"}
MOST_LINES = 1000
STATUS = {"new": 202, "repeat": 200, "conflict": 409}
PROBLEMS = "urn:backledger:problem:"
#: From this size on a body is read in a thread, so that other requests are not held up.
LARGE = 256 * 1024
#: Seconds after which a refused sender may come back.
FULL_AGAIN, AWAY_AGAIN = 2, 10

NO_KEY = Refusal(
    401,
    "The key is missing, unknown, revoked or expired. Send it as Authorization: Bearer bl_....",
    headers={"www-authenticate": 'Bearer realm="backledger"'},
)
NO_SCOPE = Refusal(
    403, 'This key lacks the scope "ingest": logs are posted with a server\'s key.', name="scope-missing"
)
FULL = Refusal(
    429,
    "Too many logs are waiting to be written. Nothing was stored: send it again shortly.",
    name="door-full",
    headers={"retry-after": str(FULL_AGAIN)},
)
AWAY = Refusal(
    503,
    "The database cannot be reached, so nothing is acknowledged. Send it again later, with the same Idempotency-Key.",
    name="database-away",
    headers={"retry-after": str(AWAY_AGAIN)},
)
BROKEN = Refusal(500, "Something went wrong on our side and is logged. Nothing was stored: send it again later.")


@dataclass(frozen=True)
class Reply:
    """An HTTP answer: ``body`` is sent as it is, with these headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Door:
    """``wake`` tells the worker to look now; it may block, so it runs in a thread. ``most``: largest log, in bytes."""

    def __init__(
        self,
        inner: Application,
        *,
        most: int,
        queue_size: int,
        wake: Callable[[], None] | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._inner = inner
        self._most = most
        self._queue_size = queue_size
        self._now = now
        self._budget = Budget(max(2 * most, 64 * 1024 * 1024))
        self._waker = Waker(wake)
        self._parts: tuple[KeyRing, Writer] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["path"].rstrip("/") in DOORS:
            await respond(send, await self._serve(scope, receive))
        else:
            await self._inner(scope, receive, send)

    async def stop(self) -> None:
        """Write what is queued, then close."""
        if self._parts is not None:
            keys, writer = self._parts
            self._parts = None
            await writer.stop()
            await keys.close()
        self._waker.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's start and end: at the end what is queued is written first."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _open(self) -> tuple[KeyRing, Writer]:
        """Keys and writer; made at the first request, since they belong to the running event loop."""
        if self._parts is None:
            parameters = connection_parameters()
            keys = KeyRing(DoorConnection(parameters), now=self._now)
            writer = Writer(
                DoorConnection(parameters), size=self._queue_size, now=self._now, after_commit=self._waker.note
            )
            self._parts = keys, writer
        return self._parts

    async def _serve(self, scope: Scope, receive: Receive) -> Reply:
        """The answer to any request whatever; never raises."""
        held: list[int] = []

        def hold(size: int) -> None:
            self._budget.take(size)
            held.append(size)

        try:
            return await self._take(scope, receive, hold=hold)
        except Refusal as refusal:
            return refused(refusal)
        except (DoorFull, BudgetSpent, TooManyUnknown):
            return refused(FULL)
        except DatabaseAway:
            return refused(AWAY)
        except NotStored:
            return refused(BROKEN)
        except Exception:
            log.exception("the ingest door failed")
            return refused(BROKEN)
        finally:
            self._budget.give_back(sum(held))

    async def _take(self, scope: Scope, receive: Receive, *, hold: Callable[[int], None]) -> Reply:
        if scope["method"] != "POST":
            raise Refusal(405, "Logs are posted: use POST.", headers={"allow": "POST"})
        keys, writer = self._open()
        request = read_request(scope)
        sender = checked_sender(await keys.find(presented_key(request)))
        body = await read_body(request, receive, most=self._most, hold=hold)
        posting = posting_of(request, sender, received_at=self._now())
        if request.path == BATCH:
            return await take_batch(request, body, posting=posting, writer=writer)
        return await take_single(request, body, posting=posting, writer=writer)


def checked_sender(sender: Sender | None) -> Sender:
    """Raises Refusal for a key that is nobody's or may not post logs."""
    if sender is None:
        raise Refusal(
            401,
            "The key is missing, unknown, revoked or expired. Send it as Authorization: Bearer bl_....",
            headers={"www-authenticate": 'Bearer realm="backledger"'},
        )
    if not sender.may_post:
        raise Refusal(
            403, 'This key lacks the scope "ingest": logs are posted with the key of a server.', name="scope-missing"
        )
    return sender


def posting_of(request: Request, sender: Sender, *, received_at: datetime) -> Posting:
    return Posting(sender.tenant_id, sender.server_id, DOORS[request.path], received_at)


async def take_single(request: Request, body: bytes, *, posting: Posting, writer: Writer) -> Reply:
    parcel = await apart(body, lambda: read_single(request, body, posting=posting))
    (kept,) = await writer.keep(parcel)
    answer = answer_of(kept)
    kind = "application/problem+json" if kept.what == "conflict" else "application/json"
    return Reply(STATUS[kept.what], orjson.dumps(answer), {"content-type": kind})


async def take_batch(request: Request, body: bytes, *, posting: Posting, writer: Writer) -> Reply:
    """One answer a line, in order. 202 when every line was stored; else 207, and each line tells its own."""
    lines = await apart(body, lambda: read_lines(request, body, most_lines=MOST_LINES, posting=posting))
    kept = dict(zip(lines.numbers, await writer.keep(lines.parcel), strict=True))
    answers = {number: {"status": STATUS[one.what], **answer_of(one)} for number, one in kept.items()}
    answers |= {number: problem_of(refusal) for number, refusal in lines.refused.items()}
    told = b"".join(orjson.dumps({"index": at, **answers[at]}) + b"\n" for at in sorted(answers))
    landed = all(answer["status"] < 300 for answer in answers.values())
    return Reply(202 if landed else 207, told, {"content-type": "application/x-ndjson"})


async def apart(body: bytes, work: Callable[[], T]) -> T:
    """Do it at once, or in a thread where the body is so large that others would wait."""
    return work() if len(body) < LARGE else await asyncio.to_thread(work)


def answer_of(kept: Kept) -> dict[str, Any]:
    if kept.what == "conflict":
        return {**problem_of(Refusal(409, CONFLICT, name="conflict")), "receipt": kept.uid}
    return {"receipt": kept.uid, "repeat": kept.what == "repeat"}


def problem_of(refusal: Refusal) -> dict[str, Any]:
    """RFC 9457: type, title, status, detail; the field where there is one."""
    title = HTTPStatus(refusal.status).phrase
    name = refusal.name or title.lower().replace(" ", "-")
    told = {"type": PROBLEMS + name, "title": title, "status": refusal.status, "detail": refusal.detail}
    return told | ({"field": refusal.field} if refusal.field else {})


def refused(refusal: Refusal) -> Reply:
    kind = {"content-type": "application/problem+json"}
    return Reply(refusal.status, orjson.dumps(problem_of(refusal)), kind | refusal.headers)


async def respond(send: Send, reply: Reply) -> None:
    named = {"content-length": str(len(reply.body)), "x-content-type-options": "nosniff", **reply.headers}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
