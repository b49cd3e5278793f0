"""The mail gateway: tickets in a mailbox, or in a ticket system that takes mail, by SMTP.

Every mail of a ticket bears ``[reference]`` in the same subject, a Message-ID made of reference, sequence and action,
and In-Reply-To and References to the first mail, so that people's programs and ticket systems keep one thread. The
final note is one mail, with whatever closes the ticket in it; nothing is sent after it. A mail cannot be searched for:
after a connection that was lost behind the text, nobody can tell whether it arrived.
"""

from __future__ import annotations

import re
import smtplib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from integrations.addresses import Address, resolve
from integrations.configuration import secrets_of
from integrations.connecting import CutOff, tls_context, what_happened
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.http import redact
from integrations.redacting import MARK
from integrations.smtp_recording import ListeningSMTP, Talk, noted
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Priority,
    Reference,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.email_config import Config as Config
from integrations.tickets.email_config import check_recipients as check_recipients
from integrations.tickets.email_config import parse_address

LABEL: Final = "Email"
CALLS_PER_MINUTE: Final = 120
VERIFIED: Final = "SMTP servers, and the intake of Roundup 2.6.0"
MAX_SUBJECT = 200  # characters
#: Names of values that a ticket or thread may bring.
REPLY_TO: Final = "reply_to"
NUMBER: Final = "number"

_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,60}")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
#: X-Priority and Importance as mail programs read them; normal mail carries neither.
_PRIORITIES: dict[Priority, tuple[str, str]] = {"urgent": ("1", "high"), "high": ("2", "high"), "low": ("5", "low")}


def find_after(config: Config) -> timedelta | None:
    """None: a mailbox cannot be asked what has arrived, so an unknown sending is never repeated by itself."""
    return None


