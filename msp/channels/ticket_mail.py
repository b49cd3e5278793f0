"""Mail about tickets: the addresses that answers come to, and their keeping, apart from the mails of backup servers.

An address names a ticket or a destination and proves by a MAC that we gave it out: ``anything+BL-0123456789.7.<mac>``,
whatever the domain. The listener and the mailboxes keep such mail as an inbound event before anything looks inside it;
``alerts.mail_answers`` reads it. A mail is known by its Message-ID, so that the same one twice is one event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from django.conf import settings
from django.db.models import Q

from msp.channels.addressing import RECIPIENT_HEADERS, addresses_in
from msp.channels.mails import headers_of, name_of
from msp.outbox.models import InboundEvent
from msp.tenants.models import Tenant

SOURCE = "ticket mail"
#: What stands before the plus sign of an address at our own listener.
PREFIX = "reply"
#: Of a mail so much is kept: its text stands before its attachments, and nobody reads those.
MOST_KEPT = 1024 * 1024
OWN_HEADER = b"x-backledger-reference"
REFERENCE = r"BL-[0-9A-F]{10}"

_ADDRESS = re.compile(r"(bl-[0-9a-f]{10}|d[0-9]{1,18})\.([0-9]{1,18})\.([a-z2-7]{20})", re.ASCII)
#: The Message-IDs that the mail gateway gives.
OUR_MESSAGE_ID = re.compile(rf"<({REFERENCE})\.[0-9]{{1,9}}\.(?:create|comment|close|reopen)@[A-Za-z0-9.-]{{1,253}}>")
_IN_SUBJECT = re.compile(rf"\[({REFERENCE})\]")


@dataclass(frozen=True)
class AnswerTo:
    """What a proven address names: a ticket by its reference, or a destination by its id (then "")."""

    tenant_id: int
    reference: str
    destination_id: int | None = None


@dataclass(frozen=True)
class Arrived:
    """A mail as it came in. ``envelope_sender`` None: the way it took does not tell; "" is the null sender."""

    content: bytes
    at: datetime
    way: str
    envelope_sender: str | None = None


def ticket_address(tenant_id: int, reference: str, *, domain: str, local: str = PREFIX) -> str:
    """Where answers about this ticket are to go."""
    return _written(tenant_id, reference.lower(), domain=domain, local=local)


def destination_address(tenant_id: int, destination_id: int, *, domain: str, local: str = PREFIX) -> str:
    """Where a ticket system may send all its answers."""
    return _written(tenant_id, f"d{destination_id}", domain=domain, local=local)


def read_address(address: str) -> AnswerTo | None:
    """What an address names; None for one that has another shape or that we never gave out."""
    local = address.strip().strip("<>").rpartition("@")[0] or address
    found = _ADDRESS.fullmatch(local.rpartition("+")[2].strip('"').lower())
    if found is None:
        return None
    name, tenant_id = found.group(1), int(found.group(2))
    proofs = (_mac(key, tenant_id, name) for key in settings.BACKLEDGER.encryption_keys)
    if not any(hmac.compare_digest(proof, found.group(3)) for proof in proofs):
        return None
    is_ticket = name.startswith("bl-")
    return AnswerTo(tenant_id, name.upper() if is_ticket else "", None if is_ticket else int(name[1:]))


def is_taken(answer_to: AnswerTo) -> bool:
    """Whether mail to it is taken: its tenant works."""
    return bool(Tenant.objects.filter(Q(pk=answer_to.tenant_id, state="active")).exists())


def named_in(head: Mapping[bytes, bytes], *, tenant_id: int) -> tuple[AnswerTo, ...]:
    """The proven addresses of this tenant among those that a mail's headers name, most telling first."""
    found: dict[AnswerTo, None] = {}
    for name in RECIPIENT_HEADERS:
        for address in addresses_in(head.get(name, b"")):
            answer_to = read_address(address)
            if answer_to is not None and answer_to.tenant_id == tenant_id:
                found[answer_to] = None
    return tuple(found)


def is_about_ticket(content: bytes, head: Mapping[bytes, bytes]) -> bool:
    """Whether a mail that came to no address of a ticket speaks of one all the same: it is ours, answers a mail of
    ours, bears a reference in its subject, or returns a mail of ours. Such a mail is never a backup log.
    """
    if is_ours(head):
        return True
    answered = (head.get(b"in-reply-to", b"") + b" " + head.get(b"references", b"")).decode("ascii", "replace")
    if OUR_MESSAGE_ID.search(answered) or _IN_SUBJECT.search(subject_of(head)):
        return True
    is_report = head.get(b"content-type", b"").lower().startswith(b"multipart/report")
    return is_report and OUR_MESSAGE_ID.search(content[:MOST_KEPT].decode("latin-1")) is not None


def is_ours(head: Mapping[bytes, bytes]) -> bool:
    """Whether the mail gateway wrote it."""
    return OWN_HEADER in head


def references_in_subject(subject: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_IN_SUBJECT.findall(subject)))


def subject_of(head: Mapping[bytes, bytes]) -> str:
    """The subject decoded, at most 1,000 characters; whatever the bytes."""
    raw = head.get(b"subject", b"")[:4000].decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(raw)))[:1000]
    except (HeaderParseError, LookupError, ValueError):
        return raw[:1000]


def keep(tenant_id: int, arrived: Arrived, answers_to: Iterable[AnswerTo], *, now: datetime) -> bool:
    """Keep a mail to be read, once; False for one that is known. ``answers_to``: the addresses it was delivered to."""
    head = headers_of(arrived.content)
    proven = dict.fromkeys([*answers_to, *named_in(head, tenant_id=tenant_id)])
    told: dict[str, Any] = {
        "tickets": [each.reference for each in proven if each.reference],
        "destinations": [each.destination_id for each in proven if each.destination_id is not None],
        "way": arrived.way,
        "bytes": len(arrived.content),
        "envelope_sender": _plain(arrived.envelope_sender),
    }
    _, is_new = InboundEvent.objects.of(tenant_id).get_or_create(
        source=SOURCE,
        external_id=name_of(arrived.content, head, arrived_at=arrived.at)[:200],
        defaults={"received_at": min(arrived.at, now), "headers": told, "body": arrived.content[:MOST_KEPT]},
    )
    return bool(is_new)


def _plain(text: str | None) -> str | None:
    """An envelope's sender without its brackets; the library writes the null sender as ``<>``."""
    return None if text is None else "".join(each for each in text if each.isprintable()).strip("<> ")[:320]


def _written(tenant_id: int, name: str, *, domain: str, local: str) -> str:
    proof = _mac(settings.BACKLEDGER.encryption_keys[0], tenant_id, name)
    return f"{local}+{name}.{tenant_id}.{proof}@{domain}"


def _mac(key: str, tenant_id: int, name: str) -> str:
    """100 bits over tenant and name; the newest key signs, older ones still prove."""
    digest = hmac.new(key.encode(), f"ticket mail address {tenant_id} {name}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest)[:20].decode().lower()
