"""Reads a mailbox: each new mail is stored, then done with as its owner wants, then the next is looked for after it.

The order is what keeps mails from being lost: a crash at any point leads to reading some of them again, and a mail that
is stored already is a repeat. A mailbox that was set up anew over there (another UIDVALIDITY) is read again from a few
days back. Whose a mail is: the mailbox's own server, else the one whose address the mail was for, else nobody's yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings

from integrations import imap
from integrations.configuration import config_from_json
from integrations.errors import PermanentFailure, TemporaryFailure
from integrations.imap import Config, Session, Waiting
from integrations.oauth import MARGIN, Application, Token, fresh_token
from msp.channels import claiming, ticket_mail
from msp.channels.addressing import find_recipients, tokens_named
from msp.channels.claiming import Claim
from msp.channels.mails import headers_of, incoming_mail
from msp.channels.models import Mailbox
from msp.channels.polling import Polling
from msp.channels.ticket_mail import Arrived
from msp.ingest.storing import Incoming, store

#: One session's deadline; well under a claim's lease, and under the minute of a task.
SESSION_SECONDS = 50.0
CHECK_SECONDS = 20.0
#: A mailbox that is new to us is read from so far back.
LOOK_BACK = timedelta(days=2)
#: UIDs looked for at once, and mails stored by one transaction.
AT_ONCE, TOGETHER, TOGETHER_BYTES = 200, 20, 8 * 1024 * 1024
LONGEST_HEAD = 64 * 1024

#: Columns that are settings as they are; the rest of a Config is in ``oauth`` and ``secrets``.
COLUMNS = ("host", "port", "security", "username", "auth", "folder", "after", "move_to")
OAUTH = ("grant", "token_url", "client_id", "scope")
SECRETS = ("password", "client_secret", "refresh_token")


@dataclass(frozen=True)
class Reading:
    """One session with a claimed mailbox."""

    claimed: Claim
    mailbox: Mailbox
    session: Session
    now: Callable[[], datetime]
    is_time_up: Callable[[], bool]


class ClaimLost(Exception):
    """Another worker has taken over: it reads on from what is stored."""


def config_of(mailbox: Mailbox) -> Config:
    """The mailbox's settings. Raises BadConfig."""
    values = {name: getattr(mailbox, name) for name in COLUMNS}
    values |= {name: mailbox.oauth.get(name, "") for name in OAUTH if mailbox.oauth.get(name)}
    values |= {name: mailbox.secrets.get(name, "") for name in SECRETS}
    return config_from_json(Config, values)


def columns_of(config: Config) -> dict[str, Any]:
    """The same as the columns of a row."""
    return {
        **{name: getattr(config, name) for name in COLUMNS},
        "oauth": {name: getattr(config, name) for name in OAUTH} if config.auth == "oauth2" else {},
        "secrets": {name: getattr(config, name) for name in SECRETS if getattr(config, name)},
    }


# --- asking ------------------------------------------------------------------------------------------------------


def poll_mailbox(claimed: Claim, *, now: Callable[[], datetime], is_time_up: Callable[[], bool]) -> Polling:
    """Read what is new. Raises TemporaryFailure, PermanentFailure, BadConfig."""
    mailbox = cast("Mailbox | None", claiming.load(claimed))
    if mailbox is None:
        return Polling(0)
    config = config_of(mailbox)
    token = ""
    if config.auth == "oauth2":
        token = access_token(mailbox, config, keep=lambda kept: keep_secrets(claimed, kept, now=now()), now=now())
    allow_private = settings.BACKLEDGER.allow_private_destinations
    with imap.open_mailbox(
        config, access_token=token, allow_private=allow_private, deadline_seconds=SESSION_SECONDS
    ) as session:
        try:
            return read_new(Reading(claimed, mailbox, session, now, is_time_up))
        except ClaimLost:
            return Polling(0)