def presumed_id(config: Config, reference: Reference) -> str:
    """The Message-ID that the first mail of this ticket has, whether or not it arrived."""
    return _message_id(config, reference, sequence=0, action="create")


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Send the first mail; the ticket's id is its Message-ID."""
    message = _new_message(config, ticket.reference, ticket.text, sequence=0, action="create", now=call.now)
    _ask_for_answers(message, ticket.values)
    if config.system and config.readers == "intake" and ticket.values.get(REPLY_TO):
        del message["X-Auto-Response-Suppress"]  # the first automatic answer tells the ticket's number
    if ticket.priority in _PRIORITIES:
        message["X-Priority"], message["Importance"] = _PRIORITIES[ticket.priority]
    _send(config, message, call=call)
    return Created(str(message["Message-ID"]))


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Send a mail into the thread."""
    _send(config, _reply(config, thread, text, sequence=sequence, action="comment", now=call.now), call=call)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Send the final note with the words that close the ticket: one mail, because any mail after it would reopen."""
    if config.close_line:
        html = None if text.html is None else f"<p>{config.close_line}</p>\n{text.html}"
        text = TicketText(text.subject, f"{config.close_line}\n\n{text.body}", html)
    _send(config, _reply(config, thread, text, sequence=sequence, action="close", now=call.now), call=call)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Send a mail into the thread: to people it is one more, and an intake opens a closed ticket at a mail."""
    _send(config, _reply(config, thread, text, sequence=sequence, action="reopen", now=call.now), call=call)


def abilities(config: Config) -> frozenset[Ability]:
    """A closed thread takes one more mail; nothing can be asked."""
    return frozenset({"reopen"})


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """Always raises: SMTP only sends."""
    raise PermanentFailure("A mailbox cannot be asked how a ticket stands.")


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Always raises: a mailbox keeps no companies."""
    raise PermanentFailure("A mailbox keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Always raises: no setting of a mailbox is looked up."""
    raise PermanentFailure(f"The values of {name} cannot be looked up.")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """Always raises: SMTP only sends."""
    raise PermanentFailure("A mailbox cannot be searched, so a sent mail cannot be looked up.")


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """Always raises: mail sends no callbacks."""
    raise PermanentFailure("A mail destination takes no callbacks.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Connect, log in and name sender and recipients to the server, then leave without sending a mail."""
    problems = []
    if config.password and config.security == "none" and not call.allow_private:
        problems.append("Without encryption the password would travel openly. Choose STARTTLS or TLS.")
    try:
        with _session(config, call) as (server, _):
            _name_addresses(server, config)
            server.rset()
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


@dataclass(frozen=True)
class Attachment:
    """A file of a mail; ``media_type`` such as application/pdf."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Mail:
    """A mail that is no ticket. ``name`` makes its Message-ID: a repeat has the same, so that it is one mail."""

    name: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()


def send_mail(config: Config, mail: Mail, *, call: Call) -> str:
    """Send it through the destination's server to its own recipients; answers the Message-ID.

    Raises BadConfig for a bad recipient, and what the gateways raise.
    """
    if not _REFERENCE.fullmatch(mail.name):
        raise PermanentFailure("The mail's name contains something other than letters, digits and hyphens.")
    config = replace(config, recipients=mail.recipients)
    message = EmailMessage(policy=SMTP)
    message["From"] = parse_address(config.sender, field="sender")
    message["To"] = [parse_address(recipient, field="recipients") for recipient in config.recipients]
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = format_datetime(call.now)
    message["Message-ID"] = f"<{mail.name}@{_message_domain(config)}>"
    message["X-Auto-Response-Suppress"] = "All"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_clean_body(mail.text), cte="quoted-printable")
    message.add_alternative(_clean_body(mail.html), subtype="html", cte="quoted-printable")
    for file in mail.attachments:
        maintype, _, subtype = file.media_type.partition("/")
        message.add_attachment(file.content, maintype=maintype, subtype=subtype, filename=file.name)
    _send(config, message, call=call)
    return str(message["Message-ID"])


def _reply(
    config: Config, thread: Thread, text: TicketText, *, sequence: int, action: str, now: datetime
) -> EmailMessage:
    if not _MESSAGE_ID.fullmatch(thread.external_id):
        raise PermanentFailure("The ticket's id is not the Message-ID of a mail; was it opened in another destination?")
    message = _new_message(config, thread.reference, text, sequence=sequence, action=action, now=now)
    message["In-Reply-To"] = thread.external_id
    message["References"] = thread.external_id
    _ask_for_answers(message, thread.values)
    return message


def _ask_for_answers(message: EmailMessage, values: Mapping[str, str]) -> None:
    """Where answers are to go, and the number by which the ticket system knows the ticket, where they are known."""
    if values.get(REPLY_TO):
        message["Reply-To"] = parse_address(values[REPLY_TO], field="reply_mailbox")
    if values.get(NUMBER):
        subject = str(message["Subject"])
        del message["Subject"]
        message["Subject"] = f"[{_one_line(values[NUMBER])}] {subject}"


def _message_id(config: Config, reference: Reference, *, sequence: int, action: str) -> str:
    return f"<{reference}.{sequence}.{action}@{_message_domain(config)}>"


def _new_message(
    config: Config, reference: Reference, text: TicketText, *, sequence: int, action: str, now: datetime
) -> EmailMessage:
    if not _REFERENCE.fullmatch(reference):
        raise PermanentFailure("The ticket's reference contains something other than letters, digits and hyphens.")
    message = EmailMessage(policy=SMTP)
    message["From"] = parse_address(config.sender, field="sender")
    message["To"] = [parse_address(recipient, field="recipients") for recipient in config.recipients]
    message["Subject"] = _subject(reference, text.subject, config.close_subject if action == "close" else "")
    message["Date"] = format_datetime(now)
    message["Message-ID"] = _message_id(config, reference, sequence=sequence, action=action)
    message["X-Auto-Response-Suppress"] = "All"
    message["X-Backledger-Reference"] = reference
    if _is_marked(config):
        message["Auto-Submitted"] = "auto-generated"
    # Quoted-printable keeps lines short and in ASCII: no server on the way has to alter them.
    message.set_content(_clean_body(text.body), cte="quoted-printable")
    if text.html is not None:
        message.add_alternative(_clean_body(text.html), subtype="html", cte="quoted-printable")
    return message


def _subject(reference: Reference, subject: str, closing: str) -> str:
    """One printable line: what a client's name or a log brings must not become a header of its own."""
    return f"[{reference}] {_one_line(subject)} {closing}".strip()


def _one_line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line[:MAX_SUBJECT]


def _clean_body(body: str) -> str:
    """The text without control characters and lone surrogates, which cannot be sent as UTF-8."""
    cleaned = "".join(character for character in body if character.isprintable() or character in "\n\t")
    return cleaned.encode("utf-8", "replace").decode()


def _message_domain(config: Config) -> str:
    return config.message_domain or parse_address(config.sender, field="sender").domain


def _is_marked(config: Config) -> bool:
    return config.auto_submitted == "always" or (config.auto_submitted == "by-reader" and config.readers == "people")


def _send(config: Config, message: EmailMessage, *, call: Call) -> None:
    """Hand the mail over to the server for all recipients or none; raises the failure that describes the end."""
    content = message.as_bytes()
    with _session(config, call) as (server, cut_off):
        _name_addresses(server, config)
        _refuse_unless(server.docmd("DATA"), 354, "the start of the mail", config)
        server.talk.mail = _readable(message)
        try:
            server.send(_with_doubled_dots(content) + b".\r\n")
            reply = server.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise OutcomeUnknown(f"{config.host} {what_happened(error, cut_off)} after the mail was sent.") from None
        _refuse_unless(reply, 250, "the mail", config)


def _readable(message: EmailMessage) -> bytes:
    """The mail as people read it: its headers, and its text without the coding that it travels in. Where answers go is
    for its readers alone: the address proves that they had the mail.
    """
    part = message.get_body(("plain",))
    headers = "\n".join(f"{name}: {MARK if name == 'Reply-To' else value}" for name, value in message.items())
    return f"{headers}\n\n{part.get_content() if part else ''}".encode()


def _with_doubled_dots(content: bytes) -> bytes:
    """RFC 5321 section 4.5.2: a line that starts with a dot gets another one."""
    return re.sub(rb"(?m)^\.", b"..", content)


def _name_addresses(server: smtplib.SMTP, config: Config) -> None:
    sender = parse_address(config.sender, field="sender").addr_spec
    _refuse_unless(server.mail(sender), 250, f"the sender {sender}", config)
    for recipient in config.recipients:
        address = parse_address(recipient, field="recipients").addr_spec
        _refuse_unless(server.rcpt(address), 250, f"the recipient {address}", config)


def _refuse_unless(reply: tuple[int, bytes], expected: int, what: str, config: Config) -> None:
    """Raise what an SMTP reply means: 4xx may work later, 5xx will not. 251 is a recipient that is forwarded."""
    code, text = reply
    if code == expected or (expected == 250 and code == 251):
        return
    told = redact(" ".join(text.decode("utf-8", "replace").split()), secrets_of(config))[:200]
    reason = f"{config.host} refused {what}: {code} {told}"
    raise TemporaryFailure(reason) if code < 500 else PermanentFailure(reason)


@contextmanager
def _session(config: Config, call: Call) -> Iterator[tuple[_Server, CutOff]]:
    """A connection as ``_connected`` makes it, noted for people to read."""
    call.record.hide(*secrets_of(config))
    with noted(call.record, config.host, config.port) as talk, _connected(config, call, talk) as connected:
        yield connected


@contextmanager
def _connected(config: Config, call: Call, talk: Talk) -> Iterator[tuple[_Server, CutOff]]:
    """A greeted, encrypted and logged-in connection; what breaks before the mail's text is temporary."""
    cut_off = CutOff(time.monotonic() + call.deadline_seconds)
    addresses = resolve(
        config.host, config.port, allow_private=call.allow_private, deadline_seconds=call.deadline_seconds
    )
    try:
        with closing(_Server(config, addresses, cut_off, talk)) as server:
            _prepare(server, config)
            yield server, cut_off
            _leave(server)
    except (OSError, smtplib.SMTPException) as error:
        raise TemporaryFailure(f"{config.host} {what_happened(error, cut_off)} before the mail was sent.") from None
    finally:
        cut_off.stop()


def _prepare(server: _Server, config: Config) -> None:
    _refuse_unless(server.ehlo(), 250, "the greeting", config)
    if config.security == "starttls":
        _start_tls(server, config)
    if config.username:
        _log_in(server, config)


def _start_tls(server: smtplib.SMTP, config: Config) -> None:
    if not server.has_extn("starttls"):
        raise PermanentFailure(f"{config.host} does not offer STARTTLS; choose another encryption or port.")
    _refuse_unless(server.starttls(context=tls_context()), 220, "STARTTLS", config)
    _refuse_unless(server.ehlo(), 250, "the greeting", config)


def _log_in(server: _Server, config: Config) -> None:
    try:
        with server.talk.unheard():
            server.login(config.username, config.password)
    except smtplib.SMTPResponseException as refused:
        text = refused.smtp_error if isinstance(refused.smtp_error, bytes) else str(refused.smtp_error).encode()
        _refuse_unless((refused.smtp_code, text), 235, "the user name or password", config)
    except smtplib.SMTPNotSupportedError:
        raise PermanentFailure(f"{config.host} takes no user name and password on this connection.") from None


def _leave(server: smtplib.SMTP) -> None:
    """Say good-bye; the mail is accepted, so it does not matter whether the server still answers."""
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        return


class _Server(ListeningSMTP):
    """An SMTP client that dials only checked addresses; the certificate is checked against the host's name."""

    def __init__(self, config: Config, addresses: tuple[Address, ...], cut_off: CutOff, talk: Talk) -> None:
        self.talk = talk
        self._addresses = addresses
        self._cut_off = cut_off
        self._tls_at_once = config.security == "tls"
        # The name in EHLO is given, as looking up our own would block without a deadline.
        super().__init__(config.host, config.port, local_hostname=_message_domain(config), timeout=cut_off.remaining())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        dialled = self._dial()
        return tls_context().wrap_socket(dialled, server_hostname=host) if self._tls_at_once else dialled

    def _dial(self) -> socket.socket:
        error: OSError = TimeoutError()
        for index, address in enumerate(self._addresses):
            try:
                share = self._cut_off.remaining() / (len(self._addresses) - index)
                return self._cut_off.dial(address, seconds=share)
            except OSError as refused:
                error = refused
        raise error
