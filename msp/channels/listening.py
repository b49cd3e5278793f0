"""The mail listener: takes mail for backup servers and answers about tickets, and says 250 only when it is stored.

Run by the command ``receive_mail``. A recipient we do not know is refused with 550, one we cannot look up with 451 (the
sender's server tries again). Connections, mails in transfer and guessing are limited, each by a bounded memory. Lines
may have any length: scripts send whole reports as one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import Error as DatabaseError
from django.db import close_old_connections

from msp.channels import ticket_mail
from msp.channels.addressing import Recipient, find_recipients, token_of
from msp.channels.mails import headers_of, incoming_mail
from msp.channels.ticket_mail import AnswerTo, Arrived
from msp.ingest.storing import store

log = logging.getLogger("msp.channels.listening")
T = TypeVar("T")

TAKEN = "250 2.0.0 Stored"
LATER = "451 4.3.0 Cannot be stored at the moment, try again later"
UNKNOWN = "550 5.1.1 No such address here"
TOO_LARGE = "552 5.3.4 The mail is larger than what is taken here"
TOO_SLOW = "451 4.4.2 The mail took too long"
BUSY = "451 4.3.2 Too many mails at once, try again later"
GUESSING = "451 4.7.1 Too many unknown addresses, try again later"
TOO_MANY = "452 4.5.3 Too many recipients"

COMMAND_SECONDS = 120.0
MAIL_SECONDS = 300.0
#: Threads that store; each holds a database connection while it does.
WRITERS = 4


@dataclass(frozen=True)
class Limits:
    """What one listener bears at once. ``unknown`` recipients of one peer within ``unknown_seconds``."""

    connections: int = 200
    connections_a_peer: int = 50
    mails: int = 8
    mails_wait_seconds: float = 30.0
    recipients: int = 50
    unknown: int = 20
    unknown_seconds: float = 600.0
    mail_bytes: int = 26_214_400


@dataclass
class Gate:
    """Counts the connections and the wrong guesses of each peer (an IP address)."""

    limits: Limits
    _open: Counter[str] = field(default_factory=Counter)
    _wrong: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def enter(self, peer: str) -> bool:
        """Whether a further connection of this peer is taken; then ``leave`` must follow."""
        if self._open.total() >= self.limits.connections or self._open[peer] >= self.limits.connections_a_peer:
            return False
        self._open[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        self._open[peer] -= 1
        if self._open[peer] <= 0:
            del self._open[peer]

    def note_unknown(self, peer: str) -> None:
        recent = self._recent(peer)
        self._wrong[peer] = [*recent, time.monotonic()][-self.limits.unknown :]
        self._wrong.move_to_end(peer)
        while len(self._wrong) > 10_000:
            self._wrong.popitem(last=False)

    def is_guessing(self, peer: str) -> bool:
        return len(self._recent(peer)) >= self.limits.unknown

    def _recent(self, peer: str) -> list[float]:
        since = time.monotonic() - self.limits.unknown_seconds
        return [at for at in self._wrong.get(peer, ()) if at > since]


class Certificate:
    """The certificate for STARTTLS, read again when its file changed: it is renewed while the listener runs."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate, key)
        self._read_at: float | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one) when the first reading fails; later the last good one stays."""
        changed_at = self._changed_at()
        if self._context is None or changed_at != self._read_at:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            try:
                context.load_cert_chain(*self._paths)
            except OSError:
                if self._context is None:
                    raise
                log.warning("the renewed certificate cannot be used: the one before stays")
            else:
                self._context = context
            self._read_at = changed_at
        return self._context

    def _changed_at(self) -> float:
        try:
            return max(path.stat().st_mtime for path in self._paths)
        except OSError:
            return -1.0


class Stopping(Exception):
    """The listener ends: nothing more is stored."""


class Receiving:
    """The hooks of the SMTP conversation. After a commit ``wake`` is called for logs, ``wake_answers`` for mail about
    tickets; ``now`` is the clock.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        now: Callable[[], datetime],
        wake: Callable[[], None],
        wake_answers: Callable[[], None],
    ) -> None:
        self.gate = gate
        self._now = now
        self._wake = wake
        self._wake_answers = wake_answers
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="store mail")
        self._stopping = False
        self.places = asyncio.Semaphore(gate.limits.mails)

    async def handle_EHLO(  # noqa: N802 - names the library looks for, here and below
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line.startswith("250-AUTH")]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        peer = peer_of(session)
        if self.gate.is_guessing(peer):
            return GUESSING
        if len(envelope.rcpt_tos) >= self.gate.limits.recipients:
            return TOO_MANY
        try:
            found = await self._apart(partial(find_addressee, address, now=self._now()))
        except (DatabaseError, Stopping):
            log.warning("an address could not be looked up: the database does not answer, or we are stopping")
            return LATER
        if found is None:
            self.gate.note_unknown(peer)
            return UNKNOWN
        recipients: list[Any] = envelope.rcpt_tos  # the library keeps what we put there
        recipients.append(found)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        recipients: list[Any] = list(dict.fromkeys(envelope.rcpt_tos))
        if not isinstance(content, bytes) or not recipients:
            return LATER
        now = self._now()
        arrived = Arrived(content, now, "smtp", envelope.mail_from)
        try:
            are_kept = await self._apart(partial(store_mail, arrived, recipients, now=now))
        except (DatabaseError, Stopping):
            log.warning("a mail was put off: the database does not answer, or we are stopping")
            return LATER
        with contextlib.suppress(Stopping):
            for wake in [self._wake] * are_kept.logs + [self._wake_answers] * are_kept.answers:
                await self._apart(wake)
        return TAKEN

    async def handle_exception(self, error: Exception) -> str:
        log.error("a mail connection failed", exc_info=error)
        return LATER

    async def _apart(self, work: Callable[[], T]) -> T:
        """Work of Django's, in a thread. A sender that has gone does not stop it: the mail is stored all the same."""
        if self._stopping:
            raise Stopping
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._writers, partial(with_connection, work)))

    def close(self) -> None:
        """Wait for what is being stored; whatever comes later is put off."""
        self._stopping = True
        self._writers.shutdown(wait=True)