def access_token(mailbox: Mailbox, config: Config, *, keep: Callable[[dict[str, Any]], None], now: datetime) -> str:
    """The stored token while it is good, else a fresh one, kept before it is used: a refresh token may work once."""
    known = mailbox.secrets.get("access_token")
    if known and datetime.fromisoformat(mailbox.secrets["expires_at"]) > now + MARGIN:
        return str(known)
    token = ask_for_token(config, now=now)
    given = {"access_token": token.access_token, "expires_at": token.expires_at.isoformat()}
    keep({**mailbox.secrets, **given, **({"refresh_token": token.refresh_token} if token.refresh_token else {})})
    return token.access_token


def ask_for_token(config: Config, *, now: datetime) -> Token:
    application = Application(
        token_url=config.token_url,
        client_id=config.client_id,
        grant=config.grant,
        client_secret=config.client_secret,
        refresh_token=config.refresh_token,
        scope=config.scope,
    )
    allow_private = settings.BACKLEDGER.allow_private_destinations
    return fresh_token(application, now=now, allow_private=allow_private, deadline_seconds=CHECK_SECONDS)


def keep_secrets(claimed: Claim, kept: Mapping[str, Any], *, now: datetime) -> None:
    claiming.progress(claimed, now=now, secrets=dict(kept))


def read_new(reading: Reading) -> Polling:
    """From the last mail that is stored to the newest, or until the time is up."""
    folder = reading.session.open_folder()
    last_uid = start_at(reading, folder)
    found = reading.session.find_after(last_uid, folder=folder, most=AT_ONCE)
    stored, remark = 0, ""
    for group in in_groups(reading.session.describe(found.uids)):
        if reading.is_time_up():
            return Polling(stored, more=True, remark=remark)
        stored += store_group(reading, group)
        remark = finish(reading, [each.uid for each in group]) or remark
        write_down(reading, last_uid=group[-1].uid)
    if found.looked_to > last_uid:
        write_down(reading, last_uid=found.looked_to)
    return Polling(stored, more=len(found.uids) == AT_ONCE, remark=remark)


def start_at(reading: Reading, folder: imap.Folder) -> int:
    """The last UID that is done with; for a folder that is new to us the one before the last few days."""
    mailbox = reading.mailbox
    if mailbox.uid_validity == folder.uid_validity:
        return mailbox.last_uid
    is_first = mailbox.uid_validity is None
    back_to = (mailbox.created_at if is_first else mailbox.last_success_at or mailbox.created_at) - LOOK_BACK
    last_uid = reading.session.last_before(back_to.date(), folder=folder)
    write_down(reading, uid_validity=folder.uid_validity, last_uid=last_uid)
    return last_uid


def write_down(reading: Reading, **values: Any) -> None:
    """Note how far the mailbox was read. Raises ClaimLost."""
    if not claiming.progress(reading.claimed, now=reading.now(), **values):
        raise ClaimLost


def in_groups(waiting: Sequence[Waiting]) -> Iterator[list[Waiting]]:
    """Mails that are stored together: bounded in number and bytes; always at least one."""
    group: list[Waiting] = []
    for each in waiting:
        if group and (len(group) >= TOGETHER or sum(one.size for one in group) + each.size > TOGETHER_BYTES):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def store_group(reading: Reading, group: Sequence[Waiting]) -> int:
    """Fetch and store these mails, the logs among them in one transaction; answers how many were new."""
    contents = [(each, content_of(reading, each)) for each in group]
    fetched = [(each, content) for each, content in contents if content is not None]
    about_tickets = {each.uid for each, content in fetched if is_answer(reading, content)}
    answers = sum(keep_answer(reading, each, content) for each, content in fetched if each.uid in about_tickets)
    incoming = [deliver(reading, each, content) for each, content in fetched if each.uid not in about_tickets]
    kept = store(reading.mailbox.tenant_id, incoming, now=reading.now())
    return answers + sum(one.what != "repeat" for one in kept)


def is_answer(reading: Reading, content: bytes) -> bool:
    """Whether a mail is about a ticket of ours, and so no log."""
    head = headers_of(content)
    named = ticket_mail.named_in(head, tenant_id=reading.mailbox.tenant_id)
    return bool(named) or ticket_mail.is_about_ticket(content, head)


def keep_answer(reading: Reading, waiting: Waiting, content: bytes) -> bool:
    """Return-Path is what the server that delivered it wrote of the envelope."""
    now = reading.now()
    sender = headers_of(content).get(b"return-path")
    told = None if sender is None else sender.decode("ascii", "replace")
    arrived = Arrived(content, min(waiting.arrived_at or now, now), "imap", told)
    return ticket_mail.keep(reading.mailbox.tenant_id, arrived, (), now=now)


def content_of(reading: Reading, waiting: Waiting) -> bytes | None:
    """The mail; of one that is too large a note in its place, so that it is seen."""
    most = settings.BACKLEDGER.max_body_bytes
    if waiting.size <= most:
        content = reading.session.fetch(waiting.uid, most=waiting.size + 1024)
        if content is None or len(content) <= most:
            return content
    head = reading.session.fetch(waiting.uid, most=LONGEST_HEAD, head_only=True)
    return None if head is None else note_of(head, size=waiting.size, mailbox=reading.mailbox)


def note_of(head: bytes, *, size: int, mailbox: Mailbox) -> bytes:
    """A mail in place of one that is too large, with the headers it is known by."""
    known = headers_of(head)
    kept = b"".join(
        name.title() + b": " + known[name] + b"\r\n"
        for name in (b"from", b"to", b"subject", b"date", b"message-id")
        if name in known
    )
    words = (
        f"This mail of {size} bytes is larger than what is taken here. It was left in {mailbox.folder} of {mailbox}."
    )
    return kept + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + words.encode("utf-8", "replace") + b"\r\n"


def deliver(reading: Reading, waiting: Waiting, content: bytes) -> Incoming:
    now, mailbox = reading.now(), reading.mailbox
    server_id = mailbox.server_id or named_server(content, tenant_id=mailbox.tenant_id, now=now)
    arrived_at = min(waiting.arrived_at or now, now)
    incoming = incoming_mail(content, server_id=server_id, arrived_at=arrived_at, now=now, way="imap")
    return replace(incoming, meta={**incoming.meta, "mailbox": str(mailbox.uid), "channel": str(mailbox.pk)})


def named_server(content: bytes, *, tenant_id: int, now: datetime) -> int | None:
    """The server whose address the mail was for."""
    tokens = tokens_named(headers_of(content))
    found = find_recipients(tokens, now=now, tenant_id=tenant_id)
    return next((found[token].server_id for token in tokens if token in found), None)


def finish(reading: Reading, uids: Sequence[int]) -> str:
    """Do with stored mails what is wanted; a refusal is a remark: reading goes on, the mails stay as they are."""
    try:
        reading.session.finish(uids)
    except PermanentFailure as failure:
        return f"The mails are read, but: {failure.reason}"
    return ""


# --- trying ------------------------------------------------------------------------------------------------------


def check_mailbox(mailbox: Mailbox, *, now: datetime) -> tuple[str, ...]:
    """Log in and open the folder; answers what is wrong, nothing if all is well. Changes nothing over there."""
    config = config_of(mailbox)

    def keep(kept: dict[str, Any]) -> None:
        Mailbox.objects.of(mailbox.tenant_id).filter(pk=mailbox.pk).update(secrets=kept)

    try:
        token = access_token(mailbox, config, keep=keep, now=now) if config.auth == "oauth2" else ""
        return imap.check(
            config,
            access_token=token,
            allow_private=settings.BACKLEDGER.allow_private_destinations,
            deadline_seconds=CHECK_SECONDS,
        )
    except (TemporaryFailure, PermanentFailure) as failure:
        return (failure.reason,)