def with_connection(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


@dataclass(frozen=True)
class Kept:
    """Whether a mail was stored as a log, and whether as mail about tickets."""

    logs: bool
    answers: bool


def find_addressee(address: str, *, now: datetime) -> Recipient | AnswerTo | None:
    """The server whose address it is, or what it names of tickets; None for an address that is nobody's."""
    answer_to = ticket_mail.read_address(address)
    if answer_to is not None:
        return answer_to if ticket_mail.is_taken(answer_to) else None
    token = token_of(address)
    return None if token is None else find_recipients([token], now=now).get(token)


def store_mail(arrived: Arrived, recipients: list[Recipient | AnswerTo], *, now: datetime) -> Kept:
    """Store a mail once for each server it is for, and once for each tenant whose tickets it is about. What was stored
    before a failure is a repeat the next time. A mail of ours is about its ticket, whomever it was sent to.
    """
    answers: dict[int, list[AnswerTo]] = {}
    servers: list[Recipient] = []
    are_ours = ticket_mail.is_ours(headers_of(arrived.content))
    for one in recipients:
        if isinstance(one, AnswerTo):
            answers.setdefault(one.tenant_id, []).append(one)
        elif are_ours:
            answers.setdefault(one.tenant_id, [])
        else:
            servers.append(one)
    for server in servers:
        incoming = incoming_mail(arrived.content, server_id=server.server_id, arrived_at=now, now=now, way="smtp")
        store(server.tenant_id, [incoming], now=now)
    for tenant_id, answers_to in answers.items():
        ticket_mail.keep(tenant_id, arrived, answers_to, now=now)
    return Kept(bool(servers), bool(answers))


def peer_of(session: Session) -> str:
    """The sender's IP address; the library calls it a text, but it is the socket's name."""
    name: Any = session.peer
    return str(name[0]) if isinstance(name, tuple) and name else ""


class Conversation(SMTP):
    """One connection. Reads a mail into one buffer of limited size, whatever its lines are like."""

    def __init__(self, handler: Receiving, **options: Any) -> None:
        super().__init__(handler, **options)
        self._receiving = handler
        self._peer: str | None = None
        self._refused = False

    def connection_made(self, transport: Any) -> None:
        if self._original_transport is None:  # else it is STARTTLS of a connection that is known
            name = transport.get_extra_info("peername")
            peer = str(name[0]) if isinstance(name, tuple) and name else ""
            if not self._receiving.gate.enter(peer):
                self._refused = True
                transport.write(b"421 4.3.2 Too many connections, try again later\r\n")
                transport.close()
                return
            self._peer = peer
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._refused:
            return
        if self._peer is not None:
            self._receiving.gate.leave(self._peer)
            self._peer = None
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return False if self._refused else super().eof_received()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """The library's own keeps every line apart and refuses long ones; this takes a mail as it is."""
        problem = await self._problem_with_data(arg)
        if problem:
            await self.push(problem)
            return
        places = self._receiving.places
        try:
            await asyncio.wait_for(places.acquire(), self._receiving.gate.limits.mails_wait_seconds)
        except TimeoutError:
            await self.push(BUSY)
            return
        try:
            answer = await self._take_mail()
        finally:
            places.release()
        await self.push(answer)
        if answer == TOO_SLOW and self.transport is not None:
            self.transport.close()

    async def _problem_with_data(self, arg: str) -> str:
        assert self.session is not None  # noqa: S101 - tells the type checker
        assert self.envelope is not None  # noqa: S101
        if not self.session.host_name:
            return "503 5.5.1 Say HELO first"
        if not self.envelope.rcpt_tos:
            return "503 5.5.1 Name a recipient first"
        return "501 5.5.4 DATA takes no argument" if arg else ""

    async def _take_mail(self) -> str:
        await self.push("354 End with a line that holds a dot alone")
        self._reset_timeout(MAIL_SECONDS + COMMAND_SECONDS)
        try:
            async with asyncio.timeout(MAIL_SECONDS):
                content = await read_mail(self._reader, most=self._receiving.gate.limits.mail_bytes)
        except TimeoutError:
            return TOO_SLOW
        assert self.envelope is not None  # noqa: S101
        self.envelope.content = content
        answer = TOO_LARGE if content is None else str(await self._call_handler_hook("DATA"))
        self.envelope = self._create_envelope()
        return answer


async def read_mail(reader: asyncio.StreamReader, *, most: int) -> bytes | None:
    """The mail up to the line with a dot alone (RFC 5321 section 4.5.2); None when it is larger than ``most`` bytes.

    Only CR LF ends a line here: a dot after anything else is part of the mail, so that none can be smuggled in.
    """
    kept, size, at_start = bytearray(), 0, True
    while True:
        try:
            piece = await reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as over:
            piece = await reader.readexactly(over.consumed)
        if at_start and piece == b".\r\n":
            return bytes(kept) if size <= most else None
        if at_start and piece.startswith(b"."):
            piece = piece[1:]
        at_start = piece.endswith(b"\r\n")
        size += len(piece)
        if size <= most:
            kept += piece
        else:
            kept.clear()


class Listener:
    """Listens on one address until closed."""

    def __init__(
        self, *, host: str, port: int, name: str, receiving: Receiving, certificate: Certificate | None = None
    ) -> None:
        self._host, self._port, self._name = host, port, name
        self._receiving = receiving
        self._certificate = certificate
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Begin; answers the port. Raises OSError when it cannot be had or the certificate cannot be read."""
        if self._certificate is not None:
            self._certificate.context()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._converse, self._host, self._port)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Take no more connections, and wait for what is being stored."""
        if self._server is not None:
            self._server.close()
        await asyncio.to_thread(self._receiving.close)

    def _converse(self) -> Conversation:
        return Conversation(
            self._receiving,
            hostname=self._name,
            ident="Backledger",
            data_size_limit=self._receiving.gate.limits.mail_bytes,
            enable_SMTPUTF8=True,
            timeout=COMMAND_SECONDS,
            command_call_limit={"RCPT": 1000, "*": 500},
            tls_context=None if self._certificate is None else self._certificate.context(),
            loop=asyncio.get_running_loop(),
        )
